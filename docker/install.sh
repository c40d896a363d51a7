# shellcheck shell=bash
# Sourced by scripts: install_packages FILE... makes sure that the Debian packages named in the files are there.
# As root on Debian it installs them; elsewhere it says which are missing and fails.

install_packages() {
  local missing=() package
  while read -r package; do
    [[ -z $package || $package == '#'* ]] && continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done < <(cat "$@")
  [[ ${#missing[@]} == 0 ]] && return
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    printf 'These Debian packages are missing: %s\n' "${missing[*]}" >&2
    return 1
  fi
  printf 'Installing: %s\n' "${missing[*]}" >&2
  apt-get update -qq
  # policy-rc.d: a database server that is installed here must not start as a service of this machine.
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  else
    policy=
  fi
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
  [[ -z $policy ]] || rm -f "$policy"
  return "$status"
}

#!/usr/bin/env bash
# Installs into a folder of its own and makes the .deb, as README's "Install" says; what is there must run, and name
# the libraries that it needs.
#
#   tests/package.sh BUILD_FOLDER
set -euo pipefail

build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset DBAUDIT_RULES

die() { printf 'package.sh: %s\n' "$*" >&2; exit 1; }

# Whatever a command says goes to a file, so that nothing of a run that fails is lost.
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "failed: $*"; }; }

runs() {
  local program=$1
  cd "$work"  # no dbaudit.toml there
  quietly "$program" --version
  quietly "$program" rules check
  "$program" rules list >"$work/rules"
  grep -q '^VAR001' "$work/rules" || die "$program: no rule VAR001"
  "$program" pools list >"$work/pools"
  grep -q hikaricp "$work/pools" || die "$program: no library hikaricp"
}

quietly cmake --install "$build" --prefix "$work/installed"
runs "$work/installed/bin/dbaudit"

quietly cpack --config "$build/CPackConfig.cmake" -B "$work/package"
packages=("$work"/package/*.deb)
[[ ${#packages[@]} == 1 && -f ${packages[0]} ]] || die "not one .deb: ${packages[*]}"
dpkg-deb --contents "${packages[0]}" >"$work/contents"
for file in bin/dbaudit share/dbaudit/rules/variables/ share/dbaudit/rules/libraries/ share/dbaudit/rules/human_clients.toml \
  share/doc/dbaudit/README.md share/doc/dbaudit/LICENSE; do
  grep -q " ./usr/$file\$" "$work/contents" || { cat "$work/contents"; die "the .deb lacks /usr/$file"; }
done
depends=$(dpkg-deb --field "${packages[0]}" Depends)
for library in 'libc6' 'lib(mariadb3|mysqlcppconn)'; do
  [[ $depends =~ $library ]] || die "the .deb depends on '$depends', and that lacks $library; are file and dpkg-dev there?"
done
dpkg-deb --extract "${packages[0]}" "$work/extracted"
runs "$work/extracted/usr/bin/dbaudit"

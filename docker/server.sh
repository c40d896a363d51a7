#!/usr/bin/env bash
# Throwaway MySQL and MariaDB servers on loopback, without a container engine.
#
#   server.sh root   KIND                                     make sure the software is there
#   server.sh start  KIND --name NAME [--dir DIR] [-- OPTION...]   prints NAME=.. PORT=.. SOCKET=.. ...
#   server.sh client NAME [--dir DIR] [-- SQL]
#   server.sh status [--dir DIR]
#   server.sh stop   NAME|--all [--dir DIR]
#
# KIND: mysql-9.7 | mariadb-11.8 | mariadb-10.11. OPTIONs are the server's own (--wait-timeout=60).
# root has no password: never let these listen anywhere but on 127.0.0.1.
set -euo pipefail
shopt -s nullglob
umask 022

cache=${DBAUDIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbaudit}
start_deadline=60

die() { printf 'server.sh: %s\n' "$*" >&2; exit 1; }
say() { printf 'server.sh: %s\n' "$*" >&2; }

# --- software -------------------------------------------------------------------------------------

# Sets flavor, daemon, suite, packages and root ("" means: the host's own binaries).
describe_kind() {
  kind=$1
  case $kind in
    mysql-9.7)     flavor=mysql   daemon=mysqld   suite=sid      packages=mysql-server-core,mysql-client-core ;;
    mariadb-11.8)  flavor=mariadb daemon=mariadbd suite=trixie   packages=mariadb-server ;;
    mariadb-10.11) flavor=mariadb daemon=mariadbd suite=bookworm packages=mariadb-server ;;
    *) die "unknown kind '$kind'; one of mysql-9.7, mariadb-11.8, mariadb-10.11" ;;
  esac
  root=$cache/roots/$kind
  # sbin is not on every user's PATH.
  PATH=$PATH:/usr/sbin:/sbin
  if [[ $kind == mariadb-10.11 && $(mariadbd --no-defaults --version 2>/dev/null) == *" 10.11."* ]]; then root=; fi
}

# One lock for everything that writes to the cache folder: two runs must not build the same thing.
with_cache_lock() {
  mkdir -p "$cache/roots" "$cache/templates"
  (flock 9; "$@") 9>"$cache/lock"
}

make_root() {
  [[ -n $root && ! -d $root ]] || return 0
  [[ $EUID -eq 0 ]] || die "$kind needs debootstrap, and that needs root"
  command -v debootstrap >/dev/null || die "$kind needs debootstrap: apt-get install debootstrap"
  say "building $root (once; about a minute)"
  # The name says whether it is complete: an interrupted build is thrown away and done again.
  umount "$root.partial/proc" "$root.partial/sys" 2>/dev/null || true
  rm -rf --one-file-system "$root.partial"
  # It inherits the lock: should it outlive us, nobody works in its folder.
  debootstrap --variant=minbase --include="$packages" "$suite" "$root.partial" ${DBAUDIT_DEBIAN_MIRROR:+"$DBAUDIT_DEBIAN_MIRROR"} \
    >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; die "debootstrap failed, see $root.log"; }
  rm -f "$root.partial"/var/cache/apt/archives/*.deb
  chmod 1777 "$root.partial/tmp"
  mv "$root.partial" "$root"
}

# --- where a server lives -------------------------------------------------------------------------
# DIR/NAME/env    what `start` printed
# DIR/NAME/home   the server's own folder; with a chroot a link to ROOT/srv/NAME.XXXXXX, which also keeps
#                 the socket's path short (the limit is 107 bytes)

check_dir() {
  dir=${dir:-/var/tmp/dbaudit-$UID}
  # /var/tmp is everybody's: someone else's folder or link must not become ours.
  if [[ -e $dir || -L $dir ]]; then [[ -O $dir && ! -L $dir ]] || die "$dir isn't ours"; fi
}

recorded() { sed -n "s/^$2=//p" "$1/env" 2>/dev/null || true; }

# The pid file may be old and the number reused: it is our server only if it runs on this very folder.
is_ours() {
  local pid=$1 inner=$2
  [[ -n $pid && -n $inner ]] && { tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "--datadir=$inner/data"; } 2>/dev/null
}

now_ms() { local t=$EPOCHREALTIME; echo $((${t/[.,]/} / 1000)); }

# wait_until SECONDS COMMAND...
wait_until() {
  local end=$(($(now_ms) + $1 * 1000)); shift
  until "$@"; do (($(now_ms) < end)) || return 1; sleep 0.02; done
}

# --- start ----------------------------------------------------------------------------------------

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000)) # below the ephemeral range
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# Sets `enter`, the prefix that runs a program of this kind as somebody without rights.
prepare_enter() {
  enter=() owner=
  ((EUID == 0)) || return 0
  local user; user=$(id -u mysql &>/dev/null && echo mysql || echo nobody)
  owner=$(id -u "$user"):$(id -g "$user")
  if [[ -n $root ]]; then
    enter=(chroot --userspec="$owner" --groups= "$root")
  else
    enter=(setpriv --reuid="${owner%:*}" --regid="${owner#*:}" --clear-groups)
  fi
}

initialise() { # into the empty folder $inner/data
  if [[ $flavor == mysql ]]; then
    # Without a host name 127.0.0.1 is 'localhost' unless the test starts with skip-name-resolve.
    cat >"$outer/accounts.sql" <<'SQL'
CREATE USER 'root'@'127.0.0.1';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
SQL
    "${enter[@]}" "$daemon" --no-defaults --initialize-insecure --datadir="$inner/data" \
      --init-file="$inner/accounts.sql" --innodb-redo-log-capacity=8M
  else
    "${enter[@]}" mariadb-install-db --no-defaults --skip-test-db --skip-name-resolve --force \
      --auth-root-authentication-method=normal --datadir="$inner/data" --innodb-log-file-size=4M
  fi
}

# An initialised data folder is kept per version, and copied.
fill_datadir() {
  local version template
  version=$("${enter[@]}" "$daemon" --no-defaults --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
  template=$cache/templates/$kind-$version
  if [[ ! -d $template ]]; then
    (cd /; initialise) 9>&- >"$outer/init.log" 2>&1 || { tail -n 20 "$outer/init.log" >&2; die "could not initialise $kind"; }
    rm -f "$outer/data/auto.cnf" # a copy must not share its server_uuid
    rm -rf "$template.partial"
    cp -a "$outer/data" "$template.partial"
    mv "$template.partial" "$template"
  else
    rmdir "$outer/data"
    cp -a --reflink=auto --sparse=always "$template" "$outer/data"
    [[ -z $owner ]] || chown -R "$owner" "$outer/data"
  fi
}

answers() {
  # A server that died needs no deadline.
  kill -0 "$pid" 2>/dev/null || return 0
  [[ -S $outer/s ]] && version=$(mariadb --no-defaults -uroot -S "$socket" -BNe 'SELECT VERSION()' 2>/dev/null)
}

launch() { # on $port; true when a client got an answer
  local fast=(
    --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0 --sync-binlog=0 --skip-log-bin
    --innodb-use-native-aio=0
  )
  if [[ $flavor == mysql ]]; then
    fast+=(--innodb-redo-log-capacity=8M --mysqlx=OFF --secure-file-priv=NULL)
  else
    fast+=(--innodb-log-file-size=4M)
  fi
  # open_files_limit and what follows from it should not depend on the calling shell.
  ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
  (
    cd /
    exec setsid "${enter[@]}" "$daemon" --no-defaults "${fast[@]}" "$@" --datadir="$inner/data" --socket="$inner/s" \
      --port="$port" --bind-address=127.0.0.1 --pid-file="$inner/pid" --log-error="$inner/error.log" \
      --tmpdir="$inner/tmp"
  ) </dev/null >"$outer/console.log" 2>&1 &
  pid=$! version=
  wait_until "$start_deadline" answers && [[ -n $version ]]
}

start() {
  [[ -n $name ]] || die "start needs --name"
  [[ $name =~ ^[A-Za-z0-9._-]+$ && $name != .* ]] || die "a name is made of letters, digits, '.', '_' and '-'"
  command -v mariadb >/dev/null || die "needs the mariadb client: apt-get install mariadb-client"
  with_cache_lock make_root
  here=$dir/$name # the trap needs it, so not local
  local attempt
  if [[ -d $here ]]; then
    ! is_ours "$(recorded "$here" PID)" "$(recorded "$here" INNER)" || die "$name already runs; stop it first"
    remove "$here"
  fi
  mkdir -p "$dir"; mkdir "$here"
  socket=$here/home/s
  pid=
  trap cleanup EXIT
  trap 'exit 130' INT TERM
  ((${#socket} < 108)) || die "the socket's path is too long for the system, use a shorter --dir: $socket"
  if [[ -n $root ]]; then
    outer=$(mktemp -d "$root/srv/$name.XXXXXX") inner=
    inner=${outer#"$root"}
    ln -s "$outer" "$here/home"
  else
    outer=$here/home inner=$outer
    mkdir "$outer"
  fi
  echo "INNER=$inner" >"$here/env"
  mkdir "$outer/data" "$outer/tmp" # a MariaDB that starts deletes the temporary tables of others in a shared tmpdir
  prepare_enter
  [[ -z $owner ]] || chown -R "$owner" "$outer"
  chmod 755 "$outer"
  with_cache_lock fill_datadir
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    launch "$@" && break
    # Somebody may have taken the port between looking and listening; anything else is final.
    if ((attempt == 5)) || ! grep -qs 'Address already in use' "$outer/error.log"; then
      tail -n 30 "$outer/error.log" "$outer/console.log" >&2 || true
      kill -0 "$pid" 2>/dev/null && die "$kind did not answer within $start_deadline s"
      die "$kind ended instead of starting"
    fi
  done
  trap - EXIT
  cat >"$here/env" <<EOT
NAME=$name
KIND=$kind
VERSION=${version%%-*}
PORT=$port
SOCKET=$socket
PID=$pid
DATADIR=$outer/data
ERRLOG=$outer/error.log
INNER=$inner
EOT
  grep -v '^INNER=' "$here/env"
}

cleanup() { # of a start that failed
  if [[ -n $pid ]] && is_ours "$pid" "$inner"; then kill -KILL "$pid"; wait_until 20 gone "$pid" || true; fi
  remove "$here"
}

# --- stop, status, client -------------------------------------------------------------------------

# An ending process loses its command line before its port; a zombie is nobody's trouble but its parent's.
gone() { [[ ! -e /proc/$1 ]] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

remove() {
  rm -rf --one-file-system "$(readlink -f "$1/home" || true)" "$1"
}

stop() {
  local here=$1 pid inner
  [[ -d $here ]] || return 0
  pid=$(recorded "$here" PID) inner=$(recorded "$here" INNER)
  if is_ours "$pid" "$inner"; then
    # Its data are thrown away: there is nothing to shut down cleanly for.
    kill -KILL "$pid" 2>/dev/null || true
    wait_until 20 gone "$pid" || die "$(basename "$here") (pid $pid) doesn't end"
  fi
  remove "$here"
}

status() {
  local env here
  for env in "$dir"/*/env; do
    here=$(dirname "$env")
    is_ours "$(recorded "$here" PID)" "$(recorded "$here" INNER)" && state=running || state=dead
    printf '%-24s %-14s %-9s port %-6s pid %-8s %s\n' "$(basename "$here")" "$(recorded "$here" KIND)" \
      "$(recorded "$here" VERSION)" "$(recorded "$here" PORT)" "$(recorded "$here" PID)" "$state"
  done
}

# --- command line ---------------------------------------------------------------------------------

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }

(($#)) || { usage >&2; exit 2; }
verb=$1; shift
subject='' name='' dir='' all=
while (($#)); do
  case $1 in
    --name) name=${2:?--name needs a value}; shift 2 ;;
    --dir) dir=${2:?--dir needs a value}; shift 2 ;;
    --all) all=1; shift ;;
    --) shift; break ;;
    -*) die "unknown option $1" ;;
    *) [[ -z $subject ]] || die "unexpected '$1'"; subject=$1; shift ;;
  esac
done
check_dir

case $verb in
  root) describe_kind "$subject"; with_cache_lock make_root ;;
  start) describe_kind "$subject"; start "$@" ;;
  stop)
    [[ -n $all || -n $subject ]] || die "stop what? a name, or --all"
    if [[ -z $all ]]; then stop "$dir/$subject"; else for here in "$dir"/*/; do stop "${here%/}"; done; fi
    rmdir "$dir" 2>/dev/null || true
    ;;
  status) status ;;
  client)
    socket=$(recorded "$dir/$subject" SOCKET)
    [[ -n $socket ]] || die "no server called '$subject' in $dir"
    exec mariadb --no-defaults -uroot -S "$socket" ${1:+-e "$1"}
    ;;
  help | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# dbaudit's main job on a real throwaway server: installs what it needs, builds, starts MariaDB on a free loopback port,
# lets a forgotten SELECT freeze a table and lowers wait_timeout under two pools, and shows what dbaudit says.
# Touches nothing else on this machine and stops what it started. Safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=docker/install.sh
source docker/install.sh
install_packages docker/packages.txt docker/demo-packages.txt

printf 'Building dbaudit ...\n' >&2
cmake --preset release -DDBAUDIT_TESTS=OFF -DDBAUDIT_BENCH=OFF >/dev/null
cmake --build build/release --parallel "$(nproc)" -- --quiet

servers=$(mktemp -d /tmp/dbaudit-demo.XXXXXX)
chmod 755 "$servers"  # started as root, the server runs as another user
stop() {
  [[ -z ${person_pid:-} ]] || kill "$person_pid" 2>/dev/null || true
  docker/server.sh stop demo --dir "$servers" || true
  rm -rf "$servers"
}
trap stop EXIT
docker/server.sh start mariadb-10.11 --name demo --dir "$servers" -- --performance-schema=ON \
  "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON" >"$servers/env"
# shellcheck source=/dev/null
source "$servers/env"
sql() { mariadb --no-defaults --skip-ssl -h 127.0.0.1 -P "$PORT" -u root "$@"; }
until_true() { # SQL that returns 1 once the state is there
  local deadline=$((SECONDS + 30))
  until [[ $(sql -N -e "$1") == 1 ]]; do
    ((SECONDS < deadline)) || { echo "demo: waited in vain for: $1" >&2; exit 1; }
    sleep 0.1
  done
}

# dbaudit's own account, with the privileges that it prints itself.
build/release/dbaudit grants --flavor mariadb --account "'audit'@'127.0.0.1'" | sed 's/choose-a-password/demo/' | sql
sql -e "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(50)); INSERT INTO shop.orders VALUES (1, 'x')"

# A. Somebody reads one row in a SQL shell, with a transaction open, and goes to lunch.
mkfifo "$servers/keyboard"
sql <"$servers/keyboard" >/dev/null &
person_pid=$!
exec 3>"$servers/keyboard"
echo "BEGIN; SELECT * FROM shop.orders WHERE id = 1 FOR UPDATE;" >&3
until_true "SELECT COUNT(*) > 0 FROM information_schema.INNODB_TRX"
# A migration comes along, and everybody queues behind it.
sql -e "ALTER TABLE shop.orders ADD COLUMN paid INT" 2>/dev/null &
until_true "SELECT COUNT(*) = 1 FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock'"
sql -e "SELECT * FROM shop.orders" &>/dev/null &
until_true "SELECT COUNT(*) = 2 FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock'"
until_true "SELECT MAX(TIME_MS) > 1500 FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep'"

# Runs dbaudit as its account and shows what it says; it must find something.
dbaudit() {
  local status=0 connection=(-h 127.0.0.1 -P "$PORT" -u audit --ssl-mode DISABLED)
  printf '\n$ dbaudit %s\n\n' "$* ${connection[*]}"
  DBAUDIT_PASSWORD=demo DBAUDIT_RULES=rules build/release/dbaudit "$@" "${connection[@]}" || status=$?
  printf '\nexit code %s: %s\n' "$status" "$([[ $1 == locks ]] && echo "somebody waits" || echo findings)"
  [[ $status == 1 ]]
}
dbaudit locks

# B. "Let us end idle sessions early": well meant, and nobody asked the pools.
sql -e "SET GLOBAL wait_timeout = 180"
dbaudit audit --config docker/demo.toml

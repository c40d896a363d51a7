#!/usr/bin/env bash
# Runs every test: format, both compilers with warnings as errors, clang-tidy, and the whole suite (real MySQL and
# MariaDB servers); with sanitizers all of it again but MariaDB 11.8, MariaDB 10.11 as it ships, and what runs or
# measures servers only. Installs what it needs as root on Debian; elsewhere it says what is missing. Safe to repeat.
# `--quick`: one build, and only the tests that need no server.
#
#   tests/run.sh [--quick]
#   DBAUDIT_TEST_SERVERS=name=mysql://root:pw@127.0.0.1:3306,... tests/run.sh   one build, and the integration tests on
#                                                          these servers (docker/compose.yaml) in place of the built-in
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=docker/install.sh
source docker/install.sh

quick=0
case ${1:-} in
  --quick) quick=1 ;;
  '') ;;
  *) echo "usage: tests/run.sh [--quick]" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }

# Configures, builds and says how long it took; warnings are errors.
build() {
  say "build: $1"
  cmake --preset "$1" "${@:2}" >/dev/null
  cmake --build --preset "$1" --parallel "$(nproc)" -- --quiet
}

# Runs a step beside what follows, until `finish` waits for it and shows what it said.
beside() {
  mkdir -p build
  "$@" >build/beside.log 2>&1 &
  beside=$!
}
finish() {
  local code=0
  wait "$beside" || code=$?
  cat build/beside.log
  return "$code"
}

roots() { for kind in mariadb-10.11 mariadb-11.8 mysql-9.7; do docker/server.sh root "$kind"; done; }

# Several servers at once, and one watched.
threads() {
  export DBAUDIT=$PWD/build/thread/dbaudit
  /usr/bin/python3 -m pytest -q --server=none tests/integration/test_faults.py
  /usr/bin/python3 -m pytest -q --server=mariadb-11.8-ps tests/integration/test_locks_watch.py tests/integration/test_fleet.py
}

# The tests wait more than they work: this takes what they leave.
sanitized() {
  renice -n 19 "$BASHPID" >/dev/null
  build sanitize
}

install_packages docker/packages.txt tests/packages.txt

say "format"
git ls-files '*.h' '*.cpp' | xargs -P "$(nproc)" -n 50 clang-format --dry-run --Werror
git ls-files '*.sh' .ci/run | xargs shellcheck -x

if [[ $quick == 1 ]]; then
  build release -DDBAUDIT_TESTS=ON
  ctest --preset release --label-exclude server
  exit 0
fi

# Tests that need servers of their own are skipped, and listed at the end.
if [[ -n ${DBAUDIT_TEST_SERVERS:-} ]]; then
  build release -DDBAUDIT_TESTS=ON
  say "integration tests on the servers of DBAUDIT_TEST_SERVERS"
  export DBAUDIT=$PWD/build/release/dbaudit DBAUDIT_REPEAT=$PWD/build/release/tests/repeat DBAUDIT_RULES=$PWD/rules
  exec /usr/bin/python3 -m pytest -q tests/integration
fi

command -v npm >/dev/null || install_packages tests/node-packages.txt
beside roots
# One build is clang's warnings, clang-tidy and ThreadSanitizer; no unit test has a thread.
build thread -DDBAUDIT_TESTS=OFF -DCMAKE_CXX_CLANG_TIDY=clang-tidy
finish
beside threads
say "the README's first command"
docker/demo.sh
build release -DDBAUDIT_TESTS=ON -DDBAUDIT_BENCH=ON
finish
beside sanitized
say "all tests, release"
ctest --preset release --parallel 6
finish
say "all tests, AddressSanitizer and UndefinedBehaviorSanitizer"
# MariaDB as it ships runs what the others run, less what it does not show, and one server of each family will do:
# everything was run above on all of them.
ctest --preset sanitize --parallel 6 --label-exclude 'proof|as-shipped' --exclude-regex mariadb-11.8

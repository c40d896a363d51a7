#!/usr/bin/env bash
# Runs every test: format, both compilers with warnings as errors, clang-tidy, and the whole suite (real MySQL and
# MariaDB servers) with and without sanitizers. Installs what it needs as root on Debian; elsewhere it says what is
# missing. Safe to repeat. `--quick`: one build, and only the tests that need no server.
#
#   tests/run.sh [--quick]
#   DBAUDIT_TEST_SERVERS=name=mysql://root:pw@127.0.0.1:3306,...   the suite on these servers (docker/compose.yaml)
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

install_packages docker/packages.txt tests/packages.txt

say "format"
git ls-files '*.h' '*.cpp' | xargs clang-format --dry-run --Werror
git ls-files '*.sh' .ci/run | xargs shellcheck -x

if [[ $quick == 1 ]]; then
  build release -DDBAUDIT_TESTS=ON
  ctest --preset release --label-exclude server
  exit 0
fi

command -v npm >/dev/null || install_packages tests/node-packages.txt
# Fetched while the first build goes on.
(for kind in mariadb-10.11 mariadb-11.8 mysql-9.7; do docker/server.sh root "$kind"; done) &
roots=$!
# One build is clang's warnings, clang-tidy and ThreadSanitizer.
build thread -DDBAUDIT_TESTS=ON -DCMAKE_CXX_CLANG_TIDY=clang-tidy
say "unit tests, clang, ThreadSanitizer"
build/thread/tests/unit_tests --minimal
wait "$roots"
say "several servers at once, and one watched, ThreadSanitizer"
export DBAUDIT=$PWD/build/thread/dbaudit
/usr/bin/python3 -m pytest -q --server=none tests/integration/test_faults.py
/usr/bin/python3 -m pytest -q --server=mariadb-11.8-ps tests/integration/test_locks_watch.py
unset DBAUDIT
say "the README's first command"
docker/demo.sh
build release -DDBAUDIT_TESTS=ON -DDBAUDIT_BENCH=ON
# The tests wait more than they work: the next build takes what they leave.
nice -n 19 bash -c "$(declare -f say build); build sanitize" >build/sanitize.log 2>&1 &
sanitize=$!
say "all tests, release"
ctest --preset release --parallel 4
wait "$sanitize" || { cat build/sanitize.log >&2; exit 1; }
say "all tests, AddressSanitizer and UndefinedBehaviorSanitizer"
# MariaDB as it ships runs what the others run, less what it does not show: once, above, is enough.
ctest --preset sanitize --parallel 4 --label-exclude 'proof|as-shipped'

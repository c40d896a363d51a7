"""A hundred runs in one process end with the memory of ten; a sanitizer build reports what is lost at the end."""

import os
import subprocess

import pytest


@pytest.mark.parametrize("command", ["audit", "locks"])
def test_a_hundred_runs_in_one_process_leak_nothing(server, dbaudit, command):
    repeat = os.environ.get("DBAUDIT_REPEAT")
    assert repeat, "ctest names the program; by hand: DBAUDIT_REPEAT=build/release/tests/repeat"
    server.account("aud", ["PROCESS ON *.*", "SELECT ON performance_schema.*"])
    argv = [repeat, "100", command, "-h", "127.0.0.1", "-P", str(server.port), "-u", "aud", "--ssl-mode", "DISABLED"]
    run = subprocess.run(argv, env=dbaudit.environment(), cwd=dbaudit.home, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    early, late = map(int, run.stderr.splitlines()[-1].split())
    sanitized = "ASAN_OPTIONS" in os.environ or late > 150_000
    if not sanitized:  # AddressSanitizer keeps freed memory for a while; it reports leaks itself
        assert late < early * 1.1 + 2048, f"{early} KiB after 10 runs, {late} KiB after 100"

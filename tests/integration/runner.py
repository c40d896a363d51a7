"""Runs the binary under test and fails on what is never acceptable."""

import json
import os
import resource
import subprocess
import time
import typing

import pytest

SANITIZERS = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer", "MemorySanitizer")
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "GCOV_PREFIX", "LLVM_PROFILE_FILE")


class Run(typing.NamedTuple):
    argv: list
    code: int
    out: str
    err: str
    cpu_s: float
    wall_s: float

    @property
    def waited_s(self):
        """What a run took beyond its work. A loaded machine or a sanitizer makes work several times longer, waiting not."""
        return self.wall_s - 4 * self.cpu_s

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            pytest.fail(f"{self}\nno JSON on stdout: {error}")

    def __str__(self):
        return f"{' '.join(map(str, self.argv))}\nexit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Dbaudit:
    def __init__(self, binary, rules, home):
        self.binary, self.rules, self.home = binary, rules, home
        self.runs = []

    def argv(self, *args, server=None, user="aud"):
        where = ["-h", server.host, "-P", str(server.port), "-u", user] if server else []
        return [str(self.binary), *map(str, args), *where]

    def environment(self, password="pw", extra=None):
        """Nothing of the caller's: no ~/.my.cnf, no dbaudit.toml, no colours. A value None removes a variable."""
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        env |= {"HOME": str(self.home), "LC_ALL": "C.UTF-8", "DBAUDIT_RULES": str(self.rules), "DBAUDIT_PASSWORD": password}
        env |= extra or {}
        return {name: str(value) for name, value in env.items() if value is not None}

    def __call__(self, *args, server=None, user="aud", password="pw", env=None, input=None, timeout=60, cwd=None):
        argv = self.argv(*args, server=server, user=user)
        begun, cpu = time.monotonic(), cpu_of_children()
        try:
            done = subprocess.run(
                argv,
                env=self.environment(password, env),
                cwd=cwd or self.home,
                # No input means an empty one: a prompt must not wait for the terminal of whoever runs the tests.
                input=b"" if input is None else input.encode() if isinstance(input, str) else input,
                capture_output=True,
                timeout=timeout,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            pytest.fail(f"still running after {timeout} s: {' '.join(argv)}\n--- stdout\n{error.stdout}\n--- stderr\n{error.stderr}")
        text = lambda data: data.decode("utf-8", errors="backslashreplace")
        run = Run(argv, done.returncode, text(done.stdout), text(done.stderr), cpu_of_children() - cpu, time.monotonic() - begun)
        if run.code < 0:
            pytest.fail(f"killed by signal {-run.code}: {run}")
        if run.code == 70:
            pytest.fail(f"internal error: {run}")
        if any(sign in run.err for sign in SANITIZERS):
            pytest.fail(f"sanitizer: {run}")
        self.runs.append(run)
        return run

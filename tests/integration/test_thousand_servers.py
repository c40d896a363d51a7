"""A thousand servers in one run: bounded memory, threads and connections, and no time lost."""

import collections
import contextlib
import json
import pathlib
import re
import subprocess
import time

import faults
from test_fleet import DEAD, declare
from test_harmless import grants_of

NAMES, DEAD_NAMES, SILENT = 940, 30, 30
KINDS = ["mysql-9.7", "mariadb-10.11", "mariadb-11.8"]


def test_a_thousand_servers(start_server, dbaudit):
    """Three real servers under hundreds of names, and among them ports where nobody listens, or nobody says anything."""
    real = [start_server(kind) for kind in KINDS]
    for one in real:
        one.account("aud", grants_of(one))
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(faults.Silent()).port for _ in range(SILENT)]
        ports = [real[i % 3].port for i in range(NAMES)]
        for i, port in enumerate([DEAD] * DEAD_NAMES + silent):
            ports.insert(16 * i, port)
        names = {f"s{i:03}": port for i, port in enumerate(ports)}
        declare(dbaudit, names, 'group = "shop"\n')
        argv = dbaudit.argv("audit", "--format", "jsonl", "--timings", "--timeout", "10m")
        begun = time.monotonic()
        with open(dbaudit.home / "out", "w+") as out, open(dbaudit.home / "err", "w+") as err:
            with subprocess.Popen(argv, env=dbaudit.environment(), cwd=dbaudit.home, stdout=out, stderr=err) as running:
                threads, peak_mb = watch(running)
                wall_s = time.monotonic() - begun
            said = [json.loads(line) for line in out.seek(0) or out]
            timings = (err.seek(0), err.read())[1]

    reachable = {one["name"]: one["reachable"] for one in said if one["type"] == "server"}
    assert reachable == {name: port in [one.port for one in real] for name, port in names.items()}
    assert running.returncode == 3 and said[-1]["servers"] == len(names)
    judged = collections.Counter(one["server"] for one in said if one["type"] == "result")
    assert set(judged) == set(names) and max(judged.values()) < 2 * min(judged.values())

    assert peak_mb < 400  # sixteen stores, and of each server what is compared in the end
    assert threads <= 64 + 2 * 16 + 4, threads  # those that connect; for each server that is read, one that asks ahead and one that stores
    used = [int(one.admin("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")[0][1]) for one in real]
    # Those of one address, the test's own, and who has said goodbye but whose thread the server has not ended yet.
    assert max(used) <= 4 + 2 + 2, used
    share_s = slowest_share(timings, names)
    print(f"{len(names)} servers: {wall_s:.1f} s, slowest share {share_s:.1f} s, peak {peak_mb:.0f} MB, {threads} threads")
    assert wall_s <= 1.3 * share_s, (wall_s, share_s)


def watch(running):
    """The most threads that it had, and its peak memory in MB."""
    most = {"Threads": 0, "VmHWM": 0}
    while running.poll() is None:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{running.pid}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in most:
                    most[name] = max(most[name], int(value.split()[0]))
        time.sleep(0.05)  # a sample; nothing waits for it
    return most["Threads"], most["VmHWM"] / 1024


def slowest_share(timings, names):
    """The time without which it cannot be done: what each of 16 threads had to do on average, or of the 4 of one address."""
    took = {name: sum(map(float, re.findall(r"([\d.]+) ms", line))) / 1000 for name, line in re.findall(r"timings: (s\d+): (connect .*)", timings)}
    assert took.keys() == names.keys()
    by_address = collections.Counter()
    for name, port in names.items():
        by_address[port] += took[name] / 4
    return max(sum(took.values()) / 16, *by_address.values())

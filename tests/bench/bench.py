#!/usr/bin/python3
"""How far is dbaudit from the least time in which its own statements can be run?

  cmake --preset release -DDBAUDIT_BENCH=ON && cmake --build --preset release
  tests/bench/bench.py --dbaudit build/release/dbaudit --tools build/release/tests/bench

On each server, with few and with many sessions: the general log tells what a command sends; a minimal C client
(floor.c) runs the same statements and forgets the rows. Both take turns, over TCP without TLS. Medians are printed, and
beside each ratio what it should stay below ("OVER" where it does not); peak memory should stay below 64 MB.
`locks` looks at a stall: one idle reader, an ALTER behind it, and readers behind that; the server's own view of it
(sys.schema_table_lock_waits) is timed once beside it.
"""

import argparse
import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import pymysql

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import servers  # noqa: E402
from runner import Dbaudit  # noqa: E402

SERVERS = {name: (*variant, "--max-connections=3000") for name, variant in servers.VARIANTS.items()}
AS_INSTALLED = ("mariadb-10.11", "mariadb-11.8")  # nothing shows who holds a table: suspects in place of a root
TABLES = 5
# A third of the rules judge pools, and are not asked where none is declared.
POOLS = """
[[pool]]
name = "orders-batch"
library = "tomcat_jdbc"
version = "9.0.70"
user = "root"
instances = 2
settings = { maxActive = 20, testOnBorrow = false, testWhileIdle = false, minIdle = 5 }

[[pool]]
name = "checkout-api"
library = "hikaricp"
version = "5.1.0"
user = "checkout"
instances = 6
max_surge = "25%"
settings = { maximumPoolSize = 20, maxLifetime = 1800000 }
"""
SNAPSHOT = "/dev/shm/dbaudit-bench.db"
COMMANDS = {"audit": ("audit",), "snapshot": ("snapshot", "-o", SNAPSHOT)}
LOCKS = {"locks": ("locks", "--format", "json", "--min-wait", "0s")}
WAITERS = {5: 3, 2000: 500}  # by sessions
SYS_VIEW_SECONDS = 20
LIMITS = {"audit": (5.0, 2.0), "snapshot": (5.0, 2.0), "locks": (2.0, 1.5)}  # with few sessions, with many
MOST_MB = 64
ROW = "{:<22}{:>8}  {:<9}{:>6}{:>11}{:>13}{:>8}{:>7}{:>10}"


@contextlib.contextmanager
def load(tools, server, sessions):
    command = [tools / "load", str(server.port), str(sessions), str(TABLES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout.readline() != "ready\n":
                sys.exit(f"load failed on {server}")
            yield
        finally:
            process.stdin.close()
    # The server still has to end them: the next measurement must not see that.
    server.wait_for("SELECT COUNT(*) < 2 FROM information_schema.PROCESSLIST WHERE USER = 'root'", "the load has gone", 60)


@contextlib.contextmanager
def stall(server, waiters):
    """An idle reader of one table, an ALTER that waits for it, and readers that wait for the ALTER."""
    server.admin("CREATE DATABASE stalled")
    server.admin("CREATE TABLE stalled.orders (id INT PRIMARY KEY)")
    try:
        server.connect(autocommit=False).cursor().execute("SELECT * FROM stalled.orders")
        server.background("ALTER TABLE stalled.orders ADD COLUMN v INT")
        waiting = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock'"
        server.wait_for(f"{waiting} HAVING COUNT(*) = 1", "the ALTER waits")
        for _ in range(waiters - 1):
            server.background("SELECT * FROM stalled.orders")
        server.wait_for(f"{waiting} HAVING COUNT(*) = {waiters}", "everybody waits", 60)
        yield
    finally:
        # Not server.reset(): that would drop the tables of the load, which its sessions have locked.
        for connection in server._connections:
            with contextlib.suppress(pymysql.MySQLError):
                server.admin(f"KILL {connection.thread_id()}")
        server._connections.clear()
        server.admin("DROP DATABASE stalled")


def sys_view_ms(server):
    """How long the server's own view of the stall takes; nothing where it does not end in time."""
    limit = "max_execution_time = %d" % (1000 * SYS_VIEW_SECONDS) if server.flavor == "mysql" else "max_statement_time = %d" % SYS_VIEW_SECONDS
    cursor = server.connect().cursor()
    cursor.execute(f"SET SESSION {limit}")
    begin = time.monotonic()
    try:
        cursor.execute("SELECT COUNT(*) FROM sys.schema_table_lock_waits")
        rows = cursor.fetchall()[0][0]
    except pymysql.MySQLError:
        return f"does not end in {SYS_VIEW_SECONDS} s"
    return f"{1000 * (time.monotonic() - begin):.0f} ms, {rows} rows"


def measure(tools, command, env, accepted):
    """(milliseconds, peak MB)"""
    run = subprocess.run([tools / "measure", *command], env=env, stdout=subprocess.PIPE, text=True, check=True)
    microseconds, kilobytes, code = map(int, run.stdout.split())
    if code not in accepted:
        sys.exit(f"exit code {code}: {' '.join(map(str, command))}")
    return microseconds / 1000, kilobytes / 1024


def statements_of(server, argv, env):
    """What a command says to the server, connecting included."""
    with server.general_log() as log:
        subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        said = [entry.argument for entry in log.statements("aud") if entry.command in ("Query", "Execute")]
    return said or sys.exit(f"{' '.join(argv)} sent nothing")


def least_account(options, server, scratch):
    """The account aud, with what `dbaudit grants` prints."""
    server.account("aud")
    dbaudit = Dbaudit(options.dbaudit.resolve(), servers.SOURCE / "rules", scratch)
    run = dbaudit("grants", "--account", "'aud'@'%'", server=server, user=server.root[0], password=server.root[1])
    for statement in re.findall(r"^GRANT [^;]*;", run.out, flags=re.MULTILINE):
        server.admin(statement)


def everybody_is_reported(server, argv, env, waiters):
    """What is timed must be the answer: all who wait, and one root."""
    roots = 0 if server.name in AS_INSTALLED else 1
    run = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    report = json.loads(run.stdout)
    if (run.returncode, len(report["waits"]), len(report["roots"]), bool(report["suspects"])) != (1, waiters, roots, not roots):
        sys.exit(f"{' '.join(argv)}: exit code {run.returncode}, {len(report['waits'])} waits, {len(report['roots'])} roots")


def compare(options, server, sessions, name, scratch):
    dbaudit = Dbaudit(options.dbaudit.resolve(), servers.SOURCE / "rules", scratch)
    pools = scratch / "pools.toml"
    pools.write_text(POOLS)
    command = [*(COMMANDS | LOCKS)[name], *(["--pools", pools] if name == "audit" else [])]
    argv, env = dbaudit.argv(*command, "--ssl-mode", "DISABLED", server=server), dbaudit.environment()
    if name == "locks":
        everybody_is_reported(server, argv, env, WAITERS.get(sessions, 500))
    said = statements_of(server, argv, env)
    script = scratch / "statements"
    script.write_bytes("\0".join(said).encode() + b"\0")
    floor = [options.tools / "floor", str(server.port), "aud", str(script)]
    pairs = [
        (measure(options.tools, floor, env, (0,)), measure(options.tools, argv, env, (0, 1, 3)))
        for _ in range(options.runs)
    ]
    floor_ms, dbaudit_ms = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    peak, ratio, limit = max(pair[1][1] for pair in pairs), dbaudit_ms / floor_ms, LIMITS[name][sessions > 100]
    over = "  OVER" if ratio > limit or peak > MOST_MB else ""
    print(ROW.format(
        server.name, sessions, name, len(said), f"{floor_ms:.1f}", f"{dbaudit_ms:.1f}", f"{ratio:.2f}", limit, f"{peak:.1f}"
    ) + over, flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dbaudit", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="where floor, load and measure were built")
    parser.add_argument("--server", action="append", choices=SERVERS)
    parser.add_argument("--sessions", action="append", type=int)
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()

    print(ROW.format("server", "sessions", "command", "sent", "floor ms", "dbaudit ms", "ratio", "limit", "peak MB"))
    launcher = servers.Launcher()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for name in options.server or SERVERS:
                kind, *settings = SERVERS[name]
                server = launcher.start(name, kind, *settings)
                least_account(options, server, pathlib.Path(scratch))
                for sessions in options.sessions or (5, 2000):
                    with load(options.tools, server, sessions):
                        for command in COMMANDS:
                            compare(options, server, sessions, command, pathlib.Path(scratch))
                        with stall(server, WAITERS.get(sessions, 500)):
                            compare(options, server, sessions, "locks", pathlib.Path(scratch))
                            print(f"{'':<22}{'':>8}  sys.schema_table_lock_waits: {sys_view_ms(server)}", flush=True)
                launcher.stop(server)
    finally:
        launcher.close()
        pathlib.Path(SNAPSHOT).unlink(missing_ok=True)


if __name__ == "__main__":
    main()

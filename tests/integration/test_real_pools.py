"""Real pool libraries on a real server: dbaudit's word comes true, for a safe and an unsafe setting of each."""

import dataclasses
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).parent / "real_pools"
JARS = [f"/usr/share/java/{jar}.jar" for jar in ("HikariCP", "tomcat10-jdbc", "tomcat10-juli", "mariadb-java-client", "slf4j-api", "slf4j-nop")]
LIMIT = 15  # wait_timeout
CONNECTIONS = 2


@dataclasses.dataclass
class RealPool:
    name: str
    library: str
    version: str
    settings: dict
    outcome: str  # dead_handout: borrowers fail. noisy_close: the server closed some, nobody fails. quiet: it closed none

    def declaration(self):
        values = ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in self.settings.items())
        return f'[[pool]]\nname = "{self.name}"\nlibrary = "{self.library}"\nversion = "{self.version}"\nsettings = {{ {values} }}\n'

    def command(self, port, modules):
        if self.library == "sqlalchemy":
            return ["/usr/bin/python3", HERE / "real_pool.py", port, self.name, CONNECTIONS, json.dumps(self.settings)]
        if self.library == "node_mysql2":
            return ["node", HERE / "real_pool.mjs", modules, port, self.name, CONNECTIONS, json.dumps(self.settings)]
        url = f"jdbc:mariadb://127.0.0.1:{port}/?user={self.name}&password=pw&allowPublicKeyRetrieval=true"
        settings = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in self.settings.items()]
        return ["java", "-cp", ":".join(JARS), HERE / "RealPool.java", self.library, url, CONNECTIONS, *settings]


POOLS = [
    RealPool("hikari-safe", "hikaricp", "2.7.9", {"maximumPoolSize": 2, "minimumIdle": 0, "idleTimeout": 10000, "com.zaxxer.hikari.housekeeping.periodMs": 1000}, "quiet"),
    RealPool("hikari-unsafe", "hikaricp", "2.7.9", {"maximumPoolSize": 2}, "noisy_close"),
    RealPool("tomcat-safe", "tomcat_jdbc", "10.1.60", {"maxActive": 2, "initialSize": 0, "minIdle": 0, "testOnBorrow": True, "validationInterval": 1000}, "noisy_close"),
    RealPool("tomcat-unsafe", "tomcat_jdbc", "10.1.60", {"maxActive": 2, "initialSize": 0, "minIdle": 0}, "dead_handout"),
    RealPool("sqlalchemy-safe", "sqlalchemy", "1.4.46", {"pool_size": 2, "pool_pre_ping": True}, "noisy_close"),
    RealPool("sqlalchemy-unsafe", "sqlalchemy", "1.4.46", {"pool_size": 2}, "dead_handout"),
    RealPool("mysql2-safe", "node_mysql2", "3.24.6", {"connectionLimit": 2, "maxIdle": 0, "idleTimeout": 3000}, "quiet"),
    RealPool("mysql2-unsafe", "node_mysql2", "3.24.6", {"connectionLimit": 2}, "noisy_close"),
]


@pytest.fixture(scope="session")
def node_modules():
    """mysql2 from npm, in the cache folder; Debian does not package it."""
    cache = pathlib.Path(os.environ.get("DBAUDIT_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "dbaudit")
    folder = cache / "real_pools"
    wanted = (HERE / "package.json").read_text()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "real_pools.lock", "w") as lock:  # several suites run at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules/mysql2").is_dir() or (folder / "package.json").read_text() != wanted:
            unfinished = cache / "real_pools.new"
            for old in (folder, unfinished):
                shutil.rmtree(old, ignore_errors=True)
            unfinished.mkdir()
            (unfinished / "package.json").write_text(wanted)
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=unfinished, check=True, capture_output=True, timeout=300)
            unfinished.rename(folder)
    return folder


@pytest.fixture
def start(server, node_modules):
    """start(pool): the running process."""
    running = []

    def started(pool):
        process = subprocess.Popen(list(map(str, pool.command(server.port, node_modules))), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        process.communicate()


def longest_sleep(server, pools):
    """Account -> how long one of its connections has been asleep, in seconds."""
    names = ", ".join(f"'{pool.name}'" for pool in pools)
    return dict(server.admin(f"SELECT USER, MAX(TIME) FROM information_schema.PROCESSLIST WHERE USER IN ({names}) AND COMMAND = 'Sleep' GROUP BY USER"))


def run_all(server, start):
    """name -> what became of each pool over a silence longer than the limit."""
    processes = {pool.name: start(pool) for pool in POOLS}
    idle = dict.fromkeys(processes, 0)
    starting, until = dict(processes), 0.0
    # What is waited for is time itself: how long connections are left alone. The quick ones begin before the last is up.
    while starting or time.monotonic() < until:
        for name, seconds in longest_sleep(server, POOLS).items():
            idle[name] = max(seconds, idle[name])
        for name, process in list(starting.items()):
            if select.select([process.stdout], [], [], 0)[0]:
                line = process.stdout.readline()
                assert line == "ready\n", f"{name}: {line}{process.stderr.read()}"
                del starting[name]
                until = time.monotonic() + LIMIT + 2
        time.sleep(0.2)
    outcomes = {}
    for name, process in processes.items():
        out, err = process.communicate("\n", timeout=60)
        assert out.strip().isdigit(), f"{name}: {out}{err}"
        # The server ends a session at the limit, within a second of it, and a look at it may come a second late.
        outcomes[name] = "dead_handout" if int(out) else "noisy_close" if idle[name] >= LIMIT - 2 else "quiet"
    return outcomes


def test_what_is_said_about_a_real_pool_comes_true(server, start, dbaudit):
    if server.name not in ("mysql-9.7", "mariadb-10.11"):
        return  # how a server closes a connection does not depend on what its performance_schema shows
    for pool in POOLS:
        server.account(pool.name)
    server.account("aud", "ALL ON *.*")
    server.set_global(wait_timeout=LIMIT)
    (dbaudit.home / "dbaudit.toml").write_text('[parameters]\nsafety_margin = "0s"\n' + "".join(pool.declaration() for pool in POOLS))
    report = dbaudit("check", "--format", "json", "--only", "POOL001", "POOL002", server=server).json()
    said = {}
    for pool in POOLS:
        hazards = {result["hazard"] for result in report["results"] if result["outcome"] == "fail" and result["subject"] == pool.name}
        said[pool.name] = next((hazard for hazard in ("dead_handout", "noisy_close") if hazard in hazards), "quiet")
    happened = run_all(server, start)
    assert said == happened == {pool.name: pool.outcome for pool in POOLS}

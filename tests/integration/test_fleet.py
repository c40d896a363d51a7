"""One audit over many servers: in one process, or in shards that are put together again."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import tempfile

import pytest

import faults
from test_harmless import grants_of
from test_rules_fire import WORDS, pair  # noqa: F401

DEAD = 9  # a port of loopback on which nobody listens


def declare(dbaudit, ports, more=""):
    (dbaudit.home / "dbaudit.toml").write_text("".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{port}"\n{more}' for name, port in ports.items()))


@pytest.fixture
def fleet(server, dbaudit):
    """Five declared servers: one real one under three names, and two that are dead."""
    server.account("aud", grants_of(server))
    names = {"a": server.port, "dead-1": DEAD, "b": server.port, "dead-2": DEAD, "c": server.port}
    declare(dbaudit, names, 'group = "shop"\n')
    return list(names)


def judged(run):
    """What is said of each server; not how long things took, nor which connection asked."""
    return {(one["fingerprint"], one["server"], one["rule"], one["subject"], one["outcome"], one["severity"]) for one in run.json()["results"]}


def test_shards_together_are_the_whole(fleet, dbaudit):
    whole = dbaudit("audit", "--format", "json")
    assert {one["name"]: one["reachable"] for one in whole.json()["servers"]} == {name: not name.startswith("dead") for name in fleet}
    for shard in range(3):
        run = dbaudit("snapshot", "--shard", f"{shard}/3", "-o", f"{shard}.db")
        assert run.code == (3 if shard == 1 else run.code) and (dbaudit.home / f"{shard}.db").exists(), run.err
    merged = dbaudit("audit", "--format", "json", "--from", "0.db", "1.db", "2.db")
    assert judged(merged) == judged(whole)
    assert merged.code == whole.code


def test_a_shard_reads_its_own_servers_only(fleet, dbaudit):
    run = dbaudit("audit", "--format", "json", "--shard", "1/3")
    assert [one["name"] for one in run.json()["servers"]] == ["dead-1", "c"]
    # Nobody there: the snapshot says so, because who puts them together must not take it for fine.
    assert dbaudit("snapshot", "--shard", "1/4", "-o", "dead.db").code == 3
    report = dbaudit("audit", "--format", "json", "--from", "dead.db")
    assert report.code == 3 and [one["name"] for one in report.json()["servers"]] == ["dead-1"]


@pytest.mark.parametrize("shard", ["", "3", "3/3", "-1/3", "a/b", "0/0", "1/3x", "0/3/2"])
def test_what_is_no_shard(fleet, dbaudit, shard):
    run = dbaudit("audit", "--shard", shard)
    assert run.code == 2 and "write I/N, such as 0/4" in run.err, run.err


def test_more_shards_than_servers(fleet, dbaudit):
    run = dbaudit("audit", "--shard", "5/6")
    assert run.code == 2 and "there are only 5 servers to divide" in run.err


@pytest.mark.parametrize("instead", ["--from", "--assume"])
def test_only_servers_are_divided(dbaudit, instead):
    argv = {"--from": ["audit", "--from", "x.db"], "--assume": ["check", "--assume", "mysql-9.7"]}[instead]
    for shard in ("0/2", "nonsense"):
        run = dbaudit(*argv, "--shard", shard)
        assert run.code == 2 and "--shard divides" in run.err, run


# --- what servers have in common


def test_parameters_of_a_group(server, dbaudit):
    server.account("aud", grants_of(server))
    settings = {"alone": "", "own": 'group = "shop"\nparameters = { max_lock_wait_timeout = "1s" }\n', "grouped": 'group = "shop"\n'}
    servers = "".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{server.port}"\n{more}' for name, more in settings.items())
    config = dbaudit.home / "dbaudit.toml"
    config.write_text('[parameters]\nmax_lock_wait_timeout = "1s"\n[[group]]\nname = "shop"\nparameters = { max_lock_wait_timeout = "4000d" }\n' + servers)
    failing = lambda *args: {one["server"] for one in dbaudit("audit", "--format", "json", "--only", "VAR001", *args).json()["results"] if one["subject"] == "lock_wait_timeout" and one["outcome"] == "fail"}
    assert failing() == {"alone", "own"}
    assert failing("--param", "max_lock_wait_timeout=4000d") == set()
    assert dbaudit("snapshot", "--shard", "0/1", "-o", "all.db").code in (0, 3)
    assert failing("--from", "all.db") == {"alone", "own"}

    config.write_text(config.read_text().replace("max_lock_wait_timeout = \"4000d\"", "max_lock_wait_timeot = \"4000d\"") + '[[group]]\nname = "stock"\n')
    run = dbaudit("audit")
    assert run.code == 2 and "dbaudit.toml:5: no rule has a parameter 'max_lock_wait_timeot'" in run.err and "no [[server]] is in this group" in run.err, run


# --- a change of one of them


def test_a_change_of_a_server_that_cannot_be_reached(fleet, dbaudit):
    run = dbaudit("check", "--only", "VAR001", "--set", "dead-1:wait_timeout=180")
    assert run.code == 3 and "dead-1 was not read; what wait_timeout would do there is not known" in run.err, run
    assert dbaudit("plan", "--set", "dead-1:wait_timeout=180").code == 3
    for command, option in (("check", "--set=deed-1:wait_timeout=180"), ("plan", "--set=deed-1:wait_timeout=180"), ("check", "--memory=deed-1:4GiB")):
        run = dbaudit(command, option)
        assert run.code == 2 and "no server of this run is named 'deed-1'; did you mean 'dead-1'?" in run.err, run
        assert "cannot connect" not in run.err


def test_a_plan_is_verified_server_by_server(server, dbaudit):
    server.account("aud", grants_of(server))
    declare(dbaudit, {"a": server.port, "b": server.port})
    out = dbaudit("plan", "--set", "wait_timeout=180").out
    verified = [line.strip() for line in out.splitlines() if "dbaudit query" in line]
    assert verified == [f"dbaudit query --server {name} 'SELECT wait_timeout FROM global_variables'" for name in "ab"], out
    one = dbaudit("plan", "--set", "wait_timeout=180", server=server).out
    assert "     dbaudit query 'SELECT wait_timeout FROM global_variables'" in one


# --- where the system allows few threads


def run_with_threads(dbaudit, allowed, port):
    """An audit of six servers, as a user of its own: root has no limit, and processes of others would count."""
    user = 50_000 + allowed
    home = pathlib.Path(tempfile.mkdtemp(prefix="dbaudit-threads-"))
    try:
        home.chmod(0o755)
        # Where this tree lies may be nobody else's business: a home folder, say.
        program = shutil.copy(dbaudit.binary, home)
        rules = shutil.copytree(dbaudit.rules, home / "rules")
        (home / "dbaudit.toml").write_text("".join(f'[[server]]\nname = "s-{i}"\nurl = "mysql://aud@127.0.0.1:{port}"\n' for i in range(6)))
        limit = lambda: resource.setrlimit(resource.RLIMIT_NPROC, (allowed, allowed))
        # The leak checker needs a thread of its own.
        sanitizer = {"ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"}
        return subprocess.run(
            [program, "audit", "--format", "json"], cwd=home, env=dbaudit.environment(extra={"HOME": home, "DBAUDIT_RULES": rules} | sanitizer),
            capture_output=True, text=True, timeout=60, check=False, user=user, group=user, extra_groups=[], preexec_fn=limit,
        )
    finally:
        shutil.rmtree(home)


@pytest.mark.parametrize("allowed", [1, 4, 8])
def test_as_many_threads_as_there_may_be(dbaudit, allowed):
    run = run_with_threads(dbaudit, allowed, DEAD)
    if allowed == 1:
        assert run.returncode == 70 and "cannot start a thread to read servers" in run.stderr and "ulimit -u" in run.stderr, run
    else:
        assert run.returncode == 3 and len(json.loads(run.stdout)["servers"]) == 6, run


@pytest.mark.parametrize("allowed", [2, 3, 6, 9])
def test_without_enough_threads_it_says_so_or_manages(server, dbaudit, allowed):
    """Each server takes a few; which of them is refused is chance."""
    server.account("aud", grants_of(server))
    run = run_with_threads(dbaudit, allowed, server.port)
    assert run.returncode in (0, 1, 3, 70), run
    assert run.returncode == 70 or len(json.loads(run.stdout)["servers"]) == 6, run


# --- hosts that never answer


def test_many_that_hang_do_not_hold_up_the_one_that_answers(server, dbaudit):
    """Forty hosts of a network that is cut off, declared before the one that is there."""
    server.account("aud", grants_of(server))
    with contextlib.ExitStack() as stack:
        silent = {f"silent-{i}": stack.enter_context(faults.Silent()).port for i in range(40)}
        declare(dbaudit, silent | {"real": server.port})
        report = dbaudit("audit", "--format", "json", "--timeout", "11s").json()
    assert {one["name"]: one["reachable"] for one in report["servers"]} == {name: False for name in silent} | {"real": True}
    assert all("did not answer in time" in one["error"] for one in report["servers"] if not one["reachable"])


# --- lines, as soon as they are there


def test_lines_come_while_another_server_is_silent(server, dbaudit):
    server.account("aud", grants_of(server))
    with faults.HangsOnQuery() as silent:  # until --timeout
        declare(dbaudit, {"silent": silent.port, "real": server.port})
        argv = dbaudit.argv("audit", "--format", "jsonl", "--timeout", "12s")
        with subprocess.Popen(argv, env=dbaudit.environment(), cwd=dbaudit.home, stdout=subprocess.PIPE, text=True) as running:
            first = json.loads(running.stdout.readline())
            assert (first["type"], first["name"], first["reachable"]) == ("server", "real", True)
            assert running.poll() is None
            rest = [json.loads(line) for line in running.stdout]
    assert running.returncode == 3
    assert [one["name"] for one in rest if one["type"] == "server"] == ["silent"]
    assert rest[-1]["type"] == "summary" and rest[-1]["servers"] == 2


def test_lines_say_what_the_whole_says(fleet, dbaudit):
    config = dbaudit.home / "dbaudit.toml"
    config.write_text(config.read_text() + '[[waiver]]\nrule = "VAR001"\nserver = "b"\nreason = "r"\nowner = "o"\nuntil = 2199-01-01\n')
    whole = dbaudit("audit", "--format", "json", "--baseline", "known", "--update-baseline")
    lines = dbaudit("audit", "--format", "jsonl", "--baseline", "known", "--update-baseline")
    assert lines.code == whole.code == 3, lines.err
    said = [json.loads(line) for line in lines.out.splitlines()]
    key = lambda one: (one["server"], one["rule"], one["subject"])
    results = sorted(({name: value for name, value in one.items() if name != "type"} for one in said if one["type"] == "result"), key=key)
    assert [key(one) for one in results] == sorted(key(one) for one in whole.json()["results"])
    assert {key(one): (one["outcome"], one.get("known"), one["waiver"]) for one in results} == {
        key(one): (one["outcome"], one.get("known"), one["waiver"]) for one in whole.json()["results"]
    }
    assert said[-1]["type"] == "summary" and said[-1]["summary"] == whole.json()["summary"]
    assert {one["name"] for one in said if one["type"] == "server"} == set(fleet)


# --- servers that nobody has declared

REGISTERED = {"mysql": "REPLICATION SLAVE ON *.*", "mariadb": "REPLICATION MASTER ADMIN ON *.*"}


def test_replicas_are_found_from_their_primary(pair, dbaudit):  # noqa: F811
    primary, replica = pair
    replica.admin("START " + WORDS[primary.flavor][2])
    primary.account("aud", grants_of(primary))
    sees = "SHOW REPLICAS" if primary.flavor == "mysql" else "SHOW SLAVE HOSTS"
    primary.wait_for(lambda: primary.admin(sees), "the replica has registered")
    replica.wait_for("SELECT COUNT(*) FROM mysql.user WHERE user = 'aud'", "the account is there")
    declare(dbaudit, {"shop": primary.port})
    audit = lambda *args: dbaudit("audit", "--format", "json", "--only", "REP002", "DRF001", *args)

    assert [one["name"] for one in audit().json()["servers"]] == ["shop"]
    run = audit("--with-replicas")  # the process list says from where it comes, not where it listens
    assert "process list only" in run.err and "report_host" in run.err and [one["name"] for one in run.json()["servers"]] == ["shop"]

    primary.admin(f"GRANT {REGISTERED[primary.flavor]} TO 'aud'@'%'")
    replica.set_global(wait_timeout=77)
    report = audit("--with-replicas").json()
    found = f"127.0.0.1:{replica.port}"
    assert [(one["name"], one["reachable"]) for one in report["servers"]] == [("shop", True), (found, True)]
    assert [one["outcome"] for one in report["results"] if (one["server"], one["rule"]) == (found, "REP002")] == ["fail"]
    drift = [one["subject"] for one in report["results"] if one["rule"] == "DRF001" and one["outcome"] == "fail"]
    assert drift == ["wait_timeout"]

    # One that is declared as well is read once, whatever it is called there.
    declare(dbaudit, {"shop": primary.port, "standby": replica.port})
    config = dbaudit.home / "dbaudit.toml"
    config.write_text(config.read_text().replace(f"127.0.0.1:{replica.port}", f"localhost:{replica.port}"))
    run = audit("--with-replicas")
    assert [one["name"] for one in run.json()["servers"]] == ["shop", "standby"] and "is standby, which this run has read" in run.err, run
    assert dbaudit("audit", "--with-replicas", "--from", "x.db").code == 2

    # One that is declared and was not chosen is what is declared, and not what it is called by others.
    declare(dbaudit, {"shop": primary.port, "standby": replica.port})
    with config.open("a") as more:
        more.write('role = "primary"\n')
    run = audit("--with-replicas", "--server", "shop")
    assert [one["name"] for one in run.json()["servers"]] == ["shop", "standby"]
    assert [one["outcome"] for one in run.json()["results"] if (one["server"], one["rule"]) == ("standby", "REP002")] == ["pass"]


@contextlib.contextmanager
def binlog_reader(server, registers_as=None):
    """As a backup or a change reader: binary log without end, and where `registers_as` is (host, port), a replica to look at."""
    connection = server.connect()
    cursor = connection.cursor()
    for word in ("source", "master"):
        cursor.execute(f"SET @{word}_binlog_checksum = 'NONE'")
    number = connection.thread_id()
    file = server.admin("SHOW BINARY LOGS")[0][0]
    text = lambda value: bytes([len(value)]) + value.encode()
    if registers_as:
        host, port = registers_as
        connection._execute_command(0x15, struct.pack("<I", 77) + text(host) + text("") + text("") + struct.pack("<HII", port, 0, 0))
        connection._read_ok_packet()
    connection._execute_command(0x12, struct.pack("<IHI", 4, 0, 77) + file.encode())
    dumps = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {number} AND COMMAND LIKE 'Binlog Dump%'"
    server.wait_for(dumps, "the binary log is being sent")
    try:
        yield
    finally:
        server.admin(f"KILL {number}")


def test_a_reader_of_the_binary_log_is_no_replica(pair, start_server, dbaudit):  # noqa: F811
    primary, replica = pair
    primary.admin(f"GRANT {REGISTERED[primary.flavor]} TO 'aud'@'%'")
    declare(dbaudit, {"shop": primary.port})
    audit = lambda *args: dbaudit("audit", "--format", "json", "--only", "REP002", *args)
    names = lambda run: [one["name"] for one in run.json()["servers"]]
    alone = audit()
    readers = [(None, "its own machine"), (("", 0), "its own machine")]
    if primary.flavor == "mysql":  # MariaDB takes the host of the session for that of the replica
        readers.append((("", DEAD), "is no replica that answers at"))
        stranger = start_server(primary.kind)  # a server of its own, on the machine of a reader
        stranger.account("aud", grants_of(stranger))
        readers.append((("", stranger.port), "has no replication channel"))
    for registers_as, said in readers:
        with binlog_reader(primary, registers_as):
            run = audit("--with-replicas")
            assert names(run) == ["shop"] and run.code == alone.code and said in run.err, run
            over_socket = dbaudit("audit", "--format", "json", "--only", "REP002", "--with-replicas", "-S", primary.socket, "-u", "aud")
            assert names(over_socket) == [str(primary.socket)] and over_socket.code == alone.code, over_socket
    with binlog_reader(primary, ("127.0.0.1", DEAD)):  # who says so is one
        run = audit("--with-replicas")
        assert names(run) == ["shop", f"127.0.0.1:{DEAD}"] and run.code == 3, run


def test_one_replica_under_two_names_has_the_first(pair, dbaudit):  # noqa: F811
    primary, replica = pair
    replica.admin("START " + WORDS[primary.flavor][2])
    primary.admin(f"GRANT {REGISTERED[primary.flavor]} TO 'aud'@'%'")
    primary.wait_for(lambda: primary.admin("SHOW REPLICAS" if primary.flavor == "mysql" else "SHOW SLAVE HOSTS"), "the replica has registered")
    declare(dbaudit, {"shop": primary.port})
    first, second = f"127.0.0.1:{replica.port}", f"localhost:{replica.port}"
    with binlog_reader(primary, ("localhost", replica.port)):
        for _ in range(5):
            run = dbaudit("audit", "--format", "json", "--only", "DRF001", "--with-replicas")
            assert [one["name"] for one in run.json()["servers"]] == ["shop", first], run
            assert f"{second} is {first}, which this run has read already" in run.err
            assert {one["server"] for one in run.json()["results"]} <= {"shop", first}


def test_what_was_not_asked_is_said(server, dbaudit):
    server.account("aud")
    run = dbaudit("audit", "--only", "VAR001", "--with-replicas", server=server)
    assert "replication could not be read, so replicas of it may be missing" in run.err, run

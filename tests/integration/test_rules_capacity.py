"""Rules on capacity, evidence and versions: each fires on a real server that was made wrong, and is quiet once that is mended."""

import contextlib
import itertools
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pymysql
import pytest

from test_harmless import grants_of
from test_rules_fire import apply


@pytest.fixture
def judged(server, dbaudit):
    """judged(rule, *args): subject -> that rule's result on the server."""
    server.account("aud", grants_of(server))
    return lambda rule, *args: judge(dbaudit, server, rule, *args)


def judge(dbaudit, server, rule, *args):
    report = dbaudit("audit", "--format", "json", "--only", rule, *args, server=server).json()
    return {one["subject"]: one for one in report["results"]}


def outcomes(found):
    return {subject: one["outcome"] for subject, one in found.items()}


@contextlib.contextmanager
def repeatedly(work):
    """Runs work() again and again beside the block."""
    over = threading.Event()

    def run():
        while not over.is_set():
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def counter(server, name):
    return int(server.admin(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])


def knock(server, **options):
    """A connection that is closed at once; False when it was refused."""
    try:
        pymysql.connect(host=server.host, port=server.port, **{"user": "root", "password": "", **options}).close()
    except pymysql.MySQLError:
        return False
    return True


# --- capacity


REASONS = {f"Connection_errors_{name}" for name in ("internal", "accept", "select", "peer_address", "tcpwrap")}


@pytest.mark.fires("CAP006")
def test_connections_refused_while_it_is_watched(server, judged):
    assert outcomes(judged("CAP006")) == dict.fromkeys(REASONS, "pass")
    subject = "Connection_errors_max_connections"
    assert outcomes(judged("CAP006", "--interval", "1s")) == dict.fromkeys(REASONS | {subject}, "pass")
    with contextlib.ExitStack() as stack:
        # The last place is dbaudit's, the one beyond it an administrator's: everybody else is refused, and counted.
        server.set_global(max_connections=12)
        inside = counter(server, "Threads_connected")
        for _ in range(12 - inside - 1):
            server.connect()

        def attempts():
            if not server.admin("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'aud'")[0][0]:
                return
            with contextlib.suppress(pymysql.MySQLError):
                administrators.append(pymysql.connect(host=server.host, port=server.port, user="root", password=""))
            knock(server)

        administrators = []
        with repeatedly(attempts):
            found = judged("CAP006", "--interval", "2s")[subject]
        for one in administrators:
            stack.callback(one.close)
    assert found["outcome"] == "fail" and found["severity"] == "error", found
    assert "max_connections was used up" in found["message"] and "while it was watched" in found["message"]
    server.set_global(max_connections=151)  # what the remedy asks for, with a number
    assert judged("CAP006", "--interval", "1s")[subject]["outcome"] == "pass"


# --- the other reasons, each made to happen on a server of its own


def hang_up_early(server):
    """Clients that have gone before the server takes them from its queue: it cannot find out who they were."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        client = socket.create_connection((server.host, server.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a farewell
        client.close()
    finally:
        os.kill(server.pid, signal.SIGCONT)


def set_limit(server, what, soft):
    """Of the running server. Root without CAP_SYS_RESOURCE may not do that, but whom the server runs as may."""
    owner = os.stat(f"/proc/{server.pid}")
    as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(["prlimit", "--pid", str(server.pid), f"--{what}={soft}:"], check=True, **as_owner)


@contextlib.contextmanager
def limit(server, what, soft):
    before = re.search(rf"^Max {LIMITS[what]} +(\d+|unlimited)", pathlib.Path(f"/proc/{server.pid}/limits").read_text(), re.MULTILINE)[1]
    set_limit(server, what, soft)
    try:
        yield
    finally:
        set_limit(server, what, before)


LIMITS = {"nproc": "processes", "nofile": "open files"}


def no_thread(server):
    with limit(server, "nproc", 1), pytest.raises(pymysql.MySQLError) as refused:
        pymysql.connect(host=server.host, port=server.port, user="root", password="")
    assert refused.value.args[0] == 1135


def no_descriptor(server, soft, name):
    """Knocks while the server may open no more files, for as long as it takes to be counted."""
    before = counter(server, name)
    with limit(server, "nofile", soft), socket.create_connection((server.host, server.port)):
        server.wait_for(lambda: counter(server, name) > before, f"{name} grows")


def next_descriptor(server):
    return next(number for number in itertools.count() if not os.path.lexists(f"/proc/{server.pid}/fd/{number}"))


# accept() fails when there is no descriptor left, poll() when it is given more of them than the limit is (EINVAL).
# Connection_errors_tcpwrap is not among them: no build of Debian, Oracle or MariaDB that runs here is linked with libwrap,
# so that no code of it ever increments the counter. Nor is Connection_errors_select of MariaDB: it counts a select() or
# poll() that fails into Connection_errors_accept, which is seen here. A host that is blocked (max_connect_errors) and an
# init_connect that fails are in none of these counters: they are Aborted_connects and Aborted_clients.
PROVOKED = {
    "Connection_errors_internal": no_thread,
    "Connection_errors_accept": lambda server: no_descriptor(server, next_descriptor(server), "Connection_errors_accept"),
    "Connection_errors_select": lambda server: no_descriptor(server, 1, "Connection_errors_select" if server.flavor == "mysql" else "Connection_errors_accept"),
    "Connection_errors_peer_address": hang_up_early,
}
# severity while it goes on, and afterwards
SEVERITIES = {"internal": ("error", "warning"), "accept": ("error", "warning"), "select": ("warning", "info"), "peer_address": ("warning", "info")}


@pytest.mark.fires("CAP006")
@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_connections_refused_for_other_reasons(start_server, dbaudit, kind):
    server = start_server(kind, "--thread-cache-size=0")
    server.account("aud", grants_of(server))
    judged = lambda *args: judge(dbaudit, server, "CAP006", *args)
    assert outcomes(judged()) == dict.fromkeys(REASONS, "pass")
    if server.flavor == "mysql":
        # InnoDB opens a file for each checkpoint, and dies when it may not; a server at rest makes none.
        lsn = lambda name: counter(server, f"Innodb_redo_log_{name}_lsn")
        server.wait_for(lambda: lsn("checkpoint") == lsn("current"), "there is nothing left for a checkpoint")
    seen = lambda: server.admin("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'aud' AND COMMAND = 'Sleep'")[0][0]

    def provoke():
        if seen():
            for one in PROVOKED.values():
                one(server)
        else:
            time.sleep(0.01)

    with repeatedly(provoke):
        now = judged("--interval", "3s")  # a server that has no descriptor left pauses for a second
    expected = {f"Connection_errors_{name}": both for name, both in SEVERITIES.items() if server.flavor == "mysql" or name != "select"}
    went_on = {name: one["severity"] for name, one in now.items() if one["outcome"] == "fail" and "; while it was watched, " in one["message"]}
    assert went_on == {name: severities[0] for name, severities in expected.items()}, now
    log = server.errlog.read_text()
    assert "Too many open files" in log and ("Can't create thread" if server.flavor == "mysql" else "Out of memory") in log
    # Every limit is lifted again: it happened, and does not go on.
    after = {name: one for name, one in judged("--interval", "1s").items() if one["outcome"] == "fail"}
    assert {name: one["severity"] for name, one in after.items()} == {name: severities[1] for name, severities in expected.items()}
    assert all("; none while it was watched" in one["message"] for one in after.values() if one["subject"] != "Connection_errors_max_connections"), after
    # The counters tell of it until they start again, each where its remedy says.
    server.admin("FLUSH STATUS")
    left = {name for name, one in judged().items() if one["outcome"] == "fail"}
    assert left == {name for name, one in after.items() if "after a restart only" in one["remedy"]}
    assert left == ({"Connection_errors_accept", "Connection_errors_select"} if server.flavor == "mysql" else set())


@pytest.mark.fires("CAP007")
@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_connections_that_fail_and_that_go_away(start_server, dbaudit, kind):
    """On a server of its own: on one that has been full, MySQL does not say which attempts failed for another reason."""
    server = start_server(kind)
    server.account("aud", grants_of(server))
    server.account("app", [], "right")
    judged = lambda *args: judge(dbaudit, server, "CAP007", *args)
    assert set(outcomes(judged()).values()) == {"not_applicable"}  # too few connections
    for _ in range(100):
        assert knock(server, user="app", password="right")
    assert outcomes(judged()) == {"Aborted_connects": "pass", "Aborted_clients": "pass"}
    for _ in range(20):
        assert not knock(server, user="app", password="wrong")
        server.connect()._force_close()
    server.wait_for(lambda: counter(server, "Aborted_clients") >= 20, "the server has noticed")
    found = judged()
    failed, gone = found["Aborted_connects"], found["Aborted_clients"]
    assert (failed["outcome"], failed["severity"], failed["evidence"]["aborted"]) == ("fail", "warning", 20), failed
    assert (gone["outcome"], gone["severity"], gone["evidence"]["aborted"]) == ("fail", "info", 20), gone
    if server.flavor == "mariadb":
        assert "before they said who they are" not in failed["message"]
        for _ in range(5):  # a health check that says nothing
            socket.create_connection((server.host, server.port)).close()
        server.wait_for(lambda: counter(server, "Aborted_connects_preauth") == 5, "they are counted")
        assert judged()["Aborted_connects"]["message"].startswith("25 (5 before they said who they are) of about ")
    apply(server, failed["remedy"])
    size = len(server.errlog.read_text())
    assert not knock(server, user="app", password="wrong")
    server.connect()._force_close()
    for line in ("Access denied for user 'app'", "Aborted connection"):
        server.wait_for(lambda: line in server.errlog.read_text()[size:], "the error log names it, as the remedy says")
    any_share = ("--interval", "1s", "--param", "max_failed_share=100%")
    with repeatedly(lambda: knock(server, user="app", password="wrong")):
        now = judged(*any_share)["Aborted_connects"]
    assert now["outcome"] == "fail" and "while it was watched" in now["message"], now
    assert judged(*any_share)["Aborted_connects"]["outcome"] == "pass"
    # Of those that failed MySQL forgets none, and MariaDB all: then too little is known of the time since.
    before = judged()["Aborted_connects"]
    server.wait_for(lambda: counter(server, "Uptime") > 2, "it is older than the flush")
    server.admin("FLUSH STATUS")
    after = judged()
    if server.flavor == "mysql":
        assert set(after) == {"Aborted_connects"}, after
        assert after["Aborted_connects"]["evidence"]["aborted"] == before["evidence"]["aborted"]
        assert after["Aborted_connects"]["evidence"]["connections"] > before["evidence"]["connections"]
    else:
        assert set(outcomes(after).values()) == {"not_applicable"}


@pytest.mark.fires("CAP008")
def test_more_connections_than_files(server, judged):
    assert outcomes(judged("CAP008")) == {"open_files_limit": "pass"}
    files = server.admin("SELECT @@open_files_limit")[0][0]
    server.set_global(max_connections=files - 2000)
    found = judged("CAP008")["open_files_limit"]
    assert found["outcome"] == "fail" and found["severity"] == "info", found
    apply(server, found["remedy"])
    assert outcomes(judged("CAP008")) == {"open_files_limit": "pass"}
    server.set_global(max_connections=files)
    found = judged("CAP008")["open_files_limit"]
    assert found["outcome"] == "fail" and found["severity"] == "warning", found
    apply(server, found["remedy"])
    assert outcomes(judged("CAP008")) == {"open_files_limit": "pass"}


@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_limits_that_the_server_has_lowered(start_server, dbaudit, kind):
    server = start_server(kind, "--max-connections=30000")
    server.account("aud", grants_of(server))
    found = judge(dbaudit, server, "CAP008")
    assert outcomes(found) == {"open_files_limit": "pass", "max_connections": "fail", "table_open_cache": "fail"}
    lowered = server.admin("SELECT @@max_connections")[0][0]
    assert lowered < 30000 and found["max_connections"]["message"].startswith(f"the server has lowered max_connections to {lowered} ")


def taken_at_once(server, at_most=40):
    """How many clients get a connection from the kernel while the server takes none."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with contextlib.ExitStack() as stack:
            for number in range(at_most):
                client = stack.enter_context(socket.socket())
                client.settimeout(0.4)  # the kernel tries again after a second
                try:
                    client.connect((server.host, server.port))
                except TimeoutError:
                    return number
            return at_most
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.fires("CAP011")
@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11", "mariadb-11.8"])
def test_a_short_queue_of_connects(start_server, dbaudit, kind):
    def started(*options):
        server = start_server(kind, *options)
        server.account("aud", grants_of(server))
        return server, judge(dbaudit, server, "CAP011").get("back_log")

    short, found = started("--back-log=10")
    own = 151 if short.flavor == "mysql" else 80
    assert found["outcome"] == "fail" and found["severity"] == "warning", found
    assert found["message"].startswith(f"back_log is 10; for 151 connections this server would make it {own}")
    assert taken_at_once(short) == 11
    mended, found = started(f"--back-log={re.search(r'back_log = ([0-9]+) under', found['remedy'])[1]}")
    assert found["outcome"] == "pass" and found["evidence"]["back_log"] == own
    assert taken_at_once(mended) == 40
    # The other way that the remedy has: nothing sets it.
    installed, found = started()
    assert found["outcome"] == "pass"
    installed.set_global(max_connections=20000)  # it is not sized anew before the next start
    found = judge(dbaudit, installed, "CAP011")["back_log"]
    assert found["outcome"] == "fail" and found["severity"] == "info" and "a restart sizes it anew" in found["remedy"], found
    _, found = started("--max-connections=10000")
    assert found["outcome"] == "pass", found


@pytest.mark.fires("CAP009")
def test_a_thread_for_every_connection(server, judged):
    pool = server.flavor == "mariadb" and server.admin("SELECT @@thread_handling")[0][0] == "pool-of-threads"
    busy = ("--interval", "1s", "--param", "busy_connections=5")
    server.set_global(thread_cache_size=0)
    # Threads that are kept already stay until they are used.
    server.wait_for(lambda: knock(server) and counter(server, "Threads_cached") == 0, "no thread is kept")
    with repeatedly(lambda: knock(server)):
        found = judged("CAP009", *busy)
        assert not pool and found["thread_cache_size"]["outcome"] == "fail", found
        assert found["thread_cache_size"]["severity"] == "warning" and "while it was watched" in found["thread_cache_size"]["message"]
        apply(server, found["thread_cache_size"]["remedy"])
        assert judged("CAP009", *busy)["thread_cache_size"]["outcome"] == "pass"
    assert judged("CAP009")["thread_cache_size"]["outcome"] == "pass"  # few connections on average, however they were made


def test_mariadbs_thread_pool_is_not_judged(start_server, dbaudit):
    server = start_server("mariadb-10.11", "--thread-handling=pool-of-threads")
    server.account("aud", grants_of(server))
    assert set(outcomes(judge(dbaudit, server, "CAP009", "--param", "busy_connections=0")).values()) == {"not_applicable"}


# --- evidence


@pytest.mark.fires("EVI004", on=("mysql", "mariadb-11.8-ps"))
def test_statement_history(server, judged):
    subject = "statement history"
    if server.admin("SELECT @@performance_schema")[0][0] == 0:
        found = judged("EVI004")[subject]
        assert found["outcome"] == "fail" and "performance_schema is OFF" in found["message"]
        return
    assert outcomes(judged("EVI004")) == {subject: "pass"}
    server.admin("UPDATE performance_schema.setup_consumers SET ENABLED = 'NO' WHERE NAME LIKE 'events_statements_%' AND NAME NOT LIKE '%long'")
    found = judged("EVI004")[subject]
    assert found["outcome"] == "fail" and found["severity"] == "info", found
    assert "(events_statements_current, events_statements_history)" in found["message"]
    server.admin(re.match(r"UPDATE [^;]*", found["remedy"])[0])
    assert outcomes(judged("EVI004")) == {subject: "pass"}


@pytest.mark.fires("EVI005")
def test_a_quiet_error_log(server, judged):
    name = "log_error_verbosity" if server.flavor == "mysql" else "log_warnings"
    assert outcomes(judged("EVI005")) == {name: "pass"}
    for level, severity in [(1, "warning")] if server.flavor == "mysql" else [(0, "warning"), (1, "info")]:
        server.set_global(**{name: level})
        found = judged("EVI005")[name]
        assert found["outcome"] == "fail" and found["severity"] == severity, found
        apply(server, found["remedy"])
        assert outcomes(judged("EVI005")) == {name: "pass"}


# --- versions


@pytest.mark.fires("VER001", no_remedy="a throwaway server is not upgraded")
def test_the_series_is_known(server, judged):
    """Not whether it is past its end: that depends on the day on which this runs."""
    found = judged("VER001", "--param", "end_of_life_notice=36500d")
    (subject, one), = found.items()
    product = "MySQL" if server.flavor == "mysql" else "MariaDB"
    assert subject == f"{product} {server.version[0]}.{server.version[1]}"
    assert one["outcome"] == "fail" and one["evidence"]["ends_on"] > "2026", one


# --- nothing of this is wrong with a server as it is installed


@pytest.mark.fires("CAP010")
@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_a_server_as_installed_is_advised_and_does_it(start_server, dbaudit, kind):
    server = start_server(kind)
    server.account("aud", grants_of(server))
    found = {}
    for rule in ("CAP006", "CAP007", "CAP008", "CAP009", "CAP010", "CAP011", "EVI004", "EVI005"):
        for subject, one in judge(dbaudit, server, rule).items():
            assert one["outcome"] != "unknown", one
            found |= {(rule, subject): one} if one["outcome"] == "fail" else {}
    assert {one["severity"] for one in found.values()} == {"info"}
    if server.flavor == "mysql":
        assert set(found) == {("CAP010", "admin_address")}
    else:
        assert set(found) == {("CAP010", "extra_port"), ("EVI004", "statement history")}
    mended(start_server, dbaudit, kind, {rule: one["remedy"] for (rule, _), one in found.items()})


def mended(start_server, dbaudit, kind, remedies):
    """The remedies that take a restart, given to the start of another server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--{name.replace('_', '-')}={value}" for name, value in re.findall(r"((?:admin|extra)_\w+) = ([\w.]+)", remedies["CAP010"])]
    assert options, remedies
    options = [f"--extra-port={port}" if option.startswith("--extra-port") else option for option in options]
    options += [f"--admin-port={port}"] if kind == "mysql-9.7" else []
    history = re.findall(r"(performance[\w-]+) = ON", remedies.get("EVI004", ""))
    assert len(history) == (3 if "EVI004" in remedies else 0), remedies
    options += [f"--{name.replace('_', '-')}=ON" for name in history]
    server = start_server(kind, *options)
    server.account("aud", grants_of(server))
    for rule in remedies:
        assert set(outcomes(judge(dbaudit, server, rule)).values()) == {"pass"}

"""The harness itself: whatever it claims, the other tests rely on."""

import pathlib
import socket
import time

import pymysql
import pytest

import faults
import general_log
import servers
from polling import wait_for
from runner import Dbaudit

LOCKS_PLUGIN = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'METADATA_LOCK_INFO' AND PLUGIN_STATUS = 'ACTIVE'"


# --- servers


def test_variant_is_what_its_name_says(server):
    if not server.own:
        pytest.skip("WHAT THIS SERVER SHOULD BE IS NOT KNOWN")
    kind, *_ = servers.VARIANTS[server.name]
    assert server.kind == kind
    assert server.admin("SELECT @@performance_schema")[0][0] == (server.flavor == "mysql" or server.name.endswith("-ps"))
    if server.flavor == "mariadb":
        assert server.admin(LOCKS_PLUGIN)[0][0] == server.name.endswith("-plugin")
    if server.name.endswith("-ps"):
        off = server.admin(
            "SELECT NAME FROM performance_schema.setup_instruments WHERE ENABLED = 'NO' AND NAME IN ('wait/lock/metadata/sql/mdl', 'transaction')"
            " UNION SELECT NAME FROM performance_schema.setup_consumers WHERE ENABLED = 'NO'"
            " AND NAME IN ('events_statements_current', 'events_statements_history', 'events_transactions_current')"
        )
        assert not off


def test_judged_variables_are_at_their_defaults(server):
    if not server.own:
        pytest.skip("SOMEBODY ELSE CHOSE THIS SERVER'S SETTINGS")
    names = "wait_timeout, @@interactive_timeout, @@max_connections, @@slow_query_log, @@net_read_timeout"
    assert server.admin(f"SELECT @@GLOBAL.{names}")[0] == (28800, 28800, 151, 0, 30)


def test_server_listens_on_loopback_only(server):
    if not server.own:
        pytest.skip("SOMEBODY ELSE'S SERVER LISTENS WHERE IT LISTENS")
    assert server.admin("SELECT @@bind_address")[0][0] == "127.0.0.1"
    with pymysql.connect(unix_socket=server.socket, user="root") as connection:
        assert connection.thread_id()


def test_account_sees_what_it_was_granted(server):
    server.account("aud")
    own = server.connect("aud", "pw", program_name="harness", attributes={"team": "shop"})
    with own.cursor() as cursor:
        cursor.execute("SHOW PROCESSLIST")
        assert len(cursor.fetchall()) == 1
        cursor.execute("SELECT CURRENT_USER()")
        assert cursor.fetchall() == (("aud@%",),)
    if server.admin("SELECT @@performance_schema")[0][0]:
        attributes = dict(server.admin(
            "SELECT ATTR_NAME, ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID = %s", (own.thread_id(),)
        ))  # fmt: skip
        assert attributes["program_name"] == "harness" and attributes["team"] == "shop"


def test_waiter_in_background_and_reset(server):
    server.admin("CREATE DATABASE shop")
    for table in "tu":
        server.admin(f"CREATE TABLE shop.{table} (a INT) ENGINE=InnoDB")
    server.account("app", "ALL ON shop.*")
    server.set_global(wait_timeout=77)
    reader = server.connect("app", "pw", autocommit=False)
    reader.cursor().execute("SELECT * FROM shop.t")
    waiter = server.background("ALTER TABLE shop.t ADD b INT")
    server.wait_for(
        f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {waiter.connection_id} AND STATE LIKE 'Waiting for table metadata%%'",
        "the ALTER waits",
    )
    for xid, sql in (("a", "INSERT INTO shop.u VALUES (1)"), ("b", "SELECT 1")):
        prepared = server.connect().cursor()
        for statement in (f"XA START '{xid}', 'branch'", sql, f"XA END '{xid}', 'branch'", f"XA PREPARE '{xid}', 'branch'"):
            prepared.execute(statement)
    server.reset()
    with pytest.raises(pymysql.MySQLError):
        waiter.result(timeout=20)
    assert ("shop",) not in server.admin("SHOW DATABASES")
    assert not server.admin("SELECT 1 FROM mysql.user WHERE user = 'app'")
    assert server.admin("SELECT @@GLOBAL.wait_timeout")[0][0] != 77
    assert not server.admin("XA RECOVER")


def test_general_log_tells_accounts_apart(server):
    with server.general_log() as log:
        server.account("aud")
        server.admin("SELECT 'not theirs'")
        session = server.connect("aud", "pw")
        session.cursor().execute("SELECT 1,\n\t2,\n\n  '3 Query'")
        session.cursor().execute("SELECT 'été 🙂'")
        session.close()
        theirs = wait_for(lambda: (s := list(log.statements("aud"))) and s[-1].command == "Quit" and s, "the session's end is logged")
    assert {entry.connection_id for entry in theirs} == {session.thread_id()}
    assert theirs[0].command == "Connect"
    queries = [entry.argument for entry in theirs if entry.command == "Query"]
    assert "SELECT 1,\n\t2,\n\n  '3 Query'" in queries and "SELECT 'été 🙂'" in queries
    assert not any("not theirs" in query for query in queries)


def test_server_of_a_tests_own(start_server):
    server = start_server("mariadb-10.11", "--max-connections=12", "--extra-port=0")
    assert server.admin("SELECT @@max_connections")[0][0] == 12
    assert (server.datadir / "ibdata1").exists() and server.errlog.stat().st_size


def test_server_that_cannot_start_says_why(launcher):
    if servers.external_servers():
        pytest.skip("NEEDS SERVERS OF ITS OWN")
    with pytest.raises(RuntimeError, match="no-such-option"):
        launcher.start("broken", "mariadb-10.11", "--no-such-option")


# --- general log, without a server


def test_general_log_formats():
    mysql = "2026-11-22T00:53:47.649873Z\t   12 Query\tSELECT 1\n2026-11-22T00:53:47.649873Z\t   12 Quit\t\n"
    mariadb = "261122  0:53:47\t     5 Query\tSELECT 1\n\t\t     5 Close stmt\t\nTime                 Id Command    Argument\n"
    assert general_log.parse(mysql) == [(12, "Query", "SELECT 1"), (12, "Quit", "")]
    assert [entry[:2] for entry in general_log.parse(mariadb)] == [(5, "Query"), (5, "Close stmt")]


# --- the runner, on stand-ins for the binary


@pytest.fixture
def stand_in(tmp_path):
    def make(script):
        binary = tmp_path / "binary"
        binary.write_text(f"#!/bin/sh\n{script}\n")
        binary.chmod(0o755)
        return Dbaudit(binary, "/rules", tmp_path)

    return make


def test_runner_reports(stand_in):
    run = stand_in("""echo '{"a": 1}'; echo "$DBAUDIT_PASSWORD $HOME $NO" >&2; cat >&2; exit 3""")("locks", env={"NO": 7}, input="typed")
    assert (run.code, run.json()) == (3, {"a": 1})
    assert run.err.startswith("pw /") and run.err.endswith(" 7\ntyped")


@pytest.mark.parametrize("script, complaint", [
    ("kill -SEGV $$", "signal 11"),
    ("exit 70", "internal error"),
    ("echo 'x.cpp:1: runtime error: overflow' >&2", "sanitizer"),
    ("sleep 60", "still running"),
])  # fmt: skip
def test_runner_fails_the_test(stand_in, script, complaint):
    with pytest.raises(pytest.fail.Exception, match=complaint):
        stand_in(script)(timeout=0.3)


# --- faults: what a real client makes of them


def attempt(port, **options):
    options = {"user": "aud", "password": "secret", "connect_timeout": 1, "read_timeout": 1, **options}
    started = time.monotonic()
    with pytest.raises(pymysql.MySQLError) as error:
        connection = pymysql.connect(host=faults.HOST, port=port, **options)
        connection.cursor().execute("SELECT 1")
    return error.value.args[0], time.monotonic() - started


@pytest.mark.parametrize("fault, code, waits", [
    (faults.Refuses, 2003, False),
    (faults.Silent, 2003, True),
    (faults.HangsAfterGreeting, 2003, True),
    (faults.HangsOnQuery, 2013, True),
    (faults.DiesInResult, 2013, False),
    (faults.TooManyConnections, 1040, False),
])  # fmt: skip
def test_fault(fault, code, waits):
    with fault() as there:
        got, seconds = attempt(there.port)
    assert got in (code, 2013)
    assert (seconds > 0.9) == waits and seconds < 5


@pytest.mark.parametrize("in_result", [False, True])
def test_drip_outlives_read_timeouts(in_result):
    with faults.Drips(in_result) as there, socket.create_connection((faults.HOST, there.port), timeout=1) as client:
        if in_result:
            client.recv(4096)
            client.sendall(b"\2\0\0\1xx")
            client.recv(4096)
            client.sendall(b"\7\0\0\0\3SELECT")
        count, end = 0, time.monotonic() + 1.5
        while time.monotonic() < end:
            count += len(client.recv(1))
    assert 8 <= count <= 13  # the header, then about five a second


def test_rogue_server_gets_the_password_of_a_careless_client():
    with faults.RogueAuth() as there:
        attempt(there.port)
        assert there.passwords == ["secret"]


@pytest.mark.parametrize("hangs", [False, True])
def test_proxy_is_transparent_until_the_pattern(server, hangs):
    server.account("aud")
    with faults.Proxy(server.port, "SEQ", after=20, hangs=hangs) as there:
        connection = pymysql.connect(host=faults.HOST, port=there.port, user="aud", password="pw", read_timeout=1, ssl_disabled=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == ((1,),)
            with pytest.raises(pymysql.MySQLError):
                cursor.execute("SELECT 'SEQ' UNION ALL SELECT 2")
        assert there.hit.is_set()


def test_faults_end_with_their_block():
    with faults.Silent() as there:
        client = socket.create_connection((faults.HOST, there.port))
        wait_for(lambda: there.connections == 1, "the connection is accepted")
    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((faults.HOST, there.port))
    client.close()


def test_source_tree_is_found():
    assert pathlib.Path(servers.SOURCE, "docker", "server.sh").is_file()

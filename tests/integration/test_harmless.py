"""A look must not be felt: only reading statements, a fixed number of them, in a session that could do no harm."""

import contextlib
import re
import subprocess

import pymysql
import pytest

from polling import wait_for

# SHOW OPEN TABLES reads the table cache and opens nothing; it waited in none of the stalls (test_locks.py).
HARMLESS = re.compile(
    r"SELECT |SHOW (?!OPEN TABLES)|SHOW OPEN TABLES WHERE In_use > 0$|XA RECOVER( CONVERT XID| FORMAT='SQL')$|"
    r"SET NAMES |SET SESSION |SET autocommit=1$"
)
# Words that make a SELECT or SET do more than look; each of these would have side effects, wait, or open user tables.
HARMFUL = re.compile(
    r"\b(GLOBAL\s+\w+\s*=|PERSIST\b|INTO|FOR\s+(UPDATE|SHARE)|LOCK\s+IN|GET_LOCK|SLEEP|BENCHMARK|LOAD_FILE|PASSWORD|"
    r"information_schema\.(TABLES|COLUMNS|STATISTICS|PARTITIONS|KEY_COLUMN_USAGE|TRIGGERS|VIEWS|ROUTINES|INNODB_TABLES|"
    r"INNODB_TABLESTATS|FILES)\b|sys\.|TABLE STATUS|CREATE TABLE|FULL COLUMNS|INDEX\b)",
    re.IGNORECASE,
)
COMMANDS = {
    "locks": ["locks"],
    "audit": ["audit"],
    "audit --with-replicas": ["audit", "--with-replicas"],
    "audit with rates": ["audit", "--interval", "1s"],
    "snapshot": ["snapshot", "-o", "one.db"],
    "snapshot, redacted": ["snapshot", "--redact", "-o", "two.db"],
    "query": ["query", "SELECT * FROM sessions"],
    "check": ["check", "--pools", "pools.toml"],
    "plan": ["plan", "--pools", "pools.toml", "--set", "wait_timeout=300"],
    "grants": ["grants"],
    "grants --check": ["grants", "--check"],
}
POOLS = """
[[pool]]
name = "checkout"
library = "hikaricp"
version = "5.1.0"
instances = 6
settings = { maximumPoolSize = 20 }
"""
EVERYTHING = ["PROCESS ON *.*", "SELECT ON performance_schema.*", "SELECT (User, Host, max_user_connections) ON mysql.user"]


def grants_of(server):
    more = ["REPLICATION CLIENT ON *.*", "XA_RECOVER_ADMIN ON *.*"] if server.flavor == "mysql" else ["SLAVE MONITOR ON *.*"]
    return EVERYTHING + more


def logged(server, dbaudit, *command, user="aud", **options):
    """The statements that the server saw of one run."""
    (dbaudit.home / "pools.toml").write_text(POOLS)
    with server.general_log() as log:
        run = dbaudit(*command, server=server, user=user, **options)
        assert run.code in (0, 1, 3), run
        seen = wait_for(lambda: (s := list(log.statements(user))) and s[-1].command == "Quit" and s, "the session's end is logged")
    return seen


def queries(statements):
    return [entry.argument for entry in statements if entry.command == "Query"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_statement_only_looks(server, dbaudit, command):
    server.account("aud", grants_of(server))
    seen = logged(server, dbaudit, *COMMANDS[command])
    assert {entry.command for entry in seen} == {"Connect", "Query", "Quit"}
    assert len({entry.connection_id for entry in seen}) == 1, "one connection a run"
    for sql in queries(seen):
        assert HARMLESS.match(sql), sql
        assert not HARMFUL.search(sql), sql
        assert ";" not in sql, sql


def test_every_statement_only_looks_without_any_privilege(server, dbaudit):
    server.account("aud")
    for command in ("audit", "locks"):
        for sql in queries(logged(server, dbaudit, command)):
            assert HARMLESS.match(sql) and not HARMFUL.search(sql), sql


def test_offline_commands_connect_nowhere(server, dbaudit):
    server.account("aud", grants_of(server))
    assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
    with server.general_log() as log:
        for command in (["audit", "--from", "s.db"], ["locks", "--from", "s.db"], ["query", "--from", "s.db", "SELECT 1"], ["rules", "list"], ["schema"], ["grants", "--flavor", server.flavor]):
            dbaudit(*command, env={"DBAUDIT_PASSWORD": "pw"})
        assert not list(log.statements("aud"))


def test_as_many_statements_for_500_sessions_as_for_5(server, dbaudit):
    server.account("aud", grants_of(server))
    server.set_global(max_connections=700)
    sent = []
    for sessions in (5, 500):
        while len(server._connections) < sessions:
            server.connect()
        sent.append({name: queries(logged(server, dbaudit, *command)) for name, command in COMMANDS.items()})
    assert sent[0] == sent[1]
    assert {name: len(statements) <= 30 for name, statements in sent[0].items() if "rates" not in name} == {name: True for name in COMMANDS if "rates" not in name}


@pytest.mark.parametrize("command", ["audit", "locks"])
def test_as_many_statements_with_locks_and_waiters(server, dbaudit, command):
    server.account("aud", grants_of(server))
    quiet = queries(logged(server, dbaudit, command))
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
    server.admin("INSERT INTO shop.t VALUES (1)")
    server.connect(autocommit=False).cursor().execute("SELECT * FROM shop.t FOR UPDATE")
    waiters = [server.background("SELECT * FROM shop.t FOR UPDATE") for _ in range(5)]
    server.wait_for("SELECT COUNT(*) = 5 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "five wait")
    busy = queries(logged(server, dbaudit, command))
    assert busy == quiet
    assert not any(waiter.done() for waiter in waiters)


@pytest.mark.variants("mysql-9.7")
@pytest.mark.parametrize("command", ["audit", "locks"])
def test_row_locks_are_looked_up_and_not_listed(server, dbaudit, command):
    """data_locks has a row for each row lock of each transaction: to make 200,000 of them takes the server a second."""
    server.account("aud", grants_of(server))
    named = [sql for sql in queries(logged(server, dbaudit, command)) if re.search(r"\bdata_locks\b", sql)]
    assert named
    for sql in named:
        aliases = re.findall(r"JOIN performance_schema\.data_locks (\w+) ON", sql)
        assert len(aliases) == len(re.findall(r"\bdata_locks\b", sql)), sql
        plan = server.admin(f"EXPLAIN FORMAT=TRADITIONAL {sql}")
        assert [row[4] for row in plan if row[2] in aliases] in (["ref"], ["eq_ref"]), plan


def test_option_file_does_nothing_in_the_session(server, dbaudit):
    """The client library would do as its options say; dbaudit takes where to connect, and as whom."""
    server.account("aud", grants_of(server))
    (dbaudit.home / ".my.cnf").write_text("[client]\npassword=pw\ninit-command=DO 4711\ndefault-character-set=latin1\n")
    sent = queries(logged(server, dbaudit, "locks", env={"DBAUDIT_PASSWORD": None}))
    assert not [sql for sql in sent if "4711" in sql or "latin1" in sql]
    assert {name for sql in sent for name in re.findall(r"SET NAMES '?(\w+)", sql)} == {"utf8mb4"}


# --- what the session could do even if it wanted to


@pytest.fixture
def guarded(server, dbaudit):
    """A session in which everything was executed that dbaudit's own session was set up with."""
    server.account("aud", [*grants_of(server), "ALL ON shop.*"])
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
    settings = [sql for sql in queries(logged(server, dbaudit, "audit")) if sql.startswith("SET ")]
    cursor = server.connect("aud", "pw").cursor()
    for sql in settings:
        cursor.execute(sql)
    return cursor


def test_session_cannot_write(server, guarded):
    for sql in ("INSERT INTO shop.t VALUES (1)", "CREATE TABLE shop.u (id INT)", "DELETE FROM shop.t"):
        with pytest.raises(pymysql.MySQLError) as error:
            guarded.execute(sql)
        assert error.value.args[0] == 1792, sql


def test_session_waits_for_nobody(server, guarded):
    holder = server.connect().cursor()
    holder.execute("LOCK TABLES shop.t WRITE")
    with pytest.raises(pymysql.MySQLError) as error:
        guarded.execute("SELECT * FROM shop.t")
    assert error.value.args[0] == 1205


def test_session_has_a_limit_on_each_statement(server, guarded):
    guarded.execute("SELECT @@SESSION." + ("max_execution_time / 1000" if server.flavor == "mysql" else "max_statement_time"))
    assert 0 < float(guarded.fetchall()[0][0]) <= 30


@pytest.fixture
def no_autocommit(server):
    """Sessions begin without autocommit, unless they set it themselves."""
    server.set_global(autocommit="OFF", init_connect="SET autocommit=0")


def test_session_is_no_open_transaction(server, dbaudit, no_autocommit):
    """While it waits between two samples, it holds nothing."""
    server.account("aud", grants_of(server))
    argv = dbaudit.argv("audit", "--interval", "30s", server=server)
    with subprocess.Popen(argv, env=dbaudit.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            server.wait_for("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'aud' AND COMMAND = 'Sleep' AND TIME >= 1", "it is between two samples")
            number = server.admin("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'aud'")[0][0]
            assert not server.admin(f"SELECT * FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {number}")
            if server.flavor == "mysql":  # where reading performance_schema takes metadata locks of it
                assert not server.admin(f"SELECT l.* FROM performance_schema.metadata_locks l JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID WHERE t.PROCESSLIST_ID = {number}")
            if server.admin("SELECT @@performance_schema")[0][0]:
                attributes = dict(server.admin(f"SELECT ATTR_NAME, ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID = {number}"))
                assert attributes["program_name"] == "dbaudit"
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
    server.wait_for("SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE USER = 'aud'", "a killed auditor leaves no session behind")


def test_what_it_has_read_stays_locked_for_nobody(server, dbaudit, no_autocommit):
    """A session that has executed everything that an audit sent, to the last statement, and is still there."""
    server.account("aud", grants_of(server))
    sent = queries(logged(server, dbaudit, "audit"))
    assert any("mysql.user" in sql for sql in sent)
    session = server.connect("aud", "pw", autocommit=None)  # as the server begins it
    for sql in sent:
        session.cursor().execute(sql)
    server.wait_for(f"SELECT COUNT(*) = 0 FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {session.thread_id()}", "it is in no transaction")
    other = server.connect().cursor()
    other.execute("SET SESSION lock_wait_timeout = 1")
    other.execute("LOCK TABLES mysql.user WRITE" if server.flavor == "mysql" else "LOCK TABLES mysql.global_priv WRITE")

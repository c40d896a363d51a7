"""performance_schema shows what it was told to: what is switched off, had no room, or came before is no "nothing"."""

import re

import pymysql
import pytest

from reports import expected_exit, results, rules_of, sources, unknowns_match_sources
from test_harmless import grants_of
from test_traps import EMOJI, transaction, waiting

MDL = "wait/lock/metadata/sql/mdl"
STATEMENTS = "SELECT processlist_id AS id, sql_text FROM statements"


def audit_sources(dbaudit, server, **account):
    return sources(dbaudit("audit", "--format", "json", server=server, **account).json())


def locks(dbaudit, server):
    return dbaudit("locks", "--format", "json", "--min-wait", "0s", server=server).json()


def switch(server, table, name, to="NO"):
    server.admin(f"UPDATE performance_schema.{table} SET ENABLED = '{to}' WHERE NAME = '{name}'")


@pytest.fixture
def start(start_server):
    """start(kind, *options): a server with an account `aud` and a table shop.t."""

    def begin(kind, *options):
        server = start_server(kind, *options)
        server.account("aud", grants_of(server))
        server.admin("CREATE DATABASE shop")
        server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
        server.admin("INSERT INTO shop.t VALUES (1)")
        return server

    return begin


def assert_suspected(report, waiter, holder):
    """That somebody waits is seen, and who holds is guessed, and said to be."""
    assert [wait["connection_id"] for wait in report["waits"]] == [waiter.connection_id], report
    first = (report["roots"] or report["suspects"])[0]
    assert (first["connection_id"], first["certainty"]) == (holder.thread_id(), "inferred"), report


MDL_ON = ("--performance-schema", f"--performance-schema-instrument={MDL}=ON")
ROOMS = [("mysql-9.7", ()), ("mariadb-11.8", MDL_ON)]


@pytest.mark.parametrize("kind, shown", ROOMS, ids=[kind for kind, _ in ROOMS])
def test_metadata_locks_without_room_are_told(kind, shown, start, dbaudit):
    """The server counts them, and its table looks whole."""
    server = start(kind, *shown, "--performance-schema-max-metadata-locks=20")
    for number in range(40):
        server.admin(f"CREATE TABLE shop.t{number} (id INT) ENGINE=InnoDB")
    holder = transaction(server, *(f"SELECT * FROM shop.t{number}" for number in range(40)))
    seen = audit_sources(dbaudit, server)["metadata_locks"]
    assert seen["status"] == "partial" and re.search(r"ran out of room for \d+ metadata locks", seen["reason"]), seen
    assert "performance_schema_max_metadata_locks" in seen["remedy"]
    waiter = waiting(server, "ALTER TABLE shop.t39 ADD COLUMN v INT")
    report = locks(dbaudit, server)
    assert {source["source"]: source["status"] for source in report["sources"]}["metadata_locks"] == "partial"
    assert_suspected(report, waiter, holder)


@pytest.mark.parametrize("kind, shown", ROOMS, ids=[kind for kind, _ in ROOMS])
def test_threads_without_room_are_told(kind, shown, start, dbaudit):
    server = start(kind, *shown, "--performance-schema-max-thread-instances=60")
    sessions = [server.connect() for _ in range(70)]
    seen = audit_sources(dbaudit, server)
    wanted = {"mysql": ("sessions", "statements", "session_variables"), "mariadb": ("metadata_locks",)}[server.flavor]
    for source in wanted:
        assert seen[source]["status"] == "partial" and re.search(r"ran out of room for \d+ threads", seen[source]["reason"]), (source, seen[source])
        assert "performance_schema_max_thread_instances" in seen[source]["remedy"]
    if server.flavor == "mariadb":  # its process list is another one
        assert seen["sessions"]["status"] == "read"
    assert len(sessions) == 70


def test_locks_older_than_the_instrument_are_told(start, dbaudit):
    """MariaDB: what was locked before the instrument was switched on is never shown, nor is who waited already."""
    server = start("mariadb-11.8", "--performance-schema")
    holder = transaction(server, "SELECT * FROM shop.t")
    switch(server, "setup_instruments", MDL, "YES")
    server.wait_for(f"SELECT TIME_MS > 1500 FROM information_schema.PROCESSLIST WHERE ID = {holder.thread_id()}", "it is idle")
    seen = audit_sources(dbaudit, server)["metadata_locks"]
    assert seen["status"] == "partial" and "1 idle transaction shows no lock" in seen["reason"], seen
    assert "metadata_lock_info" in seen["remedy"]
    waiter = waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT")
    report = dbaudit("locks", "--format", "json", server=server).json()
    assert_suspected(report, waiter, holder)


# --- switched off


@pytest.mark.parametrize("kind, options", [("mysql-9.7", ()), ("mariadb-11.8", ("--performance-schema",))])
def test_metadata_locks_that_nobody_records(kind, options, start, dbaudit):
    """MariaDB's performance_schema comes without the instrument: its table is there, and empty."""
    server = start(kind, *options)
    if server.flavor == "mysql":
        switch(server, "setup_instruments", MDL)
    holder = transaction(server, "SELECT * FROM shop.t")
    waiter = waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT")
    seen = audit_sources(dbaudit, server)["metadata_locks"]
    assert seen["status"] == "unavailable" and f"instrument '{MDL}' is off" in seen["reason"], seen
    assert ("setup_instruments" if server.flavor == "mysql" else "metadata_lock_info") in seen["remedy"]
    assert_suspected(locks(dbaudit, server), waiter, holder)


@pytest.mark.parametrize("kind, options", [("mysql-9.7", ()), ("mariadb-11.8", MDL_ON)], ids=["mysql-9.7", "mariadb-11.8"])
@pytest.mark.parametrize("table, name", [("setup_instruments", "wait/lock/table/sql/handler"), ("setup_consumers", "global_instrumentation")])
def test_table_locks_that_nobody_records(kind, options, table, name, start, dbaudit):
    server = start(kind, *options)
    switch(server, table, name)
    server.admin("CREATE TABLE shop.m (id INT) ENGINE=MyISAM")
    server.connect().cursor().execute("LOCK TABLES shop.m WRITE")
    seen = audit_sources(dbaudit, server)["table_handles"]
    assert seen["status"] == "unavailable" and f"'{name}' is off" in seen["reason"], seen
    assert table in seen["remedy"] and name in seen["remedy"]


SILENCED = {
    "consumer": ("UPDATE performance_schema.setup_consumers SET ENABLED = 'NO' WHERE NAME = 'events_statements_current'", "unavailable", "'events_statements_current' is off"),
    "instruments": ("UPDATE performance_schema.setup_instruments SET ENABLED = 'NO' WHERE NAME LIKE 'statement/%'", "unavailable", "'statement/sql/select' is off"),
    "one thread": ("UPDATE performance_schema.threads SET INSTRUMENTED = 'NO' WHERE PROCESSLIST_ID = {0}", "partial", "no statement of 1 session is recorded"),
}  # fmt: skip


@pytest.mark.parametrize("how", SILENCED)
def test_a_stale_statement_is_not_the_last_one(how, start, dbaudit):
    """What was recorded last stays in the table, whatever the session has said since."""
    sql, status, said = SILENCED[how]
    server = start("mysql-9.7")
    session = server.connect()
    session.cursor().execute("SELECT 'before'")
    server.admin(sql.format(session.thread_id()))
    session.cursor().execute("SELECT 'after'")
    seen = audit_sources(dbaudit, server)["statements"]
    assert seen["status"] == status and said in seen["reason"] and seen["remedy"], seen
    told = dbaudit("query", "--format", "json", STATEMENTS, server=server).json()
    assert session.thread_id() not in {row["id"] for row in told}, told


def test_statements_without_times(start, dbaudit):
    server = start("mysql-9.7")
    server.admin("UPDATE performance_schema.setup_instruments SET TIMED = 'NO' WHERE NAME LIKE 'statement/%'")
    session = server.connect()
    session.cursor().execute("SELECT 'timeless'")
    assert audit_sources(dbaudit, server)["statements"]["status"] == "read"
    told = dbaudit("query", "--format", "json", "SELECT processlist_id AS id, sql_text, started_s FROM statements", server=server).json()
    assert {"id": session.thread_id(), "sql_text": "SELECT 'timeless'", "started_s": None} in told


def test_statements_without_dbaudits_own(start, dbaudit):
    """Whose times are relative to it."""
    server = start("mysql-9.7")
    server.admin("INSERT INTO performance_schema.setup_actors (HOST, USER, ROLE, ENABLED, HISTORY) VALUES ('%', 'aud', '%', 'NO', 'NO')")
    session = server.connect()
    session.cursor().execute("SELECT 'of somebody else'")
    seen = audit_sources(dbaudit, server)["statements"]
    assert seen["status"] == "partial" and "no statement of dbaudit is recorded" in seen["reason"], seen
    told = dbaudit("query", "--format", "json", "SELECT processlist_id AS id, sql_text, started_s FROM statements", server=server).json()
    assert {"id": session.thread_id(), "sql_text": "SELECT 'of somebody else'", "started_s": None} in told


@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-11.8"])
def test_switches_that_may_not_be_read(kind, start, dbaudit):
    """Whether an empty table means "nothing" cannot be known then."""
    server = start(kind, "--performance-schema")
    tables = ("metadata_locks", "threads", "table_handles", "events_statements_current", "events_transactions_current")
    server.account("few", ["PROCESS ON *.*", *(f"SELECT ON performance_schema.{table}" for table in tables)])
    for consumer in ("events_statements_current", "events_transactions_current"):
        switch(server, "setup_consumers", consumer)
    transaction(server, "SELECT * FROM shop.t")
    report = dbaudit("audit", "--format", "json", server=server, user="few").json()
    seen = sources(report)
    for source in ("instruments", "table_handles", "statements") + (("metadata_locks",) if kind == "mariadb-11.8" else ()):
        assert seen[source]["status"] != "read" and "SELECT ON performance_schema.*" in seen[source]["remedy"], (source, seen[source])
    assert seen["transactions"]["status"] == "read" and "could not be read" in seen["transactions"]["reason"]


# --- MySQL without it


@pytest.mark.parametrize("emoji", [False, True], ids=["", "emoji"])
def test_mysql_without_performance_schema(emoji, start, dbaudit, rules_folder):
    server = start("mysql-9.7", "--performance-schema=OFF")
    holder = transaction(server, "SELECT * FROM shop.t")
    waiter = waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT")
    if emoji:  # information_schema's process list fails then
        talker = server.background(EMOJI)
        server.wait_for(lambda: any((row[0], row[4]) == (talker.connection_id, "Query") for row in server.admin("SHOW FULL PROCESSLIST")), "it runs")
        with pytest.raises(pymysql.MySQLError, match="3854"):
            server.admin("SELECT INFO FROM information_schema.PROCESSLIST")
    run = dbaudit("audit", "--format", "json", server=server)
    seen = sources(run.json())
    assert seen["sessions"]["status"] == "read", seen["sessions"]
    for source in ("metadata_locks", "row_lock_waits", "table_handles", "statements", "connection_attributes", "session_variables"):
        assert seen[source]["status"] == "unavailable" and "performance_schema is off" in seen[source]["reason"], (source, seen[source])
        assert "performance_schema=ON" in seen[source]["remedy"]
    unknowns_match_sources(run.json(), rules_of(rules_folder))
    assert run.code == expected_exit(run.json())
    assert_suspected(locks(dbaudit, server), waiter, holder)


# --- what the server does not say of a queue


@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-11.8"])
def test_a_queue_that_may_be_passed_is_inferred(kind, start, dbaudit):
    """Below its default, max_write_lock_count makes the server let some go before those who wait ahead of them."""
    server = start(kind, *(MDL_ON if kind == "mariadb-11.8" else ()))
    holder = transaction(server, "SELECT * FROM shop.t")
    alter = waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT")
    reader = waiting(server, "SELECT * FROM shop.t")

    def edges():
        return {(wait["connection_id"], one["connection_id"]): one["certainty"] for wait in locks(dbaudit, server)["waits"] for one in wait["blocked_by"]}

    alter_waits, reader_queues = (alter.connection_id, holder.thread_id()), (reader.connection_id, alter.connection_id)
    assert edges() == {alter_waits: "observed", reader_queues: "observed"}
    server.admin("SET GLOBAL max_write_lock_count = 5")
    assert edges() == {alter_waits: "observed", reader_queues: "inferred"}


def test_who_set_it_is_told_only_where_that_is_known(start, dbaudit):
    """A SET SESSION of anybody, dbaudit's own guards too, puts its author in the place of who has SET GLOBAL."""
    server = start("mysql-9.7")
    server.admin("SET GLOBAL max_connections = 222")
    server.admin("SET PERSIST_ONLY lock_wait_timeout = 60")
    report = dbaudit("audit", "--format", "json", "--only", "VAR002", server=server).json()
    told = {one["subject"]: one["evidence"] for one in results(report, "VAR002", "fail")}
    assert told["max_connections"]["set_by"].startswith("root@") and told["max_connections"]["set_time"]
    assert told["lock_wait_timeout"].get("set_by") is None and told["lock_wait_timeout"].get("set_time") is None

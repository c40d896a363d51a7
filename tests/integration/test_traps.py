"""Each of these once cost somebody a wrong answer, or a hung tool."""

import json
import re

import pymysql
import pytest

import servers
from polling import wait_for
from reports import results, sources, statuses
from test_harmless import grants_of
from test_privileges import has_locks_plugin, has_performance_schema


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


@pytest.fixture
def shop(server):
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    server.admin("INSERT INTO shop.t VALUES (1, 1), (2, 2)")


@pytest.fixture
def ask(server, dbaudit, aud):
    """ask(sql): rows of `dbaudit query`, as dicts."""
    return lambda sql: dbaudit("query", "--format", "json", sql, server=server).json()


def transaction(server, *statements, **options):
    """A session that has executed them with autocommit off, and that InnoDB shows: what somebody reads within 100 ms
    of another reader is that one's copy."""
    session = server.connect(autocommit=False, **options)
    for sql in statements:
        session.cursor().execute(sql)
    server.wait_for(f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {session.thread_id()}", "its transaction shows")
    return session


def running(server, sql, session=None):
    waiter = server.background(sql, session)
    server.wait_for(f"SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_ID = {waiter.connection_id} AND PROCESSLIST_COMMAND = 'Query'"
                    if server.flavor == "mysql" else
                    f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {waiter.connection_id} AND COMMAND = 'Query'", "it runs")  # fmt: skip
    return waiter


def waiting(server, sql, state="Waiting for%"):
    waiter = server.background(sql)
    server.wait_for(f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {waiter.connection_id} AND STATE LIKE '{state}'", f"{sql} waits")
    return waiter


# --- statements of every kind

EMOJI = "SELECT SLEEP(60), '🙂'"
NASTY = {
    "emoji": EMOJI.encode(),
    "Korean": "SELECT SLEEP(60), '안녕하세요'".encode(),
    "invalid UTF-8": b"SELECT SLEEP(60) /* \xff\xfe\xc3\x28 \xf0\x9f */",
    "control characters": b"SELECT SLEEP(60) /* \x1b[2J\x1b]0;title\x07 \r\x08\x08 \x7f \xc2\x9b31m \x00 */",
    "right to left": "SELECT SLEEP(60) /* \u202e\u2066 abc */".encode(),
    "a mebibyte": b"SELECT SLEEP(60), LENGTH('" + b"x" * (1 << 20) + b"')",
    "a mebibyte of emoji": b"SELECT SLEEP(60), LENGTH('" + "🙂".encode() * (1 << 18) + b"')",
    "CSV and HTML": b"SELECT SLEEP(60) /* \",\n'=1+1;<script>|--|</script> */",
}
NOT_FOR_TERMINALS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
STATEMENTS = "SELECT s.processlist_id AS id, s.info, t.sql_text FROM sessions s LEFT JOIN statements t USING (processlist_id) WHERE s.command = 'Query' AND s.kind = 'client'"


@pytest.mark.parametrize("name", NASTY)
def test_any_statement_text_goes_through_every_output(server, dbaudit, aud, shop, name):
    session = transaction(server, "UPDATE shop.t SET v = 3 WHERE id = 1")
    # TRX006 prints it, for a transaction that is older than a second.
    server.wait_for(f"SELECT trx_started < NOW() - INTERVAL 1 SECOND FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {session.thread_id()}", "it is old")
    waiter = running(server, NASTY[name], session)
    printed = f"connection {waiter.connection_id}"
    assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
    assert (dbaudit.home / "s.db").stat().st_size < 1 << 20
    for source in ({"server": server}, {}):
        offline = [] if source else ["--from", "s.db"]
        for form in ("json", "csv", "table"):
            run = dbaudit("query", STATEMENTS, "--format", form, *offline, **source)
            assert len(run.out) < 20_000
            if form == "table":
                assert not NOT_FOR_TERMINALS.search(run.out), repr(run.out)
            if form == "json":
                mine = [row for row in run.json() if row["id"] == waiter.connection_id]
                assert len(mine) == 1 and mine[0]["info"].startswith("SELECT SLEEP(60)")
                assert all(len((mine[0][column] or "").encode()) <= 1024 + len("…") for column in ("info", "sql_text"))
        audit = ("audit", "--param", "max_transaction=1s", *offline)
        text = dbaudit(*audit, "-v", **source)
        assert not NOT_FOR_TERMINALS.search(text.out + text.err)
        assert "Statement: SELECT SLEEP(60)" in re.sub(r"\s+", " ", text.out), text
        lines = [json.loads(line) for line in dbaudit(*audit, "--format", "jsonl", **source).out.split("\n") if line]
        for report in (dbaudit(*audit, "--format", "json", **source).json(), {"results": [line for line in lines if line["type"] == "result"]}):
            told = [one for one in results(report, "TRX006", "fail") if one["subject"].endswith(printed)]
            assert len(told) == 1 and told[0]["evidence"]["statement"].startswith("SELECT SLEEP(60)"), told
            assert len(told[0]["message"]) < 1000
    assert not waiter.done()


def fails_with_emoji(server):
    return server.flavor == "mysql" and not servers.external_servers()  # seen since MySQL 9


def talks_in_emoji(server):
    """MySQL: information_schema's process list and INNODB_TRX now fail with 3854 for everybody."""

    def fail():
        try:
            server.admin("SELECT * FROM information_schema.INNODB_TRX")
        except pymysql.MySQLError as error:
            if error.args[0] != 3854:
                raise
            return True

    talker = running(server, EMOJI, transaction(server, "SELECT * FROM shop.t"))
    if fails_with_emoji(server):
        wait_for(fail, "InnoDB's list has the emoji", interval=0.12)
    return talker


def test_emoji_of_somebody_hides_nobody(server, dbaudit, aud, shop):
    open_one = transaction(server, "UPDATE shop.t SET v = 3 WHERE id = 1")
    talker = talks_in_emoji(server)
    seen = sources(dbaudit("audit", "--format", "json", server=server).json())
    assert seen["sessions"]["status"] == "read"
    rows = dbaudit("query", "--format", "json", "SELECT processlist_id AS id FROM sessions UNION ALL SELECT -processlist_id FROM transactions", server=server).json()
    assert {talker.connection_id, -open_one.thread_id()} <= {row["id"] for row in rows}
    if fails_with_emoji(server):
        assert seen["transactions"]["status"] == "partial" and "3854" in seen["transactions"]["reason"]
        assert "try again" in seen["transactions"]["remedy"]


@pytest.mark.variants("mysql-9.7")
def test_emoji_of_somebody_hides_no_row_lock_wait(server, dbaudit, aud, shop):
    holder = transaction(server, "UPDATE shop.t SET v = 3 WHERE id = 1")
    waiter = server.background("UPDATE shop.t SET v = 4 WHERE id = 1")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "it waits")

    def look():
        report = dbaudit("locks", "--format", "json", "--min-wait", "0s", server=server).json()
        waits = [(wait["connection_id"], wait["object_name"], [(by["connection_id"], by["lock"], by["certainty"]) for by in wait["blocked_by"]]) for wait in report["waits"]]
        return waits, [(root["connection_id"], root["state"], root["blocks"], root["remedy"]) for root in report["roots"]], report["suspects"]

    before = look()
    talks_in_emoji(server)
    assert look() == before
    assert before == (
        [(waiter.connection_id, "t", [(holder.thread_id(), "X,REC_NOT_GAP", "observed")])],
        [(holder.thread_id(), "idle_in_transaction", 1, f"KILL {holder.thread_id()}")],
        [],
    )  # fmt: skip


def test_account_name_with_control_characters_reaches_no_terminal(server, dbaudit, aud, shop):
    name = "ev\x1b[31mil"
    server.account(name, "ALL ON shop.*")
    holder = server.connect(name, "pw", autocommit=False)
    holder.cursor().execute("UPDATE shop.t SET v = 3 WHERE id = 1")
    server.wait_for(f"SELECT TIME >= 1 FROM information_schema.PROCESSLIST WHERE ID = {holder.thread_id()}", "it has been idle for a second")
    run = dbaudit("audit", "--param", "max_idle=500ms", "--color", "never", server=server)
    assert "TRX001" in run.out and "il@" in run.out and "\x1b" not in run.out


# --- time


@pytest.mark.parametrize("zone", ["+09:00", "-05:00"])
def test_ages_are_right_in_any_time_zone(server, ask, shop, zone):
    server.set_global(time_zone=zone)
    open_one = transaction(server, "UPDATE shop.t SET v = 3 WHERE id = 1")
    ages = ask(f"SELECT age_s FROM transactions WHERE processlist_id = {open_one.thread_id()}")
    assert ages and 0 <= ages[0]["age_s"] < 30
    assert abs(ask("SELECT clock_skew_s AS s FROM server")[0]["s"]) < 2


@pytest.mark.variants("mysql-9.7", "mariadb-11.8-ps")
def test_age_of_a_transaction_is_that_since_begin(server, ask, shop):
    """InnoDB counts from where it first saw it."""
    session = server.connect()
    session.begin()
    begun = server.admin("SELECT NOW(6)")[0][0]
    server.wait_for(f"SELECT NOW(6) > '{begun}' + INTERVAL 2 SECOND", "two seconds have gone by")
    session.cursor().execute("UPDATE shop.t SET v = 3 WHERE id = 1")
    server.wait_for(f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {session.thread_id()}", "its transaction shows")
    rows = ask(f"SELECT age_s >= 2 AND age_s < 30 AS since_begin, seen_in, rows_modified FROM transactions WHERE processlist_id = {session.thread_id()}")
    assert rows == [{"since_begin": 1, "seen_in": "both", "rows_modified": 1}]


def test_statement_and_session_times_are_right(server, ask, shop):
    idle = server.connect()
    idle.cursor().execute("SELECT 'last words'")
    server.wait_for(f"SELECT TIME >= 1 FROM information_schema.PROCESSLIST WHERE ID = {idle.thread_id()}", "it has been idle for a second")
    assert 1 <= ask(f"SELECT time_s FROM sessions WHERE processlist_id = {idle.thread_id()}")[0]["time_s"] < 30
    if has_performance_schema(server):
        row = ask(f"SELECT * FROM statements WHERE processlist_id = {idle.thread_id()}")[0]
        assert row["sql_text"] == "SELECT 'last words'" and row["running"] == 0
        assert 0 < row["ended_s"] <= row["started_s"] < 30


# --- variables


def test_set_session_of_somebody_is_no_set_global(server, dbaudit, ask):
    server.connect().cursor().execute("SET SESSION net_write_timeout = 77")
    row = ask("SELECT * FROM variables_info WHERE variable_name = 'net_write_timeout'")[0]
    assert row["variable_value"] == 60
    if server.flavor == "mysql":
        assert (row["variable_source"], row["origin_reliable"], row["variable_scope"]) == ("DYNAMIC", 0, "SESSION")
    else:
        assert (row["variable_source"], row["origin_reliable"]) == ("COMPILE-TIME", 1)
    report = dbaudit("audit", "--format", "json", "--only", "VAR002", server=server).json()
    assert not [result for result in results(report) if result["subject"] == "net_write_timeout" and result["outcome"] == "fail"]


def test_set_global_is_seen_with_its_origin(server, ask):
    server.set_global(max_connections=222)
    row = ask("SELECT * FROM variables_info WHERE variable_name = 'max_connections'")[0]
    assert (row["variable_value"], row["origin_reliable"]) == (222, 1)
    assert row["variable_source"] == ("DYNAMIC" if server.flavor == "mysql" else "SQL")


def test_own_session_is_not_among_the_observed(server, dbaudit, ask):
    """autocommit, isolation and timeouts of this connection are its own guards, not findings."""
    own = "(SELECT connection_id FROM server)"
    tables = ("session_variables", "transactions", "metadata_locks", "statements", "table_handles")
    for table in tables:
        assert ask(f"SELECT count(*) AS n FROM {table} WHERE processlist_id = {own}") == [{"n": 0}], table
    assert ask(f"SELECT kind, info, processlist_id = {own} AS own FROM sessions WHERE kind = 'self' OR processlist_id = {own}") == [{"kind": "self", "info": None, "own": 1}]


def test_globals_are_the_servers_and_not_this_sessions(server, ask):
    """The client library sets two of them in its session, and the guards a third."""
    server.set_global(autocommit="OFF", **{"transaction_isolation" if server.flavor == "mysql" else "tx_isolation": "READ-COMMITTED"})
    row = ask("SELECT lock_wait_timeout, autocommit, coalesce(transaction_isolation, tx_isolation) AS isolation, wait_timeout FROM global_variables")[0]
    assert row == {"lock_wait_timeout": server.admin("SELECT @@GLOBAL.lock_wait_timeout")[0][0], "autocommit": "OFF", "isolation": "READ-COMMITTED", "wait_timeout": 28800}


def test_session_values_of_others(server, dbaudit, aud):
    one, two = server.connect(), server.connect(autocommit=False)
    one.cursor().execute("SET SESSION wait_timeout = 77, SESSION lock_wait_timeout = 5, SESSION transaction_isolation = 'READ-COMMITTED'" if server.flavor == "mysql" else "SET SESSION wait_timeout = 77")
    run = dbaudit("query", "--format", "json", "SELECT processlist_id AS id, * FROM session_variables", server=server)
    if server.flavor == "mariadb":
        assert run.code == 0 and run.json() == [] and "session_variables is unavailable" in run.err
        return
    rows = {row["id"]: row for row in run.json()}
    mine = rows[one.thread_id()]
    assert (mine["wait_timeout"], mine["lock_wait_timeout"], mine["transaction_isolation"], mine["autocommit"]) == (77, 5, "READ-COMMITTED", "ON")
    assert (rows[two.thread_id()]["wait_timeout"], rows[two.thread_id()]["autocommit"]) == (28800, "OFF")


# --- locks


def sees_metadata_locks(server):
    return has_performance_schema(server) or has_locks_plugin(server)


def test_metadata_locks_are_seen_or_said_to_be_unseen(server, dbaudit, aud, shop):
    """An empty table is "no locks" only where the instrument is on."""
    holder = transaction(server, "SELECT * FROM shop.t")
    run = dbaudit("query", "--format", "json", "SELECT processlist_id AS id, lock_type, seen_in FROM metadata_locks WHERE object_name = 't'", server=server)
    if sees_metadata_locks(server):
        assert [(row["id"], row["lock_type"]) for row in run.json()] == [(holder.thread_id(), "SHARED_READ")]
        assert run.json()[0]["seen_in"] == ("metadata_lock_info" if has_locks_plugin(server) else "metadata_locks")
    else:
        assert run.code == 3 and "metadata_locks is unavailable" in run.err
        report = dbaudit("audit", "--format", "json", server=server).json()
        assert "metadata_lock_info" in sources(report)["metadata_locks"]["remedy"]


def test_lock_types_that_are_as_requested_say_so(server, ask, shop):
    if not sees_metadata_locks(server):
        return
    server.connect().cursor().execute("LOCK TABLES shop.t READ")
    rows = ask("SELECT DISTINCT lock_type, lock_type_is FROM metadata_locks WHERE object_name = 't'")
    if server.name.endswith("-ps"):
        assert rows == [{"lock_type": "SHARED_READ", "lock_type_is": "as_requested"}]
    else:
        assert rows == [{"lock_type": "SHARED_READ_ONLY", "lock_type_is": "current"}]


def test_row_lock_waits_name_the_blocker_that_wrote(server, ask, shop):
    holder = transaction(server, "UPDATE shop.t SET v = 3 WHERE id = 1")
    waiter = server.background("UPDATE shop.t SET v = 4 WHERE id = 1")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "it waits")
    rows = ask("SELECT waiting_processlist_id AS w, blocking_processlist_id AS b FROM row_lock_waits")
    assert rows == [{"w": waiter.connection_id, "b": holder.thread_id()}]
    state = ask(f"SELECT trx_state, wait_s >= 0 AS known FROM transactions WHERE processlist_id = {waiter.connection_id}")
    assert state == [{"trx_state": "LOCK WAIT", "known": 1}]


def test_blocker_that_only_read_is_nobody_on_mariadb(server, ask, shop):
    """MariaDB gives all of them the id 0: naming one would be a guess."""
    holder = transaction(server, "SELECT * FROM shop.t WHERE id = 1 LOCK IN SHARE MODE")
    transaction(server, "SELECT * FROM shop.t WHERE id = 2 LOCK IN SHARE MODE")
    waiter = server.background("UPDATE shop.t SET v = 4 WHERE id = 1")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "it waits")
    rows = ask("SELECT waiting_processlist_id AS w, blocking_processlist_id AS b, blocking_trx_id AS trx FROM row_lock_waits")
    if server.flavor == "mysql":
        assert [(row["w"], row["b"]) for row in rows] == [(waiter.connection_id, holder.thread_id())]
    else:
        assert rows == [{"w": waiter.connection_id, "b": None, "trx": "0"}]


def test_prepared_xa_is_seen_when_its_session_is_gone(server, ask, shop):
    session = server.connect()
    for sql in ("XA START 'pay', 'branch'", "UPDATE shop.t SET v = 3 WHERE id = 1", "XA END 'pay', 'branch'", "XA PREPARE 'pay', 'branch'"):
        session.cursor().execute(sql)
    session.close()
    server.wait_for(f"SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE ID = {session.thread_id()}", "its session is gone")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = 0", "its transaction shows")
    assert ask("SELECT * FROM prepared_xa")[0] | {"server_id": 0} == {"server_id": 0, "format_id": 1, "gtrid_length": 3, "bqual_length": 6, "xid_data": "paybranch", "xid_sql": "'pay','branch',1"}
    assert ask("SELECT count(*) AS n FROM transactions WHERE processlist_id IS NULL") == [{"n": 1}]


# --- a stall does not stall the auditor


def exclusive_pending(server):
    transaction(server, "SELECT * FROM shop.t")
    waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT")
    waiting(server, "SELECT * FROM shop.t")


def exclusive_granted(server):
    server.admin("CREATE TABLE shop.u (id INT) ENGINE=InnoDB")
    transaction(server, "SELECT * FROM shop.u")
    waiting(server, "DROP TABLE shop.t, shop.u")


def global_read_lock(server):
    server.connect().cursor().execute("FLUSH TABLES WITH READ LOCK")
    waiting(server, "UPDATE shop.t SET v = 9")


def lock_tables(server):
    server.connect().cursor().execute("LOCK TABLES shop.t WRITE")
    waiting(server, "SELECT * FROM shop.t")


def drop_database(server):
    transaction(server, "SELECT * FROM shop.t")
    waiting(server, "DROP DATABASE shop")


def accounts_locked(server):
    """Somebody holds mysql.user itself: that source may fail, and nothing else."""
    server.connect().cursor().execute("LOCK TABLES mysql.user WRITE" if server.flavor == "mysql" else "LOCK TABLES mysql.global_priv WRITE")


@pytest.mark.parametrize("stall", [exclusive_pending, exclusive_granted, global_read_lock, lock_tables, drop_database, accounts_locked], ids=lambda stall: stall.__name__)
def test_stall_does_not_hang_the_auditor(server, dbaudit, aud, shop, stall):
    before = statuses(dbaudit("audit", "--format", "json", server=server).json())
    stall(server)
    for command in (["audit", "--format", "json"], ["snapshot", "-o", "s.db"]):
        run = dbaudit(*command, server=server)
        assert run.code in (0, 1, 3), run
        assert run.waited_s < 5, (command, run.wall_s)  # what hangs, hangs for 10 s and more
        if command[0] == "audit":
            during = statuses(run.json())
            if stall is accounts_locked:
                before.pop("accounts"), during.pop("accounts", None)
            assert during == before


def test_names_of_user_locks_are_not_stored_when_redacted(server, dbaudit, aud):
    server.connect().cursor().execute("SELECT GET_LOCK('user-jane@example.com', 1)")
    assert dbaudit("snapshot", "-o", "s.db", "--redact", server=server).code in (0, 3)
    assert b"jane@example" not in (dbaudit.home / "s.db").read_bytes()


# --- replication


@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_replica_without_its_source(kind, start_server, dbaudit):
    server = start_server(kind, "--server-id=7")
    assert dbaudit("query", "--format", "json", "SELECT * FROM replication", server=server, user="root", password="").json() == []
    words = ("REPLICATION SOURCE", "SOURCE", "REPLICA") if server.flavor == "mysql" else ("MASTER", "MASTER", "SLAVE")
    server.admin("CHANGE {0} TO {1}_HOST='127.0.0.1', {1}_PORT=1, {1}_USER='repl', {1}_PASSWORD='r3pl-s3cret', {1}_CONNECT_RETRY=1".format(*words))
    server.admin(f"START {words[2]}")
    ask = lambda: dbaudit("query", "--format", "json", "SELECT * FROM replication", server=server, user="root", password="").json()
    row = wait_for(lambda: (rows := ask()) and rows[0]["last_io_error"] and rows[0], "the replica has tried")
    assert (row["source_host"], row["source_port"], row["io_running"], row["sql_running"]) == ("127.0.0.1", 1, "Connecting", "Yes")
    assert row["seconds_behind_source"] == (0 if server.flavor == "mysql" else None)  # the server's own words
    dbaudit("snapshot", "-o", "s.db", server=server, user="root", password="")
    assert b"r3pl-s3cret" not in (dbaudit.home / "s.db").read_bytes()

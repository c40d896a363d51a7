"""Snapshots: the same answer as live, for nobody else's eyes, and nothing that isn't one is believed."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import stat
import subprocess

import pytest

import servers
from runner import Dbaudit
from test_harmless import grants_of

SECRET = "s3cret-hunter2-XYZZY"
# Evidence that is another one at the next look; purge shortens the history list whenever it likes. Settings are none.
OF_THE_MOMENT = {"history_list_length", "oldest_transaction_s", "idle_s", "transaction_s", "counted_for_s", "uptime_s"}
DURATION = re.compile(r"\b\d+(\.\d+)?( ?(ms|s|min|m|h|d)\b)( ?\d+( ?(ms|s|min|m)\b))?")


def bytes_of(home):
    """Every file that a run left behind."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def without_timings(report):
    """What two looks at a server in the same state have in common."""
    report = json.loads(json.dumps(report))
    report.pop("taken_at")
    # Shares and averages of connections: each look is one more, and comes later.
    report["results"] = [result for result in report["results"] if result["rule"] not in ("CAP006", "CAP007", "CAP009", "POOL010")]
    for result in report["results"]:
        if passing := OF_THE_MOMENT & result["evidence"].keys():
            result["evidence"] = {name: value for name, value in result["evidence"].items() if name not in passing}
            result["message"] = result["message"] and DURATION.sub("T", result["message"])
    return report


def assert_same(stored, live):
    """Compares result by result, so that a difference can be read in a log that is cut."""
    stored, live = without_timings(stored), without_timings(live)
    assert [(one, other) for one, other in zip(stored["results"], live["results"]) if one != other] == []
    assert stored == live


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


@pytest.fixture
def idle_transaction(server):
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
    server.admin("INSERT INTO shop.t VALUES (1)")
    holder = server.connect(autocommit=False)
    holder.cursor().execute("SELECT * FROM shop.t FOR UPDATE")
    server.wait_for(f"SELECT TIME >= 1 FROM information_schema.PROCESSLIST WHERE ID = {holder.thread_id()}", "it has been idle for a second")


# --- the same answer


def test_live_report_and_report_from_its_snapshot_agree(server, dbaudit, aud, idle_transaction):
    server.set_global(wait_timeout=600)
    parameters = ["--param", "max_idle=0s"]
    live = dbaudit("audit", "--format", "json", *parameters, server=server)
    assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
    stored = dbaudit("audit", "--format", "json", *parameters, "--from", "s.db")
    assert (stored.code, stored.err) == (live.code, live.err)
    assert_same(stored.json(), live.json())
    assert any(result["outcome"] == "fail" and result["rule"] == "TRX001" for result in live.json()["results"])


POOLS = """
[[pool]]
name = "api"
library = "hikaricp"
version = "5.1.0"
instances = 4
user = "root"
settings = { maximumPoolSize = 200 }
"""


def test_live_report_and_report_from_its_snapshot_agree_about_pools(server, dbaudit, aud, idle_transaction):
    """What is declared comes from the command line both times, and what is judged with it from the snapshot."""
    server.set_global(wait_timeout=180)
    (dbaudit.home / "pools.toml").write_text(POOLS)
    live = dbaudit("audit", "--format", "json", "--pools", "pools.toml", server=server)
    assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
    stored = dbaudit("audit", "--format", "json", "--pools", "pools.toml", "--from", "s.db")
    assert (stored.code, stored.err) == (live.code, live.err)
    assert_same(stored.json(), live.json())
    assert {"CAP001", "POOL002"} <= {result["rule"] for result in live.json()["results"] if result["outcome"] == "fail"}


def test_live_report_and_report_from_its_snapshot_agree_for_an_account_without_privileges(server, dbaudit):
    server.account("aud")
    server.connect()
    # How many connections it does not see is part of what is said: those of earlier tests and looks have to be gone.
    alone = lambda: int(server.admin("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0][1]) == 2
    server.wait_for(alone, "nobody else is connected")
    live = dbaudit("audit", "--format", "json", server=server)
    server.wait_for(alone, "nobody else is connected")
    assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
    stored = dbaudit("audit", "--format", "json", "--from", "s.db")
    assert stored.code == live.code
    assert_same(stored.json(), live.json())


def test_a_snapshot_always_gives_the_same_bytes(server, dbaudit, aud, idle_transaction):
    dbaudit("snapshot", "-o", "s.db", server=server)
    shutil.copy(dbaudit.home / "s.db", dbaudit.home / "moved elsewhere?.db")
    for form in (["--format", "json"], ["-v"]):
        first = dbaudit("audit", "--from", "s.db", *form)
        assert dbaudit("audit", "--from", "s.db", *form).out == first.out
        assert dbaudit("audit", "--from", "moved elsewhere?.db", *form).out == first.out


def test_reading_does_not_change_a_snapshot(server, dbaudit, aud):
    dbaudit("snapshot", "-o", "s.db", server=server)
    before = (dbaudit.home / "s.db").read_bytes()
    dbaudit("audit", "--from", "s.db")
    dbaudit("query", "--from", "s.db", "SELECT count(*) FROM sessions")
    assert (dbaudit.home / "s.db").read_bytes() == before
    assert sorted(path.name for path in dbaudit.home.iterdir()) == ["s.db"]


def test_several_snapshots_are_several_servers(server, dbaudit, aud):
    for name in ("a", "b"):
        (dbaudit.home / "dbaudit.toml").write_text(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@{server.host}:{server.port}"\n')
        dbaudit("snapshot", "-o", f"{name}.db", "--server", name)
    report = dbaudit("audit", "--format", "json", "--from", "a.db", "b.db").json()
    assert [entry["name"] for entry in report["servers"]] == ["a", "b"]
    counted = dbaudit("query", "--from", "a.db", "b.db", "--format", "json", "SELECT count(*) AS n, count(DISTINCT server_id) AS ids FROM server")
    assert counted.json() == [{"n": 2, "ids": 2}]


def test_query_over_a_snapshot_is_query_over_the_server(server, dbaudit, aud):
    sql = "SELECT max_connections, wait_timeout FROM global_variables"
    live = dbaudit("query", "--format", "csv", sql, server=server)
    dbaudit("snapshot", "-o", "s.db", server=server)
    assert dbaudit("query", "--format", "csv", "--from", "s.db", sql).out == live.out


def test_snapshots_of_one_server_are_a_history_to_a_query_and_refused_by_an_audit(server, dbaudit, aud):
    for name in ("a", "b"):
        dbaudit("snapshot", "-o", f"{name}.db", server=server)
    run = dbaudit("audit", "--from", "a.db", "b.db")
    assert run.code == 2 and run.out == "" and f"a.db and b.db are both of server '{server.host}:{server.port}'" in run.err, run
    count = "SELECT count(DISTINCT taken_at) AS n FROM server"
    assert dbaudit("query", "--from", "a.db", "b.db", "--format", "json", count).json() == [{"n": 2}]
    run = dbaudit("query", "--from", "a.db", "a.db", count)
    assert run.code == 2 and "a.db and a.db are both of server" in run.err, run


def test_a_query_for_what_nothing_could_cure_is_complete(server, dbaudit, aud):
    run = dbaudit("query", "SELECT count(*) FROM session_variables", server=server)
    assert run.code == 0, run
    assert ("MariaDB shows nobody's session variables" in run.err) == (server.flavor == "mariadb")


# --- the file


def test_opens_in_sqlite(server, dbaudit, aud):
    dbaudit("snapshot", "-o", "s.db", server=server)
    path = dbaudit.home / "s.db"
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT reachable FROM server").fetchall() == [(1,)]
    shell = subprocess.run(["sqlite3", "-readonly", path, "SELECT flavor FROM server"], capture_output=True, text=True, check=True)
    assert shell.stdout.strip() == server.flavor


def test_has_every_table_and_column_that_the_schema_names(server, dbaudit, aud):
    dbaudit("snapshot", "-o", "s.db", server=server)
    with sqlite3.connect(dbaudit.home / "s.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (6,)
        tables = {name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")} for (name,) in database.execute("SELECT name FROM sqlite_schema")}
    told = dbaudit("schema", "--all").out
    assert "schema version 6" in told
    for table, columns in tables.items():
        described = re.search(rf"^{table}\b.*?(?=^\w|\Z)", told, re.M | re.S)
        assert described, table
        assert columns == set(re.findall(r"^ {4}(\w+)", described[0], re.M)), table
    assert "open_tables" in tables and "owner" in tables["metadata_locks"]


def test_is_for_its_owners_eyes_only(server, dbaudit, aud):
    (dbaudit.home / "s.db").write_text("an old file that anybody may read")
    (dbaudit.home / "s.db").chmod(0o644)
    dbaudit("snapshot", "-o", "s.db", server=server)
    assert stat.S_IMODE((dbaudit.home / "s.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["no/such/folder/s.db", "folder", "/dev/null", ""])
def test_an_unwritable_place_is_told_before_anything_is_sent(server, dbaudit, aud, place):
    (dbaudit.home / "folder").mkdir()
    with server.general_log() as log:
        run = dbaudit("snapshot", "-o", place, server=server)
        assert run.code == 2 and f"cannot write snapshot {place}: " in run.err, run
        assert not list(log.statements("aud"))
    assert [path.name for path in dbaudit.home.rglob("*")] == ["folder"]


def test_a_snapshot_without_a_curable_source_is_incomplete(server, dbaudit, aud):
    run = dbaudit("snapshot", "-o", "s.db", server=server)
    assert run.code == dbaudit("grants", "--check", server=server).code, run
    server.account("nothing")
    assert dbaudit("snapshot", "-o", "s.db", server=server, user="nothing").code == 3
    assert (dbaudit.home / "s.db").exists()


def test_an_unreachable_server_leaves_no_file(dbaudit):
    run = dbaudit("snapshot", "-o", "s.db", "-h", "127.0.0.1", "-P", "1", "-u", "aud")
    assert run.code == 3 and not list(dbaudit.home.iterdir())


# --- secrets


def run_for_long(server, sql):
    """A statement that is seen running."""
    waiter = server.background(sql)
    server.wait_for(
        f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {waiter.connection_id} AND COMMAND = 'Query' AND INFO IS NOT NULL",
        "the statement runs",
    )
    return waiter


def test_redacted_snapshot_has_no_literal_of_any_statement(server, dbaudit, aud):
    ended = server.connect().cursor()
    ended.execute("SELECT 'ended-literal', 55555123 /* ended-comment */")
    run_for_long(server, "SELECT SLEEP(60), 'running-literal', \"double-literal\", 987650123, x'DEADBEEF99' /* running-comment */ -- line-comment")
    assert dbaudit("snapshot", "--redact", "-o", "s.db", server=server).code in (0, 3)
    data = bytes_of(dbaudit.home)
    for literal in (b"ended-literal", b"55555123", b"ended-comment", b"running-literal", b"double-literal", b"987650123", b"DEADBEEF99", b"running-comment", b"line-comment"):
        assert literal not in data, literal
    assert b"SLEEP" in data


def test_without_redact_statements_are_whole(server, dbaudit, aud):
    run_for_long(server, "SELECT SLEEP(60), 'running-literal'")
    dbaudit("snapshot", "-o", "s.db", server=server)
    assert b"running-literal" in bytes_of(dbaudit.home)


@pytest.mark.parametrize("statement", [
    f"SELECT SLEEP(60) /* CREATE USER x IDENTIFIED BY '{SECRET}' */",
    f"SELECT SLEEP(60), 'SET PASSWORD', '{SECRET}'",
    f"SELECT SLEEP(60), 'CHANGE MASTER TO MASTER_PASSWORD=', '{SECRET}'",
    f"SELECT SLEEP(60), 'identified', '{'x' * 990}{SECRET}'",  # cut in the middle of the literal
])  # fmt: skip
def test_no_secret_of_a_statement_is_kept(server, dbaudit, aud, statement):
    run_for_long(server, statement)
    dbaudit("snapshot", "-o", "s.db", server=server)
    run = dbaudit("query", "SELECT * FROM sessions LEFT JOIN statements USING (processlist_id)", "--format", "json", server=server)
    data = bytes_of(dbaudit.home) + run.out.encode() + dbaudit("audit", "--format", "json", server=server).out.encode()
    assert SECRET.encode()[:8] not in data


def test_no_password_of_an_account_being_made_is_kept(server, dbaudit, aud):
    server.connect().cursor().execute("FLUSH TABLES WITH READ LOCK")
    server._accounts.append("made")
    maker = server.background(f"CREATE USER 'made'@'%' IDENTIFIED BY '{SECRET}'")
    server.wait_for(f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {maker.connection_id} AND STATE LIKE 'Waiting for%'", "it waits")
    assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
    server.admin(f"KILL {maker.connection_id}")
    assert SECRET.encode() not in bytes_of(dbaudit.home)


def test_no_password_hash_is_kept(server, dbaudit, aud):
    dbaudit("snapshot", "-o", "s.db", server=server, user=server.root[0], password=server.root[1])
    hashes = {value for (value,) in server.admin("SELECT authentication_string FROM mysql.user WHERE user = 'aud'") if value}
    data = bytes_of(dbaudit.home)
    for value in hashes:
        assert (value if isinstance(value, bytes) else value.encode()) not in data


@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_no_secret_variable_is_kept(kind, start_server, dbaudit):
    server = start_server(kind, f"--report-password={SECRET}", "--report-host=replica-7")
    assert dbaudit("snapshot", "-o", "s.db", server=server, user="root", password="").code in (0, 3)
    data = bytes_of(dbaudit.home)
    assert SECRET.encode() not in data and b"replica-7" in data
    everything = dbaudit("query", "SELECT * FROM global_variables", "--format", "json", server=server, user="root", password="")
    assert SECRET not in everything.out and "(not stored)" in everything.out


# --- what isn't a snapshot of ours


@pytest.fixture(scope="module")
def snapshot(launcher, tmp_path_factory):
    """A good one, made once."""
    if servers.external_servers():
        pytest.skip("NEEDS A SERVER OF ITS OWN")
    home = tmp_path_factory.mktemp("snapshot")
    server = launcher.start("snapshot", "mariadb-10.11")
    rules = pathlib.Path(os.environ.get("DBAUDIT_RULES") or servers.SOURCE / "rules").resolve()
    run = Dbaudit(pathlib.Path(os.environ["DBAUDIT"]).resolve(), rules, home)("snapshot", "-o", "good.db", server=server, user="root", password="")
    launcher.stop(server)
    assert run.code == 3, run  # MariaDB as it is installed shows no metadata lock
    return home / "good.db"


def assert_refused(dbaudit, path, *words):
    for command in (["audit"], ["audit", "--format", "json"], ["query", "SELECT * FROM server"]):
        run = dbaudit(*command, "--from", path, timeout=20)
        assert run.code == 2, run
        assert run.out == "" and str(path) in run.err, run
        assert not words or any(word in run.err for word in words), run


def test_good_snapshot_is_taken(snapshot, dbaudit):
    assert dbaudit("audit", "--from", snapshot).code in (0, 3)


@pytest.mark.parametrize("keep", [1, 15, 16, 99, 100, 1000, 4095, 4096, 8192, "half", "all but a page", "all but a byte"])
def test_truncated_snapshot_is_refused(snapshot, dbaudit, keep):
    data = snapshot.read_bytes()
    keep = {"half": len(data) // 2, "all but a page": len(data) - 4096, "all but a byte": len(data) - 1}.get(keep, keep)
    path = dbaudit.home / "cut.db"
    path.write_bytes(data[:keep])
    assert_refused(dbaudit, path, "not a snapshot", "damaged", "truncated")


def test_empty_file_is_refused(dbaudit):
    (dbaudit.home / "empty.db").touch()
    assert_refused(dbaudit, dbaudit.home / "empty.db", "not a snapshot")


def test_text_file_is_refused(dbaudit):
    (dbaudit.home / "notes.db").write_text("shopping list\n" * 1000)
    assert_refused(dbaudit, dbaudit.home / "notes.db", "not a snapshot")


def test_folder_is_refused(dbaudit):
    (dbaudit.home / "folder.db").mkdir()
    assert_refused(dbaudit, dbaudit.home / "folder.db", "not a file")


def test_missing_file_is_refused(dbaudit):
    assert_refused(dbaudit, dbaudit.home / "gone.db", "No such file")


def test_somebody_elses_database_is_refused(dbaudit):
    with sqlite3.connect(dbaudit.home / "other.db") as database:
        database.execute("CREATE TABLE server (name TEXT)")
    assert_refused(dbaudit, dbaudit.home / "other.db", "not a snapshot")


@pytest.fixture
def altered(snapshot, dbaudit):
    """altered(sql): a copy of the good snapshot in which `sql` was executed."""

    def alter(*statements):
        path = dbaudit.home / "altered.db"
        shutil.copy(snapshot, path)
        database = sqlite3.connect(path)
        for sql in statements:
            database.execute(sql)
        database.commit()
        database.close()
        return path

    return alter


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5, 99])
def test_other_schema_version_is_refused(dbaudit, altered, version):
    """1 is what the first dbaudit wrote: without open tables and the owners of locks; 2 lacks how the server compares names, 3 replicas and upgrades, 4 the keys of tables with one row a server, 5 max_write_lock_count."""
    path = altered(f"PRAGMA user_version = {version}")
    said = f"schema version {version}, this dbaudit reads version 6; use the dbaudit that wrote it"
    assert_refused(dbaudit, path, said)
    run = dbaudit("locks", "--from", path)
    assert run.code == 2 and said in run.err and run.out == "", run


@pytest.mark.parametrize("change", [
    "CREATE VIEW evil AS SELECT * FROM server",
    "CREATE TRIGGER evil AFTER INSERT ON server BEGIN SELECT 1; END",
    "CREATE TABLE extra (a)",
    "DROP TABLE sessions",
    "ALTER TABLE sessions ADD COLUMN extra",
    "CREATE INDEX extra ON sessions (user)",
])  # fmt: skip
def test_changed_schema_is_refused(dbaudit, altered, change):
    assert_refused(dbaudit, altered(change), "tables", "damaged")


def test_view_in_place_of_a_table_is_refused(dbaudit, altered):
    path = altered("DROP TABLE sessions", "CREATE VIEW sessions AS SELECT * FROM server")
    assert_refused(dbaudit, path, "tables")


def test_impossible_values_do_no_harm(dbaudit, altered):
    """The schema is ours, the values are anybody's."""
    path = altered(
        "UPDATE server SET version = 'banana', name = x'ff00fe', taken_at = 'never'",
        "UPDATE fact_source SET status = 'fine', reason = char(27) || '[2J'",
    )
    for form in ("text", "json"):
        run = dbaudit("audit", "--from", path, "--format", form)
        assert run.code == 3, run
        assert "\x1b" not in run.out + run.err


def test_one_bad_snapshot_among_good_ones_is_an_error(snapshot, dbaudit):
    (dbaudit.home / "bad.db").write_text("no")
    (dbaudit.home / "worse.db").write_text("no")
    run = dbaudit("audit", "--from", "bad.db", snapshot, "worse.db")
    assert run.code == 2 and "snapshot bad.db" in run.err and "snapshot worse.db" in run.err, run


def test_snapshot_without_a_server_is_refused(dbaudit, altered):
    path = altered("DELETE FROM server")
    assert_refused(dbaudit, path, "it holds no server")
    run = dbaudit("locks", "--from", path)
    assert run.code == 2 and "it holds no server" in run.err, run


def test_unknown_words_for_how_reading_ended_are_no_pass(dbaudit, altered):
    run = dbaudit("audit", "--format", "json", "--only", "VAR001", "--from", altered("UPDATE fact_source SET status = 'fine'"))
    assert [result["outcome"] for result in run.json()["results"]] == ["unknown"] and "status 'fine' is unknown" in run.out


def test_flipped_bytes_never_crash(snapshot, dbaudit):
    """Whatever a disk makes of it: an answer or a refusal, never a crash. The runner fails on signals and code 70."""
    data = bytearray(snapshot.read_bytes())
    for place in range(50, len(data), len(data) // 25):
        damaged = bytearray(data)
        damaged[place : place + 16] = bytes(byte ^ 0xFF for byte in damaged[place : place + 16])
        (dbaudit.home / "flipped.db").write_bytes(damaged)
        assert dbaudit("audit", "--from", "flipped.db", "--format", "json").code in (0, 1, 2, 3)

"""Real production stories, rebuilt on a real server: the answer names the cause, the culprit and the remedy."""

import re

import pytest

from reports import results
from test_harmless import grants_of
from test_privileges import has_performance_schema
from test_traps import sees_metadata_locks, shop, transaction, waiting  # noqa: F401 (shop is a fixture)


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


@pytest.fixture
def audit(server, dbaudit, aud):
    """audit(*args): the JSON report; .run is the last run."""

    def run(*args):
        run.run = dbaudit("audit", "--format", "json", *args, server=server)
        return run.run.json()

    return run


def idle_for_a_second(server, session):
    server.wait_for(f"SELECT TIME >= 1 FROM information_schema.PROCESSLIST WHERE ID = {session.thread_id()}", "it has been idle for a second")


def end(server, remedy):
    """Runs the KILL of a remedy, and waits until the session has gone."""
    number = re.search(r"KILL (\d+)", remedy)[1]
    server.admin(f"KILL {number}")
    server.wait_for(f"SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE ID = {number}", "it has gone")


# --- A: the forgotten SELECT


@pytest.fixture
def forgotten_select(server, shop):  # noqa: F811
    """One SELECT in DataGrip, then lunch; a migration; everybody else."""
    server.account("dev", "ALL ON shop.*")
    select = "/* ApplicationName=DataGrip 2024.2 */ SELECT * FROM shop.t"
    lunch = server.connect("dev", "pw", autocommit=False, attributes={"program_name": "DataGrip"})
    lunch.cursor().execute(select)
    waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT", "Waiting for table metadata lock%")
    for _ in range(3):
        waiting(server, "SELECT COUNT(*) FROM shop.t", "Waiting for table metadata lock%")
    idle_for_a_second(server, lunch)
    return lunch


def test_forgotten_select_is_named_while_everybody_waits(server, audit, forgotten_select):
    report = audit("--param", "max_idle=500ms")
    failures = results(report, "TRX001", "fail")
    mine = [result for result in failures if result["evidence"]["connection_id"] == forgotten_select.thread_id()]
    assert len(mine) == 1 and len(failures) == 1, failures
    culprit = mine[0]
    assert culprit["evidence"]["user"] == "dev" and "dev@" in culprit["subject"]
    assert f"KILL {forgotten_select.thread_id()}" in culprit["remedy"]
    assert culprit["evidence"]["idle_s"] >= 1 and culprit["evidence"]["transaction_s"] >= 1
    assert culprit["evidence"]["waiting_sessions"] == 4
    assert culprit["severity"] == "error" and audit.run.code == 1
    if sees_metadata_locks(server):
        assert "shop.t" in culprit["message"]
    else:
        assert "metadata locks not observed" in culprit["evidence"]["holds"]
    assert ("inferred" in culprit["message"]) == (not has_performance_schema(server))
    if has_performance_schema(server):
        assert "SELECT * FROM shop.t" in culprit["evidence"]["last_statement"]
        assert culprit["evidence"]["program"] == "DataGrip"
    if server.flavor == "mariadb":
        assert "idle_transaction_timeout" in culprit["remedy"]


@pytest.mark.fires("TRX001")
def test_the_remedy_frees_everybody(server, audit, forgotten_select):
    remedy = results(audit("--param", "max_idle=500ms"), "TRX001", "fail")[0]["remedy"]
    assert f"KILL {forgotten_select.thread_id()}" in remedy
    server.admin(f"KILL {forgotten_select.thread_id()}")
    server.wait_for("SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata%%'", "nobody waits")
    assert not results(audit("--param", "max_idle=500ms"), "TRX001", "fail")


@pytest.mark.fires("TRX002", on=("mysql", "mariadb-11.8-ps"))
def test_a_human_in_a_transaction_is_told_apart(server, audit, forgotten_select):
    found = results(audit("--param", "max_human_idle=500ms"), "TRX002")
    if not has_performance_schema(server):
        assert [result["outcome"] for result in found] == ["unknown"]
        return
    assert [(result["outcome"], result["evidence"]["product"], result["evidence"]["connection_id"]) for result in found] == [("fail", "DataGrip", forgotten_select.thread_id())]
    end(server, found[0]["remedy"])
    assert not results(audit("--param", "max_human_idle=500ms"), "TRX002", "fail")


def test_last_statement_inside_begin_is_seen_and_names_the_client(server, audit, shop):  # noqa: F811
    """MySQL nests the statements of an explicit transaction in its event; no program_name helps here."""
    if not has_performance_schema(server):
        return
    session = server.connect()
    for sql in ("BEGIN", "/* ApplicationName=DataGrip 2024.2 */ SELECT * FROM shop.t"):
        session.cursor().execute(sql)
    idle_for_a_second(server, session)
    report = audit("--param", "max_idle=500ms", "--param", "max_human_idle=500ms")
    for rule in ("TRX001", "TRX002"):
        found = results(report, rule, "fail")
        assert [result["evidence"]["connection_id"] for result in found] == [session.thread_id()], rule
        assert "SELECT * FROM shop.t" in found[0]["evidence"]["last_statement"]
    assert results(report, "TRX002", "fail")[0]["evidence"]["product"] == "DataGrip"


def test_before_the_incident_the_limit_on_waiting_is_a_finding(server, audit):
    result = results(audit(), "VAR001", "fail")[0]
    assert result["evidence"]["lock_wait_timeout_s"] == (31536000 if server.flavor == "mysql" else 86400)
    server.set_global(lock_wait_timeout=60)
    assert results(audit(), "VAR001", "pass")


def test_row_lock_holder_with_waiters_is_an_error(server, audit, shop):  # noqa: F811
    holder = transaction(server, "UPDATE shop.t SET v = 3 WHERE id = 1")
    for _ in range(2):
        server.background("UPDATE shop.t SET v = 4 WHERE id = 1")
    server.wait_for("SELECT COUNT(*) = 2 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "two wait")
    idle_for_a_second(server, holder)
    failures = results(audit("--param", "max_idle=500ms"), "TRX001", "fail")
    assert [result["evidence"]["connection_id"] for result in failures] == [holder.thread_id()]
    assert failures[0]["severity"] == "error" and audit.run.code == 1
    assert failures[0]["evidence"]["waiting_sessions"] == 2 and failures[0]["evidence"]["rows_modified"] == 1


@pytest.mark.fires("TRX003", on=("mysql", "mariadb-10.11-plugin", "mariadb-11.8-ps"))
def test_lock_tables_of_somebody_asleep_is_found_without_a_transaction(server, audit, shop):  # noqa: F811
    holder = server.connect()
    holder.cursor().execute("LOCK TABLES shop.t WRITE")
    waiting(server, "SELECT * FROM shop.t")
    idle_for_a_second(server, holder)
    found = results(audit("--param", "max_idle=500ms"), "TRX003")
    if not sees_metadata_locks(server):
        assert [result["outcome"] for result in found] == ["unknown"]
        return
    assert [(result["outcome"], result["evidence"]["connection_id"]) for result in found] == [("fail", holder.thread_id())]
    assert found[0]["remedy"].startswith("Let it release what it holds: UNLOCK TABLES")
    holder.cursor().execute("UNLOCK TABLES")
    idle_for_a_second(server, holder)
    assert not results(audit("--param", "max_idle=500ms"), "TRX003", "fail")


# --- B: the well-meant wait_timeout

POOLS = '''
[[pool]]
name = "export"
library = "tomcat_jdbc"
settings = { testOnBorrow = false, testOnReturn = false, testWhileIdle = false }

[[pool]]
name = "checkout"
library = "hikaricp"
version = "5.1.0"
settings = { maximumPoolSize = 20 }
'''


@pytest.fixture
def pools(dbaudit):
    (dbaudit.home / "pools.toml").write_text(POOLS)
    return ["--pools", "pools.toml"]


def hazards(report):
    return {(result["subject"], result["hazard"]) for result in results(report, outcome="fail") if result["rule"] in ("POOL001", "POOL002")}


def test_short_wait_timeout_breaks_the_pool_that_does_not_look(server, audit, pools):
    server.set_global(wait_timeout=180)
    report = audit(*pools)
    assert hazards(report) == {("export", "dead_handout"), ("checkout", "noisy_close")}
    assert audit.run.code == 1
    dead = results(report, "POOL001", "fail")[0]
    assert dead["severity"] == "error" and dead["evidence"]["idle_limit_s"] == 180
    assert dead["evidence"]["idle_limit_by"] == "wait_timeout"
    assert dead["remedy"]
    assert results(report, "POOL002", "fail")[0]["severity"] == "warning"


def test_long_wait_timeout_leaves_hikaricp_alone(server, audit, pools):
    assert ("checkout", "noisy_close") not in hazards(audit(*pools))


def test_the_margin_is_a_parameter(server, audit, pools):
    server.set_global(wait_timeout=1810)  # HikariCP retires a connection after 1800 s
    assert ("checkout", "noisy_close") not in hazards(audit(*pools, "--param", "safety_margin=5s"))
    assert ("checkout", "noisy_close") in hazards(audit(*pools, "--param", "safety_margin=60s"))


def test_pool_that_sets_its_own_timeout_is_judged_by_that(server, dbaudit, audit):
    server.set_global(wait_timeout=180)
    (dbaudit.home / "own.toml").write_text(
        '[[pool]]\nname = "own"\nlibrary = "hikaricp"\nversion = "5.1.0"\nurl = "jdbc:mysql://db/shop?sessionVariables=wait_timeout=28800"\n'
    )
    assert hazards(audit("--pools", "own.toml")) == set()


# --- C: the rollback that did not roll back


def test_two_hundred_sessions_that_still_carry_the_old_value(server, audit):
    stale = {"checkout": 120, "report": 60, "rails": 20}
    server.set_global(max_connections=300, wait_timeout=180, interactive_timeout=180)
    for account, count in stale.items():
        server.account(account)
        for _ in range(count):
            server.connect(account, "pw", program_name=account)
    server.set_global(wait_timeout=28800, interactive_timeout=28800)
    for account in stale:
        server.connect(account, "pw", program_name=account)  # one each that has the new value
    found = results(audit(), "SES001")
    if server.flavor == "mariadb":  # nobody sees another session's variables there
        assert [(result["outcome"], result["curable"]) for result in found] == [("unknown", False)]
        return
    failures = {result["evidence"]["user"]: result["evidence"] for result in found if result["outcome"] == "fail"}
    assert {user: evidence["sessions"] for user, evidence in failures.items()} == stale, found
    assert {evidence["session_wait_timeout_s"] for evidence in failures.values()} == {180}


@pytest.mark.fires("SES003", on=("mariadb",))
def test_what_mariadb_proves_of_old_sessions(server, audit):
    """A session that is asleep for longer than the global value cannot have it."""
    if server.flavor == "mysql":
        return  # it shows the value itself: the test above
    server.account("app")
    old = server.connect("app", "pw")
    server.set_global(wait_timeout=1, interactive_timeout=1)
    server.connect("app", "pw")  # has the new value, and will be gone
    asleep = f"SELECT TIME >= 4 FROM information_schema.PROCESSLIST WHERE ID = {old.thread_id()} AND COMMAND = 'Sleep'"
    server.wait_for(asleep, "a session that sleeps for longer than the global value allows")
    failures = results(audit("--param", "max_overdue=2s"), "SES003", "fail")
    assert [(result["evidence"]["user"], result["evidence"]["sessions"]) for result in failures] == [("app", 1)], failures
    end(server, failures[0]["remedy"])
    assert not results(audit("--param", "max_overdue=2s"), "SES003", "fail")


# --- H: development first, then production


def test_two_systems_are_compared_from_their_snapshots(server, start_server, dbaudit):
    """What was tried in development for two weeks, and what production has: side by side, long after both were read."""
    if server.name not in ("mysql-9.7", "mariadb-10.11"):
        return  # variables are the same whatever else the server shows
    production = start_server(server.name)
    server.set_global(wait_timeout=600)
    for name, one in (("development", server), ("production", production)):
        one.account("aud", grants_of(one))
        (dbaudit.home / f"{name}.toml").write_text(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{one.port}"\ngroup = "shop"\nrole = "primary"\nenvironment = "{name}"\n')
        dbaudit("snapshot", "--config", f"{name}.toml", "--server", name, "-o", f"{name}.db")
    report = dbaudit("audit", "--format", "json", "--only", "DRF002", "VAR002", "--from", "development.db", "production.db").json()
    differs = {one["server"]: one for one in results(report, "DRF002", "fail") if one["subject"] == "wait_timeout"}
    assert set(differs) == {"development", "production"}, report
    assert (differs["production"]["evidence"]["value"], differs["development"]["evidence"]["value"]) == (28800, 600)
    assert "600 on development; 28800 on production" in differs["production"]["message"]
    # MySQL loses who set a variable that sessions have too; MariaDB tells that nothing but SET did.
    lost = [one["subject"] for one in results(report, "VAR002", "fail") if one["server"] == "development"]
    assert server.flavor == "mysql" or "wait_timeout" in lost

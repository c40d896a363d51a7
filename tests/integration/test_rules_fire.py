"""Rules that one setting decides: each fires on a real server that was made wrong, and is quiet when its own remedy was applied."""

import re

import pytest

from reports import results
from servers import wait_for
from test_harmless import grants_of
from test_traps import shop  # noqa: F401 (a fixture)


@pytest.fixture
def judged(server, dbaudit):
    """judged(rule, *args): that rule's results on the server."""
    server.account("aud", grants_of(server))

    def run(rule, *args):
        report = dbaudit("audit", "--format", "json", "--only", rule, *args, server=server).json()
        return report["results"]

    return run


def failure(found):
    failures = [one for one in found if one["outcome"] == "fail"]
    assert len(failures) == 1, found
    return failures[0]


def apply(server, remedy):
    """Runs the statements of a remedy; SET PERSIST as SET GLOBAL, which the test takes back."""
    statements = re.findall(r"SET (?:PERSIST|GLOBAL) (\w+) = '?(\w+)", remedy)
    assert statements, remedy
    server.set_global(**{name: int(value) if value.isdigit() else value for name, value in statements})


WRONG = [
    ("VAR001", {"lock_wait_timeout": 31536000}, "warning"),
    ("VAR003", {"autocommit": "OFF"}, "warning"),
    ("LCK005", {"innodb_lock_wait_timeout": 600}, "warning"),
    ("EVI001", {"slow_query_log": "OFF", "log_output": "FILE"}, "warning"),
    ("EVI003", {"innodb_print_all_deadlocks": "OFF"}, "info"),
]  # fmt: skip


@pytest.mark.parametrize("rule, wrong, severity", WRONG, ids=[rule for rule, _, _ in WRONG])
def test_a_setting_and_its_remedy(server, judged, rule, wrong, severity):
    server.set_global(**wrong)
    found = failure(judged(rule))
    assert found["severity"] == severity
    for name, value in wrong.items():
        seen = found["evidence"].get(name, found["evidence"].get(f"{name}_s"))
        assert seen == value, found
    apply(server, found["remedy"])
    assert {one["outcome"] for one in judged(rule)} == {"pass"}


def test_isolation_level_of_everybody(server, judged):
    name = "transaction_isolation" if server.admin("SHOW GLOBAL VARIABLES LIKE 'transaction_isolation'") else "tx_isolation"
    for level, what in (("READ-UNCOMMITTED", "reads rows"), ("SERIALIZABLE", "locks the rows")):
        server.set_global(**{name: level})
        found = failure(judged("VAR005"))
        assert found["evidence"]["transaction_isolation"] == level and what in found["message"]
        server.admin(re.match(r"SET .*?(?=, and|\. )", found["remedy"])[0].replace("PERSIST", "GLOBAL"))
        assert [one["outcome"] for one in judged("VAR005")] == ["pass"]


def test_idle_transactions_that_nothing_ends(server, judged):
    if server.flavor == "mysql":
        assert [one["outcome"] for one in judged("TRX005")] == ["not_applicable"]
        return
    server.set_global(idle_transaction_timeout=0, idle_readonly_transaction_timeout=0, idle_write_transaction_timeout=0)
    assert "no idle_transaction_timeout is set" in failure(judged("TRX005"))["message"]
    apply(server, failure(judged("TRX005"))["remedy"].replace("= n,", "= 300,"))
    assert [one["outcome"] for one in judged("TRX005")] == ["pass"]


def test_metadata_locks_that_nobody_could_see(server, judged):
    if server.flavor == "mysql":
        server.admin("UPDATE performance_schema.setup_instruments SET ENABLED = 'NO' WHERE NAME = 'wait/lock/metadata/sql/mdl'")
        remedy = failure(judged("EVI002"))["remedy"]
        server.admin(re.match(r"UPDATE .*?'wait/lock/metadata/sql/mdl'", remedy)[0])
    elif (found := judged("EVI002"))[0]["outcome"] == "fail":
        server.admin(re.match(r"INSTALL SONAME '\w+'", failure(found)["remedy"])[0])
        try:
            assert [one["outcome"] for one in judged("EVI002")] == ["pass"]
        finally:
            server.admin("UNINSTALL SONAME 'metadata_lock_info'")
        return
    assert [one["outcome"] for one in judged("EVI002")] == ["pass"]


def test_xa_transaction_left_behind(server, judged, shop):  # noqa: F811
    session = server.connect()
    for sql in ("XA START 'order-17'", "UPDATE shop.t SET v = v + 1", "XA END 'order-17'", "XA PREPARE 'order-17'"):
        session.cursor().execute(sql)
    if server.flavor == "mariadb":  # MySQL takes it from its session at once
        seen = "InnoDB shows the transaction under its session"  # it renews its list when nobody has read it for 100 ms
        wait_for(lambda: {one["outcome"] for one in judged("TRX004", "--param", "max_prepared=10ms")} == {"pass"}, seen, 20, 0.15)
    number = session.thread_id()
    session._force_close()
    server.wait_for(f"SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE ID = {number}", "the session has gone")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = 0", "the transaction is nobody's")
    found = wait_for(lambda: [one for one in judged("TRX004", "--param", "max_prepared=10ms") if one["outcome"] == "fail"], "it is found")
    assert found[0]["evidence"]["prepared"] == 1 and found[0]["severity"] == "error"
    statement = re.search(r"XA ROLLBACK .*?(?=, or XA COMMIT)", found[0]["remedy"])[0]
    server.admin(statement)
    wait_for(lambda: {one["outcome"] for one in judged("TRX004", "--param", "max_prepared=10ms")} == {"pass"}, "it is gone", 20, 0.15)


# --- replication: a real primary and its replica


WORDS = {"mysql": ("REPLICATION SOURCE", "SOURCE", "REPLICA"), "mariadb": ("MASTER", "MASTER", "SLAVE")}


@pytest.fixture(params=["mysql-9.7", "mariadb-10.11"])
def pair(request, start_server):
    """(primary, replica): the replica follows, and has an account aud."""
    primary = start_server(request.param, "--server-id=1", "--log-bin=bin")
    replica = start_server(request.param, "--server-id=2")
    primary.account("repl", "REPLICATION SLAVE ON *.*")
    status = "SHOW BINARY LOG STATUS" if primary.flavor == "mysql" else "SHOW MASTER STATUS"
    file, position = primary.admin(status)[0][:2]
    command, prefix, _ = WORDS[primary.flavor]
    options = {"HOST": "'127.0.0.1'", "PORT": primary.port, "USER": "'repl'", "PASSWORD": "'pw'", "LOG_FILE": f"'{file}'", "LOG_POS": position, "CONNECT_RETRY": 1}
    more = ", GET_SOURCE_PUBLIC_KEY = 1" if primary.flavor == "mysql" else ""
    replica.admin(f"CHANGE {command} TO " + ", ".join(f"{prefix}_{key} = {value}" for key, value in options.items()) + more)
    replica.account("aud", grants_of(replica))
    return primary, replica


def judged_on(dbaudit, server, rule, *args):
    return dbaudit("audit", "--format", "json", "--only", rule, *args, server=server).json()["results"]


def test_replication_that_stops_and_that_is_late(pair, dbaudit):
    """Incident F: lag made with a delayed applier."""
    primary, replica = pair
    command, prefix, word = WORDS[primary.flavor]
    outcomes = lambda *args: {one["subject"]: one["outcome"] for one in judged_on(dbaudit, replica, "REP001", *args)}
    found = failure(judged_on(dbaudit, replica, "REP001"))
    assert found["severity"] == "error" and "changes are not applied (No)" in found["message"] and f"127.0.0.1:{primary.port}" in found["message"]
    replica.admin(f"CHANGE {command} TO {prefix}_DELAY = 3600")
    replica.admin(f"START {word}")
    follows = {"replication": "pass", "lag of replication": "pass"}
    wait_for(lambda: outcomes() == follows, "it follows")
    primary.admin("CREATE DATABASE late")
    late = wait_for(lambda: [one for one in judged_on(dbaudit, replica, "REP001", "--param", "max_lag=500ms") if one["outcome"] == "fail"], "the replica is late")[0]
    assert late["severity"] == "warning" and late["evidence"]["behind_s"] >= 1
    assert late["subject"] == "lag of replication" and outcomes("--param", "max_lag=2h") == follows
    replica.admin(f"STOP {word}")
    replica.admin(f"CHANGE {command} TO {prefix}_DELAY = 0")
    replica.admin(f"START {word}")
    replica.wait_for(lambda: replica.admin("SHOW DATABASES LIKE 'late'"), "it has caught up")
    wait_for(lambda: outcomes("--param", "max_lag=500ms") == follows, "and says so")
    primary.account("aud", grants_of(primary))
    assert [one["outcome"] for one in judged_on(dbaudit, primary, "REP001")] == ["not_applicable"]


def test_read_only_by_role(pair, dbaudit):
    primary, replica = pair
    found = failure(judged_on(dbaudit, replica, "REP002"))
    assert found["severity"] == "warning" and found["evidence"]["role"] == "replica"
    apply(replica, found["remedy"])
    assert [one["outcome"] for one in judged_on(dbaudit, replica, "REP002")] == ["pass"]
    # After a failover somebody declares it as primary, and forgets to open it.
    (dbaudit.home / "dbaudit.toml").write_text(f'[[server]]\nname = "db"\nrole = "primary"\nurl = "mysql://aud@127.0.0.1:{replica.port}"\n')
    audit = lambda: dbaudit("audit", "--format", "json", "--only", "REP002").json()["results"]
    found = failure(audit())
    assert found["severity"] == "error" and "refuses writes" in found["message"]
    apply(replica, found["remedy"])
    assert [one["outcome"] for one in audit()] == ["pass"]

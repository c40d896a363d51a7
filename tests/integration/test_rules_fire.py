"""Rules that one setting decides: each fires on a real server that was made wrong, and is quiet when its own remedy was applied."""

import re

import pymysql
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
    pytest.param("VAR001", {"lock_wait_timeout": 31536000}, "warning", marks=pytest.mark.fires("VAR001"), id="VAR001"),
    pytest.param("VAR003", {"autocommit": "OFF"}, "warning", marks=pytest.mark.fires("VAR003"), id="VAR003"),
    pytest.param("LCK005", {"innodb_lock_wait_timeout": 600}, "warning", marks=pytest.mark.fires("LCK005"), id="LCK005"),
    pytest.param("EVI001", {"slow_query_log": "OFF", "log_output": "FILE"}, "warning", marks=pytest.mark.fires("EVI001"), id="EVI001"),
    pytest.param("EVI003", {"innodb_print_all_deadlocks": "OFF"}, "info", marks=pytest.mark.fires("EVI003"), id="EVI003"),
]  # fmt: skip


@pytest.mark.parametrize("rule, wrong, severity", WRONG)
def test_a_setting_and_its_remedy(server, judged, rule, wrong, severity):
    server.set_global(**wrong)
    found = failure(judged(rule))
    assert found["severity"] == severity
    for name, value in wrong.items():
        seen = found["evidence"].get(name, found["evidence"].get(f"{name}_s"))
        assert seen == value, found
    apply(server, found["remedy"])
    assert {one["outcome"] for one in judged(rule)} == {"pass"}


@pytest.mark.fires("VAR005")
def test_isolation_level_of_everybody(server, judged):
    name = "transaction_isolation" if server.admin("SHOW GLOBAL VARIABLES LIKE 'transaction_isolation'") else "tx_isolation"
    for level, what in (("READ-UNCOMMITTED", "reads rows"), ("SERIALIZABLE", "locks the rows")):
        server.set_global(**{name: level})
        found = failure(judged("VAR005"))
        assert found["evidence"]["transaction_isolation"] == level and what in found["message"]
        server.admin(re.match(r"SET .*?(?=, and|\. )", found["remedy"])[0].replace("PERSIST", "GLOBAL"))
        assert [one["outcome"] for one in judged("VAR005")] == ["pass"]


@pytest.mark.fires("TRX005", on=("mariadb",))
def test_idle_transactions_that_nothing_ends(server, judged):
    if server.flavor == "mysql":
        assert [one["outcome"] for one in judged("TRX005")] == ["not_applicable"]
        return
    server.set_global(idle_transaction_timeout=0, idle_readonly_transaction_timeout=0, idle_write_transaction_timeout=0)
    assert "no idle_transaction_timeout is set" in failure(judged("TRX005"))["message"]
    apply(server, failure(judged("TRX005"))["remedy"].replace("= n,", "= 300,"))
    assert [one["outcome"] for one in judged("TRX005")] == ["pass"]


@pytest.mark.fires("EVI002", on=("mysql", "mariadb-10.11", "mariadb-11.8"))
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


@pytest.mark.fires("TRX004")
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
    """(primary, replica): the replica can follow, and both have an account aud."""
    gtid = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"] if request.param.startswith("mysql") else []  # MariaDB always has them
    primary = start_server(request.param, "--server-id=1", "--log-bin=bin", *gtid)
    replica = start_server(request.param, "--server-id=2", "--report-host=127.0.0.1", *gtid)
    primary.account("repl", "REPLICATION SLAVE ON *.*")
    primary.account("aud", grants_of(primary))
    follow(primary, replica)
    replica.account("aud", grants_of(replica))
    return primary, replica


def follow(primary, replica):
    """Makes it a replica from where the primary is now, without starting it."""
    status = "SHOW BINARY LOG STATUS" if primary.flavor == "mysql" else "SHOW MASTER STATUS"
    file, position = primary.admin(status)[0][:2]
    command, prefix, _ = WORDS[primary.flavor]
    options = {"HOST": "'127.0.0.1'", "PORT": primary.port, "USER": "'repl'", "PASSWORD": "'pw'", "LOG_FILE": f"'{file}'", "LOG_POS": position, "CONNECT_RETRY": 1}
    more = ", GET_SOURCE_PUBLIC_KEY = 1" if primary.flavor == "mysql" else ""
    replica.admin(f"CHANGE {command} TO " + ", ".join(f"{prefix}_{key} = {value}" for key, value in options.items()) + more)


def judged_on(dbaudit, server, rule, *args):
    return dbaudit("audit", "--format", "json", "--only", rule, *args, server=server).json()["results"]


def pointed_at(dbaudit, pair, name, keys):
    """audit(rule): the results of a run over both servers, with a pool api that is declared to talk to one of them."""
    declared = zip(("primary", "replica"), pair, ("", 'replica_of = "primary"\n'))
    text = "".join(f'[[server]]\nname = "{role}"\nrole = "{role}"\nurl = "mysql://aud@127.0.0.1:{one.port}"\n{more}' for role, one, more in declared)
    (dbaudit.home / "dbaudit.toml").write_text(f'{text}[[pool]]\nname = "api"\nlibrary = "hikaricp"\nserver = "{name}"\n{keys}\n')
    return lambda rule, *args: results(dbaudit("audit", "--format", "json", "--only", rule, *args).json(), rule)


def of_api(found):
    return [one for one in found if one["subject"] == "api"]


@pytest.mark.fires("REP001", "REP004")
def test_replication_that_stops_and_that_is_late(pair, dbaudit):
    """Incident F: lag made with a delayed applier; what a pool reads there is not what it has just written."""
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
    waited = reads_its_own_writes(dbaudit, pair)
    replica.admin(f"STOP {word}")
    replica.admin(f"CHANGE {command} TO {prefix}_DELAY = 0")
    replica.admin(f"START {word}")
    assert waited(20) == 0 and replica.admin("SHOW DATABASES LIKE 'late'"), "it has caught up"
    wait_for(lambda: outcomes("--param", "max_lag=500ms") == follows, "and says so")
    assert [one["outcome"] for one in judged_on(dbaudit, primary, "REP001")] == ["not_applicable"]


@pytest.mark.fires("REP001")
def test_a_replica_that_is_none(pair, dbaudit):
    """RESET REPLICA ALL leaves the same empty status as a server that never was a replica: only the declaration tells."""
    primary, replica = pair
    command, _, word = WORDS[primary.flavor]
    replica.admin(f"RESET {word} ALL")
    assert [one["outcome"] for one in judged_on(dbaudit, replica, "REP001")] == ["not_applicable"]
    audit = pointed_at(dbaudit, pair, "primary", "")
    of_replica = lambda: [one for one in audit("REP001") if one["server"] == "replica"]
    found = failure(of_replica())
    assert found["severity"] == "error" and found["message"].startswith("declared as a replica of primary: it has no replication channel at all")
    assert f"CHANGE {command} TO ..., then START {word}, " in found["remedy"]
    assert dbaudit("audit", "--only", "REP001").code == 1
    assert [one["outcome"] for one in audit("REP001") if one["server"] == "primary"] == ["not_applicable"]
    follow(primary, replica)
    replica.admin(f"START {word}")
    follows = {"replication": "pass", "lag of replication": "pass"}
    wait_for(lambda: {one["subject"]: one["outcome"] for one in of_replica()} == follows, "it follows")


def reads_its_own_writes(dbaudit, pair):
    primary, replica = pair
    audit = pointed_at(dbaudit, pair, "replica", "reads_own_writes = true")
    found = failure(audit("REP004"))
    assert (found["subject"], found["server"], found["severity"], found["hazard"]) == ("api", "replica", "warning", "stale_read")
    assert found["evidence"]["lag_s"] >= 1 and "s behind" in found["message"]
    assert primary.admin("SHOW DATABASES LIKE 'late'") and not replica.admin("SHOW DATABASES LIKE 'late'"), "what was written is not read"
    for declared in ("", "writes = false"):
        silent = of_api(pointed_at(dbaudit, pair, "replica", declared)("REP004"))
        assert [(one["outcome"], one["curable"]) for one in silent] == [("unknown", True)] and "reads_own_writes = true or" in silent[0]["remedy"]
    assert dbaudit("audit", "--only", "REP004").code == 0, "what nobody declared does not make a run incomplete"
    # The remedy, either way: at the primary, or the application waits for its own transaction.
    assert "at the primary (primary), and say so in server" in found["remedy"]
    assert {one["outcome"] for one in pointed_at(dbaudit, pair, "primary", "reads_own_writes = true")("REP004")} == {"not_applicable"}
    assert [one["outcome"] for one in of_api(pointed_at(dbaudit, pair, "replica", "reads_own_writes = false")("REP004"))] == ["pass"]
    wait, gives_up = re.search(r"(\w+)\(gtid, timeout\)", found["remedy"])[1], -1 if replica.flavor == "mariadb" else 1
    # MySQL gives it to a driver that asks for it; it is the last one that was executed.
    gtid = primary.admin("SELECT @@last_gtid" if replica.flavor == "mariadb" else "SELECT REGEXP_REPLACE(@@gtid_executed, ':.*[-:]', ':')")[0][0]
    waited = lambda seconds: replica.admin(f"SELECT {wait}(%s, %s)", (gtid, seconds))[0][0]
    assert gtid and waited(0.1) == gives_up
    (dbaudit.home / "dbaudit.toml").unlink()
    return waited


@pytest.mark.fires("REP002", "REP003")
def test_read_only_by_role(pair, dbaudit):
    primary, replica = pair
    replica.account("app", "ALL ON shop.*")
    replica.admin("CREATE DATABASE shop")
    replica.admin("CREATE TABLE shop.t (id INT PRIMARY KEY)")
    (dbaudit.home / "pools.toml").write_text('[[pool]]\nname = "api"\nlibrary = "hikaricp"\nwrites = true\n')
    api = lambda: failure(judged_on(dbaudit, replica, "REP003", "--pools", "pools.toml"))
    insert = lambda number: replica.connect("app", "pw").cursor().execute(f"INSERT INTO shop.t VALUES ({number})")

    # Nobody declared a role: it replicates, so it is a replica.
    taken = api()
    assert (taken["severity"], taken["hazard"]) == ("error", "diverges") and "exists on the replica only" in taken["message"]
    assert f"at the primary (127.0.0.1:{primary.port})" in taken["remedy"]
    insert(1)
    assert not primary.admin("SHOW DATABASES LIKE 'shop'")

    found = failure(judged_on(dbaudit, replica, "REP002"))
    assert found["severity"] == "warning" and found["evidence"]["role"] == "replica"
    replica.set_global(read_only="ON")
    assert (api()["severity"], api()["hazard"]) == ("error", "refused")
    with pytest.raises(pymysql.MySQLError) as refused:
        insert(2)
    assert refused.value.args[0] == 1290 and "1290" in api()["message"]
    privilege = "CONNECTION_ADMIN" if replica.flavor == "mysql" else "READ_ONLY ADMIN"
    assert privilege in api()["message"]
    replica.admin(f"GRANT {privilege} ON *.* TO app@'%'")
    insert(3)
    if replica.flavor == "mysql":
        found = failure(judged_on(dbaudit, replica, "REP002"))
        assert found["severity"] == "info" and "accounts with SUPER or CONNECTION_ADMIN" in found["message"]
    apply(replica, found["remedy"])
    assert [one["outcome"] for one in judged_on(dbaudit, replica, "REP002")] == ["pass"]
    if replica.flavor == "mysql":
        assert "super_read_only is ON there: every write is refused" in api()["message"]
        with pytest.raises(pymysql.MySQLError) as refused:
            insert(4)
        assert refused.value.args[0] == 1290

    # The remedy: the pool is pointed at the primary.
    found = failure(pointed_at(dbaudit, pair, "replica", "writes = true")("REP003"))
    assert (found["server"], found["subject"]) == ("replica", "api") and "at the primary (primary), and say so in server" in found["remedy"]
    moved = dbaudit("check", "--format", "json", "--only", "REP003", "--set", "pool.api.server=primary").json()
    assert ["fixed"] == [one["change"] for one in moved["results"] if one["subject"] == "api"], moved
    assert {one["outcome"] for one in pointed_at(dbaudit, pair, "primary", "writes = true")("REP003")} == {"not_applicable"}
    for keys, outcome in (("writes = false", "pass"), ("", "unknown")):
        assert [one["outcome"] for one in of_api(pointed_at(dbaudit, pair, "replica", keys)("REP003"))] == [outcome]
    asked = dbaudit("check", "--format", "json", "--only", "REP003", "--set", "pool.api.writes=true").json()
    assert [(one["outcome"], one["change"]) for one in of_api(asked["results"])] == [("fail", "new")]
    run = dbaudit("audit", "--only", "REP003")
    assert run.code == 0 and "writes = true or writes = false" in " ".join(run.out.split()), run

    # After a failover somebody declares it as primary, and forgets to open it.
    (dbaudit.home / "dbaudit.toml").write_text(f'[[server]]\nname = "db"\nrole = "primary"\nurl = "mysql://aud@127.0.0.1:{replica.port}"\n')
    audit = lambda: dbaudit("audit", "--format", "json", "--only", "REP002").json()["results"]
    found = failure(audit())
    assert found["severity"] == "error" and "refuses writes" in found["message"]
    apply(replica, found["remedy"])
    assert [one["outcome"] for one in audit()] == ["pass"]

"""Sessions beside the pools that are declared, servers beside each other, and transactions that take long: each rule fires on
real servers that were made wrong, and is quiet when its own remedy was applied."""

import re

import pytest

from reports import results
from servers import wait_for
from test_harmless import grants_of
from test_traps import shop  # noqa: F401 (a fixture)


@pytest.fixture
def judged(server, dbaudit):
    """judged(rule, *args, pools=TOML): that rule's results on the server."""
    server.account("aud", grants_of(server))

    def run(rule, *args, pools=None):
        if pools is not None:
            (dbaudit.home / "pools.toml").write_text(pools)
            args += ("--pools", "pools.toml")
        return dbaudit("audit", "--format", "json", "--only", rule, *args, server=server).json()["results"]

    return run


def failures(found):
    return {one["subject"]: one for one in found if one["outcome"] == "fail"}


def outcomes(found):
    return {one["subject"]: one["outcome"] for one in found}


def pool(name, user, library="generic", **keys):
    lines = [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(["[[pool]]", f'name = "{name}"', f'library = "{library}"', *([f'user = "{user}"'] if user else []), *lines, ""])


def kill(server, remedy):
    server.admin(re.search(r"KILL \d+", remedy)[0])


# --- sessions and pools


def test_without_pools_nothing_is_said(server, judged):
    for rule in ("SES004", "SES005", "SES006", "SES007"):
        assert [(one["outcome"], one["reason"]) for one in judged(rule)] == [("not_applicable", "no pool is declared for this server")]


@pytest.mark.fires("SES004")
def test_leaked_session(server, judged):
    """What is pinged, as pools do, sleeps from anew; what is leaked does not."""
    server.account("app", password="pw")
    server.account("alive", password="pw")
    leaked, alive = server.connect("app", "pw"), server.connect("alive", "pw")
    keys = {"longest_hold_time": '"400ms"', "settings": '{ keepAlive = "1s" }'}
    pools = pool("api", "app", **keys) + pool("jobs", "alive", **keys)
    args = ("--param", "safety_margin=100ms")

    def found():
        alive.ping(reconnect=False)
        return failures(judged("SES004", *args, pools=pools))

    one = wait_for(found, "the leaked session is found", interval=0.1)
    assert list(one) == ["account app"] and one["account app"]["severity"] == "warning"
    seen = one["account app"]["evidence"]
    assert seen["sessions"] == 1 and seen["one_connection_id"] == leaked.thread_id() and seen["limit_s"] == 1.5
    # Longer pauses that are declared, and time that a pool does not limit, are no leak.
    assert outcomes(judged("SES004", *args, pools=pools.replace("400ms", "1h"))) == {"account alive": "pass", "account app": "pass"}
    assert [x["outcome"] for x in judged("SES004", *args, pools=pool("api", "app"))] == ["not_applicable"]
    assert outcomes(judged("SES004", *args, pools=pool("api", None, **keys))) == {"pools without an account": "unknown"}
    kill(server, one["account app"]["remedy"])
    server.wait_for(f"SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE ID = {leaked.thread_id()}", "it has gone")
    alive.ping(reconnect=False)
    assert outcomes(judged("SES004", *args, pools=pools)) == {"account alive": "pass", "account app": "pass"}


@pytest.mark.fires("SES005")
def test_sessions_of_no_pool(server, judged):
    server.account("app", password="pw")
    server.account("forgotten", password="pw")
    server.connect("app", "pw")
    for _ in range(2):
        server.connect("forgotten", "pw", attributes={"program_name": "billing"})
    root = server.root[0]
    declared = pool("api", "app") + pool("admin", root)
    found = failures(judged("SES005", "--param", "connection_reserve=1", pools=declared))
    (subject, one), = found.items()
    assert subject.startswith("forgotten") and one["severity"] == "info" and one["evidence"]["sessions"] == 2
    assert outcomes(judged("SES005", "--param", "connection_reserve=2", pools=declared)).keys() == {f"{server.host}:{server.port}"}
    assert not failures(judged("SES005", pools=declared)), "two are within the reserve"
    unsure = judged("SES005", "--param", "connection_reserve=1", pools=declared + pool("jobs", None))
    assert [(x["outcome"], x["reason"]) for x in unsure] == [("unknown", "no account is declared for: jobs")]
    mended = judged("SES005", "--param", "connection_reserve=1", pools=declared + pool("billing", "forgotten"))
    assert [x["outcome"] for x in mended] == ["pass"]


@pytest.mark.fires("SES006")
def test_pool_that_nobody_opened(server, judged):
    server.account("app", password="pw")
    declared = pool("api", "app", library="hikaricp", version='"5.1.0"', settings="{ maximumPoolSize = 4 }")
    one = failures(judged("SES006", pools=declared))["api"]
    assert one["severity"] == "warning" and one["evidence"]["minimum"] == 4 and "its account app was seen" in one["message"]
    assert server.root[0] in one["evidence"]["accounts_seen"]
    assert [x["outcome"] for x in judged("SES006", pools=declared + "instances = 0\n")] == ["not_applicable"]
    server.connect("app", "pw")
    assert outcomes(judged("SES006", pools=declared)) == {"api": "pass"}
    server.account("blind", password="pw")
    assert outcomes(judged("SES006", pools=declared.replace('"app"', '"none"'))) == {"api": "fail"}


def test_others_are_not_seen(server, dbaudit):
    """Without PROCESS nothing is proved by what is missing."""
    server.account("aud", [])
    (dbaudit.home / "pools.toml").write_text(pool("api", "app", library="hikaricp", version='"5.1.0"'))
    for rule in ("SES004", "SES005", "SES006"):
        found = dbaudit("audit", "--format", "json", "--only", rule, "--pools", "pools.toml", server=server).json()["results"]
        assert {one["outcome"] for one in found} == {"unknown"}, found


@pytest.mark.fires("SES007")
def test_one_account_for_two_pools(server, judged):
    one = failures(judged("SES007", pools=pool("api", "app") + pool("jobs", "app")))["account app"]
    assert one["severity"] == "info" and "api, jobs" in one["message"]
    assert outcomes(judged("SES007", pools=pool("api", "app") + pool("jobs", "jobs"))) == {"account app": "pass", "account jobs": "pass"}


# --- servers beside each other


def settle(server, remedy):
    """What the remedy says, with SET PERSIST as SET GLOBAL."""
    name, value = re.search(r"SET (?:PERSIST|GLOBAL) (\w+) = ('(?:[^']|'')*'|\S+) here", remedy).groups()
    server.admin(f"SET GLOBAL {name} = {value}")


@pytest.mark.fires("DRF001", "DRF002")
def test_drift(server, start_server, dbaudit):
    other = start_server(server.kind)
    for one in (server, other):
        one.account("aud", grants_of(one))
    isolation = "transaction_isolation" if server.flavor == "mysql" or server.version >= (11, 1) else "tx_isolation"
    wrong = {"wait_timeout": 181, "max_connections": 61, "sql_mode": "ANSI_QUOTES,STRICT_TRANS_TABLES", isolation: "READ-COMMITTED"}
    subjects = {isolation: "transaction_isolation"}
    different = {subjects.get(name, name) for name in wrong}

    def audit(rule, first, second, more=""):
        (dbaudit.home / "dbaudit.toml").write_text(
            "".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{port}"\n{keys}\n' for name, port, keys in (("one", server.port, first), ("two", other.port, second))) + more
        )
        report = dbaudit("audit", "--format", "json", "--only", rule).json()
        return {name: results(report, rule, server=name) for name in ("one", "two")}

    primary, replica, member = 'role = "primary"', 'role = "replica"\nreplica_of = "one"', 'group = "shop"\nrole = "primary"'
    quiet = audit("DRF001", primary, replica)
    assert {x["outcome"] for x in quiet["one"]} == {"not_applicable"} and {x["outcome"] for x in quiet["two"]} == {"pass"}
    assert len(quiet["two"]) > 14
    assert {x["outcome"] for found in audit("DRF002", member, member).values() for x in found} == {"pass"}

    other.set_global(**wrong)
    found = audit("DRF001", primary, replica)["two"]
    assert failures(found).keys() == different and {x["severity"] for x in failures(found).values()} == {"warning"}
    assert failures(found)["max_connections"]["evidence"]["value"] == 61 and "on its primary one" in failures(found)["max_connections"]["message"]
    # What is meant is declared.
    waiver = '[[waiver]]\nrule = "DRF001"\nsubject = "max_connections"\nreason = "smaller machine"\nowner = "db-team"\nuntil = 9999-12-31\n'
    assert outcomes(audit("DRF001", primary, replica, waiver)["two"])["max_connections"] == "waived"

    members = audit("DRF002", member, member)
    for name in ("one", "two"):
        assert failures(members[name]).keys() == different
    assert "61 on two; 151 on one" in failures(members["one"])["max_connections"]["message"]
    other_role = audit("DRF002", member, 'group = "shop"\nrole = "replica"')
    assert {x["outcome"] for x in other_role["two"]} == {"not_applicable"}
    told_once = audit("DRF002", member, 'group = "shop"\nrole = "primary"\nreplica_of = "one"')
    assert {x["outcome"] for x in told_once["two"]} == {"not_applicable"}

    # Nobody was asked, so nobody knows.
    gone = '[[server]]\nname = "gone"\nurl = "mysql://aud@127.0.0.1:1"\n'
    unsure = audit("DRF001", primary, 'replica_of = "gone"', gone)["two"]
    assert [(x["subject"], x["outcome"]) for x in unsure] == [("settings of gone", "unknown")] and "was not read" in unsure[0]["reason"]
    unsure = audit("DRF002", member, "", gone + member + "\n")["one"]
    assert [(x["subject"], x["outcome"]) for x in unsure] == [("settings of group shop", "unknown")] and "gone, of the same group and role, was not read" in unsure[0]["reason"]
    # One of three cannot outvote the others.
    still = audit("DRF002", member, member, gone + member + "\n")["one"]
    assert {x["outcome"] for x in still} == {"pass", "fail"} and failures(still).keys() == different

    for one in failures(found).values():
        settle(other, one["remedy"])
    assert {x["outcome"] for x in audit("DRF001", primary, replica)["two"]} == {"pass"}
    assert {x["outcome"] for both in audit("DRF002", member, member).values() for x in both} == {"pass"}


def test_drift_between_products(start_server, dbaudit):
    """What only one of them has, or names in its own way, is no difference."""
    servers = {"one": start_server("mysql-9.7"), "two": start_server("mariadb-11.8")}
    keys = {"one": 'group = "g"', "two": 'group = "g"\nreplica_of = "one"'}
    for server in servers.values():
        server.account("aud", grants_of(server))
        server.set_global(wait_timeout=600, lock_wait_timeout=60)
    servers["two"].set_global(innodb_lock_wait_timeout=7)
    (dbaudit.home / "dbaudit.toml").write_text("".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{server.port}"\n{keys[name]}\n' for name, server in servers.items()))
    report = dbaudit("audit", "--format", "json", "--only", "DRF001", "DRF002").json()
    seen = outcomes(results(report, "DRF001", server="two"))
    assert seen["wait_timeout"] == seen["lock_wait_timeout"] == "pass" and seen["innodb_lock_wait_timeout"] == "fail"
    assert not seen.keys() & {"sql_mode", "collation_server", "max_execution_time", "max_statement_time", "idle_transaction_timeout"}
    assert {one["outcome"] for one in results(report, "DRF002")} == {"not_applicable"}


# --- transactions


@pytest.mark.fires("TRX006")
def test_long_transaction(server, judged, shop):  # noqa: F811
    limit = ("TRX006", "--param", "max_transaction=500ms")
    session = server.connect(autocommit=False)
    session.cursor().execute("UPDATE shop.t SET v = v + 1 WHERE id = 1")
    server.background("SELECT SLEEP(60)", session)
    subject = lambda found: next((one for name, one in found.items() if name.endswith(f"connection {session.thread_id()}")), None)
    one = wait_for(lambda: subject(failures(judged(*limit))), "it is found", 20, 0.15)
    assert one["severity"] == "warning" and one["evidence"]["rows_modified"] == 1 and "SLEEP" in one["message"]
    assert not failures(judged("TRX006", "--param", "max_transaction=10m"))
    waiter = server.background("UPDATE shop.t SET v = v + 1 WHERE id = 1")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "somebody waits")
    blocking = lambda: (one := subject(failures(judged(*limit)))) and one["severity"] == "error" and one
    one = wait_for(blocking, "it stands in somebody's way", 20, 0.15)
    assert one["evidence"]["waiting_sessions"] == 1 and "1 session waits behind it" in one["message"]
    kill(server, one["remedy"])
    waiter.result(20)
    wait_for(lambda: not failures(judged(*limit)), "nobody is at work for long", 20, 0.15)


@pytest.mark.variants("mysql-9.7")
def test_long_transaction_of_which_a_part_is_seen(server, dbaudit, shop):  # noqa: F811
    """MySQL shows transactions without PROCESS, but not what they have changed: that is not the same as nothing."""
    server.account("aud", "SELECT ON performance_schema.*")
    session = server.connect(autocommit=False)
    session.cursor().execute("UPDATE shop.t SET v = v + 1 WHERE id = 1")
    server.background("SELECT SLEEP(60)", session)
    audit = lambda: results(dbaudit("audit", "--format", "json", "--only", "TRX006", "--param", "max_transaction=500ms", server=server).json(), "TRX006", "fail")
    one = wait_for(lambda: next((one for one in audit() if one["evidence"]["connection_id"] == session.thread_id()), None), "it is found")
    assert one["severity"] == "warning" and one["evidence"]["rows_modified"] is None
    assert "a metadata lock on shop.t; what it has locked and changed in InnoDB is not visible to this account" in one["message"]
    assert f"How much KILL {session.thread_id()} would undo is not known" in one["remedy"] and one["remedy"].endswith("GRANT PROCESS ON *.* TO 'aud'@'%'")
    server.admin("GRANT PROCESS ON *.* TO 'aud'@'%'")
    one = wait_for(lambda: next((one for one in audit() if one["evidence"]["connection_id"] == session.thread_id()), None), "it is found")
    assert one["evidence"]["rows_modified"] == 1 and "undoes 1 row first" in one["remedy"]
    kill(server, one["remedy"])


@pytest.mark.fires("TRX007")
def test_history_list(server, judged, shop):  # noqa: F811
    limit = ("TRX007", "--param", "max_history=100")
    if server.flavor == "mysql":  # it takes what is purged off the list once in 128 rounds
        server.set_global(innodb_purge_rseg_truncate_frequency=1)

    def caught_up():
        server.admin("UPDATE shop.t SET v = v + 1")  # where nobody writes, MySQL does not go on
        return outcomes(judged(*limit)) == {"history list": "pass"}

    wait_for(caught_up, "purge has done what was left", 60, 0.2)
    reader = server.connect()
    reader.cursor().execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    for _ in range(300):
        server.admin("UPDATE shop.t SET v = v + 1")
    of_reader = lambda: (one := failures(judged(*limit)).get("history list")) and one["evidence"]["oldest_connection_id"] == reader.thread_id() and one
    one = wait_for(of_reader, "who holds it is found", 20, 0.15)
    assert one["severity"] == "warning" and one["evidence"]["history_list_length"] > 100 and "and idle" in one["message"]
    assert outcomes(judged("TRX007")) == {"history list": "pass"}
    kill(server, one["remedy"])
    wait_for(caught_up, "purge has caught up", 60, 0.2)


@pytest.mark.variants("mysql-9.7")
def test_history_list_that_may_not_be_seen(server, dbaudit):
    """One counter of MySQL takes a privilege, and can be switched off: that rule is unknown, and no other."""
    server.account("aud")
    audit = lambda *rules: dbaudit("audit", "--format", "json", "--only", *rules, server=server).json()["results"]
    (found,) = audit("TRX007")
    assert (found["subject"], found["outcome"], found["curable"]) == ("history list", "unknown", True)
    assert "1227" in found["reason"] and found["remedy"] == "GRANT PROCESS ON *.* TO 'aud'@'%'"
    assert "unknown" not in outcomes(audit("CAP003", "CAP006", "CAP009")).values()
    server.admin("GRANT PROCESS ON *.* TO 'aud'@'%'")
    assert outcomes(audit("TRX007")) == {"history list": "pass"}
    server.admin("SET GLOBAL innodb_monitor_disable = 'trx_rseg_history_len'")
    try:
        (found,) = audit("TRX007")
        assert found["outcome"] == "unknown" and "is switched off" in found["reason"]
        server.admin(found["remedy"])
        assert outcomes(audit("TRX007")) == {"history list": "pass"}
    finally:
        server.admin("SET GLOBAL innodb_monitor_enable = 'trx_rseg_history_len'")

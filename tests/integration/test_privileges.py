"""What each account is shown, and that what it isn't shown is never taken for nothing there."""

import re

import pymysql
import pytest

from reports import expected_exit, results, rules_of, sources, statuses, unknowns_match_sources

READABLE_BY_ALL = {"server", "global_variables", "status"}
PROCESS = "GRANT PROCESS ON *.* TO 'aud'@'%'"
PERFORMANCE_SCHEMA = "GRANT SELECT ON performance_schema.* TO 'aud'@'%'"


def has_performance_schema(server):
    return bool(server.admin("SELECT @@performance_schema")[0][0])


def has_locks_plugin(server):
    return server.flavor == "mariadb" and bool(
        server.admin("SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'METADATA_LOCK_INFO' AND PLUGIN_STATUS = 'ACTIVE'")[0][0]
    )


def never_seen(server):
    """Sources that this server shows to nobody, as it is set up."""
    hidden = {"session_variables"} if server.flavor == "mariadb" else set()
    if not has_performance_schema(server):
        hidden |= {"connection_attributes", "statements", "table_handles"}
        if not has_locks_plugin(server):
            hidden.add("metadata_locks")
    return hidden


def grant_wanted(server):
    """source -> the remedy that an account without any privilege must be told."""
    wanted = {"sessions": PROCESS, "transactions": PROCESS}
    wanted["accounts"] = "GRANT SELECT (User, Host, max_user_connections) ON mysql.user TO 'aud'@'%'"
    if server.flavor == "mysql":
        wanted["replication"] = "GRANT REPLICATION CLIENT ON *.* TO 'aud'@'%'"
        wanted["prepared_xa"] = "GRANT XA_RECOVER_ADMIN ON *.* TO 'aud'@'%'"
        wanted["session_variables"] = wanted["row_lock_waits"] = PERFORMANCE_SCHEMA
    else:
        wanted["replication"] = "GRANT SLAVE MONITOR ON *.* TO 'aud'@'%'"
        wanted["row_lock_waits"] = PROCESS
    if has_performance_schema(server):
        wanted |= dict.fromkeys(("connection_attributes", "statements", "table_handles", "instruments"), PERFORMANCE_SCHEMA)
        if not has_locks_plugin(server):
            wanted["metadata_locks"] = PERFORMANCE_SCHEMA
    return wanted


def printed_statements(run):
    """What `dbaudit grants` would have an administrator execute."""
    text = re.sub(r"^\s*--.*$", "", run.out, flags=re.MULTILINE)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


@pytest.fixture
def least(server, dbaudit):
    """The account that `dbaudit grants` prints, made by the very statements it prints."""
    run = dbaudit("grants", "--account", "'least'@'%'", server=server, user=server.root[0], password=server.root[1])
    assert run.code == 0, run
    server.adopt_account("least")
    for statement in printed_statements(run):
        server.admin(statement)
    return {"user": "least", "password": "choose-a-password"}


def audit(dbaudit, server, *args, user="aud", password="pw"):
    run = dbaudit("audit", "--format", "json", *args, server=server, user=user, password=password)
    report = run.json()
    assert run.code == expected_exit(report), run
    return report


# --- what a rule's row does not know


def test_missing_grant_is_the_remedy_of_what_could_not_be_judged(server, dbaudit):
    if server.flavor != "mysql":
        return  # MariaDB shows the origins to everybody
    server.account("aud")
    server.set_global(max_connections=222)
    unknown = [result for result in audit(dbaudit, server, "--only", "VAR002")["results"] if result["outcome"] == "unknown"]
    assert unknown and {result["remedy"] for result in unknown} == {PERFORMANCE_SCHEMA} and all(result["curable"] for result in unknown)
    assert not any(PERFORMANCE_SCHEMA in result["reason"] for result in unknown)
    text = dbaudit("audit", "--only", "VAR002", server=server).out
    assert "do: GRANT SELECT ON performance_schema.*" in text, text


def test_overwritten_origin_is_named_and_incurable(server, dbaudit, least):
    if server.flavor != "mysql":
        return
    server.set_global(net_write_timeout=77)
    run = dbaudit("audit", "--only", "VAR002", server=server, **least)
    assert "VAR002 net_write_timeout: it is 77, not the default 60" in re.sub(r"\s+", " ", run.out), run
    report = audit(dbaudit, server, "--only", "VAR002", **least)
    assert [result["curable"] for result in report["results"] if result["subject"] == "net_write_timeout"] == [False]


# --- full and least


def test_full_account_is_shown_everything_there_is(server, dbaudit):
    report = audit(dbaudit, server, user=server.root[0], password=server.root[1])
    unseen = {name for name, status in statuses(report).items() if status != "read"}
    assert unseen == never_seen(server)


def test_printed_account_is_shown_what_the_full_one_is(server, dbaudit, least):
    before = audit(dbaudit, server, **least)
    full = audit(dbaudit, server, user=server.root[0], password=server.root[1])
    after = audit(dbaudit, server, **least)
    assert statuses(before) == statuses(full) == statuses(after)
    outcomes = lambda report: sorted((r["rule"], r["subject"], r["outcome"]) for r in report["results"])
    # The server counts connections, so that a rule's least number of them may be reached between two audits.
    assert outcomes(full) in (outcomes(before), outcomes(after))


def test_printed_account_can_do_nothing_but_look(server, least):
    with server.connect("least", least["password"]).cursor() as cursor:
        cursor.execute("SHOW GRANTS")
        grants = " ".join(row[0] for row in cursor.fetchall())
    words = set(re.findall(r"INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|SUPER|FILE|EXECUTE|SHUTDOWN|RELOAD|ALL PRIVILEGES|GRANT OPTION", grants))
    assert not words, grants


def test_no_password_hash_is_readable_with_the_printed_account(server, least):
    with server.connect("least", least["password"]).cursor() as cursor, pytest.raises(pymysql.MySQLError):
        cursor.execute("SELECT authentication_string FROM mysql.user")


def test_grants_check_agrees_with_the_audit(server, dbaudit, least):
    run = dbaudit("grants", "--check", server=server, **least)
    told = dict(re.findall(r"^  (\w+) +(read|partial|unavailable)$", run.out, re.MULTILINE))
    assert told == statuses(audit(dbaudit, server, **least))
    curable = never_seen(server) - {"session_variables"}
    assert run.code == (3 if curable else 0), run


def test_what_only_a_setting_cures_names_the_setting(server, dbaudit, least):
    seen = sources(audit(dbaudit, server, **least))
    for name in never_seen(server) - {"session_variables"}:
        assert "performance_schema=ON" in seen[name]["remedy"], seen[name]
    if server.flavor == "mariadb":
        assert seen["session_variables"]["remedy"] is None


# --- nothing


def test_nothing_seen_is_unknown_with_the_exact_grant(server, dbaudit, rules_folder):
    server.account("aud")
    server.connect()  # somebody else, whom it must notice without seeing
    report = audit(dbaudit, server)
    seen = sources(report)
    wanted = grant_wanted(server)
    assert {name: seen[name]["remedy"] for name in wanted} == wanted
    assert all(seen[name]["status"] == "read" for name in READABLE_BY_ALL)
    hidden = {name for name, entry in seen.items() if entry["status"] != "read"}
    assert hidden == set(wanted) | never_seen(server)
    assert all(seen[name]["reason"] for name in hidden)
    assert unknowns_match_sources(report, rules_of(rules_folder))


def test_nothing_seen_is_incomplete_unless_a_variable_is_a_finding(server, dbaudit):
    server.account("aud")
    server.connect()
    assert dbaudit("audit", server=server).code in (1, 3)
    assert dbaudit("audit", "--only", "TRX001", server=server).code == 3
    assert dbaudit("audit", "--only", "TRX001", "--allow-unknown", server=server).code == 0
    assert dbaudit("audit", "--only", "VAR001", "--fail-on", "warning", server=server).code == 1
    assert dbaudit("audit", "--only", "VAR001", "TRX001", "--fail-on", "warning", server=server).code == 1


def test_the_remedies_cure(server, dbaudit):
    server.account("aud")
    server.connect()
    for grant in {entry["remedy"] for entry in sources(audit(dbaudit, server)).values()} - {None}:
        if grant.startswith("GRANT "):
            server.admin(grant)
    report = audit(dbaudit, server)
    unseen = {name for name, status in statuses(report).items() if status != "read"}
    assert unseen == never_seen(server)
    assert not [result for result in results(report, outcome="unknown") if "GRANT" in (result["remedy"] or "")]


def test_grants_check_prints_every_missing_grant(server, dbaudit):
    server.account("aud")
    server.connect()
    run = dbaudit("grants", "--check", server=server)
    assert run.code == 3, run
    words = re.sub(r"\s+", " ", run.out)
    for grant in set(grant_wanted(server).values()):
        assert grant in words


def test_query_on_what_was_not_seen_says_so(server, dbaudit):
    server.account("aud")
    server.connect()
    run = dbaudit("query", "SELECT count(*) AS n FROM transactions", "--format", "json", server=server)
    assert run.code == 3 and "transactions is unavailable" in run.err


# --- locks


def locks(dbaudit, server, user="aud", password="pw"):
    """(exit code, the JSON report, the text in one line) of `dbaudit locks`."""
    run = dbaudit("locks", "--format", "json", "--min-wait", "0s", server=server, user=user, password=password)
    text = dbaudit("locks", "--min-wait", "0s", server=server, user=user, password=password)
    assert text.code == run.code, f"{run}\n{text}"
    return run.code, run.json(), re.sub(r"\s+", " ", text.out)


def test_full_and_printed_account_see_the_same_stall(server, dbaudit, least):
    accounts = ({"user": server.root[0], "password": server.root[1]}, least)
    for account in accounts:
        code, report, text = locks(dbaudit, server, **account)
        assert (code, report["waits"]) == (0, []) and "Nobody waits" in text
        assert not [entry for entry in report["sources"] if "GRANT" in (entry["remedy"] or "")]
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
    server.admin("INSERT INTO shop.t VALUES (1)")
    holder = server.connect(autocommit=False)
    holder.cursor().execute("SELECT * FROM shop.t FOR UPDATE")
    waiter = server.background("SELECT * FROM shop.t FOR UPDATE")
    server.wait_for("SELECT COUNT(*) = 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "it waits")
    for account in accounts:
        code, report, text = locks(dbaudit, server, **account)
        assert code == 1 and [wait["connection_id"] for wait in report["waits"]] == [waiter.connection_id]
        assert [(root["connection_id"], root["remedy"]) for root in report["roots"]] == [(holder.thread_id(), f"KILL {holder.thread_id()}")]
        assert f"connection {holder.thread_id()}" in text


def test_an_account_without_privileges_is_never_told_that_nobody_waits(server, dbaudit):
    server.account("aud")
    server.connect()  # somebody else, who might wait
    code, report, text = locks(dbaudit, server)
    assert code == 3 and report["waits"] == []
    told = {entry["source"]: entry["remedy"] for entry in report["sources"]}
    wanted = {name: remedy for name, remedy in grant_wanted(server).items() if name in told}
    assert {"sessions", "transactions", "row_lock_waits"} <= wanted.keys()
    assert {name: told[name] for name in wanted} == wanted
    assert "Nobody waits" not in text and PROCESS in text


# --- the silent kind


def test_short_process_list_is_noticed(server, dbaudit):
    server.account("aud")
    others = [server.connect() for _ in range(3)]
    entry = sources(audit(dbaudit, server))["sessions"]
    assert entry["status"] == "partial" and entry["remedy"] == PROCESS
    shown, there = map(int, re.search(r"shows (\d+) of (\d+) connections", entry["reason"]).groups())
    assert shown == 1 and there >= 1 + len(others)


def test_process_in_a_role_counts_only_when_active(server, dbaudit):
    server.account("aud")
    server.connect()
    server.admin("CREATE ROLE looker")
    try:
        server.admin("GRANT PROCESS ON *.* TO looker")
        server.admin("GRANT looker TO 'aud'@'%'")
        inactive = statuses(audit(dbaudit, server))
        assert (inactive["sessions"], inactive["transactions"]) == ("partial", "unavailable")
        server.admin("SET DEFAULT ROLE looker " + ("TO" if server.flavor == "mysql" else "FOR") + " 'aud'@'%'")
        active = statuses(audit(dbaudit, server))
        assert (active["sessions"], active["transactions"]) == ("read", "read")
    finally:
        server.admin("DROP ROLE looker")


def test_performance_schema_without_process_still_shows_every_session(server, dbaudit):
    if not has_performance_schema(server):
        return  # nothing to read them from
    server.account("aud", "SELECT ON performance_schema.*")
    other = server.connect()
    run = dbaudit("query", "SELECT processlist_id AS id FROM sessions", "--format", "json", server=server)
    assert run.code == 0, run
    assert other.thread_id() in [row["id"] for row in run.json()]
    seen = sources(audit(dbaudit, server))
    assert seen["sessions"]["status"] == "read"
    assert seen["transactions"]["status"] == "partial" and seen["transactions"]["remedy"] == PROCESS


def test_the_auditors_own_privilege_errors_do_not_end_the_run(server, dbaudit):
    """Each source fails on its own: one denied table takes no other with it."""
    server.account("aud", "PROCESS ON *.*")
    seen = statuses(audit(dbaudit, server))
    assert (seen["sessions"], seen["transactions"], seen["accounts"]) == ("read", "read", "unavailable")


def test_set_variables_are_unknown_when_their_scope_is_not_shown(server, dbaudit):
    if server.flavor != "mysql":
        return  # MariaDB shows scope and origin to everybody
    server.account("aud", "PROCESS ON *.*")
    server.set_global(max_connections=222)
    report = audit(dbaudit, server, "--only", "VAR002")
    assert sources(report)["global_variables"]["status"] == "read"
    found = results(report, "VAR002")
    assert [result["outcome"] for result in found] == ["unknown"], found
    assert "SELECT command denied" in str(found) and PERFORMANCE_SCHEMA in str(found)


def test_threads_that_cannot_be_read_make_partial_what_needs_them(server, dbaudit):
    """One table is missing from the account's grants: what maps threads to sessions must not shrink in silence."""
    if server.flavor != "mysql":
        return
    needed = ("metadata_locks", "table_handles", "events_statements_current", "variables_by_thread", "data_lock_waits", "data_locks", "setup_instruments", "setup_consumers")
    server.account("aud", ["PROCESS ON *.*", *(f"SELECT ON performance_schema.{table}" for table in needed)])
    seen = sources(audit(dbaudit, server))
    for name in ("metadata_locks", "table_handles", "statements", "session_variables", "row_lock_waits"):
        assert (seen[name]["status"], seen[name]["remedy"]) == ("partial", PERFORMANCE_SCHEMA), seen[name]
        assert "'threads'" in seen[name]["reason"]


def test_transactions_that_only_began_are_said_to_be_unseen(server, dbaudit):
    """Read all the same: a rule that needs transactions must stay of use on a server as it is installed."""
    server.account("aud", ["PROCESS ON *.*", "SELECT ON performance_schema.*"])
    began = server.connect()
    began.cursor().execute("BEGIN")
    count = f"SELECT count(*) AS n FROM transactions WHERE processlist_id = {began.thread_id()}"
    shown = lambda: (dbaudit("query", count, "--format", "json", server=server).json()[0]["n"], sources(audit(dbaudit, server))["transactions"])
    if not has_performance_schema(server):
        found, entry = shown()
        assert (found, entry["status"]) == (0, "read") and "began and touched nothing" in entry["reason"], entry
        return
    found, entry = shown()
    assert (found, entry["status"], entry["reason"]) == (1, "read", None)
    switches = [("setup_consumers", "events_transactions_current"), ("setup_instruments", "transaction")]
    for table, name in switches:
        switch = f"UPDATE performance_schema.{table} SET ENABLED = %s WHERE NAME = %s"
        server.admin(switch, ("NO", name))
        try:
            found, entry = shown()
        finally:
            server.admin(switch, ("YES", name))
        assert (found, entry["status"]) == (0, "read"), entry
        assert "began and touched nothing" in entry["reason"] and f"'{name}' is off" in entry["reason"], entry


def test_switched_off_consumers_are_said_to_be_off(server, dbaudit):
    if server.flavor != "mysql":
        return
    server.account("aud", ["PROCESS ON *.*", "SELECT ON performance_schema.*"])
    for consumer, hidden in (("global_instrumentation", {"metadata_locks", "statements"}), ("thread_instrumentation", {"statements"})):
        switch = "UPDATE performance_schema.setup_consumers SET ENABLED = %s WHERE NAME = %s"
        server.admin(switch, ("NO", consumer))
        try:
            seen = sources(audit(dbaudit, server))
        finally:
            server.admin(switch, ("YES", consumer))
        for name in ("metadata_locks", "statements"):
            assert (seen[name]["status"] == "unavailable") == (name in hidden)
            assert name not in hidden or f"'{consumer}'" in seen[name]["reason"] and "setup_consumers" in seen[name]["remedy"]

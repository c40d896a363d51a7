"""Incidents between a server and its pools, before, during and after the change: the exact findings, in tests/golden/incidents.

DBAUDIT_UPDATE_GOLDEN=1 writes the files anew.
"""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import time

import pytest

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "incidents"


@pytest.fixture
def golden():
    """golden(name, text): the same text as last time."""

    def compare(name, text):
        path = GOLDEN / name
        if os.environ.get("DBAUDIT_UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text(), name

    return compare


@pytest.fixture
def judged(server, dbaudit):
    """judged(command, *arguments): one line for each finding, and for each that the change mends; .code is the exit code."""
    server.account("aud", "ALL ON *.*")

    def run(*arguments):
        done = dbaudit(*arguments, "--format", "json", "--pools", "pools.toml", server=server)
        run.code = done.code
        report = done.json()
        run.report = report
        lines = []
        for result in report["results"]:
            change = result.get("change")
            if result["outcome"] == "fail":
                lines.append(f"{change or 'is':<5} {result['severity']:<7} {result['rule']} {result['subject']} [{result.get('hazard')}]\n      {result['message']}")
            elif change == "fixed":
                lines.append(f"{change:<5} {'':<7} {result['rule']} {result['subject']} [{result.get('hazard')}]")
        return "\n".join(sorted(lines)) + "\n"

    return run


@pytest.fixture
def plan(server, dbaudit):
    """plan(*arguments): the plan without what differs from server to server."""
    server.account("aud", "ALL ON *.*")

    def run(*arguments):
        report = dbaudit("plan", "--format", "json", "--pools", "pools.toml", *arguments, server=server).json()
        lines = []
        for number, step in enumerate(report["steps"], 1):
            lines.append(f"{number}. {step['kind']}: {step['why']}")
            lines += [f"   {v['variable']}: {v['from']} -> {v['to']}{' (restart)' if v['restart'] else ''}" for v in step["variables"]]
            lines += [f"   {s['pool']}.{s['setting']}: {s['from']} -> {s['to']}" for s in step["settings"]]
            lines += [f"   meanwhile {found['rule']} {found['subject']}" for found in step["meanwhile"]]
        lines += [f"old {old['pool'] or 'everybody else'}: {old['variable']} {old['from']} until {old['gone_after_s']}: {old['reason']}" for old in report["old_sessions"]]
        lines += [f"wrong order: {found['rule']} {found['subject']} [{found['hazard']}]" for found in report["wrong_order"]]
        lines += [f"in the end: {found['rule']} {found['subject']} [{found['hazard']}]" for found in report["in_the_end"]]
        run.commands = [command for step in report["steps"] for v in step["variables"] for command in v["commands"]]
        return "\n".join(lines) + "\n"

    return run


def declare(dbaudit, text):
    (dbaudit.home / "pools.toml").write_text(text)


# --- B: the well-meant wait_timeout

B = '''
[[pool]]
name = "export"
library = "tomcat_jdbc"
version = "9.0.70"
instances = 2
longest_think_time = "10m"
settings = { maxActive = 20, testOnBorrow = false, testOnReturn = false, testWhileIdle = true, validationInterval = 30000, timeBetweenEvictionRunsMillis = 60000 }

[[pool]]
name = "checkout"
library = "hikaricp"
version = "5.1.0"
instances = 6
settings = { maximumPoolSize = 10 }

[[pool]]
name = "branch"
library = "tomcat_jdbc"
version = "9.0.70"
instances = 1
settings = { maxActive = 5, testOnBorrow = true, validationInterval = 3600000 }
'''
B_RULES = ("--only", "POOL001", "POOL002", "POOL005", "POOL006")
B_MENDED = (
    "pool.export.testOnReturn=true", "pool.export.validationInterval=3000", "pool.export.longest_think_time=60s",
    "pool.checkout.maxLifetime=120000", "pool.branch.testOnBorrow=true", "pool.branch.validationInterval=3000",
    "pool.branch.minIdle=0", "pool.branch.minEvictableIdleTimeMillis=60000",
)


def test_b_a_shorter_wait_timeout_before_during_and_after(server, dbaudit, judged, golden):
    declare(dbaudit, B)
    golden("B-before.txt", judged("audit", *B_RULES))
    assert judged.code == 0
    golden("B-check.txt", judged("check", "--set", "wait_timeout=180", *B_RULES))
    assert judged.code == 1
    assert {result["change"] for result in judged.report["results"] if result["outcome"] == "fail"} == {"new"}
    mended = [argument for change in B_MENDED for argument in ("--set", change)]
    golden("B-check-mended.txt", judged("check", "--set", "wait_timeout=180", *mended, *B_RULES))
    assert judged.code == 0
    server.set_global(wait_timeout=180)
    golden("B-after.txt", judged("audit", *B_RULES))
    assert judged.code == 1
    golden("B-back.txt", judged("check", "--set", "wait_timeout=28800", *B_RULES))


def test_b_the_plan_changes_the_pools_first(server, dbaudit, plan, golden):
    declare(dbaudit, B)
    mended = [argument for change in B_MENDED for argument in ("--set", change)]
    golden("B-plan.txt", plan("--set", "wait_timeout=180", *mended, *B_RULES))
    assert ("SET PERSIST" if server.flavor == "mysql" else "SET GLOBAL") + " wait_timeout = 180;" in plan.commands
    before = server.admin("SELECT @@GLOBAL.wait_timeout")
    assert before == ((28800,),)  # nothing of it was run


# --- C: the rollback that did not roll back

C = '''
[[pool]]
name = "checkout"
library = "hikaricp"
version = "5.1.0"

[[pool]]
name = "export"
library = "tomcat_jdbc"
version = "9.0.70"

[[pool]]
name = "web"
library = "django"
version = "4.2.28"
threads_per_process = 4
'''


@pytest.mark.fires("SES001", on=("mysql",))
def test_c_who_keeps_the_old_value_and_until_when(server, dbaudit, judged, plan, golden):
    declare(dbaudit, C)
    server.set_global(wait_timeout=180)
    golden("C-plan.txt", plan("--set", "wait_timeout=28800", *B_RULES))
    server.account("app")
    old = server.connect("app", "pw")
    server.set_global(wait_timeout=28800)
    server.connect("app", "pw")
    judged("audit", "--only", "SES001")
    found = judged.report["results"]
    if server.flavor == "mariadb":
        assert [(result["outcome"], result["curable"]) for result in found] == [("unknown", False)]
        return
    failures = [result for result in found if result["outcome"] == "fail"]
    assert len(failures) == 1 and "app" in failures[0]["subject"] and "180" in str(failures[0]["evidence"]), found
    old.close()
    server.wait_for("SELECT COUNT(*) = 1 FROM information_schema.PROCESSLIST WHERE USER = 'app'", "the old session is gone")
    judged("audit", "--only", "SES001")
    assert not [result for result in judged.report["results"] if result["outcome"] == "fail"]


def test_c_a_start_loses_what_was_only_set(server, dbaudit, judged):
    declare(dbaudit, C)
    server.set_global(wait_timeout=180)
    groups = "[mysqld-5.7]\nwait_timeout = 50\n[mysqld]\nmax_connections = 300\n[mysqld-{0}.{1}]\nnet_read_timeout = 0\n"
    (dbaudit.home / "new.cnf").write_text(groups.format(*server.version))
    judged("check", "--option-file", "new.cnf", "--only", "POOL002", "CAP001")
    found = {(one["rule"], one["subject"]): one for one in judged.report["results"]}
    assert found["CAP001", "max_connections"]["evidence"]["max_connections"] == 300
    # MariaDB says that it was SET; on MySQL a SET SESSION leaves the same trace, and an option file that stays may have it.
    assert found["POOL002", "checkout"]["outcome"] == ("pass" if server.flavor == "mariadb" else "unknown"), found


# --- D: "Possibly consider using a shorter maxLifetime value"

D = '''
[[pool]]
name = "api"
library = "hikaricp"
version = "2.7.9"
instances = 4
max_surge = "25%"
terminating = 1
settings = { maximumPoolSize = 10, connectionTimeout = 491632 }
'''
D_SERVER = '''
[[server]]
name = "shop"
url = "mysql://aud@127.0.0.1:{port}"
memory = "{memory}"
'''
D_RULES = ("--only", "POOL002", "POOL008", "CAP001", "CAP004", "EVI001")


def test_d_the_log_line_is_explained_and_a_hundred_connections_are_added_up(server, dbaudit, judged, golden):
    declare(dbaudit, D)
    (dbaudit.home / "dbaudit.toml").write_text(D_SERVER.format(port=server.port, memory="2GiB"))
    server.set_global(wait_timeout=600, max_connections=151)

    def run(*arguments):
        done = dbaudit(*arguments, "--format", "json", "--pools", "pools.toml", "--server", "shop")
        return done, {(r["rule"], r["subject"]): r for r in done.json()["results"]}

    done, results = run("audit", *D_RULES)
    assert "maxLifetime" in results["POOL002", "api"]["message"] and "Failed to validate connection" in results["POOL002", "api"]["message"]
    assert "8 min 12 s" in results["POOL008", "api"]["message"]
    assert results["EVI001", "slow_query_log"]["outcome"] == "fail", results.keys()
    assert results["CAP001", "max_connections"]["outcome"] == "pass"
    done, results = run("check", "--set", "pool.api.maximumPoolSize=100", *D_RULES)
    refused = results["CAP001", "max_connections"]
    assert (refused["change"], refused["hazard"], refused["evidence"]["peak_connections"]) == ("new", "refused", 600)
    assert done.code == 1
    done, results = run("check", "--set", "pool.api.maximumPoolSize=100", "--set", "shop:max_connections=1000", *D_RULES)
    assert results["CAP001", "max_connections"]["outcome"] == "pass"
    memory = results["CAP004", "memory"]
    assert (memory["outcome"], memory["change"]) == ("fail", "new"), memory
    assert memory["evidence"]["memory_bytes"] == 2 << 30 and memory["evidence"]["needed_bytes"] > 2 << 30
    done, results = run("check", "--set", "wait_timeout=28800", "--set", "pool.api.connectionTimeout=30000", *D_RULES)
    assert {results[key]["change"] for key in (("POOL002", "api"), ("POOL008", "api"))} == {"fixed"}


# --- E: the bigger instance that did not help


def test_e_the_database_is_fine_and_that_can_be_trusted(server, dbaudit):
    server.account("aud", "ALL ON *.*")
    (dbaudit.home / "dbaudit.toml").write_text(D_SERVER.format(port=server.port, memory="8GiB"))
    server.admin("FLUSH STATUS")
    done = dbaudit("audit", "--server", "shop", "--format", "json", "--only", "CAP003", "CAP004")
    results = {(r["rule"], r["subject"]): r for r in done.json()["results"]}
    if int(server.admin("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'")[0][1]):
        # Tests of other files had it full, and MySQL counts that until a restart.
        assert results.pop(("CAP003", "refused connections"))["outcome"] == "fail" and done.code == 1
    else:
        assert done.code == 0
    assert {result["outcome"] for result in results.values()} == {"pass"}, results
    peak = results["CAP003", "peak of connections"]["evidence"]
    assert peak["max_used_connections"] >= 1 and peak["max_connections"] == 151
    memory = results["CAP004", "memory"]["evidence"]
    assert memory["needed_bytes"] == memory["global_bytes"] + memory["max_connections"] * memory["connection_bytes"] < memory["memory_bytes"]


# --- G: everything normal, site down

G = '''
[[pool]]
name = "web"
library = "django"
version = "4.2.28"
instances = 4
processes_per_instance = 4
threads_per_process = 8
settings = { CONN_MAX_AGE = 0 }
'''
G_RULES = ("--only", "POOL001", "POOL010", "CAP001", "--param", "connects_per_second=0", "--param", "connection_reserve=10")


def test_g_a_connection_for_each_request_and_what_keeping_them_would_take(server, dbaudit, judged):
    declare(dbaudit, G)
    for _ in range(200):
        server._open(*server.root).close()  # a connect without a statement
    judged("audit", *G_RULES)
    churn = next(result for result in judged.report["results"] if result["rule"] == "POOL010")
    assert (churn["outcome"], churn["hazard"], churn["subject"]) == ("fail", "churn", "web")
    assert churn["evidence"]["statements_per_connection_now"] > 0 and "CONN_MAX_AGE" in churn["remedy"]
    assert churn["severity"] == ("warning" if churn["evidence"]["statements_per_connection_now"] < 10 else "info")
    mended = judged("check", "--set", "pool.web.CONN_MAX_AGE=60", "--set", "pool.web.CONN_HEALTH_CHECKS=true", *G_RULES)
    assert "fixed         POOL010 web [churn]" in mended, mended
    # Four instances times four processes times eight threads, whether connections are kept or not.
    capacity = next(result for result in judged.report["results"] if result["rule"] == "CAP001")
    assert capacity["evidence"]["peak_connections"] == 128 and capacity["outcome"] == "pass"
    judged("check", "--set", "pool.web.CONN_MAX_AGE=60", "--set", "pool.web.instances=5", *G_RULES)
    capacity = next(result for result in judged.report["results"] if result["rule"] == "CAP001")
    assert (capacity["outcome"], capacity["change"]) == ("fail", "new")


# --- offline, a whole fleet


def test_five_hundred_pools_on_twenty_snapshots(server, dbaudit, tmp_path):
    """Linear in pools, and fast: time itself is the bench's business, so that only a blow-up fails here."""
    server.account("aud", "ALL ON *.*")
    dbaudit("snapshot", "-o", tmp_path / "one.db", server=server)
    snapshots = []
    for number in range(20):
        snapshots.append(tmp_path / f"s{number}.db")
        shutil.copy(tmp_path / "one.db", snapshots[-1])
        with contextlib.closing(sqlite3.connect(snapshots[-1])) as database, database:
            database.execute("UPDATE server SET name = ?", (f"s{number}",))
    seconds = {}
    for count in (125, 500):
        libraries = ("hikaricp", "tomcat_jdbc", "sqlalchemy", "dbcp2")
        pools = [f'[[pool]]\nname = "p{n}"\nlibrary = "{libraries[n % 4]}"\nserver = "s{n % 20}"\ninstances = 2\n' for n in range(count)]
        (dbaudit.home / "pools.toml").write_text("".join(pools))
        run = dbaudit("check", "--from", *snapshots, "--pools", "pools.toml", "--set", "wait_timeout=180", "--format", "json")
        seconds[count] = run.cpu_s
        assert len([one for one in run.json()["results"] if one["rule"] == "POOL001"]) == count
    assert seconds[500] < 4 * seconds[125] + 1, seconds

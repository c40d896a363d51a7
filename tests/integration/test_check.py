"""`check` and `plan` without a server: shipped defaults, what is wrong with a request, a library of one's own."""

import shutil

import pytest

from reports import results

POOLS = '''
[[pool]]
name = "api"
library = "hikaricp"
version = "5.1.0"
instances = 4
settings = { maximumPoolSize = 20 }
'''


@pytest.fixture
def home(dbaudit):
    (dbaudit.home / "pools.toml").write_text(POOLS)
    return dbaudit.home


@pytest.mark.parametrize("version", ["mysql-8.0", "mysql-8.4", "mysql-9.7", "mariadb-10.11", "mariadb-11.8"])
def test_shipped_defaults_without_a_server(dbaudit, home, version):
    run = dbaudit("check", "--assume", version, "--set", "wait_timeout=180", "--pools", "pools.toml", "--format", "json")
    report = run.json()
    assert [(one["rule"], one["change"]) for one in results(report, "POOL002", "fail")] == [("POOL002", "new")]
    assert results(report, "POOL002", "fail")[0]["evidence"]["idle_limit_s"] == 180
    waits = results(report, "VAR001")[0]["evidence"]["lock_wait_timeout_s"]
    assert waits == (31536000 if version.startswith("mysql") else 86400)
    # What only a server could tell is not known, and nobody could cure that.
    blind = [one for one in report["results"] if one["outcome"] == "unknown"]
    assert blind and not any(one["curable"] for one in blind if one["severity"] == "error"), blind
    assert run.code == 0, run


def test_an_assumed_server_takes_an_option_file_and_what_is_set_wins(dbaudit, home):
    (home / "new.cnf").write_text("[client]\nuser = x\n[mysqld]\nmax-connections = 80\nwait_timeout = 60\n")
    report = dbaudit("check", "--assume", "mysql-9.7", "--option-file", "new.cnf", "--set", "wait_timeout=120", "--pools", "pools.toml", "--format", "json").json()
    assert results(report, "CAP001", "fail")[0]["evidence"]["max_connections"] == 80
    assert results(report, "POOL002", "fail")[0]["evidence"]["idle_limit_s"] == 120


def test_only_new_counts_when_asked(dbaudit, home):
    (home / "pools.toml").write_text(POOLS.replace("hikaricp", "tomcat_jdbc").replace("maximumPoolSize", "maxActive").replace("5.1.0", "9.0.70"))
    arguments = ("check", "--assume", "mysql-9.7", "--set", "slow_query_log=ON", "--pools", "pools.toml")
    assert dbaudit(*arguments).code == 1  # it hands out dead connections, before and after
    assert dbaudit(*arguments, "--only-new").code == 0
    text = dbaudit(*arguments).out
    assert "ERROR    stays POOL001  api" in text and "Fixed by the change:" in text and "with the change: 0 new, 1 fixed," in text


def test_everything_that_is_wrong_is_said_at_once(dbaudit, home):
    (home / "bad.cnf").write_text("[mysqld]\nwait_timout = 5\n")
    run = dbaudit(
        "check", "--assume", "mysql-9.9", "--pools", "pools.toml", "--set", "wait_timout=1", "--set", "pool.ap.maximumPoolSize=1",
        "--set", "pool.api.maximumPolSize=1", "--option-file", "bad.cnf", "--set", "nonsense", "--memory", "much",
    )  # fmt: skip
    assert run.code == 2 and not run.out
    for said in (
        "mysql-9.9", "known are mariadb-10.11, mariadb-11.8, mysql-8.0", "did you mean 'wait_timeout'?", "did you mean 'api'?",
        "did you mean 'maximumPoolSize'?", "bad.cnf:2: 'wait_timout' is no variable", "--set nonsense", "--memory much",
    ):  # fmt: skip
        assert said in run.err, said


def test_a_pool_library_of_ones_own_needs_no_compiler(dbaudit, home, rules_folder):
    own = home / "rules" / "libraries"
    own.mkdir(parents=True)
    text = (rules_folder / "libraries" / "generic.toml").read_text()
    (own / "inhouse.toml").write_text(text.replace('id = "generic"', 'id = "inhouse"'))
    shutil.copy(rules_folder / "evidence" / "EVI001-slow-query-log.toml", home / "rules" / "OWN001-log.toml")
    rule = home / "rules" / "OWN001-log.toml"
    rule.write_text(rule.read_text().replace('id = "EVI001"', 'id = "OWN001"'))
    (home / "pools.toml").write_text('[[pool]]\nname = "a"\nlibrary = "inhouse"\n')
    report = dbaudit("check", "--rules", home / "rules", "--assume", "mysql-9.7", "--pools", "pools.toml", "--format", "json").json()
    assert {result["subject"] for result in results(report, "POOL001")} == {"a"}
    assert dbaudit("rules", "test", home / "rules").code == 0


def test_another_memory_size_moves_what_a_managed_service_allows(dbaudit, home):
    (home / "dbaudit.toml").write_text('[[server]]\nname = "shop"\nurl = "mysql://u@127.0.0.1"\nmemory = "2GiB"\nservice = "rds-mysql"\n')
    run = dbaudit("check", "--assume", "mysql-9.7", "--memory", "shop:4GiB", "--pools", "pools.toml", "--format", "json", "--only", "CAP001")
    assert "max_connections 151 is about what its service gives" in run.err
    # 2 GiB stand for 170 connections and 4 GiB for 341; 151 is within the tolerance, and grows as they do.
    assert results(run.json(), "CAP001")[0]["evidence"]["max_connections"] == 302, run
    (home / "dbaudit.toml").write_text('[[server]]\nname = "shop"\nurl = "mysql://u@127.0.0.1"\nservice = "rsd-mysql"\n')
    assert "did you mean 'rds-mysql'?" in dbaudit("check", "--assume", "mysql-9.7").err


def test_plan_without_anything_to_plan(dbaudit, home):
    run = dbaudit("plan", "--assume", "mysql-9.7", "--pools", "pools.toml")
    assert run.code == 2 and "nothing to plan" in run.err
    run = dbaudit("plan", "--assume", "mysql-9.7", "--pools", "pools.toml", "--set", "wait_timeout=28800")
    assert run.code == 0 and "Nothing changes" in run.out


def test_plan_says_what_needs_a_restart(dbaudit, home):
    run = dbaudit("plan", "--assume", "mysql-9.7", "--pools", "pools.toml", "--set", "port=3307", "--set", "max_connections=500", "--format", "json")
    commands = [command for step in run.json()["steps"] for one in step["variables"] for command in one["commands"]]
    assert commands == ["SET PERSIST max_connections = 500;", "SET PERSIST_ONLY port = 3307;", "RESTART;"]
    run = dbaudit("plan", "--assume", "mariadb-11.8", "--pools", "pools.toml", "--set", "port=3307", "--format", "json")
    assert "restart the server" in run.out


def test_no_plan_from_what_was_not_read(dbaudit, home):
    run = dbaudit("plan", "-h", "127.0.0.1", "-P", "1", "-u", "nobody", "--pools", "pools.toml", "--set", "wait_timeout=180")
    assert run.code == 3 and not run.out and "no plan without the variables of 127.0.0.1:1" in run.err

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
    assert results(report, "EVI001")[0]["outcome"] == "fail"  # the slow log is off, and would go to a file
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


# --- [rules] of dbaudit.toml

ASSUMED = ("--assume", "mysql-9.7", "--set", "lock_wait_timeout=100000")


@pytest.fixture
def check_with(dbaudit, home):
    """check_with(rules, ...): a check whose dbaudit.toml has these [rules]; VAR001 (warning) and EVI001 (warning) fail."""

    def check(rules, *args):
        (home / "dbaudit.toml").write_text("[rules]\n" + "".join(f'{rule} = "{value}"\n' for rule, value in rules.items()))
        run = dbaudit("check", *ASSUMED, "--format", "json", *args)
        return {one["rule"]: (one["outcome"], one["severity"]) for one in results(run.json()) if one["rule"] in ("VAR001", "EVI001")}, run

    return check


def test_a_rule_that_is_off_is_left_out(check_with):
    told, run = check_with({}, "--fail-on", "warning")
    assert told == {"VAR001": ("fail", "warning"), "EVI001": ("fail", "warning")} and run.code == 1
    told, run = check_with({"VAR001": "off"}, "--fail-on", "warning")
    assert told == {"EVI001": ("fail", "warning")} and "VAR001" not in run.out
    told, run = check_with({"VAR001": "off"}, "--only", "VAR001")
    assert set(told) == {"VAR001"}  # who asks for it by name gets it


@pytest.mark.parametrize("rule", ["VAR001", "EVI001"])  # EVI001's findings have a severity of their own
def test_another_severity_of_a_rule_counts(dbaudit, check_with, rule):
    only = ("--only", rule)
    assert check_with({}, *only)[1].code == 0
    for severity, fail_on, code in [("error", "error", 1), ("warning", "error", 0), ("info", "warning", 0), ("info", "info", 1)]:
        told, run = check_with({rule: severity}, *only, "--fail-on", fail_on)
        assert told == {rule: ("fail", severity)} and run.code == code, (severity, fail_on, run)
        assert f"{severity.upper():8} stays {rule}" in dbaudit("check", *ASSUMED, *only).out


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


def test_a_pool_moved_out_of_the_run_is_not_mended(dbaudit, home):
    arguments = ("check", "--assume", "mysql-8.4", "--pools", "pools.toml", "--set", "wait_timeout=600")
    run = dbaudit(*arguments, "--set", "pool.api.server=foo")
    assert run.code == 2 and not run.out and "--set pool.api.server: 'foo' is not part of this run (mysql-8.4)" in run.err, run
    assert dbaudit(*arguments, "--set", "pool.api.server=mysql-8.4", "--fail-on", "error").code == 0
    # Declared, but not in this run: nobody would judge it there.
    (home / "dbaudit.toml").write_text(''.join(f'[[server]]\nname = "{name}"\nurl = "mysql://u@127.0.0.1"\n' for name in ("one", "two")))
    (home / "pools.toml").write_text(POOLS.replace('name = "api"', 'name = "api"\nserver = "one"'))
    run = dbaudit(*arguments, "--server", "one", "--set", "pool.api.server=two")
    assert run.code == 2 and "'two' is not part of this run (one)" in run.err, run


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


SECRETS = (
    ("url", "jdbc:mysql://root:S3CRET@db/shop?password=S3CRET"), ("password", "S3CRET"), ("settings.password", "S3CRET"),
    ("dataSource.password", "S3CRET"), ("connectionInitSql", 'SET PASSWORD=PASSWORD("S3CRET")'),
    ("connection-init-sql", 'SET PASSWORD=PASSWORD("S3CRET")'),
)  # fmt: skip


@pytest.mark.parametrize("key, value", SECRETS)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("command", ["plan", "check"])
def test_no_secret_of_a_proposed_pool_is_printed(dbaudit, home, command, form, key, value):
    run = dbaudit(command, "--assume", "mysql-8.4", "--pools", "pools.toml", "--set", f"pool.api.{key}={value}", "--format", form)
    assert run.out and "S3CRET" not in run.out + run.err, run
    assert command == "check" or key in run.out


def test_the_plan_makes_room_before_it_is_taken(dbaudit, home):
    (home / "pools.toml").write_text(
        POOLS.replace("instances = 4", "instances = 2").replace("= 20", "= 10")
        + '[[pool]]\nname = "zeta"\nlibrary = "hikaricp"\ninstances = 4\nsettings = { maximumPoolSize = 25 }\n'
        + '[[pool]]\nname = "edge"\nlibrary = "proxysql"\ninstances = 1\nsettings = { max_connections = 10 }\n'
    )

    def steps(*changes):
        sets = [part for change in changes for part in ("--set", change)]
        plan = dbaudit("plan", "--assume", "mysql-8.4", "--pools", "pools.toml", "--only", "CAP001", "--format", "json", *sets).json()
        return [({setting["pool"] for setting in step["settings"]}, [found["rule"] for found in step["meanwhile"]]) for step in plan["steps"]]

    assert steps("pool.api.maximumPoolSize=40", "pool.zeta.maximumPoolSize=10") == [({"zeta"}, []), ({"api"}, [])]
    assert steps("pool.api.instances=8", "pool.zeta.instances=1") == [({"zeta"}, []), ({"api"}, [])]
    assert steps("pool.edge.max_connections=80", "pool.zeta.maximumPoolSize=10") == [({"zeta"}, []), ({"edge"}, [])]
    # No order helps when what is given back is not enough; then it is said.
    assert steps("pool.api.maximumPoolSize=40", "pool.zeta.maxLifetime=60000") == [({"api", "zeta"}, [])]
    grow = ("pool.api.maximumPoolSize=20", "pool.zeta.maximumPoolSize=20", "max_connections=140")
    assert steps(*grow) == [({"zeta"}, []), ({"api"}, []), (set(), [])]


def test_the_plan_resizes_the_machine(dbaudit, home):
    (home / "dbaudit.toml").write_text('[[server]]\nname = "shop"\nurl = "mysql://u@127.0.0.1"\nmemory = "2GiB"\nservice = "rds-mysql"\n')
    arguments = ("plan", "--assume", "mysql-9.7", "--pools", "pools.toml", "--only", "CAP001", "--memory", "shop:4GiB")
    text = dbaudit(*arguments).out
    assert "resize shop: memory 2.0 GiB -> 4.0 GiB" in text and "max_connections: 151 -> 302, by the new size" in text and "SET " not in text, text
    step = dbaudit(*arguments, "--format", "json").json()["steps"][0]
    assert step["resizes"] == [{"server": "shop", "from_bytes": 2 << 30, "to_bytes": 4 << 30}]
    assert [(one["by_resize"], one["commands"]) for one in step["variables"]] == [(True, [])]
    (home / "dbaudit.toml").unlink()
    text = dbaudit("plan", "--assume", "mysql-9.7", "--pools", "pools.toml", "--memory", "8GiB").out
    assert "resize mysql-9.7: memory unknown -> 8.0 GiB" in text, text


def test_the_plan_says_who_keeps_the_old_value(dbaudit, home):
    (home / "pools.toml").write_text(
        POOLS
        + '[[pool]]\nname = "edge"\nlibrary = "proxysql"\n'
        + '[[pool]]\nname = "behind"\nlibrary = "hikaricp"\nversion = "5.1.0"\nvia = "edge"\n'
        + '[[pool]]\nname = "people"\nlibrary = "hikaricp"\nversion = "5.1.0"\nurl = "jdbc:mysql://db/shop?interactiveClient=true"\n'
        + '[[pool]]\nname = "py"\nlibrary = "sqlalchemy"\nversion = "2.0.40"\nsettings = { pool_recycle = 600 }\n'
    )

    def old(*changes):
        sets = [part for change in changes for part in ("--set", change)]
        plan = dbaudit("plan", "--assume", "mysql-8.4", "--pools", "pools.toml", "--format", "json", *sets).json()
        return {(one["variable"], one["pool"]): one for one in plan["old_sessions"] if one["pool"]}

    assert set(old("wait_timeout=120")) == {("wait_timeout", name) for name in ("api", "edge", "py")}
    assert set(old("interactive_timeout=120")) == {("interactive_timeout", "people")}
    py = old("wait_timeout=700")["wait_timeout", "py"]
    assert py["gone_after_s"] == 600 + 28800 and "only when it is borrowed or given back" in py["reason"]
    both = {variable for variable, _ in old("sort_buffer_size=4M", "max_allowed_packet=128M")}
    assert both == {"sort_buffer_size", "max_allowed_packet"}


def test_no_plan_from_what_was_not_read(dbaudit, home):
    run = dbaudit("plan", "-h", "127.0.0.1", "-P", "1", "-u", "nobody", "--pools", "pools.toml", "--set", "wait_timeout=180")
    assert run.code == 3 and not run.out and "no plan without the variables of 127.0.0.1:1" in run.err

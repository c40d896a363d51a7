"""What a pool sets for its own sessions, what hides it, and what a proxy makes of it: judged without a server."""

import pytest

from reports import results


@pytest.fixture
def judged(dbaudit):
    """Outcome, hazard and evidence of each rule for the pool, or for what `subject` says."""

    def judged(pools, *arguments, version="mariadb-10.11", files=None, subject="p"):
        (dbaudit.home / "pools.toml").write_text(pools)
        for name, text in (files or {}).items():
            (dbaudit.home / name).write_text(text)
        declared = ("--pools", "pools.toml") if pools else ()
        run = dbaudit("check", "--assume", version, *declared, *arguments, "--param", "safety_margin=0s", "--format", "json")
        assert run.code in (0, 1, 3), run
        return {one["rule"]: one for one in run.json()["results"] if one["subject"] == subject}

    return judged


def pool(library, settings, more=""):
    return f'[[pool]]\nname = "p"\nlibrary = "{library}"\n{more}\n[pool.settings]\n{settings}\n'


SPRING = """
spring:
  datasource:
    url: {url}
    hikari:
      pool-name: p
      {more}
"""


@pytest.mark.parametrize("spring", [
    SPRING.format(url="jdbc:mysql://db/shop?sessionVariables=wait_timeout=${WT}", more="maximum-pool-size: 5"),
    SPRING.format(url="jdbc:mysql://db/shop?${OPTIONS}", more="maximum-pool-size: 5"),
    SPRING.format(url="jdbc:mysql://db/shop", more='connection-init-sql: "SET SESSION wait_timeout=${WT2}"'),
    SPRING.format(url="${DB_URL}", more="maximum-pool-size: 5"),
    SPRING.format(url="jdbc:mysql://db/shop", more="data-source-properties: { sessionVariables: 'wait_timeout=${WT}' }"),
])  # fmt: skip
def test_a_placeholder_that_hides_an_override_is_not_judged_by_the_servers_default(judged, spring):
    found = judged("", "--import", "ph.yml", version="mysql-8.4", files={"ph.yml": spring}, subject="application")
    assert {found[rule]["outcome"] for rule in ("POOL001", "POOL002", "POOL003", "POOL007")} == {"unknown"}, found


@pytest.mark.parametrize("settings", [
    'jdbcUrl = "jdbc:mysql://db/x?sessionVariables=wait_timeout=@@interactive_timeout"',
    'connectionInitSql = "SET wait_timeout=2*60"',
])  # fmt: skip
def test_an_expression_makes_one_pool_unknown_and_the_others_are_judged(judged, settings):
    other = '[[pool]]\nname = "other"\nlibrary = "hikaricp"\n'
    found = judged(pool("hikaricp", settings) + other)
    assert found["POOL001"]["outcome"] == found["POOL002"]["outcome"] == "unknown"
    assert found["POOL003"]["outcome"] == "fail"  # what it says about wait_timeout hides nothing else
    assert judged(pool("hikaricp", settings) + other, subject="other")["POOL001"]["outcome"] == "pass"


@pytest.mark.parametrize("settings", [
    'jdbcUrl = "jdbc:mysql://db/x?sessionVariables=lock_wait_timeout=10,innodb_lock_wait_timeout=5"',
    'connectionInitSql = "SET lock_wait_timeout=10, innodb_lock_wait_timeout=5"',
    '"dataSource.sessionVariables" = "lock_wait_timeout=10,innodb_lock_wait_timeout=5"',
])  # fmt: skip
def test_lock_timeouts_of_its_own_cure_what_they_are_recommended_for(judged, settings):
    assert {judged(pool("hikaricp", ""))[rule]["outcome"] for rule in ("POOL003", "POOL007")} == {"fail"}
    assert {judged(pool("hikaricp", settings))[rule]["outcome"] for rule in ("POOL003", "POOL007")} == {"pass"}


def test_a_transaction_timeout_of_its_own_kills(judged):
    settings = 'connectionInitSql = "SET SESSION idle_transaction_timeout=10"'
    found = judged(pool("hikaricp", settings, 'longest_think_time = "30s"'))["POOL006"]
    assert (found["outcome"], found["hazard"]) == ("fail", "killed_in_transaction")
    assert found["evidence"]["limit_s"] == 10 and found["evidence"]["limit_by"] == "idle_transaction_timeout set by the pool"


@pytest.mark.parametrize("library, settings, more, arguments", [
    ("tomcat_jdbc", 'initSQL = "SET autocommit=0"', "", ()),
    ("tomcat_jdbc", "", 'url = "jdbc:mariadb://db/x?autocommit=false"', ()),
    ("hikaricp", 'connectionInitSql = "SET autocommit=0"', "", ()),
    ("node_mysql2", "", "", ("--set", "autocommit=OFF")),
    ("go_database_sql", "", "", ("--set", "autocommit=OFF")),
    ("go_database_sql", "", "", ("--set", "init_connect=SET autocommit=0")),
])  # fmt: skip
def test_autocommit_off_wherever_it_comes_from(judged, library, settings, more, arguments):
    found = judged(pool(library, settings, more), *arguments)["POOL011"]
    assert (found["outcome"], found["hazard"]) == ("fail", "isolation"), found


@pytest.mark.parametrize("library, settings, more", [
    ("hikaricp", "", ""),
    ("django", "", ""),
    ("tomcat_jdbc", "", 'url = "jdbc:mysql://db/x"'),
])  # fmt: skip
def test_libraries_and_drivers_that_switch_autocommit_on_do_not_care(judged, library, settings, more):
    assert judged(pool(library, settings, more), "--set", "autocommit=OFF")["POOL011"]["outcome"] == "pass"


def test_a_statement_that_switches_autocommit_off_makes_idle_borrowers_die(judged):
    settings, more = 'initSQL = "SET autocommit=0"', 'longest_hold_time = "30s"'
    found = judged(pool("tomcat_jdbc", settings, more), "--set", "idle_transaction_timeout=20")["POOL005"]
    assert (found["outcome"], found["hazard"]) == ("fail", "dead_return")
    assert judged(pool("tomcat_jdbc", "", more), "--set", "idle_transaction_timeout=20")["POOL005"]["outcome"] == "pass"


@pytest.mark.parametrize("check", ["testOnBorrow = true\nvalidationInterval = 30000", "maxAge = 25000"])
def test_a_transaction_left_open_dies_in_the_pool(judged, check):
    def outcome(settings, limit):
        found = judged(pool("tomcat_jdbc", check + "\n" + settings, 'version = "9.0.95"'), "--set", f"idle_transaction_timeout={limit}")
        return found["POOL001"]["outcome"], found["POOL001"].get("evidence", {}).get("idle_limit_s")

    assert outcome("defaultAutoCommit = false", 20) == ("fail", 20)
    assert outcome("defaultAutoCommit = false", 0)[0] == "pass"
    assert outcome("defaultAutoCommit = false", 31)[0] == "pass"
    assert outcome("defaultAutoCommit = false\nrollbackOnReturn = true", 20)[0] == "pass"
    assert outcome("defaultAutoCommit = true", 20)[0] == "pass"


PROXY = """
[[pool]]
name = "edge"
library = "proxysql"
[pool.settings]
mysql-max_transaction_idle_time = 20000
mysql-max_connections = 50
[[pool]]
name = "p"
library = "hikaricp"
via = "edge"
instances = 10
longest_think_time = "60s"
settings = { maximumPoolSize = 20 }
"""


def test_a_proxy_ends_transactions_and_refuses_clients(judged):
    found = judged(PROXY, "--set", "wait_timeout=30")["POOL006"]
    assert (found["outcome"], found["evidence"]["limit_s"], found["evidence"]["limit_by"]) == ("fail", 20, "the proxy edge")
    without = judged(PROXY.replace("mysql-max_transaction_idle_time = 20000", ""), "--set", "wait_timeout=30")
    assert (without["POOL006"]["outcome"], without["POOL006"]["evidence"]["limit_s"]) == ("fail", 30)
    assert without["POOL001"]["outcome"] == "pass"  # an idle client is the proxy's, which pings the server
    refused = judged(PROXY, subject="edge")["CAP005"]
    assert (refused["outcome"], refused["hazard"], refused["evidence"]["peak_connections"]) == ("fail", "refused", 200)


@pytest.mark.parametrize("declared, arguments, rule", [
    (pool("hikaricp", 'maxLifetime = 600000\n"dataSource.sessionVariables" = "wait_timeout=60"'), (), "POOL002"),
    (pool("tomcat_jdbc", 'connectionProperties = "sessionVariables=wait_timeout=2;"\ntestOnBorrow = true'), (), "POOL001"),
    (pool("django", "CONN_MAX_AGE = 100\nOPTIONS = { client_flag = 1024 }", 'version = "5.2"'), ("--set", "interactive_timeout=50"), "POOL001"),
    (pool("node_mysql2", 'flags = ["INTERACTIVE"]\nmaxIdle = 1'), ("--set", "interactive_timeout=50"), "POOL002"),
    (pool("hikaricp", ""), ("--set", "init_connect=SET wait_timeout=2"), "POOL002"),
])  # fmt: skip
def test_overrides_count_wherever_they_are_declared(judged, declared, arguments, rule):
    found = judged(declared, *arguments)[rule]
    assert found["outcome"] == "fail", found


RAILS = """
production:
  adapter: mysql2
  variables:
    lock_wait_timeout: 3
    innodb_lock_wait_timeout: 2
"""
TOMCAT = """
spring.datasource.url=jdbc:mysql://db/x
spring.datasource.type=org.apache.tomcat.jdbc.pool.DataSource
spring.datasource.tomcat.connection-properties=sessionVariables=wait_timeout=2;password=oops
"""
DJANGO = '{"DATABASES": {"default": {"ENGINE": "django.db.backends.mysql", "CONN_MAX_AGE": 100, "OPTIONS": {"client_flag": 1024}}}}'
MYSQL2 = '{"host": "db", "connectionLimit": 10, "maxIdle": 1, "flags": ["INTERACTIVE"]}'


@pytest.mark.parametrize("name, text, subject, expected", [
    ("database.yml", RAILS, "rails", {"POOL003": "pass", "POOL007": "pass"}),
    ("application.properties", TOMCAT, "application", {"POOL001": "fail"}),
    ("databases.json", DJANGO, "django", {"POOL001": "fail"}),
    ("pool.json", MYSQL2, "mysql2", {"POOL002": "fail"}),
])  # fmt: skip
def test_importers_take_them(judged, dbaudit, name, text, subject, expected):
    found = judged("", "--import", name, "--set", "interactive_timeout=50", files={name: text}, subject=subject)
    assert {rule: found[rule]["outcome"] for rule in expected} == expected
    assert "oops" not in dbaudit("pools", "import", name).out

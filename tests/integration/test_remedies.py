"""Rules that no other file takes through their whole life on a real server: wrong, found, mended as the remedy says, quiet.

Rules about pools are judged against what the server says of itself; their remedy is a change of the declaration, as
somebody would make it after changing the pool.
"""

import re

import pymysql
import pytest

from test_harmless import grants_of
from test_rules_fire import apply, failure

# Settings, limits and counters are the same whatever else a server shows.
pytestmark = pytest.mark.variants("mysql-9.7", "mariadb-10.11")


@pytest.fixture
def judged(server, dbaudit):
    """judged(rule, *args, pools=TOML, declared=TOML): that rule's results; declared: more keys of the server."""
    server.account("aud", grants_of(server))

    def run(rule, *args, pools="", declared=""):
        where = f'[[server]]\nname = "shop"\nurl = "mysql://aud@{server.host}:{server.port}"\n{declared}\n'
        (dbaudit.home / "dbaudit.toml").write_text(where + pools)
        return dbaudit("audit", "--format", "json", "--server", "shop", "--only", rule, *args).json()["results"]

    return run


def pool(library, keys="", **settings):
    lines = [f"{key.replace('__', '.')} = {value}" for key, value in settings.items()]
    lines = [line if "." not in line.split(" = ")[0] else f'"{line.split(" = ")[0]}" = {line.split(" = ")[1]}' for line in lines]
    return "\n".join(["[[pool]]", 'name = "api"', f'library = "{library}"', keys, "[pool.settings]", *lines, ""])


def failing(found):
    return [one for one in found if one["outcome"] == "fail"]


# --- pools

TOMCAT = 'version = "9.0.70"'
HIKARI = 'version = "5.1.0"'
PROXY = '[[pool]]\nname = "edge"\nlibrary = "proxysql"\nsettings = {{ mysql-max_connections = {} }}\n'
BEHIND = '{}\nvia = "edge"\ninstances = 10\n'.format(HIKARI)

# rule, the server's settings, the pool as it is, a part of the remedy, the pool as it should be, more arguments
POOLS = [
    pytest.param(
        "POOL001", {"wait_timeout": 180}, pool("tomcat_jdbc", TOMCAT, testOnBorrow="false", testWhileIdle="false"),
        "validation on borrow", pool("tomcat_jdbc", TOMCAT, testOnBorrow="true", validationInterval="3000"),
        marks=pytest.mark.fires("POOL001"), id="POOL001",
    ),
    pytest.param(
        "POOL002", {"wait_timeout": 180}, pool("hikaricp", HIKARI),
        "a maximum lifetime", pool("hikaricp", HIKARI, maxLifetime="120000"),
        marks=pytest.mark.fires("POOL002"), id="POOL002",
    ),
    pytest.param(
        "POOL003", {"innodb_lock_wait_timeout": 50}, pool("hikaricp", HIKARI, connectionTimeout="30000"),
        "innodb_lock_wait_timeout = 10", pool("hikaricp", HIKARI, connectionTimeout="30000", connectionInitSql='"SET SESSION innodb_lock_wait_timeout = 10"'),
        marks=pytest.mark.fires("POOL003"), id="POOL003",
    ),
    pytest.param(
        "POOL004", {}, pool("hikaricp", HIKARI, maxLifetime="5000"),
        "Write the value that is meant to be in force", pool("hikaricp", HIKARI, maxLifetime="1800000"),
        marks=pytest.mark.fires("POOL004"), id="POOL004",
    ),
    pytest.param(
        "POOL005", {"wait_timeout": 180}, pool("tomcat_jdbc", TOMCAT + '\nlongest_think_time = "10m"', testOnReturn="false"),
        "validation on borrow or on return", pool("tomcat_jdbc", TOMCAT + '\nlongest_think_time = "10m"', testOnReturn="true", validationInterval="3000"),
        marks=pytest.mark.fires("POOL005"), id="POOL005",
    ),
    pytest.param(
        "POOL006", {"wait_timeout": 180}, pool("hikaricp", HIKARI + '\nlongest_think_time = "10m"'),
        "Shorten the pause", pool("hikaricp", HIKARI + '\nlongest_think_time = "1m"'),
        marks=pytest.mark.fires("POOL006"), id="POOL006",
    ),
    pytest.param(
        "POOL007", {"lock_wait_timeout": 86400}, pool("hikaricp", HIKARI),
        "SET SESSION lock_wait_timeout", pool("hikaricp", HIKARI, connectionInitSql='"SET SESSION lock_wait_timeout = 10"'),
        marks=pytest.mark.fires("POOL007"), id="POOL007",
    ),
    pytest.param(
        "POOL008", {}, pool("hikaricp", HIKARI, connectionTimeout="491632"),
        "1 min at most", pool("hikaricp", HIKARI, connectionTimeout="30000"),
        marks=pytest.mark.fires("POOL008"), id="POOL008",
    ),
    pytest.param(
        "POOL009", {"innodb_lock_wait_timeout": 50}, pool("hikaricp", HIKARI, dataSource__socketTimeout="20000"),
        "a row lock wait below the driver", pool("hikaricp", HIKARI, dataSource__socketTimeout="60000"),
        marks=pytest.mark.fires("POOL009"), id="POOL009",
    ),
    pytest.param(
        "POOL010", {}, pool("django", 'version = "4.2.28"', CONN_MAX_AGE="0"),
        "CONN_MAX_AGE below wait_timeout with CONN_HEALTH_CHECKS", pool("django", 'version = "4.2.28"', CONN_MAX_AGE="60", CONN_HEALTH_CHECKS="true"),
        marks=pytest.mark.fires("POOL010"), id="POOL010",
    ),
    pytest.param(
        "POOL011", {}, pool("tomcat_jdbc", TOMCAT, defaultAutoCommit="false"),
        "rollbackOnReturn", pool("tomcat_jdbc", TOMCAT, defaultAutoCommit="false", rollbackOnReturn="true"),
        marks=pytest.mark.fires("POOL011"), id="POOL011",
    ),
    pytest.param(
        "POOL012", {}, pool("hikaricp", HIKARI + '\nnetwork_idle_timeout = "350s"'),
        "a keep-alive", pool("hikaricp", HIKARI + '\nnetwork_idle_timeout = "350s"', keepaliveTime="300000"),
        marks=pytest.mark.fires("POOL012"), id="POOL012",
    ),
    # The proxy stands between: what it accepts is declared, and the server has no part in it.
    pytest.param(
        "CAP005", {}, PROXY.format(50) + pool("hikaricp", BEHIND, maximumPoolSize="20"),
        "150 more clients (ProxySQL: mysql-max_connections)", PROXY.format(200) + pool("hikaricp", BEHIND, maximumPoolSize="20"),
        marks=pytest.mark.fires("CAP005"), id="CAP005",
    ),
]  # fmt: skip


@pytest.mark.parametrize("rule, settings, wrong, remedy, right", POOLS)
def test_a_pool_and_its_remedy(server, judged, rule, settings, wrong, remedy, right):
    server.set_global(**settings)
    more = ("--param", "connects_per_second=0") if rule == "POOL010" else ()
    found = failing(judged(rule, *more, pools=wrong))
    assert found and any(remedy in one["remedy"] for one in found), found
    mended = judged(rule, *more, pools=right)
    assert mended and {one["outcome"] for one in mended} <= {"pass", "not_applicable"}, mended


# --- capacity


@pytest.mark.fires("CAP001")
def test_more_connections_than_the_server_has(server, judged):
    pools = pool("hikaricp", "instances = 8", maximumPoolSize="25")
    found = failure(judged("CAP001", pools=pools))
    missing = int(re.search(r"max_connections larger, by (\d+) connections", found["remedy"])[1])
    limit = server.admin("SELECT @@max_connections")[0][0] + missing
    server.set_global(max_connections=limit - 1)
    assert failing(judged("CAP001", pools=pools)), "one less is not enough"
    # The reserve is a share of max_connections, and grows with it.
    for _ in range(3):
        server.set_global(max_connections=limit)
        if not (left := failing(judged("CAP001", pools=pools))):
            return
        limit += int(re.search(r"larger, by (\d+)", left[0]["remedy"])[1])
    pytest.fail(f"never enough: {left}")


@pytest.mark.fires("CAP002")
def test_more_connections_than_the_account_may_have(server, judged):
    server.account("app")
    server.admin("ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 3")
    pools = pool("hikaricp", 'user = "app"', maximumPoolSize="4")
    found = failure(judged("CAP002", pools=pools))
    assert (found["hazard"], found["evidence"]["account_limit"]) == ("refused", 3)
    with pytest.raises(pymysql.MySQLError) as refused:
        for _ in range(4):
            server.connect("app", "pw")
    assert refused.value.args[0] == 1226
    server.admin(re.search(r"ALTER USER .*? n\b", found["remedy"])[0].replace("...", "app@'%'").removesuffix("n") + "4")
    assert [one["outcome"] for one in judged("CAP002", pools=pools)] == ["pass"]
    server.connect("app", "pw")


@pytest.mark.fires("CAP003")
def test_connections_were_used_up(server, judged):
    server.account("app")
    server.admin("FLUSH STATUS")  # the peak of other tests
    peak = server.admin("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0][1]
    server.set_global(max_connections=12)
    sessions = []

    def fill():
        with pytest.raises(pymysql.MySQLError) as refused:
            while True:
                sessions.append(server.connect("app", "pw"))
        assert refused.value.args[0] == 1040

    def administrator():
        try:
            return server.connect()
        except pymysql.MySQLError as refused:
            assert refused.args[0] == 1040  # MySQL takes who was refused off its count after it has told them

    fill()
    sessions.append(server.wait_for(administrator, "an administrator takes the place beyond the last"))
    fill()  # MariaDB counts whom it refuses only now
    for one in sessions:
        one.close()
    server.wait_for(f"SELECT COUNT(*) <= {peak} + 1 FROM information_schema.PROCESSLIST", "they have gone")
    found = {one["subject"]: one for one in judged("CAP003")}
    assert {name: (one["outcome"], one["severity"]) for name, one in found.items()} == {"peak of connections": ("fail", "warning"), "refused connections": ("fail", "error")}
    apply(server, found["peak of connections"]["remedy"].replace("= n", "= 151"))
    # Who was refused was refused: the counters tell of it until they start again, on MySQL after a restart only.
    assert {one["subject"] for one in failing(judged("CAP003"))} == {"refused connections"}
    server.admin(re.search(r"FLUSH STATUS", found["refused connections"]["remedy"])[0])
    assert {one["subject"] for one in failing(judged("CAP003"))} == ({"refused connections"} if server.flavor == "mysql" else set())


@pytest.mark.fires("CAP004")
def test_more_memory_than_the_machine_has(server, judged):
    plenty = judged("CAP004", declared='memory = "900GiB"')
    assert [one["outcome"] for one in plenty] == ["pass"]
    seen = plenty[0]["evidence"]
    # Room for a hundred connections of the 151, and the reserve.
    memory = f'memory = "{int((seen["global_bytes"] + 100 * seen["connection_bytes"]) / 0.85) // 1024 + 1}KiB"'
    found = failure(judged("CAP004", declared=memory))
    fit = int(re.search(r"(\d+) connections fit", found["message"])[1])
    assert fit == 100 and found["remedy"].startswith("Lower max_connections")
    server.set_global(max_connections=fit)
    assert [one["outcome"] for one in judged("CAP004", declared=memory)] == ["pass"]


# --- sessions and variables


@pytest.mark.fires("SES002", on=("mysql",))
def test_sessions_with_values_of_their_own(server, judged):
    if server.flavor == "mariadb":  # it shows nobody the variables of another session
        assert [(one["outcome"], one["curable"]) for one in judged("SES002")] == [("unknown", False)]
        return
    server.set_global(lock_wait_timeout=60)
    server.account("app")
    old = server.connect("app", "pw")
    old.cursor().execute("SET SESSION lock_wait_timeout = 31536000")
    found = [one for one in failing(judged("SES002")) if one["evidence"]["user"] == "app"]
    assert [(one["severity"], one["evidence"]["variable"], one["evidence"]["sessions"]) for one in found] == [("warning", "lock_wait_timeout", 1)]
    assert found[0]["remedy"].endswith(f"KILL {old.thread_id()}, or restart the application")
    server.admin(f"KILL {old.thread_id()}")
    server.wait_for(f"SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE ID = {old.thread_id()}", "it has gone")
    assert not [one for one in judged("SES002") if "app" in one["subject"]]


@pytest.mark.fires("VAR002")
def test_a_value_that_the_next_start_does_not_have(server, judged):
    before = server.admin("SELECT @@GLOBAL.max_connections")[0][0]
    server.set_global(max_connections=222)
    mine = lambda: [one for one in judged("VAR002") if one["subject"] == "max_connections"]
    found = failure(mine())
    assert "max_connections is 222 now" in found["message"]
    if server.flavor == "mysql":
        server.admin(re.search(r"SET PERSIST \w+ = \d+", found["remedy"])[0])
        try:
            assert not mine()
        finally:
            server.admin("RESET PERSIST max_connections")
    else:  # no option file is written here; the other half of the remedy sets the old value back
        assert "set the old value back at run time" in found["remedy"]
        server.set_global(max_connections=before)
        assert not mine()

"""Pools out of applications' own files: `pools import`, `import =` in a declaration, and `check --import`. No server."""

import tomllib

import pytest

APPLICATION = """\
spring:
  application:
    name: checkout
  datasource:
    url: jdbc:mysql://shop:hunter2@db/shop
    password: hunter2
    hikari:
      maximum-pool-size: 20
      max-lifetime: 1700000
      connection-timeout: ${CONNECTION_TIMEOUT}
---
spring:
  config.activate.on-profile: prod
  datasource.hikari:
    max-lifetime: 600000
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  replicas: 6
  template: {spec: {containers: [{name: app, image: app}]}}
"""
DECLARED = """\
[[pool]]
name = "checkout-api"
library = "hikaricp"
import = ["config/application.yml", "config/deployment.yaml"]
import_profile = "prod"
settings = { minimumIdle = 2 }
"""
TWO = """\
a.datasource.jdbc-url: jdbc:mysql://db/a
b.datasource.jdbc-url: jdbc:mysql://db/b
"""
ASSUMED = ["check", "--assume", "mysql-9.7", "--only", "POOL001", "POOL002", "POOL004", "--allow-unknown"]


@pytest.fixture
def home(dbaudit):
    (dbaudit.home / "config").mkdir()
    (dbaudit.home / "config/application.yml").write_text(APPLICATION)
    (dbaudit.home / "config/deployment.yaml").write_text(DEPLOYMENT)
    return dbaudit.home


def test_pools_import_prints_tables_to_commit(dbaudit, home):
    run = dbaudit("pools", "import", "config/application.yml")
    assert run.code == 0, run
    [pool] = tomllib.loads(run.out)["pool"]
    assert pool["name"] == "checkout" and pool["library"] == "hikaricp" and pool["user"] == "shop"
    assert pool["settings"] == {"maximumPoolSize": 20, "maxLifetime": 1700000, "connectionTimeout": "unknown"}
    assert "# config/application.yml:8" in run.out
    assert "connectionTimeout is unknown: ${CONNECTION_TIMEOUT} hides it" in run.err
    assert "hunter2" not in run.out + run.err
    (home / "pools.toml").write_text(run.out)
    explained = dbaudit("pools", "explain", "checkout", "--pools", "pools.toml")
    assert explained.code == 0 and "connectionTimeout = unknown" in explained.out, explained


def test_profile_is_chosen(dbaudit, home):
    run = dbaudit("pools", "import", "config/application.yml", "--profile", "prod")
    assert tomllib.loads(run.out)["pool"][0]["settings"]["maxLifetime"] == 600000, run
    run = dbaudit("pools", "import", "config/application.yml", "--profile", "prodd")
    assert run.code == 2 and "config/application.yml: no part of it is for profile 'prodd'" in run.err, run


def test_url_as_argument_and_standard_input(dbaudit):
    run = dbaudit("pools", "import", "mysql+pymysql://app:hunter2@db/shop?read_timeout=30")
    assert run.code == 0 and 'url = "mysql+pymysql://db/shop?read_timeout=30"' in run.out, run
    assert "hunter2" not in run.out + run.err
    run = dbaudit("pools", "import", "-", input="app:hunter2@tcp(db:3306)/shop?timeout=5s\n")
    assert run.code == 0 and 'library = "go_database_sql"' in run.out and "hunter2" not in run.out + run.err, run


def test_django_says_how(dbaudit):
    run = dbaudit("pools", "import", "--django")
    assert run.code == 0 and "manage.py shell" in run.out, run


@pytest.mark.parametrize("arguments, said", [
    (["gone.yml"], "gone.yml: cannot be read"),
    (["."], ".: cannot be read"),
    ([], "name a file or a URL"),
    (["config/application.yml", "--format", "tomcat"], "config/application.yml:"),
    (["config/application.yml", "--format", "toml"], "--format"),
    (["mysql://app:hunter2?x@db/d"], "is no URL that can be taken apart"),
])  # fmt: skip
def test_bad_requests(dbaudit, home, arguments, said):
    run = dbaudit("pools", "import", *arguments)
    assert run.code == 2 and said in run.err and "hunter2" not in run.err, run


def test_declaration_imports_and_wins(dbaudit, home):
    (home / "dbaudit.toml").write_text(DECLARED)
    run = dbaudit("pools", "explain", "checkout-api")
    assert run.code == 0, run
    text = " ".join(run.out.split())
    for part in [
        "maximumPoolSize = 20 (config/application.yml:8)",
        "minimumIdle = 2 (declared)",
        "maxLifetime = 600000, that is 10 min (config/application.yml:15)",
        "connectionTimeout = unknown",
        "config/application.yml:10: ${CONNECTION_TIMEOUT} hides it",
        "instances 6, more while deploying 2",
    ]:
        assert part in text, run
    changed = dbaudit("check", "--assume", "mysql-9.7", "--only", "POOL004", "--set", "pool.checkout-api.maxLifetime=5000", "--format", "json")
    assert any(r["evidence"].get("declared") == 5000 and r["outcome"] == "fail" for r in changed.json()["results"]), changed


@pytest.mark.parametrize("declaration, said", [
    ('import = "gone.yml"', "gone.yml: cannot be read"),
    ("import = 7", "dbaudit.toml:4: [[pool]] 'p': 'import' must be the name of a file"),
    ('import = "two.yml"', "dbaudit.toml:4: [[pool]] 'p': two.yml holds several pools, choose one with import_name: a, b"),
    ('import = "two.yml"\nimport_name = "c"', "holds no pool 'c'"),
    ('import = "bad.yml"', "bad.yml:3: not valid YAML"),
    ('import = "wrong.yml"', "wrong.yml:2: pool 'p': 'maximumPoolSize' must be a whole number"),
])  # fmt: skip
def test_declarations_that_cannot_import(dbaudit, home, declaration, said):
    (home / "two.yml").write_text(TWO)
    (home / "bad.yml").write_text("a: 1\nb: [\n")
    (home / "wrong.yml").write_text("spring.datasource.url: jdbc:mysql://db/x\nspring.datasource.hikari.maximum-pool-size: many\n")
    (home / "dbaudit.toml").write_text(f'[[pool]]\nname = "p"\nlibrary = "hikaricp"\n{declaration}\n')
    run = dbaudit("pools", "explain", "p")
    assert run.code == 2 and said in run.err, run


def test_one_of_several_is_chosen(dbaudit, home):
    (home / "two.yml").write_text(TWO)
    (home / "dbaudit.toml").write_text('[[pool]]\nname = "p"\nlibrary = "hikaricp"\nimport = "two.yml"\nimport_name = "b"\n')
    assert dbaudit("pools", "explain", "p").code == 0


def test_check_judges_an_imported_file(dbaudit, home):
    run = dbaudit(*ASSUMED, "--import", "config/application.yml", "--set", "wait_timeout=600", "--format", "json")
    assert run.code in (0, 1), run
    results = run.json()["results"]
    assert {r["subject"] for r in results if r["rule"] == "POOL002"} == {"checkout"}
    unknown = [r for r in results if r["rule"] == "POOL004" and r["outcome"] == "unknown"]
    assert len(unknown) == 1 and "config/application.yml:10" in unknown[0]["reason"], run
    assert run.err.count("connectionTimeout is unknown") == 1
    prod = dbaudit(*ASSUMED, "--import", "config/application.yml", "--import-profile", "prod", "--format", "json")
    assert any(r["evidence"].get("declared") == 600000 for r in prod.json()["results"]), prod


def test_check_names_the_place_of_a_setting_that_is_not_honoured(dbaudit, home):
    (home / "application.yml").write_text("spring.datasource.url: jdbc:mysql://db/x\nspring.datasource.hikari.max-lifetime: 23800\n")
    run = dbaudit("check", "--assume", "mariadb-11.8", "--only", "POOL004", "--import", "application.yml")
    assert "maxLifetime = 23800 (application.yml:2); HikariCP" in " ".join(run.out.split()), run


def test_imported_pool_needs_a_library(dbaudit, home):
    run = dbaudit(*ASSUMED, "--import", "config/deployment.yaml")
    assert run.code == 2 and "does not tell which library" in run.err, run


def test_huge_and_hostile_files_end_soon(dbaudit, home):
    (home / "application.yml").write_text("a" * (9 << 20))
    run = dbaudit("pools", "import", "application.yml", timeout=20)
    assert run.code == 2 and "larger than 8 MiB" in run.err, run
    run = dbaudit("pools", "import", "/dev/zero", timeout=20)
    assert run.code == 2 and "larger than 8 MiB" in run.err, run
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40))
    (home / "application.yml").write_text(laughs)
    run = dbaudit("pools", "import", "application.yml", timeout=20)
    assert run.code == 2 and "application.yml:" in run.err and "more values" in run.err, run


BASE = """\
spring.application.name=checkout
spring.datasource.url=jdbc:mysql://db/shop
spring.datasource.hikari.maximum-pool-size=20
spring.datasource.hikari.max-lifetime=1700000
"""


def test_springs_two_files_are_one_application(dbaudit):
    (dbaudit.home / "application.properties").write_text(BASE)
    (dbaudit.home / "application-prod.properties").write_text("spring.datasource.hikari.max-lifetime=600000\n")
    files = ("application.properties", "application-prod.properties")
    imports = [part for file in files for part in ("--import", file)]
    run = dbaudit(*ASSUMED, *imports, "--import-profile", "prod", "--set", "wait_timeout=500", "--format", "json")
    assert "name both" not in run.err and run.code == 0, run
    [result] = [one for one in run.json()["results"] if one["rule"] == "POOL002"]
    assert (result["subject"], result["evidence"]["longest_silence_s"]) == ("checkout", 600)
    run = dbaudit("pools", "import", *files, "--profile", "prod")
    [pool] = tomllib.loads(run.out)["pool"]
    assert pool["name"] == "checkout" and pool["settings"] == {"maximumPoolSize": 20, "maxLifetime": 600000}, run
    assert pool["url"] == "jdbc:mysql://db/shop"
    # Two applications of one name are two.
    (dbaudit.home / "other").mkdir()
    (dbaudit.home / "other/application.properties").write_text(BASE)
    run = dbaudit(*ASSUMED, "--import", files[0], "--import", "other/application.properties")
    assert run.code == 2 and "pool 'checkout' is already declared" in run.err


def test_what_boot_would_not_start_with(dbaudit):
    (dbaudit.home / "application.yml").write_text("spring:\n  datasource:\n    url: jdbc:mysql://db/shop\nspring:\n  application:\n    name: a\n")
    run = dbaudit("pools", "import", "application.yml")
    assert run.code == 2 and "application.yml:5: the key 'spring' is there twice: Spring Boot refuses to start with it" in run.err, run

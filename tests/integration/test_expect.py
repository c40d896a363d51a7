"""[expect.ENVIRONMENT]: values that must hold on every server of an environment."""

import re

import pytest

from reports import results
from test_harmless import grants_of
from test_rules_fire import apply


def declare(dbaudit, server, expect, environment="production"):
    url = f"mysql://aud@127.0.0.1:{server.port}"
    (dbaudit.home / "dbaudit.toml").write_text(f'[[server]]\nname = "shop"\nurl = "{url}"\nenvironment = "{environment}"\n[expect.production]\n{expect}')


@pytest.mark.fires("VAR004")
def test_what_does_not_hold_fails_until_its_remedy_was_applied(server, dbaudit):
    server.account("aud", grants_of(server))
    server.set_global(wait_timeout=180, lock_wait_timeout=50)
    declare(dbaudit, server, 'wait_timeout = 600\nlock_wait_timeout = 50\nsql_mode = "strict_trans_tables,no_engine_substitution"\nmax_allowed_packet = "1G"')
    server.set_global(sql_mode="NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES")
    audit = lambda: dbaudit("audit", "--format", "json", "--only", "VAR004")  # noqa: E731
    run = audit()
    assert run.code == 1
    found = {one["subject"]: one for one in results(run.json(), "VAR004")}
    assert {name: one["outcome"] for name, one in found.items()} == {"wait_timeout": "fail", "lock_wait_timeout": "pass", "sql_mode": "pass", "max_allowed_packet": "fail"}
    assert "wait_timeout is 180; for production 600 is declared" in found["wait_timeout"]["message"]
    assert re.search(r"dbaudit.toml:6$", found["wait_timeout"]["remedy"])
    apply(server, found["wait_timeout"]["remedy"])
    apply(server, found["max_allowed_packet"]["remedy"])
    run = audit()
    assert run.code == 0 and {one["outcome"] for one in results(run.json(), "VAR004")} == {"pass"}
    # What a change would break is said before it is made.
    run = dbaudit("check", "--format", "json", "--only", "VAR004", "--set", "wait_timeout=180")
    assert run.code == 1
    assert [(one["subject"], one["change"]) for one in results(run.json(), "VAR004", "fail")] == [("wait_timeout", "new")]


def test_another_environment_is_not_held_to_it(server, dbaudit):
    server.account("aud", grants_of(server))
    declare(dbaudit, server, "wait_timeout = 600", environment="test")
    run = dbaudit("audit", "--only", "VAR004")
    assert run.code == 2 and "[expect.production]: no [[server]] has this environment" in run.err
    (dbaudit.home / "dbaudit.toml").write_text((dbaudit.home / "dbaudit.toml").read_text().replace("expect.production", "expect.test"))
    server.set_global(wait_timeout=600)
    assert dbaudit("audit", "--only", "VAR004").code == 0

"""What a team accepts: waivers with an owner and a last day, and a baseline of what is known."""

import datetime
import json

import pytest

from reports import results
from test_harmless import grants_of

FOREVER = "9999-12-31"
LONG_GONE = "2001-01-01"


def waiver(rule, until, subject=None, server=None, reason="replaced in spring", owner="db-team"):
    lines = [f'rule = "{rule}"', f'reason = "{reason}"', f'owner = "{owner}"', f"until = {until}"]
    lines += [f'{key} = "{value}"' for key, value in (("subject", subject), ("server", server)) if value]
    return "\n".join(["[[waiver]]", *lines, ""])


@pytest.fixture
def slow_waits(server, dbaudit):
    """A server on which VAR001 and EVI001 fail; audit(*args): its report, and the run."""
    server.account("aud", grants_of(server))
    server.set_global(lock_wait_timeout=31536000, slow_query_log="OFF")

    def audit(*args):
        run = dbaudit("audit", "--format", "json", "--fail-on", "warning", "--only", "VAR001", "--only", "EVI001", *args, server=server)
        return run.json(), run

    return audit


def failing(report):
    return {one["rule"] for one in report["results"] if one["outcome"] == "fail"}


def test_waived_is_shown_and_does_not_count(server, dbaudit, slow_waits):
    report, run = slow_waits()
    assert run.code == 1 and failing(report) == {"VAR001", "EVI001"}
    (dbaudit.home / "dbaudit.toml").write_text(waiver("VAR001", FOREVER, "lock_*") + waiver("EVI001", FOREVER))
    report, run = slow_waits()
    assert run.code == 0 and not failing(report)
    assert report["summary"]["waived"] == 2 and report["summary"]["fail"]["warning"] == 0
    one = results(report, "VAR001", "waived")[0]
    assert one["waiver"] == {"reason": "replaced in spring", "owner": "db-team", "until": FOREVER, "expired": False}
    assert one["message"] and one["fingerprint"]
    text = dbaudit("audit", "--only", "VAR001", server=server).out
    assert "Waived:" in text and f"by db-team until {FOREVER}: replaced in spring" in text and one["message"][:30] in text


def test_expired_waiver_fails_again_and_says_so(server, dbaudit, slow_waits):
    yesterday = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    (dbaudit.home / "dbaudit.toml").write_text(waiver("VAR001", yesterday) + waiver("EVI001", LONG_GONE) + waiver("EVI001", yesterday + datetime.timedelta(days=2)))
    report, run = slow_waits()
    assert run.code == 1 and failing(report) == {"VAR001"}
    assert results(report, "VAR001", "fail")[0]["waiver"]["expired"] is True
    assert f"the waiver of db-team expired on {yesterday}" in " ".join(dbaudit("audit", "--only", "VAR001", server=server).out.split())


def test_unused_waivers_are_reported(server, dbaudit, slow_waits):
    (dbaudit.home / "dbaudit.toml").write_text(
        waiver("VAR001", FOREVER, "no_such_variable") + waiver("VAR001", LONG_GONE, server="elsewhere") + waiver("TRX001", FOREVER) + waiver("VAR001", FOREVER)
    )
    report, run = slow_waits()
    assert [(one["rule"], one["subject"], one["line"]) for one in report["unused_waivers"]] == [("VAR001", "no_such_variable", 1)]
    text = dbaudit("audit", "--only", "VAR001", server=server).out
    assert "Waivers that nothing needs" in text and "dbaudit.toml:1: VAR001 for no_such_variable" in text


def test_a_baseline_lets_only_new_findings_fail(server, dbaudit, slow_waits):
    file = dbaudit.home / "base.txt"
    server.set_global(slow_query_log="ON", log_output="TABLE")
    report, run = slow_waits("--baseline", "base.txt", "--update-baseline")
    assert run.code == 0 and report["summary"]["known"] == 1 and results(report, "VAR001", "fail")[0]["known"] is True
    first = file.read_text()
    assert first.startswith("# dbaudit baseline 1\n") and first.count("\n") == 2 and "\tVAR001\t" in first

    # Something new fails, and is not taken in.
    server.set_global(slow_query_log="OFF")
    report, run = slow_waits("--baseline", "base.txt", "--update-baseline")
    assert run.code == 1 and results(report, "EVI001", "fail")[0]["known"] is False and file.read_text() == first
    text = dbaudit("audit", "--only", "VAR001", "--baseline", "base.txt", server=server).out
    assert "In the baseline, so not counted:" in text and ", 1 in the baseline" in text

    # What is gone stays in the file until it is pruned, and a run that does not look leaves it there.
    server.set_global(lock_wait_timeout=5)
    slow_waits("--baseline", "base.txt")
    dbaudit("audit", "--only", "EVI001", "--baseline", "base.txt", "--update-baseline", server=server)
    assert file.read_text() == first
    report, run = slow_waits("--baseline", "base.txt", "--update-baseline")
    assert "1 of 1 findings are gone" in run.err and file.read_text() == "# dbaudit baseline 1\n"


def test_an_expired_waiver_counts_whatever_the_baseline_says(server, dbaudit, slow_waits):
    slow_waits("--baseline", "base.txt", "--update-baseline")
    (dbaudit.home / "dbaudit.toml").write_text(waiver("VAR001", LONG_GONE))
    report, run = slow_waits("--baseline", "base.txt")
    assert run.code == 1 and [one["known"] for one in results(report, "VAR001", "fail")] == [False]
    assert results(report, "EVI001", "fail")[0]["known"] is True


def test_a_run_without_pools_prunes_nothing_about_pools(dbaudit, server):
    server.account("aud", grants_of(server))
    server.set_global(wait_timeout=180)
    (dbaudit.home / "pools.toml").write_text('[[pool]]\nname = "api"\nlibrary = "tomcat_jdbc"\nversion = "9.0.70"\ninstances = 4\nsettings = { maxActive = 20 }\n')
    audit = ("audit", "--only", "POOL001", "--baseline", "base.txt")
    assert dbaudit(*audit, "--pools", "pools.toml", "--update-baseline", server=server).code == 0
    first = (dbaudit.home / "base.txt").read_text()
    assert "\tPOOL001\t" in first
    assert dbaudit(*audit, "--update-baseline", server=server).code == 0
    assert (dbaudit.home / "base.txt").read_text() == first


def test_no_baseline_is_made_of_a_server_that_was_not_read(dbaudit):
    run = dbaudit("audit", "-h", "127.0.0.1", "-P", "1", "-u", "aud", "--baseline", "base.txt", "--update-baseline")
    assert run.code == 3 and "not made" in run.err and not (dbaudit.home / "base.txt").exists(), run
    run = dbaudit("audit", "-h", "127.0.0.1", "-P", "1", "-u", "aud", "--baseline", "no/such/base.txt", "--update-baseline")
    assert run.code == 2 and "cannot write into the folder" in run.err and run.out == "", run


def test_a_baseline_that_could_not_be_made_accepts_nothing(server, dbaudit):
    server.account("aud", grants_of(server))
    server.set_global(lock_wait_timeout=86400)
    (dbaudit.home / "dbaudit.toml").write_text("".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{port}"\n' for name, port in (("here", server.port), ("dead", 1))))
    for form in ("json", "jsonl"):
        run = dbaudit("audit", "--only", "VAR001", "--fail-on", "warning", "--format", form, "--baseline", "base.txt", "--update-baseline")
        assert run.code == 1 and "not made, because dead was not read" in run.err and not (dbaudit.home / "base.txt").exists(), run
        lines = run.json()["results"] if form == "json" else [one for one in map(json.loads, run.out.splitlines()) if one.get("rule") == "VAR001"]
        assert [one["known"] for one in lines if one["outcome"] == "fail"] == [False]


def test_two_runs_with_nothing_changed_say_the_same(server, dbaudit, slow_waits):
    told = [{(one["rule"], one["subject"], one["outcome"], one["fingerprint"]) for one in slow_waits()[0]["results"]} for _ in range(2)]
    assert told[0] == told[1] and len(told[0]) == 2


def test_bad_waivers_and_baselines_are_all_said_at_once(dbaudit):
    (dbaudit.home / "dbaudit.toml").write_text(waiver("VAR01", FOREVER) + waiver("VAR001", "2027") + '[[waiver]]\nrule = "VAR001"\n')
    (dbaudit.home / "base.txt").write_text("VAR001 shop\n")
    run = dbaudit("audit", "-h", "127.0.0.1", "-P", "1", "-u", "aud", "--baseline", "base.txt")
    assert run.code == 2 and run.out == ""
    for said in ("dbaudit.toml:2: ", "did you mean 'VAR001'?", "dbaudit.toml:10: ", "without quotes", "'owner' is missing", "'until' is missing", "base.txt:1: "):
        assert said in run.err, (said, run)
    (dbaudit.home / "dbaudit.toml").write_text("")
    for arguments, said in ((["--baseline", "none.txt"], "--update-baseline makes it"), (["--update-baseline"], "needs --baseline FILE")):
        run = dbaudit("audit", "-h", "127.0.0.1", "-P", "1", "-u", "aud", *arguments)
        assert run.code == 2 and said in run.err, run


def test_a_check_knows_waivers_and_baselines(dbaudit):
    change = ("check", "--assume", "mysql-9.7", "--set", "lock_wait_timeout=100000", "--only", "VAR001", "--fail-on", "info", "--format", "json")
    run = dbaudit(*change)
    found = results(run.json(), "VAR001", "fail")[0]
    assert run.code == 1
    (dbaudit.home / "base.txt").write_text("# dbaudit baseline 1\n" + "\t".join(found[key] for key in ("fingerprint", "severity", "rule", "server", "subject")) + "\n")
    run = dbaudit(*change, "--baseline", "base.txt")
    assert run.code == 0 and results(run.json(), "VAR001", "fail")[0]["known"] is True, run
    (dbaudit.home / "dbaudit.toml").write_text(waiver("VAR001", FOREVER))
    run = dbaudit(*change)
    assert run.code == 0 and results(run.json(), "VAR001")[0]["outcome"] == "waived", run

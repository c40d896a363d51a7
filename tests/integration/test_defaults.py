"""What an audit finds on a server as it is shipped, with no pools declared: nothing that an expert would not sign.

tests/golden/defaults/*.txt has a line for each finding: severity, rule and subject | why it is one | a published source.
"""

import pathlib

import pytest

from reports import results
from test_harmless import grants_of
from test_traps import shop  # noqa: F401 (a fixture)

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "defaults"

# What other tools find wrong on a server as it is shipped: pt-variable-advisor (percona-toolkit 3.5.7) on MariaDB 10.11,
# and what MySQLTuner 2.9.1 says of thread pools, the query cache and name resolution that nobody has touched.
FALSE_POSITIVES = {"delay_key_write", "sort_buffer_size", "port", "innodb_data_file_path", "log_bin", "read_buffer_size", "read_rnd_buffer_size",
                   "innodb_flush_method", "innodb_max_dirty_pages_pct", "thread_handling", "skip_name_resolve", "query_cache_size", "wait_timeout", "max_connections"}  # fmt: skip


def golden(kind):
    lines = [line.split(" | ") for line in (GOLDEN / f"{kind}.txt").read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert len(line) == 3 and line[1] and line[2].startswith("https://"), f"{kind}: {line}"
    return {finding for finding, _, _ in lines}


def found(report):
    return {f"{one['severity']} {one['rule']} {one['subject']}" for one in results(report, outcome="fail")}


@pytest.fixture
def shipped(server, start_server, dbaudit):
    """The report of an audit of a new server of this kind, by an account that sees what there is to see."""
    if server.name not in ("mysql-9.7", "mariadb-10.11", "mariadb-11.8"):
        return None  # not as it is shipped
    one = start_server(server.name)
    one.account("aud", grants_of(one))
    # A series ends some day, whatever this says today.
    return dbaudit("audit", "--format", "json", "--skip", "VER001", server=one)


def test_findings_on_a_shipped_server(server, shipped):
    if shipped is None:
        return
    report = shipped.json()
    assert found(report) == golden(server.name), sorted(found(report) ^ golden(server.name))
    assert not {one["subject"] for one in results(report, outcome="fail")} & FALSE_POSITIVES
    assert report["summary"]["fail"]["error"] == 0 and shipped.code == 0
    assert all(one["remedy"] for one in results(report, outcome="fail"))


def test_two_audits_find_the_same(server, dbaudit, shop):  # noqa: F811
    """What passes with time (idle seconds, counters, the auditor's own connection) is no part of what a finding is."""
    server.account("aud", grants_of(server))
    server.set_global(lock_wait_timeout=31536000)
    idle = server.connect(autocommit=False)
    idle.cursor().execute("SELECT * FROM shop.t")

    def audit(seconds):
        server.wait_for(f"SELECT TIME >= {seconds} FROM information_schema.PROCESSLIST WHERE ID = {idle.thread_id()}", f"idle for {seconds} s")
        report = dbaudit("audit", "--format", "json", "--param", "max_idle=500ms", server=server).json()
        return [(one["fingerprint"], one["rule"], one["subject"], one["outcome"], one["severity"]) for one in report["results"]], report

    (first, report), (second, _) = audit(1), audit(3)
    assert first == second, set(first) ^ set(second)
    assert {one["rule"] for one in results(report, outcome="fail")} >= {"TRX001", "VAR001"}

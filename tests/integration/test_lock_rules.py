"""The rules over the wait-for graph, each fired by a real stall, and quiet when it is over."""

import pytest

from reports import results
from stalls import T, idle_reader, row_queue, stall_of, two_idle_readers
from test_incidents import aud, audit  # noqa: F401 (fixtures)
from test_traps import sees_metadata_locks

# These stalls are young and small.
STRICT = ("--param", "max_wait=500ms", "--param", "max_blocked=2", "--param", "max_ddl_wait=500ms", "--param", "max_idle=500ms")
RULES = ("LCK001", "LCK002", "LCK003", "LCK004")
TABLE = ".".join(T)


def lasting(server, scenario):
    with stall_of(server, scenario) as stall:
        stall.wait_until_it_lasts(2)  # a server that counts whole seconds may say 2 after little more than one
        yield stall


@pytest.fixture
def alter_behind_reader(server):
    """An idle reader, the ALTER that waits for it, and four who wait for the ALTER."""
    yield from lasting(server, idle_reader)


@pytest.fixture
def queue_for_a_row(server):
    yield from lasting(server, row_queue)


@pytest.fixture
def alter_behind_two_readers(server):
    yield from lasting(server, two_idle_readers)


def only(report, rule):
    """The one failure of a rule, and nothing else about it."""
    found = results(report, rule)
    assert [result["outcome"] for result in found if result["subject"] != "server"] == ["fail"], found
    return found[0]


def test_somebody_waits(audit, alter_behind_reader, server):  # noqa: F811
    failure = only(audit(*STRICT), "LCK001")
    assert failure["subject"] == TABLE and failure["severity"] == "error" and audit.run.code == 1
    evidence = failure["evidence"]
    assert evidence["kind"] == "metadata" and evidence["waiting"] == 5 and evidence["longest_s"] >= 0.5
    reader = alter_behind_reader.ids["reader"]
    if sees_metadata_locks(server):
        assert f"behind connection {reader} (root@" in failure["message"]
        assert f"KILL {reader}" in failure["remedy"]
    else:
        assert f"behind nobody that this server shows; the first suspect is connection {reader} (root@" in failure["message"]
        assert "KILL" not in failure["remedy"]


def test_one_reader_of_two_is_not_enough(audit, alter_behind_two_readers, server):  # noqa: F811
    stall = alter_behind_two_readers
    failure = only(audit(*STRICT), "LCK001")
    if not sees_metadata_locks(server):
        assert "KILL" not in failure["remedy"]
        return
    assert failure["evidence"]["held_up_by"] == 2 and " and 1 more" in failure["message"], failure
    first = next(number for role, number in stall.ids.items() if role in stall.roots and f"connection {number} " in failure["message"])
    assert f"2 hold it up, and one of them gone may not be enough; the first: KILL {first}" in failure["remedy"]


def test_one_holds_up_many(audit, alter_behind_reader, server):  # noqa: F811
    reader = alter_behind_reader.ids["reader"]
    report = audit(*STRICT)
    if not sees_metadata_locks(server):
        found = results(report, "LCK002")
        assert [result["outcome"] for result in found] == ["unknown"], found
        assert found[0]["reason"] == f"5 sessions wait behind somebody whom this server does not show; the first suspect is connection {reader}"
        return
    failure = only(report, "LCK002")
    assert failure["subject"].endswith(f"connection {reader}")
    assert failure["evidence"]["blocks"] == 5 and failure["evidence"]["blocks_directly"] == 1
    assert failure["evidence"]["certainty"] == ("observed" if alter_behind_reader.method == "performance_schema" else "inferred")
    assert f"KILL {reader}" in failure["remedy"]


def test_ddl_waits(audit, alter_behind_reader, server):  # noqa: F811
    failure = only(audit(*STRICT), "LCK003")
    assert failure["subject"] == TABLE and failure["severity"] == "error"  # others queue behind it already
    evidence = failure["evidence"]
    assert evidence["connection_id"] == alter_behind_reader.ids["alter"] and evidence["queued_behind"] == 4
    assert evidence["statement"].startswith("ALTER TABLE shop.t")
    reader = f"connection {alter_behind_reader.ids['reader']}"
    assert evidence["behind"] == (reader if sees_metadata_locks(server) else f"somebody whom this server does not show (the first suspect is {reader})")


@pytest.mark.fires("LCK004", on=("mysql", "mariadb-10.11-plugin", "mariadb-11.8-ps"))
def test_a_migration_would_freeze_the_table(audit, server):  # noqa: F811
    """Before anybody waits: what the nightly audit is to see."""
    session = server.connect(autocommit=False)
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY)")
    session.cursor().execute("SELECT * FROM shop.t")
    server.wait_for(f"SELECT TIME >= 1 FROM information_schema.PROCESSLIST WHERE ID = {session.thread_id()}", "it has been idle for a second")
    report = audit(*STRICT)
    if not sees_metadata_locks(server):
        assert [result["outcome"] for result in results(report, "LCK004")] == ["unknown"]
        return
    failure = only(report, "LCK004")
    assert failure["subject"] == TABLE and failure["severity"] == "warning"
    assert failure["evidence"]["holders"] == 1 and failure["evidence"]["idle_s"] >= 1
    assert f"connection {session.thread_id()}" in failure["message"]
    assert [results(report, rule)[0]["outcome"] for rule in RULES[:3]] == ["pass"] * 3
    assert failure["remedy"].startswith("Before a migration, let these commit")
    session.commit()
    assert not results(audit(*STRICT), "LCK004", "fail")


def test_a_queue_for_rows(audit, queue_for_a_row):  # noqa: F811
    report = audit(*STRICT)
    failure = only(report, "LCK001")
    assert failure["subject"] == f"rows of {TABLE}" and failure["evidence"]["kind"] == "row"
    assert failure["evidence"]["waiting"] == len(queue_for_a_row.waits)
    assert only(report, "LCK002")["evidence"]["connection_id"] == queue_for_a_row.ids["holder"]
    assert [result["outcome"] for result in results(report, "LCK003")] == ["pass"]


@pytest.mark.fires("LCK001", "LCK003")
@pytest.mark.fires("LCK002", on=("mysql", "mariadb-10.11-plugin", "mariadb-11.8-ps"))
def test_no_rule_fires_when_it_is_over_or_too_young(audit, alter_behind_reader, server):  # noqa: F811
    patient = ("--param", "max_wait=1h", "--param", "max_blocked=5", "--param", "max_ddl_wait=1h", "--param", "max_idle=1h")
    report = audit(*patient)
    assert {result["outcome"] for rule in RULES for result in results(report, rule)} <= {"pass", "unknown"}
    kill = f"KILL {alter_behind_reader.ids['reader']}"
    if sees_metadata_locks(server):
        assert all(kill in only(audit(*STRICT), rule)["remedy"] for rule in RULES[:2])
    else:
        only(audit(*STRICT), "LCK001")  # it says who is suspected, and prints no KILL
    server.admin(kill)
    server.wait_for("SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata%%'", "nobody waits")
    report = audit(*STRICT)
    assert not [result for rule in RULES[:3] for result in results(report, rule) if result["outcome"] != "pass"]

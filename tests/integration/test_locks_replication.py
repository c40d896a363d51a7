"""`dbaudit locks` on a replica: the applier waits as a session does, and holds what others wait for."""

import pytest

from stalls import FOR_TABLE
from test_locks import locks
from test_rules_fire import WORDS, pair  # noqa: F401

pytestmark = pytest.mark.starts_server


@pytest.fixture
def replica(pair):  # noqa: F811
    primary, replica = pair
    primary.admin("CREATE DATABASE shop")
    primary.admin("CREATE TABLE shop.t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    primary.admin("INSERT INTO shop.t VALUES (1, 1), (2, 2), (3, 3)")
    replica.admin("START " + WORDS[primary.flavor][2])
    replica.wait_for(lambda: (("shop",) in replica.admin("SHOW DATABASES LIKE 'shop'")) and replica.admin("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'")[0][0] and replica.admin("SELECT COUNT(*) FROM shop.t")[0][0] == 3, "it has caught up")
    return replica


def edges(report):
    return {(wait["connection_id"], blocker["connection_id"]): (wait["kind"], blocker["certainty"]) for wait in report["waits"] for blocker in wait["blocked_by"]}


def lock_wait(server, number):
    return f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = {number}"


def test_the_applier_in_the_middle_of_a_chain(pair, replica, dbaudit):  # noqa: F811
    primary, _ = pair
    holder = replica.connect(autocommit=False)
    holder.cursor().execute("UPDATE shop.t SET v = 9 WHERE id = 2")
    with primary.connect(autocommit=False) as both:
        both.cursor().execute("UPDATE shop.t SET v = 7 WHERE id = 1")
        both.cursor().execute("UPDATE shop.t SET v = 7 WHERE id = 2")
        both.commit()
    waiting = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    applier = replica.wait_for(waiting, "the applier waits")
    writer = replica.connect()
    done = replica.background("UPDATE shop.t SET v = 8 WHERE id = 1", writer)
    replica.wait_for(lock_wait(replica, writer.thread_id()), "the writer waits behind it")
    report = locks(dbaudit, "--min-wait", "0s", server=replica)
    assert edges(report) == {(applier, holder.thread_id()): ("row", "observed"), (writer.thread_id(), applier): ("row", "observed")}
    (root,) = report["roots"]
    assert (root["connection_id"], root["blocks"], root["remedy"]) == (holder.thread_id(), 2, f"KILL {holder.thread_id()}")
    replica.admin(root["remedy"])
    done.result(30)


def test_the_applier_as_the_root(pair, replica, dbaudit):  # noqa: F811
    primary, _ = pair
    with primary.connect() as slow:
        slow.cursor().execute("SET SESSION binlog_format = 'STATEMENT'")
        slow.cursor().execute(f"UPDATE shop.t SET v = IF(@@port = {replica.port}, SLEEP(600), 1) WHERE id = 1")
    processes = "performance_schema.processlist" if replica.flavor == "mysql" else "information_schema.PROCESSLIST"
    applying = f"SELECT ID FROM {processes} WHERE INFO LIKE 'UPDATE shop.t%' AND STATE = 'User sleep' AND USER = 'system user'"
    applier = replica.wait_for(applying, "the applier is at work")
    writer, alter = replica.connect(), replica.connect()
    wrote = replica.background("UPDATE shop.t SET v = 8 WHERE id = 1", writer)
    replica.wait_for(lock_wait(replica, writer.thread_id()), "the writer waits")
    altered = replica.background("ALTER TABLE shop.t ADD COLUMN w INT", alter)
    replica.wait_for(f"SELECT COUNT(*) FROM {processes} WHERE ID = {alter.thread_id()} AND STATE = '{FOR_TABLE}'", "the ALTER waits")
    report = locks(dbaudit, "--min-wait", "0s", server=replica)
    found = edges(report)
    assert found[(writer.thread_id(), applier)] == ("row", "observed")
    if replica.flavor == "mysql":
        assert found[(alter.thread_id(), applier)] == ("metadata", "observed")
    (root,) = report["roots"]
    assert (root["connection_id"], root["state"], root["human"]) == (applier, "replication", False)
    # STOP REPLICA waits for the statement; KILL ends it.
    assert root["remedy"] == f"KILL {applier}" and f"START {WORDS[replica.flavor][2]}" in root["caution"]
    replica.admin(root["remedy"])
    wrote.result(30)
    altered.result(30)

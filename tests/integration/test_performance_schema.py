"""performance_schema shows what it was told to: what is switched off, had no room, or came before is no "nothing"."""

import re

import pytest

from reports import sources
from test_harmless import grants_of
from test_traps import transaction, waiting


def assert_suspected(report, waiter, holder):
    """That somebody waits is seen, and who holds is guessed, and said to be."""
    assert [wait["connection_id"] for wait in report["waits"]] == [waiter.connection_id], report
    first = (report["roots"] or report["suspects"])[0]
    assert (first["connection_id"], first["certainty"]) == (holder.thread_id(), "inferred"), report


MDL_ON = ("--performance-schema", "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON")
ROOMS = [("mysql-9.7", ()), ("mariadb-11.8", MDL_ON)]


@pytest.mark.parametrize("kind, shown", ROOMS, ids=[kind for kind, _ in ROOMS])
def test_metadata_locks_without_room_are_told(kind, shown, start_server, dbaudit):
    """The server counts them, and its table looks whole."""
    server = start_server(kind, *shown, "--performance-schema-max-metadata-locks=20")
    server.account("aud", grants_of(server))
    server.admin("CREATE DATABASE shop")
    for number in range(40):
        server.admin(f"CREATE TABLE shop.t{number} (id INT) ENGINE=InnoDB")
    holder = transaction(server, *(f"SELECT * FROM shop.t{number}" for number in range(40)))
    seen = sources(dbaudit("audit", "--format", "json", server=server).json())["metadata_locks"]
    assert seen["status"] == "partial" and re.search(r"ran out of room for \d+ metadata locks", seen["reason"]), seen
    assert "performance_schema_max_metadata_locks" in seen["remedy"]
    waiter = waiting(server, "ALTER TABLE shop.t39 ADD COLUMN v INT")
    report = dbaudit("locks", "--format", "json", "--min-wait", "0s", server=server).json()
    assert {source["source"]: source["status"] for source in report["sources"]}["metadata_locks"] == "partial"
    assert_suspected(report, waiter, holder)


@pytest.mark.parametrize("kind, shown", ROOMS, ids=[kind for kind, _ in ROOMS])
def test_threads_without_room_are_told(kind, shown, start_server, dbaudit):
    server = start_server(kind, *shown, "--performance-schema-max-thread-instances=60")
    server.account("aud", grants_of(server))
    sessions = [server.connect() for _ in range(70)]
    seen = sources(dbaudit("audit", "--format", "json", server=server).json())
    wanted = {"mysql": ("sessions", "statements", "session_variables"), "mariadb": ("metadata_locks",)}[server.flavor]
    for source in wanted:
        assert seen[source]["status"] == "partial" and re.search(r"ran out of room for \d+ threads", seen[source]["reason"]), (source, seen[source])
        assert "performance_schema_max_thread_instances" in seen[source]["remedy"]
    if server.flavor == "mariadb":  # its process list is another one
        assert seen["sessions"]["status"] == "read"
    assert len(sessions) == 70


def test_locks_older_than_the_instrument_are_told(start_server, dbaudit):
    """MariaDB: what was locked before the instrument was switched on is never shown, nor is who waited already."""
    server = start_server("mariadb-11.8", "--performance-schema")
    server.account("aud", grants_of(server))
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
    holder = transaction(server, "SELECT * FROM shop.t")
    server.admin("UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'")
    server.wait_for(f"SELECT TIME_MS > 1500 FROM information_schema.PROCESSLIST WHERE ID = {holder.thread_id()}", "it is idle")
    seen = sources(dbaudit("audit", "--format", "json", server=server).json())["metadata_locks"]
    assert seen["status"] == "partial" and "1 idle transaction shows no lock" in seen["reason"], seen
    assert "metadata_lock_info" in seen["remedy"]
    waiter = waiting(server, "ALTER TABLE shop.t ADD COLUMN w INT")
    report = dbaudit("locks", "--format", "json", server=server).json()
    assert_suspected(report, waiter, holder)

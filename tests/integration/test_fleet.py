"""One audit over many servers: in one process, or in shards that are put together again."""

import pytest

from test_harmless import grants_of

DEAD = 9  # a port of loopback on which nobody listens


@pytest.fixture
def fleet(server, dbaudit):
    """Five declared servers: one real one under three names, and two that are dead."""
    server.account("aud", grants_of(server))
    names = {"a": server.port, "dead-1": DEAD, "b": server.port, "dead-2": DEAD, "c": server.port}
    (dbaudit.home / "dbaudit.toml").write_text("".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{port}"\n' for name, port in names.items()))
    return list(names)


def judged(run):
    """What is said of each server; not how long things took, nor which connection asked."""
    return {(one["fingerprint"], one["server"], one["rule"], one["subject"], one["outcome"], one["severity"]) for one in run.json()["results"]}


def test_shards_together_are_the_whole(fleet, dbaudit):
    whole = dbaudit("audit", "--format", "json")
    assert {one["name"]: one["reachable"] for one in whole.json()["servers"]} == {name: not name.startswith("dead") for name in fleet}
    for shard in range(3):
        run = dbaudit("snapshot", "--shard", f"{shard}/3", "-o", f"{shard}.db")
        assert run.code == (3 if shard == 1 else run.code) and (dbaudit.home / f"{shard}.db").exists(), run.err
    merged = dbaudit("audit", "--format", "json", "--from", "0.db", "1.db", "2.db")
    assert judged(merged) == judged(whole)
    assert merged.code == whole.code


def test_a_shard_reads_its_own_servers_only(fleet, dbaudit):
    run = dbaudit("audit", "--format", "json", "--shard", "1/3")
    assert [one["name"] for one in run.json()["servers"]] == ["dead-1", "c"]
    # Nobody there: the snapshot says so, because who puts them together must not take it for fine.
    assert dbaudit("snapshot", "--shard", "1/4", "-o", "dead.db").code == 3
    report = dbaudit("audit", "--format", "json", "--from", "dead.db")
    assert report.code == 3 and [one["name"] for one in report.json()["servers"]] == ["dead-1"]


@pytest.mark.parametrize("shard", ["", "3", "3/3", "-1/3", "a/b", "0/0", "1/3x", "0/3/2"])
def test_what_is_no_shard(fleet, dbaudit, shard):
    run = dbaudit("audit", "--shard", shard)
    assert run.code == 2 and "write I/N, such as 0/4" in run.err, run.err


def test_more_shards_than_servers(fleet, dbaudit):
    run = dbaudit("audit", "--shard", "5/6")
    assert run.code == 2 and "there are only 5 servers to divide" in run.err

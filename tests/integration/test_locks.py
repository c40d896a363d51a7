"""`dbaudit locks` against stalls whose truth is known (stalls.py) and proved (test_stalls.py)."""

import copy
import os
import re
import signal
import threading

import pymysql
import pytest

import faults
import servers
from accuracy import ACCURACY, Score
from stalls import AHEAD, BACKUP, FOR_BACKUP, FOR_TABLE, GLOBAL_READ, GRANTED, IN_INNODB, METADATA, ROW, SCENARIOS, TABLE, USER, Stall, T, Wait, idle_reader, lock_tables_write, row_queue, stall_of, two_stalls
from test_faults import KINDS, SLOT
from test_harmless import grants_of
from test_stalls import exactly_these_are_free
from test_traps import NOT_FOR_TERMINALS

NOW = ("--min-wait", "0s")  # these stalls are young


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


def unwrapped(run):
    return re.sub(r"\s+", " ", run.out + run.err)


def locks(dbaudit, *args, code=1, **options):
    run = dbaudit("locks", "--format", "json", *args, **options)
    assert run.code == code, run
    report = run.json()
    assert report["schema"] == "dbaudit/locks/1"
    return report


# --- each stall, and what is said of it


class Comparison:
    """What a report says of a stall, against the truth. `problems` are all that is wrong with it."""

    def __init__(self, stall, report, crowded=False):
        """`crowded`: nothing is shown, and others are idle in transactions who have nothing to do with it."""
        self.stall, self.report, self.crowded, self.problems = stall, report, crowded, []
        self.roles = {number: role for role, number in stall.ids.items()}
        self.nothing = stall.method == "nothing"
        self.reported = {}  # (waiter, blocker) -> the edge as reported
        self.waits()
        self.edges()
        self.roots()
        self.suspects()
        self.cycles()
        self.strangers()

    def wrong(self, what, got, wanted):
        self.problems.append(f"{what}: {got!r}, should be {wanted!r}")

    def expect(self, what, got, wanted):
        if got != wanted:
            self.wrong(what, got, wanted)

    def role(self, entry):
        """The role of somebody reported; "?..." for whoever has no part in the stall."""
        if entry["connection_id"] is None:
            return next((role for role, root in self.stall.roots.items() if root.xid), "?prepared")
        return self.roles.get(entry["connection_id"], f"?{entry['connection_id']}")

    def must_be_seen(self, edge):
        """Whether this server shows enough for it."""
        wait = self.stall.waits[edge.waiter]
        if wait.unknowable or (edge.waiter, edge.blocker) in self.stall.hidden:
            return False
        if wait.kind in (ROW, USER):
            return True
        # Who holds a table lock of the SQL layer only performance_schema's table_handles say.
        return self.stall.method == "performance_schema" or (self.stall.method == "plugin" and wait.kind != TABLE)

    def only_its_place_shows(self, pair):
        """MariaDB's performance_schema shows a lock as it was asked for; that its owner waits in front shows as well."""
        disguised = not self.stall.mysql and self.stall.method == "performance_schema" and pair in self.stall.disguised
        return disguised and pair in self.stall.queued

    def certainties(self, edge):
        wait, method = self.stall.waits[edge.waiter], self.stall.method
        if wait.unknowable or (edge.waiter, edge.blocker) in self.stall.hidden:
            return {"inferred"}
        if wait.kind == ROW:
            return {"observed"}
        if wait.kind == USER and method != "performance_schema":
            return {"observed", "inferred"}  # IS_USED_LOCK names the holder; for what somebody waits his statement says
        if method != "performance_schema":
            return {"inferred"}  # nothing shows what a waiter asks for: his statement tells
        if wait.kind == TABLE:
            return {"observed", "inferred"}  # no lock is shown to wait, only the open tables of others
        pair = edge.waiter, edge.blocker
        if not self.stall.mysql and pair in self.stall.disguised and not self.only_its_place_shows(pair):
            return {"inferred"}
        return {"observed"}

    def waits(self):
        seen = [self.role(wait) for wait in self.report["waits"]]
        self.expect("who waits", sorted(seen), sorted(self.stall.waits))
        for wait in self.report["waits"]:
            role = self.role(wait)
            if role not in self.stall.waits:
                continue
            truth = self.stall.waits[role]
            kinds = {truth.kind}
            if self.nothing and truth.state == FOR_BACKUP:
                kinds = {GLOBAL_READ, BACKUP}  # only what the holder holds tells them apart on MariaDB
            if wait["kind"] not in kinds:
                self.wrong(f"{role}'s kind", wait["kind"], kinds)
            named = (wait["object_schema"], wait["object_name"])
            at_hand = self.stall.method == "performance_schema" or truth.kind == ROW
            if self.nothing and named == self.stall.named.get(role):
                named = (truth.schema, truth.name)
            if named != (truth.schema, truth.name) and (at_hand or any(one not in (None, true) for one, true in zip(named, (truth.schema, truth.name)))):
                self.wrong(f"{role}'s object", named, (truth.schema, truth.name))
            if named == (None, None) and (truth.schema or truth.name) and self.stall.method == "plugin" and self.any_must_be_seen(role):
                self.wrong(f"{role}'s object", named, (truth.schema, truth.name))
            self.expect(f"{role}'s blocked_by_count", wait["blocked_by_count"], len(wait["blocked_by"]))
            if wait["wait_seconds_is"] not in ("exact", "at_most") or not 0 <= wait["wait_seconds"] < 120:
                self.wrong(f"{role}'s wait", (wait["wait_seconds"], wait["wait_seconds_is"]), "some seconds")
            if truth.kind == ROW:
                self.expect(f"{role}'s wait_seconds_is", wait["wait_seconds_is"], "exact")
            if not (wait["statement"] or "").startswith(truth.statement[:60]):
                self.wrong(f"{role}'s statement", wait["statement"], truth.statement)

    def edges(self):
        for wait in self.report["waits"]:
            for blocker in wait["blocked_by"]:
                pair = self.role(wait), self.role(blocker)
                if pair in self.reported:
                    self.wrong("edge named twice", pair, "once")
                self.reported[pair] = blocker
        for pair, truth in self.stall.edges.items():
            edge = self.reported.get(pair)
            if edge is None:
                if self.must_be_seen(truth):
                    self.wrong("edge missing", None, tuple(truth))
                continue
            if self.must_be_seen(truth):
                self.expect(f"how {pair}", edge["how"], AHEAD if self.only_its_place_shows(pair) else truth.how)
                if edge["certainty"] not in self.certainties(truth):
                    self.wrong(f"certainty of {pair}", edge["certainty"], self.certainties(truth))
                if self.stall.method == "performance_schema" and not edge["lock"]:
                    self.wrong(f"lock of {pair}", edge["lock"], "a lock type")
        for pair in self.false_edges():
            guess = self.reported[pair]["certainty"] == "inferred"
            waiter = self.stall.waits.get(pair[0])
            if not (guess and waiter and ((waiter.unknowable and pair[1] in self.stall.candidates) or not self.any_must_be_seen(waiter.role))):
                self.wrong("edge that is none", (pair, self.reported[pair]), None)
        for role, wait in self.stall.waits.items():
            if wait.unknowable:
                self.expect(f"who {role} may wait for", {blocker for waiter, blocker in self.reported if waiter == role}, self.stall.candidates)
                self.expect(f"certainty of whom {role} waits for", {edge["certainty"] for pair, edge in self.reported.items() if pair[0] == role}, {"inferred"})

    def any_must_be_seen(self, waiter):
        return any(self.must_be_seen(edge) for edge in self.stall.edges.values() if edge.waiter == waiter)

    def false_edges(self):
        return [pair for pair in self.reported if pair not in self.stall.edges]

    def seen_behind(self, role):
        """Whether every chain of waits to this root is one that must be seen."""
        behind = self.stall.behind(role) | {role}
        return all(self.must_be_seen(edge) for edge in self.stall.edges.values() if edge.waiter in behind)

    def roots(self):
        found = {self.role(root): root for root in self.report["roots"]}
        self.expect("roots named twice", len(found), len(self.report["roots"]))
        wanted = {role for role in self.stall.roots if self.seen_behind(role)}
        for role in wanted - set(found):
            self.wrong("root missing", sorted(found), role)
        allowed = set(self.stall.roots) | self.stall.candidates
        for role in set(found) - allowed:
            if self.nothing and found[role]["certainty"] == "inferred" and role in self.stall.waits:
                continue  # whom he waits for is not shown
            self.wrong("root that is none", found[role], sorted(allowed))
        for role in set(found) & set(self.stall.roots):
            self.root(role, found[role], exact=role in wanted)

    def root(self, role, root, exact):
        truth = self.stall.roots[role]
        states = {truth.state} | ({"idle_in_transaction"} if truth.owns_xid else set())
        if self.nothing or not exact:
            states |= {"idle", "unknown", "idle_in_transaction"}
        elif self.stall.method == "plugin" and (truth.state == "handler_open" or (truth.state == "idle_in_transaction" and not truth.transaction_shows)):
            states.add("idle")  # it holds what either would
        if root["state"] not in states:
            self.wrong(f"{role}'s state", root["state"], states)
        if truth.xid:
            self.expect(f"{role}'s connection", root["connection_id"], None)
            if not all(part in str(root["xid"]) or part.encode().hex() in str(root["xid"]).lower() for part in truth.xid):
                self.wrong(f"{role}'s xid", root["xid"], truth.xid)
            if "XA ROLLBACK" not in root["remedy"]:
                self.wrong(f"{role}'s remedy", root["remedy"], "XA ROLLBACK ...")
        else:
            self.expect(f"{role}'s xid", root["xid"] if not truth.owns_xid else None, None)
            self.expect(f"{role}'s user", root["user"], self.stall.users.get(role, self.stall.server.root[0]))
            if not truth.owns_xid:
                self.expect(f"{role}'s remedy", root["remedy"], f"KILL {self.stall.ids[role]}")
            self.times(role, root, truth)
        self.expect(f"{role}'s cycle", bool(root.get("cycle")), role in self.stall.cycle)
        said = root["last_statement"]
        if said is None:
            if (self.stall.method == "performance_schema" or truth.state == "running") and not truth.xid:
                self.wrong(f"{role}'s last statement", said, self.stall.last_statement[role])
        elif not said.startswith(self.stall.last_statement[role]) and not (len(said) > 50 and self.stall.last_statement[role].startswith(said[:50])):
            self.wrong(f"{role}'s last statement", said, self.stall.last_statement[role])
        if not exact:
            return
        self.expect(f"how many {role} blocks", root["blocks"], len(self.stall.behind(role)))
        self.expect(f"how many {role} blocks directly", root["blocks_directly"], sum(edge.blocker == role for edge in self.stall.edges.values()))
        certain = {self.reported[pair]["certainty"] for pair in self.reported if pair[1] == role}
        self.expect(f"{role}'s certainty", root["certainty"], "observed" if "observed" in certain else "inferred")
        if self.stall.method != "nothing":
            held = {(one["object_schema"], one["object_name"]) for one in root["holds"]}
            waits = [self.stall.waits[edge.waiter] for edge in self.stall.edges.values() if edge.blocker == role and edge.how == GRANTED]
            for missing in {(wait.schema, wait.name) for wait in waits if wait.kind == METADATA} - held:
                self.wrong(f"what {role} holds", held, missing)

    def times(self, role, root, truth):
        idle = truth.state not in ("running", "waiting")
        if idle and not 0 <= (root["idle_seconds"] if root["idle_seconds"] is not None else -1) < 120:
            self.wrong(f"{role}'s idle_seconds", root["idle_seconds"], "some seconds")
        if not idle and root["idle_seconds"] is not None:
            self.wrong(f"{role}'s idle_seconds", root["idle_seconds"], None)
        if truth.state == "idle_in_transaction" and truth.transaction_shows and not 0 <= (root["transaction_seconds"] if root["transaction_seconds"] is not None else -1) < 120:
            self.wrong(f"{role}'s transaction_seconds", root["transaction_seconds"], "some seconds")

    def suspects(self):
        found = [self.role(suspect) for suspect in self.report["suspects"]]
        named = {self.role(root) for root in self.report["roots"]}
        for suspect in self.report["suspects"]:
            self.expect(f"certainty of the suspect {self.role(suspect)}", suspect["certainty"], "inferred")
            if not suspect["reason"]:
                self.wrong(f"reason to suspect {self.role(suspect)}", suspect["reason"], "a reason")
        if len(found) > 1 and found[0] == "came too late":
            self.wrong("suspects", found, "somebody who was there before the waits first")
        hidden = {role for role in self.stall.roots if not self.seen_behind(role)} - named
        # Who sleeps or works shows that. Who waits is seen to wait, and not to hold anything.
        traced = hidden - set(self.stall.waits)
        if self.stall.candidates:
            missing = hidden - set(found)
        else:
            # As many as there are come first, in any order.
            first = set(found[: len(traced)])
            missing = traced - first
        if self.crowded:
            if unnamed := traced - set(found):
                self.wrong("suspects beside others", found, sorted(unnamed))
        elif missing:
            self.wrong("first suspects", found, sorted(missing))
        if found and all(map(self.must_be_seen, self.stall.edges.values())):
            self.wrong("suspects though all is known", found, [])
        self.score = Score(
            right=sum(pair in self.reported for pair, edge in self.stall.edges.items() if self.must_be_seen(edge)),
            missing=sum(pair not in self.reported for pair, edge in self.stall.edges.items() if self.must_be_seen(edge)),
            unknowable=sum(not self.must_be_seen(edge) for edge in self.stall.edges.values()),
            wrong=sum(self.reported[pair]["certainty"] == "observed" or self.any_must_be_seen(pair[0]) for pair in self.false_edges()),
            root="named" if not hidden else "missed" if missing else "one of several suspects" if self.stall.candidates else "first suspect" if traced == hidden else "no trace",
        )

    def cycles(self):
        found = [{self.roles.get(number, f"?{number}") for number in cycle} for cycle in self.report["cycles"]]
        among = [edge for edge in self.stall.edges.values() if {edge.waiter, edge.blocker} <= self.stall.cycle]
        wanted = [self.stall.cycle] if self.stall.cycle else []
        if found != wanted and (found or all(map(self.must_be_seen, among))):
            self.wrong("cycles", found, wanted)

    def strangers(self):
        """Neither dbaudit nor a thread of the server's own is named anywhere; nobody innocent for sure."""
        people = [*self.report["waits"], *self.report["roots"], *self.report["suspects"], *(b for wait in self.report["waits"] for b in wait["blocked_by"])]
        system = f"SELECT ID FROM {self.stall.processes} WHERE COMMAND IN ('Daemon', 'Binlog Dump') OR USER IN ('system user', 'event_scheduler', 'aud')"
        for number in ({row[0] for row in self.stall.server.admin(system)} - set(self.stall.ids.values())) & {person["connection_id"] for person in people}:
            self.wrong("named", number, "no thread of the server or of dbaudit")
        for person in people:
            role = self.role(person)
            if role.startswith("?"):
                # The test's own connection is there, and may hold what it likes.
                if self.nothing and person in self.report["suspects"] and person["connection_id"] == self.stall.server.admin("SELECT CONNECTION_ID()")[0][0]:
                    continue
                self.wrong("named", role, "somebody of this stall")
            elif role in self.stall.innocent and (person.get("certainty", "observed") == "observed" or not self.nothing) and person not in self.report["suspects"]:
                self.wrong("accused", (role, person), None)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_edge_root_and_certainty(server, dbaudit, aud, scenario):
    with stall_of(server, scenario) as stall:
        stall.latecomer()
        beside = None
        if stall.method == "nothing":
            beside = Comparison(stall, locks(dbaudit, *NOW, server=server), crowded=True)
            assert not beside.problems, "\n".join([*beside.problems, str(beside.report)])
            stall.bystanders_leave()
        report = locks(dbaudit, *NOW, server=server)
        # The look has changed nothing.
        assert exactly_these_are_free(stall, []) == set(stall.waits)
        comparison = Comparison(stall, report)
        comparison.score.first_beside_others = beside is None or beside.score.root in ("named", "first suspect")
        ACCURACY.add(scenario, server.name, comparison.score)
        assert not comparison.problems, "\n".join([*comparison.problems, str(report)])
        follow_the_remedies(stall, comparison)


def test_the_readme_tells_these_figures(server):
    """Of the stalls above; DBAUDIT_UPDATE_GOLDEN=1 writes them."""
    if server.name not in servers.VARIANTS:
        pytest.skip("the README tells of the built-in servers")
    assert len(ACCURACY.total(server.name)) == len(SCENARIOS), "only together with all of test_every_edge_root_and_certainty"
    row, readme = ACCURACY.readme_row(server.name), servers.SOURCE / "README.md"
    if os.environ.get("DBAUDIT_UPDATE_GOLDEN"):
        lines = readme.read_text().split("\n")
        readme.write_text("\n".join(row if line.startswith(f"| `{server.name}` | ") else line for line in lines))
    assert row in readme.read_text().split("\n")
    assert ACCURACY.first_beside_others(server.name) >= 50  # not exact: INNODB_TRX tells ages to the second


def follow_the_remedies(stall, comparison):
    """What dbaudit says to do frees whom it says it frees."""
    roots = {comparison.role(root): root for root in comparison.report["roots"]}
    if not set(roots) & set(stall.roots):
        first = next(iter(comparison.report["suspects"]), None)
        if not first or comparison.role(first) not in stall.roots:
            return  # the true root has left no trace
        roots = {comparison.role(first): first}
    removed = []
    for role, root in sorted(roots.items()):
        if role in stall.waits and stall.waits[role].future.done():
            continue  # of a cycle: it is free already
        statement = re.split(r"\s+or\s+|;|\n", root["remedy"])[0]
        assert re.match(r"KILL \d+$|XA ROLLBACK ", statement), root["remedy"]
        stall.server.admin(statement)
        if role in stall.roots and stall.roots[role].owns_xid:
            stall.remove(role)
        removed.append(role)
        exactly_these_are_free(stall, removed)
        if stall.cycle:
            return


def someone_innocent(stall):
    return stall.ids["finished"]


# Each makes a right report wrong.
FALSEHOODS = {
    "a wait forgotten": lambda report, stall: report["waits"].pop(),
    "a wait invented": lambda report, stall: report["waits"].append({**report["waits"][0], "connection_id": someone_innocent(stall)}),
    "wrong layer": lambda report, stall: report["waits"][0].update(kind="table"),
    "wrong object": lambda report, stall: report["waits"][0].update(object_name="u"),
    "wrong schema": lambda report, stall: report["waits"][0].update(object_schema="elsewhere"),
    "an edge forgotten": lambda report, stall: report["waits"][0]["blocked_by"].pop(),
    "an edge to somebody innocent": lambda report, stall: report["waits"][0]["blocked_by"].append({**report["waits"][0]["blocked_by"][0], "connection_id": someone_innocent(stall)}),
    "an edge turned round": lambda report, stall: report["waits"][0]["blocked_by"][0].update(connection_id=report["waits"][0]["connection_id"]),
    "queue taken for a holder": lambda report, stall: [blocker.update(how="granted") for wait in report["waits"] for blocker in wait["blocked_by"]],
    "wrong count": lambda report, stall: report["waits"][0].update(blocked_by_count=9),
    "a guess called observed, or the reverse": lambda report, stall: [b.update(certainty={"observed": "inferred", "inferred": "observed"}[b["certainty"]]) for wait in report["waits"] for b in wait["blocked_by"]],
    "no root": lambda report, stall: report["roots"].clear(),
    "a root more": lambda report, stall: report["roots"].append({**report["roots"][0], "connection_id": someone_innocent(stall)}),
    "wrong state": lambda report, stall: report["roots"][0].update(state="handler_open"),
    "wrong remedy": lambda report, stall: report["roots"][0].update(remedy=f"KILL {someone_innocent(stall)}"),
    "wrong number behind": lambda report, stall: report["roots"][0].update(blocks=1),
    "somebody innocent suspected": lambda report, stall: report["suspects"].append({**report["roots"][0], "connection_id": someone_innocent(stall), "certainty": "inferred", "reason": "asleep"}),
    "a cycle invented": lambda report, stall: report["cycles"].append([stall.ids["reader"], stall.ids["alter"]]),
}  # fmt: skip


def test_the_comparison_notices_every_falsehood(server, dbaudit, aud):
    """Who measures must be measured: a test that cannot fail proves nothing."""
    with stall_of(server, idle_reader) as stall:
        if stall.method == "nothing":
            return  # little is asked for where little is shown
        report = locks(dbaudit, *NOW, server=server)
        assert Comparison(stall, report).problems == []
        for name, falsify in FALSEHOODS.items():
            falsified = copy.deepcopy(report)
            falsify(falsified, stall)
            assert Comparison(stall, falsified).problems, name


# --- when somebody waits


def test_nobody_waits(server, dbaudit, aud):
    stall = Stall(server)
    stall.shop()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.session("locker", "LOCK TABLES shop.t READ")
    report = locks(dbaudit, *NOW, server=server, code=0)
    assert (report["waits"], report["roots"], report["suspects"], report["cycles"]) == ([], [], [], [])
    assert dbaudit("locks", server=server).code == 0


def test_min_wait_decides_the_exit_code(server, dbaudit, aud):
    with stall_of(server, idle_reader) as stall:
        assert dbaudit("locks", "--min-wait", "1h", server=server).code == 0
        stall.wait_until_it_lasts(2)
        assert dbaudit("locks", server=server).code == 1  # 1 s, unless said otherwise
        assert dbaudit("locks", "--min-wait", "1500ms", server=server).code in (0, 1)
        assert dbaudit("locks", "--min-wait", "0s", server=server).code == 1


def test_option_file_alone_is_enough(server, dbaudit, aud):
    (dbaudit.home / ".my.cnf").write_text(f"[client]\nhost=127.0.0.1\nport={server.port}\nuser=aud\npassword=pw\n")
    (dbaudit.home / ".my.cnf").chmod(0o600)
    nothing_else = {"DBAUDIT_PASSWORD": None, "DBAUDIT_RULES": None}
    assert dbaudit("locks", env=nothing_else).code == 0
    with stall_of(server, lock_tables_write) as stall:
        run = dbaudit("locks", "--format", "json", *NOW, env=nothing_else)
        assert run.code == 1 and {wait["connection_id"] for wait in run.json()["waits"]} == {stall.ids[role] for role in stall.waits}


def test_text_names_the_one_to_talk_to_first(server, dbaudit, aud):
    with stall_of(server, row_queue) as stall:
        run = dbaudit("locks", *NOW, server=server)
        assert run.code == 1 and f"KILL {stall.ids['holder']}" in unwrapped(run), run


def row_and_table(stall):
    """Two stalls; who holds the row, every server shows."""
    stall.shop()
    stall.table("u")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.next_second()
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.session("holder", "BEGIN", "UPDATE shop.u SET v = 7 WHERE id = 1")
    stall.root("holder")
    stall.wait("writer", "UPDATE shop.u SET v = 8 WHERE id = 1", IN_INNODB, ("shop", "u"), granted=["holder"], kind=ROW)


def test_a_root_is_not_said_to_hold_up_what_it_does_not(server, dbaudit, aud):
    with stall_of(server, row_and_table) as stall:
        text = unwrapped(dbaudit("locks", *NOW, server=server))
        assert "2 sessions wait" in text
        assert f"KILL {stall.ids['reader']}" in text and f"KILL {stall.ids['holder']}" in text
        if stall.method == "nothing":
            assert f"1 holds up 1 of them, connection {stall.ids['holder']} " in text
            assert f"who holds up the other one is not shown, connection {stall.ids['reader']} " in text
            assert f"behind nobody that this server shows (suspected: connection {stall.ids['reader']} " in text
        else:
            assert "1 more holds up others" in text and "suspected" not in text
        rows = locks(dbaudit, *NOW, "--table", "shop.u", server=server)
        assert ids(rows["waits"]) == {stall.ids["writer"]} and ids(rows["roots"]) == {stall.ids["holder"]} and rows["suspects"] == []
        table = locks(dbaudit, *NOW, "--table", "shop.t", server=server)
        assert ids(table["waits"]) == {stall.ids["alter"]} and stall.ids["reader"] in ids([*table["roots"], *table["suspects"]])


def test_nobody_is_excluded_by_the_time_of_a_whole_call(server, dbaudit, aud):
    """How long a CALL has run says little of how long its ALTER waits: the holder may have come in between."""

    def migration(stall):
        stall.shop()
        server.admin("CREATE PROCEDURE shop.migrate() BEGIN DO SLEEP(3); ALTER TABLE shop.t ADD COLUMN w INT; END")
        stall.session("older", "BEGIN", "SELECT * FROM elsewhere.t", innocent=True)
        stall.wait_until_in_innodb("older")
        stall.next_second()
        future = server.background("CALL shop.migrate()", stall.session("migration"))
        stall.next_second()
        stall.session("holder", "BEGIN", "SELECT * FROM shop.t")
        stall.root("holder")
        stall.waits["migration"] = Wait("migration", future, FOR_TABLE, METADATA, "shop", "t", False, True, False, "", set())
        stall.edge("migration", "holder")
        server.wait_for(lambda: stall.is_waiting("migration"), "the ALTER waits")

    with stall_of(server, migration) as stall:
        report = locks(dbaudit, *NOW, server=server)
        if stall.method == "nothing":
            assert report["roots"] == []
            assert {stall.ids["holder"], stall.ids["older"]} <= ids(report["suspects"])
        else:
            assert ids(report["roots"]) == {stall.ids["holder"]}


def test_names_in_another_case(start_server, dbaudit):
    server = start_server("mariadb-10.11", "--plugin-load-add=metadata_lock_info", "--lower-case-table-names=1")
    server.account("aud", grants_of(server))

    def shouted(stall):
        stall.shop()
        stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
        stall.root("reader")
        stall.wait("truncate", "TRUNCATE TABLE SHOP.T", FOR_TABLE, T, granted=["reader"])
        stall.wait("late reader", "SELECT COUNT(*) FROM Shop.t", FOR_TABLE, T, ahead=["truncate"])

    with stall_of(server, shouted) as stall:
        report = locks(dbaudit, *NOW, server=server)
        assert Comparison(stall, report).problems == []
        assert ids(locks(dbaudit, *NOW, "--table", "Shop.T", server=server)["waits"]) == ids(report["waits"])


# --- who may look


def test_an_account_without_privileges_is_not_told_that_nobody_waits(server, dbaudit):
    server.account("nobody")
    with stall_of(server, idle_reader):
        report = locks(dbaudit, *NOW, server=server, user="nobody", code=3)
        assert report["waits"] == [] and report["roots"] == [] and report["suspects"] == []
        sources = {entry["source"]: entry for entry in report["sources"]}
        assert sources["sessions"]["status"] != "read"
        grant = "GRANT PROCESS ON *.* TO 'nobody'@'%'"
        assert sources["sessions"]["remedy"] == grant
        text = dbaudit("locks", *NOW, server=server, user="nobody")
        assert text.code == 3 and grant in unwrapped(text), text
        assert not re.search(r"(nobody|no one|no session)\s+(is\s+)?wait", text.out, re.IGNORECASE), text
        if server.flavor == "mysql":
            assert sources["metadata_locks"]["remedy"] == "GRANT SELECT ON performance_schema.* TO 'nobody'@'%'"


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_server_is_looked_at_through_the_reserved_slot(kind, start_server, dbaudit):
    server = start_server(kind, "--max-connections=12")
    for name, grants in {"app": ["ALL ON shop.*"], "aud": [*grants_of(server), SLOT[server.flavor]]}.items():
        server.account(name, grants)
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    holder = server.connect("app", "pw")
    for sql in ("BEGIN", "SELECT * FROM shop.t"):
        holder.cursor().execute(sql)
    alter = server.background("ALTER TABLE shop.t ADD COLUMN w INT", server.connect("app", "pw"))
    server.wait_for(f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {alter.connection_id} AND STATE = '{FOR_TABLE}'", "the ALTER waits")
    with pytest.raises(pymysql.MySQLError, match="1040|Too many connections"):
        while True:
            server.connect("app", "pw")
    run = dbaudit("locks", "--format", "json", *NOW, server=server)
    assert run.code == 1 and run.waited_s < 10, run
    report = run.json()
    assert [wait["connection_id"] for wait in report["waits"]] == [alter.connection_id]
    assert holder.thread_id() in {root["connection_id"] for root in [*report["roots"], *report["suspects"]]}


# --- less, later, at all costs in time


def ids(entries):
    return {entry["connection_id"] for entry in entries}


def test_table_filter(server, dbaudit, aud):
    with stall_of(server, two_stalls) as stall:
        mine = lambda table: {stall.ids[f"alter {table}"], stall.ids[f"late reader of {table}"]}
        for table in ("t", "u"):
            report = locks(dbaudit, *NOW, "--table", f"shop.{table}", server=server)
            assert ids(report["waits"]) == mine(table)
            assert ids(report["roots"]) <= {stall.ids[f"reader of {table}"]}
            if stall.method != "nothing":
                assert ids(report["roots"]) == {stall.ids[f"reader of {table}"]}
        assert ids(locks(dbaudit, *NOW, "--table", "shop", server=server)["waits"]) == mine("t") | mine("u")
        report = locks(dbaudit, *NOW, "--table", "elsewhere", server=server, code=0)
        assert report["waits"] == [] and report["waits_elsewhere"] == 4
        text = dbaudit("locks", *NOW, "--table", "elsewhere.`we``ird`", server=server)
        assert "Nobody waits for a lock on elsewhere.we`ird; 4 sessions wait elsewhere." in unwrapped(text)


@pytest.mark.parametrize("scenario", [idle_reader, row_queue, lock_tables_write, two_stalls], ids=lambda scenario: scenario.__name__)
def test_a_snapshot_says_what_the_server_said(server, dbaudit, aud, scenario):
    with stall_of(server, scenario) as stall:
        stall.latecomer()
        live = locks(dbaudit, *NOW, server=server)
        assert dbaudit("snapshot", "-o", "s.db", server=server).code in (0, 3)
        later = locks(dbaudit, *NOW, "--from", "s.db")
    clocks = {"wait_seconds", "idle_seconds", "transaction_seconds", "reason"}
    timeless = lambda entries: [{key: value for key, value in entry.items() if key not in clocks} for entry in entries]
    for key in ("waits", "roots", "suspects"):
        order = lambda entry: str(entry["connection_id"])
        assert sorted(timeless(later[key]), key=order) == sorted(timeless(live[key]), key=order), key
    assert later["cycles"] == live["cycles"]


class Freezes(faults.Proxy):
    """Passes everything on until a statement contains `pattern`; then the whole server stands still."""

    def __init__(self, server, pattern):
        super().__init__(server.port, pattern)
        self.server = server

    def __enter__(self):
        self._thread = threading.Thread(target=self._freeze, daemon=True)
        self._thread.start()
        return super().__enter__()

    def _freeze(self):
        if self.hit.wait(30):
            os.kill(self.server.pid, signal.SIGSTOP)

    def __exit__(self, *arguments):
        self.hit.set()
        self._thread.join()  # a server that is stopped after this would stay so
        os.kill(self.server.pid, signal.SIGCONT)
        super().__exit__(*arguments)


@pytest.mark.parametrize("pattern", ["SELECT", "INNODB_TRX", "PROCESSLIST"])
@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-11.8"])
def test_a_server_that_freezes_in_the_middle(kind, start_server, dbaudit, pattern):
    server = start_server(kind)
    server.account("aud", grants_of(server))
    with stall_of(server, idle_reader), Freezes(server, pattern) as there:
        run = dbaudit("locks", "--format", "json", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED", "--timeout", "8s")
        frozen = there.hit.is_set()
    assert frozen, f"no statement contains {pattern}"
    assert run.waited_s < 11, run
    assert run.code == 3, run


@pytest.mark.parametrize("kind", ["mysql-9.7", "mariadb-10.11"])
def test_a_server_that_is_frozen_from_the_start(kind, start_server, dbaudit):
    server = start_server(kind)
    server.account("aud", grants_of(server))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        run = dbaudit("locks", "--timeout", "2s", server=server)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert run.code == 3 and run.waited_s < 4, run


# --- statements and numbers of every size


STATEMENTS = {
    "emoji": "SELECT COUNT(*) FROM shop.t WHERE v <> '🙂'",
    "invalid UTF-8": b"SELECT COUNT(*) FROM shop.t /* \xff\xfe\xc3\x28 \xf0\x9f */",
    "control characters": b"SELECT COUNT(*) FROM shop.t /* \x1b[2J\x1b]0;title\x07 \r\x08 \x7f \xc2\x9b31m */",
    "right to left": "SELECT COUNT(*) FROM shop.t /* \u202e\u2066 abc */",
    "a mebibyte": b"SELECT COUNT(*) FROM shop.t WHERE v <> '" + b"x" * (1 << 20) + b"'",
    "a mebibyte of emoji": b"SELECT COUNT(*) FROM shop.t WHERE v <> '" + "🙂".encode() * (1 << 18) + b"'",
    "CSV and HTML": b"SELECT COUNT(*) FROM shop.t /* \",\n'=1+1;<script>|--|</script> */",
    "table after a comment": b"/* app=shop, \xe2\x80\xa6 */ SELECT /* from */ COUNT(*) -- from elsewhere.t\n FROM /* elsewhere.t */ `shop` . `t`",
}


def waits_with(statement):
    def talker(stall):
        stall.shop()
        stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
        stall.root("reader")
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
        stall.wait("talker", statement, FOR_TABLE, T, ahead=["alter"])
        # How the rest of it is shown is the report's affair.
        stall.waits["talker"].statement = ""

    return talker


@pytest.mark.parametrize("name", STATEMENTS)
def test_any_statement_may_wait(server, dbaudit, aud, name):
    with stall_of(server, waits_with(STATEMENTS[name])) as stall:
        run = dbaudit("locks", "--format", "json", *NOW, server=server)
        assert run.code == 1 and len(run.out.encode()) < 50_000, run
        report = run.json()
        assert Comparison(stall, report).problems == []
        said = next(wait["statement"] for wait in report["waits"] if wait["connection_id"] == stall.ids["talker"])
        assert said.startswith(("SELECT COUNT(*) FROM shop.t", "/* app=shop"))
        text = dbaudit("locks", *NOW, server=server)
        assert text.code == 1 and not NOT_FOR_TERMINALS.search(text.out + text.err), text


@pytest.mark.parametrize("form", ["dot", "html"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_any_statement_may_be_drawn(server, dbaudit, aud, name, form):
    with stall_of(server, waits_with(STATEMENTS[name])) as stall:
        drawn = dbaudit("locks", "--format", form, *NOW, server=server)
        assert drawn.code == 1 and not NOT_FOR_TERMINALS.search(drawn.out + drawn.err), drawn
        assert "<script>|" not in drawn.out
        for role in ("reader", "alter", "talker"):
            assert str(stall.ids[role]) in drawn.out, role


def test_five_hundred_who_wait(server, dbaudit, aud):
    """One root, everybody counted, and a text that fits a screen."""
    server.set_global(max_connections=800)
    waiting = 500

    def crowd(stall):
        stall.shop()
        for _ in range(100):
            server.connect()
        stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
        stall.root("reader")
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
        for _ in range(waiting):
            server.background("SELECT COUNT(*) FROM shop.t")
        server.wait_for(f"SELECT COUNT(*) = {waiting} + 1 FROM {stall.processes} WHERE STATE = '{FOR_TABLE}'", "all wait", 60)

    with stall_of(server, crowd) as stall:
        run = dbaudit("locks", "--format", "json", *NOW, server=server)
        assert run.code == 1 and run.waited_s < 5, run
        report = run.json()
        assert len(report["waits"]) == waiting + 1
        if stall.method != "nothing":
            assert [(root["connection_id"], root["blocks"], root["blocks_directly"]) for root in report["roots"]] == [(stall.ids["reader"], waiting + 1, 1)]
            behind_alter = [wait for wait in report["waits"] if [b["connection_id"] for b in wait["blocked_by"]] == [stall.ids["alter"]]]
            assert len(behind_alter) == waiting
        text = dbaudit("locks", *NOW, server=server)
        assert text.code == 1 and len(text.out.splitlines()) <= 40, text
        assert str(waiting + 1) in text.out and f"KILL {stall.ids['reader']}" in unwrapped(text)


@pytest.mark.parametrize("wanted", ["UPDATE shop.t SET v = 7 WHERE id = 1", "SELECT * FROM shop.t WHERE id = 1 FOR UPDATE"], ids=["writers", "readers"])
def test_hundreds_who_wait_for_one_row(server, dbaudit, aud, wanted):
    """The server lists each pair of them, which are more than are read; everybody's holder is found all the same."""
    server.set_global(max_connections=800)
    waiting, update = 250, "UPDATE shop.t SET v = 7 WHERE id = 1"

    def crowd(stall):
        stall.shop()
        stall.session("holder", "BEGIN", update)
        stall.root("holder")
        stall.wait("first", wanted, IN_INNODB, T, granted=["holder"], kind=ROW)
        for _ in range(waiting - 1):
            server.background(wanted)
        server.wait_for(f"SELECT COUNT(*) = {waiting} FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "all wait", 60)

    with stall_of(server, crowd) as stall:
        report = locks(dbaudit, *NOW, server=server)
        holder = stall.ids["holder"]
        assert [(root["connection_id"], root["blocks"], root["blocks_directly"]) for root in report["roots"]] == [(holder, waiting, waiting)]
        assert len(report["waits"]) == waiting and report["suspects"] == []
        for wait in report["waits"]:
            assert [(one["certainty"], one["how"]) for one in wait["blocked_by"] if one["connection_id"] == holder] == [("observed", GRANTED)], wait


def test_blockers_beyond_fifty_are_counted(server, dbaudit, aud):
    readers = 60

    def readers_and_alter(stall):
        stall.shop()
        for number in range(readers):
            stall.session(f"reader {number}", "BEGIN", "SELECT * FROM shop.t")
            stall.root(f"reader {number}")
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=list(stall.roots))

    with stall_of(server, readers_and_alter) as stall:
        report = locks(dbaudit, *NOW, server=server)
        alter = report["waits"][0]
        assert len(report["waits"]) == 1 and len(alter["blocked_by"]) <= 50
        if stall.method != "nothing":
            assert len(alter["blocked_by"]) == 50 and alter["blocked_by_count"] == readers
            assert ids(report["roots"]) == {stall.ids[role] for role in stall.roots}

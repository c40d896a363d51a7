"""Proof of stalls.py, without dbaudit: removing sessions frees exactly the waiters that its edges predict."""

import pytest

from stalls import SCENARIOS, stall_of


def frees_exactly(stall, removed):
    """Removes the last of `removed` (the others are gone already) and compares."""
    stall.remove(removed[-1])
    return exactly_these_are_free(stall, removed)


def exactly_these_are_free(stall, removed):
    """Those who wait still, after `removed` were."""
    predicted = stall.freed_by_removing(removed)
    for role in predicted | (set(removed) & set(stall.waits)):
        stall.server.wait_for(stall.waits[role].future.done, f"{role} is freed by removing {removed}; it is {stall.seen(role)}")
    remaining = set(stall.waits) - predicted - set(removed)
    moved_on = {role for role in remaining if stall.waits[role].afterwards and stall.blockers(role) <= set(removed)}
    for role in moved_on:
        stall.server.wait_for(lambda role=role: not stall.is_waiting(role), f"{role} waits elsewhere")
    for role in remaining - moved_on:
        stall.see_waiting(role, f"waits still, after {removed}")
    return remaining


def rotations(roles):
    return [roles[turn:] + roles[:turn] for turn in range(len(roles))]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_removing_the_roots_frees_those_behind_them(server, scenario):
    with stall_of(server, scenario) as stall:
        orders = rotations(sorted(stall.roots))
    for order in orders:
        with stall_of(server, scenario) as stall:
            remaining, removed = set(stall.waits), []
            for root in order:
                if root in stall.waits and root not in remaining:
                    continue  # of a cycle: it was freed already
                removed.append(root)
                remaining = frees_exactly(stall, removed)
            # Those who keep what they have got are in somebody's way now.
            while remaining:
                removed.append(next(role for role in sorted(stall.waits) if stall.waits[role].keeps and role not in remaining and role not in removed))
                remaining = frees_exactly(stall, removed)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_each_blocker_is_reason_enough(server, scenario):
    """For every edge: without the waiter's other blockers it still waits, and without this one too it no longer does."""
    with stall_of(server, scenario) as stall:
        edges = sorted(stall.edges.values())
    for edge in edges:
        with stall_of(server, scenario) as stall:
            others = sorted(stall.blockers(edge.waiter) - {edge.blocker})
            if not provable(stall, edge, others):
                continue
            for number in range(len(others)):
                assert edge.waiter in frees_exactly(stall, others[: number + 1])
            frees_exactly(stall, [*others, edge.blocker])
            wait = stall.waits[edge.waiter]
            assert wait.future.done() or (wait.afterwards and not stall.is_waiting(edge.waiter)), edge


def provable(stall, edge, others):
    """Not when removing the others frees this blocker too, which leaves the way open at once."""
    freed = stall.freed_by_removing(others)
    killable = all(stall.waits[role].killable for role in [*others, edge.blocker] if role in stall.waits)
    return killable and edge.waiter not in freed

"""No rule without a real server that it was seen to fire on."""

import pathlib
import types

import pytest

import fired
from reports import rules_of

HERE = pathlib.Path(__file__).parent


def test_every_rule_has_a_test_that_is_marked_with_it(rules_folder):
    """What the mark promises is checked wherever the test runs (conftest.py)."""
    marked, rules = set(fired.marked(HERE)), set(rules_of(rules_folder))
    unproven = sorted(rules - marked)
    assert not unproven, "mark a test with @pytest.mark.fires that makes a real server wrong, and mends it as the remedy says"
    assert marked == rules, "tests are marked with rules that do not exist"


# --- the check itself


def audit(*outcomes, command="audit"):
    text = ", ".join(f'{{"rule": "X001", "server": "s", "subject": "{subject}", "outcome": "{outcome}"}}' for subject, outcome in outcomes)
    return types.SimpleNamespace(argv=["dbaudit", *command.split(), "--format", "json"], out=f'{{"results": [{text}]}}')


def mark(**options):
    return [pytest.mark.fires("X001", **options).mark]


@pytest.mark.parametrize("runs, complaint", [
    ([], "did not"),
    ([audit(("a", "pass"))], "did not"),
    ([audit(("a", "fail"), command="check"), audit(("a", "pass"))], "did not"),
    ([audit(("a", "fail"), command="audit --from x.db"), audit(("a", "pass"))], "did not"),
    ([audit(("a", "pass")), audit(("a", "fail"))], "never seen to be mended"),
    ([audit(("a", "fail")), audit(("a", "unknown"))], "never seen to be mended"),
    ([audit(("a", "fail")), audit(("server", "unknown"))], "never seen to be mended"),
    ([audit(("a", "fail")), audit(("a", "fail"), ("b", "pass"))], "never seen to be mended"),
    ([audit(("a", "fail")), audit()], "never seen to be mended"),
])  # fmt: skip
def test_a_promise_that_is_not_kept(runs, complaint):
    with pytest.raises(AssertionError, match=complaint):
        fired.check(mark(), {"mysql"}, runs)


def test_a_promise_that_is_kept():
    fails, passes, gone = audit(("a", "fail"), ("b", "fail")), audit(("a", "pass"), ("b", "fail")), audit(("server", "not_applicable"))
    for runs in ([fails, passes], [fails, gone], [passes, gone]):
        fired.check(mark(), set(), runs)
    fired.check(mark(no_remedy="it is old"), {"mysql"}, [fails])
    fired.check(mark(on=("mariadb",)), {"mysql", "mysql-9.7"}, [])

"""What @pytest.mark.fires promises: that an audit of a real server found something wrong, and a later one no longer.

Findings of `check` are about changes that nobody made, and those of snapshots about servers that are gone: neither counts.
"""

import ast
import json


def audits(runs):
    """(rule, server, subject) -> outcome, for each audit of servers, in order."""
    for run in runs:
        arguments = list(map(str, run.argv[1:]))
        if arguments[:1] == ["audit"] and "json" in arguments and "--from" not in arguments and run.out.startswith("{"):
            yield {(one["rule"], one["server"], one["subject"]): one["outcome"] for one in json.loads(run.out)["results"]}


def check(markers, where, runs):
    """Asserts that each rule of the markers failed, and that later something that had failed no longer did."""
    seen = list(audits(runs))
    for marker in markers:
        on = marker.kwargs.get("on")
        if on and not where & set(on):
            continue
        for rule in marker.args:
            failed, mended = set(), False
            for outcomes in seen:
                mine = {key: outcome for key, outcome in outcomes.items() if key[0] == rule}
                # What is gone is as good as what passes, but not when nobody could look.
                looked = bool(mine) and "unknown" not in mine.values()
                mended = mended or any(mine.get(key) == "pass" or key not in mine and looked for key in failed)
                failed |= {key for key, outcome in mine.items() if outcome == "fail"}
            assert failed, f"{rule} was to fail in this test, and did not"
            assert mended or marker.kwargs.get("no_remedy"), f"{rule} failed in this test, and was never seen to be mended"


def marked(folder):
    """rule -> the files with a test that is marked with it, read from their source: whatever is collected or selected."""
    found = {}
    for path in sorted(folder.glob("test_*.py")):
        for statement in ast.parse(path.read_text()).body:
            test = isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_")
            # On the test itself, or on one of its parameters in a table of the module.
            places = statement.decorator_list if test else [statement.value] if isinstance(statement, ast.Assign) else []
            for node in (node for place in places for node in ast.walk(place)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fires":
                    for argument in node.args:
                        found.setdefault(ast.literal_eval(argument), set()).add(path.name)
    return found

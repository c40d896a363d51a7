"""What tests look for in a report."""

import tomllib


def sources(report, server=0):
    """source -> its entry in the JSON report."""
    return {entry["source"]: entry for entry in report["servers"][server]["sources"]}


def statuses(report, server=0):
    return {name: entry["status"] for name, entry in sources(report, server).items()}


def results(report, rule=None, outcome=None, server=None):
    return [
        result
        for result in report["results"]
        if rule in (None, result["rule"]) and outcome in (None, result["outcome"]) and server in (None, result["server"])
    ]


def entry_of(need, seen):
    """What tells whether a rule has what it needs. Who waits for a row, either of two sources shows."""
    if need != "lock_waits":
        return seen[need]
    return next((seen[name] for name in ("transactions", "row_lock_waits") if seen[name]["status"] == "read"), seen["row_lock_waits"])


def unknowns_match_sources(report, rules):
    """Asserts the promise that nothing unobserved passes; gives the rules that were unknown for want of a source."""
    seen = sources(report)
    unknown = set()
    for rule_id, rule in rules.items():
        missing = [entry for need in rule["needs"] if need != "pool" and (entry := entry_of(need, seen))["status"] != "read"]
        mine = results(report, rule_id)
        if not missing or [result["outcome"] for result in mine] == ["not_applicable"]:
            continue
        assert not results(report, rule_id, "pass"), f"{rule_id} passed without {[entry['source'] for entry in missing]}: {mine}"
        blind = [result for result in mine if result["outcome"] == "unknown"]
        assert blind, f"{rule_id}: {mine}"
        remedies = {entry["remedy"] for entry in missing}
        assert any(result["remedy"] in remedies for result in blind), f"{rule_id}: {blind}, wanted one of {remedies}"
        unknown.add(rule_id)
    return unknown


def rules_of(folder):
    """id -> the parsed rule file."""
    found = {}
    for path in folder.rglob("*.toml"):
        if path.parent.name != "libraries" and (rule := tomllib.loads(path.read_text())).get("id"):
            found[rule["id"]] = rule
    return found


def expected_exit(report):
    """The contract's exit code at --fail-on error."""
    errors = [result for result in report["results"] if result["severity"] == "error"]
    if any(result["outcome"] == "fail" and not result.get("known") for result in errors):
        return 1
    blind = any(result["outcome"] == "unknown" and result["curable"] for result in errors)
    return 3 if blind or not all(server["reachable"] for server in report["servers"]) else 0

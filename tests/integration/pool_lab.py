"""The experiments with real pools (pool_lab/), declared to dbaudit, and how often its word came true."""

import collections
import json
import pathlib

CASES = pathlib.Path(__file__).parent / "pool_lab" / "cases.jsonl"


def cases(flavor):
    return [case for case in map(json.loads, CASES.read_text().splitlines()) if case["server"]["version"].startswith(flavor)]


def batches(flavor):
    """(variables, cases): what can be judged in one run. Pools of one file add up, so capacity cases stand alone."""
    groups = collections.defaultdict(list)
    for number, case in enumerate(cases(flavor)):
        variables = tuple((name, value) for name, value in case["server"].items() if name != "version")
        groups[variables, number if case["type"] == "capacity" else None].append(case)
    return [(variables, members) for (variables, _), members in groups.items()]


# --- a case as a declaration


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return '"none"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def declaration(case):
    usage = case["usage"]
    keys = {
        "name": case["case"],
        "library": case["library"],
        "version": str(case["version"]),
        "driver": case.get("driver"),
        "instances": usage.get("instances", 1),
        "max_surge": 0,
        "threads_per_process": usage.get("connections", 1) if case["library"] == "django" else None,
        "rolls_back_on_error": usage.get("rolls_back_on_error"),
    }
    for duration in ("longest_think_time", "longest_hold_time"):
        if f"{duration}_s" in usage:
            keys[duration] = f"{usage[f'{duration}_s']}s"
    if "url_options" in case:
        scheme = "app@tcp(db:3306)/shop" if case["library"] == "go_database_sql" else "jdbc:mariadb://db/shop"
        keys["url"] = f"{scheme}?{case['url_options']}"
    lines = [f"{key} = {toml(value)}" for key, value in keys.items() if value is not None]
    return "\n".join(["[[pool]]", *lines, f"settings = {toml(case['settings'])}", ""])


def config(members):
    return "\n".join(['[parameters]\nsafety_margin = "0s"\nconnection_reserve = 0\n', *map(declaration, members)])


# --- dbaudit's word


def verdict(case, report):
    """The hazard found, in the terms of `observed`."""
    failures = [result for result in report["results"] if result["outcome"] == "fail"]
    hazards = {result.get("hazard") for result in failures if result["subject"] == case["case"]}
    if case["type"] == "idle":
        return next((hazard for hazard in ("dead_handout", "noisy_close") if hazard in hazards), "quiet")
    if case["type"] == "capacity":
        return "refused" if any(result.get("hazard") == "refused" for result in failures) else "none"
    wanted = {"transaction": "dead_return", "held": "dead_return", "stall": "exhausted"}[case["type"]]
    return wanted if wanted in hazards else "none"


def came_true(case, word):
    return word == case["observed"] or (case["observed"] == "silent_close" and word in ("quiet", "noisy_close"))


class Confusion:
    """By library: how often which word was said about which outcome."""

    def __init__(self):
        self.said = collections.defaultdict(collections.Counter)
        self.wrong = []

    def add(self, case, word):
        right = came_true(case, word)
        self.said[case["library"]][case["type"], case["observed"], word, right] += 1
        if not right:
            self.wrong.append(f"{case['case']}: observed {case['observed']}, said {word}; {case['settings']} {case['server']}")

    def right(self, library):
        return sum(count for (*_, right), count in self.said[library].items() if right)

    def total(self, library):
        return sum(self.said[library].values())

    def text(self):
        for library in sorted(self.said):
            yield f"{library}: {self.right(library)} of {self.total(library)} right"
            for (kind, observed, word, right), count in sorted(self.said[library].items()):
                yield f"    {kind:<12} observed {observed:<13} said {word:<13} {count:>3}{'' if right else '   WRONG'}"

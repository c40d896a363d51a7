"""How right `dbaudit locks` was, over all stalls: counted by test_locks.py, printed at the end of the run."""

import collections
import dataclasses

import servers


@dataclasses.dataclass
class Score:
    right: int = 0  # edges that are there, and were named
    wrong: int = 0  # named, and not there
    missing: int = 0  # there, to be seen on this server, and not named
    unknowable: int = 0  # there, and this server does not show it
    root: str = ""  # "named", "first suspect", "one of several suspects", "no trace", "missed"
    first_beside_others: bool = True  # named or first suspect also while others are idle in transactions elsewhere

    def __str__(self):
        cell = f"{self.right}/{self.right + self.missing}"
        if self.wrong:
            cell += f", {self.wrong} wrong"
        if self.unknowable:
            cell += f" ({self.unknowable} not shown)"
        if self.root not in ("", "named"):
            cell += f", root: {self.root}"
        return cell + ("" if self.first_beside_others else ", not beside others")


class Accuracy:
    def __init__(self):
        self.scores = collections.defaultdict(dict)  # scenario's title -> variant -> Score

    def add(self, scenario, variant, score):
        self.scores[scenario.title][variant] = score

    def variants(self):
        seen = {variant for row in self.scores.values() for variant in row}
        return [name for name in servers.variant_names() if name in seen]

    def total(self, variant):
        return [row[variant] for row in self.scores.values() if variant in row]

    def rows(self):
        """The table, its head and its sums included, as lists of strings."""
        variants = self.variants()
        yield ["stall", *variants]
        for title, row in self.scores.items():
            yield [title, *(str(row.get(variant, "not run")) for variant in variants)]
        yield ["edges right", *(f"{sum(s.right for s in self.total(v))} of {sum(s.right + s.missing for s in self.total(v))}" for v in variants)]
        yield ["precision", *(share(sum(s.right for s in self.total(v)), sum(s.right + s.wrong for s in self.total(v))) for v in variants)]
        yield ["recall", *(share(sum(s.right for s in self.total(v)), sum(s.right + s.missing for s in self.total(v))) for v in variants)]
        yield ["not shown by the server", *(str(sum(s.unknowable for s in self.total(v))) for v in variants)]
        yield ["root named or first suspect", *(self.roots_found(v) for v in variants)]
        yield ["beside transactions of others", *(str(self.first_beside_others(v)) for v in variants)]

    def traced(self, variant):
        return [score for score in self.total(variant) if score.root != "no trace"]

    def roots_found(self, variant):
        traced = self.traced(variant)
        return f"{sum(score.root in ('named', 'first suspect') for score in traced)} of {len(traced)}"

    def first_beside_others(self, variant):
        return sum(score.first_beside_others for score in self.traced(variant))

    def text(self):
        table = [[cell.replace("mariadb", "maria") for cell in row] for row in self.rows()]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]

    def readme_row(self, variant):
        """What the README's table says of this variant."""
        scores = self.total(variant)
        right, there = sum(s.right for s in scores), sum(s.right + s.missing for s in scores)
        cells = [f"`{variant}`", f"{right} of {there}", sum(s.wrong for s in scores), sum(s.unknowable for s in scores), self.roots_found(variant)]
        return "| " + " | ".join(map(str, cells)) + " |"


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


ACCURACY = Accuracy()

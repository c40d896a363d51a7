"""What dbaudit says about a declared pool is what the real pool did."""

import pool_lab
from test_readme import README


def readme_numbers(flavor):
    """library -> "n of m", from the README's table of experiments."""
    column = {"mariadb": 2, "mysql": 3}[flavor]
    rows = [[cell.strip(" `") for cell in line.split("|")] for line in README.splitlines() if line.startswith("| `")]
    return {row[1]: row[column] for row in rows if len(row) == 5}


def test_the_word_comes_true(server, dbaudit):
    server.account("aud", "ALL ON *.*")
    confusion = pool_lab.Confusion()
    for variables, members in pool_lab.batches(server.flavor):
        (dbaudit.home / "dbaudit.toml").write_text(pool_lab.config(members))
        changes = [argument for name, value in variables for argument in ("--set", f"{name}={value}")]
        report = dbaudit("check", "--format", "json", *changes, server=server).json()
        for case in members:
            confusion.add(case, pool_lab.verdict(case, report))
    print("\n".join(confusion.text()))
    assert not confusion.wrong, "\n".join(confusion.wrong)
    assert sum(map(confusion.total, confusion.said)) == len(pool_lab.cases(server.flavor)) > 10
    published = readme_numbers(server.flavor)
    for library in confusion.said:
        assert published.get(library) == f"{confusion.right(library)} of {confusion.total(library)}", library

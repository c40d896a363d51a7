"""Numbers of every size come from a server as they are, or not at all."""

import os
import pathlib
import subprocess

LARGEST = 2**63 - 1
# A column of a table, because SELECT of a literal has the type that fits it; DECIMAL goes another way.
COLUMNS = {"u": "BIGINT UNSIGNED", "s": "BIGINT", "i": "INT UNSIGNED", "d": "DECIMAL(30)", "t": "VARCHAR(30)"}
ROWS = {
    "largest": ({"u": 2**64 - 1, "s": LARGEST, "i": 2**32 - 1, "d": 10**29, "t": 10**25}, [None, LARGEST, 2**32 - 1, None, None]),
    "just too large": ({"u": 2**63, "s": -1, "i": 1, "d": 2**63, "t": 2**63}, [None, -1, 1, None, None]),
    "just fits": ({"u": LARGEST, "s": -(2**63), "i": 0, "d": LARGEST, "t": LARGEST}, [LARGEST, -(2**63), 0, LARGEST, LARGEST]),
    "nothing": (dict.fromkeys(COLUMNS), [None] * len(COLUMNS)),
    "no number": (dict.fromkeys(COLUMNS, 0) | {"t": "seven"}, [0, 0, 0, 0, None]),
}


def test_what_does_not_fit_is_absent(server, dbaudit):
    server.account("aud", "ALL ON shop.*")
    server.admin("CREATE DATABASE shop")
    server.admin(f"CREATE TABLE shop.numbers (name VARCHAR(20), {', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    program = pathlib.Path(os.environ["DBAUDIT_REPEAT"]).with_name("integers")  # ctest names that one
    for name, (values, expected) in ROWS.items():
        server.admin("INSERT INTO shop.numbers VALUES (%s, %s, %s, %s, %s, %s)", (name, *values.values()))
        sql = f"SELECT {', '.join(COLUMNS)} FROM shop.numbers WHERE name = '{name}'"
        argv = [program, str(server.port), "aud", "pw", sql]
        run = subprocess.run(argv, env=dbaudit.environment(), capture_output=True, text=True, timeout=60, check=True)
        assert [None if line == "nothing" else int(line) for line in run.stdout.splitlines()] == expected, name

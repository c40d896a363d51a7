"""Whatever people write wrong is told at once, all of it with its place, and before anything is sent anywhere."""

import re
import socket

import pytest

GOOD_RULE = '''id = "TST{number:03}"
title = "A rule of this test"
severity = "warning"
needs = ["global_variables"]
applies_to = ["mysql >= 5.7", "mariadb >= 10.5"]
sql = """
SELECT s.name AS subject,
       v.wait_timeout <= :limit AS ok,
       v.wait_timeout AS wait_timeout_s
FROM server s JOIN global_variables v USING (server_id)
WHERE s.server_id = :server_id
"""
message = "wait_timeout is {{wait_timeout_s:duration}}"
remedy = "change it"
rationale = "because"
references = ["a manual"]

[parameters.limit]
type = "duration"
default = "8h"
doc = "Longest wait_timeout."
'''
LOOP = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def with_sql(sql):
    return lambda text: re.sub(r'sql = """.*?"""', lambda _: f'sql = """\n{sql}\n"""', text, flags=re.DOTALL)


def replaced(old, new):
    def replace(text):
        assert old in text
        return text.replace(old, new, 1)

    return replace


# name: (change to the good rule, line of the problem or None where the file decides, what is said)
BAD_RULES = {
    "misspelt key": (replaced("severity =", "severty ="), 3, r"unknown key 'severty'; did you mean 'severity'"),
    "missing key": (replaced('remedy = "change it"\n', ""), None, r"'remedy' is missing"),
    "wrong type": (replaced('needs = ["global_variables"]', 'needs = "global_variables"'), 4, r"'needs' must be an array of strings"),
    "wrong element type": (replaced('needs = ["global_variables"]', "needs = [7]"), 4, r"'needs' must hold strings only"),
    "unknown severity": (replaced('"warning"', '"warn"'), 3, r"must be one of error, warning, info"),
    "unknown source": (replaced('["global_variables"]', '["global_variable"]'), 4, r"unknown source 'global_variable'; did you mean 'global_variables'"),
    "missing needs": (replaced('["global_variables"]', '["status"]'), 7, r"reads source 'global_variables', which neither 'needs' nor 'wants' names"),
    "unread needs": (replaced('["global_variables"]', '["global_variables", "sessions"]'), 7, r"'needs' names 'sessions', which its statement does not read"),
    "bad version condition": (replaced('"mysql >= 5.7"', '"oracle >= 19"'), 5, r"'oracle >= 19' is not a condition"),
    "unknown column": (replaced("v.wait_timeout <=", "v.wait_timeuot <="), 8, r"no such column: v\.wait_timeuot; did you mean 'wait_timeout'"),
    "unknown table": (replaced("JOIN global_variables", "JOIN global_variabels"), None, r"no such table: global_variabels; did you mean 'global_variables'"),
    "broken SQL": (replaced("SELECT s.name", "SELEKT s.name"), 7, r"syntax error"),
    "broken TOML": (replaced('severity = "warning"', 'severity = "warning'), 3, r"not valid TOML"),
    "no subject": (replaced("s.name AS subject", "s.name AS thing"), 7, r"no column 'subject'"),
    "no ok": (replaced("AS ok", "AS okay"), 7, r"no column 'ok'"),
    "no server_id": (replaced("WHERE s.server_id = :server_id", ""), 7, r"must choose the server with :server_id"),
    "unknown parameter": (replaced(":limit", ":limti"), 7, r"':limti' is no parameter of the rule; did you mean 'limit'"),
    "unused parameter": (replaced("<= :limit", "<= 5"), 7, r"parameter 'limit' is not used"),
    "wrong unit of a parameter": (replaced('"8h"', '"8 parsecs"'), 20, r"'default' must be a duration"),
    "parameter without a unit": (replaced('"8h"', "8"), 20, r"'default' must be a duration"),
    "unknown parameter type": (replaced('type = "duration"', 'type = "time"'), 19, r"must be one of duration, count, ratio, duration_margin, count_margin"),
    "bad placeholder": (replaced("{wait_timeout_s:duration}", "{wait_timeout:duration}"), None, r"'\{wait_timeout\}' is no column of its statement"),
    "unknown format": (replaced("{wait_timeout_s:duration}", "{wait_timeout_s:parsecs}"), None, r"parsecs"),
    "unclosed placeholder": (replaced("{wait_timeout_s:duration}", "{wait_timeout_s"), None, r"message"),
    "bad id": (replaced('id = "TST', 'id = "tst-'), 1, r"capital letters and three digits"),
    "inserts": (with_sql("INSERT INTO server (name) VALUES ('x')"), 7, r"only SELECT"),
    "deletes": (with_sql("DELETE FROM sessions"), 7, r"only SELECT"),
    "updates": (with_sql("UPDATE fact_source SET status = 'read'"), 7, r"only SELECT"),
    "drops": (with_sql("DROP TABLE sessions"), 7, r"only SELECT"),
    "creates": (with_sql("CREATE TEMP TABLE t (a)"), 7, r"only SELECT"),
    "attaches": (with_sql("ATTACH '/tmp/dbaudit-test-attached.db' AS other"), 7, r"only SELECT"),
    "vacuums": (with_sql("VACUUM INTO '/tmp/dbaudit-test-vacuumed.db'"), 7, r"must be a SELECT|only SELECT"),
    "sets a pragma": (with_sql("PRAGMA query_only = 0"), 7, r"only SELECT"),
    "reads a pragma function": (with_sql("SELECT name AS subject, 1 AS ok FROM pragma_database_list"), 7, r"only SELECT"),
    "reads the schema": (with_sql("SELECT name AS subject, 1 AS ok FROM sqlite_schema"), 7, r"prohibited"),
    "loads an extension": (with_sql("SELECT load_extension('x') AS subject, 1 AS ok FROM server"), 7, r"not authorized to use function"),
    "throws dice": (with_sql("SELECT random() AS subject, 1 AS ok FROM server"), 7, r"not authorized to use function"),
    "two statements": (with_sql("SELECT 1 AS subject, 1 AS ok FROM server; SELECT 2"), None, r"one statement only"),
    "begins a transaction": (with_sql("BEGIN"), 7, r"only SELECT|must be a SELECT"),
    "explains": (with_sql("EXPLAIN SELECT 1"), 7, r"SELECT|no column"),
    "empty": (with_sql("-- nothing"), 7, r"empty"),
    "loops for ever": (with_sql(f"{LOOP} WHERE :server_id = 0"), 7, r"loops, or joins too much"),
    "joins for ever": (
        with_sql(
            "WITH n(i) AS (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) SELECT count(*) AS subject, 1 AS ok "
            "FROM n a, n b, n c, n d, n e, n f, n g, n h, n i, n j, n k WHERE a.i + b.i + c.i + d.i = k.i + :server_id"
        ),
        7,
        r"loops, or joins too much",
    ),
}  # fmt: skip


@pytest.fixture
def nobody():
    """A port on which nobody may be heard."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture
def refused(dbaudit, nobody):
    """refused(*args): the lines on stderr of an audit that must not connect."""

    def run(*args, command="audit", **options):
        done = dbaudit(command, *args, "-h", "127.0.0.1", "-P", nobody.getsockname()[1], "-u", "aud", **options)
        assert done.code == 2, done
        assert done.out == "", done
        return done.err.splitlines()

    return run


def rule_file(folder, number, change=lambda text: text):
    path = folder / f"TST{number:03}-test.toml"
    path.write_text(change(GOOD_RULE.format(number=number)))
    return path


def problem_of(path, lines):
    """What is said about it, without its folder."""
    mine = [line.replace(str(path.parent) + "/", "") for line in lines if str(path) in line]
    assert mine, f"nothing about {path} in\n" + "\n".join(lines)
    return "\n".join(mine)


# --- rules


def test_the_good_rule_is_good(dbaudit, tmp_path):
    assert dbaudit("rules", "check", rule_file(tmp_path, 1)).code == 0


@pytest.mark.parametrize("name", BAD_RULES)
def test_bad_rule(name, refused, tmp_path):
    change, line, said = BAD_RULES[name]
    path = rule_file(tmp_path, 1, change)
    problem = problem_of(path, refused("--rules", path))
    assert re.search(said, problem), problem
    assert re.search(rf"{re.escape(path.name)}:{line or '[1-9][0-9]*'}: ", problem), problem


def test_all_bad_rules_are_told_in_one_run(refused, dbaudit, tmp_path):
    paths = [rule_file(tmp_path, number, change) for number, (change, _, _) in enumerate(BAD_RULES.values(), start=1)]
    lines = refused("--rules", tmp_path)
    for path, (name, (_, _, said)) in zip(paths, BAD_RULES.items()):
        assert re.search(said, problem_of(path, lines)), name
    assert [line for line in dbaudit("rules", "check", tmp_path).err.splitlines()] == lines


def test_duplicate_rule_id_names_both_places(refused, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        rule_file(tmp_path / folder, 1)
    lines = refused("--rules", tmp_path / "one", tmp_path / "two")
    assert len(lines) == 1 and "TST001 is already defined in" in lines[0]
    assert str(tmp_path / "one") in lines[0] and str(tmp_path / "two") in lines[0]


def test_rule_that_takes_a_shipped_id_is_refused(refused, tmp_path):
    path = tmp_path / "VAR001-mine.toml"
    path.write_text(GOOD_RULE.format(number=1).replace("TST001", "VAR001"))
    assert "VAR001 is already defined" in problem_of(path, refused("--rules", path))


def test_missing_rule_path_is_told(refused, tmp_path):
    assert "no such rule file" in problem_of(tmp_path / "gone.toml", refused("--rules", tmp_path / "gone.toml"))


def test_a_rule_cannot_reach_a_file(refused, tmp_path, dbaudit):
    target = tmp_path / "out.db"
    for sql in (f"ATTACH '{target}' AS o", f"VACUUM INTO '{target}'", f"SELECT writefile('{target}', 'x') AS subject, 1 AS ok"):
        refused("--rules", rule_file(tmp_path, 1, with_sql(sql)))
        assert not target.exists()


# --- config and pools

CONFIG = '''[parameters]
max_idle = "5 parsecs"
no_such_parameter = 3
safety_margin = true

[rules]
VAR001 = "loud"
NOPE001 = "off"
TRX001 = 5

[[server]]
nmae = "a"
url = "mysql://aud@127.0.0.1"

[[server]]
name = "b"
url = "mysql://aud:secret@127.0.0.1"

[[server]]
name = "c"
url = "mysql://aud@127.0.0.1:99999"
role = "leader"
memory = "16 furlongs"

[[server]]
name = "c"
url = "postgres://aud@127.0.0.1"

[[server]]
name = "d"

[[server]]
name = "e"
url = "mysql://aud@127.0.0.1"
replica_of = "nobody"
password_file = "no-such-file"
parameters = { max_idle = "1h", nonsense = 1 }

[colours]
red = 1
'''
CONFIG_PROBLEMS = [
    (2, r"'max_idle' must be a duration"), (3, r"no rule has a parameter 'no_such_parameter'"), (4, r"'safety_margin' must be a margin"),
    (7, r"VAR001 must be"), (8, r"no rule 'NOPE001'"), (9, r"TRX001 must be"), (12, r"unknown key 'nmae'; did you mean 'name'"),
    (11, r"'name' is missing"), (15, r"holds a password"), (19, r"not a port"), (22, r"must be one of primary, replica"), (23, r"must be a size"),
    (25, r"declared twice"), (25, r"unknown scheme 'postgres'"), (30, r"needs a 'url' or an 'option_file'"), (32, r"names no declared server 'nobody'"),
    (0, r"no-such-file"), (37, r"no rule has a parameter 'nonsense'"), (39, r"unknown key 'colours'"),
]  # fmt: skip


def test_all_problems_of_a_config_are_told_in_one_run(refused, dbaudit):
    (dbaudit.home / "dbaudit.toml").write_text(CONFIG)
    lines = refused("--server", "c", "b")
    lines += dbaudit("audit").err.splitlines()
    for line, said in CONFIG_PROBLEMS:
        found = [text for text in lines if re.search(said, text)]
        assert found, f"{said} not in\n" + "\n".join(lines)
        assert not line or any(re.search(rf"dbaudit\.toml:{line}: |dbaudit\.toml:{line + 1}: |dbaudit\.toml:{line - 1}: ", text) for text in found), (line, found)


def test_no_secret_of_a_url_is_repeated(refused, dbaudit):
    assert "secret" not in "\n".join(refused("--url", "mysql://aud:s3cr3t@127.0.0.1")).replace("password", "")


@pytest.mark.parametrize("text, line, said", [
    ("[[server]\nname = 1", 1, "not valid TOML"),
    ("name = \"x\"\nname = \"y\"", 2, "not valid TOML"),
    ("server = 5", 1, "array of tables"),
    ("[parameters]\nmax_idle = 99999999999999999999", 2, "not valid TOML"),
    ("rules = []", 1, "must be a table"),
    ("\x00\x01\x02", 1, "not valid TOML"),
    ("\xff\xfe", 1, "not valid TOML"),
])  # fmt: skip
def test_broken_config(refused, dbaudit, text, line, said):
    (dbaudit.home / "dbaudit.toml").write_bytes(text.encode("latin-1"))
    lines = refused()
    assert re.search(rf"dbaudit\.toml:{line}: .*{said}", "\n".join(lines)), lines


def test_missing_config_is_told(refused):
    assert "gone.toml" in "\n".join(refused("--config", "gone.toml"))


POOLS = '''[[pool]]
name = "a"
library = "hikaricp"
settings = { maximumPoolSiez = 20 }

[[pool]]
name = "b"
library = "hikari"

[[pool]]
name = "c"
library = "hikaricp"
instances = "six"
network_idle_timeout = "350"
max_surge = "half"
settings = { maxLifetime = "30 fortnights" }

[[pool]]
name = "c"
library = "hikaricp"
vershun = "5.0"

[[pool]]
name = "d"
library = "hikaricp"
version = "latest"
longest_query = 20
settings = { maximumPoolSize = "many", autoCommit = 7 }
'''
POOL_PROBLEMS = [
    (4, r"maximumPoolSiez.*did you mean 'maximumPoolSize'"), (8, r"hikari\b.*did you mean 'hikaricp'"), (13, r"'instances' must be an integer"),
    (14, r"'network_idle_timeout' must be a duration with a unit"), (15, r"'max_surge' must be"), (16, r"maxLifetime"), (18, r"declared in line 10"),
    (21, r"unknown key 'vershun'; did you mean 'version'"), (26, r"must start with a number"), (27, r"'longest_query' must be a duration"),
    (28, r"maximumPoolSize"), (28, r"autoCommit"),
]  # fmt: skip


@pytest.mark.parametrize("where", ["dbaudit.toml", "pools.toml"])
def test_all_problems_of_pools_are_told_in_one_run(refused, dbaudit, where):
    (dbaudit.home / where).write_text(POOLS)
    lines = refused(*(["--pools", where] if where == "pools.toml" else []))
    for line, said in POOL_PROBLEMS:
        assert any(re.search(rf"{where}:{line}: .*{said}", text) for text in lines), f"{line}: {said} not in\n" + "\n".join(lines)


def test_pool_of_an_undeclared_server_is_told(refused, dbaudit):
    (dbaudit.home / "dbaudit.toml").write_text(
        '[[server]]\nname = "shop"\nurl = "mysql://a@127.0.0.1"\n[[pool]]\nname = "p"\nlibrary = "hikaricp"\nserver = "shpo"\n'
    )
    assert re.search(r"dbaudit.toml:[47]: .*'shpo'; did you mean 'shop'", "\n".join(refused()))


def test_rules_pools_and_config_are_told_together(refused, dbaudit, tmp_path):
    (dbaudit.home / "dbaudit.toml").write_text('[parameters]\nmax_idle = "x"\n[colours]\n')
    (dbaudit.home / "pools.toml").write_text(POOLS)
    path = rule_file(tmp_path, 1, BAD_RULES["unknown column"][0])
    text = "\n".join(refused("--rules", path, "--pools", "pools.toml", "--skip", "NOPE001", "--param", "max_idle", "--timeout", "never", "--interval", "x"))
    for said in ("max_idle", "colours", "maximumPoolSiez", "wait_timeuot", "NOPE001", "NAME=VALUE", "--timeout", "--interval"):
        assert said in text, f"{said} not in\n{text}"


# --- command line


@pytest.mark.parametrize("arguments, said", [
    (["--only", "VAR01"], "did you mean 'VAR001'"),
    (["--skip", "NOPE"], "no rule 'NOPE'"),
    (["--param", "max_idle"], "NAME=VALUE"),
    (["--param", "max_idle=soon"], "must be a duration"),
    (["--param", "max_idel=5s"], "did you mean 'max_idle'"),
    (["--timeout", "5"], "--timeout"),
    (["--timeout", "-5s"], "--timeout"),
    (["--interval", "often"], "--interval"),
    (["--interval", "0s"], "at least 1s"),
    (["--interval", "10s", "--timeout", "10s"], "--interval must be shorter than --timeout"),
    (["--param", "max_blocked=-1"], "parameter 'max_blocked' must be a whole number, 0 or more"),
    (["--format", "xml"], "--format"),
    (["--fail-on", "panic"], "--fail-on"),
    (["--no-such-option"], "--no-such-option"),
    (["--ssl-mode", "MAYBE"], "--ssl-mode"),
    (["--url", "mysql://aud@127.0.0.1/shop"], "database"),
    (["--url", "nonsense"], "scheme"),
    (["--server", "nobody"], "nobody"),
    (["--password-file", "gone"], "gone"),
    (["--defaults-file", "gone.cnf"], "gone.cnf"),
    (["--defaults-extra-file", "gone.cnf"], "gone.cnf"),
    (["--ssl-ca", "gone.pem"], "gone.pem"),
    (["-P", "0"], "port"),
    (["--color", "mauve"], "--color"),
])  # fmt: skip
def test_bad_argument(refused, arguments, said):
    assert said in "\n".join(refused(*arguments))


@pytest.mark.parametrize("arguments", [
    ["--password=hunter2"], ["--passwrod=hunter2"], ["--passwrod", "hunter2"], ["--pasword=hunter2"], ["--pwd=hunter2"], ["--secret=hunter2"],
    ["--password-fiel=hunter2"], ["-phunter2"], ["-vphunter2"], ["-pS3cret-hunter2"], ["-p", "hunter2"], ["--password", "hunter2"],
    ["mysql://aud:hunter2@db"], ["--url", "mysql://aud:hunter2"], ["--url", "mysql://aud:hunter2@db"],
], ids=" ".join)  # fmt: skip
def test_a_password_is_never_an_argument(refused, arguments):
    lines = "\n".join(refused(*arguments))
    assert lines and "unter2" not in lines and "hunter" not in lines


@pytest.mark.parametrize("sql, said", [
    ("SELECT nme FROM server", "did you mean 'name'"),
    ("SELECT * FROM sesions", "did you mean 'sessions'"),
    ("DELETE FROM server", "only SELECT"),
    ("ATTACH 'x' AS y", "only SELECT"),
    ("PRAGMA journal_mode", "only SELECT"),
    ("SELECT 1; SELECT 2", "one statement"),
    ("", "empty"),
])  # fmt: skip
def test_bad_query_connects_nowhere(refused, sql, said):
    assert said in "\n".join(refused(sql, command="query"))


COSTLY = {
    "long texts": "WITH RECURSIVE t(x) AS (SELECT 'aaaaaaaa' UNION ALL SELECT replace(x, 'a', 'aa') FROM t) SELECT max(length(x)) FROM t",
    "slow calls": "WITH RECURSIVE t(a, b, n) AS (SELECT printf('%.*c', 30000, 'a'), printf('%.*c', 15000, 'a') || 'b', 1"
    " UNION ALL SELECT a, b, instr(a, b) FROM t) SELECT max(n) FROM t",
    "patterns": "WITH RECURSIVE t(a, b, n) AS (SELECT printf('%.*c', 60000, 'a'), replace(printf('%.*c', 400, 'x'), 'x', '%a') || 'b', 1"
    " UNION ALL SELECT a, b, a LIKE b FROM t) SELECT max(n) FROM t",
    "long patterns": "SELECT 'a' LIKE printf('%.*c', 2000, '%')",
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_rule_ends_within_the_time_limit(refused, tmp_path, name):
    """What one function call costs is no step of work to SQLite; it must end all the same, and soon."""
    setting = "(SELECT wait_timeout FROM global_variables WHERE server_id = :server_id AND :limit > 0)"
    path = rule_file(tmp_path, 1, with_sql(f"SELECT 'x' AS subject, ({COSTLY[name]}) AS ok, {setting} AS wait_timeout_s"))
    assert re.search("stopped: |too complex", problem_of(path, refused("--rules", path)))


@pytest.mark.parametrize("choice", [["--only", "VAR001"], ["--skip", "TST001"]])
def test_rule_that_is_left_out_is_checked_all_the_same(refused, tmp_path, choice):
    path = rule_file(tmp_path, 1, replaced("v.wait_timeout <=", "v.wait_timeuot <="))
    assert "did you mean 'wait_timeout'" in problem_of(path, refused("--rules", path, *choice))


def test_query_that_loops_is_stopped(dbaudit):
    run = dbaudit("query", LOOP, "--from", "/dev/null", timeout=30)
    assert run.code == 2


def test_option_file_problems_are_told_together(refused, dbaudit):
    (dbaudit.home / "my.cnf").write_text(
        "user = early\n[client]\nport = many\nssl-mode = MAYBE\nunknown-to-us = fine\n[dbaudit\n[dbaudit]\nprot = 3306\n!includ x\n!include gone.cnf\n"
    )
    lines = refused("--defaults-file", "my.cnf")
    for line, said in [(1, "before the first"), (3, "not a port"), (4, "must be DISABLED"), (6, "no closing"), (8, "did you mean 'port'"), (9, "only '!include FILE'")]:
        assert any(re.search(rf"my\.cnf:{line}: .*{said}", text) for text in lines), f"{line}: {said} not in\n" + "\n".join(lines)
    assert any("gone.cnf" in text for text in lines)
    assert not any("unknown-to-us" in text for text in lines)


def test_option_file_problems_repeat_no_password(refused, dbaudit):
    (dbaudit.home / "my.cnf").write_text("[client]\npassword hunter2\n[dbaudit]\npasswrod hunter2\n")
    lines = "\n".join(refused("--defaults-file", "my.cnf"))
    assert "my.cnf:2: [client] password" in lines and "my.cnf:4: " in lines and "hunter2" not in lines


# --- a run that would judge nothing, or something else than was meant


def ids_of_rules(dbaudit):
    return [line.split()[0] for line in dbaudit("rules", "list").out.splitlines()]


def test_no_rule_left_is_refused(refused, dbaudit):
    assert "no rule is left" in "\n".join(refused("--skip", *ids_of_rules(dbaudit)))
    (dbaudit.home / "dbaudit.toml").write_text("[rules]\n" + "".join(f'{name} = "off"\n' for name in ids_of_rules(dbaudit)))
    assert "no rule is left" in "\n".join(refused())
    assert "no rule is left" not in "\n".join(refused("--only", "VAR01"))


def test_command_line_wins_over_the_parameters_of_a_server(dbaudit):
    (dbaudit.home / "dbaudit.toml").write_text(
        '[parameters]\nmax_lock_wait_timeout = "10d"\n'
        '[[server]]\nname = "a"\nurl = "mysql://aud@127.0.0.1"\nparameters = { max_lock_wait_timeout = "400d" }\n'
    )
    check = lambda *more: dbaudit("check", "--assume", "mysql-9.7", "--only", "VAR001", "--format", "json", *more).json()["results"][0]["outcome"]
    assert check() == "pass"
    assert check("--param", "max_lock_wait_timeout=5m") == "fail"


@pytest.mark.parametrize("command", ["audit", "query", "check"])
def test_a_server_named_twice_is_refused(dbaudit, command, nobody):
    port = nobody.getsockname()[1]
    (dbaudit.home / "dbaudit.toml").write_text(f'[[server]]\nname = "m10"\nurl = "mysql://aud@127.0.0.1:{port}"\n')
    run = dbaudit(command, *(["SELECT 1"] if command == "query" else []), "--server", "m10", "m10")
    assert run.code == 2 and "'m10' is named twice" in run.err, run


@pytest.mark.parametrize("useless", [["-u", "aud"], ["--defaults-file", "my.cnf"], ["--password-stdin"], ["-p"], ["--ssl-mode", "REQUIRED"], ["--spare-port", "1"]])
def test_what_only_a_login_needs_is_refused_beside_snapshots(dbaudit, useless):
    for command in (["audit"], ["locks"], ["query", "SELECT 1"]):
        run = dbaudit(*command, "--from", "s.db", *useless)
        assert run.code == 2 and "--from reads snapshots and asks no server" in run.err, run


@pytest.mark.parametrize("words, said", [
    (["adit"], "no command 'adit'; did you mean 'audit'?"),
    (["lock", "-h", "db"], "no command 'lock'; did you mean 'locks'?"),
    (["rules", "lst"], "no command 'lst'; did you mean 'list'?"),
    (["pools", "explian", "p"], "no command 'explian'; did you mean 'explain'?"),
])  # fmt: skip
def test_mistyped_command(dbaudit, words, said):
    run = dbaudit(*words)
    assert run.code == 2 and said in run.err, run


def test_account_of_grants_is_quoted_or_refused(dbaudit):
    run = dbaudit("grants", "--flavor", "mysql", "--account", "aud@10.%")
    assert run.code == 0 and "CREATE USER 'aud'@'10.%' IDENTIFIED" in run.out and "GRANT PROCESS ON *.* TO 'aud'@'10.%';" in run.out, run
    assert "TO 'o''brien'@'%';" in dbaudit("grants", "--flavor", "mariadb", "--account", "o'brien").out
    run = dbaudit("grants", "--flavor", "mysql", "--account", "'aud")
    assert run.code == 2 and run.out == "" and "--account" in run.err, run


# --- libraries


def test_libraries_beside_rules_are_checked_though_no_pool_uses_them(refused, tmp_path):
    rule_file(tmp_path, 1, BAD_RULES["unknown column"][0])
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "mine.toml").write_text('id = "mine"\ntitel = "x"\n')
    text = "\n".join(refused("--rules", tmp_path))
    assert "wait_timeuot" in text and "libraries/mine.toml" in text and "titel" in text


def test_everything_wrong_with_one_rule_is_told_at_once(refused, tmp_path):
    def change(text):
        for name in ("misspelt key", "unknown column", "unclosed placeholder", "wrong unit of a parameter"):
            text = BAD_RULES[name][0](text)
        return text

    problem = problem_of(path := rule_file(tmp_path, 1, change), refused("--rules", path))
    for said in ("severty", "'severity' is missing", "wait_timeuot", "stands alone", "'default' must be a duration"):
        assert said in problem, problem


@pytest.mark.parametrize("arguments, said", [
    (["--password-stdin"], "standard input is empty"),
    (["-S", "/no/such.sock", "-h", "db"], "-S is a socket"),
    (["-h", ""], "must not be empty"),
    (["--server", "a", "-h", "db"], "-h, -S and --url"),
    (["--server", "a", "-S", "/no/such.sock"], "-h, -S and --url"),
    (["--server", "a", "--url", "mysql://db"], "-h, -S and --url"),
])  # fmt: skip
def test_contradictions_connect_nowhere(dbaudit, arguments, said):
    (dbaudit.home / "dbaudit.toml").write_text('[[server]]\nname = "a"\nurl = "mysql://aud@127.0.0.1:1"\n')
    run = dbaudit("audit", *arguments)
    assert run.code == 2 and said in run.err, run


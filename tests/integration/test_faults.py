"""Servers that are absent, mute, dying or full: a clear word within the timeout, and everybody else still judged."""

import contextlib
import re
import socket
import subprocess
import time

import pymysql
import pytest

import faults
from reports import expected_exit, results, rules_of, sources, statuses, unknowns_match_sources
from stalls import method_of
from test_harmless import POOLS, grants_of
from test_privileges import grant_wanted, has_performance_schema

FAULTS = {
    "refuses": (faults.Refuses, r"Is the server running"),
    "silent": (faults.Silent, r"No answer in|did not answer in time"),
    "hangs after its greeting": (faults.HangsAfterGreeting, r"No answer in|did not answer in time|--timeout"),
    "stalls in the TLS handshake": (faults.StallsInTls, r"No answer in|did not answer in time|--timeout"),
    "hangs on a query": (faults.HangsOnQuery, r"No answer in|connection broke|--timeout"),
    "dies in a result": (faults.DiesInResult, r"connection broke"),
    "drips a greeting": (faults.Drips, r"--timeout|did not answer in time|No answer"),
    "drips a result": (lambda: faults.Drips(in_result=True), r"--timeout|connection broke|No answer"),
    "has no connection left": (faults.TooManyConnections, r"All connections are used up"),
    "wants the password in the clear": (faults.RogueAuth, r"password in the clear"),
}


# --- one server


COMMANDS = {"audit": ["audit"], "json": ["audit", "--format", "json"], "snapshot": ["snapshot", "-o", "s.db"], "query": ["query", "SELECT 1"], "grants": ["grants"]}
CASES = [(name, "json") for name in FAULTS] + [(name, command) for name in ("refuses", "drips a result") for command in COMMANDS if command != "json"]


@pytest.mark.parametrize("name, command", CASES)
def test_fault_is_told_within_the_timeout(dbaudit, name, command):
    fault, said = FAULTS[name]
    command = COMMANDS[command]
    with fault() as there:
        run = dbaudit(*command, "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--timeout", "1s")
    assert run.code == 3, run
    assert run.waited_s < 3, run  # connecting alone may take 5 s by default
    text = re.sub(r"\s+", " ", run.out + run.err)
    assert re.search(said, text), run
    assert f"127.0.0.1:{there.port}" in text
    if "json" in command:
        server = run.json()["servers"][0]
        assert server["reachable"] is False and server["error"]
        assert {result["outcome"] for result in run.json()["results"]} == {"unknown"}


def test_a_full_server_is_not_knocked_at_again_and_again(dbaudit):
    """Each refused login counts on the server, and CAP003 reports the count."""
    knocks = []

    class Full(faults.TooManyConnections):
        def talk(self, connection):
            knocks.append(time.monotonic())
            super().talk(connection)

    with Full() as there:
        run = dbaudit("locks", "-h", "127.0.0.1", "-P", there.port, "-u", "aud")
    assert run.code == 3 and "All connections are used up" in run.err, run
    assert 3 <= len(knocks) <= 5 and knocks[-1] - knocks[0] > 1, knocks


@pytest.mark.variants("mysql-9.7", "mariadb-10.11")
def test_a_server_that_is_full_for_a_moment_is_read(server, dbaudit):
    server.account("aud", grants_of(server))
    with faults.FullAtFirst(server.port, refusals=2) as there:
        run = dbaudit("query", "--format", "json", "SELECT door FROM server", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED")
    assert run.code == 0 and run.json() == [{"door": "normal port"}], run
    assert there.connections == 3


def test_a_tls_handshake_that_stalls_is_told_within_the_timeout(dbaudit):
    with faults.StallsInTls() as there:
        run = dbaudit("locks", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "REQUIRED", "--timeout", "1s")
    assert run.code == 3 and run.waited_s < 3, run
    assert re.search(r"No answer in (1 s|\d+ ms)|did not answer in time", re.sub(r"\s+", " ", run.err)), run
    assert len(there.asked) == 32, there.asked  # a login is longer


HERE_FOR_IPV6 = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  int (*real)(const char*, const char*, const struct addrinfo*, struct addrinfo**) = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node && strcmp(node, "2001:db8::5") == 0 ? "127.0.0.1" : node, service, hints, found);
}
"""


@pytest.mark.parametrize("arguments", [["-h", "2001:db8::5", "-P", "{}"], ["--url", "mysql://aud@[2001:db8::5]:{}"]], ids=["host", "url"])
def test_ipv6_address_is_connected_to(dbaudit, instead, arguments):
    """Not every machine has IPv6: whoever asks for exactly this address is led here."""
    with faults.RogueAuth() as there:
        where = [argument.format(there.port) for argument in arguments]
        run = dbaudit("audit", *where, "-u", "aud", "--timeout", "5s", env=instead(HERE_FOR_IPV6))
        text = re.sub(r"\s+", " ", run.out)
        assert run.code == 3 and there.connections >= 1 and "password in the clear" in text, run
        assert f"[2001:db8::5]:{there.port}" in text


def test_dead_name_is_told(dbaudit):
    run = dbaudit("audit", "-h", "no-such-host.invalid", "-u", "aud")
    assert run.code == 3 and "cannot look up host no-such-host.invalid" in re.sub(r"\s+", " ", run.out + run.err), run


@pytest.fixture
def instead(tmp_path):
    """instead(code): the environment of a dbaudit in whose process this C function is the system's."""

    def environment(code):
        library = tmp_path / "instead.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", library], input=code.encode(), check=True)
        return {"LD_PRELOAD": library}

    return environment


def test_name_server_that_never_answers_is_told_within_the_timeout(dbaudit, instead):
    hangs = instead("#include <unistd.h>\nint getaddrinfo(void) { for (;;) pause(); }\n")
    run = dbaudit("audit", "-h", "db.example", "-u", "aud", "--timeout", "1s", env=hangs)
    assert run.code == 3 and re.search(r"cannot look up host db.example: no answer in (1 s|\d+ ms)", re.sub(r"\s+", " ", run.out + run.err)), run
    assert run.waited_s < 3, run


def test_absent_socket_is_told(dbaudit, tmp_path):
    run = dbaudit("audit", "-S", tmp_path / "gone.sock", "-u", "aud")
    assert run.code == 3 and "gone.sock" in run.out


def test_a_tcp_port_of_another_protocol_is_told(dbaudit):
    class Web(faults.Fault):
        def talk(self, connection):
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Web() as there:
        run = dbaudit("audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--timeout", "1s")
    assert run.code == 3 and run.waited_s < 3


def test_rogue_server_gets_no_password(dbaudit):
    with faults.RogueAuth() as there:
        for mode in ("PREFERRED", "DISABLED", "REQUIRED"):
            run = dbaudit("audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", mode, password="s3cret")
            assert run.code == 3
        assert there.passwords == [] and there.connections >= 3


NOT_MADE = "int memfd_create(void) { errno = EMFILE; return -1; }"
# As when other connections have the last descriptors in that moment.
NOT_OPENED = """
#define OPENER(name) FILE *name(const char *path, const char *mode) { \\
  FILE *(*real)(const char *, const char *) = dlsym(RTLD_NEXT, #name); \\
  return strncmp(path, "/proc/self/fd/", 14) ? real(path, mode) : (errno = EMFILE, NULL); }
OPENER(fopen) OPENER(fopen64)
"""
HEADERS = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <errno.h>\n#include <stdio.h>\n#include <string.h>\n"


@pytest.mark.parametrize("code", [NOT_MADE, NOT_OPENED], ids=["not made", "not opened"])
def test_without_the_list_of_allowed_plugins_nobody_gets_the_password(dbaudit, instead, code):
    """The client library, which reads the list, would hand it over to whoever asks."""
    with faults.RogueAuth() as there:
        run = dbaudit("audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", password="s3cret", env=instead(HEADERS + code))
    assert run.code == 3 and there.passwords == [], (there.passwords, str(run))
    if code == NOT_MADE:
        assert there.connections == 0 and "without a file in memory" in re.sub(r"\s+", " ", run.out), run


PASSWORDS = {
    "quotes": "a\"b'c\"'",
    "comment": "pa#ss ;word = x",
    "backslashes": "\\n\\s\\\\",
    "spaces": "  two  ",
    "control characters": "a\tb\rc\nd\b",
    "letters of others": "пароль🙂",
    "all of ASCII": "".join(map(chr, range(32, 127))),
    "long": "x" * 250,
    "ends in a backslash": "x\\",
    "a quote": '"',
}


@pytest.mark.variants("mysql-9.7", "mariadb-10.11")
@pytest.mark.parametrize("name", PASSWORDS)
def test_any_password_reaches_the_server(server, dbaudit, name):
    """It goes through an option file, in memory."""
    server.adopt_account("aud")
    server.admin("CREATE USER 'aud'@'%%' IDENTIFIED BY %s", (PASSWORDS[name],))
    run = dbaudit("query", "SELECT account FROM server", server=server, password=PASSWORDS[name])
    assert run.code == 0 and "aud@%" in run.out, run


def test_a_password_that_is_too_long_is_told(dbaudit):
    with faults.RogueAuth() as there:
        run = dbaudit("audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", password="x" * 4100)
        assert run.code == 3 and "longer than the client library can read" in re.sub(r"\s+", " ", run.out) and there.connections == 0, run


def test_no_server_asks_questions_on_the_terminal(dbaudit):
    with faults.AsksQuestions() as there:
        run = dbaudit("audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--timeout", "5s", password="s3cret", input="Jane\n")
        assert run.code == 3 and there.connections >= 1 and there.answers == [], run
        assert there.QUESTION not in run.out + run.err and "(error 5010" in re.sub(r"\s+", " ", run.out), run


def test_no_server_gets_a_file(dbaudit):
    secret = dbaudit.home / "id_rsa"
    secret.write_text("PRIVATE KEY")
    with faults.WantsAFile(secret) as there:
        run = dbaudit("audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--timeout", "2s")
    assert run.code == 3, run
    assert b"PRIVATE" not in there.sent
    assert there.capabilities and not there.capabilities & there.LOCAL_FILES


def test_wrong_password_is_told_and_not_repeated(server, dbaudit):
    server.account("aud")
    run = dbaudit("audit", server=server, password="wr0ng-passw0rd")
    assert run.code == 3 and "Check user, password" in re.sub(r"\s+", " ", run.out), run
    assert "wr0ng" not in run.out + run.err


# --- several servers


def config_of(dbaudit, **urls):
    servers = "".join(f'[[server]]\nname = "{name}"\nurl = "mysql://aud@{where}"\n' for name, where in urls.items())
    (dbaudit.home / "dbaudit.toml").write_text(servers)


def test_other_servers_of_the_run_are_judged(server, dbaudit):
    server.account("aud", grants_of(server))
    with contextlib.ExitStack() as stack:
        there = {name.replace(" ", "_"): stack.enter_context(fault()) for name, (fault, _) in FAULTS.items()}
        urls = {name: f"127.0.0.1:{fault.port}" for name, fault in there.items()}
        config_of(dbaudit, **{"first": f"127.0.0.1:{server.port}"}, **urls, nameless="no-such-host.invalid", last=f"127.0.0.1:{server.port}")
        alone = dbaudit("audit", "--format", "json", "--server", "first")
        run = dbaudit("audit", "--format", "json", "--timeout", "12s")
    report = run.json()
    assert run.waited_s < 17
    assert run.code == 3, run.err
    reachable = {entry["name"]: entry["reachable"] for entry in report["servers"]}
    assert {name for name, yes in reachable.items() if yes} == {"first", "last"}
    assert len(reachable) == len(FAULTS) + 3
    alone_again = dbaudit("audit", "--format", "json", "--server", "first")
    outcomes = lambda report, name: [(r["rule"], r["subject"].replace(name, ""), r["outcome"]) for r in results(report, server=name)]
    # The server counts connections, so that a rule's least number of them may be reached between two audits.
    assert outcomes(report, "first") in (outcomes(alone.json(), "first"), outcomes(alone_again.json(), "first"))
    for name in set(reachable) - {"first", "last"}:
        assert {result["outcome"] for result in results(report, server=name)} == {"unknown"}


def test_a_finding_elsewhere_wins_over_incompleteness(server, dbaudit):
    server.account("aud", grants_of(server))
    with faults.Refuses() as there:
        config_of(dbaudit, real=f"127.0.0.1:{server.port}", gone=f"127.0.0.1:{there.port}")
        assert dbaudit("audit", "--only", "VAR001").code == 3
        run = dbaudit("audit", "--only", "VAR001", "--fail-on", "warning")
        assert run.code == 1 and "NOT REACHED" in run.out


def test_more_servers_than_threads(server, dbaudit):
    server.account("aud", grants_of(server))
    config_of(dbaudit, **{f"s{number:02}": f"127.0.0.1:{server.port}" for number in range(20)})
    report = dbaudit("audit", "--format", "json").json()
    assert [entry["name"] for entry in report["servers"]] == [f"s{number:02}" for number in range(20)]
    assert all(entry["reachable"] for entry in report["servers"])


# --- one statement that fails

# code -> SQLSTATE, message, and what the remedy says
ERRORS = {
    1142: ("42000", "SELECT command denied to user 'aud'@'localhost'", "GRANT "),
    1227: ("42000", "Access denied; you need (at least one of) the PROCESS privilege(s) for this operation", "GRANT "),
    1146: ("42S02", "Table 'x.y' doesn't exist", None),
    1193: ("HY000", "Unknown system variable 'x'", "report this as a defect"),
    1054: ("42S22", "Unknown column 'x' in 'field list'", "report this as a defect"),
    3024: ("HY000", "Query execution was interrupted, maximum statement execution time exceeded", "was given up"),
    1969: ("70100", "Query execution was interrupted (max_statement_time exceeded)", "was given up"),
    1205: ("HY000", "Lock wait timeout exceeded; try restarting transaction", "was given up"),
    3854: ("HY000", "Cannot convert string 'x' from utf8mb4 to utf8mb3", "try again when it has ended"),
}
# source -> what its statement contains, the codes, and servers that have it. No rule needs row_lock_waits. After 3854 the
# sessions are read in another way.
ASKED = {
    "global_variables": ("SHOW GLOBAL VARIABLES", [1193, 3024, 1969], ["mysql-9.7", "mariadb-10.11"]),
    "status": ("SHOW GLOBAL STATUS", [1054, 1205], ["mysql-9.7", "mariadb-10.11"]),
    "transactions": ("INNODB_TRX", ERRORS, ["mysql-9.7", "mariadb-10.11"]),
    "sessions": ("schema.PROCESSLIST", [code for code in ERRORS if code != 3854], ["mysql-9.7", "mariadb-10.11"]),
    "metadata_locks": ("schema.METADATA_LOCK", [1146, 1205], ["mysql-9.7", "mariadb-10.11-plugin", "mariadb-11.8-ps"]),
    "row_lock_waits": ("LOCK_WAITS", [1142, 1227, 3024, 1969], ["mysql-9.7", "mariadb-10.11"]),
    "prepared_xa": ("XA RECOVER", [1054, 1205], ["mysql-9.7", "mariadb-10.11"]),
    "accounts": ("mysql.user", [1142, 1146, 1205, 3854], ["mysql-9.7", "mariadb-10.11"]),
}
FAILURES = [
    pytest.param(source, pattern, code, marks=pytest.mark.variants(*variants), id=f"{source}-{code}")
    for source, (pattern, codes, variants) in ASKED.items()
    for code in codes
]


@pytest.mark.parametrize("source, pattern, code", FAILURES)
def test_statement_that_fails_takes_its_source_and_no_other(server, dbaudit, rules_folder, source, pattern, code):
    server.account("aud", grants_of(server))
    (dbaudit.home / "pools.toml").write_text(POOLS)  # CAP002 is the only one that needs accounts
    audit = lambda port: dbaudit("audit", "--format", "json", "--pools", "pools.toml", "-h", "127.0.0.1", "-P", port, "-u", "aud", "--ssl-mode", "DISABLED")
    state, message, remedy = ERRORS[code]
    server.wait_for(server.lists_everybody, "nobody is leaving")
    with faults.RefusesQuery(server.port, pattern, code, state, message) as there:
        run = audit(there.port)
    report, whole = run.json(), audit(server.port).json()
    seen, before = sources(report), sources(whole)

    entry = seen.pop(source)
    assert before.pop(source)["status"] == "read"
    # events_transactions_current still shows who is in one.
    assert entry["status"] == ("partial" if source == "transactions" and has_performance_schema(server) else "unavailable"), entry
    assert f"{message} (error {code}, SQLSTATE {state})" in entry["reason"], entry
    if remedy == "GRANT ":
        assert entry["remedy"] == grant_wanted(server)[source]
    elif remedy:
        assert remedy in entry["remedy"], entry
    else:
        assert entry["remedy"] is None and "does not have it" in entry["reason"], entry
    if source == "status" and has_performance_schema(server):  # which tells there how many locks it had no room for
        assert before.pop("metadata_locks")["status"] == "read" and seen.pop("metadata_locks")["status"] == "partial"
    said = lambda entries: {name: (one["status"], one["reason"], one["remedy"]) for name, one in entries.items()}
    assert said(seen) == said(before)

    rules = rules_of(rules_folder)
    unknown = unknowns_match_sources(report, rules)
    needing = {rule for rule in rules if source in rules[rule]["needs"]}
    for rule in needing - unknown:
        assert {one["outcome"] for one in results(report, rule)} == {one["outcome"] for one in results(whole, rule)} == {"not_applicable"}, rule
    curable = {one["curable"] for one in results(report, outcome="unknown") if f"(error {code}," in one["reason"]}
    assert curable == ({code != 1146} if needing else set())
    assert run.code == expected_exit(report), run


@pytest.mark.variants("mysql-9.7", "mariadb-10.11")
@pytest.mark.parametrize("pattern", ["INNODB_TRX", "LOCK_WAITS", "INNODB_TRX|LOCK_WAITS"])
def test_row_lock_wait_is_not_denied_when_it_cannot_be_read(server, dbaudit, pattern):
    """A process list says nothing of row locks: that it is complete is not enough."""
    server.account("aud", grants_of(server))
    server.admin("CREATE DATABASE shop")
    server.admin("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
    server.admin("INSERT INTO shop.t VALUES (1)")
    server.connect(autocommit=False).cursor().execute("SELECT * FROM shop.t FOR UPDATE")
    waiter = server.background("SELECT * FROM shop.t FOR UPDATE")
    server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'", "it waits")
    code = 3024 if server.flavor == "mysql" else 1969
    state, message, _ = ERRORS[code]
    with faults.RefusesQuery(server.port, pattern, code, state, message) as there:
        where = ["-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED"]
        locks = dbaudit("locks", "--min-wait", "0s", *where)
        audit = dbaudit("audit", "--format", "json", "--only", "LCK001", "--param", "max_wait=0s", *where)
    assert not waiter.done()
    assert not results(audit.json(), outcome="pass") and audit.code != 0, audit
    assert "Nobody waits" not in locks.out and locks.code != 0, locks


@pytest.mark.variants("mysql-9.7", "mariadb-10.11")
def test_locked_accounts_are_not_no_accounts(server, dbaudit):
    server.account("aud", grants_of(server))
    accounts = lambda: sources(dbaudit("audit", "--format", "json", server=server).json())["accounts"]
    entry = accounts()
    assert entry["status"] == "read" and entry["rows"] > 0, entry
    server.connect().cursor().execute("LOCK TABLES mysql.user WRITE" if server.flavor == "mysql" else "LOCK TABLES mysql.global_priv WRITE")
    entry = accounts()
    assert (entry["status"], entry["rows"]) == ("unavailable", None) and "(error 1205" in entry["reason"], entry
    assert "was given up" in entry["remedy"]


@pytest.mark.variants("mysql-9.7", "mariadb-10.11", "mariadb-10.11-plugin")
def test_process_list_that_is_short_for_no_known_reason(server, dbaudit, rules_folder):
    server.account("aud", grants_of(server))
    with faults.CountsTooMany(server.port) as there:
        run, locks, text = (
            dbaudit(*command, "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED")
            for command in (["audit", "--format", "json"], ["locks", "--format", "json"], ["locks"])
        )
    report = run.json()
    entry = sources(report)["sessions"]
    assert entry["status"] == "partial" and re.search(r"shows \d+ of 9+ connections, for no reason that is known", entry["reason"]), entry
    assert entry["remedy"] == "Run dbaudit again"
    assert "LCK001" in unknowns_match_sources(report, rules_of(rules_folder))
    assert run.code == expected_exit(report), run
    assert locks.code == text.code == 3, locks
    assert locks.json()["complete"] is False and locks.json()["waits"] == []
    assert "Nobody waits" not in text.out and "the process list is not complete" in re.sub(r"\s+", " ", text.out), text


# --- in the middle of a real server's answers


@pytest.mark.parametrize("hangs", [False, True], ids=["dies", "hangs"])
@pytest.mark.parametrize("pattern", ["SHOW GLOBAL STATUS", "INNODB_TRX"])
def test_what_came_before_the_break_is_judged(server, dbaudit, pattern, hangs):
    server.account("aud", grants_of(server))
    with faults.Proxy(server.port, pattern, after=100, hangs=hangs) as there:
        run = dbaudit("audit", "--format", "json", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED", "--timeout", "8s")
    assert run.waited_s < 12
    report = run.json()
    assert run.code == 3, run
    seen = statuses(report)
    # Where nothing shows metadata locks, the status is counted while the list of sessions is stored.
    came_before = pattern == "SHOW GLOBAL STATUS" and method_of(server) == "nothing"
    assert seen["global_variables"] == "read" and seen["status"] == ("read" if pattern == "INNODB_TRX" and method_of(server) != "nothing" else "unavailable")
    assert seen["transactions"] == seen["sessions"] == ("read" if came_before else "unavailable")
    assert seen["accounts"] == "unavailable"
    assert all(entry["reason"] for entry in sources(report).values() if entry["status"] != "read")
    assert results(report, "VAR001", "fail") and bool(results(report, "TRX001", "unknown")) != came_before and bool(results(report, "TRX001", "pass")) == came_before


def test_what_came_before_a_late_silence_is_judged(server, dbaudit):
    """The server falls silent two seconds after the connection was made: less than --timeout is left for an answer."""
    server.account("aud", grants_of(server))
    with faults.Proxy(server.port, "INNODB_TRX", after=0, hangs=True) as there:
        run = dbaudit("audit", "--format", "json", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED", "--interval", "2s", "--timeout", "9s")
    assert run.waited_s < 13
    report = run.json()
    assert run.code == 3 and report["servers"][0]["reachable"] is True, run
    seen = sources(report)
    assert seen["global_variables"]["status"] == seen["status"]["status"] == "read"
    assert "no answer when the time for this run was over" in seen["transactions"]["reason"]
    assert {seen[name]["reason"] for name in ("sessions", "accounts")} == {"the time for this run (--timeout) was over"}
    assert results(report, "VAR001", "fail") and results(report, "TRX001", "unknown")


def test_a_cut_result_is_no_short_result(server, dbaudit):
    """Rows that arrived before the connection broke are not taken for all rows."""
    server.account("aud", grants_of(server))
    with faults.Proxy(server.port, "SHOW GLOBAL VARIABLES", after=8000) as there:
        run = dbaudit("audit", "--format", "json", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--ssl-mode", "DISABLED")
    assert statuses(run.json())["global_variables"] == "unavailable"
    # The version was read before; of whatever else was asked nothing is known.
    assert {one["rule"] for one in results(run.json(), outcome="pass")} == {"VER001"}


def test_killed_while_reading(server, dbaudit):
    server.account("aud", grants_of(server))
    argv = dbaudit.argv("audit", "--format", "json", "--interval", "1500ms", server=server)
    with subprocess.Popen(argv, env=dbaudit.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        server.wait_for("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'aud' AND COMMAND = 'Sleep'", "it is between two samples")
        server.admin("KILL %s", server.admin("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'aud'")[0])
        out, err = running.communicate(timeout=20)
    assert running.returncode == 3, out + err
    assert '"status": "unavailable"' in out


# --- max_connections used up


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def full_server(start_server, request):
    """A server on which nobody gets a connection, and its spare port."""

    def start(kind):
        spare = free_port()
        extra = ["--admin-address=127.0.0.1", f"--admin-port={spare}"] if kind.startswith("mysql") else [f"--extra-port={spare}", "--extra-max-connections=2"]
        server = start_server(kind, "--max-connections=12", *extra)
        server.account("app")
        server.account("aud", grants_of(server))
        with pytest.raises(pymysql.MySQLError, match="1040|Too many connections"):
            while True:
                server.connect("app", "pw")
        return server, spare

    return start


KINDS = ["mysql-9.7", "mariadb-10.11", "mariadb-11.8"]
SLOT = {"mysql": "SERVICE_CONNECTION_ADMIN ON *.*", "mariadb": "CONNECTION ADMIN ON *.*"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_doors_of_a_full_server(kind, full_server, dbaudit):
    server, spare = full_server(kind)

    run = dbaudit("audit", "--format", "json", server=server)
    entry = run.json()["servers"][0]
    assert run.code == 3 and entry["reachable"] is False and "connections" in entry["error"]
    assert "--spare-port" in entry["error"] and "CONNECTION_ADMIN" in entry["error"]
    assert run.waited_s < 7

    if server.flavor == "mariadb":  # its extra port is anybody's
        report = dbaudit("audit", "--format", "json", "--spare-port", spare, server=server).json()
        assert report["servers"][0]["door"] == f"spare port {spare}"
    else:
        run = dbaudit("audit", "--format", "json", "--spare-port", spare, server=server)
        assert run.code == 3 and f"spare port {spare} did not help" in run.json()["servers"][0]["error"]

    server.admin(f"GRANT {SLOT[server.flavor]} TO 'aud'@'%'")
    run = dbaudit("audit", "--format", "json", "--spare-port", spare, server=server)
    assert run.json()["servers"][0]["door"] == "reserved slot", run
    text = dbaudit("audit", server=server).out
    assert "(through the reserved slot)" in text

    def takes_it():
        try:
            return server.connect("aud", "pw")
        except pymysql.MySQLError as error:
            if error.args[0] != 1040:
                raise

    server.wait_for(takes_it, "somebody else sits in it")  # dbaudit may not have left it yet
    report = dbaudit("audit", "--format", "json", "--spare-port", spare, server=server).json()
    assert report["servers"][0]["door"] == f"spare port {spare}", report["servers"]

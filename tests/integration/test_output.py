"""What goes where: pipes, terminals, colours, time limits, exit codes."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

import faults
from reports import expected_exit
from test_harmless import grants_of

ESCAPE = "\x1b["


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


def on_terminal(dbaudit, *args, server=None, env=None, columns=80, timeout=30):
    """(exit code, what the terminal got) with stdin, stdout and stderr on a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(dbaudit.argv(*args, server=server), env=dbaudit.environment(extra=env), cwd=dbaudit.home, stdin=follower, stdout=follower, stderr=follower, start_new_session=True) as running:
        os.close(follower)
        got, end = b"", time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                if not (more := os.read(leader, 65536)):
                    break
                got += more
            except OSError:  # the other end has closed
                break
        code = running.wait(timeout=5)
    os.close(leader)
    return code, got.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


# --- pipes


@pytest.mark.parametrize("form", ["text", "json"])
def test_closed_pipe_changes_no_exit_code(server, dbaudit, aud, form):
    whole = dbaudit("audit", "-v", "--format", form, server=server)
    reader, writer = os.pipe()
    os.close(reader)
    argv = dbaudit.argv("audit", "-v", "--format", form, server=server)
    done = subprocess.run(argv, env=dbaudit.environment(), stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (whole.code, whole.err.encode())


def test_reader_that_stops_early_is_no_error(server, dbaudit, aud):
    argv = dbaudit.argv("audit", "-v", server=server)
    with subprocess.Popen(argv, env=dbaudit.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode in (0, 1, 3)


def test_findings_to_stdout_and_everything_else_to_stderr(server, dbaudit, aud):
    run = dbaudit("audit", server=server)
    assert "VAR001" in run.out and run.err == ""
    with faults.Refuses() as there:
        run = dbaudit("snapshot", "-o", "s.db", "-h", "127.0.0.1", "-P", there.port, "-u", "aud")
    assert run.out == "" and "cannot connect" in run.err


def test_full_disk_is_not_silent(server, dbaudit, aud):
    with open("/dev/full", "wb") as full:
        argv = dbaudit.argv("audit", server=server)
        done = subprocess.run(argv, env=dbaudit.environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 70 and b"No space left" in done.stderr, done


# --- colours and width


def test_colour_only_on_a_terminal(server, dbaudit, aud):
    assert ESCAPE not in dbaudit("audit", server=server).out
    assert ESCAPE in on_terminal(dbaudit, "audit", server=server)[1]


def test_no_color_and_color_are_honoured(server, dbaudit, aud):
    assert ESCAPE not in on_terminal(dbaudit, "audit", server=server, env={"NO_COLOR": "1"})[1]
    assert ESCAPE in on_terminal(dbaudit, "audit", server=server, env={"NO_COLOR": ""})[1]
    assert ESCAPE not in on_terminal(dbaudit, "audit", "--color", "never", server=server)[1]
    assert ESCAPE in dbaudit("audit", "--color", "always", server=server).out
    assert ESCAPE in dbaudit("audit", "--color", "always", server=server, env={"NO_COLOR": "1"}).out
    assert ESCAPE not in dbaudit("audit", "--color", "always", "--format", "json", server=server).out


@pytest.mark.parametrize("columns", [80, 100])
def test_text_fits_the_terminal(server, dbaudit, aud, columns):
    _, text = on_terminal(dbaudit, "audit", "-v", "--color", "never", server=server, columns=columns)
    words = [line for line in text.splitlines() if " " in line.strip()]
    assert max(map(len, words)) <= columns, max(words, key=len)


def test_the_last_lines_say_how_much_was_judged(server, dbaudit, aud):
    judged, rest = dbaudit("audit", server=server).out.splitlines()[-2:]
    assert re.fullmatch(r"1 of 1 server read; \d+ judged: \d+ errors?, \d+ warnings?, \d+ info, \d+ passed", judged), judged
    assert re.fullmatch(r"\d+ unknown, \d+ not applicable", rest), rest


def test_the_summary_counts_the_results(server, dbaudit, aud):
    run = dbaudit("audit", "--format", "json", server=server)
    report = run.json()
    count = lambda outcome: sum(result["outcome"] == outcome for result in report["results"])
    summary = report["summary"]
    assert summary["pass"] == count("pass") and summary["unknown"] == count("unknown") and summary["not_applicable"] == count("not_applicable")
    assert sum(summary["fail"].values()) == count("fail")
    assert run.code == expected_exit(report)
    fingerprints = [result["fingerprint"] for result in report["results"]]
    assert len(set(fingerprints)) == len(fingerprints)


# --- time


def test_slow_work_shows_progress_on_a_terminal_only(dbaudit):
    with faults.Silent() as there:
        arguments = ["audit", "-h", "127.0.0.1", "-P", there.port, "-u", "aud", "--timeout", "2s"]
        code, text = on_terminal(dbaudit, *arguments)
        assert code == 3 and "reading: 0 of 1 servers done" in text
        run = dbaudit(*arguments)
        assert "reading:" not in run.out + run.err


def test_timeout_bounds_many_mute_servers_at_once(dbaudit):
    with faults.Silent() as there:
        (dbaudit.home / "dbaudit.toml").write_text("".join(f'[[server]]\nname = "s{n}"\nurl = "mysql://aud@127.0.0.1:{there.port}"\n' for n in range(60)))
        run = dbaudit("audit", "--format", "json", "--timeout", "1s")
    assert run.waited_s < 6, run.wall_s
    assert run.code == 3 and len(run.json()["servers"]) == 60
    assert all(entry["error"] for entry in run.json()["servers"])


def test_interval_gives_rates(server, dbaudit, aud):
    rows = dbaudit("query", "--format", "json", "SELECT count(*) AS n FROM global_status_rate", server=server).json()
    assert rows == [{"n": 0}]
    assert dbaudit("snapshot", "--interval", "1s", "-o", "s.db", server=server).code in (0, 3)
    row = dbaudit("query", "--format", "json", "--from", "s.db", "SELECT questions, uptime FROM global_status_rate").json()[0]
    assert row["questions"] > 0 and row["uptime"] >= 0


# --- the password prompt


def prompted(dbaudit, *answers, option="-p", question="Password: "):
    """(exit code, what the terminal got, stderr, whether it echoes afterwards): a terminal that is none of 0, 1, 2."""
    argv = dbaudit.argv("query", "SELECT 1", option, "-h", "127.0.0.1", "-P", "1", "-u", "aud", "--timeout", "2s")
    read_end, write_end = os.pipe()
    child, leader = pty.fork()
    if child == 0:
        os.dup2(0, 9)  # somebody must hold the terminal open until dbaudit opens it itself
        nothing = os.open("/dev/null", os.O_RDWR)
        for number, target in ((0, nothing), (1, nothing), (2, write_end)):
            os.dup2(target, number)
        os.chdir(dbaudit.home)
        os.execve(argv[0], argv, dbaudit.environment(password=None))
    os.close(write_end)
    got = b""
    while question.encode() not in got:
        got += os.read(leader, 1000)
    assert not termios.tcgetattr(leader)[3] & termios.ECHO
    for answer in answers:
        os.write(leader, answer)
    end = time.monotonic() + 20
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
        time.sleep(0.02)
    echoes = bool(termios.tcgetattr(leader)[3] & termios.ECHO)
    with open(read_end, "rb") as said:
        errors = said.read().decode()
    got += os.read(leader, 1000)
    os.close(leader)
    return os.waitstatus_to_exitcode(done[1]), got.decode(), errors, echoes


def test_the_prompt_is_silent_with_everything_redirected(dbaudit):
    code, text, errors, echoes = prompted(dbaudit, b"hunter2\n")
    assert code == 3 and "connect" in errors and "hunter2" not in text + errors and echoes


def test_a_bare_password_in_an_option_file_prompts(dbaudit):
    (dbaudit.home / "my.cnf").write_text("[client]\npassword\n")
    code, text, errors, echoes = prompted(dbaudit, b"hunter2\n", option="--defaults-file=my.cnf", question="Password for 127.0.0.1:1: ")
    assert code == 3 and "connect" in errors and "hunter2" not in text + errors and echoes


def test_an_interrupted_prompt_leaves_an_echoing_terminal(dbaudit):
    code, text, errors, echoes = prompted(dbaudit, b"hunt", b"\x03")
    assert code == -signal.SIGINT and "hunt" not in text and echoes


def test_no_password_at_the_prompt_is_told(dbaudit):
    code, _, errors, echoes = prompted(dbaudit, b"\x04")
    assert code == 2 and "no password was given" in errors and echoes


# --- programs' manners


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["audit", "--help"], ["rules", "list"], ["rules", "show", "VAR001"], ["schema"], ["pools", "list"], ["grants", "--flavor", "mysql"]], ids=" ".join)
def test_harmless_questions_are_answered(dbaudit, arguments):
    run = dbaudit(*arguments)
    assert run.code == 0 and run.out and run.err == ""


EVERY_COMMAND = {
    "locks": [], "audit": [], "snapshot": ["-o", "s.db"], "query": ["SELECT 1"], "schema": None, "rules list": None, "rules show": ["VAR001"],
    "rules check": None, "rules test": None, "pools list": None, "pools show": ["hikaricp"], "pools explain": ["p", "--pools", "p.toml"],
    "grants": [],
}  # fmt: skip


@pytest.mark.parametrize("words", [[], ["rules"], ["pools"]], ids=str)
def test_groups_of_commands_answer_too_and_forget_nothing(dbaudit, words):
    assert dbaudit(*words, "--version").out == dbaudit("--version").out
    assert dbaudit(*words, "--help").code == 0
    assert dbaudit(*words, "--config", "other.toml", "list").code == 2  # it would be without effect on what follows


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_every_command_takes_what_is_taken_everywhere(dbaudit, command):
    words, rest = command.split(), EVERY_COMMAND[command]
    assert dbaudit(*words, "--version").out == dbaudit("--version").out
    told = dbaudit(*words, "--help")
    assert told.code == 0 and "--timeout" in told.out and "--config" in told.out and "--version" in told.out
    (dbaudit.home / "other.toml").write_text("[rules]\n")
    (dbaudit.home / "p.toml").write_text('[[pool]]\nname = "p"\nlibrary = "hikaricp"\n')
    server = [] if rest is None or words[0] in ("rules", "pools") else ["-h", "127.0.0.1", "-P", "1", "-u", "aud"]
    run = dbaudit(*words, *(rest or []), *server, "--config", "other.toml", "--timeout", "9s")
    assert run.code == (3 if server else 0), run


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["audit", "stray"], ["query"]], ids=" ".join)
def test_wrong_usage_is_exit_2(dbaudit, arguments):
    run = dbaudit(*arguments)
    assert run.code == 2 and run.out == "" and run.err

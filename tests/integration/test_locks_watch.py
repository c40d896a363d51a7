"""`dbaudit locks --watch` on a terminal and off it."""

import concurrent.futures
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pymysql
import pytest

import faults
from polling import wait_for
from stalls import idle_reader, stall_of
from test_harmless import grants_of, logged, queries

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
MINE = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'aud'"
QUIT = b"\x01"
SHOWN, HIDDEN = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


class Terminal:
    def __init__(self, dbaudit, *args, **options):
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.before = termios.tcgetattr(self.follower)
        self.got = ""
        self.running = subprocess.Popen(
            dbaudit.argv("locks", *args, **options), env=dbaudit.environment(), cwd=dbaudit.home, stdin=self.follower, stdout=self.follower,
            stderr=self.follower, preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
        )

    def read(self, seconds):
        if select.select([self.leader], [], [], seconds)[0]:
            self.got += os.read(self.leader, 65536).decode("utf-8", "backslashreplace")

    def until(self, pattern, timeout=20):
        """Reads on; what is looked for must be new."""
        begin, end = len(self.got), time.monotonic() + timeout
        while not re.search(pattern, self.got[begin:]):
            assert time.monotonic() < end and self.running.poll() is None, (pattern, self.got[begin:])
            self.read(0.1)

    def keys(self, keys):
        os.write(self.leader, keys)

    def ended(self, timeout=5):
        """The exit code; the terminal must be as it was."""
        end = time.monotonic() + timeout
        while self.running.poll() is None:
            assert time.monotonic() < end, self.got
            self.read(0.05)
        self.read(0.2)
        assert self.got.count(ENTER) == self.got.count(LEAVE) == 1, self.got
        assert self.got.rindex(LEAVE) > self.got.rindex("\x1b[H") and self.got.rindex(SHOWN) > self.got.rindex(HIDDEN)
        assert termios.tcgetattr(self.follower) == self.before
        return self.running.returncode

    def close(self):
        if self.running.poll() is None:
            self.running.kill()
        self.running.wait()
        os.close(self.leader)
        os.close(self.follower)


@pytest.fixture
def terminal(dbaudit):
    with contextlib.ExitStack() as stack:

        def start(*args, **options):
            one = Terminal(dbaudit, *args, **options)
            stack.callback(one.close)
            return one

        yield start


def stall(server):
    """One row, somebody who holds it, and somebody who waits. The connection of the holder."""
    for sql in ("CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB", "INSERT INTO shop.t VALUES (1, 1)"):
        server.admin(sql)
    holder = server.connect(autocommit=False)
    holder.cursor().execute("UPDATE shop.t SET v = 2")
    server.background("UPDATE shop.t SET v = 3")
    return holder


def kill_all_of(server):
    for (number,) in server.admin(MINE):
        server.admin(f"KILL {number}")


def stop_by_key(terminal):
    terminal.keys(b"q")


def stop_by_control_c(terminal):
    terminal.keys(b"\x03")


def stop_by_signal(terminal):
    terminal.running.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("stop", [stop_by_key, stop_by_control_c, stop_by_signal])
def test_leaves_the_terminal_as_it_was(server, terminal, aud, stop):
    one = terminal("--watch=0.5", server=server)
    one.until("Nobody waits")
    one.until("nothing has changed")
    one.keys(b"x\x1a")  # neither another key nor Ctrl-Z may leave a terminal without its screen
    one.until("nothing has changed")
    stop(one)
    assert one.ended() == 0


def test_says_what_changed_and_keeps_its_connection(server, terminal, aud):
    one = terminal("--watch=0.5", "--min-wait", "0s", server=server)
    one.until("Nobody waits")
    first = server.admin(MINE)
    holder = stall(server)
    one.until("new root: connection")
    assert "1 more wait" in one.got
    holder.rollback()
    one.until("gone: connection")
    assert len(first) == 1 and server.admin(MINE) == first
    one.keys(b"q")
    assert one.ended() == 0


def test_exit_code_is_that_of_the_last_look(server, terminal, aud):
    stall(server)
    one = terminal("--watch=0.5", "--min-wait", "0s", server=server)
    one.until("1 session waits")
    one.keys(b"q")
    assert one.ended() == 1


def test_a_failed_look_is_shown_and_tried_again(server, terminal, aud):
    one = terminal("--watch=0.5", server=server)
    one.until("Nobody waits")
    server.admin(f"ALTER USER '{aud}'@'%' ACCOUNT LOCK")
    kill_all_of(server)
    one.until("THIS LOOK FAILED")
    first = re.search(r"last look (\S+?),", one.got[one.got.rindex("Every"):])[1]
    one.until(f"as all since {first}")
    assert "seen before" in one.got
    server.admin(f"ALTER USER '{aud}'@'%' ACCOUNT UNLOCK")
    one.until("Since then")
    one.keys(b"q")
    assert one.ended() == 0


def test_a_killed_root_is_gone(server, terminal, aud):
    number = stall(server).thread_id()
    one = terminal("--watch=0.5", "--min-wait", "0s", server=server)
    one.until(f"connection {number}")
    server.admin(f"KILL {number}")
    one.until(f"gone: connection {number}")
    one.until("nothing has changed")  # a look later nothing of it is left
    assert f"connection {number}" not in one.got[one.got.rindex("nothing has changed"):]
    one.keys(b"q")
    assert one.ended() == 0


def test_sends_what_a_look_sends_over_one_connection(server, dbaudit, terminal, aud):
    once = queries(logged(server, dbaudit, "locks"))
    with server.general_log() as log:
        one = terminal("--watch=0.5", server=server)
        one.until("The first look")
        for _ in range(3):
            one.until("nothing has changed")
        one.keys(b"q")
        assert one.ended() == 0
        seen = wait_for(lambda: (s := list(log.statements(aud))) and s[-1].command == "Quit" and s, "the session's end is logged")
    assert [entry.command for entry in seen if entry.command != "Query"] == ["Connect", "Quit"]
    sent = queries(seen)
    looks = max(map(sent.count, sent))
    assert looks >= 4 and all(sent.count(sql) <= looks * once.count(sql) for sql in sent), set(sent) - set(once)


def test_between_looks_it_holds_nothing(server, terminal, aud):
    """No lock of a look outlives its statements: whoever alters a table while somebody watches does not wait for dbaudit."""
    with stall_of(server, idle_reader) as stall:
        one = terminal("--watch=10", server=server)
        one.until("The first look")
        asleep = f"SELECT ID FROM {stall.processes} WHERE USER = 'aud' AND COMMAND = 'Sleep'"
        server.wait_for(asleep, "the first look is over")
        ((number,),) = server.admin(asleep)
        held = {
            "performance_schema": f"SELECT COUNT(*) FROM performance_schema.metadata_locks l JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID WHERE t.PROCESSLIST_ID = {number}",
            "plugin": f"SELECT COUNT(*) FROM information_schema.METADATA_LOCK_INFO WHERE THREAD_ID = {number}",
        }
        if stall.method in held:
            assert server.admin(held[stall.method]) == ((0,),)
        assert server.admin(f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {number}") == ((0,),)
        assert server.admin(asleep) == ((number,),)  # it was between two looks all the while


def test_nobody_sees_it_wait(server, dbaudit, aud):
    with stall_of(server, idle_reader) as stall, concurrent.futures.ThreadPoolExecutor() as pool:
        looks = pool.submit(lambda: [dbaudit("locks", server=server).code for _ in range(10)])
        states = set()
        while not looks.done():
            states |= set(server.admin(f"SELECT STATE FROM {stall.processes} WHERE USER = 'aud'"))
        assert states, "aud was seen"
        assert set(looks.result()) <= {0, 1}  # 0 while the wait is younger than a second
        assert not [state for (state,) in states if state and (state.startswith("Waiting for") or state == "User lock")], states


def test_the_way_in_is_told_once(start_server, dbaudit):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = start_server("mariadb-10.11", f"--extra-port={port}", "--extra-max-connections=5")
    server.account("aud", grants_of(server))
    server.set_global(max_connections=10)
    with contextlib.suppress(pymysql.MySQLError):
        while True:
            server.connect()
    with subprocess.Popen(dbaudit.argv("locks", "--watch=0.5", "--spare-port", port, server=server), env=dbaudit.environment(), cwd=dbaudit.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        seen = ""
        while seen.count("nothing has changed") < 2:
            seen += (line := running.stdout.readline())
            assert line, seen
        running.terminate()
        assert running.stderr.read().count("connected through") == 1


def test_off_a_terminal_looks_follow_each_other(server, dbaudit, aud):
    with subprocess.Popen(dbaudit.argv("locks", "--watch=0.5", server=server), env=dbaudit.environment(), cwd=dbaudit.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running:
        seen = ""
        while seen.count("Nobody waits") < 2:
            seen += running.stdout.readline()
        running.stdout.close()  # nobody reads any more: no error, and no watch for ever
        assert running.wait(timeout=10) == 0
    assert "\x1b" not in seen and "nothing has changed" in seen


def test_a_look_that_hangs_holds_up_nobody(dbaudit):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        argv = dbaudit.argv("locks", "--watch", "-h", "127.0.0.1", "-P", str(silent.getsockname()[1]))
        with subprocess.Popen(argv, env=dbaudit.environment(), cwd=dbaudit.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            silent.accept()
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=2) == 3


def test_a_look_that_was_given_up_holds_up_nobody(server, terminal, aud):
    """Of a server that answers too late nothing more is asked, the session ends with its answer and not with the next
    look, and whoever has seen enough leaves at once."""
    with faults.AnswersLate(server.port, "PROCESSLIST") as late:
        one = terminal("--watch=60", "--timeout", "8s", "-h", "127.0.0.1", "-P", late.port, "-u", "aud", "--ssl-mode", "DISABLED")
        one.until("not complete")
        late.let_go.set()
        assert late.left.wait(10)
        one.keys(b"q")
        assert one.ended(timeout=2) == 3
    assert [payload[1:] for payload in late.afterwards if payload != QUIT] == []


def test_who_watches_a_server_that_fell_silent_can_leave(server, terminal, aud):
    with faults.AnswersLate(server.port, "INNODB_TRX") as late:
        one = terminal("--watch=60", "--timeout", "8s", "-h", "127.0.0.1", "-P", late.port, "-u", "aud", "--ssl-mode", "DISABLED")
        one.until("not complete")
        one.keys(b"q")
        assert one.ended(timeout=2) == 3
        late.let_go.set()


@pytest.mark.parametrize("wrong", [["--watch=0.4"], ["--watch=soon"], ["--watch=-1"], ["--watch", "--format", "json"]])
def test_what_cannot_be_watched(dbaudit, wrong):
    run = dbaudit("locks", *wrong, "-h", "127.0.0.1", "-P", "1")
    assert run.code == 2 and "--watch" in run.err

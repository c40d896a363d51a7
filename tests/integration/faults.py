"""Servers that misbehave. Each is a context manager; `port` is on 127.0.0.1.

  with faults.Silent() as fault:
      dbaudit("locks", "-h", "127.0.0.1", "-P", fault.port, "--timeout", "2s")
"""

import contextlib
import re
import socket
import threading

import wire

HOST = "127.0.0.1"


class Fault:
    """Accepts for as long as the block lasts; talk() is the misbehaviour, one thread per connection."""


    def __enter__(self):
        self.connections = 0
        self._open, self._over = [], threading.Event()
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):  # wakes up whoever waits on it
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _serve(self, connection):
        # The client leaving, or the block ending, ends the talk.
        with contextlib.suppress(OSError), connection:
            self.talk(connection)

    def talk(self, connection):
        raise NotImplementedError

    def hang(self, connection):
        """Says nothing until the client goes; what it sends is swallowed."""
        while connection.recv(65536):
            pass

    def drip(self, connection, number):
        """A packet of 64 KB, one byte at a time: hours, in which no single read ever times out."""
        connection.sendall(b"\xff\xff\0" + bytes([number]))
        while not self._over.wait(0.2):
            connection.sendall(b"x")

    def log_in(self, connection):
        connection.sendall(wire.greeting())
        number, login = wire.receive(connection)
        connection.sendall(wire.ok(number + 1))
        return login

    def queries(self, connection):
        """Each query that a client sends; what drivers say while connecting is answered here."""
        while True:
            _, payload = wire.receive(connection)
            if payload[0] == wire.QUIT:
                return
            sql = payload[1:].decode(errors="replace") if payload[0] == wire.QUERY else ""
            if "lower_case_table_names" in sql.lower() and sql.upper().startswith("SHOW"):
                start = wire.result_start(["Variable_name", "Value"])
                connection.sendall(start + wire.row(5, ["lower_case_table_names", "0"]) + wire.eof(6))
            elif sql.lstrip().upper().startswith(("SELECT", "SHOW")):
                yield sql
            else:
                connection.sendall(wire.ok(1))


class Refuses:
    """Nobody listens: the port is reserved, and closed."""

    def __enter__(self):
        self._reserved = socket.socket()
        self._reserved.bind((HOST, 0))
        self.port = self._reserved.getsockname()[1]
        return self

    def __exit__(self, *_):
        self._reserved.close()


class Silent(Fault):
    """Accepts and never speaks."""

    def talk(self, connection):
        self.hang(connection)


class HangsAfterGreeting(Fault):
    def talk(self, connection):
        connection.sendall(wire.greeting())
        self.hang(connection)


class StallsInTls(Fault):
    """Offers TLS, and says nothing more when the client begins it; `asked` is the client's wish for it."""

    def __init__(self):
        self.asked = b""

    def talk(self, connection):
        connection.sendall(wire.greeting(wire.CAPABILITIES | wire.SSL))
        _, self.asked = wire.receive(connection)
        self.hang(connection)


class HangsOnQuery(Fault):
    """Logs everybody in; the first SELECT or SHOW is never answered."""

    def talk(self, connection):
        self.log_in(connection)
        for _ in self.queries(connection):
            self.hang(connection)


class DiesInResult(Fault):
    """Closes in the middle of a result set, after some rows."""

    def talk(self, connection):
        self.log_in(connection)
        for _ in self.queries(connection):
            rows = b"".join(wire.row(5 + n, ["name", "value"]) for n in range(3))
            connection.sendall(wire.result_start(["a", "b"]) + rows)
            return


class Drips(Fault):
    """One byte per 200 ms for ever, in place of the greeting or (in_result) of the first answer."""

    def __init__(self, in_result=False):
        self.in_result = in_result

    def talk(self, connection):
        if self.in_result:
            self.log_in(connection)
            next(self.queries(connection))
        self.drip(connection, 1 if self.in_result else 0)


class TooManyConnections(Fault):
    def talk(self, connection):
        connection.sendall(wire.error(0, 1040, "Too many connections"))


class RogueAuth(Fault):
    """Asks for the password in the clear; `passwords` is what it was given."""

    def __init__(self):
        self.passwords = []

    def talk(self, connection):
        connection.sendall(wire.greeting())
        number, _ = wire.receive(connection)
        connection.sendall(wire.auth_switch(number + 1, "mysql_clear_password"))
        number, answer = wire.receive(connection)
        if given := answer.rstrip(b"\0"):
            self.passwords.append(given.decode(errors="replace"))
        connection.sendall(wire.error(number + 1, 1045, "Access denied", "28000"))


class AsksQuestions(Fault):
    """Has the password asked for by the plugin "dialog", which prints what the server says and reads the answer from
    the terminal; `answers` is what it was told."""

    QUESTION = "What is your mother's name?"

    def __init__(self):
        self.answers = []

    def talk(self, connection):
        connection.sendall(wire.greeting())
        number, _ = wire.receive(connection)
        # 2: the answer is shown while it is typed.
        connection.sendall(wire.packet(number + 1, b"\xfedialog\0\x02" + self.QUESTION.encode()))
        number, answer = wire.receive(connection)
        self.answers.append(answer.rstrip(b"\0").decode(errors="replace"))
        connection.sendall(wire.error(number + 1, 1045, "Access denied", "28000"))


class WantsAFile(Fault):
    """Answers the first query as if it were LOAD DATA LOCAL; `capabilities` is what the client said that it can do,
    `sent` what it sent."""

    LOCAL_FILES = 0x80

    def __init__(self, path):
        self.path, self.capabilities, self.sent = path, None, b""

    def talk(self, connection):
        login = self.log_in(connection)
        self.capabilities = int.from_bytes(login[:4], "little")
        for _ in self.queries(connection):
            connection.sendall(wire.packet(1, b"\xfb" + str(self.path).encode()))
            while more := connection.recv(65536):
                self.sent += more


class Between(Fault):
    """A real server: whatever a subclass does not change comes through. Needs a client without TLS."""

    def __init__(self, upstream_port):
        self.upstream_port = upstream_port

    def talk(self, connection):
        with socket.create_connection((HOST, self.upstream_port)) as upstream:
            self._open.append(upstream)
            self._threads.append(threading.Thread(target=self._answers, args=(connection, upstream), daemon=True))
            self._threads[-1].start()
            with contextlib.suppress(ConnectionError):
                while True:
                    number, payload = wire.receive(connection)
                    if answer := self.instead(number, payload):
                        connection.sendall(answer)
                    else:
                        upstream.sendall(wire.packet(number, payload))

    def _answers(self, connection, upstream):
        with contextlib.suppress(OSError):
            self.pass_on(connection, upstream)
            connection.shutdown(socket.SHUT_RDWR)

    def instead(self, number, payload):
        """What the client gets in place of the server's answer; nothing: ask the server."""

    def pass_on(self, connection, upstream):
        """The server's answers, to the client."""
        while data := upstream.recv(65536):
            connection.sendall(data)


class Proxy(Between):
    """A real server up to the answer to the first query that contains `pattern`: `after` bytes of it come through,
    then the connection is closed, or (hangs) silent."""

    def __init__(self, upstream_port, pattern, after=64, hangs=False):
        super().__init__(upstream_port)
        self.pattern, self.after, self.hangs = pattern, after, hangs
        self.hit = threading.Event()

    def instead(self, number, payload):
        if wire.asks(payload, self.pattern):
            self.hit.set()

    def pass_on(self, connection, upstream):
        while data := upstream.recv(65536):
            if not self.hit.is_set():
                connection.sendall(data)
                continue
            connection.sendall(data[: self.after])
            if self.hangs:
                self._over.wait()
            return


class AnswersLate(Between):
    """A real server whose answer to the first query that contains `pattern` comes byte by byte, so that no read times
    out, until `let_go` is set. `asked` is set by that query, `afterwards` has what was asked behind it, and `left` is
    set when the client has gone."""

    def __init__(self, upstream_port, pattern):
        super().__init__(upstream_port)
        self.pattern, self.afterwards = pattern, []
        self.asked, self.let_go, self.left = threading.Event(), threading.Event(), threading.Event()

    def talk(self, connection):
        super().talk(connection)
        if self.asked.is_set():
            self.left.set()

    def instead(self, number, payload):
        if self.asked.is_set():
            self.afterwards.append(payload)
        elif wire.asks(payload, self.pattern):
            self.asked.set()

    def pass_on(self, connection, upstream):
        while data := upstream.recv(65536):
            while self.asked.is_set() and data and not self.let_go.wait(0.3):
                connection.sendall(data[:1])
                data = data[1:]
            connection.sendall(data)


class RefusesQuery(Between):
    """A real server that answers each query that contains `pattern` with this error."""

    def __init__(self, upstream_port, pattern, code, state, message):
        super().__init__(upstream_port)
        self.pattern, self.error = pattern, (code, message, state)

    def instead(self, number, payload):
        return wire.error(number + 1, *self.error) if wire.asks(payload, self.pattern) else None


class CountsTooMany(Between):
    """A real server whose Threads_connected is as many nines as it has digits."""

    def pass_on(self, connection, upstream):
        while True:
            number, payload = wire.receive(upstream)
            payload = re.sub(rb"^(\x11Threads_connected.)(\d+)$", lambda found: found[1] + b"9" * len(found[2]), payload, flags=re.DOTALL)
            connection.sendall(wire.packet(number, payload))


class FullAtFirst(Between):
    """A real server that has no connection left for the first clients."""

    def __init__(self, upstream_port, refusals):
        super().__init__(upstream_port)
        self.refusals = refusals

    def talk(self, connection):
        if self.connections > self.refusals:
            return super().talk(connection)
        connection.sendall(wire.error(0, 1040, "Too many connections"))

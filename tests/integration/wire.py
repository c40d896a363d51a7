"""Just enough of the MySQL protocol to pretend to be a server."""

import re
import struct

SERVER_VERSION = "8.0.99-fake"
# LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_ATTRS.
# No SSL: the tests look at what is said. No DEPRECATE_EOF: one way to end a result.
CAPABILITIES = 0x1 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000 | 0x100000
AUTOCOMMIT = 0x2
UTF8MB4 = 45
SSL = 0x800
QUIT, QUERY = 1, 3


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number & 255]) + payload


def greeting(capabilities=CAPABILITIES):
    salt = bytes(range(1, 21))
    return packet(0, b"".join([
        b"\x0a", SERVER_VERSION.encode(), b"\0", struct.pack("<I", 7), salt[:8], b"\0",
        struct.pack("<HBHHB", capabilities & 0xFFFF, UTF8MB4, AUTOCOMMIT, capabilities >> 16, len(salt) + 1),
        bytes(10), salt[8:], b"\0", b"mysql_native_password\0",
    ]))  # fmt: skip


def ok(number):
    return packet(number, b"\0\0\0" + struct.pack("<HH", AUTOCOMMIT, 0))


def eof(number):
    return packet(number, b"\xfe" + struct.pack("<HH", 0, AUTOCOMMIT))


def error(number, code, message, state=""):
    """Before the greeting servers leave the SQLSTATE out: they don't know yet what the client understands."""
    return packet(number, b"\xff" + struct.pack("<H", code) + (f"#{state}" if state else "").encode() + message.encode())


def auth_switch(number, plugin):
    return packet(number, b"\xfe" + plugin.encode() + b"\0" + bytes(range(1, 21)) + b"\0")


def text(value):  # shorter than 251 bytes
    return bytes([len(value)]) + value.encode()


def result_start(names):
    """Column count, definitions and the EOF after them; rows go on with number len(names) + 3."""
    out = packet(1, bytes([len(names)]))
    for number, name in enumerate(names, start=2):
        fixed = struct.pack("<BHIBHBH", 12, UTF8MB4, 1024, 0xFD, 0, 0, 0)
        out += packet(number, text("def") + 3 * text("") + text(name) + text(name) + fixed)
    return out + eof(len(names) + 2)


def row(number, values):
    return packet(number, b"".join(map(text, values)))


def asks(payload, pattern):
    """Whether a client's packet is a query that contains the regular expression `pattern`, in any case."""
    return payload[:1] == bytes([QUERY]) and bool(re.search(pattern, payload[1:].decode(errors="replace"), re.IGNORECASE))


def receive(connection):
    """(number, payload) of the next packet; ConnectionError at the end."""
    header = receive_exactly(connection, 4)
    return header[3], receive_exactly(connection, int.from_bytes(header[:3], "little"))


def receive_exactly(connection, count):
    data = b""
    while len(data) < count:
        if not (more := connection.recv(count - len(data))):
            raise ConnectionError("the client has gone")
        data += more
    return data

"""What a server's general log says that one account did."""

import pathlib
import re
import typing

COMMANDS = (
    "Sleep|Quit|Init DB|Query|Field List|Create DB|Drop DB|Refresh|Shutdown|Statistics|Processlist|Connect|Kill|Debug|"
    "Ping|Delayed insert|Change user|Binlog Dump|Binlog Dump GTID|Table Dump|Connect Out|Register Slave|"
    "Register Replica|Prepare|Execute|Long Data|Close stmt|Reset stmt|Set option|Fetch|Daemon|Reset Connection|Reset connection"
)
# MySQL stamps every entry, MariaDB only the first one of a second. A line that doesn't look like this continues a statement.
ENTRY = re.compile(
    rf"^(?:\d{{4}}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|\d{{6}} [ \d]\d:\d\d:\d\d|\t)\t *(\d+) ({COMMANDS})\t?(.*)$"
)
LOGIN = re.compile(r"^(.*?)@\S* (?:as .*? ?)?on ")


class Statement(typing.NamedTuple):
    connection_id: int
    command: str
    argument: str


def parse(text):
    entries = []
    for line in text.split("\n"):
        if match := ENTRY.match(line):
            entries.append([int(match[1]), match[2], match[3]])
        elif entries:
            entries[-1][2] += "\n" + line
    return [Statement(number, command, argument.rstrip("\n")) for number, command, argument in entries]


class GeneralLog:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def entries(self):
        # Servers log the bytes that clients send, whatever their character set.
        return parse(self.path.read_text(encoding="utf-8", errors="backslashreplace"))

    def statements(self, user):
        """Everything done by connections that logged in as `user`, the login included."""
        theirs = {}
        for entry in self.entries():
            if entry.command == "Connect" and (login := LOGIN.match(entry.argument)):
                theirs[entry.connection_id] = login[1] == user
            if theirs.get(entry.connection_id):
                yield entry

"""Real servers: started by docker/server.sh, or given in DBAUDIT_TEST_SERVERS."""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import threading
import time
import urllib.parse

import pymysql
import pytest

from general_log import GeneralLog
from polling import wait_for

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = SOURCE / "docker" / "server.sh"

PERFORMANCE_SCHEMA = (
    "--performance-schema=ON",
    "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON",
    "--performance-schema-instrument=transaction=ON",
    "--performance-schema-consumer-events-statements-current=ON",
    "--performance-schema-consumer-events-statements-history=ON",
    "--performance-schema-consumer-events-transactions-current=ON",
)

# The same suite runs over each: what a server shows differs more by its settings than by its version.
VARIANTS = {
    "mysql-9.7": ("mysql-9.7",),
    "mariadb-10.11": ("mariadb-10.11",),
    "mariadb-10.11-plugin": ("mariadb-10.11", "--plugin-load-add=metadata_lock_info"),
    "mariadb-11.8-ps": ("mariadb-11.8", *PERFORMANCE_SCHEMA),
    "mariadb-11.8": ("mariadb-11.8",),
}

SYSTEM_SCHEMAS = {"mysql", "information_schema", "performance_schema", "sys"}


def external_servers():
    """name -> URL from DBAUDIT_TEST_SERVERS; empty: the built-in servers."""
    listed = filter(None, os.environ.get("DBAUDIT_TEST_SERVERS", "").split(","))
    return dict(item.strip().split("=", 1) for item in listed)


def variant_names():
    return list(external_servers() or VARIANTS)


class Server:
    """One running server. `name` is the variant; `version` a tuple such as (10, 11, 19)."""

    def __init__(self, name, port, socket=None, datadir=None, errlog=None, pid=None, options=(), root=("root", "")):
        self.name, self.port, self.socket, self.pid, self.options = name, port, socket, pid, options
        self.datadir = pathlib.Path(datadir) if datadir else None
        self.errlog = pathlib.Path(errlog) if errlog else None
        self.host = "127.0.0.1"
        self._root = root
        self._connections, self._accounts, self._globals = [], [], {}
        self._log_numbers = itertools.count(1)
        self._admin = self._open(*root)
        banner = self.admin("SELECT VERSION()")[0][0]
        self.version = tuple(map(int, re.match(r"(\d+)\.(\d+)\.(\d+)", banner).groups()))
        self.flavor = "mariadb" if "mariadb" in banner.lower() else "mysql"
        self.kind = f"{self.flavor}-{self.version[0]}.{self.version[1]}"
        self._schemas_before, self._prepared_before = self._existing_schemas(), self._prepared()

    def __repr__(self):
        return f"<{self.name} {'.'.join(map(str, self.version))} on port {self.port}>"

    @property
    def root(self):
        """(user, password) of the full account."""
        return self._root

    @property
    def own(self):
        """Started by this run: it may be restarted, and its files can be read."""
        return self.datadir is not None

    # --- connections

    def _open(self, user, password, attributes=None, **options):
        options = {"autocommit": True, "connect_timeout": 10, "read_timeout": 120, **options}
        connection = pymysql.connect(host=self.host, port=self.port, user=user, password=password, defer_connect=True, **options)
        connection._connect_attrs.update(attributes or {})
        connection.connect()
        return connection

    def connect(self, user=None, password="", **options):
        """A session (root's, unless said otherwise) that ends with the test. attributes={...}: connection attributes."""
        if user is None or (user, password) == ("root", ""):
            user, password = self._root
        connection = self._open(user, password, **options)
        self._connections.append(connection)
        return connection

    def admin(self, sql, arguments=None):
        with self._admin.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall()

    def background(self, sql, connection=None):
        """Runs `sql` in a thread, for statements that wait. A future with the rows; its `connection` is the session."""
        future = concurrent.futures.Future()
        future.connection = connection or self.connect()
        future.connection_id = future.connection.thread_id()

        def run():
            try:
                with future.connection.cursor() as cursor:
                    cursor.execute(sql)
                    rows = cursor.fetchall()
                future.set_result(rows)
            except Exception as error:  # the test decides what it means
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def wait_for(self, predicate, what, deadline=20.0):
        """predicate: a callable, or SQL whose first column must become true."""
        interval = 0.02
        if "INNODB_" in str(predicate).upper():
            # InnoDB renews INNODB_TRX and the like only when nobody has read them for 100 ms.
            interval = 0.12
            time.sleep(interval)
        if isinstance(predicate, str):
            sql = predicate
            predicate = lambda: (rows := self.admin(sql)) and rows[0][0]
        return wait_for(predicate, f"{self!r}: {what}", deadline, interval)

    # --- state that a test changes and reset() takes back

    def account(self, name, grants=(), password="pw"):
        """A fresh account. grants: "PROCESS ON *.*", or a list of such."""
        self.admin(f"DROP USER IF EXISTS '{name}'@'%'")
        self.admin(f"CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'")
        self._accounts.append(name)
        for grant in [grants] if isinstance(grants, str) else grants:
            self.admin(f"GRANT {grant} TO '{name}'@'%'")
        return name

    def set_global(self, **variables):
        for name, value in variables.items():
            self._globals.setdefault(name, self.admin(f"SELECT @@GLOBAL.{name}")[0][0])
            self.admin(f"SET GLOBAL {name} = %s", (value,))

    @contextlib.contextmanager
    def general_log(self):
        """Logs while the block runs; yields a GeneralLog, to be read inside or after the block."""
        if not self.own:
            pytest.skip(f"{self.name} IS NOT OURS: its general log's file can't be read")
        log = GeneralLog(self.datadir / f"general-{next(self._log_numbers)}.log")
        self.admin("SET GLOBAL log_output = 'FILE'")
        self.admin("SET GLOBAL general_log_file = %s", (log.path.name,))
        self.admin("SET GLOBAL general_log = ON")
        try:
            yield log
        finally:
            self.admin("SET GLOBAL general_log = OFF")

    def _existing_schemas(self):
        return {row[0] for row in self.admin("SHOW DATABASES")}

    def _prepared(self):
        return set(self.admin("XA RECOVER FORMAT='SQL'" if self.flavor == "mariadb" else "XA RECOVER CONVERT XID"))

    def adopt_account(self, name):
        """An account that the test makes by other means ends with the test as well."""
        self.admin(f"DROP USER IF EXISTS '{name}'@'%'")
        self._accounts.append(name)

    def reset(self):
        """Back to how it was before the test: no sessions, schemas, accounts or prepared transactions of its own."""
        killed = {connection.thread_id() for connection in self._connections}
        for number in killed:
            with contextlib.suppress(pymysql.MySQLError):  # it has gone already
                self.admin(f"KILL {number}")
        for connection in self._connections:
            with contextlib.suppress(Exception):
                connection._force_close()
        self.wait_for(lambda: self._end_prepared(killed), "prepared transactions are rolled back")
        for schema in self._existing_schemas() - self._schemas_before - SYSTEM_SCHEMAS:
            self.admin(f"DROP DATABASE IF EXISTS `{schema}`")
        for name in self._accounts:
            self.admin(f"DROP USER IF EXISTS '{name}'@'%'")
        for name, value in self._globals.items():
            self.admin(f"SET GLOBAL {name} = %s", (value,))
        self._connections, self._accounts, self._globals = [], [], {}

    def lists_everybody(self):
        """Whether all who are counted are in the process list: of those who have just left, some are counted still."""
        counted = int(self.admin("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0][1])
        return counted == sum(row[1] != "system user" and row[4] != "Daemon" for row in self.admin("SHOW PROCESSLIST"))

    def are_leaving(self, numbers):
        """Whether one of these sessions, which do nothing any more, still has a transaction. MariaDB forgets the name of a
        prepared one that is rolled back then, and nobody can end it any more."""
        time.sleep(0.12)  # InnoDB renews the list only when nobody has read it for 100 ms
        ids = ", ".join(map(str, numbers)) or "0"
        at_work = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO IS NOT NULL"
        return self.admin(f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id IN ({ids}) AND trx_mysql_thread_id NOT IN ({at_work})")[0][0]

    def _end_prepared(self, killed):
        """True when no prepared transaction is left. A killed session may hold on to its own for a moment."""
        left = self._prepared() - self._prepared_before
        if left and self.are_leaving(killed):
            return False
        for format_id, gtrid, bqual, data in left:
            xid, digits = data, data.removeprefix("0x")
            if self.flavor == "mysql":
                xid = f"X'{digits[:2 * gtrid]}',X'{digits[2 * gtrid:2 * (gtrid + bqual)]}',{format_id}"
            with contextlib.suppress(pymysql.MySQLError):
                self.admin(f"XA ROLLBACK {xid}")
        return self._prepared() <= self._prepared_before

    def close(self):
        with contextlib.suppress(Exception):
            self._admin.close()


class Launcher:
    """Starts servers and ends every one of them."""

    def __init__(self):
        self.folder = pathlib.Path(f"/var/tmp/dbaudit-test-{os.getpid()}")
        self._numbers = itertools.count(1)
        # A run that was killed could not clean up after itself.
        for folder in self.folder.parent.glob("dbaudit-test-*"):
            if folder.owner() == self._me() and not pathlib.Path("/proc", folder.name.rpartition("-")[2]).exists():
                self._stop("--all", folder)

    @staticmethod
    def _me():
        return pathlib.Path("/proc/self").owner()

    @staticmethod
    def _stop(what, folder):
        subprocess.run([SCRIPT, "stop", what, "--dir", folder], check=False)

    def start(self, name, kind, *options):
        instance = f"{name}.{next(self._numbers)}"
        command = [SCRIPT, "start", kind, "--name", instance, "--dir", self.folder, "--", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{shlex.join(map(str, command))}:\n{done.stderr}")
        told = dict(line.split("=", 1) for line in done.stdout.splitlines())
        server = Server(name, int(told["PORT"]), told["SOCKET"], told["DATADIR"], told["ERRLOG"], int(told["PID"]), options)
        server.instance = instance
        return server

    def stop(self, server):
        server.close()
        self._stop(server.instance, self.folder)

    def variant(self, name):
        if url := external_servers().get(name):
            parts = urllib.parse.urlsplit(url)
            root = (urllib.parse.unquote(parts.username or "root"), urllib.parse.unquote(parts.password or ""))
            return Server(name, parts.port or 3306, root=root)
        kind, *options = VARIANTS[name]
        return self.start(name, kind, *options)

    def close(self):
        if self.folder.exists():
            self._stop("--all", self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)

"""Stalls, rebuilt with real sessions, and the truth about each: who waits for whom, in which layer, because of what.

Each scenario is one function. The truth stands beside the act that makes it so, and is proved without dbaudit by
test_stalls.py: removing sessions must free exactly the waiters that the edges predict.
"""

import contextlib
import dataclasses
import time
import typing

import pymysql

METADATA, ROW, TABLE, GLOBAL_READ, BACKUP, USER, COMMIT = "metadata", "row", "table", "global_read", "backup", "user", "commit"
GRANTED, AHEAD = "granted", "queued_ahead"

# Process list states of those who wait.
FOR_TABLE = "Waiting for table metadata lock"
FOR_SCHEMA = "Waiting for schema metadata lock"
FOR_FLUSH = "Waiting for table flush"
FOR_BACKUP = "Waiting for backup lock"
FOR_LEVEL = "Waiting for table level lock"
IN_INNODB = "LOCK WAIT"  # no process list state says so: INNODB_TRX does

SLOW = "SLEEP(600)"  # ends when it is killed, and with the test


class Edge(typing.NamedTuple):
    """`waiter` waits for `blocker`, which holds what it wants, or (queued_ahead) waits for that itself and goes first."""

    waiter: str
    blocker: str
    how: str


@dataclasses.dataclass
class Wait:
    role: str
    future: typing.Any
    state: str
    kind: str
    schema: str | None
    name: str | None
    keeps: bool  # its locks outlive its statement: it stands in the way when it is no longer waiting
    killable: bool
    unknowable: bool  # the server does not tell which of several sessions holds the row lock
    statement: str
    afterwards: set  # in whose way these are as well: not yet, but once it no longer waits here


@dataclasses.dataclass
class Root:
    role: str
    state: str
    transaction_shows: bool  # in INNODB_TRX
    xid: tuple | None = None  # prepared, without a session
    owns_xid: tuple | None = None  # prepared, and its session is still there


class Stall:
    """One stall on one server, and what is true about it. Roles name sessions."""

    def __init__(self, server):
        self.server, self.mysql = server, server.flavor == "mysql"
        self.method = method_of(server)
        self.processes = "performance_schema.processlist" if self.mysql else "information_schema.PROCESSLIST"
        self.connections, self.ids, self.last_statement = {}, {}, {}
        self.waits, self.edges, self.roots = {}, {}, {}
        self.innocent, self.cycle = set(), set()
        self.users = {}  # of sessions that the server made itself
        self.named = {}  # waiter -> the object that its statement names, where nothing shows the one behind it
        # Edges whose blocker's lock MariaDB's performance_schema shows as a weaker type: as it was requested.
        self.disguised = set()
        # Edges whose blocker waits in the queue, whatever it holds besides.
        self.queued = set()
        # Edges that no source of this server gives away, and why.
        self.hidden = {}
        # Several could hold the row lock: those that may be named as "one of them".
        self.candidates = set()
        self.works_in = None  # the default database of whoever has a part in the stall
        self._takes_back = contextlib.ExitStack()

    # --- the scene

    def schema(self, name="shop"):
        self.server.admin(f"CREATE DATABASE {quoted(name)}")
        self.works_in = self.works_in or name

    def table(self, name="t", schema="shop", columns="id INT PRIMARY KEY, v INT", options="ENGINE=InnoDB", rows="(1, 1), (2, 2), (3, 3)"):
        target = f"{quoted(schema)}.{quoted(name)}"
        self.server.admin(f"CREATE TABLE {target} ({columns}) {options}")
        self.server.admin(f"INSERT INTO {target} VALUES {rows}")
        return target

    def shop(self):
        """Schema shop with table t, and those who have nothing to do with it."""
        self.schema()
        self.table()
        self.bystanders("SELECT * FROM shop.t")

    def bystanders(self, *finished, writer=True):
        """Nobody may accuse these. `finished`: statements on what will be stalled, of somebody who no longer holds anything."""
        self.schema("elsewhere")
        self.table("t", "elsewhere")
        self.session("asleep", innocent=True)
        self.session("finished", *finished, "SELECT * FROM elsewhere.t", *finished, innocent=True)
        self.session("reads elsewhere", "BEGIN", "SELECT * FROM elsewhere.t", innocent=True, database="elsewhere")
        if writer:
            self.session("writes elsewhere", "BEGIN", "UPDATE elsewhere.t SET v = 9 WHERE id = 1", innocent=True, database="elsewhere")

    def bystanders_leave(self):
        """Those in transactions: where nothing shows what they hold, they are as good a suspect as any."""
        gone = [self.ids[role] for role in ("reads elsewhere", "writes elsewhere") if role in self.ids]
        for number in gone:
            self.server.admin(f"KILL {number}")
        ids = ", ".join(map(str, gone))
        self.server.wait_for(f"SELECT COUNT(*) = 0 FROM {self.processes} WHERE ID IN ({ids})", "they have left")
        self.server.wait_for(lambda: not self.server.are_leaving(gone), "their transactions have ended")

    def latecomer(self):
        """A transaction that began in a later second than the waits. No server says that they waited all the time, so it is a suspect; not the first."""
        self.wait_until_it_lasts(1)
        self.session("came too late", "BEGIN", "SELECT * FROM elsewhere.t", innocent=True)
        self.wait_until_in_innodb("came too late")

    def wait_until_it_lasts(self, seconds):
        ids = ", ".join(str(self.ids[role]) for role in self.waits)
        self.server.wait_for(f"SELECT MIN(TIME) >= {seconds} FROM {self.processes} WHERE ID IN ({ids})", f"everybody's wait is {seconds} s old")

    def session(self, role, *statements, innocent=False, fails=None, **options):
        """A session that has executed these and is idle now. `fails`: the last one, which ends with an error."""
        connection = self.connections.get(role) or self.server.connect(**{"database": self.works_in, **options})
        self.connections[role], self.ids[role] = connection, connection.thread_id()
        if innocent:
            self.innocent.add(role)
        with connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)
                cursor.fetchall()
                self.last_statement[role] = sql
            if fails:
                assert not self.succeeds(fails, cursor), f"{fails} did not fail"
                self.last_statement[role] = fails
        return connection

    def running(self, role, sql, state="User sleep", **options):
        """A statement that runs until somebody ends it."""
        connection = self.session(role, **options)
        self.last_statement[role] = sql
        self.server.background(sql, connection)
        self.server.wait_for(f"SELECT STATE LIKE '{state}' FROM {self.processes} WHERE ID = {self.ids[role]}", f"{sql} runs")

    def next_second(self):
        """INNODB_TRX tells when a transaction began to the second: what comes after this began later."""
        now = self.server.admin("SELECT NOW()")[0][0]
        self.server.wait_for(lambda: self.server.admin("SELECT NOW()")[0][0] > now, "the next second")

    def wait_until_in_innodb(self, role):
        self.server.wait_for(f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {self.ids[role]}", f"{role}'s transaction shows")

    def does(self, undo, *arguments):
        """Something that the server's reset() does not know how to take back."""
        self._takes_back.callback(undo, *arguments)

    # --- the truth

    def wait(self, role, sql, state, on, granted=(), ahead=(), kind=METADATA, keeps=False, killable=True, unknowable=False, begin=(), afterwards=(), **options):
        """`role` executes `sql` and waits in `state` on the object `on` (schema, name), for these roles."""
        connection = self.session(role, *begin, **options)
        self.last_statement[role] = sql
        future = self.server.background(sql, connection)
        schema, name = on or (None, None)
        self.waits[role] = Wait(role, future, state, kind, schema, name, keeps, killable, unknowable, sql, set(afterwards))
        for blocker in granted:
            self.edge(role, blocker, GRANTED)
        for blocker in ahead:
            self.edge(role, blocker, AHEAD)
            self.queued.add((role, blocker))
        self.see_waiting(role, f"waits: {sql} ({state})")
        return future

    def edge(self, waiter, blocker, how=GRANTED):
        """One that holds and queues as well is `granted`."""
        self.edges.setdefault((waiter, blocker), Edge(waiter, blocker, how))

    def root(self, role, state="idle_in_transaction", transaction_shows=True, xid=None, owns_xid=None):
        self.roots[role] = Root(role, state, transaction_shows, xid, owns_xid)
        if xid:
            self.ids.pop(role, None)

    def behind(self, role):
        """Everybody who waits for it, directly or not."""
        found, last = set(), {role}
        while last := {edge.waiter for edge in self.edges.values() if edge.blocker in last} - found:
            found |= last
        return found - {role}

    def blockers(self, waiter):
        return {edge.blocker for edge in self.edges.values() if edge.waiter == waiter}

    # --- what the server shows, and what removing somebody does

    def seen(self, role):
        return self.server.admin(f"SELECT COMMAND, STATE, INFO FROM {self.processes} WHERE ID = {self.ids[role]}")

    def see_waiting(self, role, what="still waits"):
        """More than one look: MariaDB's waits for metadata locks leave their state for an instant every second."""
        if not self.is_waiting(role):
            self.server.wait_for(lambda: self.is_waiting(role), f"{role} {what}; it was {self.seen(role)}")

    def is_waiting(self, role):
        wait = self.waits[role]
        if wait.future.done():
            raise AssertionError(f"{role} did not wait: {wait.statement}: {wait.future.exception() or wait.future.result()}")
        if wait.state == IN_INNODB:
            time.sleep(0.12)  # InnoDB renews it only when nobody has read it for 100 ms
            return self.server.admin(f"SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {self.ids[role]} AND trx_state = 'LOCK WAIT'")[0][0]
        return self.server.admin(f"SELECT COUNT(*) FROM {self.processes} WHERE ID = {self.ids[role]} AND STATE = '{wait.state}'")[0][0]

    def remove(self, role):
        root = self.roots.get(role)
        if not (root and root.xid) and role in self.ids:
            with contextlib.suppress(pymysql.OperationalError):  # it has ended already
                self.server.admin(f"KILL {self.ids[role]}")
        if root and (xid := root.xid or root.owns_xid):
            rollback = f"XA ROLLBACK {','.join(map(repr, xid))}"
            if root.owns_xid:
                self.server.wait_for(lambda: not self.server.are_leaving([self.ids[role]]), f"{role} has left")
            # MySQL refuses until the session has let go of it.
            self.server.wait_for(lambda: self.succeeds(rollback), f"{rollback} succeeds")

    def succeeds(self, sql, cursor=None):
        try:
            cursor.execute(sql) if cursor else self.server.admin(sql)
        except pymysql.MySQLError:
            return False
        return True

    def freed_by_removing(self, removed):
        """The waiters whose statement ends when these are gone, by the edges alone."""
        removed, freed = set(removed), set()
        out_of_the_way = lambda role: role in removed or (role in freed and not self.waits[role].keeps)
        while True:
            waiting = set(self.waits) - removed - freed
            more = {role for role in waiting if all(map(out_of_the_way, self.blockers(role) | self.waits[role].afterwards))}
            if not more:
                return freed
            freed |= more

    def close(self):
        self._takes_back.close()


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def method_of(server):
    """How this server lets one see metadata locks: performance_schema | plugin | nothing."""
    if server.flavor == "mysql":
        return "performance_schema"
    if server.admin("SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'METADATA_LOCK_INFO' AND PLUGIN_STATUS = 'ACTIVE'")[0][0]:
        return "plugin"
    instrument = server.admin("SELECT COUNT(*) FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl' AND ENABLED = 'YES'")
    return "performance_schema" if instrument[0][0] else "nothing"


@contextlib.contextmanager
def stall_of(server, scenario):
    """The scenario, brought about; everything is taken back afterwards."""
    stall = Stall(server)
    try:
        scenario(stall)
        check(stall)
        # Whoever looks now must not be shown a copy from before the stall; see is_waiting().
        time.sleep(0.12)
        yield stall
    finally:
        # Whoever waits is ended first, and has gone: what is taken back must neither wait behind them nor be undone by them.
        for number in reversed(stall.ids.values()):
            with contextlib.suppress(Exception):
                server.admin(f"KILL {number}")
        ended = ", ".join(str(number) for role, number in stall.ids.items() if role not in stall.waits or stall.waits[role].killable)
        server.wait_for(f"SELECT COUNT(*) = 0 FROM {stall.processes} WHERE ID IN ({ended})", "the stall's sessions have gone")
        stall.close()
        server.reset()


def check(stall):
    """The truth agrees with itself."""
    assert stall.waits and stall.roots
    blockers = {edge.blocker for edge in stall.edges.values()}
    assert {edge.waiter for edge in stall.edges.values()} == set(stall.waits)
    assert set(stall.roots) == (blockers - set(stall.waits)) | stall.cycle, (stall.roots, blockers, stall.waits)
    assert not stall.innocent & (blockers | set(stall.waits))
    for role in stall.waits:
        stall.see_waiting(role)


# --- the scenarios

SCENARIOS = []


def scenario(title):
    def add(function):
        function.title = title
        SCENARIOS.append(function)
        return function

    return add


T = ("shop", "t")


@scenario("idle reader, ALTER, then readers and writers queued")
def idle_reader(stall):
    stall.shop()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    for number in (1, 2):
        stall.wait(f"reader {number}", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])
        stall.wait(f"writer {number}", f"UPDATE shop.t SET v = 7 WHERE id = {number}", FOR_TABLE, T, ahead=["alter"])


@scenario("two idle readers")
def two_idle_readers(stall):
    stall.shop()
    for role in ("reader 1", "reader 2"):
        stall.session(role, "BEGIN", "SELECT * FROM shop.t")
        stall.root(role)
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader 1", "reader 2"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("autocommit=0 reader")
def autocommit_off(stall):
    stall.shop()
    stall.session("reader", "SELECT * FROM shop.t", autocommit=False)
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("LOCK TABLES WRITE idle")
def lock_tables_write(stall):
    stall.shop()
    stall.session("locker", "LOCK TABLES shop.t WRITE")
    stall.root("locker", "lock_tables")
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, granted=["locker"])
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", FOR_TABLE, T, granted=["locker"])
    # It asks for SHARED_UPGRADABLE first, which lets everybody else wait as before.
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["locker"])


@scenario("LOCK TABLES READ idle")
def lock_tables_read(stall):
    stall.shop()
    stall.session("locker", "LOCK TABLES shop.t READ")
    stall.root("locker", "lock_tables")
    stall.wait("writer 1", "UPDATE shop.t SET v = 7 WHERE id = 1", FOR_TABLE, T, granted=["locker"])
    stall.wait("writer 2", "UPDATE shop.t SET v = 7 WHERE id = 2", FOR_TABLE, T, granted=["locker"])
    stall.disguised |= {("writer 1", "locker"), ("writer 2", "locker")}


@scenario("LOCK TABLES READ idle, and an ALTER that writers queue behind as well")
def lock_tables_read_and_alter(stall):
    stall.shop()
    stall.session("locker", "LOCK TABLES shop.t READ")
    stall.root("locker", "lock_tables")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["locker"])
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", FOR_TABLE, T, granted=["locker"], ahead=["alter"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])
    stall.disguised.add(("writer", "locker"))
    if not stall.mysql and stall.method == "performance_schema":
        stall.hidden[("writer", "locker")] = "MariaDB shows it as SHARED_READ, and the ALTER explains the wait"


@scenario("LOCK TABLES READ behind an idle writer")
def lock_tables_read_waits(stall):
    """MariaDB asks for SHARED_READ, and when it has that for something that performance_schema has no name for."""
    stall.shop()
    stall.session("writer", "BEGIN", "UPDATE shop.t SET v = 8 WHERE id = 1")
    stall.root("writer")
    stall.next_second()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t", innocent=True)
    stall.wait("locker", "LOCK TABLES shop.t READ", FOR_TABLE, T, granted=["writer"], keeps=True)


@scenario("LOCK TABLES READ of a view behind an idle writer")
def lock_tables_read_of_view(stall):
    """What a dump does of a schema with views."""
    stall.shop()
    stall.server.admin("CREATE VIEW shop.sales AS SELECT id, v FROM shop.t")
    stall.session("writer", "BEGIN", "UPDATE shop.t SET v = 8 WHERE id = 1")
    stall.root("writer")
    stall.wait("locker", "LOCK TABLES shop.sales READ", FOR_TABLE, T, granted=["writer"], keeps=True)
    stall.named["locker"] = ("shop", "sales")


@scenario("LOCK TABLES READ behind a waiting LOCK TABLES WRITE")
def lock_tables_read_behind_write(stall):
    stall.shop()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("writes", "LOCK TABLES shop.t WRITE", FOR_TABLE, T, granted=["reader"], keeps=True)
    stall.wait("reads", "LOCK TABLES shop.t READ", FOR_TABLE, T, ahead=["writes"], keeps=True)


@scenario("CREATE TABLE IF NOT EXISTS of a table that is there, behind an ALTER")
def create_existing(stall):
    """It only looks: MySQL asks for SHARED, MariaDB for SHARED_UPGRADABLE, which the ALTER holds."""
    stall.shop()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.wait("create", "CREATE TABLE IF NOT EXISTS shop.t (id INT)", FOR_TABLE, T, granted=[] if stall.mysql else ["alter"], ahead=["alter"])


@scenario("names in double quotes (sql_mode ANSI_QUOTES)")
def ansi_quotes(stall):
    stall.shop()
    ansi = {"begin": ["SET SESSION sql_mode = 'ANSI_QUOTES'"]}
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("truncate", 'TRUNCATE TABLE "shop"."t"', FOR_TABLE, T, granted=["reader"], **ansi)
    stall.wait("late reader", 'SELECT COUNT(*) FROM "shop"."t"', FOR_TABLE, T, ahead=["truncate"], **ansi)


@scenario("statements behind a long comment")
def long_comment(stall):
    """What tools put in front of a statement may be longer than what is kept of it."""
    stall.shop()
    comment = "/* " + "x" * 1500 + " */ "
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("truncate", comment + "TRUNCATE TABLE shop.t", FOR_TABLE, T, granted=["reader"])
    stall.wait("late reader", comment + "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["truncate"])
    if not stall.mysql:  # it keeps 1,024 bytes itself, and shows the lock
        for waiting in stall.waits.values():
            waiting.statement = waiting.statement.removeprefix(comment)


@scenario("procedure that reads in an expression, behind LOCK TABLES WRITE")
def procedure_expression(stall):
    """The statement that shows is the CALL."""
    stall.shop()
    stall.server.admin("CREATE PROCEDURE shop.p() BEGIN DECLARE n INT; SET n = (SELECT COUNT(*) FROM shop.t); END")
    stall.session("locker", "LOCK TABLES shop.t WRITE")
    stall.root("locker", "lock_tables")
    stall.wait("caller", "CALL shop.p()", FOR_TABLE, T, granted=["locker"])
    stall.waits["caller"].statement = ""


@scenario("LOCK TABLES WRITE and an ALTER behind an idle reader")
def lock_tables_waits(stall):
    """The two queue for each other: the one holds SHARED_UPGRADABLE already, the other would go first for everybody else."""
    stall.shop()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.wait("locker", "LOCK TABLES shop.t WRITE", FOR_TABLE, T, granted=["reader", "alter"], keeps=True)
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter", "locker"])


@scenario("two exclusive requests do not wait for each other")
def two_exclusive(stall):
    stall.shop()
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("rename", "RENAME TABLE shop.t TO shop.t2", FOR_TABLE, T, granted=["reader"])
    stall.wait("drop", "DROP TABLE shop.t", FOR_TABLE, T, granted=["reader"])
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", FOR_TABLE, T, ahead=["rename", "drop"])


@scenario("FLUSH TABLES WITH READ LOCK idle")
def global_read_lock(stall):
    stall.shop()
    stall.session("committer", "BEGIN", "UPDATE shop.t SET v = 8 WHERE id = 3")
    stall.session("flusher", "FLUSH TABLES WITH READ LOCK")
    stall.root("flusher", "global_read_lock")
    state = "Waiting for global read lock" if stall.mysql else FOR_BACKUP
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", state, None, granted=["flusher"], kind=GLOBAL_READ)
    stall.wait("ddl", "CREATE TABLE shop.new (id INT)", state, None, granted=["flusher"], kind=GLOBAL_READ)
    stall.wait("committer", "COMMIT", "Waiting for commit lock" if stall.mysql else FOR_BACKUP, None, granted=["flusher"], kind=COMMIT if stall.mysql else GLOBAL_READ)
    stall.disguised |= {("committer", "flusher")}


@scenario("FLUSH TABLES WITH READ LOCK and a running SELECT")
def global_read_lock_behind_select(stall):
    stall.shop()
    stall.running("select", f"SELECT {SLOW} FROM shop.t")
    if not stall.mysql:
        # It does not wait for readers: the SELECT is innocent.
        stall.innocent.add("select")
        stall.session("flusher", "FLUSH TABLES WITH READ LOCK")
        stall.root("flusher", "global_read_lock")
        stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", FOR_BACKUP, None, granted=["flusher"], kind=GLOBAL_READ)
        return
    stall.root("select", "running")
    stall.wait("flusher", "FLUSH TABLES WITH READ LOCK", FOR_FLUSH, T, granted=["select"], kind=TABLE, keeps=True)
    # When the FLUSH is killed, the table still waits to be flushed.
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", "Waiting for global read lock", None, granted=["flusher"], kind=GLOBAL_READ, afterwards=["select"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_FLUSH, T, granted=["select"], kind=TABLE)


@scenario("FLUSH TABLES t behind a running SELECT")
def flush_table(stall):
    stall.shop()
    stall.running("select", f"SELECT {SLOW} FROM shop.t")
    stall.root("select", "running")
    if stall.mysql:
        stall.wait("flusher", "FLUSH TABLES shop.t", FOR_FLUSH, T, granted=["select"], kind=TABLE)
        stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_FLUSH, T, granted=["select"], kind=TABLE)
    else:
        stall.wait("flusher", "FLUSH TABLES shop.t", FOR_TABLE, T, granted=["select"])
        stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["flusher"])


@scenario("GET_LOCK")
def user_lock(stall):
    stall.shop()
    stall.session("holder", "SELECT GET_LOCK('deploy', 1)")
    stall.root("holder", "user_lock")
    stall.session("holds another", "SELECT GET_LOCK('cron', 1)", innocent=True)
    for role in ("waiter 1", "waiter 2"):
        # Two who wait for it do not wait for each other; whoever gets it gives it back.
        stall.wait(role, "SELECT GET_LOCK('deploy', 600), RELEASE_LOCK('deploy')", "User lock", (None, "deploy"), granted=["holder"], kind=USER)


@scenario("GET_LOCK of a name that another one differs from by case")
def user_lock_case(stall):
    """Two locks on MariaDB, one and the same on MySQL."""
    stall.shop()
    stall.session("holder", "SELECT GET_LOCK('deploy', 1)")
    stall.root("holder", "user_lock")
    stall.session("other case", "SELECT GET_LOCK('Deploy', 0)", innocent=True)
    stall.wait("waiter", "SELECT GET_LOCK('deploy', 600), RELEASE_LOCK('deploy')", "User lock", (None, "deploy"), granted=["holder"], kind=USER)


@scenario("GET_LOCK whose statement does not tell the name")
def user_lock_variable(stall):
    stall.shop()
    stall.session("holder", "SELECT GET_LOCK('deploy', 1)")
    stall.root("holder", "user_lock")
    stall.wait("waiter", "SELECT GET_LOCK(@name, 600), RELEASE_LOCK(@name)", "User lock", (None, "deploy"), granted=["holder"], kind=USER, begin=["SET @name = 'deploy'"])
    if stall.method == "nothing":
        stall.hidden[("waiter", "holder")] = "IS_USED_LOCK cannot be asked without a name"


@scenario("SET GLOBAL read_only behind LOCK TABLES WRITE")
def read_only(stall):
    """It takes the global read lock for a moment, and everybody who writes queues behind it."""
    stall.shop()
    stall.does(stall.server.admin, "SET GLOBAL read_only = 0")
    stall.session("locker", "LOCK TABLES shop.t WRITE")
    stall.root("locker", "lock_tables")
    state = "Waiting for global read lock" if stall.mysql else FOR_BACKUP
    stall.wait("read_only", "SET GLOBAL read_only = 1", state, None, granted=["locker"], kind=GLOBAL_READ)
    stall.wait("writer", "UPDATE elsewhere.t SET v = 7 WHERE id = 2", state, None, ahead=["read_only"], kind=GLOBAL_READ)


@scenario("row lock held by an idle transaction, chain of three")
def row_chain(stall):
    stall.shop()
    stall.session("holder", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.root("holder")
    stall.wait("middle", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["holder"], kind=ROW, keeps=True, begin=["BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 2"])
    stall.wait("last", "UPDATE shop.t SET v = 7 WHERE id = 2", IN_INNODB, T, granted=["middle"], kind=ROW)


@scenario("several wait for one row")
def row_queue(stall):
    stall.shop()
    stall.session("holder", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.root("holder")
    stall.wait("first", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["holder"], kind=ROW)
    stall.wait("second", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["holder"], ahead=["first"], kind=ROW)
    stall.wait("third", "DELETE FROM shop.t WHERE id = 1", IN_INNODB, T, granted=["holder"], ahead=["first", "second"], kind=ROW)


@scenario("row-lock wait whose holder blocks an ALTER")
def row_wait_and_alter(stall):
    stall.shop()
    stall.session("holder", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.root("holder")
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["holder"], kind=ROW)
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["holder", "writer"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("row-lock holder that itself waits behind an ALTER")
def row_wait_behind_metadata_wait(stall):
    stall.shop()
    stall.table("u")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.wait("holder", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"], keeps=True, begin=["BEGIN", "UPDATE shop.u SET v = 7 WHERE id = 1"])
    stall.wait("writer", "UPDATE shop.u SET v = 7 WHERE id = 1", IN_INNODB, ("shop", "u"), granted=["holder"], kind=ROW)


@scenario("ALTER blocked by a long running SELECT (not idle)")
def long_select(stall):
    stall.shop()
    stall.running("select", f"SELECT {SLOW} FROM shop.t")
    stall.root("select", "running")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["select"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


# --- prepared XA


def prepared(stall, *statements):
    """Prepared, and its session is gone."""
    session = stall.session("xa", "XA START 'pay', 'branch'", *statements, "XA END 'pay', 'branch'", "XA PREPARE 'pay', 'branch'")
    number = session.thread_id()
    session.close()
    stall.server.wait_for(f"SELECT COUNT(*) = 0 FROM {stall.processes} WHERE ID = {number}", "its session is gone")
    stall.server.wait_for("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = 0", "its transaction shows")
    stall.root("xa", "prepared_xa", xid=("pay", "branch"))


@scenario("prepared XA with no session: row lock")
def prepared_xa_row(stall):
    stall.shop()
    prepared(stall, "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.wait("writer 1", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["xa"], kind=ROW)
    stall.wait("writer 2", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["xa"], ahead=["writer 1"], kind=ROW)


@scenario("prepared XA with no session: ALTER")
def prepared_xa_alter(stall):
    stall.shop()
    prepared(stall, "UPDATE shop.t SET v = 7 WHERE id = 1")
    if stall.mysql:
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["xa"])
        stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])
    else:
        # Its metadata locks are gone, not its row locks: ALTER has got all of its own and waits inside InnoDB, where KILL does not reach it.
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", IN_INNODB, T, granted=["xa"], kind=ROW, killable=False)
        stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, granted=["alter"])
        stall.disguised.add(("reader", "alter"))


@scenario("prepared XA, its session still there and idle")
def prepared_xa_with_session(stall):
    stall.shop()
    stall.session("owner", "XA START 'pay', 'branch'", "UPDATE shop.t SET v = 7 WHERE id = 1", "XA END 'pay', 'branch'", "XA PREPARE 'pay', 'branch'")
    if stall.mysql:
        # xa_detach_on_prepare: no longer the session's, which may do something else now.
        stall.session("owner", "BEGIN", "SELECT * FROM elsewhere.t", innocent=True)
        stall.root("xa", "prepared_xa", xid=("pay", "branch"))
        stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["xa"], kind=ROW)
        return
    # Killing the session frees nobody: the transaction stays prepared.
    stall.root("owner", "prepared_xa", owns_xid=("pay", "branch"))
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["owner"], kind=ROW)


@scenario("prepared XA, its session still there and idle: ALTER")
def prepared_xa_with_session_alter(stall):
    """MySQL shows the lock under the thread that prepared it, whatever that does now: ending it frees nobody.
    The lock is older than that thread's transaction (OWNER_EVENT_ID), and its row locks are of a transaction without a thread."""
    stall.shop()
    stall.session("owner", "XA START 'pay', 'branch'", "UPDATE shop.t SET v = 7 WHERE id = 1", "XA END 'pay', 'branch'", "XA PREPARE 'pay', 'branch'")
    if stall.mysql:
        stall.session("owner", "BEGIN", "SELECT * FROM elsewhere.t", innocent=True)
        stall.root("xa", "prepared_xa", xid=("pay", "branch"))
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["xa"])
    else:
        # While the session is there, so is its metadata lock.
        stall.root("owner", "prepared_xa", owns_xid=("pay", "branch"))
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["owner"])


@scenario("XA transaction not yet prepared, idle")
def active_xa(stall):
    stall.shop()
    stall.session("reader", "XA START 'pay', 'branch'", "SELECT * FROM shop.t", "XA END 'pay', 'branch'")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])


# --- no transaction to be seen


@scenario("HANDLER open")
def handler_open(stall):
    stall.shop()
    stall.session("handler", "HANDLER shop.t OPEN")
    stall.root("handler", "handler_open")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["handler"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("failed SELECT in a transaction")
def failed_select(stall):
    """The statement failed before InnoDB heard of it; the metadata lock stays all the same."""
    stall.shop()
    stall.session("failed", "BEGIN", fails="SELECT no_such_column FROM shop.t")
    stall.root("failed", transaction_shows=False)
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["failed"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("MyISAM table read in an idle transaction")
def myisam_reader(stall):
    stall.shop()
    stall.table("m", options="ENGINE=MyISAM")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.m")
    stall.root("reader", transaction_shows=False)
    stall.wait("alter", "ALTER TABLE shop.m ADD COLUMN w INT", FOR_TABLE, ("shop", "m"), granted=["reader"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.m", FOR_TABLE, ("shop", "m"), ahead=["alter"])


@scenario("MyISAM table lock (THR_LOCK)")
def myisam_table_lock(stall):
    stall.shop()
    stall.table("m", options="ENGINE=MyISAM")
    stall.running("reader", f"SELECT {SLOW} FROM shop.m")
    stall.root("reader", "running")
    stall.wait("writer", "UPDATE shop.m SET v = 7 WHERE id = 1", FOR_LEVEL, ("shop", "m"), granted=["reader"], kind=TABLE)
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.m", FOR_LEVEL, ("shop", "m"), ahead=["writer"], kind=TABLE)


# --- DDL


@scenario("ALTER ... ALGORITHM=COPY at work blocks a writer")
def copying_alter(stall):
    stall.shop()
    stall.table("big", columns="id INT PRIMARY KEY", rows="(1)")
    stall.server.admin("INSERT INTO shop.big SELECT 10 + (a.n * 10 + b.n) * 10 + c.n FROM ({0}) a, ({0}) b, ({0}) c".format(" UNION ".join(f"SELECT {n} n" for n in range(10))))
    # Slow by arithmetic: a generated column may not sleep. Without LOCK=SHARED newer MariaDBs copy online.
    stall.running("alter", "ALTER TABLE shop.big ADD COLUMN slow CHAR(128) AS (SHA2(REPEAT(id, 3000000), 512)) STORED, ALGORITHM=COPY, LOCK=SHARED", state="copy to tmp table")
    stall.root("alter", "running")
    stall.wait("writer", "INSERT INTO shop.big (id) VALUES (5)", FOR_TABLE, ("shop", "big"), granted=["alter"])
    stall.disguised.add(("writer", "alter"))


@scenario("foreign key: DDL on the parent of an open insert")
def foreign_key_parent(stall):
    stall.shop()
    stall.table("child", columns="id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES shop.t (id)", rows="(1, 1)")
    stall.session("inserter", "BEGIN", "INSERT INTO shop.child VALUES (2, 2)")
    stall.root("inserter")
    if stall.mysql:
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["inserter"])
        stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])
    else:
        # The parent's metadata is not locked; InnoDB wants the child's table lock when the ALTER commits.
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", IN_INNODB, ("shop", "child"), granted=["inserter"], kind=ROW, killable=False)
        stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, granted=["alter"])
        stall.disguised.add(("reader", "alter"))


@scenario("foreign key: DDL on the child of an open delete")
def foreign_key_child(stall):
    stall.shop()
    stall.table("child", columns="id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES shop.t (id) ON DELETE CASCADE", rows="(1, 1)")
    stall.session("deleter", "BEGIN", "DELETE FROM shop.t WHERE id = 1")
    stall.root("deleter")
    stall.wait("alter", "ALTER TABLE shop.child ADD COLUMN w INT", FOR_TABLE, ("shop", "child"), granted=["deleter"])


@scenario("DROP DATABASE behind an idle reader")
def drop_database(stall):
    stall.shop()
    stall.works_in = None  # nobody could connect to it
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("drop", "DROP DATABASE shop", FOR_TABLE, T, granted=["reader"])
    stall.wait("create", "CREATE TABLE shop.new (id INT)", FOR_SCHEMA, ("shop", None), granted=["drop"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["drop"])


@scenario("DROP TABLE of two tables: one is taken, the other not yet")
def drop_two(stall):
    stall.shop()
    stall.table("u")
    stall.server.admin("DELETE FROM shop.t WHERE id = 3")  # something for the purge to do
    stall.session("reader", "BEGIN", "SELECT * FROM shop.u")
    stall.root("reader")
    stall.wait("drop", "DROP TABLE shop.t, shop.u", FOR_TABLE, ("shop", "u"), granted=["reader"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, granted=["drop"])
    stall.wait("late reader of u", "SELECT COUNT(*) FROM shop.u", FOR_TABLE, ("shop", "u"), ahead=["drop"])


@scenario("ALTER behind a reader of a view")
def view_reader(stall):
    """The reader's statement does not name the table."""
    stall.shop()
    stall.server.admin("CREATE VIEW shop.sales AS SELECT id, v FROM shop.t")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.sales")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])


@scenario("stored function used in an idle transaction")
def stored_function(stall):
    stall.shop()
    stall.server.admin("CREATE FUNCTION shop.f() RETURNS INT DETERMINISTIC NO SQL RETURN 1")
    stall.session("caller", "BEGIN", "SELECT shop.f()")
    stall.root("caller", transaction_shows=False)
    stall.wait("drop", "DROP FUNCTION shop.f", "Waiting for stored function metadata lock", ("shop", "f"), granted=["caller"])


@scenario("stored procedure that a function called in an idle transaction")
def stored_procedure(stall):
    """CALL itself keeps no lock on the procedure, not even while it runs."""
    stall.shop()
    stall.server.admin("CREATE PROCEDURE shop.p() SET @called = 1")
    stall.server.admin("CREATE FUNCTION shop.f() RETURNS INT DETERMINISTIC NO SQL BEGIN CALL shop.p(); RETURN 1; END")
    stall.session("caller", "BEGIN", "SELECT shop.f()")
    stall.root("caller", transaction_shows=False)
    stall.wait("drop", "DROP PROCEDURE shop.p", "Waiting for stored procedure metadata lock", ("shop", "p"), granted=["caller"])


@scenario("stored procedure at work, its transaction open")
def procedure_at_work(stall):
    """What runs does not name the table."""
    stall.shop()
    stall.server.admin(f"CREATE PROCEDURE shop.p() BEGIN START TRANSACTION; SELECT COUNT(*) FROM shop.t; DO {SLOW}; END")
    stall.running("caller", "CALL shop.p()")
    stall.last_statement["caller"] = ("CALL shop.p()", f"DO {SLOW}")  # as one looks at it
    stall.root("caller", "running")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["caller"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("table that only a trigger wrote to")
def trigger_target(stall):
    stall.shop()
    stall.table("log")
    stall.server.admin("CREATE TRIGGER shop.audit AFTER UPDATE ON shop.t FOR EACH ROW INSERT INTO shop.log VALUES (NEW.id + 100, 0)")
    stall.session("writer", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.root("writer")
    stall.wait("alter", "ALTER TABLE shop.log ADD COLUMN w INT", FOR_TABLE, ("shop", "log"), granted=["writer"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.log", FOR_TABLE, ("shop", "log"), ahead=["alter"])


@scenario("DROP TRIGGER behind an idle writer")
def drop_trigger(stall):
    """The statement does not name the table that it waits for."""
    stall.shop()
    stall.table("log")
    stall.server.admin("CREATE TRIGGER shop.audit AFTER UPDATE ON shop.t FOR EACH ROW INSERT INTO shop.log VALUES (NEW.id + 100, 0)")
    stall.session("writer", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.root("writer")
    stall.next_second()
    stall.wait("drop", "DROP TRIGGER shop.audit", FOR_TABLE, T, granted=["writer"])
    if stall.method == "plugin":
        stall.hidden[("drop", "writer")] = "only the statement says what it waits for, and it does not name the table"


# --- backup locks


@scenario("backup lock (LOCK INSTANCE FOR BACKUP, BACKUP STAGE BLOCK_DDL)")
def backup_lock(stall):
    stall.shop()
    if stall.mysql:
        stall.session("backup", "LOCK INSTANCE FOR BACKUP")
    else:
        stall.session("backup", "BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL")
    stall.root("backup", "backup_lock")
    stall.wait("ddl", "CREATE TABLE shop.new (id INT)", FOR_BACKUP, None, granted=["backup"], kind=BACKUP)
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_BACKUP, None, granted=["backup"], kind=BACKUP)


@scenario("BACKUP STAGE BLOCK_COMMIT (MariaDB); LOCK INSTANCE and a reader that has nothing to do with it (MySQL)")
def backup_block_commit(stall):
    stall.shop()
    if stall.mysql:
        stall.session("reader", "BEGIN", "SELECT * FROM shop.t", innocent=True)
        stall.session("backup", "LOCK INSTANCE FOR BACKUP")
    else:
        stall.session("committer", "BEGIN", "UPDATE shop.t SET v = 8 WHERE id = 3")
        stall.session("backup", "BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT")
    stall.root("backup", "backup_lock")
    stall.wait("ddl", "CREATE TABLE shop.new (id INT)", FOR_BACKUP, None, granted=["backup"], kind=BACKUP)
    if not stall.mysql:
        stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", FOR_BACKUP, None, granted=["backup"], kind=BACKUP)
        stall.wait("committer", "COMMIT", FOR_BACKUP, None, granted=["backup"], kind=BACKUP)
        stall.disguised |= {("writer", "backup"), ("committer", "backup")}


@scenario("BACKUP LOCK t (MariaDB)")
def backup_lock_table(stall):
    stall.shop()
    if stall.mysql:
        stall.session("locker", "LOCK TABLES shop.t READ")
        stall.root("locker", "lock_tables")
    else:
        stall.session("locker", "BACKUP LOCK shop.t")
        stall.root("locker", "backup_lock")
    stall.wait("drop", "DROP TABLE shop.t", FOR_TABLE, T, granted=["locker"])
    stall.wait("reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["drop"])


# --- several at once


@scenario("two independent stalls at once")
def two_stalls(stall):
    """Whoever holds the second is younger than the first wait."""
    stall.shop()
    stall.table("u")
    for table in ("t", "u"):
        stall.next_second()
        stall.session(f"reader of {table}", "BEGIN", f"SELECT * FROM shop.{table}")
        stall.root(f"reader of {table}")
        stall.wait(f"alter {table}", f"ALTER TABLE shop.{table} ADD COLUMN w INT", FOR_TABLE, ("shop", table), granted=[f"reader of {table}"])
        stall.wait(f"late reader of {table}", f"SELECT COUNT(*) FROM shop.{table}", FOR_TABLE, ("shop", table), ahead=[f"alter {table}"])


@scenario("deadlock across layers: metadata and row")
def cycle_metadata_row(stall):
    """No server sees it: each layer alone has no cycle."""
    stall.shop()
    stall.table("u")
    stall.session("one", "BEGIN", "UPDATE shop.u SET v = 7 WHERE id = 1")
    stall.session("two", "BEGIN", "SELECT * FROM shop.t")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["two"])
    stall.wait("one", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"], keeps=True)
    stall.wait("two", "UPDATE shop.u SET v = 7 WHERE id = 1", IN_INNODB, ("shop", "u"), granted=["one"], kind=ROW, keeps=True)
    stall.wait("victim", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])
    stall.cycle = {"one", "alter", "two"}
    for role in stall.cycle:
        stall.root(role, "waiting")  # they are seen to wait, and not to hold anything


@scenario("deadlock across layers: user lock and row")
def cycle_user_row(stall):
    stall.shop()
    stall.session("one", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.session("two", "SELECT GET_LOCK('deploy', 1)")
    stall.wait("one", "SELECT GET_LOCK('deploy', 600)", "User lock", (None, "deploy"), granted=["two"], kind=USER, keeps=True)
    stall.wait("two", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["one"], kind=ROW, keeps=True)
    stall.cycle = {"one", "two"}
    for role in stall.cycle:
        stall.root(role, "waiting")


# --- MariaDB's readers that lock rows


@scenario("row lock held by one of several readers (LOCK IN SHARE MODE)")
def shared_row_lock(stall):
    stall.shop()
    stall.session("reader 1", "BEGIN", "SELECT * FROM shop.t WHERE id = 1 LOCK IN SHARE MODE")
    stall.session("reader 2", "BEGIN", "SELECT * FROM shop.t WHERE id = 2 LOCK IN SHARE MODE")
    stall.root("reader 1")
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["reader 1"], kind=ROW, unknowable=not stall.mysql)
    if stall.mysql:
        stall.innocent.add("reader 2")
    else:
        # Both have the transaction id 0, and so has whoever only reads.
        stall.candidates = {"reader 1", "reader 2"}


@scenario("row lock held by two readers (LOCK IN SHARE MODE)")
def doubly_shared_row_lock(stall):
    stall.shop()
    for role in ("reader 1", "reader 2"):
        stall.session(role, "BEGIN", "SELECT * FROM shop.t WHERE id = 1 LOCK IN SHARE MODE")
        stall.root(role)
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["reader 1", "reader 2"], kind=ROW, unknowable=not stall.mysql)
    stall.candidates = set() if stall.mysql else {"reader 1", "reader 2"}


@scenario("readers that wait for a row (LOCK IN SHARE MODE), and a reader of another")
def waiting_readers(stall):
    stall.shop()
    stall.session("holder", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.session("elsewhere", "BEGIN", "SELECT * FROM shop.t WHERE id = 2 LOCK IN SHARE MODE", innocent=True)
    stall.root("holder")
    for role in ("reader 1", "reader 2"):
        stall.wait(role, "SELECT * FROM shop.t WHERE id = 1 LOCK IN SHARE MODE", IN_INNODB, T, granted=["holder"], kind=ROW)


@scenario("a writer behind a reader that waits for the row")
def writer_behind_waiting_reader(stall):
    stall.shop()
    stall.session("holder", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 1")
    stall.session("elsewhere", "BEGIN", "SELECT * FROM shop.t WHERE id = 2 LOCK IN SHARE MODE", innocent=True)
    stall.root("holder")
    stall.wait("reader", "SELECT * FROM shop.t WHERE id = 1 LOCK IN SHARE MODE", IN_INNODB, T, granted=["holder"], kind=ROW)
    stall.wait("writer", "UPDATE shop.t SET v = 8 WHERE id = 1", IN_INNODB, T, granted=["holder"], ahead=["reader"], kind=ROW)


@scenario("row lock held by a reader that waits itself")
def row_held_by_waiting_reader(stall):
    stall.shop()
    stall.session("holder", "BEGIN", "UPDATE shop.t SET v = 7 WHERE id = 2")
    stall.root("holder")
    stall.table("u")
    stall.session("elsewhere", "BEGIN", "SELECT * FROM shop.u WHERE id = 1 LOCK IN SHARE MODE")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t WHERE id = 1 LOCK IN SHARE MODE")
    stall.wait("reader", "SELECT * FROM shop.t WHERE id = 2 LOCK IN SHARE MODE", IN_INNODB, T, granted=["holder"], kind=ROW, keeps=True)
    stall.wait("writer", "UPDATE shop.t SET v = 7 WHERE id = 1", IN_INNODB, T, granted=["reader"], kind=ROW, unknowable=not stall.mysql)
    if stall.mysql:
        stall.innocent.add("elsewhere")
    else:
        stall.candidates = {"reader", "elsewhere"}


# --- names


def named(title, name, table, options="ENGINE=InnoDB", schema="shop"):
    @scenario(title)
    def names(stall):
        stall.schema(schema)
        full = stall.table(table, schema, options=options)
        stall.bystanders(f"SELECT * FROM {full}")
        stall.session("reader", "BEGIN", f"SELECT * FROM {full}")
        stall.root("reader")
        stall.wait("alter", f"ALTER TABLE {full} ADD COLUMN w INT", FOR_TABLE, (schema, table), granted=["reader"])
        stall.wait("late reader", f"SELECT COUNT(*) FROM {full}", FOR_TABLE, (schema, table), ahead=["alter"])
        stall.wait("writer", f"UPDATE {full} SET v = 7 WHERE id = 1", FOR_TABLE, (schema, table), ahead=["alter"])

    names.__name__ = name
    return names


named("partitioned table", "partitioned_table", "parts", options="ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 3")
named("quoted names", "quoted_names", "we`ird t.able-\"name's", schema="my-shop.2")
named("Unicode names", "unicode_names", "주문목록_заказы_é", schema="店")
named("names of 64 characters", "very_long_names", "t" * 60 + "_end", schema="s" * 60 + "_end")
named("long names beyond ASCII", "very_long_unicode_names", "가" * 45, schema="é" * 40)
named("names that are keywords", "keyword_names", "select", schema="table")


@scenario("row lock on a table with a quoted Unicode name, partitioned")
def row_lock_names(stall):
    stall.schema("my-shop.2")
    full = stall.table("주문 `목록", "my-shop.2", options="ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 3")
    stall.bystanders(f"SELECT * FROM {full}")
    stall.session("holder", "BEGIN", f"UPDATE {full} SET v = 7 WHERE id = 1")
    stall.root("holder")
    stall.wait("writer", f"UPDATE {full} SET v = 7 WHERE id = 1", IN_INNODB, ("my-shop.2", "주문 `목록"), granted=["holder"], kind=ROW)


@scenario("DROP PARTITION behind an idle reader")
def drop_partition(stall):
    stall.shop()
    stall.table("parts", options="ENGINE=InnoDB PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (2), PARTITION p1 VALUES LESS THAN (100))")
    parts = ("shop", "parts")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.parts")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.parts DROP PARTITION p1", FOR_TABLE, parts, granted=["reader"])
    # MariaDB holds SHARED_NO_WRITE already.
    stall.wait("writer", "UPDATE shop.parts SET v = 7 WHERE id = 1", FOR_TABLE, parts, granted=[] if stall.mysql else ["alter"], ahead=["alter"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.parts", FOR_TABLE, parts, ahead=["alter"])
    stall.disguised.add(("writer", "alter"))


@scenario("temporary tables hide the one that everybody waits for")
def temporary_table(stall):
    stall.shop()
    stall.session("temporary", "CREATE TEMPORARY TABLE shop.t (id INT, v INT)", innocent=True)
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.next_second()
    stall.session("temporary", "BEGIN", "SELECT * FROM shop.t")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("same table name in two schemas")
def same_name_twice(stall):
    """Statements that name no schema: each session's default database says which table it is."""
    stall.shop()
    stall.schema("shop2")
    stall.table("t", "shop2")
    for schema in ("shop", "shop2"):
        stall.session(f"reader of {schema}", "BEGIN", "SELECT * FROM t", database=schema)
        stall.next_second()
    stall.root("reader of shop")
    stall.wait("alter", "ALTER TABLE t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader of shop"], database="shop")
    stall.wait("late reader", "SELECT COUNT(*) FROM t", FOR_TABLE, T, ahead=["alter"], database="shop")
    stall.session("late reader of shop2", "BEGIN", "SELECT * FROM t", database="shop2", innocent=True)
    stall.innocent.add("reader of shop2")


# --- system threads


@scenario("an event at work, its transaction open")
def event_at_work(stall):
    """MySQL's process list says "system user" of it, as of replication."""
    stall.shop()
    server = stall.server
    server.set_global(event_scheduler="ON")
    server.admin(f"CREATE EVENT shop.nightly ON SCHEDULE AT NOW() DO BEGIN START TRANSACTION; UPDATE shop.t SET v = 8 WHERE id = 1; DO {SLOW}; END")
    find = f"SELECT ID, USER FROM {stall.processes} WHERE INFO LIKE 'DO {SLOW}%'"
    server.wait_for(lambda: server.admin(find), "the event runs")
    (stall.ids["event"], stall.users["event"]), = server.admin(find)
    stall.last_statement["event"] = f"DO {SLOW}"
    stall.root("event", "running")
    stall.wait_until_in_innodb("event")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["event"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])


@scenario("event scheduler and replication threads next to a stall")
def system_threads(stall):
    """They too are in states that begin with "Waiting"."""
    stall.shop()
    server = stall.server
    server.set_global(event_scheduler="ON")
    server.admin("CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DELETE FROM shop.t")
    words = ("REPLICATION SOURCE", "SOURCE", "REPLICA") if stall.mysql else ("MASTER", "MASTER", "SLAVE")
    server.admin("CHANGE {0} TO {1}_HOST='127.0.0.1', {1}_PORT=1, {1}_USER='repl', {1}_CONNECT_RETRY=60".format(*words))
    server.admin(f"START {words[2]}")
    stall.does(server.admin, f"RESET {words[2]} ALL")
    stall.does(server.admin, f"STOP {words[2]}")
    server.wait_for(f"SELECT COUNT(*) >= 2 FROM {stall.processes} WHERE USER = 'system user'", "the replica's threads are there")
    server.wait_for(f"SELECT COUNT(*) = 1 FROM {stall.processes} WHERE USER = 'event_scheduler' AND STATE LIKE 'Waiting%'", "so is the event scheduler")
    stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
    stall.root("reader")
    stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
    stall.wait("late reader", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <tuple>

#include "examples.h"

namespace dbaudit {
namespace {

LockFacts facts(Flavor flavor = Flavor::mysql) {
  LockFacts out;
  out.version = {flavor, flavor == Flavor::mysql ? Version{9, 7, 4} : Version{11, 8, 6}};
  out.sources = {
      {"sessions", "read", 0, {}, {}}, {"metadata_locks", "read", 0, {}, {}}, {"transactions", "read", 0, {}, {}}};
  out.instrument_on = true;
  return out;
}

// MariaDB as it is installed: nobody's locks are shown.
LockFacts blind() {
  LockFacts out = facts(Flavor::mariadb);
  out.sources[1].status = "unavailable";
  out.instrument_on = false;
  return out;
}

std::int64_t id_of(const LockReport& report, const LockRoot& root) {
  return report.graph.nodes[root.node].connection_id.value_or(-1);
}

TEST_CASE("an idle reader, an ALTER, and readers behind it") {
  LockFacts known = facts();
  known.sessions = {session(11, "Sleep", 600), session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT"),
                    session(13, "Query", 8, kForTable, "SELECT 1 FROM orders")};
  known.metadata_locks = {lock(11, "SHARED_READ", true), lock(12, "SHARED_UPGRADABLE", true),
                          lock(12, "EXCLUSIVE", false), lock(13, "SHARED_READ", false)};
  known.transactions = {transaction(11, 640)};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.roots.size() == 1);
  const LockRoot& root = report.roots.front();
  CHECK(id_of(report, root) == 11);
  CHECK(root.state == "idle_in_transaction");
  CHECK(root.blocks == 2);
  CHECK(root.blocks_directly == 1);
  CHECK(root.certainty == Certainty::observed);
  CHECK(root.remedy == "KILL 11");
  CHECK(root.idle_s == 600);
  REQUIRE(report.graph.waits.size() == 2);
  // The ALTER holds SHARED_UPGRADABLE itself and does not wait for that.
  const auto alter = blockers_of(report.graph, report.graph.waits[0], 9);
  REQUIRE(alter.size() == 1);
  CHECK(alter[0]->how == How::granted);
  const auto reader = blockers_of(report.graph, report.graph.waits[1], 9);
  REQUIRE(reader.size() == 1);
  CHECK(report.graph.nodes[reader[0]->node].connection_id == 12);
  CHECK(reader[0]->how == How::queued_ahead);
  CHECK(report.suspects.empty());
}

TEST_CASE("a cycle across layers names its members, and nobody behind it") {
  LockFacts known = facts();
  known.sessions = {session(1, "Query", 5), session(2, "Query", 5), session(3, "Query", 4)};
  known.metadata_locks = {lock(2, "SHARED_READ", true), lock(1, "EXCLUSIVE", false), lock(3, "SHARED_READ", false)};
  RowLockWait row;
  row.waiting_id = 2;
  row.blocking_id = 1;
  row.blocking_trx_id = "10";
  known.row_waits = {row};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.cycles.size() == 1);
  CHECK(report.cycles.front().size() == 2);
  REQUIRE(report.roots.size() == 2);
  for (const LockRoot& root : report.roots) {
    CHECK(root.cycle);
    CHECK(root.state == "waiting");
    CHECK(id_of(report, root) != 3);
  }
}

TEST_CASE("an upgrade that holds the weaker lock itself is no cycle") {
  LockFacts known = facts();
  known.sessions = {session(1, "Query", 5), session(2, "Query", 5)};
  known.metadata_locks = {lock(1, "SHARED_UPGRADABLE", true), lock(1, "EXCLUSIVE", false),
                          lock(2, "SHARED_UPGRADABLE", false), lock(3, "SHARED_READ", true)};
  const LockReport report = analyse_locks(known);
  CHECK(report.cycles.empty());
  REQUIRE(report.roots.size() == 1);
  CHECK(id_of(report, report.roots.front()) == 3);
}

TEST_CASE("several readers with row locks on MariaDB: one of them, and nobody is the root") {
  LockFacts known = facts(Flavor::mariadb);
  known.sessions = {session(1, "Sleep", 9), session(2, "Sleep", 9), session(3, "Query", 5)};
  known.transactions = {transaction(1, 10, "0"), transaction(2, 10, "0"), transaction(3, 5, "77")};
  known.transactions[0].rows_locked = 1;
  known.transactions[1].rows_locked = 1;
  known.transactions[2].wait_s = 5;
  RowLockWait row;
  row.waiting_id = 3;
  row.blocking_trx_id = "0";
  known.row_waits = {row};
  const LockReport two = analyse_locks(known);
  CHECK(two.roots.empty());
  CHECK(two.suspects.size() == 2);
  for (const Blocker* blocker : blockers_of(two.graph, two.graph.waits.front(), 9))
    CHECK(blocker->certainty == Certainty::inferred);
  CHECK(two.graph.waits.front().wait_is_exact);

  known.transactions[1].rows_locked = 0;
  const LockReport one = analyse_locks(known);
  REQUIRE(one.roots.size() == 1);
  CHECK(id_of(one, one.roots.front()) == 1);
  CHECK(one.roots.front().certainty == Certainty::inferred);
}

TEST_CASE("MariaDB's stale types: who may hold more by now comes before plain readers") {
  LockFacts known = facts(Flavor::mariadb);
  known.sessions = {session(1, "Sleep", 60), session(2, "Sleep", 60), session(3, "Query", 5)};
  known.metadata_locks = {lock(1, "SHARED_READ", true), lock(2, "SHARED_READ", true), lock(3, "SHARED_WRITE", false)};
  for (HeldLock& held : known.metadata_locks) held.type_is_current = false;
  known.transactions = {transaction(2, 70, "0")};  // a reader; the other one has LOCK TABLES
  const LockReport report = analyse_locks(known);
  REQUIRE(report.roots.size() == 1);
  CHECK(id_of(report, report.roots.front()) == 1);
  CHECK(report.roots.front().certainty == Certainty::inferred);
}

TEST_CASE("a prepared XA transaction without a session") {
  LockFacts known = facts();
  known.sessions = {session(3, "Query", 5)};
  HeldLock held = lock(0, "SHARED_WRITE", true);
  held.connection_id.reset();
  held.thread_id = 802;
  held.detached = true;
  known.metadata_locks = {held, lock(3, "EXCLUSIVE", false)};
  known.prepared_xids = {"'pay','branch',1"};
  LockReport report = analyse_locks(known);
  REQUIRE(report.roots.size() == 1);
  CHECK(report.roots.front().state == "prepared_xa");
  CHECK(report.roots.front().xid == "'pay','branch',1");
  CHECK(report.roots.front().remedy == "XA ROLLBACK 'pay','branch',1");
  known.prepared_xids.emplace_back("'other','',1");
  report = analyse_locks(known);
  CHECK_FALSE(report.roots.front().xid);  // which of the two it is, cannot be told
}

TEST_CASE("nothing is shown: who waits, and who it may be") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 600), session(2, "Sleep", 700), session(4, "Sleep", 3),
                    session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT"),
                    session(13, "Query", 8, kForTable, "SELECT 1 FROM orders")};
  known.transactions = {transaction(1, 610, "0"), transaction(4, 4, "0")};
  const LockReport report = analyse_locks(known);
  CHECK(report.method == LockMethod::process_list);
  CHECK(report.better_view);
  CHECK(report.roots.empty());  // 2 may have LOCK TABLES
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 1);
  CHECK(id_of(report, report.suspects.back()) == 4);  // began after the ALTER, which may not have waited at once
  CHECK(report.suspects.front().certainty == Certainty::inferred);
  CHECK_FALSE(report.suspects.front().reason.empty());
  // The reader waits behind the ALTER all the same.
  const auto reader = blockers_of(report.graph, report.graph.waits[1], 9);
  REQUIRE(reader.size() == 1);
  CHECK(reader[0]->how == How::queued_ahead);
  CHECK(reader[0]->certainty == Certainty::inferred);

  // Younger than the statement that waits: it comes last, and is possible all the same.
  known.sessions.erase(known.sessions.begin() + 1);
  const LockReport two = analyse_locks(known);
  CHECK(two.roots.empty());
  REQUIRE(two.suspects.size() == 2);
  CHECK(id_of(two, two.suspects.front()) == 1);

  known.sessions.erase(known.sessions.begin() + 1);
  known.transactions.pop_back();
  const LockReport alone = analyse_locks(known);
  REQUIRE(alone.roots.size() == 1);  // nobody else is possible
  CHECK(id_of(alone, alone.roots.front()) == 1);
  CHECK(alone.roots.front().certainty == Certainty::inferred);
}

TEST_CASE("a running statement that names the table outweighs a transaction") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 600), session(2, "Query", 60, "Sending data", "SELECT * FROM orders"),
                    session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT")};
  known.transactions = {transaction(1, 610, "0")};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 2);
}

TEST_CASE("nothing is shown: a table in use is locked by LOCK TABLES or a HANDLER, and not by a transaction") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 600), session(2, "Sleep", 20),
                    session(12, "Query", 9, kForTable, "SELECT 1 FROM orders")};
  known.transactions = {transaction(1, 610, "0")};
  known.open_tables = {{"shop", "orders", 1}};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 2);

  // Nor does a thread that sends the binary log.
  known.sessions.push_back(session(4, "Binlog Dump", 900, "Master has sent all binlog to slave"));
  known.sessions.back().kind = "replication";
  CHECK(id_of(analyse_locks(known), analyse_locks(known).suspects.front()) == 2);

  // An ALTER that waits has it open itself.
  known.sessions[2].info = "ALTER TABLE orders ADD x INT";
  CHECK(id_of(analyse_locks(known), analyse_locks(known).suspects.front()) == 1);
  known.open_tables[0].in_use = 2;
  CHECK(id_of(analyse_locks(known), analyse_locks(known).suspects.front()) == 2);
  // A statement at work may use it whatever its text says, and so may one that waits for a row.
  known.sessions.push_back(session(3, "Query", 2, "Sending data", "CALL report()"));
  const LockReport at_work = analyse_locks(known);
  CHECK(id_of(at_work, at_work.suspects.front()) == 1);
  known.sessions.back() = session(3, "Query", 2, "Updating", "UPDATE orders SET v = 1");
  known.transactions.push_back(transaction(3, 2, "9"));
  known.transactions.back().wait_s = 2;
  CHECK(id_of(analyse_locks(known), analyse_locks(known).suspects.front()) == 1);
}

TEST_CASE("nothing is shown: whose transaction works in another schema comes later") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 600), session(2, "Sleep", 20),
                    session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT")};
  known.sessions[0].database = "elsewhere";
  known.transactions = {transaction(1, 610, "0"), transaction(2, 21, "0")};
  known.transactions[0].rows_modified = 5;
  const LockReport report = analyse_locks(known);
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 2);

  // Then whoever sleeps in this one is named as well: LOCK TABLES, HANDLER and MyISAM have no transaction.
  known.transactions.pop_back();
  CHECK(analyse_locks(known).suspects.size() == 2);
  known.sessions[0].database = "shop";
  CHECK(analyse_locks(known).suspects.size() == 1);
}

// The CALL ran for long before its ALTER began to wait; whoever is older than the CALL has nothing to do with it.
TEST_CASE("nothing is shown: nobody is excluded by the time of a whole statement") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 11), session(2, "Sleep", 8),
                    session(12, "Query", 11, kForTable, "alter table orders add x int"),
                    session(13, "Query", 1, kForTable, "SELECT 1 FROM orders")};
  known.transactions = {transaction(1, 11.4, "0"), transaction(2, 8, "0")};
  const LockReport report = analyse_locks(known);
  CHECK(report.roots.empty());
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects[1]) == 2);
  CHECK(report.suspects.front().blocks == 2);  // the ALTER, and the reader behind it
}

TEST_CASE("nothing is shown: who is too young for the first wait may explain another") {
  LockFacts known = blind();
  known.sessions = {session(3, "Sleep", 1), session(2, "Sleep", 5), session(1, "Sleep", 11),
                    session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT"),
                    session(13, "Query", 4, kForTable, "ALTER TABLE items ADD x INT")};
  known.transactions = {transaction(1, 11.4, "0"), transaction(2, 6, "0"), transaction(3, 2, "0")};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.suspects.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(id_of(report, report.suspects[i]) == static_cast<std::int64_t>(i) + 1);
  CHECK(report.suspects[1].reason ==
        "in a transaction older than some of the waits; asleep since before some of the waits; works in shop");
}

TEST_CASE("nothing is shown: of hundreds who only sleep, none keeps a transaction off the list") {
  LockFacts known = blind();
  for (std::int64_t id = 100; id < 400; ++id) known.sessions.push_back(session(id, "Sleep", 60));
  known.sessions.push_back(session(2, "Sleep", 3));
  known.sessions.push_back(session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT"));
  known.transactions = {transaction(2, 4, "0")};
  const LockReport report = analyse_locks(known);
  CHECK(report.suspects.size() == 20);
  CHECK(std::any_of(report.suspects.begin(), report.suspects.end(),
                    [&](const LockRoot& suspect) { return id_of(report, suspect) == 2; }));
}

TEST_CASE("nothing is shown: one of whom only some are seen is not the only one possible") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 600), session(12, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT")};
  CHECK(analyse_locks(known).roots.size() == 1);
  known.sources[0].status = "partial";
  const LockReport report = analyse_locks(known);
  CHECK(report.roots.empty());
  REQUIRE(report.suspects.size() == 1);
  CHECK(id_of(report, report.suspects.front()) == 1);
}

TEST_CASE("nothing is shown: a transaction without a session may hold the row") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 600), session(12, "Query", 9, "Updating", "UPDATE orders SET v = 1")};
  known.transactions = {transaction(12, 10, "7"), transaction(0, 90, "5")};
  known.transactions[0].wait_s = 9;
  known.transactions[1].connection_id.reset();
  known.prepared_xids = {"'pay','',1"};
  const LockReport report = analyse_locks(known);
  CHECK(report.roots.empty());
  REQUIRE(report.suspects.size() == 1);
  CHECK(report.suspects.front().state == "prepared_xa");
  CHECK(report.suspects.front().remedy == "XA ROLLBACK 'pay','',1");
}

TEST_CASE("nothing is shown: FLUSH TABLES WITH READ LOCK is no transaction's") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 60), session(2, "Sleep", 20),
                    session(12, "Query", 10, "Waiting for global read lock", "UPDATE orders SET v = 1")};
  known.transactions = {transaction(1, 60, "0")};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 2);
}

TEST_CASE("nothing is shown: who came behind the first waiter of a table does not explain the second") {
  LockFacts known = blind();
  known.sessions = {session(1, "Sleep", 40), session(2, "Sleep", 6),
                    session(12, "Query", 30, kForTable, "UPDATE orders SET v = 1"),
                    session(13, "Query", 5, kForTable, "UPDATE orders SET v = 2")};
  known.transactions = {transaction(2, 7, "0")};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 1);
}

// MariaDB's BACKUP STAGE BLOCK_DDL does not wait for an ALTER at work, whose lock is shown as it was asked for.
TEST_CASE("a lock that may have become weaker is no observation") {
  LockFacts known = facts(Flavor::mariadb);
  known.sessions = {session(11, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT"), session(12, "Sleep", 20),
                    session(13, "Query", 5, "Waiting for backup lock", "BACKUP STAGE BLOCK_DDL")};
  known.metadata_locks = {lock(11, "SHARED_UPGRADABLE", true), lock(11, "BACKUP_DDL", true, ""),
                          lock(12, "BACKUP_DDL", true, ""), lock(13, "BACKUP_BLOCK_DDL", false, "")};
  for (std::size_t i = 0; i < known.metadata_locks.size(); ++i) {
    known.metadata_locks[i].type_is_current = false;
    if (i > 0) known.metadata_locks[i].object_type = "BACKUP";
    if (i > 0) known.metadata_locks[i].schema = "";
  }
  const LockReport report = analyse_locks(known);
  const auto wait = std::find_if(report.graph.waits.begin(), report.graph.waits.end(),
                                 [&](const LockWait& w) { return report.graph.nodes[w.node].connection_id == 13; });
  REQUIRE(wait != report.graph.waits.end());
  const auto blockers = blockers_of(report.graph, *wait, 9);
  REQUIRE(blockers.size() == 2);
  for (const Blocker* blocker : blockers) {
    const bool locker = report.graph.nodes[blocker->node].connection_id == 12;
    CHECK(blocker->certainty == (locker ? Certainty::observed : Certainty::inferred));
  }
}

// KILL leaves it prepared; XA RECOVER does not tell whose it is.
TEST_CASE("an idle transaction that may be prepared is told so") {
  LockFacts known = facts(Flavor::mariadb);
  known.sessions = {session(11, "Sleep", 600), session(12, "Query", 9, "Updating", "UPDATE orders SET v = 1")};
  known.transactions = {transaction(11, 640, "5"), transaction(12, 9, "7")};
  known.transactions[0].rows_modified = 1;
  RowLockWait row;
  row.waiting_id = 12;
  row.blocking_id = 11;
  row.blocking_trx_id = "5";
  known.row_waits = {row};
  known.prepared_xids = {"'pay','',1"};
  REQUIRE(analyse_locks(known).roots.size() == 1);
  CHECK(analyse_locks(known).roots.front().caution.has_value());
  known.transactions[0].rows_modified = 0;  // then what is prepared holds no row
  CHECK_FALSE(analyse_locks(known).roots.front().caution.has_value());
}

TEST_CASE("of a thousand readers who may hold the row, fifty are listed, and all are counted") {
  LockFacts known = facts(Flavor::mariadb);
  for (std::int64_t id = 100; id < 1100; ++id) {
    known.sessions.push_back(session(id, "Sleep", 600));
    known.transactions.push_back(transaction(id, static_cast<double>(id), "0"));
    known.transactions.back().rows_locked = 1;
  }
  known.sessions.push_back(session(12, "Query", 9, "Updating", "UPDATE orders SET v = 1"));
  RowLockWait row;
  row.waiting_id = 12;
  row.blocking_trx_id = "0";
  known.row_waits = {row};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.graph.waits.size() == 1);
  CHECK(count_blockers(report.graph, report.graph.waits.front()) == 1000);
  CHECK(report.graph.queues[report.graph.waits.front().queue].blockers.size() == kMostCandidates);
  CHECK(report.roots.empty());
  REQUIRE(report.suspects.size() == kMostCandidates);
  CHECK(report.suspects.front().reason == "one of 1000 sessions of which one holds the lock");
  CHECK(id_of(report, report.suspects.front()) == 1099);  // the oldest
}

// MariaDB with the plugin: who holds what is shown, for what is waited is not.
LockFacts plugin() {
  LockFacts out = facts(Flavor::mariadb);
  out.plugin_loaded = true;
  out.instrument_on = false;
  return out;
}
HeldLock seen(std::int64_t id, const char* type, const char* name = "orders", const char* object_type = "TABLE") {
  HeldLock out = lock(id, type, true, name);
  out.object_type = object_type;
  if (out.object_type != "TABLE") out.schema.clear();
  if (out.object_type == "BACKUP") out.name.clear();
  out.seen_in = "metadata_lock_info";
  return out;
}
std::vector<std::int64_t> blockers(const LockReport& report, std::int64_t waiter) {
  std::vector<std::int64_t> out;
  for (const LockWait& wait : report.graph.waits) {
    if (report.graph.nodes[wait.node].connection_id != waiter) continue;
    for (const Blocker* blocker : blockers_of(report.graph, wait, 50))
      out.push_back(report.graph.nodes[blocker->node].connection_id.value_or(-1));
  }
  std::sort(out.begin(), out.end());
  return out;
}
using Ids = std::vector<std::int64_t>;

TEST_CASE("plugin: CREATE TABLE of a table that is there waits for the waiting ALTER, and not for readers") {
  LockFacts known = plugin();
  known.sessions = {session(1, "Sleep", 60), session(2, "Query", 9, kForTable, "ALTER TABLE orders ADD x INT"),
                    session(3, "Query", 5, kForTable, "CREATE TABLE IF NOT EXISTS orders (id INT)")};
  known.metadata_locks = {seen(1, "SHARED_READ"), seen(2, "SHARED_UPGRADABLE")};
  const LockReport report = analyse_locks(known);
  CHECK(blockers(report, 2) == Ids{1});
  CHECK(blockers(report, 3) == Ids{2});
  CHECK(report.graph.queues[report.graph.waits.back().queue].requested == "SHARED_UPGRADABLE");
}

TEST_CASE("plugin: LOCK TABLES READ of a view waits for a writer of what is behind it") {
  LockFacts known = plugin();
  known.sessions = {session(1, "Sleep", 60), session(2, "Sleep", 60),
                    session(3, "Query", 5, kForTable, "LOCK TABLES items READ, sales READ")};
  known.metadata_locks = {seen(1, "SHARED_WRITE"), seen(2, "SHARED_READ"), seen(3, "SHARED_READ"),
                          seen(3, "SHARED_READ", "sales"), seen(3, "SHARED_READ_ONLY", "items")};
  const LockReport report = analyse_locks(known);
  CHECK(blockers(report, 3) == Ids{1});
}

TEST_CASE("plugin: a GET_LOCK without a name in its text waits for the only one that is held") {
  LockFacts known = plugin();
  known.sessions = {session(1, "Sleep", 60), session(2, "Sleep", 600),
                    session(3, "Query", 5, "User lock", "SELECT GET_LOCK(@n, 10)")};
  known.metadata_locks = {seen(1, "SHARED_NO_WRITE", "nightly", "USER LEVEL LOCK")};
  CHECK(blockers(analyse_locks(known), 3) == Ids{1});

  known.sessions.push_back(session(4, "Sleep", 70));
  known.metadata_locks.push_back(seen(4, "SHARED_NO_WRITE", "weekly", "USER LEVEL LOCK"));
  const LockReport two = analyse_locks(known);
  CHECK(blockers(two, 3).empty());
  REQUIRE(two.suspects.size() >= 2);
  CHECK(id_of(two, two.suspects[0]) + id_of(two, two.suspects[1]) == 5);
  CHECK(two.roots.empty());
}

TEST_CASE("names of user locks differ by case on MariaDB, and not on MySQL") {
  for (const Flavor flavor : {Flavor::mariadb, Flavor::mysql}) {
    LockFacts known = facts(flavor);
    HeldLock asked = seen(3, "SHARED_NO_WRITE", "nightly", "USER LEVEL LOCK");
    asked.granted = false;
    known.metadata_locks = {seen(1, "SHARED_NO_WRITE", "nightly", "USER LEVEL LOCK"),
                            seen(2, "SHARED_NO_WRITE", "Nightly", "USER LEVEL LOCK"), asked};
    for (HeldLock& held : known.metadata_locks) held.seen_in = "metadata_locks";
    CHECK(blockers(analyse_locks(known), 3) == (flavor == Flavor::mariadb ? Ids{1} : Ids{1, 2}));
  }
}

TEST_CASE("plugin: SET GLOBAL read_only waits as FLUSH TABLES WITH READ LOCK does, and writers behind it") {
  constexpr const char* kForBackup = "Waiting for backup lock";
  LockFacts known = plugin();
  known.sessions = {session(1, "Sleep", 60), session(2, "Query", 9, kForBackup, "SET GLOBAL read_only = 1"),
                    session(3, "Query", 5, kForBackup, "UPDATE items SET v = 1")};
  known.metadata_locks = {seen(1, "BACKUP_DDL", "", "BACKUP")};
  const LockReport report = analyse_locks(known);
  CHECK(blockers(report, 2) == Ids{1});
  CHECK(blockers(report, 3) == Ids{2});
  CHECK(report.roots.front().state == "lock_tables");  // nothing else keeps that lock from one statement to the next
  for (const LockWait& wait : report.graph.waits) CHECK(report.graph.queues[wait.queue].kind == WaitKind::global_read);
}

TEST_CASE("plugin: what a cascade, a routine or an account statement opens") {
  LockFacts known = plugin();
  known.sessions = {session(1, "Sleep", 60), session(2, "Query", 9, kForTable, "TRUNCATE TABLE child"),
                    session(3, "Query", 8, kForTable, "DELETE FROM parent WHERE id = 2"),
                    session(4, "Query", 7, kForTable, "ALTER TABLE parent ADD x INT")};
  known.metadata_locks = {seen(1, "SHARED_READ", "child"), seen(3, "SHARED_WRITE", "parent"),
                          seen(4, "SHARED_UPGRADABLE", "parent")};
  CHECK(blockers(analyse_locks(known), 3) == Ids{2});

  known.sessions = {session(1, "Sleep", 60), session(2, "Query", 9, kForTable, "CALL p()"),
                    session(3, "Query", 8, kForTable, "SELECT f()")};
  known.metadata_locks = {seen(1, "SHARED_NO_READ_WRITE")};
  const LockReport routines = analyse_locks(known);
  CHECK(blockers(routines, 2) == Ids{1});
  CHECK(blockers(routines, 3) == Ids{1});

  known.sessions = {session(1, "Sleep", 60), session(2, "Query", 9, kForTable, "CREATE USER x")};
  known.metadata_locks = {seen(1, "SHARED_NO_READ_WRITE", "db")};
  known.metadata_locks.front().schema = "mysql";
  CHECK(blockers(analyse_locks(known), 2) == Ids{1});
}

TEST_CASE("plugin: where nobody explains a wait, whoever holds something comes before those who sleep") {
  LockFacts known = plugin();
  known.sessions = {session(1, "Sleep", 600), session(2, "Sleep", 60), session(4, "Sleep", 60),
                    session(3, "Query", 9, kForTable, "LOCK TABLES view_of_view WRITE"),
                    session(5, "Query", 5, kForTable, "SELECT * FROM items")};
  known.metadata_locks = {seen(2, "SHARED_READ"), seen(4, "SHARED_NO_READ_WRITE", "items"),
                          seen(3, "SHARED_NO_READ_WRITE", "view_of_view")};
  const LockReport report = analyse_locks(known);
  CHECK(blockers(report, 5) == Ids{4});
  REQUIRE(report.suspects.size() == 2);
  CHECK(id_of(report, report.suspects.front()) == 4);
  CHECK(id_of(report, report.suspects.back()) == 2);
  CHECK(report.suspects.back().reason.find("holds SHARED_READ on shop.orders") != std::string::npos);
  std::set<std::size_t> nodes;
  for (const LockRoot& root : report.roots) CHECK(nodes.insert(root.node).second);
}

// MariaDB with both: performance_schema tells who waits, and shows granted locks as they were asked for; the plugin
// tells what they are now.
LockFacts both() {
  LockFacts out = facts(Flavor::mariadb);
  out.plugin_loaded = true;
  return out;
}
HeldLock as_requested(HeldLock held) {
  held.type_is_current = false;
  return held;
}

TEST_CASE("plugin and performance_schema: one lock that both show is one observed edge, of the type that it has") {
  LockFacts known = both();
  known.sessions = {session(1, "Sleep", 60), session(2, "Query", 5, kForTable, "UPDATE orders SET v = 1")};
  known.metadata_locks = {seen(1, "SHARED_READ_ONLY"), as_requested(lock(1, "SHARED_READ", true)),
                          as_requested(lock(2, "SHARED_WRITE", false))};
  const LockReport report = analyse_locks(known);
  CHECK(report.method == LockMethod::plugin_and_performance_schema);
  REQUIRE(report.graph.waits.size() == 1);
  const auto edges = blockers_of(report.graph, report.graph.waits.front(), 9);
  REQUIRE(edges.size() == 1);
  CHECK(report.graph.nodes[edges[0]->node].connection_id == 1);
  CHECK(edges[0]->lock == "SHARED_READ_ONLY");
  CHECK(edges[0]->how == How::granted);
  CHECK(edges[0]->certainty == Certainty::observed);
  REQUIRE(report.roots.size() == 1);
  CHECK(id_of(report, report.roots.front()) == 1);
  CHECK(report.roots.front().state == "lock_tables");
}

TEST_CASE("plugin and performance_schema: who asked for more than it has by now stands in nobody's way") {
  LockFacts known = both();
  known.sessions = {session(1, "Query", 9, "copy to tmp table", "ALTER TABLE items ADD x INT"), session(2, "Sleep", 60),
                    session(3, "Query", 5, "Waiting for backup lock", "BACKUP STAGE BLOCK_DDL")};
  for (const bool plugin : {true, false}) {
    for (const std::int64_t id : {1, 2}) {
      HeldLock held = seen(id, plugin && id == 1 ? "BACKUP_ALTER_COPY" : "BACKUP_DDL", "", "BACKUP");
      if (!plugin) held.seen_in = "metadata_locks";
      known.metadata_locks.push_back(plugin ? held : as_requested(held));
    }
  }
  HeldLock asked = seen(3, "BACKUP_BLOCK_DDL", "", "BACKUP");
  asked.seen_in = "metadata_locks";
  asked.granted = false;
  known.metadata_locks.push_back(as_requested(asked));
  CHECK(blockers(analyse_locks(known), 3) == Ids{2});
}

TEST_CASE("MariaDB's performance_schema: what LOCK TABLES READ waits for has no name there") {
  LockFacts known = facts(Flavor::mariadb);
  known.sessions = {session(1, "Sleep", 60), session(2, "Sleep", 60), session(3, "Query", 5, kForTable)};
  known.metadata_locks = {lock(1, "SHARED_READ", true), lock(2, "SHARED_WRITE", true), lock(3, "SHARED_READ", true),
                          lock(3, "", false)};
  for (HeldLock& held : known.metadata_locks) held.type_is_current = false;
  const LockReport report = analyse_locks(known);
  CHECK(blockers(report, 3) == Ids{2});
  CHECK(report.roots.front().certainty == Certainty::observed);
}

TEST_CASE("names are compared in lower case where the server does so") {
  for (const bool folds : {true, false}) {
    LockFacts known = plugin();
    known.folds_case = folds;
    known.sessions = {session(1, "Sleep", 60), session(2, "Query", 9, kForTable, "TRUNCATE TABLE SHOP.Orders")};
    known.metadata_locks = {seen(1, "SHARED_READ")};
    LockReport report = analyse_locks(known);
    CHECK(blockers(report, 2) == (folds ? Ids{1} : Ids{}));
    keep_table(report, "Shop", "ORDERS");
    CHECK(report.shown.size() == (folds ? 1 : 0));
    CHECK(report.elsewhere == (folds ? 0 : 1));
  }
}

TEST_CASE("who rolls back already is not to be killed") {
  LockFacts known = facts();
  known.sessions = {session(1, "Killed", 9), session(2, "Query", 5)};
  known.transactions = {transaction(1, 60)};
  known.transactions.front().rows_modified = 900;
  known.metadata_locks = {lock(1, "SHARED_WRITE", true), lock(2, "EXCLUSIVE", false)};
  const auto check = [&](const char* what) {
    CAPTURE(what);
    const LockReport report = analyse_locks(known);
    REQUIRE(report.roots.size() == 1);
    CHECK(report.roots.front().state == "rolling_back");
    CHECK(report.roots.front().remedy.empty());
    CHECK_FALSE(report.roots.front().prevention);
    CHECK(report.roots.front().rows_modified == 900);
  };
  check("killed");
  known.sessions.front() = session(1, "Query", 9, "", "/* why */ rollback");
  check("its statement is ROLLBACK");
  known.sessions.front() = session(1, "Sleep", 9);
  known.transactions.front().rolling_back = true;
  check("InnoDB says so");
  known.sessions.front() = session(1, "Query", 9, "", "ROLLBACK TO SAVEPOINT x");
  known.transactions.front().rolling_back = false;
  CHECK(analyse_locks(known).roots.front().state == "running");
}

TEST_CASE("a transaction of no session that rolls back since a restart is not prepared") {
  LockFacts known = facts();
  known.sessions = {session(2, "Query", 5)};
  LockTransaction recovered = transaction(0, 60, "77");
  recovered.connection_id.reset();
  recovered.rolling_back = true;
  recovered.rows_modified = 900;
  known.transactions = {recovered};
  RowLockWait row;
  row.waiting_id = 2;
  row.blocking_trx_id = "77";
  known.row_waits = {row};
  const LockReport report = analyse_locks(known);
  REQUIRE(report.roots.size() == 1);
  CHECK(report.roots.front().state == "rolling_back");
  CHECK(report.roots.front().remedy.empty());
  CHECK(report.roots.front().rows_modified == 900);
}

// MariaDB's InnoDB asks for SHARED on a stalled table in one of its own threads, which nobody can kill.
TEST_CASE("a background thread that asks for a lock neither waits nor is anybody's root") {
  Store store;
  store.insert("server", {"server_id", "flavor", "version"}).row(1, "mariadb", "11.8.6");
  store.insert("fact_source", {"server_id", "source", "status"}).row(1, "metadata_locks", "read");
  {
    Insert sessions = store.insert("sessions", {"server_id", "processlist_id", "command", "time_s", "kind"});
    sessions.row(1, 7, "Sleep", 60, "client");
    sessions.row(1, 8, "Query", 9, "client");
    sessions.row(1, 9, "Query", 5, "client");
    Insert locks = store.insert(
        "metadata_locks", {"server_id", "processlist_id", "owner_thread_id", "owner", "object_type", "object_schema",
                           "object_name", "lock_type", "lock_status", "lock_type_is", "seen_in"});
    const auto add = [&locks](std::optional<std::int64_t> id, std::int64_t thread, const char* owner, const char* type,
                              const char* status) {
      locks.row(1, id, thread, owner, "TABLE", "shop", "orders", type, status, "as_requested", "metadata_locks");
    };
    add(7, 107, "session", "SHARED_READ", "GRANTED");
    add(8, 108, "session", "EXCLUSIVE", "PENDING");
    add({}, 31, "background", "SHARED", "PENDING");
    add({}, 32, "background", "EXCLUSIVE", "PENDING");  // in the way of 9, were it a session's
    add(9, 109, "session", "SHARED_READ", "PENDING");
  }
  LockFacts known = read_lock_facts(store, 1);
  CHECK(known.metadata_locks.size() == 3);
  const auto check = [&] {
    const LockReport report = analyse_locks(known);
    CHECK(report.graph.nodes.size() == 3);
    CHECK(report.graph.waits.size() == 2);
    CHECK(blockers(report, 8) == Ids{7});
    CHECK(blockers(report, 9) == Ids{8});
    REQUIRE(report.roots.size() == 1);
    CHECK(id_of(report, report.roots.front()) == 7);
    CHECK(report.roots.front().blocks == 2);
    CHECK(report.suspects.empty());
  };
  check();
  // Nor where it is not known that it is one.
  for (const char* type : {"SHARED", "EXCLUSIVE"}) {
    HeldLock asked = lock(0, type, false);
    asked.connection_id.reset();
    asked.thread_id = 31;
    known.metadata_locks.push_back(asked);
  }
  check();
}

TEST_CASE("nobody waits") {
  LockFacts known = facts();
  known.sessions = {session(1, "Sleep", 600)};
  known.metadata_locks = {lock(1, "SHARED_READ", true)};
  const LockReport report = analyse_locks(known);
  CHECK(report.graph.waits.empty());
  CHECK(report.roots.empty());
  CHECK(report.incomplete.empty());
}

TEST_CASE("that nobody waits for a row is only known from InnoDB") {
  LockFacts known = facts(Flavor::mariadb);
  known.sessions = {session(1, "Sleep", 600)};
  known.sources = {{"sessions", "read", 1, {}, {}},
                   {"transactions", "unavailable", {}, {}, {}},
                   {"row_lock_waits", "partial", 1, {}, {}}};
  CHECK(analyse_locks(known).incomplete.empty());
  known.row_waits.emplace_back();  // whose transactions they are is not known
  CHECK(analyse_locks(known).incomplete == "who waits for a row could not be read");
  known.row_waits.clear();
  known.sources[2].status = "unavailable";
  CHECK(analyse_locks(known).incomplete == "who waits for a row could not be read");
  known.sources[1].status = "read";
  CHECK(analyse_locks(known).incomplete.empty());
  known.sources[0].status = "partial";
  CHECK(analyse_locks(known).incomplete == "the process list is not complete");
}

TEST_CASE("one table of two is asked for") {
  LockFacts known = facts();
  known.metadata_locks = {lock(1, "SHARED_READ", true), lock(2, "EXCLUSIVE", false),
                          lock(3, "SHARED_READ", true, "items"), lock(4, "EXCLUSIVE", false, "items")};
  LockReport report = analyse_locks(known);
  CHECK(report.roots.size() == 2);
  keep_table(report, "shop", "items");
  CHECK(report.shown.size() == 1);
  REQUIRE(report.roots.size() == 1);
  CHECK(id_of(report, report.roots.front()) == 3);
}

TEST_CASE("whether it is a person, is not known without the patterns of programs that people use") {
  Store store(Tables::without_wide);
  store.insert("sessions", {"server_id", "processlist_id"}).row(1, 1);
  store.insert("connection_attributes", {"server_id", "processlist_id", "program_name"}).row(1, 1, "app");
  LockFacts known = facts();
  known.sessions = {session(1, "Sleep", 9)};
  known.metadata_locks = {lock(1, "SHARED_READ", true), lock(2, "EXCLUSIVE", false)};
  LockReport report = analyse_locks(known);
  identify_people(report, store, 1);
  CHECK_FALSE(report.roots.front().human.has_value());
  store.insert("human_client", {"name", "attribute", "pattern"}).row("DataGrip", "program_name", "datagrip*");
  identify_people(report, store, 1);
  CHECK(report.roots.front().human == false);
}

// 10,000 readers, 5,000 who wait for them and 5,000 who wait behind those: pairs would be a hundred million.
TEST_CASE("memory and time grow with locks plus waiters") {
  LockFacts known = facts();
  constexpr std::int64_t kMany = 5000;
  for (std::int64_t id = 1; id <= 2 * kMany; ++id) known.metadata_locks.push_back(lock(id, "SHARED_READ", true));
  for (std::int64_t id = 1; id <= kMany; ++id) {
    known.metadata_locks.push_back(lock(20000 + id, "EXCLUSIVE", false));
    known.metadata_locks.push_back(lock(40000 + id, "SHARED_READ", false));
  }
  const auto begin = std::chrono::steady_clock::now();
  const LockReport report = analyse_locks(known);
  const WaitForest forest = grow_forest(report);
  CHECK(report.roots.size() == 2 * kMany);
  CHECK(report.roots.front().blocks == 2 * kMany);
  std::size_t entries = 0;
  for (const LockQueue& queue : report.graph.queues) entries += queue.blockers.size() + queue.waits.size();
  CHECK(entries <= 5 * kMany);
  CHECK(blockers_of(report.graph, report.graph.waits.front(), 50).size() == 50);
  CHECK(forest.orphans.empty());
  // A hundred million steps take longer than this even on a slow machine with sanitizers.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

// The store of `dbaudit locks` holds its thousands of rows, that of a snapshot has them in SQLite.
TEST_CASE("held sessions and transactions are read as those in SQLite are") {
  const auto facts_of = [](Tables tables) {
    Store store(tables);
    store.insert("server", {"server_id", "flavor", "version"}).row(2, "mariadb", "11.8.6");
    store.insert("fact_source", {"server_id", "source", "status", "rows"}).row(2, "sessions", "read", 2);
    {
      Insert sessions = store.insert("sessions");
      sessions.row(1, 7, 70, "other server", nullptr, nullptr, nullptr, "Query", 1.5, nullptr, nullptr, "client");
      sessions.row(2, 7, nullptr, "app", "10.0.0.7:4711", "10.0.0.7", "shop", "Sleep", 1.25, "", nullptr, "client");
      sessions.row(2, 8, 80, "", nullptr, nullptr, nullptr, "Query", nullptr, "Waiting for table metadata lock",
                   "ALTER TABLE t ADD c INT", "self");
    }
    {
      Insert transactions = store.insert("transactions");
      transactions.row(2, 7, "421", "RUNNING", 60, nullptr, nullptr, nullptr, 3, 0, nullptr, "innodb_trx");
      transactions.row(2, 9, "9", "RUNNING", std::nan(""), 0, nullptr, nullptr, 0, 0, nullptr, "innodb_trx");
      transactions.row(2, nullptr, nullptr, "ROLLING BACK", 0.5, 2, "READ COMMITTED", "READ ONLY", nullptr, 900, 1,
                       "events_transactions_current");
    }
    return read_lock_facts(store, 2);
  };
  const LockFacts held = facts_of(Tables::of_locks);
  const LockFacts stored = facts_of(Tables::all);
  REQUIRE(held.sessions.size() == 2);
  REQUIRE(stored.sessions.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const LockSession& a = held.sessions[i];
    const LockSession& b = stored.sessions[i];
    CHECK(std::tie(a.connection_id, a.user, a.host, a.database, a.command, a.time_s, a.state, a.info, a.kind) ==
          std::tie(b.connection_id, b.user, b.host, b.database, b.command, b.time_s, b.state, b.info, b.kind));
  }
  CHECK(held.sessions[0].user == "app");
  CHECK(held.sessions[0].state == "");
  CHECK_FALSE(held.sessions[0].info);
  REQUIRE(held.transactions.size() == 3);
  REQUIRE(stored.transactions.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const LockTransaction& a = held.transactions[i];
    const LockTransaction& b = stored.transactions[i];
    CHECK(std::tie(a.connection_id, a.trx_id, a.age_s, a.wait_s, a.rows_locked, a.rows_modified, a.in_innodb,
                   a.rolling_back) == std::tie(b.connection_id, b.trx_id, b.age_s, b.wait_s, b.rows_locked,
                                               b.rows_modified, b.in_innodb, b.rolling_back));
  }
  CHECK(held.transactions[0].age_s == 60);
  CHECK_FALSE(held.transactions[1].age_s);
  CHECK(held.transactions[2].rolling_back);
}

}  // namespace
}  // namespace dbaudit

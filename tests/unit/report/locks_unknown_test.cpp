// Stalls of which a server shows one part and hides another.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "report/locks.h"
#include "stall.h"

namespace dbaudit {
namespace {

using nlohmann::json;

std::string text_of(const LockReport& report) { return on_one_line(render_locks_text(report, {})); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

LockFacts without_waits() {
  LockFacts facts = stall(0);
  facts.metadata_locks.clear();
  facts.row_waits.clear();
  std::erase_if(facts.sessions, [](const LockSession& one) { return one.connection_id == 12; });
  return facts;
}

void add_transaction(LockFacts& facts, std::int64_t id, double age_s) {
  LockTransaction transaction;
  transaction.connection_id = id;
  transaction.trx_id = "0";
  transaction.age_s = age_s;
  transaction.rows_locked = 1;
  facts.transactions.push_back(transaction);
}

// `readers` with row locks, of whom MariaDB tells only that one of them is in the way of connection 60.
void add_readers(LockFacts& facts, int readers) {
  facts.version = {Flavor::mariadb, {11, 8, 6}};
  for (int i = 0; i < readers; ++i) {
    facts.sessions.push_back(session(1000 + i, "report", "Sleep", 30));
    add_transaction(facts, 1000 + i, 31);
  }
  facts.sessions.push_back(session(60, "app", "Query", 7, "UPDATE prices SET p = 2"));
  facts.sessions.back().state = "updating";
  RowLockWait row;
  row.waiting_id = 60;
  row.blocking_trx_id = "0";
  row.requested_mode = "X";
  row.blocking_mode = "S";
  row.lock_type = "RECORD";
  row.schema = "shop";
  row.name = "prices";
  facts.row_waits.push_back(row);
}

TEST_CASE("one stall has a root, and nobody shows who holds the other") {
  const LockReport report = finished(half_blind());
  REQUIRE(report.roots.size() == 1);
  REQUIRE(report.suspects.size() == 2);
  const std::string verdict =
      "3 sessions wait; 1 holds up 1 of them, connection 40 (app@10.0.0.5:52040): idle in a transaction for 3 s; who "
      "holds up the other 2 is not shown, connection 11 (ann@10.0.0.5:52011) is the likeliest: idle in a transaction "
      "for 10 min 12 s.";
  const std::string text = text_of(report);
  CHECK(has(text, verdict));
  CHECK(has(text, "What to do 1. Ask the owner of connection 40"));
  CHECK(has(text, "Who may hold up the other 2, likeliest first 1. Ask the owner of connection 11"));
  CHECK(has(text, "or end it: KILL 11. 2 sessions wait for what it may hold"));
  CHECK(
      has(text, "behind nobody that this server shows (suspected: connection 11 (ann@10.0.0.5:52011), connection 40"));
  const std::string page = render_locks_html(report);
  CHECK(has(page, verdict));
  CHECK(has(page, "<h2>Who may hold up the other 2, likeliest first</h2>"));
  CHECK(has(page, "<li class=\"first guess\">Ask the owner of connection 11"));
  CHECK(has(page, "<li class=\"first\">Ask the owner of connection 40"));
}

TEST_CASE("where all that nobody explains is brief, nobody is accused of it") {
  LockFacts facts = half_blind();
  for (LockSession& one : facts.sessions) {
    if (one.connection_id == 12 || one.connection_id == 100) one.time_s = 0.4;
  }
  const std::string text = text_of(finished(facts));
  CHECK(has(text, "1 session waits (2 more for less than 1 s); one holds them up, connection 40"));
  CHECK_FALSE(has(text, "KILL 11"));
}

TEST_CASE("one of several beside a root") {
  LockFacts facts = stall(1);
  add_readers(facts, 2);
  const LockReport report = finished(facts);
  REQUIRE(report.roots.size() == 2);
  REQUIRE(report.suspects.size() == 2);
  const std::string text = text_of(report);
  CHECK(has(text, "4 sessions wait; 2 hold up 3 of them, first of all connection 11"));
  CHECK(has(text, "who holds up the other one is not told, one of 2 does; the first of them is connection 1000"));
  CHECK(has(text, "Who may hold up the other one, likeliest first 1. Ask the owner of connection 1000"));
  CHECK(has(text, "└─ 60 app"));
  CHECK(has(text, "another of them: connection 1001 (report@10.0.0.5:53001)"));
}

TEST_CASE("one of very many") {
  LockFacts facts = without_waits();
  add_readers(facts, 400);
  const LockReport report = finished(facts);
  REQUIRE(report.suspects.size() == kMostCandidates);
  REQUIRE(report.unlisted_suspects == 350);
  const std::string text = render_locks_text(report, {});
  CHECK(std::count(text.begin(), text.end(), '\n') < 40);
  CHECK(has(on_one_line(text), "connection 1003 (report@10.0.0.5:53003) and 396 more"));
  const json parsed = json::parse(render_locks_json(report));
  CHECK(parsed["suspects"].size() == 50);
  CHECK(parsed["suspects_count"] == 400);
  CHECK(render_locks_html(report).size() < 60'000);
  CHECK(has(render_locks_dot(report), "and 395 more who may block"));
}

TEST_CASE("a suspect is named once, with all its reasons") {
  LockFacts facts = half_blind();
  add_readers(facts, 2);
  const LockReport report = finished(facts);
  std::set<std::size_t> nodes;
  for (const LockRoot& suspect : report.suspects) CHECK(nodes.insert(suspect.node).second);
  const auto reader = std::find_if(report.suspects.begin(), report.suspects.end(), [&](const LockRoot& suspect) {
    return report.graph.nodes[suspect.node].connection_id == 1000;
  });
  REQUIRE(reader != report.suspects.end());
  CHECK(has(reader->reason, "one of 2 sessions of which one holds the lock; idle in a transaction"));
  CHECK(reader->blocks == 3);
}

TEST_CASE("roots that the page has no room for are counted, and so is who waits behind them") {
  LockFacts facts = without_waits();
  for (int i = 0; i < 9; ++i) {
    RowLockWait row;
    row.waiting_id = 500 + i;
    row.blocking_id = 400 + i;
    row.blocking_trx_id = std::to_string(400 + i);
    row.schema = "shop";
    row.name = "carts";
    facts.row_waits.push_back(row);
  }
  const std::string text = text_of(finished(facts));
  CHECK(has(text, "... and 4 more who block └─ and 4 more waiting for an InnoDB lock on shop.carts"));
}

// --- one table

TEST_CASE("a wait of which nobody knows for which table, is not elsewhere") {
  LockFacts facts = without_waits();
  facts.transactions.clear();
  add_transaction(facts, 41, 8);
  facts.transactions.back().wait_s = 2.5;  // INNODB_TRX says that it waits, and nothing says for what
  LockReport report = finished(facts);
  REQUIRE(report.shown.size() == 1);
  keep_table(report, "shop", "orders");
  CHECK(report.shown.size() == 1);
  CHECK(report.elsewhere == 0);
  CHECK(count_waits(report) == 1);
  CHECK(has(text_of(report), "This server does not tell for which table 1 of them waits."));
  CHECK(json::parse(render_locks_json(report))["waits_of_unknown_object"] == 1);

  report = finished(facts);
  report.graph.queues.front().object.schema = "shop";  // behind a trigger: it must be in the trigger's schema
  LockReport other = report;
  keep_table(report, "SHOP", "orders");
  CHECK(report.elsewhere == 1);
  keep_table(other, "shop", "orders");
  CHECK((other.shown.size() == 1 && other.perhaps == 1));
  other = finished(facts);
  other.graph.queues.front().object = {"USER LEVEL LOCK", "", ""};
  keep_table(other, "shop", "orders");
  CHECK(other.elsewhere == 1);
}

TEST_CASE("of one table, only its own suspects") {
  LockReport rows = finished(half_blind());
  keep_table(rows, "shop", "carts");
  CHECK(rows.roots.size() == 1);
  CHECK(rows.suspects.empty());
  LockReport table = finished(half_blind());
  keep_table(table, "shop", "orders");
  CHECK(table.roots.empty());
  CHECK(table.suspects.size() == 2);

  LockFacts facts = half_blind();  // only one who may be it
  facts.row_waits.clear();
  std::erase_if(facts.sessions,
                [](const LockSession& one) { return one.connection_id >= 40 && one.connection_id < 100; });
  LockReport alone = finished(facts);
  REQUIRE(alone.roots.size() == 1);
  keep_table(alone, "shop", "orders");
  CHECK(has(text_of(alone), "who holds the lock is not shown, but nobody is there except connection 11"));
}

// --- many objects

TEST_CASE("two hundred tables, one waiter each") {
  LockFacts facts = without_waits();
  for (int i = 0; i < 200; ++i) {
    const std::string table = "t" + std::to_string(i);
    facts.metadata_locks.push_back(lock(11, "SHARED_NO_READ_WRITE", true, table));
    facts.metadata_locks.push_back(lock(1000 + i, "SHARED_READ", false, table));
    facts.sessions.push_back(session(1000 + i, "app", "Query", 8, "SELECT * FROM " + table));
  }
  const LockReport report = finished(facts);
  REQUIRE(report.shown.size() == 200);
  const std::string text = render_locks_text(report, {});
  CHECK(std::count(text.begin(), text.end(), '\n') < 30);
  CHECK(has(text, "and 194 more waiting for 194 other objects"));
  const std::string graph = render_locks_dot(report);
  CHECK(count(graph, " more waiting for ") == 6);
  CHECK(has(graph, "and 190 more waiting for 190 other objects"));
}

}  // namespace
}  // namespace dbaudit

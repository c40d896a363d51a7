#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "golden.h"
#include "report/locks.h"
#include "stall.h"

namespace dbaudit {
namespace {

LockReport example() {
  LockReport report = finished(stall());
  report.roots.front().program_name = "DataGrip";
  report.roots.front().human = true;
  return report;
}

// Two who wait for each other, and one behind them.
LockReport cycle() {
  LockFacts facts = stall(1);
  facts.metadata_locks.front() = lock(41, "SHARED_WRITE", true);
  facts.row_waits.front().blocking_id = 12;
  facts.row_waits.front().blocking_trx_id = "12";
  return finished(facts);
}

std::vector<std::string> all_formats(const LockReport& report) {
  return {render_locks_text(report, {}), render_locks_json(report), render_locks_dot(report),
          render_locks_html(report)};
}

TEST_CASE("locks as text") { check_golden("locks.txt", render_locks_text(example(), {})); }
TEST_CASE("locks as JSON") { check_golden("locks.json", render_locks_json(example())); }
TEST_CASE("locks as a graph") { check_golden("locks.dot", render_locks_dot(example())); }
TEST_CASE("locks as a page") { check_golden("locks.html", render_locks_html(example())); }

TEST_CASE("nothing that a server sends breaks out of its place") {
  const std::string hostile =
      "\x1b[2J\x07 \"q' \\ \\N \r\n</svg><script>alert(1)</script><!-- ]]> &lt; \xff\xfe \xc2\x9b \xe2\x80\xae "
      "\xe2\x81\xa6 "
      "{x|y} \xf0\x9f\x99\x82";
  LockFacts facts = stall();
  for (LockSession& one : facts.sessions) {
    one.user = one.host = one.last_statement = hostile;
    if (one.info) one.info = hostile;
  }
  for (HeldLock& held : facts.metadata_locks) held.name = hostile;
  facts.row_waits.front().name = hostile;
  facts.sources.front().reason = facts.sources.front().remedy = hostile;
  facts.sources.front().status = "partial";
  LockReport report = finished(facts);
  report.server_name = hostile;
  for (LockRoot& root : report.roots) {
    root.program_name = root.xid = hostile;
    root.reason = hostile;
  }
  for (const std::string& text : all_formats(report)) {
    CHECK(is_valid_utf8(text));
    CHECK(std::none_of(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f; }));
    for (const char* raw : {"\xc2\x9b", "\xe2\x80\xae", "\xe2\x81\xa6"}) CHECK(text.find(raw) == std::string::npos);
  }
  CHECK(nlohmann::json::parse(render_locks_json(report))["roots"][0]["program_name"].is_string());
  const std::string page = render_locks_html(report);
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("<!--") == std::string::npos);
  CHECK(count(page, "</svg>") == 1);
  // Every quote of a graph opens or closes a string; what is inside stays there.
  std::istringstream lines(render_locks_dot(report));
  for (std::string line; std::getline(lines, line);) {
    bool inside = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (inside && line[i] == '\\') {
        ++i;
      } else if (line[i] == '"') {
        inside = !inside;
      }
      CHECK_FALSE((inside && line[i] == '<'));
    }
    CHECK_FALSE(inside);
  }
}

TEST_CASE("a cycle is drawn once round, and its members are named") {
  const LockReport report = cycle();
  REQUIRE(report.cycles.size() == 1);
  for (const std::string& text : all_formats(report)) {
    CHECK(text.size() < 20'000);
    CHECK(text.find("12") != std::string::npos);
    CHECK(text.find("41") != std::string::npos);
  }
  const std::string graph = render_locks_dot(report);
  CHECK(count(graph, " -> ") == report.shown.size());
}

TEST_CASE("thousands who wait are counted, not drawn") {
  const LockReport report = finished(stall(5000));
  CHECK(render_locks_dot(report).find("and 4,995 more waiting for shop.orders") != std::string::npos);
  const std::string page = render_locks_html(report);
  CHECK(page.find("and 4,995 more waiting for shop.orders") != std::string::npos);
  CHECK(page.size() < 60'000);
}

TEST_CASE("thousands who block are counted, and each wait is drawn once") {
  LockFacts facts = stall(0);
  for (int i = 0; i < 3000; ++i) facts.metadata_locks.push_back(lock(1000 + i, "SHARED_READ", true));
  const LockReport report = finished(facts);
  const std::string graph = render_locks_dot(report);
  CHECK(graph.find("more who block") != std::string::npos);
  CHECK(count(graph, "EXCLUSIVE on shop.orders") == 1);
  CHECK(render_locks_html(report).size() < 60'000);
}

TEST_CASE("a chain as long as a queue is cut, and all of it counted") {
  LockFacts facts = stall(0);
  facts.row_waits.clear();
  for (int i = 0; i < 2000; ++i) {
    RowLockWait row;
    row.waiting_id = 5001 + i;
    row.blocking_id = 5000 + i;
    row.blocking_trx_id = std::to_string(5000 + i);
    facts.row_waits.push_back(row);
    facts.sessions.push_back(session(5001 + i, "app", "Query", 5, "UPDATE t SET v = 1"));
  }
  const LockReport report = finished(facts);
  CHECK(render_locks_dot(report).find("and 1,991 more waiting for an InnoDB lock") != std::string::npos);
  CHECK(render_locks_html(report).size() < 60'000);
}

std::size_t widest(const std::string& text) {
  std::size_t most = 0;
  for (const std::string& line : split(text, '\n')) most = std::max(most, display_width(line));
  return most;
}

TEST_CASE("no line is wider than the page, and what is to be typed is not broken") {
  LockFacts facts = stall(40);
  for (HeldLock& held : facts.metadata_locks) held.name = std::string(64, 'x');
  CHECK(widest(render_locks_text(finished(facts), {})) <= 80);
  for (std::size_t user = 1; user < 40; ++user) {
    facts.sessions[0].user = std::string(user, 'u');
    CHECK(render_locks_text(finished(facts), {}).find("KILL 11") != std::string::npos);
  }
}

TEST_CASE("of a cycle: one KILL is enough") {
  const std::string text = on_one_line(render_locks_text(cycle(), {}));
  CHECK(text.find("of them wait for each other in a circle, which no server ends: one KILL is enough") !=
        std::string::npos);
}

TEST_CASE("what is brief is nobody's reason to kill") {
  LockReport report = finished(stall());
  report.min_wait_s = 3600;
  CHECK(render_locks_text(report, {}).find("KILL") == std::string::npos);
}

TEST_CASE("who rolls back already is to be waited for") {
  LockFacts facts = stall();
  facts.sessions[0].command = "Killed";
  facts.transactions[0].rows_modified = 900;
  const std::string text = on_one_line(render_locks_text(finished(facts), {}));
  CHECK(text.find("Connection 11 (ann@10.0.0.5:52011) is rolling back already: nothing to kill, wait (900 changed rows "
                  "left to undo). 13 sessions wait behind it") != std::string::npos);
  CHECK(text.find("KILL 11") == std::string::npos);

  facts.transactions[1].connection_id.reset();
  facts.transactions[1].rolling_back = true;
  facts.row_waits.front().blocking_id.reset();
  const std::string recovered = on_one_line(render_locks_text(finished(facts), {}));
  CHECK(
      recovered.find("A transaction that the server rolls back since its restart: nothing to kill, wait (1 changed row "
                     "left to undo). 1 session waits behind it") != std::string::npos);
  CHECK(recovered.find("XA") == std::string::npos);
}

TEST_CASE("a session of the server's own has no host") {
  LockFacts facts = stall();
  facts.sessions[0].user = "system user";
  facts.sessions[0].host = "";
  CHECK(render_locks_text(finished(facts), {}).find("connection 11 (system user)") != std::string::npos);
}

TEST_CASE("the only other session: who holds the lock is not shown, and those who wait stand below") {
  LockFacts blind = stall(1);
  blind.version = {Flavor::mariadb, {11, 8, 6}};
  blind.instrument_on = false;
  blind.metadata_locks.clear();
  blind.row_waits.clear();
  blind.sources[1].status = "unavailable";
  std::erase_if(blind.sessions,
                [](const LockSession& one) { return one.connection_id == 40 || one.connection_id == 41; });
  const LockReport report = finished(blind);
  REQUIRE(report.roots.size() == 1);
  const std::string text = on_one_line(render_locks_text(report, {}));
  CHECK(text.find("2 sessions wait; who holds the lock is not shown, but nobody is there except connection 11") !=
        std::string::npos);
  CHECK(text.find("2 sessions wait for what it may hold") != std::string::npos);
  CHECK(text.find("may hold up those below") != std::string::npos);
  CHECK(text.find("shown above") == std::string::npos);
}

TEST_CASE("a table for which nobody waits, in a stall") {
  LockReport report = finished(stall());
  keep_table(report, "shop", "items");
  const std::string text = render_locks_text(report, {});
  CHECK(text.find("Nobody waits for a lock on shop.items; 14 sessions wait elsewhere.") != std::string::npos);
  CHECK(render_locks_json(report).find("\"waits_elsewhere\": 14") != std::string::npos);
}

TEST_CASE("nobody waits, or nobody knows for whom") {
  LockFacts quiet = stall(0);
  quiet.metadata_locks.clear();
  quiet.row_waits.clear();
  quiet.sessions.clear();
  for (const std::string& text : all_formats(finished(quiet))) CHECK_FALSE(text.empty());

  LockFacts blind = stall();
  blind.version = {Flavor::mariadb, {11, 8, 6}};
  blind.instrument_on = false;
  blind.metadata_locks.clear();
  blind.row_waits.clear();
  blind.sources[1].status = "unavailable";
  const LockReport report = finished(blind);
  CHECK(render_locks_dot(report).find("style=dashed") != std::string::npos);
  CHECK(render_locks_html(report).find("guess") != std::string::npos);
}

}  // namespace
}  // namespace dbaudit

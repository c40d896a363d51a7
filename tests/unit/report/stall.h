// Facts of a stall, for the reports.
#pragma once

#include <string>
#include <utility>

#include "../locks/examples.h"

namespace dbaudit {

inline LockSession session(std::int64_t id, const char* user, const char* command, double time_s,
                           const std::string& info = "") {
  LockSession out =
      session(id, command, time_s, info.empty() ? nullptr : kForTable, info.empty() ? nullptr : info.c_str());
  out.user = user;
  out.host = "10.0.0.5:" + std::to_string(52000 + id);
  return out;
}

inline LockReport finished(LockFacts facts) {
  LockReport report = analyse_locks(std::move(facts));
  report.server_name = "shop-primary";
  report.taken_at = "2026-11-21T22:10:03.120Z";
  report.collect_ms = 11.8;
  report.min_wait_s = 1;
  return report;
}

// A person who went home, a migration, and the shop behind it; one purchase waits for a row of another one.
inline LockFacts stall(int readers = 12) {
  LockFacts facts;
  facts.version = {Flavor::mysql, {9, 7, 4}};
  facts.instrument_on = true;
  facts.sources = {
      {"sessions", "read", 17, {}, {}},
      {"metadata_locks", "read", 19, {}, {}},
      {"table_handles", "unavailable", {}, "SELECT command denied", "GRANT SELECT ON performance_schema.*"},
      {"transactions", "read", 2, {}, {}}};
  facts.sessions = {session(11, "ann", "Sleep", 612), session(12, "deploy", "Query", 9, "ALTER TABLE orders ADD x INT"),
                    session(40, "app", "Sleep", 3), session(41, "app", "Query", 2.5, "UPDATE carts SET n = n + 1")};
  facts.sessions[3].state = "updating";
  facts.sessions[0].last_statement = "SELECT * FROM orders WHERE note = '주문'";
  facts.metadata_locks = {lock(11, "SHARED_READ", true), lock(12, "SHARED_UPGRADABLE", true),
                          lock(12, "EXCLUSIVE", false)};
  for (int i = 0; i < readers; ++i) {
    facts.sessions.push_back(session(100 + i, "app", "Query", 8 - 0.25 * (i % 20), "SELECT SUM(price) FROM orders"));
    facts.metadata_locks.push_back(lock(100 + i, "SHARED_READ", false));
  }
  for (const auto& [id, age] : {std::pair{11, 640.0}, std::pair{40, 4.0}}) {
    facts.transactions.push_back(transaction(id, age, std::to_string(id)));
    facts.transactions.back().rows_modified = id == 40 ? 1 : 0;
  }
  RowLockWait row;
  row.waiting_id = 41;
  row.blocking_id = 40;
  row.blocking_trx_id = "40";
  row.requested_mode = row.blocking_mode = "X";
  row.lock_type = "RECORD";
  row.schema = "shop";
  row.name = "carts";
  facts.row_waits = {row};
  return facts;
}

// MariaDB as installed: who waits for a row is shown with its holder, who holds a table is not.
inline LockFacts half_blind() {
  LockFacts facts = stall(1);
  facts.version = {Flavor::mariadb, {11, 8, 6}};
  facts.instrument_on = false;
  facts.metadata_locks.clear();
  facts.sources[1].status = "unavailable";
  return facts;
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

inline std::string on_one_line(std::string text) {
  std::string out;
  for (const char c : text) {
    const char next = c == '\n' ? ' ' : c;
    if (next != ' ' || out.empty() || out.back() != ' ') out += next;
  }
  return out;
}

}  // namespace dbaudit

// A rule that joins every session with every other one looks fast on a test's three rows and takes minutes in the
// middle of the outage for which it was written.
#include <doctest/doctest.h>

#include "rules/engine.h"

using namespace dbaudit;

namespace {

constexpr int kLocksEach = 5;

std::string session_text(int i, const char* what) { return what + std::to_string(i); }

// A bad night: every session lies idle in a transaction with locks on five tables, and every second one has a
// companion that waits for one of them.
void add_stall(Store& store, int sessions) {
  store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "s", "mysql", "9.7.4", 1);
  store.insert("global_variables", {"server_id", "wait_timeout", "interactive_timeout", "max_connections"})
      .row(1, 60, 60, 1000);  // so that both numbers of sessions are more than the reserve
  store.begin();
  for (const char* source : {"sessions", "transactions", "metadata_locks", "row_lock_waits", "statements"})
    store.insert("fact_source", {"server_id", "source", "status"}).row(1, source, "read");
  store.insert("human_client", {"name", "attribute", "pattern"}).row("mysql client", "program_name", "mysql");
  for (int i = 1; i <= sessions; ++i) {
    const int waiter = sessions + i;
    const bool waits = i % 2 == 0;
    Insert insert = store.insert("sessions", {"server_id", "processlist_id", "user", "host", "client_host", "command",
                                              "time_s", "state", "kind"});
    insert.row(1, i, "app", session_text(i, "host"), session_text(i, "host"), "Sleep", 3600, "", "client");
    if (waits) insert.row(1, waiter, "app", "h", "h", "Query", 60, "Waiting for table metadata lock", "client");
    store
        .insert("transactions",
                {"server_id", "processlist_id", "trx_id", "age_s", "rows_locked", "rows_modified", "seen_in"})
        .row(1, i, session_text(i, ""), 3600, 3, 3, "both");
    store.insert("statements", {"server_id", "processlist_id", "event_id", "sql_text"}).row(1, i, 7, "SELECT 1");
    store.insert("connection_attributes", {"server_id", "processlist_id", "program_name"}).row(1, i, "mysql");
    store.insert("session_variables", {"server_id", "processlist_id", "wait_timeout", "lock_wait_timeout"})
        .row(1, i, 28800, 31536000);
    Insert locks = store.insert("metadata_locks", {"server_id", "processlist_id", "object_type", "object_schema",
                                                   "object_name", "lock_type", "lock_status"});
    for (int t = 0; t < kLocksEach; ++t)
      locks.row(1, i, "TABLE", "shop", session_text((i + t) % 50, "t"), "SHARED_READ", "GRANTED");
    if (!waits) continue;
    locks.row(1, waiter, "TABLE", "shop", session_text(i % 50, "t"), "EXCLUSIVE", "PENDING");
    store.insert("row_lock_waits", {"server_id", "waiting_processlist_id", "blocking_processlist_id"})
        .row(1, waiter, i);
    store
        .insert("lock_waits", {"server_id", "processlist_id", "kind", "object_type", "object_schema", "object_name",
                               "requested", "wait_s", "wait_is_exact", "blocked_by_count", "root_processlist_id"})
        .row(1, waiter, "metadata", "TABLE", "shop", session_text(i % 50, "t"), "EXCLUSIVE", 60, 1, 1, i);
    store
        .insert("lock_roots",
                {"server_id", "processlist_id", "state", "blocks", "blocks_directly", "certainty", "suspect", "cycle"})
        .row(1, i, "idle in transaction", 1, 1, "observed", 0, 0);
  }
  store.commit();
}

// What a rule costs, in steps of SQLite's virtual machine.
std::int64_t work_of(const Rule& rule, Store& store) {
  SqlCheck check;
  Result<Query> query = store.untrusted_query(rule.sql, {.steps = 1'000'000'000}, check);
  REQUIRE_MESSAGE(query.ok(), query.error().message);
  query->bind("server_id", std::int64_t{1});
  for (const Parameter& parameter : rule.parameters) query->bind(parameter.name, parameter.value);
  while (query->next().value()) {
  }
  return query->work();
}

}  // namespace

TEST_CASE("four times as many sessions, locks and waiters cost no shipped rule much more than four times the work") {
  Problems problems;
  const std::vector<Rule> rules = parse_rules({DBAUDIT_SOURCE_RULES}, RuleTests::leave_out, problems);
  REQUIRE(problems.text() == "");
  Store few;
  add_stall(few, 250);
  Store many;
  add_stall(many, 1000);
  for (const Rule& rule : rules) {
    constexpr std::int64_t kSmall = 100'000;  // a rule that does not look at sessions
    CHECK_MESSAGE(work_of(rule, many) <= 6 * work_of(rule, few) + kSmall, rule.id);
  }
}

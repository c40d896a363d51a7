#include "locks/lock_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/text.h"

namespace dbaudit {
namespace {

constexpr std::string_view kServer =
    "SELECT flavor, version, lower_case_table_names, max_write_lock_count FROM server WHERE server_id = :id";
constexpr std::string_view kSources =
    "SELECT source, status, rows, reason, remedy FROM fact_source WHERE server_id = :id ORDER BY rowid";
constexpr const char* kSessions[] = {"processlist_id", "user",  "host", "db",  "command",
                                     "time_s",         "state", "info", "kind"};
constexpr const char* kTransactions[] = {"processlist_id", "trx_id",        "age_s",   "wait_s",
                                         "rows_locked",    "rows_modified", "seen_in", "trx_state"};
constexpr std::string_view kStatements =
    "SELECT processlist_id, sql_text, started_s FROM statements WHERE server_id = :id ORDER BY event_id";
constexpr std::string_view kMetadataLocks =
    "SELECT processlist_id, owner_thread_id, owner, object_type, object_schema, object_name, lock_type, "
    "lock_status, lock_type_is, seen_in FROM metadata_locks "
    "WHERE server_id = :id AND lock_status IN ('GRANTED', 'PENDING') AND owner <> 'background'";
constexpr std::string_view kRowWaits =
    "SELECT waiting_processlist_id, blocking_processlist_id, blocking_thread_id, blocking_trx_id, "
    "waiting_lock_mode, blocking_lock_mode, lock_type, object_schema, object_name, blocking_lock_status, is_certain "
    "FROM row_lock_waits WHERE server_id = :id";
constexpr std::string_view kHandles =
    "SELECT processlist_id, object_schema, object_name, internal_lock, external_lock FROM table_handles "
    "WHERE server_id = :id";
constexpr std::string_view kOpenTables =
    "SELECT object_schema, object_name, in_use FROM open_tables WHERE server_id = :id";
constexpr std::string_view kPreparedXa = "SELECT xid_sql FROM prepared_xa WHERE server_id = :id ORDER BY xid_sql";

constexpr std::string_view kInstruments =
    "SELECT name FROM instruments WHERE server_id = :id AND enabled = 'YES' "
    "AND name IN ('METADATA_LOCK_INFO', 'wait/lock/metadata/sql/mdl')";

// The smaller default of both families.
constexpr std::int64_t kNeverPass = 4294967295;

class Facts {
 public:
  Facts(Store& store, std::int64_t server_id) : store_(store), server_id_(server_id) {}

  LockFacts run() {
    server();
    each(kSources, [this](const Query& row) {
      facts_.sources.push_back({row.text(0), row.text(1), row.integer(2), row.optional_text(3), row.optional_text(4)});
    });
    sessions();
    reserve(facts_.metadata_locks, "metadata_locks");
    reserve(facts_.transactions, "transactions");
    each(kMetadataLocks, [this](const Query& row) {
      facts_.metadata_locks.push_back({row.integer(0), row.integer(1), row.text(2) == "detached", row.text(3),
                                       row.text(4), row.text(5), row.text(6), row.text(7) == "GRANTED",
                                       row.text(8) == "current", row.text(9)});
    });
    each("transactions", kTransactions, [this](const auto& row) {
      facts_.transactions.push_back({row.integer(0), row.text(1), row.real(2), row.real(3), row.integer(4),
                                     row.integer(5), row.text(6) != "events_transactions_current",
                                     row.text(7) == "ROLLING BACK"});
    });
    each(kRowWaits, [this](const Query& row) {
      facts_.row_waits.push_back({row.integer(0), row.integer(1), row.integer(2), row.text(3), row.text(4), row.text(5),
                                  row.text(6), row.text(7), row.text(8), row.text(9) == "WAITING",
                                  row.integer(10).value_or(1) != 0});
    });
    each(kHandles, [this](const Query& row) {
      facts_.table_handles.push_back({row.integer(0), row.text(1), row.text(2), row.text(3), row.text(4)});
    });
    each(kOpenTables, [this](const Query& row) {
      facts_.open_tables.push_back({row.text(0), row.text(1), row.integer(2).value_or(0)});
    });
    each(kPreparedXa, [this](const Query& row) { facts_.prepared_xids.push_back(row.text(0)); });
    each(kInstruments, [this](const Query& row) {
      (row.text(0) == "METADATA_LOCK_INFO" ? facts_.plugin_loaded : facts_.instrument_on) = true;
    });
    return std::move(facts_);
  }

 private:
  template <typename Take>
  void each(std::string_view sql, const Take& take) {
    Query query = store_.query(sql);
    query.bind("id", server_id_);
    while (query.next().value()) take(query);
  }
  // Of a table that may be held.
  template <typename Take>
  void each(const char* table, std::span<const char* const> columns, const Take& take) {
    if (std::optional<HeldRows> held = store_.held_rows(table, server_id_, columns)) {
      while (held->next()) take(*held);
    } else {
      each(fmt::format("SELECT {} FROM {} WHERE server_id = :id", fmt::join(columns, ", "), table), take);
    }
  }

  // Room for as many as the source had: growing step by step copies thousands of them again and again. A snapshot may
  // say anything.
  template <typename List>
  void reserve(List& list, std::string_view source) {
    constexpr std::int64_t kMost = 100'000;
    const SourceStatus* status = facts_.source(source);
    if (status != nullptr)
      list.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(status->rows.value_or(0), 0, kMost)));
  }

  void server() {
    each(kServer, [this](const Query& row) {
      const std::optional<Flavor> flavor = parse_flavor(row.text(0));
      const std::optional<Version> version = parse_version(row.text(1));
      if (flavor && version) facts_.version = {*flavor, *version};
      facts_.folds_case = row.integer(2).value_or(0) != 0;
      facts_.others_may_pass = row.integer(3).value_or(kNeverPass) < kNeverPass;
    });
  }

  void sessions() {
    reserve(facts_.sessions, "sessions");
    each("sessions", kSessions, [this](const auto& row) {
      LockSession& session = facts_.sessions.emplace_back();
      session.connection_id = row.integer(0).value_or(0);
      session.user = row.optional_text(1);
      session.host = row.optional_text(2);
      session.database = row.optional_text(3);
      session.command = row.text(4);
      session.time_s = row.real(5);
      session.state = row.optional_text(6);
      session.info = row.optional_text(7);
      session.kind = row.text(8);
    });
    std::unordered_map<std::int64_t, LockSession*> by_id;  // many servers show no statements: made for the first
    each(kStatements, [&](const Query& row) {
      if (by_id.empty()) {
        by_id.reserve(facts_.sessions.size());
        for (LockSession& session : facts_.sessions) by_id[session.connection_id] = &session;
      }
      const auto found = by_id.find(row.integer(0).value_or(0));
      if (found == by_id.end()) return;
      found->second->last_statement = row.optional_text(1);
      found->second->statement_s = row.real(2);
    });
  }

  Store& store_;
  std::int64_t server_id_;
  LockFacts facts_;
};

}  // namespace

std::string folded(const LockFacts& facts, std::string_view name) {
  return facts.folds_case ? to_lower(name) : std::string(name);
}

LockFacts read_lock_facts(Store& store, std::int64_t server_id) { return Facts(store, server_id).run(); }

}  // namespace dbaudit

// What every collector gets and gives. A collector reads one source with a fixed number of statements.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/version.h"
#include "collect/collect.h"
#include "facts/store.h"
#include "server/connection.h"

namespace dbaudit {

// How reading a source ended; becomes a row of fact_source.
struct SourceOutcome {
  std::string status;  // read, partial or unavailable
  std::int64_t rows = 0;
  std::optional<std::string> reason;
  std::optional<std::string> remedy;
  bool curable = true;  // false: no grant and no setting of this server could make it readable

  static SourceOutcome read(std::int64_t rows) { return {"read", rows, {}, {}, true}; }
  static SourceOutcome partial(std::int64_t rows, std::string reason, std::string remedy) {
    return {"partial", rows, std::move(reason), std::move(remedy), true};
  }
  static SourceOutcome unavailable(std::string reason, std::string remedy) {
    return {"unavailable", 0, std::move(reason), std::move(remedy), true};
  }
  static SourceOutcome impossible(std::string reason) { return {"unavailable", 0, std::move(reason), {}, false}; }
};

// State that collectors of one server share, filled in the order of the list in collect.cpp.
struct Reading {
  Connection& connection;
  Store& store;
  std::int64_t server_id;
  const CollectRequest& request;
  ServerVersion version;
  std::string account;  // CURRENT_USER() as it stands in a GRANT: 'aud'@'%'
  std::int64_t connection_id = 0;
  bool performance_schema = false;
  bool folds_case = false;  // lower_case_table_names: names are compared in lower case
  // Called by a collector that has found out what statements of the next sources depend on, before it looks at its many
  // rows: the server can begin with them.
  std::function<void()> begin_more = [] {};

  // What collectors have found.
  // 1227 from INNODB_TRX is the only honest sign: without PROCESS the process list is silently short.
  std::optional<bool> has_process_privilege{};
  std::optional<std::int64_t> threads_connected{};
  std::optional<std::int64_t> uptime_s{};
  std::optional<std::int64_t> metadata_locks_lost{};
  std::map<std::string, std::string> instruments{};  // name -> YES or NO; only those that were read
  std::unordered_map<std::int64_t, std::int64_t> processlist_of_thread{};
  std::unordered_set<std::int64_t> background_threads{};
  std::unordered_set<std::int64_t> silent_threads{};  // sessions of which performance_schema records no statements
  std::unordered_set<std::int64_t> event_sessions{};  // MySQL: connections that execute an event
  std::int64_t highest_thread_id = 0;
  // MySQL: the event id of each thread's open transaction, and whether InnoDB has transactions of no session.
  std::unordered_map<std::int64_t, std::int64_t> transaction_event_of_thread{};
  bool detached_transactions = false;
  // Of sessions that wait for a lock of any kind, as soon as they are known: what they run, where `dbaudit locks` asks
  // the plugin only for what they name.
  std::optional<std::set<std::string>> waiting_statements{};
  std::vector<std::string> awaited_user_locks{};  // names in statements that wait in GET_LOCK
  std::unordered_map<std::string, std::int64_t> processlist_of_trx{};
  // MariaDB gives all who only read the id 0: those of them that wait, by the id of the lock that they ask for.
  std::unordered_map<std::string, std::vector<std::int64_t>> readers_that_ask_for{};
  std::optional<std::int64_t> thread_instances_lost{};
  std::optional<SourceOutcome> status{};  // of collect_status, which sessions may have asked for already
  std::vector<std::string> warnings{};    // for stderr
  struct Problem {
    std::string reason;
    std::string remedy;
  };
  std::optional<Problem> transactions_problem{};  // why InnoDB's were not read
  std::optional<Problem> plugins_problem{};       // MariaDB: why it is not known whether METADATA_LOCK_INFO is there
  // Why processlist_of_thread is not complete, with the remedy; nothing when it is.
  std::optional<Problem> thread_ids_problem{};

  [[nodiscard]] std::optional<std::int64_t> processlist_id(std::optional<std::int64_t> thread_id) const;
  // Statement text as it may be stored: bounded, without comments where it would be cut otherwise, valid, without
  // secrets, on request without literals.
  [[nodiscard]] std::optional<std::string> statement_text(const std::optional<std::string>& text) const;
  // False as well when the instrument or consumer was not read.
  [[nodiscard]] bool is_off(const std::string& instrument) const;
};

// At most this much of a statement is asked of the server and stored.
inline constexpr int kStatementBytes = 1024;
// Of one that waits so much is asked: tables may be named behind a long comment, which is not stored.
inline constexpr int kWaitingStatementBytes = 16384;

// A refused or failed query of `source` as an outcome: the reason in the server's words, the remedy as the exact GRANT.
SourceOutcome unavailable_from(const Error& error, const Reading& reading, const std::string& source);

// For a source of performance_schema where that is off.
SourceOutcome performance_schema_off(const Reading& reading);
// For a source whose instrument or consumer is off.
SourceOutcome instrument_off(const std::string& instrument, const std::string& table);
// For a source whose rows had their sessions looked up by thread id: read, or partial when not every id is known.
SourceOutcome read_by_thread(const Reading& reading, std::int64_t rows);

// Whether MariaDB's METADATA_LOCK_INFO is there to be read.
bool reads_lock_plugin(const Reading& reading);

using Collector = SourceOutcome (*)(Reading&);

SourceOutcome collect_global_variables(Reading& reading);
SourceOutcome collect_status(Reading& reading);
SourceOutcome collect_instruments(Reading& reading);
SourceOutcome collect_transactions(Reading& reading);
SourceOutcome collect_sessions(Reading& reading);
SourceOutcome collect_connection_attributes(Reading& reading);
SourceOutcome collect_statements(Reading& reading);
SourceOutcome collect_metadata_locks(Reading& reading);
SourceOutcome collect_table_handles(Reading& reading);
SourceOutcome collect_row_lock_waits(Reading& reading);
SourceOutcome collect_prepared_xa(Reading& reading);
SourceOutcome collect_session_variables(Reading& reading);
SourceOutcome collect_replication(Reading& reading);
SourceOutcome collect_accounts(Reading& reading);

// The statements that a collector will send, in their order, as far as they do not depend on what is still to be read.
struct Ahead {
  std::vector<std::string> statements;
  bool all = true;  // it sends no others
};
using LookAhead = Ahead (*)(const Reading&);

Ahead ahead_of_global_variables(const Reading& reading);
Ahead ahead_of_status(const Reading& reading);
Ahead ahead_of_transactions(const Reading& reading);
Ahead ahead_of_sessions(const Reading& reading);
Ahead ahead_of_metadata_locks(const Reading& reading);
Ahead ahead_of_row_lock_waits(const Reading& reading);
Ahead ahead_of_table_handles(const Reading& reading);
Ahead ahead_of_statements(const Reading& reading);
Ahead ahead_of_connection_attributes(const Reading& reading);
Ahead ahead_of_session_variables(const Reading& reading);
Ahead ahead_of_prepared_xa(const Reading& reading);
Ahead ahead_of_replication(const Reading& reading);
Ahead ahead_of_accounts(const Reading& reading);

// The first of collect_instruments, which comes first; empty when there is none.
std::string first_instruments_statement(const ServerVersion& version, bool performance_schema);

}  // namespace dbaudit

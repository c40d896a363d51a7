// What the wait-for graph of one server is built from: rows of the fact store as plain structs, so that a test can
// write them by hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/version.h"
#include "facts/store.h"

namespace dbaudit {

struct LockSession {
  std::int64_t connection_id = 0;
  std::optional<std::string> user;
  std::optional<std::string> host;
  std::optional<std::string> database;
  std::string command;
  std::optional<double> time_s;  // in this command; of a Sleep: since the last statement ended
  std::optional<std::string> state;
  std::optional<std::string> info;            // running statement
  std::string kind;                           // client, daemon, replication or self
  std::optional<std::string> last_statement;  // running or last, where performance_schema keeps it
  std::optional<double> statement_s;          // seconds since that one began
};

// Who owns a lock: a connection, a background thread, or a thread that no longer is (MySQL keeps the locks of prepared
// XA transactions under the thread that prepared them).
struct HeldLock {
  std::optional<std::int64_t> connection_id;
  std::optional<std::int64_t> thread_id;
  bool detached = false;
  std::string object_type;
  std::string schema;  // empty for NULL
  std::string name;
  std::string lock_type;
  bool granted = false;
  bool type_is_current = true;  // false: the type that was asked for; upgrades are not shown
  std::string seen_in;          // metadata_locks, metadata_lock_info or is_used_lock
};

struct LockTransaction {
  std::optional<std::int64_t> connection_id;
  std::string trx_id;
  std::optional<double> age_s;
  std::optional<double> wait_s;
  std::optional<std::int64_t> rows_locked;
  std::optional<std::int64_t> rows_modified;
  bool in_innodb = true;  // false: begun, and InnoDB has not seen it yet
  bool rolling_back = false;
};

struct RowLockWait {
  std::optional<std::int64_t> waiting_id;
  std::optional<std::int64_t> blocking_id;
  std::optional<std::int64_t> blocking_thread_id;
  std::string blocking_trx_id;  // "0": one of MariaDB's transactions that only read
  std::string requested_mode;
  std::string blocking_mode;
  std::string lock_type;  // RECORD or TABLE; empty: not known
  std::string schema;
  std::string name;
  bool blocking_waits = false;  // it is no holder yet, but ahead in the queue
  bool certain = true;          // false: another reader of the row may be meant
};

struct TableHandle {
  std::optional<std::int64_t> connection_id;
  std::string schema;
  std::string name;
  std::string internal_lock;  // at SQL level: READ, WRITE, ...; empty: none
  std::string external_lock;  // at storage engine level
};

struct OpenTable {  // SHOW OPEN TABLES, where nothing better is to be had
  std::string schema;
  std::string name;
  std::int64_t in_use = 0;
};

struct SourceStatus {
  std::string source;
  std::string status;  // read, partial or unavailable
  std::optional<std::int64_t> rows;
  std::optional<std::string> reason;
  std::optional<std::string> remedy;
};

struct LockFacts {
  ServerVersion version;
  std::vector<LockSession> sessions;
  std::vector<HeldLock> metadata_locks;
  std::vector<LockTransaction> transactions;
  std::vector<RowLockWait> row_waits;
  std::vector<TableHandle> table_handles;
  std::vector<OpenTable> open_tables;
  std::vector<std::string> prepared_xids;  // as XA ROLLBACK takes them
  bool plugin_loaded = false;              // MariaDB's METADATA_LOCK_INFO
  bool instrument_on = false;              // wait/lock/metadata/sql/mdl
  bool folds_case = false;                 // lower_case_table_names: names are compared in lower case
  // max_write_lock_count is below its default: when so many strong metadata locks were granted while weaker requests
  // waited, the server lets these go first (MDL_lock in sql/mdl.cc), and does not show when.
  bool others_may_pass = false;
  std::vector<SourceStatus> sources;  // those that were tried, in the order in which they were read

  [[nodiscard]] const SourceStatus* source(std::string_view name) const {
    for (const SourceStatus& status : sources) {
      if (status.source == name) return &status;
    }
    return nullptr;
  }
  [[nodiscard]] bool was_read(std::string_view name) const {
    const SourceStatus* status = source(name);
    return status != nullptr && status->status != "unavailable";
  }
};

// A schema's or table's name as the server compares it.
std::string folded(const LockFacts& facts, std::string_view name);

LockFacts read_lock_facts(Store& store, std::int64_t server_id);

}  // namespace dbaudit

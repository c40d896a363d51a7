// Who waits for whose InnoDB lock.
//
// MySQL 8.0 on: performance_schema.data_lock_waits alone, whose cost follows the waits; data_locks follows all row
// locks (a second and more for 200,000). Older MySQL and MariaDB: information_schema's pair of tables, joined here.
// MariaDB gives every transaction that only read the id 0, so its blocker cannot be told from others.
#include <fmt/format.h>

#include <unordered_set>

#include "base/sql_text.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

// n waiters for one row are n * n / 2 rows.
constexpr std::int64_t kMostWaits = 20000;

constexpr std::string_view kDataLockWaits =
    "SELECT REQUESTING_THREAD_ID, REQUESTING_ENGINE_TRANSACTION_ID, BLOCKING_THREAD_ID, "
    "BLOCKING_ENGINE_TRANSACTION_ID, REQUESTING_ENGINE_LOCK_ID, BLOCKING_ENGINE_LOCK_ID "
    "FROM performance_schema.data_lock_waits LIMIT 20000";
// Only locks that somebody waits for, each looked up by its id.
constexpr std::string_view kAwaitedLocks =
    "SELECT l.ENGINE_LOCK_ID, l.LOCK_MODE, l.LOCK_TYPE, l.OBJECT_SCHEMA, l.OBJECT_NAME, l.INDEX_NAME "
    "FROM (SELECT REQUESTING_ENGINE_LOCK_ID AS id FROM performance_schema.data_lock_waits "
    "UNION SELECT BLOCKING_ENGINE_LOCK_ID FROM performance_schema.data_lock_waits) w "
    "JOIN performance_schema.data_locks l ON l.ENGINE_LOCK_ID = w.id LIMIT 20000";

constexpr std::string_view kInnodbLocks =
    "SELECT lock_id, lock_mode, lock_type, lock_table, lock_index FROM information_schema.INNODB_LOCKS";
constexpr std::string_view kInnodbLockWaits =
    "SELECT requesting_trx_id, requested_lock_id, blocking_trx_id, blocking_lock_id FROM "
    "information_schema.INNODB_LOCK_WAITS LIMIT 20000";

struct Lock {
  std::optional<std::string> mode;
  std::optional<std::string> type;
  std::optional<std::string> schema;
  std::optional<std::string> table;
  std::optional<std::string> index;
};

// `shop`.`orders` /* Partition `p0` */ -> shop, orders
void split_name(const std::string& name, Lock& lock) {
  const std::vector<SqlToken> tokens = sql_tokens(name);
  if (tokens.size() == 3) {
    lock.schema = tokens[0].text;
    lock.table = tokens[2].text;
  } else {
    lock.table = name;
  }
}

SourceOutcome too_many(std::int64_t count) {
  return SourceOutcome::partial(count, fmt::format("there are more than {} row lock waits; no more are read", count),
                                "Look at those that are shown: they wait for few holders");
}

using LocksById = std::unordered_map<std::string, Lock>;

// Whose lock is asked for by somebody waits for it: one that blocks others all the same is ahead in the queue.
std::unordered_set<std::string> requested_locks(Rows& rows, std::size_t column) {
  std::unordered_set<std::string> ids;
  while (rows.next()) ids.insert(rows.text(column));
  return ids;
}

SourceOutcome read_data_lock_waits(Reading& reading) {
  if (!reading.performance_schema) return performance_schema_off(reading);
  Result<Rows> rows = reading.connection.query(kDataLockWaits);
  if (!rows) return unavailable_from(rows.error(), reading, "row_lock_waits");
  Result<Rows> locks = reading.connection.query(kAwaitedLocks);
  LocksById by_id;
  while (locks && locks->next()) {
    by_id[locks->text(0)] = {locks->optional_text(1), locks->optional_text(2), locks->optional_text(3),
                             locks->optional_text(4), locks->optional_text(5)};
  }
  Insert insert = reading.store.insert("row_lock_waits");
  std::int64_t count = 0;
  const std::unordered_set<std::string> requested = requested_locks(*rows, 4);
  rows->rewind();
  while (rows->next()) {
    const Lock& wanted = by_id[rows->text(4)];
    const std::string blocking = rows->text(5);
    insert.row(reading.server_id, reading.processlist_id(rows->integer(0)), rows->text(1), wanted.mode,
               reading.processlist_id(rows->integer(2)), rows->text(3), by_id[blocking].mode, rows->integer(2),
               requested.contains(blocking) ? "WAITING" : "GRANTED", wanted.type, wanted.schema, wanted.table,
               wanted.index);
    ++count;
  }
  if (count >= kMostWaits) return too_many(count);
  if (locks) return read_by_thread(reading, count);
  SourceOutcome outcome = unavailable_from(locks.error(), reading, "row_lock_waits");
  return SourceOutcome::partial(count,
                                "who waits for whom is known, for which rows is not: " + outcome.reason.value_or(""),
                                outcome.remedy.value_or(""));
}

SourceOutcome read_innodb_lock_waits(Reading& reading) {
  Result<Rows> locks = reading.connection.query(kInnodbLocks);
  if (!locks) return unavailable_from(locks.error(), reading, "row_lock_waits");
  LocksById by_id;
  while (locks->next()) {
    Lock lock;
    lock.mode = locks->optional_text(1);
    lock.type = locks->optional_text(2);
    split_name(locks->text(3), lock);
    lock.index = locks->optional_text(4);
    by_id[locks->text(0)] = std::move(lock);
  }
  Result<Rows> waits = reading.connection.query(kInnodbLockWaits);
  if (!waits) return unavailable_from(waits.error(), reading, "row_lock_waits");
  Insert insert = reading.store.insert("row_lock_waits");
  const auto session_of = [&reading](const std::string& trx) -> std::optional<std::int64_t> {
    const auto found = reading.processlist_of_trx.find(trx);
    if (found == reading.processlist_of_trx.end()) return std::nullopt;
    return found->second;
  };
  std::int64_t count = 0;
  const std::unordered_set<std::string> requested = requested_locks(*waits, 1);
  waits->rewind();
  while (waits->next()) {
    const Lock& wanted = by_id[waits->text(1)];
    const std::string blocking = waits->text(3);
    insert.row(reading.server_id, session_of(waits->text(0)), waits->text(0), wanted.mode, session_of(waits->text(2)),
               waits->text(2), by_id[blocking].mode, nullptr, requested.contains(blocking) ? "WAITING" : "GRANTED",
               wanted.type, wanted.schema, wanted.table, wanted.index);
    ++count;
  }
  return count >= kMostWaits ? too_many(count) : SourceOutcome::read(count);
}

}  // namespace

Ahead ahead_of_row_lock_waits(const Reading& reading) {
  if (!reading.version.min_mysql(8, 0)) {
    // Without PROCESS the first is refused, and the second not asked for.
    if (reading.has_process_privilege == false) return {{std::string(kInnodbLocks)}};
    return {{std::string(kInnodbLocks), std::string(kInnodbLockWaits)}};
  }
  if (!reading.performance_schema) return {};
  return {{std::string(kDataLockWaits), std::string(kAwaitedLocks)}};
}

SourceOutcome collect_row_lock_waits(Reading& reading) {
  return reading.version.min_mysql(8, 0) ? read_data_lock_waits(reading) : read_innodb_lock_waits(reading);
}

}  // namespace dbaudit

// Who waits for whose InnoDB lock.
//
// MySQL 8.0 on: performance_schema.data_lock_waits alone, whose cost follows the waits; data_locks follows all row
// locks (a second and more for 200,000). Older MySQL and MariaDB: information_schema's pair of tables, joined here.
// MariaDB gives every transaction that only read the id 0, so that two of them on one row have the same lock id. Who of
// them waits, INNODB_TRX tells; who holds, nothing does.
#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/sql_text.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

// n waiters for one row are n * n / 2 rows. Where that is more than this, those who hold what somebody waits for are
// read by themselves; of those who only wait in front, the rest stays unread.
constexpr std::int64_t kMostWaits = 20000;

constexpr std::string_view kDataLockWaits =
    "SELECT REQUESTING_THREAD_ID, REQUESTING_ENGINE_TRANSACTION_ID, BLOCKING_THREAD_ID, "
    "BLOCKING_ENGINE_TRANSACTION_ID, REQUESTING_ENGINE_LOCK_ID, BLOCKING_ENGINE_LOCK_ID "
    "FROM performance_schema.data_lock_waits LIMIT 20000";
// The derived table is made once; a subquery might be run for every row.
constexpr std::string_view kDataLockHolders =
    "SELECT w.REQUESTING_THREAD_ID, w.REQUESTING_ENGINE_TRANSACTION_ID, w.BLOCKING_THREAD_ID, "
    "w.BLOCKING_ENGINE_TRANSACTION_ID, w.REQUESTING_ENGINE_LOCK_ID, w.BLOCKING_ENGINE_LOCK_ID "
    "FROM performance_schema.data_lock_waits w LEFT JOIN "
    "(SELECT DISTINCT REQUESTING_ENGINE_LOCK_ID AS id FROM performance_schema.data_lock_waits) r "
    "ON r.id = w.BLOCKING_ENGINE_LOCK_ID WHERE r.id IS NULL LIMIT 20000";
// Only locks that somebody waits for, each looked up by its id. MySQL takes every such table for one of 99999 rows and
// would begin with data_locks, so the order is told to it: 1 ms in place of 800 with 200,000 row locks (9.7.4).
constexpr std::string_view kAwaitedLocks =
    "SELECT l.ENGINE_LOCK_ID, l.LOCK_MODE, l.LOCK_TYPE, l.OBJECT_SCHEMA, l.OBJECT_NAME, l.INDEX_NAME "
    "FROM (SELECT REQUESTING_ENGINE_LOCK_ID AS id FROM performance_schema.data_lock_waits "
    "UNION SELECT BLOCKING_ENGINE_LOCK_ID FROM performance_schema.data_lock_waits) w "
    "STRAIGHT_JOIN performance_schema.data_locks l ON l.ENGINE_LOCK_ID = w.id LIMIT 20000";

constexpr std::string_view kInnodbLocks =
    "SELECT lock_id, lock_mode, lock_type, lock_table, lock_index FROM information_schema.INNODB_LOCKS";
constexpr std::string_view kInnodbLockWaits =
    "SELECT requesting_trx_id, requested_lock_id, blocking_trx_id, blocking_lock_id FROM "
    "information_schema.INNODB_LOCK_WAITS LIMIT 20000";
constexpr std::string_view kInnodbHolders =
    "SELECT DISTINCT w.requesting_trx_id, w.requested_lock_id, w.blocking_trx_id, w.blocking_lock_id FROM "
    "information_schema.INNODB_LOCK_WAITS w LEFT JOIN "
    "(SELECT DISTINCT requested_lock_id AS id FROM information_schema.INNODB_LOCK_WAITS) r "
    "ON r.id = w.blocking_lock_id WHERE r.id IS NULL LIMIT 20000";

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

// `missing`: why of those who are left out not even all holders were read; empty: they were.
SourceOutcome too_many(std::int64_t count, const std::string& missing) {
  if (!missing.empty())
    return SourceOutcome::partial(
        count,
        fmt::format("there are more than {} pairs of row lock waits; not even all holders are read: {}", kMostWaits,
                    missing),
        "Look at those that are shown first");
  return SourceOutcome::partial(
      count,
      fmt::format("there are more than {} pairs of row lock waits; of the rest only who holds is read", kMostWaits),
      "Look at the holders: who waits in front of whom does not change who ends it");
}

std::string why_holders_are_missing(const Result<Rows>& holders) {
  if (!holders) return holders.error().message;
  return static_cast<std::int64_t>(holders->size()) < kMostWaits ? "" : "they are too many as well";
}

using LocksById = std::unordered_map<std::string, Lock>;

// Whose lock is asked for by somebody waits for it: one that blocks others all the same is ahead in the queue.
std::unordered_set<std::string> requested_locks(Rows& rows, std::size_t column) {
  std::unordered_set<std::string> ids;
  while (rows.next()) ids.insert(rows.text(column));
  return ids;
}

// A row of INNODB_LOCK_WAITS.
struct InnodbWait {
  std::string trx_id;
  std::string lock_id;
  std::string blocking_trx_id;
  std::string blocking_lock_id;

  auto operator<=>(const InnodbWait&) const = default;
};

void append(std::vector<InnodbWait>& waits, Rows& rows) {
  while (rows.next()) waits.push_back({rows.text(0), rows.text(1), rows.text(2), rows.text(3)});
}

// Each once: for readers of one row the server repeats the same ids.
std::vector<InnodbWait> each_once(std::vector<InnodbWait> waits) {
  std::sort(waits.begin(), waits.end());
  waits.erase(std::unique(waits.begin(), waits.end()), waits.end());
  return waits;
}

// Who they are, as far as it can be told.
class InnodbQueue {
 public:
  // `held`, where the list is cut: the locks in the way that nobody waits for himself. Without it, who of those in the
  // list asks for one tells.
  InnodbQueue(const std::vector<InnodbWait>& waits, bool cut, std::optional<std::unordered_set<std::string>> held,
              const Reading& reading)
      : reading_(reading), cut_(cut), held_(std::move(held)) {
    for (const InnodbWait& wait : waits) ++blockers_of_[wait.lock_id];
    for (const InnodbWait& wait : waits) {
      if (!is_requested(wait.blocking_lock_id)) waits_for_holder_.insert(wait.lock_id);
    }
  }

  // Empty: nobody that is known.
  [[nodiscard]] std::vector<std::int64_t> waiters(const InnodbWait& wait) const {
    return wait.trx_id == "0" ? readers_that_ask_for(wait.lock_id) : session_of(wait.trx_id);
  }
  [[nodiscard]] std::vector<std::int64_t> blockers(const InnodbWait& wait) const {
    if (wait.blocking_trx_id != "0") return session_of(wait.blocking_trx_id);
    return is_ahead(wait) ? readers_that_ask_for(wait.blocking_lock_id) : std::vector<std::int64_t>();
  }

  // Whether the blocker waits itself. Where a reader waits for somebody's lock on a row, no other reader has that row.
  [[nodiscard]] bool is_ahead(const InnodbWait& wait) const {
    if (wait.blocking_trx_id == "0") return waits_for_holder_.contains(wait.blocking_lock_id);
    return is_requested(wait.blocking_lock_id);
  }

  // Of several readers who ask for one row, each waits for whoever holds it; of those in the queue it is not known who
  // came before whom.
  [[nodiscard]] bool is_certain(const InnodbWait& wait) const {
    // Of a list that is cut, neither seen to ask for the lock nor read as its holder.
    const bool seen = blockers_of_.contains(wait.blocking_lock_id) || (held_ && held_->contains(wait.blocking_lock_id));
    if (cut_ && !seen) return false;
    if (!is_ahead(wait)) return true;
    const bool one_waits = waiters(wait).size() < 2 || blockers_of_.at(wait.lock_id) == 1;
    return one_waits && blockers(wait).size() < 2;
  }

 private:
  [[nodiscard]] bool is_requested(const std::string& lock_id) const {
    return held_ ? !held_->contains(lock_id) : blockers_of_.contains(lock_id);
  }
  [[nodiscard]] std::vector<std::int64_t> session_of(const std::string& trx_id) const {
    const auto found = reading_.processlist_of_trx.find(trx_id);
    if (found == reading_.processlist_of_trx.end()) return {};
    return {found->second};
  }
  [[nodiscard]] std::vector<std::int64_t> readers_that_ask_for(const std::string& lock_id) const {
    const auto found = reading_.readers_that_ask_for.find(lock_id);
    return found == reading_.readers_that_ask_for.end() ? std::vector<std::int64_t>() : found->second;
  }

  const Reading& reading_;
  bool cut_;
  std::optional<std::unordered_set<std::string>> held_;
  std::unordered_map<std::string, std::size_t> blockers_of_;  // lock that is asked for -> how many are in its way
  std::unordered_set<std::string> waits_for_holder_;  // locks that are asked for, and a granted one is in the way
};

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
  const bool cut = static_cast<std::int64_t>(rows->size()) >= kMostWaits;
  std::optional<Rows> holders;
  std::string missing;
  if (cut) {
    Result<Rows> read = reading.connection.query(kDataLockHolders);
    missing = why_holders_are_missing(read);
    if (read) holders.emplace(std::move(*read));
  }
  Insert insert = reading.store.insert("row_lock_waits");
  std::int64_t count = 0;
  const std::unordered_set<std::string> requested = requested_locks(*rows, 4);
  std::unordered_set<std::string> held;
  std::set<std::pair<std::string, std::string>> added;  // the other list has them as well
  const auto add = [&](const Rows& row, bool waits, bool certain) {
    const Lock& wanted = by_id[row.text(4)];
    const std::string blocking = row.text(5);
    insert.row(reading.server_id, reading.processlist_id(row.integer(0)), row.text(1), wanted.mode,
               reading.processlist_id(row.integer(2)), row.text(3), by_id[blocking].mode, row.integer(2),
               waits ? "WAITING" : "GRANTED", wanted.type, wanted.schema, wanted.table, wanted.index, certain);
    ++count;
  };
  while (holders && holders->next()) {
    held.insert(holders->text(5));
    added.emplace(holders->text(4), holders->text(5));
    add(*holders, false, true);
  }
  rows->rewind();
  while (rows->next()) {
    const std::string blocking = rows->text(5);
    if (added.contains({rows->text(4), blocking})) continue;
    // Of a list that is cut, not all who ask for a lock are known: who is none of the holders, mostly waits.
    const bool asks = requested.contains(blocking);
    const bool holds = held.contains(blocking) || (!asks && !holders);
    add(*rows, asks || !holds, !cut || asks || held.contains(blocking));
  }
  if (cut) return too_many(count, missing);
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
  const bool cut = static_cast<std::int64_t>(waits->size()) >= kMostWaits;
  std::vector<InnodbWait> listed;
  std::optional<std::unordered_set<std::string>> held;
  std::string missing;
  if (cut) {
    Result<Rows> holders = reading.connection.query(kInnodbHolders);
    missing = why_holders_are_missing(holders);
    if (holders) {
      append(listed, *holders);
      held.emplace();
      for (const InnodbWait& wait : listed) held->insert(wait.blocking_lock_id);
    }
  }
  append(listed, *waits);
  std::vector<InnodbWait> all = each_once(std::move(listed));
  const InnodbQueue queue(all, cut, std::move(held), reading);
  // One row of readers stands for each pair of them: the holders must not be cut off by these.
  std::stable_partition(all.begin(), all.end(), [&](const InnodbWait& wait) { return !queue.is_ahead(wait); });
  std::int64_t count = 0;
  const auto add = [&](const InnodbWait& wait, std::optional<std::int64_t> waiter,
                       std::optional<std::int64_t> blocker) {
    if ((waiter && waiter == blocker) || count >= 2 * kMostWaits) return;
    const Lock& wanted = by_id[wait.lock_id];
    insert.row(reading.server_id, waiter, wait.trx_id, wanted.mode, blocker, wait.blocking_trx_id,
               by_id[wait.blocking_lock_id].mode, nullptr, queue.is_ahead(wait) ? "WAITING" : "GRANTED", wanted.type,
               wanted.schema, wanted.table, wanted.index, queue.is_certain(wait));
    ++count;
  };
  for (const InnodbWait& wait : all) {
    const std::vector<std::int64_t> waiters = queue.waiters(wait);
    const std::vector<std::int64_t> blockers = queue.blockers(wait);
    if (waiters.empty()) add(wait, std::nullopt, blockers.empty() ? std::nullopt : std::optional(blockers.front()));
    for (const std::int64_t waiter : waiters) {
      if (blockers.empty()) add(wait, waiter, std::nullopt);
      for (const std::int64_t blocker : blockers) add(wait, waiter, blocker);
    }
  }
  if (cut || count >= 2 * kMostWaits) return too_many(count, missing);
  if (count > 0 && reading.transactions_problem) {
    return SourceOutcome::partial(count,
                                  "whose transactions they are is not known: " + reading.transactions_problem->reason,
                                  reading.transactions_problem->remedy);
  }
  return SourceOutcome::read(count);
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

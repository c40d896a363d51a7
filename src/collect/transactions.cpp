// Open transactions.
//
// INNODB_TRX errs with 1227 without PROCESS, which makes it the honest test for that privilege. It can hold two rows
// for one connection (MariaDB's ALTER), rows of thread 0 (prepared XA, background), and its trx_started is in the
// system time zone, as NOW() is in this session. On MySQL it fails with 3854 while any session's statement holds a
// four-byte character; events_transactions_current then still shows who is in a transaction.
#include <fmt/format.h>

#include <unordered_map>

#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kInnodb =
    "SELECT trx_mysql_thread_id, trx_id, trx_state, "
    "TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6)) / 1000000, "
    "TIMESTAMPDIFF(MICROSECOND, trx_wait_started, NOW(6)) / 1000000, "
    "trx_rows_locked, trx_rows_modified, trx_requested_lock_id{} FROM information_schema.INNODB_TRX";
// What does not tell who waits for whom, `dbaudit locks` does not ask of thousands of transactions.
constexpr std::string_view kDetails = ", trx_isolation_level, trx_is_read_only, trx_tables_locked";

constexpr std::string_view kEvents =
    "SELECT t.PROCESSLIST_ID, e.TIMER_WAIT / 1000000000000, e.ISOLATION_LEVEL, e.ACCESS_MODE, e.THREAD_ID, e.EVENT_ID "
    "FROM performance_schema.events_transactions_current e "
    "JOIN performance_schema.threads t ON t.THREAD_ID = e.THREAD_ID "
    "WHERE e.STATE = 'ACTIVE' AND t.PROCESSLIST_ID <> CONNECTION_ID()";

struct Transaction {
  std::optional<std::int64_t> processlist_id;
  std::optional<std::string> trx_id;
  std::string state = "ACTIVE";
  std::optional<double> age_s;
  std::optional<double> wait_s;
  std::optional<std::string> isolation_level;
  std::optional<std::string> access_mode;
  std::optional<std::int64_t> rows_locked;
  std::optional<std::int64_t> rows_modified;
  std::optional<std::int64_t> tables_locked;
  std::optional<std::string> requested_lock_id;
  std::string seen_in = "innodb_trx";
};

bool asks_for_details(const Reading& reading) { return reading.request.scope == Scope::everything; }

std::string innodb_sql(const Reading& reading) {
  return fmt::format(kInnodb, asks_for_details(reading) ? kDetails : "");
}

std::vector<Transaction> read_innodb(Rows& rows, bool details) {
  std::vector<Transaction> list;
  list.reserve(rows.size());
  while (rows.next()) {
    Transaction& transaction = list.emplace_back();
    transaction.processlist_id = rows.integer(0);
    if (transaction.processlist_id == 0) transaction.processlist_id.reset();
    transaction.trx_id = rows.optional_text(1);
    transaction.state = rows.text(2);
    transaction.age_s = rows.real(3);
    transaction.wait_s = rows.real(4);
    transaction.rows_locked = rows.integer(5);
    transaction.rows_modified = rows.integer(6);
    transaction.requested_lock_id = rows.optional_text(7);
    if (details) {
      transaction.isolation_level = rows.optional_text(8);
      transaction.access_mode = rows.integer(9) == 1 ? "READ ONLY" : "READ WRITE";
      transaction.tables_locked = rows.integer(10);
    }
    // NOW(6) is taken at the start of the statement, trx_started has whole seconds: never below zero.
    if (transaction.age_s && *transaction.age_s < 0) transaction.age_s = 0;
  }
  return list;
}

// Adds the age since BEGIN and the transactions that InnoDB has not seen yet.
void add_events(Rows& rows, std::vector<Transaction>& list, Reading& reading) {
  std::unordered_multimap<std::int64_t, std::size_t> of_session;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].processlist_id) of_session.emplace(*list[i].processlist_id, i);
  }
  while (rows.next()) {
    reading.transaction_event_of_thread[rows.integer(4).value_or(0)] = rows.integer(5).value_or(0);
    const std::optional<std::int64_t> id = rows.integer(0);
    const auto [known, end] = of_session.equal_range(id.value_or(0));
    for (auto found = known; found != end; ++found) {
      Transaction& transaction = list[found->second];
      transaction.age_s = std::max(transaction.age_s.value_or(0), rows.real(1).value_or(0));
      transaction.seen_in = "both";
    }
    if (known != end) continue;
    Transaction transaction;
    transaction.processlist_id = id;
    transaction.age_s = rows.real(1);
    transaction.isolation_level = rows.optional_text(2);
    transaction.access_mode = rows.optional_text(3);
    transaction.seen_in = "events_transactions_current";
    list.push_back(std::move(transaction));
  }
}

// Why events_transactions_current says nothing; nothing when it does. Events of switched-off consumers are what was
// current when they were switched off, so they are not believed either where that cannot be seen.
std::optional<std::string> events_off(const Reading& reading) {
  if (!reading.performance_schema) return performance_schema_off(reading).reason;
  if (!reading.instruments.contains("transaction")) return "whether instrument 'transaction' is on could not be read";
  if (reading.is_off("transaction")) return instrument_off("transaction", "setup_instruments").reason;
  for (const char* consumer : {"global_instrumentation", "thread_instrumentation", "events_transactions_current"}) {
    if (reading.is_off(consumer)) return instrument_off(consumer, "setup_consumers").reason;
  }
  return std::nullopt;
}

}  // namespace

Ahead ahead_of_transactions(const Reading& reading) {
  Ahead ahead{{innodb_sql(reading)}};
  if (!events_off(reading)) ahead.statements.emplace_back(kEvents);
  return ahead;
}

SourceOutcome collect_transactions(Reading& reading) {
  Result<Rows> innodb = reading.connection.query(innodb_sql(reading));
  if (innodb) {
    reading.has_process_privilege = true;
  } else if (innodb.error().kind == ErrorKind::no_privilege) {
    reading.has_process_privilege = false;
  } else if (innodb.error().kind == ErrorKind::unreadable) {
    reading.has_process_privilege = true;  // 3854 comes after the privilege check
  }
  std::optional<std::string> without_events = events_off(reading);
  std::optional<Result<Rows>> events;
  if (!without_events) {
    events = reading.connection.query(kEvents);
    if (!*events) without_events = unavailable_from(events->error(), reading, "statements").reason;
  }
  reading.begin_more();
  std::vector<Transaction> list;
  if (innodb) list = read_innodb(*innodb, asks_for_details(reading));
  if (!without_events) add_events(**events, list, reading);
  Insert insert = reading.store.insert("transactions");
  std::int64_t count = 0;
  for (const Transaction& transaction : list) {
    if (transaction.processlist_id == reading.connection_id) continue;
    insert.row(reading.server_id, transaction.processlist_id, transaction.trx_id, transaction.state, transaction.age_s,
               transaction.wait_s, transaction.isolation_level, transaction.access_mode, transaction.rows_locked,
               transaction.rows_modified, transaction.tables_locked, transaction.seen_in);
    ++count;
    if (!transaction.processlist_id && transaction.seen_in == "innodb_trx") reading.detached_transactions = true;
    if (transaction.trx_id && *transaction.trx_id != "0" && transaction.processlist_id) {
      reading.processlist_of_trx[*transaction.trx_id] = *transaction.processlist_id;
    }
    if (transaction.trx_id == "0" && transaction.processlist_id && transaction.requested_lock_id)
      reading.readers_that_ask_for[*transaction.requested_lock_id].push_back(*transaction.processlist_id);
  }
  if (innodb) {
    // Read all the same: who has touched nothing holds nothing, and no server as it is installed should be incomplete.
    SourceOutcome outcome = SourceOutcome::read(count);
    if (without_events) outcome.reason = "those that began and touched nothing yet are not seen: " + *without_events;
    return outcome;
  }
  SourceOutcome outcome = unavailable_from(innodb.error(), reading, "transactions");
  reading.transactions_problem = {outcome.reason.value_or(""), outcome.remedy.value_or("")};
  if (!without_events) {
    outcome.status = "partial";
    outcome.rows = count;
    outcome.reason = "rows locked and modified are not known: " + outcome.reason.value_or("");
  }
  return outcome;
}

}  // namespace dbaudit

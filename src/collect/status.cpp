// Status counters, on request twice, for rates.
#include <chrono>
#include <thread>

#include "base/text.h"
#include "collect/source.h"
#include "collect/wide_row.h"

namespace dbaudit {
namespace {

constexpr std::string_view kStatus = "SHOW GLOBAL STATUS";
constexpr std::string_view kStatusOfLocks =
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Uptime', "
    "'Performance_schema_metadata_lock_lost', 'Performance_schema_thread_instances_lost')";
// A status counter of MariaDB and Percona Server. MySQL has it here, for those who have PROCESS.
constexpr std::string_view kHistory =
    "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len' AND STATUS = 'enabled'";
constexpr const char* kHistoryCounter = "innodb_history_list_length";

std::string_view status_sql(const Reading& reading) {
  return reading.request.scope == Scope::everything ? kStatus : kStatusOfLocks;
}

bool asks_for_history(const Reading& reading) {
  return !reading.version.is_mariadb() && reading.request.scope == Scope::everything;
}

struct Counters {
  NamedValues values;
  std::optional<SourceOutcome> no_history{};  // why that one is missing
};

void add_history(Result<Rows>& rows, Counters& counters, const Reading& reading) {
  if (counters.values.contains(kHistoryCounter)) return;
  if (!rows) {
    counters.no_history = unavailable_from(rows.error(), reading, "transactions");
  } else if (rows->next()) {
    counters.values[kHistoryCounter] = value_from_server(rows->text(0));
  } else {
    counters.no_history =
        SourceOutcome::unavailable("the counter trx_rseg_history_len of INNODB_METRICS is switched off",
                                   "SET GLOBAL innodb_monitor_enable = 'trx_rseg_history_len'");
  }
}

Result<Counters> read_counters(Reading& reading) {
  Result<Rows> rows = reading.connection.query(status_sql(reading));
  std::optional<Result<Rows>> history;
  if (asks_for_history(reading)) history = reading.connection.query(kHistory);
  if (!rows) return rows.error();
  Counters counters;
  while (rows->next()) counters.values[to_lower(rows->text(0))] = value_from_server(rows->text(1));
  if (history) add_history(*history, counters, reading);
  return counters;
}

std::optional<std::int64_t> integer(const NamedValues& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) return std::nullopt;
  const auto* number = std::get_if<std::int64_t>(&found->second);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

}  // namespace

Ahead ahead_of_status(const Reading& reading) {
  if (reading.request.sample_interval) return {{}, false};  // both samples have their time
  Ahead ahead{{std::string(status_sql(reading))}};
  if (asks_for_history(reading)) ahead.statements.emplace_back(kHistory);
  return ahead;
}

namespace {

SourceOutcome read_status(Reading& reading) {
  Result<Counters> first = read_counters(reading);
  if (!first) return unavailable_from(first.error(), reading, "status");
  const auto begin = std::chrono::steady_clock::now();
  const bool too_long =
      reading.request.sample_interval && begin + *reading.request.sample_interval >= reading.request.deadline;
  if (reading.request.sample_interval && !too_long) {
    std::this_thread::sleep_for(*reading.request.sample_interval);
    Result<Counters> second = read_counters(reading);
    if (!second) return unavailable_from(second.error(), reading, "status");
    const Seconds elapsed = std::chrono::steady_clock::now() - begin;
    NamedValues rates;
    for (const auto& [name, value] : second->values) {
      const auto before = first->values.find(name);
      const std::optional<double> now = number_of(value);
      const std::optional<double> then = before == first->values.end() ? std::nullopt : number_of(before->second);
      if (now && then) rates[name] = (*now - *then) / elapsed.count();
    }
    insert_wide_row(reading.store, "global_status_rate", reading.server_id, known_status_counters(), rates);
    first = std::move(second);
  }
  if (reading.request.scope == Scope::everything)
    insert_wide_row(reading.store, "global_status", reading.server_id, known_status_counters(), first->values);
  const NamedValues& values = first->values;
  reading.uptime_s = integer(values, "uptime");
  reading.threads_connected = integer(values, "threads_connected");
  reading.metadata_locks_lost = integer(values, "performance_schema_metadata_lock_lost");
  reading.thread_instances_lost = integer(values, "performance_schema_thread_instances_lost");
  SourceOutcome outcome = SourceOutcome::read(static_cast<std::int64_t>(values.size()));
  // One counter of hundreds, which one rule reads: no reason to call the source, and with it every other rule,
  // incomplete.
  if (first->no_history) {
    outcome.reason = std::string(kHistoryCounter) + " is not known: " + first->no_history->reason.value_or("");
    outcome.remedy = first->no_history->remedy;
  }
  if (too_long) {
    const std::string before = outcome.reason ? *outcome.reason + "; " : "";
    outcome.reason = before + "no rates: the second sample would have come after the time for this run (--timeout)";
  }
  return outcome;
}

}  // namespace

SourceOutcome collect_status(Reading& reading) { return *(reading.status = read_status(reading)); }

}  // namespace dbaudit

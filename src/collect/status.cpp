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

Result<NamedValues> read_counters(Reading& reading) {
  Result<Rows> rows = reading.connection.query(first_status_statement(reading));
  if (!rows) return rows.error();
  NamedValues values;
  while (rows->next()) values[to_lower(rows->text(0))] = value_from_server(rows->text(1));
  return values;
}

std::optional<std::int64_t> integer(const NamedValues& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) return std::nullopt;
  const auto* number = std::get_if<std::int64_t>(&found->second);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

}  // namespace

std::string first_status_statement(const Reading& reading) {
  return std::string(reading.request.scope == Scope::everything ? kStatus : kStatusOfLocks);
}

SourceOutcome collect_status(Reading& reading) {
  Result<NamedValues> first = read_counters(reading);
  if (!first) return unavailable_from(first.error(), reading, "status");
  const auto begin = std::chrono::steady_clock::now();
  const bool too_long =
      reading.request.sample_interval && begin + *reading.request.sample_interval >= reading.request.deadline;
  if (reading.request.sample_interval && !too_long) {
    std::this_thread::sleep_for(*reading.request.sample_interval);
    Result<NamedValues> second = read_counters(reading);
    if (!second) return unavailable_from(second.error(), reading, "status");
    const Seconds elapsed = std::chrono::steady_clock::now() - begin;
    NamedValues rates;
    for (const auto& [name, value] : *second) {
      const auto before = first->find(name);
      const std::optional<double> now = number_of(value);
      const std::optional<double> then = before == first->end() ? std::nullopt : number_of(before->second);
      if (now && then) rates[name] = (*now - *then) / elapsed.count();
    }
    insert_wide_row(reading.store, "global_status_rate", reading.server_id, known_status_counters(), rates);
    first = std::move(second);
  }
  if (reading.request.scope == Scope::everything)
    insert_wide_row(reading.store, "global_status", reading.server_id, known_status_counters(), *first);
  reading.uptime_s = integer(*first, "uptime");
  reading.threads_connected = integer(*first, "threads_connected");
  reading.metadata_locks_lost = integer(*first, "performance_schema_metadata_lock_lost");
  reading.thread_instances_lost = integer(*first, "performance_schema_thread_instances_lost");
  SourceOutcome outcome = SourceOutcome::read(static_cast<std::int64_t>(first->size()));
  if (too_long) outcome.reason = "no rates: the second sample would have come after the time for this run (--timeout)";
  return outcome;
}

}  // namespace dbaudit

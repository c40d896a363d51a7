// The running or last statement of each session (performance_schema.events_statements_current, outermost level).
//
// The level tells what is outermost: inside BEGIN, MySQL nests statements in the transaction's event and leaves the
// level at 0; statements of stored routines have 1 and more (measured on MySQL 9.7.4 and MariaDB 11.8.6). Timers count
// picoseconds from the server's start; this connection's own row tells what "now" is on that clock.
#include <fmt/format.h>

#include <algorithm>

#include "collect/privileges.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

std::string statements_sql() {
  return fmt::format(
      "SELECT THREAD_ID, EVENT_ID, LEFT(SQL_TEXT, {}), END_EVENT_ID IS NULL, TIMER_START, TIMER_END "
      "FROM performance_schema.events_statements_current WHERE NESTING_EVENT_LEVEL = 0",
      kStatementBytes);
}

constexpr double kPicoseconds = 1e12;
constexpr const char* kStatementInstrument = "statement/sql/select";  // for all of them

struct Event {
  std::int64_t thread_id = 0;
  std::optional<std::int64_t> event_id;
  std::optional<std::string> text;
  bool running = false;
  std::optional<double> started;
  std::optional<double> ended;
};

std::optional<SourceOutcome> statements_off(const Reading& reading) {
  if (!reading.performance_schema) return performance_schema_off(reading);
  for (const char* consumer : {"global_instrumentation", "thread_instrumentation", "events_statements_current"}) {
    if (reading.is_off(consumer)) return instrument_off(consumer, "setup_consumers");
  }
  if (reading.is_off(kStatementInstrument)) return instrument_off(kStatementInstrument, "setup_instruments");
  return std::nullopt;
}

// Not recorded for dbaudit's own account, say.
bool is_own_silent(const Reading& reading) {
  return std::any_of(reading.silent_threads.begin(), reading.silent_threads.end(), [&reading](std::int64_t thread) {
    return reading.processlist_id(thread) == reading.connection_id;
  });
}

// Whoever asks is in the answer, unless something is off that this account may not see; others are stale then.
SourceOutcome none_recorded(const Reading& reading) {
  return SourceOutcome::unavailable("no statement is recorded, not even dbaudit's own",
                                    reading.instruments.contains(kStatementInstrument)
                                        ? "See performance_schema.setup_actors and threads.INSTRUMENTED"
                                        : grant_for("instruments", reading.version, reading.account).value_or(""));
}

}  // namespace

Ahead ahead_of_statements(const Reading& reading) {
  return statements_off(reading) ? Ahead{} : Ahead{{statements_sql()}};
}

SourceOutcome collect_statements(Reading& reading) {
  if (const std::optional<SourceOutcome> off = statements_off(reading)) return *off;
  Result<Rows> rows = reading.connection.query(statements_sql());
  if (!rows) return unavailable_from(rows.error(), reading, "statements");
  std::vector<Event> events;
  std::optional<double> now;
  bool own_is_there = false;
  while (rows->next()) {
    Event event;
    event.thread_id = rows->integer(0).value_or(0);
    if (reading.silent_threads.contains(event.thread_id)) continue;  // it has said other things since
    const std::optional<std::int64_t> id = reading.processlist_id(event.thread_id);
    if (id == reading.connection_id) {
      own_is_there = true;
      // MySQL gives a running statement the present moment as TIMER_END, MariaDB does so too.
      now = rows->real(5).has_value() ? rows->real(5) : rows->real(4);
      continue;
    }
    event.event_id = rows->integer(1);
    event.text = reading.statement_text(rows->optional_text(2));
    event.running = rows->integer(3) == 1;
    event.started = rows->real(4);
    event.ended = rows->real(5);
    events.push_back(std::move(event));
  }
  const bool own_is_silent = is_own_silent(reading);
  if (!own_is_there && !own_is_silent && !reading.thread_ids_problem) return none_recorded(reading);
  const auto ago = [&now](std::optional<double> moment) {
    return now && moment ? std::optional(std::max(0.0, (*now - *moment) / kPicoseconds)) : std::nullopt;
  };
  Insert insert = reading.store.insert("statements");
  for (const Event& event : events) {
    insert.row(reading.server_id, reading.processlist_id(event.thread_id), event.thread_id, event.event_id, event.text,
               event.running, ago(event.started), event.running ? std::nullopt : ago(event.ended));
  }
  const auto count = static_cast<std::int64_t>(events.size());
  SourceOutcome outcome = read_by_thread(reading, count);
  const std::size_t silent = reading.silent_threads.size() - (own_is_silent ? 1 : 0);
  if (!reading.silent_threads.empty() && outcome.status == "read") {
    outcome = SourceOutcome::partial(
        count,
        silent == 0 ? "no statement of dbaudit is recorded, so how long ago others began is not known"
                    : fmt::format("no statement of {} {} is recorded", silent, silent == 1 ? "session" : "sessions"),
        "UPDATE performance_schema.threads SET INSTRUMENTED='YES' WHERE PROCESSLIST_ID IS NOT NULL; for sessions that "
        "come later see performance_schema.setup_actors");
  }
  return outcome;
}

}  // namespace dbaudit

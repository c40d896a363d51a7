// Sessions: the process list, and performance_schema's thread ids for them.
//
// performance_schema.processlist, where it exists, because information_schema.PROCESSLIST of MySQL fails with 3854
// while any session's statement holds a four-byte character. Without PROCESS the process list silently shows only
// one's own sessions; comparing with Threads_connected finds out.
#include <fmt/format.h>

#include <algorithm>

#include "base/sql_text.h"
#include "base/text.h"
#include "collect/privileges.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

bool lists_in_performance_schema(const Reading& reading) {
  return reading.version.min_mysql(8, 0, 22) && reading.performance_schema;
}

// The statement in column `info` of a session in state `state`.
std::string statement_of(std::string_view info, std::string_view state) {
  return fmt::format("LEFT({0}, IF({1} LIKE 'Waiting for %' OR {1} = 'User lock', {2}, {3}))", info, state,
                     kWaitingStatementBytes, kStatementBytes);
}

std::string process_list_sql(const Reading& reading) {
  return fmt::format(
      "SELECT ID, USER, HOST, DB, COMMAND, {}, STATE, {} FROM {}",
      reading.version.is_mariadb() ? "TIME_MS / 1000" : "TIME", statement_of("INFO", "STATE"),
      lists_in_performance_schema(reading) ? "performance_schema.processlist" : "information_schema.PROCESSLIST");
}

// MySQL where information_schema's is read: not stopped by somebody's four-byte character (3854), but without a limit
// to the statements' length. The same columns.
constexpr std::string_view kUnconverted = "SHOW FULL PROCESSLIST";

// MySQL's process list says "system user" of those who execute events as it does of replication.
constexpr std::string_view kThreadIds =
    "SELECT PROCESSLIST_ID, THREAD_ID, NAME = 'thread/sql/event_worker', INSTRUMENTED = 'YES' "
    "FROM performance_schema.threads";

// The whole list for an account that may read performance_schema but lacks PROCESS; hosts come without ports.
std::string threads_sql() {
  return fmt::format(
      "SELECT PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_HOST, PROCESSLIST_DB, PROCESSLIST_COMMAND, "
      "PROCESSLIST_TIME, PROCESSLIST_STATE, {}, THREAD_ID, NAME = 'thread/sql/event_worker', INSTRUMENTED = 'YES' "
      "FROM performance_schema.threads",
      statement_of("PROCESSLIST_INFO", "PROCESSLIST_STATE"));
}

bool uses_threads(const Reading& reading) {
  return reading.has_process_privilege == false && reading.performance_schema;
}

std::string_view kind_of(std::string_view user, std::string_view command, bool self, bool event) {
  if (self) return "self";
  if (event) return "client";  // what somebody told the server to do at that time; KILL ends it
  if (user == "system user" || command == "Binlog Dump" || command == "Binlog Dump GTID" ||
      command.starts_with("Slave_")) {
    return "replication";
  }
  if (command == "Daemon" || user == "event_scheduler") return "daemon";
  return "client";
}

struct Stored {
  std::int64_t rows = 0;
  std::int64_t connections = 0;  // what Threads_connected counts
};

// Background threads have no connection id. Thread ids only grow, so one below the highest that is not in the list at
// all has ended.
void note_thread(Reading& reading, std::int64_t thread_id, std::optional<std::int64_t> processlist_id,
                 bool instrumented) {
  reading.highest_thread_id = std::max(reading.highest_thread_id, thread_id);
  if (processlist_id.value_or(0) > 0) {
    reading.processlist_of_thread[thread_id] = *processlist_id;
    if (!instrumented) reading.silent_threads.insert(thread_id);
  } else {
    reading.background_threads.insert(thread_id);
  }
}

// Which locks are asked for next depends on those that wait.
void note_wait(Reading& reading, const Rows& rows, std::string_view state) {
  const bool user_lock = state == "User lock";
  if ((!user_lock && !state.starts_with("Waiting for ")) || rows.integer(0) == reading.connection_id) return;
  if (user_lock) {
    if (const std::optional<std::string> name = user_lock_name(rows.view(7)))
      reading.awaited_user_locks.push_back(*name);
  } else if (reading.request.scope == Scope::locks && reads_lock_plugin(reading)) {
    if (const std::optional<std::string> info = reading.statement_text(rows.optional_text(7)))
      reading.waiting_statements->insert(*info);
  }
}

// A look at them before all are stored, so that the server can begin.
void note_waits_ahead(Reading& reading, Rows& rows) {
  while (rows.next()) note_wait(reading, rows, rows.view(6));
  rows.rewind();
  reading.begin_more();
}

Stored store_sessions(Reading& reading, Rows& rows, bool with_thread_id) {
  reading.waiting_statements.emplace();
  const bool ahead = reading.performance_schema || reads_lock_plugin(reading);
  if (ahead) note_waits_ahead(reading, rows);
  Insert insert = reading.store.insert("sessions");
  std::unordered_map<std::int64_t, std::int64_t> thread_of;
  for (const auto& [thread, id] : reading.processlist_of_thread) thread_of[id] = thread;
  Stored stored;
  std::optional<std::string> statement;  // hundreds who wait often wait in the same one
  std::optional<std::string> as_stored;
  while (rows.next()) {
    const std::int64_t id = rows.integer(0).value_or(0);
    if (with_thread_id) {
      note_thread(reading, rows.integer(8).value_or(0), rows.integer(0), rows.integer(10) == 1);
      if (rows.integer(9) == 1) reading.event_sessions.insert(id);
    }
    if (id == 0) continue;  // a background thread
    const std::string_view user = rows.view(1);
    const std::optional<std::string_view> host = rows.optional_view(2);
    // performance_schema.threads has no ports.
    const std::optional<std::string_view> client_host = host && !with_thread_id ? without_port(*host) : host;
    const std::string_view command = rows.view(4);
    std::optional<std::int64_t> thread_id;
    if (with_thread_id) {
      thread_id = rows.integer(8);
    } else if (const auto found = thread_of.find(id); found != thread_of.end()) {
      thread_id = found->second;
    }
    const std::optional<std::string_view> state = rows.optional_view(6);
    if (!ahead && state) note_wait(reading, rows, *state);
    const bool self = id == reading.connection_id;
    // This connection's own statement would differ from run to run and says nothing.
    if (const std::optional<std::string_view> now = rows.optional_view(7); now != statement) {
      statement = now;
      as_stored = reading.statement_text(statement);
    }
    const std::optional<std::string> info = self ? std::nullopt : as_stored;
    insert.row(reading.server_id, id, thread_id, user, host, client_host, rows.optional_view(3), command, rows.real(5),
               state, info, kind_of(user, command, self, reading.event_sessions.contains(id)));
    ++stored.rows;
    if (command != "Daemon" && user != "system user") ++stored.connections;
  }
  if (!ahead) reading.begin_more();
  return stored;
}

// Races let a few come and go between the two counts.
bool falls_short(const Stored& stored, std::int64_t connected) {
  constexpr std::int64_t kRace = 3;
  constexpr std::int64_t kRacePercent = 5;
  return stored.connections + kRace + connected * kRacePercent / 100 < connected;
}

// What makes the list short although this account may see all of it.
SourceOutcome outcome_of_whole_list(const Reading& reading, const Stored& stored, bool from_performance_schema) {
  if (from_performance_schema && reading.thread_instances_lost.value_or(0) > 0) {
    return SourceOutcome::partial(stored.rows, reading.thread_ids_problem->reason, reading.thread_ids_problem->remedy);
  }
  if (reading.threads_connected && falls_short(stored, *reading.threads_connected)) {
    return SourceOutcome::partial(
        stored.rows,
        fmt::format("the process list shows {} of {} connections, for no reason that is known", stored.connections,
                    *reading.threads_connected),
        "Run dbaudit again");
  }
  return SourceOutcome::read(stored.rows);
}

}  // namespace

Ahead ahead_of_sessions(const Reading& reading) {
  if (!reading.performance_schema) return {{process_list_sql(reading)}};
  // Which list it is, transactions tell.
  if (!reading.has_process_privilege) return {{}, false};
  // Where the first list fails, the other one is read.
  if (uses_threads(reading)) return {{threads_sql()}, false};
  return {{std::string(kThreadIds), process_list_sql(reading)}};
}

SourceOutcome collect_sessions(Reading& reading) {
  const bool use_threads = uses_threads(reading);
  Result<Rows> threads = Error{};
  if (reading.performance_schema) {
    threads = reading.connection.query(use_threads ? threads_sql() : std::string(kThreadIds));
    while (threads && !use_threads && threads->next()) {
      note_thread(reading, threads->integer(1).value_or(0), threads->integer(0), threads->integer(3) == 1);
      if (threads->integer(2) == 1) reading.event_sessions.insert(threads->integer(0).value_or(0));
    }
    if (!threads) {
      const SourceOutcome failed = unavailable_from(threads.error(), reading, "statements");
      reading.thread_ids_problem = {"which thread is which session is not known: " + failed.reason.value_or(""),
                                    failed.remedy.value_or("")};
    } else if (reading.thread_instances_lost.value_or(0) > 0) {
      reading.thread_ids_problem = {
          fmt::format("performance_schema ran out of room for {} threads", *reading.thread_instances_lost),
          "Start the server with a larger performance_schema_max_thread_instances"};
    }
  }
  if (use_threads && threads) return outcome_of_whole_list(reading, store_sessions(reading, *threads, true), true);

  Result<Rows> list = reading.connection.query(process_list_sql(reading));
  if (!list && list.error().kind == ErrorKind::unreadable) list = reading.connection.query(kUnconverted);
  if (!list) return unavailable_from(list.error(), reading, "sessions");
  const Stored stored = store_sessions(reading, *list, false);
  if (!reading.status) static_cast<void>(collect_status(reading));  // how many there should be
  const bool short_list = !reading.threads_connected || stored.connections < *reading.threads_connected;
  if (short_list && reading.has_process_privilege != true) {
    return SourceOutcome::partial(
        stored.rows,
        fmt::format("the process list shows {} of {} connections: {}", stored.connections,
                    reading.threads_connected ? std::to_string(*reading.threads_connected) : "an unknown number of",
                    reading.has_process_privilege == false ? "this account lacks PROCESS"
                                                           : "whether this account has PROCESS could not be seen"),
        grant_for("sessions", reading.version, reading.account).value_or(""));
  }
  // Without the threads, losses are only seen in the number of rows.
  return outcome_of_whole_list(reading, stored, lists_in_performance_schema(reading) && threads.ok());
}

}  // namespace dbaudit

#include "collect/collect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "collect/privileges.h"
#include "collect/source.h"
#include "facts/schema.h"

namespace dbaudit {
namespace {

struct Entry {
  const char* source;
  Collector collect;
  bool for_locks;  // part of Scope::locks
  LookAhead ahead;
};

// Every source, in reading order. Some need what earlier ones found: transactions tell whether PROCESS is there,
// instruments what can be seen at all, sessions which thread is which connection. What a stall is made of is read
// close together.
constexpr std::array<Entry, 14> kCollectors{{
    {"instruments", collect_instruments, true, nullptr},
    {"global_variables", collect_global_variables, false, ahead_of_global_variables},
    {"status", collect_status, true, ahead_of_status},
    {"transactions", collect_transactions, true, ahead_of_transactions},
    {"sessions", collect_sessions, true, ahead_of_sessions},
    {"metadata_locks", collect_metadata_locks, true, ahead_of_metadata_locks},
    {"row_lock_waits", collect_row_lock_waits, true, ahead_of_row_lock_waits},
    {"table_handles", collect_table_handles, true, ahead_of_table_handles},
    {"statements", collect_statements, true, ahead_of_statements},
    {"connection_attributes", collect_connection_attributes, true, ahead_of_connection_attributes},
    {"session_variables", collect_session_variables, false, ahead_of_session_variables},
    {"prepared_xa", collect_prepared_xa, true, ahead_of_prepared_xa},
    {"replication", collect_replication, false, ahead_of_replication},
    {"accounts", collect_accounts, false, ahead_of_accounts},
}};

// UNIX_TIMESTAMP is free of time zones, so that clocks can be compared.
constexpr std::string_view kIdentity =
    "SELECT VERSION(), @@version_comment, @@hostname, @@port, @@system_time_zone, @@performance_schema, "
    "CONNECTION_ID(), CURRENT_USER(), UNIX_TIMESTAMP(NOW(6)), @@max_connections, @@lower_case_table_names, "
    // MySQL's default is more than SQLite's integers hold, and MySQL 9.7's LEAST() makes -1 of it.
    "IF(@@max_write_lock_count < 4294967295, @@max_write_lock_count, 4294967295)";

struct ServerRow {
  std::optional<ServerVersion> version;
  std::optional<std::string> version_full, version_comment, hostname, error, door, tls_cipher, account,
      system_time_zone;
  std::optional<std::int64_t> port, connection_id, max_connections, lower_case_table_names, max_write_lock_count;
  std::optional<double> clock_skew_s;
  bool performance_schema = false;
};

void insert_source(Store& store, std::int64_t server_id, const std::string& source, const SourceOutcome& outcome,
                   double duration_ms) {
  const bool has_rows = outcome.status != "unavailable";
  const auto present = [](const std::optional<std::string>& text) {
    return text && !text->empty() ? text : std::nullopt;
  };
  store.insert("fact_source")
      .row(server_id, source, outcome.status, present(outcome.reason), present(outcome.remedy), outcome.curable,
           has_rows ? std::optional(outcome.rows) : std::nullopt, duration_ms);
}

std::optional<Error> read_identity(Connection& connection, const Clock& clock, ServerRow& row) {
  const auto before = clock();
  Result<Rows> rows = connection.query(kIdentity);
  const auto after = clock();
  if (!rows) return rows.error();
  if (!rows->next()) return Error{ErrorKind::other, "the server returned no version"};
  row.version_full = rows->text(0);
  row.version = parse_server_version(*row.version_full);
  if (!row.version) {
    return Error{ErrorKind::other,
                 fmt::format("'{}' is not the version of a MySQL or MariaDB server", printable(*row.version_full))};
  }
  row.version_comment = rows->text(1);
  row.hostname = rows->text(2);
  row.port = rows->integer(3);
  row.system_time_zone = rows->text(4);
  row.performance_schema = rows->integer(5) == 1;
  row.connection_id = rows->integer(6);
  row.account = rows->text(7);
  row.door = connection.door();
  row.tls_cipher = connection.tls_cipher();
  if (const std::optional<double> server_time = rows->real(8)) {
    const auto middle = before + (after - before) / 2;
    row.clock_skew_s = *server_time - std::chrono::duration<double>(middle.time_since_epoch()).count();
  }
  row.max_connections = rows->integer(9);
  row.lower_case_table_names = rows->integer(10);
  row.max_write_lock_count = rows->integer(11);
  return std::nullopt;
}

bool in_scope(const Entry& entry, Scope scope) { return scope == Scope::everything || entry.for_locks; }

// Of thousands of locks that the plugin shows, all are wanted, whatever other sources find: they are stored while the
// server works on everything else.
void bring_plugin_forward(const Reading& reading, std::vector<Entry>& order, std::size_t place) {
  const auto locks = std::find_if(order.begin(), order.end(),
                                  [](const Entry& entry) { return entry.collect == collect_metadata_locks; });
  if (reading.request.scope == Scope::everything && !reading.performance_schema && reads_lock_plugin(reading) &&
      locks != order.end())
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(place), locks, locks + 1);
}

// Where nothing shows metadata locks, the list of sessions is the last of the large answers. To count its status takes
// the server milliseconds when there are thousands of them: it does that while the list is stored. Not where two
// samples of the status are apart: what a stall is made of is read close together.
void put_status_behind_sessions(const Reading& reading, std::vector<Entry>& order) {
  if (reading.performance_schema || reads_lock_plugin(reading) || reading.request.sample_interval) return;
  const auto at = [&order](Collector collect) {
    return std::find_if(order.begin(), order.end(), [collect](const Entry& entry) { return entry.collect == collect; });
  };
  std::rotate(at(collect_status), at(collect_status) + 1, at(collect_sessions) + 1);  // both are in every scope
}

// Begins statements of the sources that come next, so that the server is at work while their rows are looked at. Of few
// sources, because all the answers are held.
class Pipeline {
 public:
  Pipeline(Reading& reading, const std::vector<Entry>& order) : reading_(reading), order_(order) {}

  // While source `now` is read, or just before.
  void go_on(std::size_t now) {
    constexpr std::size_t kSources = 3;
    const std::size_t end = std::min(order_.size(), now + 1 + kSources);
    while (next_ < end && incomplete_ < now) {
      Ahead ahead = order_[next_].ahead(reading_);
      if (next_ > now && !ahead.all && ahead.statements.empty()) return;  // later it is known
      for (std::string& sql : ahead.statements) reading_.connection.begin(std::move(sql));
      if (!ahead.all) incomplete_ = next_;
      ++next_;
    }
  }

 private:
  Reading& reading_;
  const std::vector<Entry>& order_;
  std::size_t next_ = 1;        // the first source of which nothing is begun
  std::size_t incomplete_ = 0;  // the last one that will send more; nothing may be begun behind it before it is read
};

// Reads all sources; after a lost connection the remaining ones are unavailable.
void read_sources(Reading& reading, const WhileItAnswers& meanwhile) {
  std::optional<SourceOutcome> gone;
  std::vector<Entry> order;
  std::copy_if(kCollectors.begin(), kCollectors.end(), std::back_inserter(order),
               [&](const Entry& entry) { return in_scope(entry, reading.request.scope); });
  Pipeline pipeline(reading, order);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Entry& entry = order[i];
    if (i == 1 && meanwhile && !gone) {
      // Everything depends on the instruments; with the second source the server gets its first large statements. This
      // takes some ten milliseconds, and InnoDB's tables agree with each other when less than 100 lie between two
      // looks.
      pipeline.go_on(i);
      meanwhile(reading.store, reading.version);
    }
    const auto begin = std::chrono::steady_clock::now();
    SourceOutcome outcome;
    if (entry.collect == collect_status && reading.status) {
      outcome = *reading.status;  // with the sessions
    } else if (gone) {
      outcome = *gone;
    } else if (begin >= reading.request.deadline) {
      gone = outcome =
          SourceOutcome::unavailable("the time for this run (--timeout) was over", "Give it more time with --timeout");
    } else {
      pipeline.go_on(i);
      reading.begin_more = [&pipeline, i] { pipeline.go_on(i); };
      outcome = entry.collect(reading);
      const bool lost = outcome.status != "read" && reading.connection.lost();
      // Of a connection that was given up at the deadline, the next source says that the time was over.
      if (lost && std::chrono::steady_clock::now() < reading.request.deadline)
        gone = SourceOutcome::unavailable(fmt::format("the connection broke while {} was read", entry.source),
                                          "Run dbaudit again");
    }
    insert_source(reading.store, reading.server_id, entry.source, outcome, milliseconds_since(begin));
    if (entry.collect == collect_instruments) {
      bring_plugin_forward(reading, order, i + 1);
      put_status_behind_sessions(reading, order);
    }
  }
}

}  // namespace

std::vector<std::string> collect_server(const std::function<Store&()>& store_to_fill, std::int64_t server_id,
                                        const CollectRequest& request, const Clock& clock,
                                        const WhileItAnswers& meanwhile) {
  WallTime taken_at = clock();
  auto begin = std::chrono::steady_clock::now();
  std::vector<std::string> warnings;
  ServerRow row;
  std::optional<Error> error;
  std::optional<Connection> own;
  std::optional<Connection>& connection = request.kept ? *request.kept : own;
  if (connection && !connection->lost()) {
    connection->end_by(request.deadline);
  } else {
    connection.reset();
    Result<Connection> opened = Connection::open(request.connection, request.deadline);
    if (opened) {
      connection = std::move(*opened);
      warnings = connection->warnings();
    } else {
      error = opened.error();
    }
  }
  const double connect_ms = milliseconds_since(begin);
  const Seconds before = connection ? connection->query_time() : Seconds{0};
  if (connection) error = read_identity(*connection, clock, row);
  // The server works on it while the store is made.
  if (connection && !error) {
    if (std::string first = first_instruments_statement(*row.version, row.performance_schema); !first.empty())
      connection->begin(std::move(first));
  }
  const auto asked = std::chrono::steady_clock::now();
  Store& store = store_to_fill();
  const auto waited = std::chrono::steady_clock::now() - asked;  // for others that are read, and no time of this server
  begin += waited;
  taken_at += std::chrono::duration_cast<WallTime::duration>(waited);
  store.begin();
  store.write_behind();
  std::optional<std::int64_t> uptime;
  if (error) {
    row.error = describe(*error);
    Error plain = *error;
    plain.next_step.clear();
    const SourceOutcome unreachable = SourceOutcome::unavailable(
        describe(plain), error->next_step.empty() ? "Make the server reachable for this account" : error->next_step);
    insert_source(store, server_id, "server", unreachable, 0);
    for (const Entry& entry : kCollectors) {
      if (in_scope(entry, request.scope)) insert_source(store, server_id, entry.source, unreachable, 0);
    }
  } else {
    insert_source(store, server_id, "server", SourceOutcome::read(1), milliseconds_since(begin));
    Reading reading{.connection = *connection,
                    .store = store,
                    .server_id = server_id,
                    .request = request,
                    .version = *row.version,
                    .account = quoted_account(*row.account),
                    .connection_id = row.connection_id.value_or(0),
                    .performance_schema = row.performance_schema,
                    .folds_case = row.lower_case_table_names.value_or(0) != 0};
    read_sources(reading, meanwhile);
    warnings.insert(warnings.end(), reading.warnings.begin(), reading.warnings.end());
    uptime = reading.uptime_s;
    if (row.door == "normal port" && reading.threads_connected && row.max_connections &&
        *reading.threads_connected > *row.max_connections)
      row.door = "reserved slot";
  }
  const ServerDeclaration& declared = request.declared;
  store.insert("server").row(
      server_id, request.connection.name, row.version ? std::optional(to_string(row.version->flavor)) : std::nullopt,
      row.version ? std::optional(to_string(row.version->version)) : std::nullopt, row.version_full,
      row.version_comment, row.hostname, row.port, declared.role, declared.replica_of, declared.group,
      declared.environment, declared.memory_bytes, nullptr, nullptr, !error, row.error,
      error ? std::optional(to_string(error->kind)) : std::nullopt, row.door, row.tls_cipher, row.account,
      row.connection_id, row.system_time_zone, row.lower_case_table_names, row.max_write_lock_count, uptime,
      format_utc(taken_at), row.clock_skew_s, connect_ms,
      connection ? std::optional((connection->query_time() - before).count() * 1000) : std::nullopt,
      milliseconds_since(begin));
  store.commit();
  return warnings;
}

}  // namespace dbaudit

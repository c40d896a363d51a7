// Replication channels of which this server is the replica; on request its own replicas. Column names changed with the
// words: each is looked up. Errors quote statements and rows, so they are stored as statements are.
#include <fmt/format.h>

#include "base/text.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

std::string_view status_sql(const ServerVersion& version) {
  if (version.min_mysql(8, 0, 22)) return "SHOW REPLICA STATUS";
  if (version.is_mariadb()) return "SHOW ALL SLAVES STATUS";  // every named connection; 10.5 on also knows REPLICAS
  return "SHOW SLAVE STATUS";
}

// Needs REPLICATION SLAVE on MySQL and REPLICATION MASTER ADMIN on MariaDB; it shows the hosts of those that have a
// report_host.
std::string_view replicas_sql(const ServerVersion& version) {
  return version.min_mysql(8, 0, 22) ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS";
}
constexpr std::string_view kDumps =
    "SELECT DISTINCT client_host FROM sessions WHERE server_id = :id AND command LIKE 'Binlog Dump%' "
    "AND client_host IS NOT NULL";

std::optional<std::string> cell(const Rows& rows, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto column = rows.find_column(name)) return rows.optional_text(*column);
  }
  return std::nullopt;
}

void read_replicas(Reading& reading) {
  std::vector<std::string> dumps;
  {
    Query rows = reading.store.query(kDumps);
    rows.bind("id", reading.server_id);
    while (rows.next().value()) dumps.push_back(rows.text(0));
  }
  Result<Rows> rows = reading.connection.query(replicas_sql(reading.version));
  if (!rows)
    reading.warnings.push_back(fmt::format("{}: replicas are sought in its process list only: {}",
                                           reading.request.connection.name, describe(rows.error())));
  Insert insert = reading.store.insert("replicas");
  while (rows && rows->next()) {
    const std::string host = cell(*rows, {"Host"}).value_or("");
    insert.row(reading.server_id, host.empty() ? std::nullopt : std::optional(host),
               value_from_server(cell(*rows, {"Port"}).value_or("")), "registered");
  }
  for (const std::string& host : dumps) insert.row(reading.server_id, host, nullptr, "sessions");
}

}  // namespace

Ahead ahead_of_replication(const Reading& reading) {
  Ahead ahead{{std::string(status_sql(reading.version))}};
  if (reading.request.find_replicas) ahead.statements.emplace_back(replicas_sql(reading.version));
  return ahead;
}

SourceOutcome collect_replication(Reading& reading) {
  Result<Rows> rows = reading.connection.query(status_sql(reading.version));
  if (!rows) {
    if (reading.request.find_replicas) read_replicas(reading);
    return unavailable_from(rows.error(), reading, "replication");
  }
  Insert insert = reading.store.insert("replication");
  std::int64_t count = 0;
  while (rows->next()) {
    const auto number = [](const std::optional<std::string>& text) {
      return text ? value_from_server(*text) : Value{};
    };
    insert.row(reading.server_id, cell(*rows, {"Channel_Name", "Connection_name"}).value_or(""),
               cell(*rows, {"Source_Host", "Master_Host"}), number(cell(*rows, {"Source_Port", "Master_Port"})),
               cell(*rows, {"Replica_IO_Running", "Slave_IO_Running"}),
               cell(*rows, {"Replica_SQL_Running", "Slave_SQL_Running"}),
               number(cell(*rows, {"Seconds_Behind_Source", "Seconds_Behind_Master"})),
               reading.statement_text(cell(*rows, {"Last_IO_Error"})),
               reading.statement_text(cell(*rows, {"Last_SQL_Error"})));
    ++count;
  }
  if (reading.request.find_replicas) read_replicas(reading);
  return SourceOutcome::read(count);
}

}  // namespace dbaudit

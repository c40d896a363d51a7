// Replication channels of which this server is the replica. Column names changed with the words: each is looked up.
// Errors quote statements and rows, so they are stored as statements are.
#include "collect/source.h"

namespace dbaudit {
namespace {

std::string_view status_sql(const ServerVersion& version) {
  if (version.min_mysql(8, 0, 22)) return "SHOW REPLICA STATUS";
  if (version.is_mariadb()) return "SHOW ALL SLAVES STATUS";  // every named connection; 10.5 on also knows REPLICAS
  return "SHOW SLAVE STATUS";
}

std::optional<std::string> cell(const Rows& rows, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto column = rows.find_column(name)) return rows.optional_text(*column);
  }
  return std::nullopt;
}

}  // namespace

SourceOutcome collect_replication(Reading& reading) {
  Result<Rows> rows = reading.connection.query(status_sql(reading.version));
  if (!rows) return unavailable_from(rows.error(), reading, "replication");
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
  return SourceOutcome::read(count);
}

}  // namespace dbaudit

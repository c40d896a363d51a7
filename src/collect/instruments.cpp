// The switches that decide what can be seen: performance schema instruments and consumers, MariaDB's plugin.
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kInstruments =
    "SELECT 'instrument', NAME, ENABLED FROM performance_schema.setup_instruments "
    "WHERE NAME IN ('wait/lock/metadata/sql/mdl', 'transaction', 'statement/sql/select', "
    "'wait/lock/table/sql/handler') "
    "UNION ALL SELECT 'consumer', NAME, ENABLED FROM performance_schema.setup_consumers";

constexpr std::string_view kPlugin =
    "SELECT 'plugin', PLUGIN_NAME, IF(PLUGIN_STATUS = 'ACTIVE', 'YES', 'NO') FROM information_schema.PLUGINS "
    "WHERE PLUGIN_NAME = 'METADATA_LOCK_INFO'";

std::optional<Error> read(Reading& reading, std::string_view sql, std::int64_t& count) {
  Result<Rows> rows = reading.connection.query(sql);
  if (!rows) return rows.error();
  Insert insert = reading.store.insert("instruments", {"server_id", "kind", "name", "enabled"});
  while (rows->next()) {
    insert.row(reading.server_id, rows->text(0), rows->text(1), rows->text(2));
    reading.instruments[rows->text(1)] = rows->text(2);
    ++count;
  }
  return std::nullopt;
}

}  // namespace

std::string first_instruments_statement(const ServerVersion& version, bool performance_schema) {
  return std::string(version.is_mariadb() ? kPlugin : performance_schema ? kInstruments : "");
}

SourceOutcome collect_instruments(Reading& reading) {
  std::int64_t count = 0;
  if (reading.version.is_mariadb()) {
    if (const auto error = read(reading, kPlugin, count)) {
      SourceOutcome outcome = unavailable_from(*error, reading, "instruments");
      reading.plugins_problem = {outcome.reason.value_or(""), outcome.remedy.value_or("")};
      return outcome;
    }
  }
  if (!reading.performance_schema) return SourceOutcome::read(count);
  if (const auto error = read(reading, kInstruments, count)) {
    SourceOutcome outcome = unavailable_from(*error, reading, "instruments");
    if (count > 0) outcome.status = "partial";
    outcome.rows = count;
    return outcome;
  }
  return SourceOutcome::read(count);
}

}  // namespace dbaudit

// Open tables with a handler-level lock (performance_schema.table_handles): waits for a table flush and for table
// locks of other engines have no pending metadata lock, this is where their holder shows.
//
// A lock shows when the instrument was on as its table was opened (measured on MySQL 9.7.4 and MariaDB 11.8.6: with the
// instrument or the consumer off there are no rows with locks, and no error).
#include <fmt/format.h>

#include "collect/privileges.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kHandles =
    "SELECT OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME, OWNER_THREAD_ID, INTERNAL_LOCK, EXTERNAL_LOCK "
    "FROM performance_schema.table_handles "
    "WHERE OWNER_THREAD_ID > 0 AND (INTERNAL_LOCK IS NOT NULL OR EXTERNAL_LOCK IS NOT NULL)";

constexpr const char* kHandleInstrument = "wait/lock/table/sql/handler";
constexpr const char* kHandleConsumer = "global_instrumentation";

std::optional<SourceOutcome> handles_off(const Reading& reading) {
  if (!reading.performance_schema) return performance_schema_off(reading);
  if (reading.is_off(kHandleConsumer)) return instrument_off(kHandleConsumer, "setup_consumers");
  if (reading.is_off(kHandleInstrument)) return instrument_off(kHandleInstrument, "setup_instruments");
  return std::nullopt;
}

// Says nothing about who; a trace where nothing better is to be had.
constexpr std::string_view kOpenTables = "SHOW OPEN TABLES WHERE In_use > 0";

void read_open_tables(Reading& reading) {
  Result<Rows> rows = reading.connection.query(kOpenTables);
  if (!rows) return;
  Insert insert = reading.store.insert("open_tables");
  while (rows->next()) insert.row(reading.server_id, rows->view(0), rows->view(1), rows->integer(2));
}

}  // namespace

Ahead ahead_of_table_handles(const Reading& reading) {
  return {{std::string(handles_off(reading) ? kOpenTables : kHandles)}};
}

SourceOutcome collect_table_handles(Reading& reading) {
  if (std::optional<SourceOutcome> off = handles_off(reading)) {
    read_open_tables(reading);
    return *off;
  }
  Result<Rows> rows = reading.connection.query(kHandles);
  if (!rows) return unavailable_from(rows.error(), reading, "table_handles");
  Insert insert = reading.store.insert("table_handles");
  std::int64_t count = 0;
  while (rows->next()) {
    const std::optional<std::int64_t> thread = rows->integer(3);
    const std::optional<std::int64_t> id = reading.processlist_id(thread);
    if (id == reading.connection_id) continue;
    insert.row(reading.server_id, id, thread, rows->text(0), rows->optional_text(1), rows->optional_text(2),
               rows->optional_text(4), rows->optional_text(5));
    ++count;
  }
  if (!reading.instruments.contains(kHandleInstrument)) {
    const std::string reason = fmt::format(
        "whether instrument '{}' is on, without which locks are missing, could not be read", kHandleInstrument);
    const std::string remedy = grant_for("instruments", reading.version, reading.account).value_or("");
    return count == 0 ? SourceOutcome::unavailable(reason, remedy) : SourceOutcome::partial(count, reason, remedy);
  }
  return read_by_thread(reading, count);
}

}  // namespace dbaudit

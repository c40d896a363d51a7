// Open tables with a handler-level lock (performance_schema.table_handles): waits for a table flush and for table
// locks of other engines have no pending metadata lock, this is where their holder shows.
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kHandles =
    "SELECT OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME, OWNER_THREAD_ID, INTERNAL_LOCK, EXTERNAL_LOCK "
    "FROM performance_schema.table_handles "
    "WHERE OWNER_THREAD_ID > 0 AND (INTERNAL_LOCK IS NOT NULL OR EXTERNAL_LOCK IS NOT NULL)";

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
  return {{std::string(reading.performance_schema ? kHandles : kOpenTables)}};
}

SourceOutcome collect_table_handles(Reading& reading) {
  if (!reading.performance_schema) {
    read_open_tables(reading);
    return performance_schema_off(reading);
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
  return read_by_thread(reading, count);
}

}  // namespace dbaudit

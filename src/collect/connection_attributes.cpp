// What clients said about themselves when they connected (performance_schema.session_connect_attrs).
#include <array>
#include <map>

#include "base/text.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kAttributes =
    "SELECT PROCESSLIST_ID, ATTR_NAME, ATTR_VALUE FROM performance_schema.session_connect_attrs "
    "WHERE ATTR_NAME IN ('program_name', '_client_name', '_client_version', '_pid')";

constexpr std::array<std::string_view, 4> kNames{"program_name", "_client_name", "_client_version", "_pid"};
constexpr std::size_t kAttributeBytes = 256;

}  // namespace

Ahead ahead_of_connection_attributes(const Reading& reading) {
  return reading.performance_schema ? Ahead{{std::string(kAttributes)}} : Ahead{};
}

SourceOutcome collect_connection_attributes(Reading& reading) {
  if (!reading.performance_schema) return performance_schema_off(reading);
  Result<Rows> rows = reading.connection.query(kAttributes);
  if (!rows) return unavailable_from(rows.error(), reading, "connection_attributes");
  std::map<std::int64_t, std::array<std::optional<std::string>, kNames.size()>> by_session;
  while (rows->next()) {
    const std::string name = rows->text(1);
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (name == kNames.at(i))
        by_session[rows->integer(0).value_or(0)].at(i) = bounded(rows->text(2), kAttributeBytes);
    }
  }
  Insert insert = reading.store.insert("connection_attributes");
  for (const auto& [id, values] : by_session)
    insert.row(reading.server_id, id, values[0], values[1], values[2], values[3]);
  return SourceOutcome::read(static_cast<std::int64_t>(by_session.size()));
}

}  // namespace dbaudit

// Global variables, and where each value comes from.
//
// MySQL's variables_info cannot be trusted for variables that sessions have too: any session's SET SESSION overwrites
// source, time and user (measured on 9.7.4). Which variables those are, variables_by_thread of this very connection
// tells. MariaDB's GLOBAL_VALUE_ORIGIN is not touched by SET SESSION.
#include <fmt/format.h>

#include <set>
#include <unordered_set>

#include "base/sql_text.h"
#include "base/text.h"
#include "collect/source.h"
#include "collect/wide_row.h"

namespace dbaudit {
namespace {

constexpr std::string_view kVariables = "SHOW GLOBAL VARIABLES";

constexpr std::string_view kOriginMysql =
    "SELECT VARIABLE_NAME, VARIABLE_SOURCE, VARIABLE_PATH, SET_TIME, SET_USER, SET_HOST "
    "FROM performance_schema.variables_info";
constexpr std::string_view kSessionScopeMysql =
    "SELECT VARIABLE_NAME FROM performance_schema.variables_by_thread WHERE THREAD_ID = "
    "(SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID())";
constexpr std::string_view kPersisted =
    "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.persisted_variables";

constexpr std::string_view kOriginMariadb =
    "SELECT VARIABLE_NAME, GLOBAL_VALUE_ORIGIN, GLOBAL_VALUE_PATH, DEFAULT_VALUE, VARIABLE_SCOPE "
    "FROM information_schema.SYSTEM_VARIABLES WHERE GLOBAL_VALUE_ORIGIN IS NOT NULL";

const std::vector<std::string> kColumns{"server_id",      "variable_name", "variable_value",  "variable_source",
                                        "variable_path",  "set_time",      "set_user",        "set_host",
                                        "variable_scope", "default_value", "persisted_value", "origin_reliable"};

Value stored_value(const std::string& name, const std::string& text) {
  return is_secret_variable(name) ? Value{std::string("(not stored)")} : value_from_server(text);
}

struct PersistedValue {
  std::string name;
  Value value;
};

// Rows of variables_info for MySQL; a failing statement makes the source partial, the values themselves are read.
std::optional<Error> read_origins_mysql(Reading& reading, const NamedValues& values) {
  Result<Rows> origins = reading.connection.query(kOriginMysql);
  if (!origins) return origins.error();
  std::optional<Error> scope_error;
  std::unordered_set<std::string> session_scope;
  Result<Rows> scope = reading.connection.query(kSessionScopeMysql);
  if (scope) {
    while (scope->next()) session_scope.insert(to_lower(scope->text(0)));
    if (session_scope.empty()) {
      scope_error = Error{ErrorKind::other, "performance_schema does not show which variables sessions have too"};
      if (!reading.performance_schema) scope_error->next_step = "Start the server with performance_schema=ON";
    }
  } else {
    scope_error = scope.error();
  }
  NamedValues persisted;
  Result<Rows> stored = reading.connection.query(kPersisted);
  if (!stored) return stored.error();
  while (stored->next()) {
    const std::string name = to_lower(stored->text(0));
    persisted[name] = stored_value(name, stored->text(1));
  }
  Insert insert = reading.store.insert("variables_info", kColumns);
  while (origins->next()) {
    const std::string name = to_lower(origins->text(0));
    const auto value = values.find(name);
    const auto persisted_value = persisted.find(name);
    const bool session = session_scope.contains(name);
    // Without the list of scopes nothing SET at run time can be trusted; other sources are never written by a SET.
    const std::string source = origins->text(1);
    const bool reliable = !scope_error ? !session : source != "DYNAMIC";
    insert.row(reading.server_id, name, value == values.end() ? Value{} : value->second, source,
               origins->optional_text(2), origins->optional_text(3), origins->optional_text(4),
               origins->optional_text(5),
               scope_error ? std::optional<std::string>{}
               : session   ? "SESSION"
                           : "GLOBAL",
               nullptr, persisted_value == persisted.end() ? Value{} : persisted_value->second, reliable);
  }
  return scope_error;
}

std::optional<Error> read_origins_mariadb(Reading& reading, const NamedValues& values) {
  Result<Rows> origins = reading.connection.query(kOriginMariadb);
  if (!origins) return origins.error();
  Insert insert = reading.store.insert("variables_info", kColumns);
  while (origins->next()) {
    const std::string name = to_lower(origins->text(0));
    const auto value = values.find(name);
    const std::optional<std::string> standard = origins->optional_text(3);
    insert.row(reading.server_id, name, value == values.end() ? Value{} : value->second, origins->text(1),
               origins->optional_text(2), nullptr, nullptr, nullptr, origins->optional_text(4),
               standard ? stored_value(name, *standard) : Value{}, nullptr, true);
  }
  return std::nullopt;
}

}  // namespace

Ahead ahead_of_global_variables(const Reading& reading) {
  Ahead ahead{{std::string(kVariables)}};
  if (reading.version.is_mariadb()) {
    ahead.statements.emplace_back(kOriginMariadb);
  } else if (reading.version.min_mysql(8, 0)) {
    for (const std::string_view sql : {kOriginMysql, kSessionScopeMysql, kPersisted})
      ahead.statements.emplace_back(sql);
  }
  return ahead;
}

SourceOutcome collect_global_variables(Reading& reading) {
  Result<Rows> rows = reading.connection.query(kVariables);
  if (!rows) return unavailable_from(rows.error(), reading, "global_variables");
  NamedValues values;
  while (rows->next()) {
    const std::string name = to_lower(rows->text(0));
    values[name] = stored_value(name, rows->text(1));
  }
  insert_wide_row(reading.store, "global_variables", reading.server_id, known_variables(), values);
  const auto count = static_cast<std::int64_t>(values.size());

  const bool has_origins = reading.version.is_mariadb() || reading.version.min_mysql(8, 0);
  if (!has_origins) return SourceOutcome::read(count);
  const std::optional<Error> error =
      reading.version.is_mariadb() ? read_origins_mariadb(reading, values) : read_origins_mysql(reading, values);
  if (!error) return SourceOutcome::read(count);
  // The values are complete; only where they come from is not known, and rules see that as NULL.
  SourceOutcome outcome = unavailable_from(*error, reading, "session_variables");
  outcome.status = "read";
  outcome.rows = count;
  outcome.reason = "values complete, their origin only partly known: " + outcome.reason.value_or("");
  return outcome;
}

}  // namespace dbaudit

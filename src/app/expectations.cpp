#include "app/expectations.h"

#include <fmt/format.h>

#include <set>

#include "app/server_options.h"
#include "base/text.h"
#include "base/version.h"
#include "facts/known_names.h"

namespace dbaudit {
namespace {

constexpr std::string_view kEnvironments =
    "SELECT server_id, flavor, environment FROM server WHERE environment IS NOT NULL AND flavor IS NOT NULL";

// As it would stand in an option file; nothing: a table, an array or a date.
std::optional<std::string> option_text(const TomlValue& value) {
  if (const auto* text = value.get<std::string>()) return *text;
  if (const auto* integer = value.get<std::int64_t>()) return std::to_string(*integer);
  if (const auto* real = value.get<double>()) return fmt::format("{}", *real);
  if (const auto* flag = value.get<bool>()) return *flag ? "ON" : "OFF";
  return std::nullopt;
}

// What the server has when it has taken the text. What it would move to the end of its range can never hold.
Result<Value> expected_value(const KnownName& variable, Flavor flavor, const std::string& text) {
  Result<TakenValue> taken = value_from_option(variable.in(flavor), Value{}, text, flavor);
  if (!taken) return taken.error();
  if (!taken->adjusted.empty()) return Error{ErrorKind::other, taken->adjusted};
  return taken->value;
}

std::set<std::string> members_of(std::string_view list) {
  std::set<std::string> members;
  for (const std::string& member : split(list, ',')) members.insert(to_lower(trimmed(member)));
  return members;
}

// Case does not count in the server's own words, nor does the order in lists such as sql_mode.
bool is_same(const Value& found, const Value& expected) {
  const auto* found_text = std::get_if<std::string>(&found);
  const auto* expected_text = std::get_if<std::string>(&expected);
  if (found_text != nullptr && expected_text != nullptr) return members_of(*found_text) == members_of(*expected_text);
  const auto number = [](const Value& value) -> std::optional<double> {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
    if (const auto* real = std::get_if<double>(&value)) return *real;
    return std::nullopt;
  };
  return number(found) && number(found) == number(expected);
}

}  // namespace

void check_expectations(const Config& config, Problems& problems) {
  for (const Expectation& expectation : config.expectations) {
    const auto problem = [&](const std::string& what) {
      problems.add(config.file, expectation.value.line,
                   fmt::format("[expect.{}] {}: {}", expectation.environment, expectation.variable, what));
    };
    const KnownName* variable = known_variable(expectation.variable);
    if (variable == nullptr) {
      problem("no supported server has such a global variable" + did_you_mean(expectation.variable, variable_names()));
      continue;
    }
    const std::optional<std::string> text = option_text(expectation.value);
    if (!text) {
      problem(fmt::format("the value must be a number, true, false or text, not {}", expectation.value.type_name()));
      continue;
    }
    std::string refusal;
    bool taken = false;
    for (const Flavor flavor : {Flavor::mysql, Flavor::mariadb}) {
      if (!variable->in(flavor).known) continue;
      const Result<Value> value = expected_value(*variable, flavor, *text);
      taken = taken || value;
      if (!value) refusal = value.error().message;
    }
    if (!taken) problem(fmt::format("no server takes {}: {}", printable(*text), refusal));
  }
}

void add_expectations(const Config& config, Store& store) {
  store.execute("DELETE FROM expectation");
  if (config.expectations.empty()) return;
  struct Server {
    std::int64_t id = 0;
    Flavor flavor = Flavor::mysql;
    std::string environment;
  };
  std::vector<Server> servers;
  {
    Query rows = store.query(kEnvironments);
    while (rows.next().value())
      servers.push_back(
          {rows.integer(0).value_or(0), parse_flavor(rows.text(1)).value_or(Flavor::mysql), rows.text(2)});
  }
  for (const Server& server : servers) {
    for (const Expectation& expectation : config.expectations) {
      if (expectation.environment != server.environment) continue;
      const KnownName& variable = *known_variable(expectation.variable);  // checked before
      const std::string text = option_text(expectation.value).value_or("");
      Value found;
      {
        Query row =
            store.query(fmt::format("SELECT \"{}\" FROM global_variables WHERE server_id = :id", expectation.variable));
        row.bind("id", server.id);
        if (row.next().value()) found = row.value(0);
      }
      const KnownIn& known = variable.in(server.flavor);
      const Result<Value> expected = expected_value(variable, server.flavor, text);
      Value holds;
      if (!is_null(found)) holds = static_cast<std::int64_t>(expected && is_same(found, *expected));
      store.insert("expectation")
          .row({expectation.variable, server.id, server.environment, expected ? *expected : Value{text}, found, holds,
                static_cast<std::int64_t>(known.restart), expected ? Value{} : Value{expected.error().message},
                fmt::format("{}:{}", config.file, expectation.value.line)});
    }
  }
}

}  // namespace dbaudit

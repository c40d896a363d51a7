#include "app/proposal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/version.h"
#include "facts/known_names.h"
#include "server/option_file.h"

namespace dbaudit {
namespace {

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (const KnownName& known : known_variables()) names.emplace_back(known.name);
  return names;
}

bool is_variable(const std::string& name) {
  const auto known = known_variables();
  return std::any_of(known.begin(), known.end(), [&](const KnownName& one) { return one.name == name; });
}

bool flavor_has(const std::string& name, bool mysql) {
  const auto known = known_variables();
  return std::any_of(known.begin(), known.end(),
                     [&](const KnownName& one) { return one.name == name && (mysql ? one.mysql : one.mariadb); });
}

std::string variable_name(std::string_view written) {
  std::string name = to_lower(trimmed(written));
  std::replace(name.begin(), name.end(), '-', '_');
  for (const std::string_view scope : {"@@global.", "@@"}) {
    if (name.starts_with(scope)) name.erase(0, scope.size());
  }
  return name;
}

// The next part of pool."checkout.api".maximumPoolSize: up to a dot outside of quotes.
std::string next_part(std::string_view& rest) {
  std::string part;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      quoted = !quoted;
    } else if (rest[i] == '.' && !quoted) {
      break;
    } else {
      part += rest[i];
    }
  }
  rest.remove_prefix(std::min(rest.size(), i + 1));
  return part;
}

void parse_pool_change(std::string_view target, const std::string& value, const std::vector<std::string>& pools,
                       Proposal& proposal, Problems& problems) {
  std::string_view rest = target;
  next_part(rest);  // "pool"
  const std::string name = next_part(rest);
  std::string key(rest);
  std::erase(key, '"');
  if (name.empty() || key.empty()) {
    problems.add(fmt::format("--set {}: write pool.NAME.KEY=VALUE; a name with dots is quoted", printable(target)));
  } else if (std::find(pools.begin(), pools.end(), name) == pools.end()) {
    problems.add(fmt::format("--set {}: no pool is named '{}'{}", printable(target), printable(name),
                             did_you_mean(name, pools)));
  } else {
    proposal.pools.push_back({name, key, value});
  }
}

void parse_set(const std::string& argument, const std::vector<std::string>& pools, Proposal& proposal,
               Problems& problems) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0)
    return problems.add(fmt::format("--set {}: write [SERVER:]VARIABLE=VALUE or pool.NAME.KEY=VALUE",
                                    printable(bounded(argument, 80))));
  const std::string target(trimmed(std::string_view(argument).substr(0, equals)));
  const std::string value(trimmed(std::string_view(argument).substr(equals + 1)));
  if (target.starts_with("pool.")) return parse_pool_change(target, value, pools, proposal, problems);
  VariableChange change;
  const std::size_t colon = target.rfind(':');
  if (colon != std::string::npos) change.server = target.substr(0, colon);
  change.variable = variable_name(std::string_view(target).substr(colon == std::string::npos ? 0 : colon + 1));
  change.value = value;
  change.where = "--set";
  if (!is_variable(change.variable))
    return problems.add(fmt::format("--set: no server has a variable '{}'{}", printable(change.variable),
                                    did_you_mean(change.variable, variable_names())));
  proposal.variables.push_back(std::move(change));
}

// Groups that a server reads, with any suffix that names a version or an instance: [mysqld], [mysqld-8.4],
// [mariadb-10.11].
bool is_server_group(const std::string& group) {
  for (const std::string_view name : {"server", "mysqld", "mariadb", "mariadbd", "galera"}) {
    if (group == name) return true;
    if (group.starts_with(name) && group.size() > name.size() && group[name.size()] == '-') {
      return is_digit(group[std::min(group.size() - 1, name.size() + 1)]);
    }
  }
  return false;
}

// "skip-name-resolve", "disable-log-bin" and "enable-x" say ON or OFF by their name (MySQL reference manual, "Program
// Option Modifiers").
void take_modifiers(VariableChange& change, bool has_value) {
  const auto rename = [&](std::string_view prefix, const char* value) {
    const std::string rest = change.variable.substr(prefix.size());
    if (!is_variable(rest)) return false;
    change.variable = rest;
    if (!has_value) change.value = value;
    return true;
  };
  if (is_variable(change.variable)) {
    if (!has_value) change.value = "ON";
    return;
  }
  for (const auto& [prefix, value] : {std::pair{"skip_", "OFF"}, {"disable_", "OFF"}, {"enable_", "ON"}}) {
    if (change.variable.starts_with(prefix) && rename(prefix, value)) return;
  }
  if (change.variable.starts_with("maximum_")) rename("maximum_", "");
}

void read_option_files(const std::vector<std::string>& files, Proposal& proposal, Problems& problems) {
  for (const std::string& file : files) {
    for (const OptionFileEntry& entry : read_option_file(file, problems)) {
      if (!is_server_group(entry.group)) continue;
      VariableChange change;
      change.variable = to_lower(entry.key);
      change.value = entry.value;
      change.where = fmt::format("{}:{}", entry.file, entry.line);
      change.at_restart = true;
      if (change.variable == "log_bin") change.value = "ON";  // the option takes a file name, the variable has none
      take_modifiers(change, entry.has_value);
      if (is_variable(change.variable)) {
        proposal.variables.push_back(std::move(change));
        continue;
      }
      // Plenty of options are no variables (user, plugin_load_add); a misspelt variable keeps the server from starting.
      const std::string near = did_you_mean(change.variable, variable_names());
      if (!near.empty())
        problems.add(entry.file, entry.line,
                     fmt::format("'{}' is no variable of any supported server{}", printable(entry.key), near));
    }
  }
}

// 16M is 16777216 (MySQL reference manual, "Using Options to Set Program Variables").
std::optional<double> number_with_suffix(const std::string& text) {
  const std::optional<double> plain = number_of(value_from_server(text));
  if (plain || text.empty()) return plain;
  const std::size_t power = std::string_view("kmgtpe").find(to_lower(text).back());
  const std::optional<double> number = number_of(value_from_server(text.substr(0, text.size() - 1)));
  if (power == std::string_view::npos || !number) return std::nullopt;
  return *number * std::pow(1024.0, static_cast<double>(power) + 1);
}

// What the server would make of the text, judged by the kind of value that it has now.
std::optional<Value> new_value(const Value& now, const std::string& text) {
  if (is_null(now)) {
    const std::optional<double> number = number_with_suffix(text);
    if (!number) return Value{text};
    return *number == std::floor(*number) ? Value{static_cast<std::int64_t>(*number)} : Value{*number};
  }
  if (number_of(now) && !std::holds_alternative<std::string>(now)) {
    const std::optional<double> number = number_with_suffix(text);
    if (!number) return std::nullopt;
    if (*number == std::floor(*number) && std::abs(*number) < 9e18) return Value{static_cast<std::int64_t>(*number)};
    return Value{*number};
  }
  if (equals_ignoring_case(text_of(now), "ON") || equals_ignoring_case(text_of(now), "OFF")) {
    const std::string lower = to_lower(text);
    if (lower == "on" || lower == "1" || lower == "true") return Value{std::string("ON")};
    if (lower == "off" || lower == "0" || lower == "false") return Value{std::string("OFF")};
  }
  return Value{text};
}

}  // namespace

void ProposalArguments::add_to(CLI::App& app) {
  const std::string group = "The change";
  app.add_option("--set", set, "[SERVER:]VARIABLE=VALUE or pool.NAME.KEY=VALUE; may be given several times")
      ->group(group)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--option-file", option_files, "my.cnf that the servers would be started with")
      ->group(group)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--memory", memory,
                 "[SERVER:]SIZE of the machine's memory; a managed service's max_connections follows it")
      ->group(group)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Proposal parse_proposal(const ProposalArguments& arguments, const std::vector<std::string>& pools, Problems& problems) {
  Proposal proposal;
  read_option_files(arguments.option_files, proposal, problems);
  for (const std::string& argument : arguments.set) parse_set(argument, pools, proposal, problems);
  proposal.memory = parse_memory_changes(arguments.memory, problems);
  return proposal;
}

void apply_variables(const Proposal& proposal, Store& store, std::vector<std::string>& notes, Problems& problems) {
  struct Server {
    std::int64_t id;
    std::string name;
    std::string version;
    bool assumed;
    bool mysql;
  };
  std::vector<Server> servers;
  std::vector<std::string> names;
  {
    Query rows =
        store.query("SELECT server_id, name, flavor, version, door FROM server WHERE reachable = 1 ORDER BY server_id");
    while (rows.next().value()) {
      servers.push_back({rows.integer(0).value_or(0), rows.text(1), rows.text(2) + " " + rows.text(3),
                         rows.text(4) == "assumed", rows.text(2) == "mysql"});
      names.push_back(rows.text(1));
    }
  }
  for (const VariableChange& change : proposal.variables) {
    if (change.server && std::find(names.begin(), names.end(), *change.server) == names.end()) {
      problems.add(fmt::format("{}: no server of this run is named '{}'{}", change.where, printable(*change.server),
                               did_you_mean(*change.server, names)));
      continue;
    }
    for (const Server& server : servers) {
      if (change.server && *change.server != server.name) continue;
      Query row =
          store.query(fmt::format("SELECT g.\"{}\" FROM global_variables g WHERE g.server_id = :id", change.variable));
      row.bind("id", server.id);
      if (!row.next().value()) continue;  // its variables were not read: every rule about them is unknown
      const Value now = row.value(0);
      // Of an assumed server not every default is known.
      const bool has_it = !is_null(now) || (server.assumed && flavor_has(change.variable, server.mysql));
      if (!has_it) {
        // A file is often shared by servers of both kinds, in loose_ options or groups of their own.
        if (!change.at_restart)
          problems.add(fmt::format("{}: {} ({}) has no variable {}", change.where, server.name, server.version,
                                   change.variable));
        continue;
      }
      const std::optional<Value> value = new_value(now, change.value);
      if (!value) {
        problems.add(fmt::format("{}: {} is a number on {}, not '{}'", change.where, change.variable, server.name,
                                 printable(bounded(change.value, 60))));
        continue;
      }
      if (change.at_restart) {
        // mysqld-auto.cnf is read after every option file (MySQL reference manual, "Persisted System Variables").
        Query persisted = store.query(
            "SELECT persisted_value FROM variables_info WHERE server_id = :id AND variable_name = :name AND "
            "persisted_value IS NOT NULL");
        persisted.bind("id", server.id);
        persisted.bind("name", change.variable);
        if (persisted.next().value() && text_of(persisted.value(0)) != text_of(*value)) {
          notes.push_back(
              fmt::format("{}: {} stays {} on {}: it is persisted there, which wins over option files "
                          "(RESET PERSIST {})",
                          change.where, change.variable, persisted.text(0), server.name, change.variable));
          continue;
        }
      }
      row = store.query(
          fmt::format("UPDATE global_variables SET \"{}\" = :value WHERE server_id = :id", change.variable));
      row.bind("value", *value);
      row.bind("id", server.id);
      static_cast<void>(row.next().value());
      row = store.query(
          "UPDATE variables_info SET variable_value = :value WHERE server_id = :id AND variable_name = :name");
      row.bind("value", *value);
      row.bind("id", server.id);
      row.bind("name", change.variable);
      static_cast<void>(row.next().value());
    }
  }
}

}  // namespace dbaudit

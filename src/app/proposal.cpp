#include "app/proposal.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>

#include "app/server_options.h"
#include "base/text.h"
#include "facts/known_names.h"
#include "server/option_file.h"

namespace dbaudit {
namespace {

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
  if (known_variable(change.variable) == nullptr)
    return problems.add(fmt::format("--set: no server has a variable '{}'{}", printable(change.variable),
                                    did_you_mean(change.variable, variable_names())));
  proposal.variables.push_back(std::move(change));
}

void read_option_files(const std::vector<std::string>& files, Proposal& proposal, Problems& problems) {
  for (const std::string& file : files) {
    for (const OptionFileEntry& entry : read_option_file(file, problems)) {
      if (!is_server_group(entry.group)) continue;
      VariableChange change;
      change.variable = to_lower(entry.key);
      change.value = entry.value;
      change.where = fmt::format("{}:{}", entry.file, entry.line);
      change.group = entry.group;
      change.has_value = entry.has_value;
      // Plenty of options are unknown here (of plugins, and plugin_load_add); a misspelt one keeps the server from
      // starting.
      const std::string near = did_you_mean(change.variable, variable_names());
      if (!near.empty() && !is_option_somewhere(change.variable)) {
        problems.add(entry.file, entry.line,
                     fmt::format("'{}' is no variable of any supported server{}", printable(entry.key), near));
        continue;
      }
      proposal.variables.push_back(std::move(change));
    }
  }
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
  proposal.starts = !arguments.option_files.empty();
  for (const std::string& argument : arguments.set) parse_set(argument, pools, proposal, problems);
  proposal.memory = parse_memory_changes(arguments.memory, problems);
  return proposal;
}

}  // namespace dbaudit

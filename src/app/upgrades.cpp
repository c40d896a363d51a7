#include "app/upgrades.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/assumed_servers.h"
#include "app/inputs.h"
#include "base/text.h"
#include "base/version.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

bool is_newer_series(const Version& target, const Version& now) {
  return std::pair(target.major, target.minor) > std::pair(now.major, now.minor);
}

// Nothing when the server can be upgraded to it.
std::string refusal(const AuditedServer& server, const ServerVersion& target) {
  if (!server.version) return "this server's version is not known";
  if (server.version->flavor != target.flavor)
    return fmt::format("this server is {}, and it is {}", to_string(*server.version), display_name(target.flavor));
  if (!is_newer_series(target.version, server.version->version))
    return fmt::format("it is not newer than this server, {}", to_string(*server.version));
  return "";
}

void add_variables(const AuditedServer& server, const Defaults& target, const Inputs& inputs, Store& store) {
  struct Known {
    std::optional<Value> there;
    std::optional<Value> here;
  };
  std::map<std::string, Known> variables;
  for (const auto& [name, value] : target.variables) variables[name].there = value;
  if (target.without_default) {
    for (const std::string& name : *target.without_default) variables[name].there = Value{};
  }
  if (const std::optional<Defaults> now = shipped_with(*server.version, inputs)) {
    for (const auto& [name, value] : now->variables) variables[name].here = value;
    if (now->without_default) {
      for (const std::string& name : *now->without_default) variables[name].here = Value{};
    }
  }
  Insert insert =
      store.insert("upgrade_variable", {"server_id", "variable_name", "there", "default_value", "default_here"});
  for (const auto& [name, known] : variables) {
    // A list that is not complete says nothing about what is not in it.
    if (!known.there && !target.without_default) continue;
    insert.row(server.server_id, name, known.there.has_value() ? 1 : 0, known.there.value_or(Value{}),
               known.here.value_or(Value{}));
  }
}

}  // namespace

void check_upgrades(const Inputs& inputs, Problems& problems) {
  const std::vector<std::string> known = known_defaults(inputs);
  for (const ServerConfig& server : inputs.config.servers) {
    if (!server.upgrade_to) continue;
    if (std::find(known.begin(), known.end(), *server.upgrade_to) != known.end()) {
      defaults_of(*server.upgrade_to, inputs, problems);
      continue;
    }
    problems.add(inputs.config.file, server.upgrade_to_line,
                 fmt::format("[[server]] '{}': upgrade_to: the defaults of '{}' are not known{}; known are {}",
                             printable(server.name), printable(bounded(*server.upgrade_to, 60)),
                             did_you_mean(*server.upgrade_to, known), join(known, ", ")));
  }
}

void add_upgrades(const Inputs& inputs, Store& store) {
  store.execute("DELETE FROM upgrade");
  store.execute("DELETE FROM upgrade_variable");
  for (const AuditedServer& server : audited_servers(store)) {
    for (const ServerConfig& declared : inputs.config.servers) {
      if (declared.name != server.name || !declared.upgrade_to) continue;
      Problems none;  // checked before
      const std::optional<Defaults> defaults = defaults_of(*declared.upgrade_to, inputs, none);
      if (!defaults) continue;
      const ServerVersion target{parse_flavor(defaults->flavor).value_or(Flavor::mysql),
                                 parse_version(defaults->version).value_or(Version{})};
      const std::string refused = refusal(server, target);
      store.insert("upgrade", {"server_id", "target", "series", "all_known", "refused", "declared_in"})
          .row(server.server_id, *declared.upgrade_to, fmt::format("{}.{}", target.version.major, target.version.minor),
               defaults->without_default ? 1 : 0, refused.empty() ? Value{} : Value{refused},
               fmt::format("{}:{}", inputs.config.file, declared.upgrade_to_line));
      if (refused.empty()) add_variables(server, *defaults, inputs, store);
    }
  }
}

}  // namespace dbaudit

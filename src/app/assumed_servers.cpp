#include "app/assumed_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/inputs.h"
#include "app/judged_facts.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/toml.h"
#include "facts/known_names.h"
#include "facts/schema.h"

namespace dbaudit {
namespace {

namespace fs = std::filesystem;

std::string path_of(const std::string& id, const Inputs& inputs) {
  for (const std::string& folder : inputs.rule_folders) {
    const fs::path path = fs::path(folder) / "defaults" / (id + ".toml");
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path.string();
  }
  return "";
}

Value value_of(const TomlValue& written) {
  if (const auto* integer = written.get<std::int64_t>()) return *integer;
  if (const auto* real = written.get<double>()) return *real;
  if (const auto* text = written.get<std::string>()) return *text;
  return {};
}

Defaults read_defaults(const std::string& path, Problems& problems) {
  Defaults defaults;
  const std::optional<TomlValue> root = parse_toml_file(path, problems);
  if (!root) return defaults;
  TomlReader reader(*root, path, "defaults", problems);
  defaults.flavor = reader.one_of("flavor", {"mysql", "mariadb"}).value_or("mysql");
  defaults.version = reader.required_text("version");
  reader.required_text("source");
  if (reader.has("without_default")) defaults.without_default = reader.texts("without_default");
  if (const TomlValue* table = reader.table("variables")) {
    for (const auto& [name, value] : *table->get<TomlMembers>()) {
      if (known_variable(name) != nullptr) {
        defaults.variables.emplace_back(name, value_of(value));
      } else {
        problems.add(path, value.line, fmt::format("'{}' is no variable of any supported server", printable(name)));
      }
    }
  }
  reader.finish();
  return defaults;
}

std::vector<ServerConfig> assumed(const JudgingArguments& arguments, const Inputs& inputs) {
  std::vector<ServerConfig> servers;
  const std::vector<std::string>& wanted = arguments.connection.servers;
  for (const ServerConfig& server : inputs.config.servers) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), server.name) != wanted.end())
      servers.push_back(server);
  }
  if (!servers.empty()) return servers;
  ServerConfig one;
  one.name = arguments.assume;
  return {one};
}

}  // namespace

std::vector<std::string> check_assumed(const JudgingArguments& arguments, const Inputs& inputs, Problems& problems) {
  const ConnectionArguments& connection = arguments.connection;
  if (!connection.host.empty() || connection.port != 0 || !connection.socket.empty() || !connection.url.empty())
    problems.add("--assume asks no server; it cannot be combined with a connection");
  if (connection.shard) problems.add("--shard divides servers to read; --assume reads none");
  if (!arguments.from.empty()) problems.add("--assume and --from exclude each other");
  if (path_of(arguments.assume, inputs).empty()) {
    const std::vector<std::string> ids = known_defaults(inputs);
    problems.add(fmt::format("--assume: the defaults of '{}' are not known{}; known are {}",
                             printable(bounded(arguments.assume, 60)), did_you_mean(arguments.assume, ids),
                             join(ids, ", ")));
  }
  std::vector<std::string> declared;
  for (const ServerConfig& server : inputs.config.servers) declared.push_back(server.name);
  for (const std::string& name : connection.servers) {
    if (std::find(declared.begin(), declared.end(), name) == declared.end())
      problems.add(fmt::format("--server {}: dbaudit.toml declares no such server{}", printable(name),
                               did_you_mean(name, declared)));
  }
  std::vector<std::string> names;
  for (const ServerConfig& server : assumed(arguments, inputs)) names.push_back(server.name);
  return names;
}

void add_assumed(const JudgingArguments& arguments, const Inputs& inputs, Store& store, Problems& problems) {
  const Defaults defaults = read_defaults(path_of(arguments.assume, inputs), problems);
  std::vector<std::string> columns{"server_id"};
  for (const auto& [name, value] : defaults.variables) columns.push_back(name);
  std::int64_t id = 0;
  store.begin();
  for (const ServerConfig& server : assumed(arguments, inputs)) {
    ++id;
    store
        .insert("server", {"server_id", "name", "flavor", "version", "role", "replica_of", "group_name", "environment",
                           "memory_bytes", "reachable", "door", "taken_at"})
        .row(id, server.name, defaults.flavor, defaults.version, server.role, server.replica_of, server.group,
             server.environment, server.memory_bytes, 1, "assumed", format_utc(system_clock()()));
    std::vector<Value> cells{id};
    for (const auto& [name, value] : defaults.variables) cells.push_back(value);
    store.insert("global_variables", columns).row(cells);
    Insert sources =
        store.insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable", "rows"});
    for (const std::string& source : source_names()) {
      if (source == "server" || source == "global_variables") {
        sources.row(id, source, "read", nullptr, nullptr, 1, 1);
      } else {
        sources.row(id, source, "unavailable",
                    fmt::format("nothing was asked of a server: --assume {}", arguments.assume),
                    "Judge the server itself, or a snapshot of it (--from)", 0, nullptr);
      }
    }
  }
  store.commit();
}

std::vector<std::string> known_defaults(const Inputs& inputs) {
  std::vector<std::string> ids;
  for (const std::string& folder : inputs.rule_folders) {
    std::error_code error;
    for (fs::directory_iterator it(fs::path(folder) / "defaults", error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().extension() == ".toml") ids.push_back(it->path().stem().string());
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<Defaults> defaults_of(const std::string& id, const Inputs& inputs, Problems& problems) {
  const std::string path = path_of(id, inputs);
  return path.empty() ? std::nullopt : std::optional(read_defaults(path, problems));
}

std::optional<Defaults> shipped_with(const ServerVersion& server, const Inputs& inputs) {
  Problems none;  // checked with the other rules
  return defaults_of(fmt::format("{}-{}.{}", to_string(server.flavor), server.version.major, server.version.minor),
                     inputs, none);
}

std::vector<std::pair<std::string, Value>> shipped_defaults(const Inputs& inputs, const ServerVersion& server) {
  std::optional<Defaults> known = shipped_with(server, inputs);
  return known ? std::move(known->variables) : std::vector<std::pair<std::string, Value>>{};
}

}  // namespace dbaudit

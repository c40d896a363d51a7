#include "config/config.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/text.h"

namespace dbaudit {
namespace {

// "[[server]] 'shop'", for messages.
std::string described(const std::string& kind, const TomlValue& table) {
  std::string where = "[[" + kind + "]]";
  for (const auto& [key, value] : *table.get<TomlMembers>()) {
    if (key == "name" && value.get<std::string>() != nullptr) where += " '" + *value.get<std::string>() + "'";
  }
  return where;
}

ServerConfig parse_server(const TomlValue& table, const std::string& file, Problems& problems) {
  TomlReader reader(table, file, described("server", table), problems);
  ServerConfig server;
  server.line = table.line;
  server.name = reader.required_text("name");
  server.url = reader.text("url");
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  const auto path = [&](const std::string& key) -> std::optional<std::string> {
    const std::optional<std::string> written = reader.text(key);
    if (!written) return std::nullopt;
    return (folder / *written).string();
  };
  server.option_file = path("option_file");
  server.option_group_suffix = reader.text("option_group_suffix");
  server.password_file = path("password_file");
  server.ssl_mode = reader.one_of("ssl_mode", {"DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"},
                                  Spelling::any_case);  // as on the command line
  server.ssl_ca = path("ssl_ca");
  server.ssl_cert = path("ssl_cert");
  server.ssl_key = path("ssl_key");
  if (const auto port = reader.integer("spare_port", 1, 65535)) server.spare_port = static_cast<int>(*port);
  server.role = reader.one_of("role", {"primary", "replica"});
  server.replica_of = reader.text("replica_of");
  server.group = reader.text("group");
  server.environment = reader.text("environment");
  server.memory_bytes = reader.size_bytes("memory");
  server.service = reader.text("service");
  server.upgrade_to = reader.text("upgrade_to");
  server.upgrade_to_line = reader.line_of("upgrade_to");
  if (const TomlValue* parameters = reader.table("parameters")) server.parameters = *parameters->get<TomlMembers>();
  if (!server.url && !server.option_file) reader.problem("name", "it needs a 'url' or an 'option_file'");
  reader.finish();
  return server;
}

GroupConfig parse_group(const TomlValue& table, const std::string& file, Problems& problems) {
  TomlReader reader(table, file, described("group", table), problems);
  GroupConfig group;
  group.line = table.line;
  group.name = reader.required_text("name");
  if (const TomlValue* parameters = reader.table("parameters")) group.parameters = *parameters->get<TomlMembers>();
  reader.finish();
  return group;
}

void check_groups(const Config& config, Problems& problems) {
  std::set<std::string> used;
  for (const ServerConfig& server : config.servers) {
    if (server.group) used.insert(*server.group);
  }
  std::set<std::string> names;
  for (const GroupConfig& group : config.groups) {
    if (group.name.empty()) continue;
    if (!names.insert(group.name).second)
      problems.add(config.file, group.line, fmt::format("[[group]] '{}' is declared twice", group.name));
    if (!used.contains(group.name))
      problems.add(config.file, group.line,
                   fmt::format("[[group]] '{}': no [[server]] is in this group{}", group.name,
                               did_you_mean(group.name, {used.begin(), used.end()})));
  }
}

std::vector<Expectation> parse_expectations(const TomlValue& expect, const Config& config, Problems& problems) {
  std::set<std::string> environments;
  for (const ServerConfig& server : config.servers) environments.insert(server.environment.value_or(""));
  environments.erase("");
  std::vector<Expectation> expectations;
  for (const auto& [environment, values] : *expect.get<TomlMembers>()) {
    const auto* variables = values.get<TomlMembers>();
    if (variables == nullptr) {
      problems.add(config.file, values.line,
                   fmt::format("[expect] {}: write the value under an environment, [expect.production]", environment));
      continue;
    }
    if (!environments.contains(environment))
      problems.add(config.file, values.line,
                   fmt::format("[expect.{}]: no [[server]] has this environment{}", environment,
                               did_you_mean(environment, {environments.begin(), environments.end()})));
    for (const auto& [variable, value] : *variables) expectations.push_back({environment, to_lower(variable), value});
  }
  return expectations;
}

}  // namespace

Config parse_config(const std::string& path, Problems& problems) {
  Config config;
  config.file = path;
  const std::optional<TomlValue> root = parse_toml_file(path, problems);
  if (!root) return config;
  TomlReader reader(*root, path, "dbaudit.toml", problems);
  if (const TomlValue* parameters = reader.table("parameters")) config.parameters = *parameters->get<TomlMembers>();
  if (const TomlValue* rules = reader.table("rules")) {
    for (const auto& [id, value] : *rules->get<TomlMembers>()) {
      const auto* text = value.get<std::string>();
      if (text == nullptr || (*text != "off" && *text != "error" && *text != "warning" && *text != "info")) {
        problems.add(path, value.line,
                     fmt::format("[rules] {} must be \"off\", \"error\", \"warning\" or \"info\"", id));
      } else {
        config.rules[id] = {*text, value.line};
      }
    }
  }
  std::set<std::string> names;
  for (const TomlValue* table : reader.tables("server")) {
    config.servers.push_back(parse_server(*table, path, problems));
    const ServerConfig& server = config.servers.back();
    if (!server.name.empty() && !names.insert(server.name).second) {
      problems.add(path, server.line, fmt::format("[[server]] '{}' is declared twice", server.name));
    }
  }
  for (const ServerConfig& server : config.servers) {
    if (server.replica_of && *server.replica_of == server.name) {
      problems.add(path, server.line,
                   fmt::format("[[server]] '{}': replica_of names the server itself; name its primary", server.name));
    } else if (server.replica_of && !names.contains(*server.replica_of)) {
      problems.add(path, server.line,
                   fmt::format("[[server]] '{}': replica_of names no declared server '{}'{}", server.name,
                               *server.replica_of, did_you_mean(*server.replica_of, {names.begin(), names.end()})));
    }
  }
  for (const TomlValue* table : reader.tables("group")) config.groups.push_back(parse_group(*table, path, problems));
  check_groups(config, problems);
  for (const TomlValue* table : reader.tables("pool")) config.pools.push_back(*table);
  for (const TomlValue* table : reader.tables("waiver")) config.waivers.push_back(*table);
  if (const TomlValue* expect = reader.table("expect"))
    config.expectations = parse_expectations(*expect, config, problems);
  reader.finish();
  return config;
}

std::string find_config(const std::string& given) {
  if (!given.empty()) return given;
  std::vector<std::string> places{"dbaudit.toml"};
  // NOLINTBEGIN(concurrency-mt-unsafe): read on the main thread before others exist
  const char* xdg = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  // NOLINTEND(concurrency-mt-unsafe)
  if (xdg != nullptr && *xdg != '\0') {
    places.push_back(std::string(xdg) + "/dbaudit/dbaudit.toml");
  } else if (home != nullptr) {
    places.push_back(std::string(home) + "/.config/dbaudit/dbaudit.toml");
  }
  for (const std::string& place : places) {
    std::error_code error;
    if (std::filesystem::exists(place, error)) return place;
  }
  return "";
}

}  // namespace dbaudit

#include "app/managed_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "base/toml.h"
#include "base/units.h"

namespace dbaudit {
namespace {

constexpr WorkLimit kWorkLimit{.steps = 10'000};
// Services count less than the nominal memory of an instance class.
constexpr double kAboutTheSame = 0.15;

struct Service {
  std::string name;
  std::string max_connections;  // SQL over memory_bytes
  int line = 0;
};

std::string path_of(const Inputs& inputs) {
  return inputs.rule_folders.empty() ? ""
                                     : (std::filesystem::path(inputs.rule_folders.front()) / "services.toml").string();
}

std::vector<Service> read_services(const Inputs& inputs, Problems& problems) {
  std::vector<Service> services;
  const std::string path = path_of(inputs);
  const std::optional<TomlValue> root = parse_toml_file(path, problems);
  if (!root) return services;
  TomlReader reader(*root, path, "services", problems);
  for (const TomlValue* table : reader.tables("service")) {
    TomlReader service(*table, path, "[[service]]", problems);
    services.push_back(
        {service.required_text("name"), service.required_text("max_connections"), service.line_of("max_connections")});
    service.required_text("source");
    service.finish();
  }
  reader.finish();
  return services;
}

// Nothing when the expression has no value.
Result<std::optional<std::int64_t>> connections_for(const Service& service, std::int64_t memory_bytes, Store& store) {
  SqlCheck check;
  Result<Query> query = store.untrusted_query(
      fmt::format("SELECT {} FROM (SELECT :memory AS memory_bytes)", service.max_connections), kWorkLimit, check);
  if (!query) return query.error();
  query->bind("memory", memory_bytes);
  const Result<bool> row = query->next();
  if (!row) return row.error();
  const std::optional<double> number = *row ? query->real(0) : std::nullopt;
  return number ? std::optional<std::int64_t>(static_cast<std::int64_t>(*number)) : std::nullopt;
}

const Service* find(const std::vector<Service>& services, const std::string& name) {
  const auto found =
      std::find_if(services.begin(), services.end(), [&](const Service& service) { return service.name == name; });
  return found == services.end() ? nullptr : &*found;
}

std::optional<std::int64_t> integer(Store& store, const std::string& sql, const std::string& server) {
  Query query = store.query(sql);
  query.bind("server", server);
  return query.next().value() ? query.integer(0) : std::nullopt;
}

void update(Store& store, const std::string& sql, const std::string& server, const Value& value) {
  Query query = store.query(sql);
  query.bind("server", server);
  query.bind("value", value);
  static_cast<void>(query.next().value());
}

}  // namespace

std::vector<MemoryChange> parse_memory_changes(const std::vector<std::string>& arguments, Problems& problems) {
  std::vector<MemoryChange> changes;
  for (const std::string& argument : arguments) {
    const std::size_t colon = argument.rfind(':');
    const std::optional<std::int64_t> bytes = parse_size(argument.substr(colon == std::string::npos ? 0 : colon + 1));
    if (!bytes || *bytes <= 0) {
      problems.add(fmt::format("--memory {}: write a size such as 16GiB, or SERVER:16GiB", printable(argument)));
      continue;
    }
    changes.push_back({colon == std::string::npos ? std::nullopt : std::optional(argument.substr(0, colon)), *bytes});
  }
  return changes;
}

void check_services(const Inputs& inputs, Store& store, Problems& problems) {
  if (std::none_of(inputs.config.servers.begin(), inputs.config.servers.end(),
                   [](const ServerConfig& server) { return server.service.has_value(); }))
    return;
  const std::vector<Service> services = read_services(inputs, problems);
  std::vector<std::string> names;
  for (const Service& service : services) {
    names.push_back(service.name);
    if (const auto tried = connections_for(service, 1 << 30, store); !tried)
      problems.add(path_of(inputs), service.line,
                   fmt::format("[[service]] '{}': {}", service.name, tried.error().message));
  }
  for (const ServerConfig& server : inputs.config.servers) {
    if (server.service && find(services, *server.service) == nullptr)
      problems.add(inputs.config.file, server.line,
                   fmt::format("[[server]] '{}': no service is known as '{}'{}", server.name,
                               printable(*server.service), did_you_mean(*server.service, names)));
  }
}

void add_services(const Inputs& inputs, Store& store) {
  Problems none;  // checked before
  std::vector<Service> services;
  std::set<std::string> names;
  {
    Query rows = store.query("SELECT name FROM server");
    while (rows.next().value()) names.insert(rows.text(0));
  }
  for (const ServerConfig& server : inputs.config.servers) {
    if (!server.service || !names.contains(server.name)) continue;
    if (services.empty()) services = read_services(inputs, none);
    const Service* service = find(services, *server.service);
    if (service == nullptr) continue;
    update(store, "UPDATE server SET service = :value WHERE name = :server", server.name, service->name);
    const std::optional<std::int64_t> memory =
        integer(store, "SELECT memory_bytes FROM server WHERE name = :server", server.name);
    if (!memory) continue;
    const auto connections = connections_for(*service, *memory, store);
    if (connections && *connections)
      update(store, "UPDATE server SET service_max_connections = :value WHERE name = :server", server.name,
             **connections);
  }
}

void apply_memory(const std::vector<MemoryChange>& changes, const Inputs& inputs, Store& store,
                  std::vector<std::string>& notes) {
  std::vector<std::string> names;
  {
    Query rows = store.query("SELECT name FROM server ORDER BY server_id");
    while (rows.next().value()) names.push_back(rows.text(0));
  }
  for (const MemoryChange& change : changes) {
    for (const std::string& name : names) {
      if (change.server && *change.server != name) continue;
      const char* now_sql =
          "SELECT max_connections FROM global_variables WHERE server_id = (SELECT server_id FROM server "
          "WHERE name = :server)";
      const char* default_sql = "SELECT service_max_connections FROM server WHERE name = :server";
      const std::optional<std::int64_t> now = integer(store, now_sql, name);
      const std::optional<std::int64_t> standard = integer(store, default_sql, name);
      update(store, "UPDATE server SET memory_bytes = :value WHERE name = :server", name, change.bytes);
      add_services(inputs, store);
      const std::optional<std::int64_t> becomes = integer(store, default_sql, name);
      if (!now || !standard || !becomes || *standard <= 0) continue;
      const double ratio = static_cast<double>(*now) / static_cast<double>(*standard);
      if (std::abs(ratio - 1) > kAboutTheSame) continue;  // somebody has chosen it
      const auto scaled = static_cast<std::int64_t>(static_cast<double>(*becomes) * ratio);
      update(
          store,
          "UPDATE global_variables SET max_connections = :value WHERE server_id = (SELECT server_id FROM server WHERE "
          "name = :server)",
          name, scaled);
      notes.push_back(
          fmt::format("{}: max_connections {} is about what its service gives for its memory; with {} it "
                      "becomes {}",
                      name, *now, format_bytes(static_cast<double>(change.bytes)), scaled));
    }
  }
}

}  // namespace dbaudit

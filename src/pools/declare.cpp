#include "pools/declare.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/text.h"

namespace dbaudit {
namespace {

constexpr std::int64_t kMostInstances = 1'000'000;

// A count, or "25%".
Surge parse_surge(TomlReader& reader) {
  const TomlValue* found = reader.value("max_surge");
  if (found == nullptr) return {};
  if (const auto* count = found->get<std::int64_t>(); count != nullptr && *count >= 0 && *count <= kMostInstances) {
    return {*count, false};
  }
  if (const auto* text = found->get<std::string>()) {
    std::int64_t percent = 0;
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, percent);
    if (error == std::errc{} && rest + 1 == end && *rest == '%' && percent >= 0 && percent <= 1000) {
      return {percent, true};
    }
  }
  reader.problem("max_surge", "'max_surge' must be a count of instances or a percentage such as \"25%\"");
  return {};
}

std::optional<Seconds> positive_duration(TomlReader& reader, const std::string& key) {
  std::optional<Seconds> found = reader.duration(key);
  if (found && found->count() <= 0) {
    reader.problem(key, fmt::format("'{}' must be longer than zero", key));
    return std::nullopt;
  }
  return found;
}

void flatten(const TomlMembers& members, const std::string& prefix, std::vector<DeclaredSetting>& out) {
  for (const auto& [key, value] : members) {
    if (const auto* inner = value.get<TomlMembers>()) {
      flatten(*inner, prefix + key + ".", out);
    } else {
      out.push_back({prefix + key, value});
    }
  }
}

Pool parse_pool(const TomlValue& table, const std::string& file, Problems& problems) {
  // The name makes the other messages readable, so it is looked up before anything is judged.
  std::string where = "[[pool]]";
  if (const auto* members = table.get<TomlMembers>()) {
    for (const auto& [key, value] : *members) {
      const auto* name = value.get<std::string>();
      if (key == "name" && name != nullptr) where = fmt::format("[[pool]] '{}'", printable(bounded(*name, 80)));
    }
  }
  TomlReader reader(table, file, where, problems);
  Pool pool;
  pool.file = file;
  pool.line = reader.line();
  pool.name = reader.required_text("name");
  pool.library = reader.required_text("library");
  pool.library_line = reader.line_of("library");
  if (const std::optional<std::string> version = reader.text("version")) {
    pool.version_text = *version;
    pool.version = parse_version(*version);
    if (!pool.version) {
      reader.problem("version", fmt::format("'version' is \"{}\", it must start with a number, such as \"5.1.0\"",
                                            printable(bounded(*version, 80))));
    }
  }
  pool.server = reader.text("server");
  pool.user = reader.text("user");
  pool.driver = reader.text("driver");
  pool.url = reader.text("url");
  pool.url_line = reader.line_of("url");
  pool.instances = reader.integer("instances", 0, kMostInstances).value_or(1);
  pool.instances_declared = reader.has("instances");
  pool.max_surge = parse_surge(reader);
  pool.terminating = reader.integer("terminating", 0, kMostInstances).value_or(0);
  pool.blue_green = reader.boolean("blue_green").value_or(false);
  pool.processes_per_instance = reader.integer("processes_per_instance", 1, kMostInstances).value_or(1);
  pool.threads_per_process = reader.integer("threads_per_process", 1, kMostInstances);
  pool.network_idle_timeout = positive_duration(reader, "network_idle_timeout");
  pool.longest_think_time = positive_duration(reader, "longest_think_time");
  pool.longest_hold_time = positive_duration(reader, "longest_hold_time");
  pool.longest_query = positive_duration(reader, "longest_query");
  pool.rolls_back_on_error = reader.boolean("rolls_back_on_error").value_or(true);
  if (reader.has("import")) {
    reader.value("import");
    reader.problem(
        "import", "'import' is not supported by this version of dbaudit yet; copy the pool's settings into 'settings'");
  }
  if (const TomlValue* settings = reader.table("settings")) {
    flatten(*settings->get<TomlMembers>(), "", pool.settings);
    std::stable_sort(pool.settings.begin(), pool.settings.end(),
                     [](const DeclaredSetting& a, const DeclaredSetting& b) { return a.value.line < b.value.line; });
  }
  reader.finish();
  return pool;
}

}  // namespace

std::int64_t surge_instances(const Pool& pool) {
  if (!pool.max_surge.percent) return pool.max_surge.amount;
  return (pool.instances * pool.max_surge.amount + 99) / 100;
}

std::vector<Pool> parse_pools(const std::vector<const TomlValue*>& tables, const std::string& file,
                              Problems& problems) {
  std::vector<Pool> pools;
  std::map<std::string, int> line_of_name;
  pools.reserve(tables.size());
  for (const TomlValue* table : tables) {
    pools.push_back(parse_pool(*table, file, problems));
    const Pool& pool = pools.back();
    const auto [known, is_new] = line_of_name.emplace(pool.name, pool.line);
    if (!is_new && !pool.name.empty()) {
      problems.add(
          file, pool.line,
          fmt::format("[[pool]] '{}': a pool of this name is declared in line {} already", pool.name, known->second));
    }
  }
  return pools;
}

}  // namespace dbaudit

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
      out.push_back({prefix + key, value, {}, {}});
    }
  }
}

// The keys of [[pool]] that a change may name.
const std::vector<std::string> kChangeable{"library",
                                           "version",
                                           "server",
                                           "user",
                                           "via",
                                           "driver",
                                           "url",
                                           "instances",
                                           "max_surge",
                                           "terminating",
                                           "blue_green",
                                           "processes_per_instance",
                                           "threads_per_process",
                                           "network_idle_timeout",
                                           "longest_think_time",
                                           "longest_hold_time",
                                           "longest_query",
                                           "rolls_back_on_error",
                                           "writes",
                                           "reads_own_writes"};

// "8" and "true" as TOML would have them; anything else is text.
TomlValue scalar(const std::string& text, int line) {
  std::int64_t integer = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, integer);
  if (error == std::errc{} && rest == end && !text.empty()) return {integer, line};
  if (text == "true" || text == "false") return {text == "true", line};
  return {text, line};
}

// The [[pool]] table as it would be after the changes to its own keys.
TomlValue changed_table(const TomlValue& table, const std::vector<PoolChange>& changes, const std::string& name) {
  TomlValue changed = table;
  auto* members = std::get_if<TomlMembers>(&changed.value);
  if (members == nullptr) return changed;
  for (const PoolChange& change : changes) {
    if (change.pool != name || !is_pool_key(change.key)) continue;
    const auto place =
        std::lower_bound(members->begin(), members->end(), change.key,
                         [](const TomlMember& member, const std::string& key) { return member.key < key; });
    if (place != members->end() && place->key == change.key) {
      place->value = scalar(change.value, place->value.line);
    } else {
      members->insert(place, {change.key, scalar(change.value, table.line)});
    }
  }
  return changed;
}

std::string name_of(const TomlValue& table) {
  if (const auto* members = table.get<TomlMembers>()) {
    for (const auto& [key, value] : *members) {
      if (const auto* name = value.get<std::string>(); key == "name" && name != nullptr) return *name;
    }
  }
  return "";
}

Pool parse_pool(const TomlValue& declared, const std::string& file, const std::vector<PoolChange>& changes,
                Problems& problems) {
  // The name makes the other messages readable, so it is looked up before anything is judged.
  const std::string name = name_of(declared);
  const std::string where = name.empty() ? "[[pool]]" : fmt::format("[[pool]] '{}'", printable(bounded(name, 80)));
  const TomlValue table = changed_table(declared, changes, name);
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
  pool.via = reader.text("via");
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
  pool.writes = reader.boolean("writes");
  pool.reads_own_writes = reader.boolean("reads_own_writes");
  for (const char* key : {"import", "import_name", "import_profile"}) reader.value(key);  // import_into.h
  if (const TomlValue* settings = reader.table("settings")) {
    flatten(*settings->get<TomlMembers>(), "", pool.settings);
    std::stable_sort(pool.settings.begin(), pool.settings.end(),
                     [](const DeclaredSetting& a, const DeclaredSetting& b) { return a.value.line < b.value.line; });
  }
  for (const PoolChange& change : changes) {
    if (change.pool != name || is_pool_key(change.key)) continue;
    pool.changed_settings.push_back({setting_key(change.key), scalar(change.value, pool.line), {}, {}});
  }
  reader.finish();
  return pool;
}

}  // namespace

bool is_pool_key(std::string_view key) {
  return std::find(kChangeable.begin(), kChangeable.end(), key) != kChangeable.end();
}

std::string setting_key(const std::string& key) { return key.starts_with("settings.") ? key.substr(9) : key; }

std::int64_t surge_instances(const Pool& pool) {
  if (!pool.max_surge.percent) return pool.max_surge.amount;
  return (pool.instances * pool.max_surge.amount + 99) / 100;
}

std::vector<Pool> parse_pools(const std::vector<const TomlValue*>& tables, const std::string& file,
                              const std::vector<PoolChange>& changes, Problems& problems) {
  std::vector<PoolTable> plain;
  plain.reserve(tables.size());
  for (const TomlValue* table : tables) plain.push_back({table});
  return parse_pools(plain, file, changes, problems);
}

std::vector<Pool> parse_pools(const std::vector<PoolTable>& tables, const std::string& file,
                              const std::vector<PoolChange>& changes, Problems& problems) {
  std::vector<Pool> pools;
  std::map<std::string, int> line_of_name;
  pools.reserve(tables.size());
  for (const PoolTable& table : tables) {
    pools.push_back(parse_pool(*table.table, file, changes, problems));
    Pool& pool = pools.back();
    pool.imported_settings = table.imported;
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

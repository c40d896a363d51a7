#include "pools/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/deploy.h"
#include "base/problems.h"
#include "base/text.h"
#include "base/units.h"
#include "pools/describe_value.h"
#include "pools/imported_pool.h"
#include "pools/library_sql.h"
#include "pools/session_overrides.h"

namespace dbaudit {
namespace {

constexpr std::size_t kWidth = 80;

// `text` wrapped behind an indentation; the first line follows `first`, which is padded to the same column.
std::string block(std::string_view first, std::size_t indent, std::string_view text) {
  std::string out(first);
  bool is_first = true;
  std::string flat(text);
  std::replace(flat.begin(), flat.end(), '\n', ' ');
  for (const std::string& line : wrap(flat, kWidth - indent, LongWords::keep)) {
    const std::size_t used = is_first ? display_width(first) : 0;
    if (is_first && used > 0 && used + 1 > indent) {
      out += "\n" + std::string(indent, ' ') + line + "\n";
    } else {
      out += std::string(indent - used, ' ') + line + "\n";
    }
    is_first = false;
  }
  if (is_first) out += "\n";
  return out;
}

// A line of its own that may be too long: the rest is indented.
std::string wrapped(std::string_view line, std::size_t indent) {
  if (display_width(line) <= kWidth) return std::string(line) + "\n";
  std::string out;
  for (const std::string& part : wrap(line, kWidth - indent)) {
    out += std::string(out.empty() ? 2 : indent, ' ') + std::string(trimmed(part)) + "\n";
  }
  return out;
}

std::string unit_of(const Setting& setting) {
  return setting.type == SettingType::duration ? "seconds" : std::string(to_string(setting.type));
}

std::string default_text(const Setting& setting) {
  if (!setting.default_sql.empty()) return setting.default_sql;
  std::string out = describe_value(setting.default_value, unit_of(setting));
  for (const VersionDefault& entry : setting.by_version) {
    out += fmt::format(", {} since {}{}", describe_value(entry.value, unit_of(setting)),
                       entry.driver.empty() ? "" : entry.driver + " ", to_string(entry.since));
  }
  return out;
}

std::string setting_text(const Setting& setting) {
  std::string type(setting.type == SettingType::sql ? "SQL" : to_string(setting.type));
  if (setting.type == SettingType::duration) type += " in " + setting.unit_name;
  if (setting.type == SettingType::url) type = "URL";
  if (setting.type == SettingType::options) type = "options of the driver";
  std::string out = fmt::format("  {}  ({})\n", setting.name, type);
  out += block("", 6, fmt::format("{} Default: {}.", setting.doc, default_text(setting)));
  if (setting.since) {
    out += block("", 6,
                 fmt::format("Since {}; older versions {}.", to_string(*setting.since),
                             setting.ignored_before ? "ignore it" : "do not start with it"));
  }
  if (setting.none) {
    out += block("", 6, fmt::format("\"none\" is {}.", describe_value(*setting.none, unit_of(setting))));
  }
  if (!setting.aliases.empty()) out += block("", 6, "Also: " + join(setting.aliases, ", "));
  out += block("", 6, "Source: " + setting.source);
  return out;
}

std::string_view kind_text(AdjustKind kind) {
  switch (kind) {
    case AdjustKind::clamp: return "changes";
    case AdjustKind::special: return "understands";
    default: return "refuses";
  }
}

// --- explain

struct SettingRow {
  Value declared;
  Value effective;
  std::string unit;
  std::string origin;
  std::string rejected;
  std::string declared_in;
};

std::map<std::string, SettingRow> setting_rows(Store& store, const std::string& pool) {
  std::map<std::string, SettingRow> rows;
  Query query = store.query(
      "SELECT setting, declared, effective, unit, origin, rejected, declared_in FROM pool_setting WHERE pool = :pool");
  query.bind("pool", pool);
  while (true) {
    const Result<bool> row = query.next();
    if (!row || !*row) break;
    rows[query.text(0)] = {query.value(1), query.value(2), query.text(3), query.text(4), query.text(5), query.text(6)};
  }
  return rows;
}

// As written and, where that is something else, as understood.
std::string value_text(const SettingRow& row) {
  std::string value = printable(bounded(describe_value(row.effective, row.unit), 200));
  if (is_null(row.effective) && text_of(row.declared) == kUnknownSetting) return "unknown";
  if (row.rejected.empty() && (is_null(row.declared) || text_of(row.declared) == value)) return value;
  const std::string declared = printable(bounded(text_of(row.declared), 200));
  return row.rejected.empty() ? fmt::format("{}, that is {}", declared, value) : declared;
}

std::string derived_text(const Value& value, const std::string& column, bool flag) {
  if (is_null(value)) return "unknown";
  const std::optional<double> number = number_of(value);
  if (flag) return number && *number != 0 ? "yes" : "no";
  const bool seconds = column.size() > 2 && column.compare(column.size() - 2, 2, "_s") == 0;
  return number && seconds ? format_duration(*number) : number ? format_count(*number) : text_of(value);
}

struct PoolRow {
  std::vector<std::string> columns;
  std::vector<Value> values;

  [[nodiscard]] Value at(std::string_view column) const {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] == column) return values[i];
    }
    return {};
  }
  [[nodiscard]] std::string text(std::string_view column) const { return printable(bounded(text_of(at(column)), 200)); }
  [[nodiscard]] double number(std::string_view column) const { return number_of(at(column)).value_or(0); }
};

Result<PoolRow> pool_row(Store& store, const std::string& pool) {
  Query query = store.query("SELECT * FROM pool WHERE name = :pool");
  query.bind("pool", pool);
  const Result<bool> found = query.next();
  if (found && *found) {
    PoolRow row;
    row.columns = query.columns();
    for (std::size_t i = 0; i < row.columns.size(); ++i) row.values.push_back(query.value(i));
    return row;
  }
  std::vector<std::string> names;
  Query all = store.query("SELECT name FROM pool ORDER BY name");
  while (true) {
    const Result<bool> row = all.next();
    if (!row || !*row) break;
    names.push_back(all.text(0));
  }
  const std::string known = names.empty() ? "no pool is declared" : "declared pools: " + join(names, ", ");
  return Error{ErrorKind::bad_input,
               fmt::format("no pool '{}' is declared{}", printable(bounded(pool, 80)), did_you_mean(pool, names)),
               known};
}

std::string header(const PoolRow& pool) {
  const std::string version = pool.text("library_version");
  std::string out = fmt::format("{}: {}{}\n", pool.text("name"), pool.text("library_title"),
                                version.empty() ? ", version not declared" : " " + version);
  const std::string server = pool.text("server_name");
  out += block("", 2, fmt::format("talks to {}", server.empty() ? "the server of the run" : server));
  const std::string driver = pool.text("driver");
  if (!driver.empty()) out += block("", 2, fmt::format("driver {}", driver));
  const auto declared = [&pool](std::string_view column) {
    const std::optional<double> flag = number_of(pool.at(column));
    return !flag ? "not declared" : *flag != 0 ? "yes" : "no";
  };
  out += block("", 2,
               fmt::format("writes: {}; reads its own writes: {}", declared("writes"), declared("reads_own_writes")));
  return out;
}

// Instances, surge and processes, and what they add up to.
std::string totals(const PoolRow& pool) {
  const double each = pool.number("processes_per_instance");
  const double steady = pool.number("instances");
  const double most = deploy_instances(steady, pool.number("surge_instances"), pool.number("terminating"),
                                       pool.number("blue_green") != 0);
  std::string out = "\nConnections\n";
  out +=
      block("", 2,
            fmt::format("instances {}{}, more while deploying {}, old ones still stopping {}{}; processes in each {}",
                        format_count(steady), pool.number("instances_declared") != 0 ? "" : " (not declared)",
                        format_count(pool.number("surge_instances")), format_count(pool.number("terminating")),
                        pool.number("blue_green") != 0 ? ", both colours at once" : "", format_count(each)));
  const std::optional<double> one = number_of(pool.at("max_connections_per_process"));
  out += block("", 2,
               one ? fmt::format("at most {} in steady state, {} while deploying", format_count(steady * each * *one),
                                 format_count(most * each * *one))
                   : "how many at most is unknown");
  return out;
}

std::string settings_part(const Library& library, const std::map<std::string, SettingRow>& rows) {
  std::string out;
  for (const bool behaviour : {false, true}) {
    bool any = false;
    for (const Setting& setting : library.settings) {
      const auto row = rows.find(setting.name);
      if (setting.behaviour != behaviour || row == rows.end()) continue;
      if (!any) out += behaviour ? "\nBehaviour of this version\n" : "\nSettings\n";
      any = true;
      const std::string line = fmt::format("  {} = {}", setting.name, value_text(row->second));
      // Where an imported value stands is worth knowing even when the library made something else of it.
      std::string origin = printable(row->second.origin);
      if (!row->second.declared_in.empty() && !origin.starts_with(row->second.declared_in))
        origin = fmt::format("{}; {}", printable(row->second.declared_in), origin);
      const std::string whole = fmt::format("{}  ({})", line, origin);
      out += display_width(whole) <= kWidth ? whole + "\n" : wrapped(line, 6) + block("", 6, origin);
      if (!row->second.rejected.empty()) out += block("", 6, "REFUSED: " + row->second.rejected);
    }
  }
  return out;
}

std::string facts_part(const Library& library, const std::map<std::string, SettingRow>& rows, const PoolRow& pool) {
  const std::vector<std::string> names = sql_names(library);
  std::string out = "\nFacts that rules use\n";
  for (const Derived& derived : library.derived) {
    const Value value = pool.at(derived.column);
    out += fmt::format("  {} = {}\n", derived.column, derived_text(value, derived.column, derived.flag));
    std::vector<std::string> inputs;
    for (const std::size_t index : names_in(derived.sql, names)) {
      const auto row = rows.find(names[index]);
      if (row != rows.end()) {
        inputs.push_back(fmt::format("{} {}", names[index], describe_value(row->second.effective, row->second.unit)));
      } else {
        const std::string threads = pool.text("threads_per_process");
        inputs.push_back("threads_per_process " + (threads.empty() ? "not declared" : threads));
      }
    }
    if (!inputs.empty()) out += block("", 6, "from " + join(inputs, ", "));
    if (!derived.says.empty()) out += block("", 6, derived.says);
  }
  for (const std::string_view variable : kSessionVariables) {
    const std::string column = fmt::format("session_{}_s", variable);
    if (variable == "autocommit" || is_null(pool.at(column))) continue;
    out += fmt::format("  {} = {}\n", column, derived_text(pool.at(column), column, false));
    out += block("", 6, "set for its own sessions by the pool, its URL or its first statement");
  }
  if (const std::string unknown = pool.text("session_unknown"); !unknown.empty()) {
    out += "  session_unknown\n";
    out += block("", 6, "it sets these for its own sessions, and nobody can tell to what: " + unknown);
  }
  if (pool.number("interactive") != 0) {
    out += "  interactive = yes\n";
    out += block("", 6, "its sessions start with interactive_timeout instead of wait_timeout");
  }
  return out;
}

}  // namespace

std::string list_libraries(const std::vector<Library>& libraries) {
  std::size_t id_width = 0;
  std::size_t title_width = 0;
  for (const Library& library : libraries) {
    id_width = std::max(id_width, display_width(library.id));
    title_width = std::max(title_width, display_width(library.title));
  }
  std::string out;
  for (const Library& library : libraries) {
    const auto padded = [](const std::string& text, std::size_t width) {
      return text + std::string(width - display_width(text) + 2, ' ');
    };
    out += padded(library.id, id_width) + padded(library.title, title_width) + library.ecosystem + "\n";
  }
  return out;
}

std::string show_library(const Library& library) {
  std::string out = fmt::format("{} - {} ({})\n\n", library.id, library.title, library.ecosystem);
  out += block("", 2, library.doc);
  out += "\nSettings\n";
  for (const Setting& setting : library.settings) {
    if (!setting.behaviour) out += setting_text(setting);
  }
  if (!library.adjusts.empty()) out += "\nWhat it does with values (durations in seconds)\n";
  for (const Adjust& adjust : library.adjusts) {
    const std::string value = adjust.kind == AdjustKind::reject ? "" : " -> " + adjust.value;
    out += block("", 2,
                 fmt::format("{} {}{} when {}", kind_text(adjust.kind), library.settings[adjust.setting].name, value,
                             adjust.when));
    out += block("", 6, adjust.says);
  }
  out += "\nFacts derived for rules\n";
  for (const Derived& derived : library.derived) {
    out += fmt::format("  {}\n", derived.column);
    out += block("", 6, "= " + derived.sql);
    if (!derived.says.empty()) out += block("", 6, derived.says);
  }
  const bool has_behaviour = std::any_of(library.settings.begin(), library.settings.end(),
                                         [](const Setting& setting) { return setting.behaviour; });
  if (has_behaviour) out += "\nBehaviour by version\n";
  for (const Setting& setting : library.settings) {
    if (setting.behaviour) out += setting_text(setting);
  }
  out += "\nWhat the application's log says\n";
  if (!library.validation_log.empty()) {
    out += block("  a closed connection is noticed:", 6, library.validation_log);
  }
  if (!library.dead_log.empty()) out += block("  a closed connection is handed out:", 6, library.dead_log);
  if (!library.exhausted_log.empty()) out += block("  no connection comes free:", 6, library.exhausted_log);
  return out;
}

Result<std::string> explain_pool(Store& store, const std::string& pool, const std::vector<Library>& libraries) {
  const Result<PoolRow> row = pool_row(store, pool);
  if (!row) return row.error();
  const std::string id = text_of(row->at("library"));
  const auto library =
      std::find_if(libraries.begin(), libraries.end(), [&](const Library& known) { return known.id == id; });
  if (library == libraries.end()) {
    return Error{ErrorKind::bad_input, fmt::format("the description of library '{}' is missing", id)};
  }
  const std::map<std::string, SettingRow> rows = setting_rows(store, pool);
  return header(*row) + totals(*row) + settings_part(*library, rows) + facts_part(*library, rows, *row);
}

}  // namespace dbaudit

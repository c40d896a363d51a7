// Descriptions of pool libraries: data in rules/libraries/<id>.toml, so that nobody recompiles to teach dbaudit a pool.
//
// The format (rules/libraries/README.md tells it to authors):
//
//   id, title, ecosystem, doc
//   time_unit = "ms"                 unit of bare numbers: ms, s, m, h or d; a setting's own `unit` wins
//   relaxed_names = true             maximum-pool-size and MAXIMUM_POOL_SIZE mean maximumPoolSize
//   ignored_settings = ["poolName"]  accepted and not looked at (globs); never stored
//   driver_options = ["dataSource.*"]     what stands for * is an option of the driver, as in the URL
//   session_variables = ["variables.*"]   what stands for * is a session variable that the library sets
//   [settings.NAME]                  type, unit, default, default_by_version, default_sql, aliases, none, since, doc,
//   ... [behaviour.NAME]                 like a setting, but nobody can declare it: it depends on the version only
//   [[adjust]]                       in order, what the library itself does with values
//   [derive.COLUMN]                  SQL expressions for the columns of the fact table `pool`
//   [logs]                           what an application's log says
//
// In every SQL expression durations are in SECONDS whatever the library's unit, booleans are 1 and 0, unlimited is
// 9e999, and unknown (or not set, for text) is NULL.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/problems.h"
#include "base/result.h"
#include "base/toml.h"
#include "base/version.h"
#include "facts/value.h"

namespace dbaudit {

enum class SettingType {
  duration,
  count,
  number,
  boolean,
  text,
  sql,      // statements run on every new connection: searched for SET wait_timeout; stored without secrets
  url,      // connection URL: searched likewise, never stored
  options,  // "name=value;name=value" for the driver, like those of the URL, never stored
};

std::string_view to_string(SettingType type);

// "maximum-pool-size", "maximum_pool_size" and "MAXIMUMPOOLSIZE" are one name to Spring's relaxed binding.
std::string relaxed(std::string_view name);

// From this version (of the library; of the driver when one is named) the default is this one.
struct VersionDefault {
  Version since;
  std::string driver;  // glob over the driver's name; empty: the library's version counts
  Value value;
};

struct Setting {
  std::string name;
  SettingType type = SettingType::text;
  double unit_s = 1;      // seconds in one bare number of a duration
  std::string unit_name;  // "ms"; empty unless a duration
  Value default_value;    // of the oldest version; NULL: not set
  std::string default_sql;
  int default_sql_line = 0;
  std::vector<VersionDefault> by_version;  // ascending
  std::optional<Value> unknown_version;    // the default assumed when no version is declared
  std::vector<std::string> aliases;
  std::string url_option;        // option of the connection URL that says the same; empty: none
  std::optional<Value> none;     // what "none" means: unlimited, or NULL
  std::optional<Version> since;  // older versions do not have it ...
  bool ignored_before = false;   // ... and ignore it (true) or refuse to start (false)
  bool behaviour = false;
  std::string doc;
  std::string source;
  int line = 0;
};

enum class AdjustKind {
  clamp,    // the library replaces a value: a finding when somebody declared it
  special,  // a value with a meaning of its own (0: unlimited); no finding
  reject,   // the library refuses to start
};

struct Adjust {
  AdjustKind kind = AdjustKind::clamp;
  std::size_t setting = 0;  // index into Library::settings
  std::string when;
  std::string value;  // empty for a rejection
  std::string says;   // the library's own words, or the reason
  int when_line = 0;
  int value_line = 0;
};

struct Derived {
  std::string column;
  bool flag = false;  // 1 or 0 instead of a number
  std::string sql;
  std::string says;  // how to read it, in a sentence
  int line = 0;
  bool statements_win = false;  // of autocommit: the pool sets it before it runs its statements
};

struct Library {
  std::string file;
  std::string id;
  std::string title;
  std::string ecosystem;
  std::string doc;
  bool relaxed_names = false;
  std::vector<Setting> settings;  // in order of the file; behaviours after them
  std::vector<Adjust> adjusts;
  std::vector<Derived> derived;
  std::vector<std::string> ignored_settings;
  std::vector<std::string> driver_options;     // globs that end in *
  std::vector<std::string> session_variables;  // likewise
  std::string validation_log;
  std::string dead_log;
  std::string exhausted_log;
};

// The columns of the fact table `pool` that a description may fill.
std::vector<std::string> derived_columns();

// The setting with this name or alias that a user may declare; null when there is none.
const Setting* find_setting(const Library& library, std::string_view declared_key);

// What stands for the * when `declared_key` matches one of the globs (driver_options, session_variables).
std::optional<std::string> name_below(const Library& library, const std::vector<std::string>& globs,
                                      std::string_view declared_key);

// Whether a declared key is accepted without being looked at.
bool ignores_setting(const Library& library, std::string_view declared_key);

// What a TOML value means for this setting, in the units of SQL expressions; an Error says what is wrong with it.
// Accepted for convenience: durations as text with a unit ("30m") whether or not the library itself does, and numbers
// and booleans as text ("20", "true"), as properties files and environment variables have them.
Result<Value> setting_value(const Setting& setting, const TomlValue& value);

// One description; nothing when it is not even a table. SQL is checked by LibrarySql::compile (library_sql.h).
std::optional<Library> parse_library(const TomlValue& root, const std::string& file, Problems& problems);

// One library out of folders of descriptions. Only its own file is read and parsed: a run must not pay for the
// libraries that it does not use. An unknown id is an Error that names the nearest one; what is wrong inside the file
// goes to `problems`.
Result<Library> load_library(const std::vector<std::string>& folders, const std::string& id, Problems& problems);

// Every description in the folders, sorted by id.
std::vector<Library> load_libraries(const std::vector<std::string>& folders, Problems& problems);

}  // namespace dbaudit

// A client connection pool as somebody declared it: one [[pool]] table of the public contract.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/toml.h"
#include "base/units.h"
#include "base/version.h"

namespace dbaudit {

// A setting, a URL or an option of it whose value is hidden by a placeholder: it is not at its default, it is unknown.
inline constexpr std::string_view kUnknownSetting = "unknown";

// One key of `settings`. Tables inside are flattened: { OPTIONS = { init_command = "..." } } is "OPTIONS.init_command".
struct DeclaredSetting {
  std::string key;
  TomlValue value;          // as written; its meaning depends on the library
  std::string file = {};    // of an imported setting: where it stands; else empty, and it is the pool's
  std::string origin = {};  // of an imported setting, for people: "application-prod.yml:12"
};

// A key of a pool as it would be after a change that has not happened yet (--set pool.NAME.KEY=VALUE).
struct PoolChange {
  std::string pool;
  std::string key;  // of [[pool]], or of its settings (also written settings.KEY)
  std::string value;
};

// Extra instances while deploying: a count, or a share of `instances`, rounded up as Kubernetes does.
struct Surge {
  std::int64_t amount = 0;
  bool percent = false;
};

struct Pool {
  std::string file;  // where it is declared
  int line = 0;

  std::string name;
  std::string library;
  int library_line = 0;
  std::optional<Version> version;     // of the library
  std::string version_text;           // as written; empty when not declared
  std::optional<std::string> server;  // declared server; none: the server of this run
  std::optional<std::string> user;
  std::optional<std::string> via;  // name of the declared proxy (ProxySQL) that stands between
  std::optional<std::string> driver;
  // May hold a password: read for its options, never stored and never printed.
  std::optional<std::string> url;
  int url_line = 0;

  std::int64_t instances = 1;
  Surge max_surge;
  std::int64_t terminating = 0;
  bool blue_green = false;
  bool instances_declared = false;  // else one is counted, and said to be
  std::int64_t processes_per_instance = 1;
  std::optional<std::int64_t> threads_per_process;

  std::optional<Seconds> network_idle_timeout;
  std::optional<Seconds> longest_think_time;
  std::optional<Seconds> longest_hold_time;
  std::optional<Seconds> longest_query;
  bool rolls_back_on_error = true;
  std::optional<bool> writes;            // whether its borrowers write; readOnly of a library only asks the driver
  std::optional<bool> reads_own_writes;  // whether they rely on seeing what the application has just written

  std::vector<DeclaredSetting> settings;           // in order of lines
  std::vector<DeclaredSetting> changed_settings;   // proposed; they win over `settings`
  std::vector<DeclaredSetting> imported_settings;  // from an application's own file; `settings` win over them
};

// Instances on top of the steady state while a deployment is under way.
std::int64_t surge_instances(const Pool& pool);

}  // namespace dbaudit

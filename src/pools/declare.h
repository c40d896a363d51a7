// [[pool]] tables, as written in pools.toml or dbaudit.toml, become Pools.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/problems.h"
#include "base/toml.h"
#include "pools/pool.h"

namespace dbaudit {

// A [[pool]] table, and the settings that an application's own file puts under it (import_into.h).
struct PoolTable {
  const TomlValue* table = nullptr;
  std::vector<DeclaredSetting> imported = {};
};

// Every table that could be read; everything wrong goes to `problems`. `settings` are only taken over here: what they
// mean is known once the library is (derive.h). Two pools of one name in one call are a problem.
// `changes` for pools that are not among them are left alone.
std::vector<Pool> parse_pools(const std::vector<PoolTable>& tables, const std::string& file,
                              const std::vector<PoolChange>& changes, Problems& problems);
std::vector<Pool> parse_pools(const std::vector<const TomlValue*>& tables, const std::string& file,
                              const std::vector<PoolChange>& changes, Problems& problems);

// Whether a change that names this key means one of [[pool]] itself; every other key is a setting of the library, which
// may be written settings.KEY: setting_key() is without that.
bool is_pool_key(std::string_view key);
std::string setting_key(const std::string& key);

}  // namespace dbaudit

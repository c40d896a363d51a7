// [[pool]] tables, as written in pools.toml or dbaudit.toml, become Pools.
#pragma once

#include <string>
#include <vector>

#include "base/problems.h"
#include "base/toml.h"
#include "pools/pool.h"

namespace dbaudit {

// Every table that could be read; everything wrong goes to `problems`. `settings` are only taken over here: what they
// mean is known once the library is (derive.h). Two pools of one name in one call are a problem.
// `changes` for pools that are not among them are left alone.
std::vector<Pool> parse_pools(const std::vector<const TomlValue*>& tables, const std::string& file,
                              const std::vector<PoolChange>& changes, Problems& problems);

}  // namespace dbaudit

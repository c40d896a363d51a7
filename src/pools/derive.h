// Declared pools and library descriptions become rows of the fact tables `pool` and `pool_setting`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/problems.h"
#include "facts/store.h"
#include "pools/library.h"
#include "pools/library_sql.h"
#include "pools/pool.h"
#include "pools/session_overrides.h"

namespace dbaudit {

// One setting of one pool, with where its value comes from. Values are in the units of SQL expressions (seconds).
struct SettingState {
  std::string name;
  Value declared;   // as written; NULL when not declared
  Value effective;  // what the library works with; NULL: not set, or refused
  std::string unit;
  std::string origin;
  std::optional<std::string> declared_in;  // of an imported value: its place in the application's own file
  std::optional<std::string> rejected;
  std::optional<std::string> changed;
  std::string source;
};

struct DerivedPool {
  std::vector<SettingState> settings;  // one for each of Library::settings
  std::vector<Value> derived;          // one for each of Library::derived; empty when they could not be evaluated
  SessionOverrides session;            // autocommit among them also where a setting of the library decides it
};

// Pure apart from the prepared statements in `sql`. Unknown settings and values of a wrong type or unit are problems in
// the pool's file; values that the library clamps or rejects are not: they are facts.
DerivedPool derive_pool(const Pool& pool, const Library& library, LibrarySql& sql, Problems& problems);

// Loads the libraries that `pools` use (each once) and inserts all rows. Nothing here needs a server. Pools whose
// library is unknown or broken are left out, and why is in `problems`. Returns the libraries, for explanations.
std::vector<Library> derive_pools(Store& store, const std::vector<Pool>& pools,
                                  const std::vector<std::string>& library_folders, Problems& problems);

}  // namespace dbaudit

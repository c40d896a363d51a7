// Declares pools as text and derives their facts with the shipped library descriptions.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/problems.h"
#include "facts/store.h"
#include "pools/declare.h"
#include "pools/derive.h"

namespace dbaudit::pool_tests {

inline std::string shipped_libraries() {
  return (std::filesystem::path(__FILE__).parent_path() / "../../../rules/libraries").string();
}

struct Declared {
  Store store;
  Problems problems;
  std::vector<Pool> pools;
  std::vector<Library> libraries;

  // `toml` holds [[pool]] tables.
  explicit Declared(const std::string& toml) {
    const std::optional<TomlValue> root = parse_toml(toml, "pools.toml", problems);
    if (!root) return;
    TomlReader reader(*root, "pools.toml", "file", problems);
    pools = parse_pools(reader.tables("pool"), "pools.toml", {}, problems);
    libraries = derive_pools(store, pools, {shipped_libraries()}, problems);
  }

  Value cell(const std::string& sql) {
    Query query = store.query(sql);
    const Result<bool> row = query.next();
    return row && *row ? query.value(0) : Value{};
  }
  Value fact(const std::string& column) { return cell("SELECT " + column + " FROM pool"); }
  double number(const std::string& column) { return number_of(fact(column)).value_or(-1); }
  Value setting(const std::string& name, const std::string& column) {
    return cell("SELECT " + column + " FROM pool_setting WHERE setting = '" + name + "'");
  }
};

// One pool of `library`; `settings` is the inside of the settings table, `more` further keys.
inline Declared declared(const std::string& library, const std::string& version, const std::string& settings,
                         const std::string& more = "") {
  return Declared("[[pool]]\nname = \"p\"\nlibrary = \"" + library + "\"\n" +
                  (version.empty() ? "" : "version = \"" + version + "\"\n") + more + "\nsettings = { " + settings +
                  " }\n");
}

// What a server that closes sessions after `limit` seconds makes of a pool: the two inequalities that rules use.
inline std::string hazard(Declared& pool, double limit) {
  if (pool.number("longest_unchecked_idle_s") > limit) return "dead_handout";
  return pool.number("longest_silence_s") <= limit ? "quiet" : "noisy_close";
}

}  // namespace dbaudit::pool_tests

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/text.h"
#include "pools/derive.h"

namespace dbaudit {
namespace {

std::optional<double> seconds(const std::optional<Seconds>& duration) {
  return duration ? std::optional<double>(duration->count()) : std::nullopt;
}

std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

template <typename T>
Value cell(const T& value) {
  return value;
}
Value cell(bool value) { return std::int64_t{value ? 1 : 0}; }
template <typename T>
Value cell(const std::optional<T>& value) {
  return value ? cell(*value) : Value{};
}

const std::vector<std::string> kPoolColumns{"name",
                                            "server_name",
                                            "library",
                                            "library_title",
                                            "library_version",
                                            "account_user",
                                            "driver",
                                            "instances",
                                            "instances_declared",
                                            "surge_instances",
                                            "terminating",
                                            "blue_green",
                                            "processes_per_instance",
                                            "threads_per_process",
                                            "via",
                                            "network_idle_timeout_s",
                                            "longest_think_time_s",
                                            "longest_hold_time_s",
                                            "longest_query_s",
                                            "rolls_back_on_error",
                                            "writes",
                                            "reads_own_writes",
                                            "autocommit",
                                            "interactive",
                                            "session_wait_timeout_s",
                                            "session_lock_wait_timeout_s",
                                            "session_innodb_lock_wait_timeout_s",
                                            "session_idle_transaction_timeout_s",
                                            "session_idle_write_transaction_timeout_s",
                                            "session_idle_readonly_transaction_timeout_s",
                                            "session_unknown",
                                            "validation_log",
                                            "dead_log",
                                            "exhausted_log"};

// Columns of `pool` that library descriptions fill, apart from what session_overrides() settles.
std::vector<std::string> fact_columns() {
  std::vector<std::string> columns;
  for (const std::string& column : derived_columns()) {
    if (column != "session_wait_timeout_s" && column != "interactive" && column != "autocommit")
      columns.push_back(column);
  }
  return columns;
}

// A library that makes no difference between the ways in which a connection dies says so by saying nothing.
std::string_view same_as(std::string_view column) {
  if (column == "longest_unchecked_idle_announced_s" || column == "longest_unchecked_idle_dropped_s")
    return "longest_unchecked_idle_s";
  return column == "longest_unchecked_hold_announced_s" ? "longest_unchecked_hold_s" : "";
}

void insert_pool(Insert& insert, const Pool& pool, const Library& library, const DerivedPool& derived) {
  const auto fact = [&](std::string_view column) -> Value {
    const auto described = [&](std::string_view wanted) -> std::optional<Value> {
      for (std::size_t i = 0; i < derived.derived.size(); ++i) {
        if (library.derived[i].column == wanted) return derived.derived[i];
      }
      return std::nullopt;
    };
    std::optional<Value> found = described(column);
    if (!found) found = described(same_as(column));
    // Nearly every pool keeps its connections; only one that does not has to say so.
    if (!found && column == "keeps_connections") return std::int64_t{1};
    return found.value_or(Value{});
  };
  const auto session = [&](std::string_view variable) -> Value {
    const auto found = derived.session.find(variable);
    if (found == derived.session.end() || found->second.kind != SessionOverride::Kind::value) return {};
    return found->second.value;
  };
  const Value interactive = session(kInteractive);
  std::set<std::string, std::less<>> unknown;
  for (const auto& [name, value] : derived.session) {
    if (value.kind == SessionOverride::Kind::unknown) unknown.insert(name);
  }
  std::vector<Value> cells{cell(pool.name),
                           cell(pool.server),
                           cell(pool.library),
                           cell(library.title),
                           cell(unless_empty(pool.version_text)),
                           cell(pool.user),
                           cell(pool.driver),
                           cell(pool.instances),
                           cell(pool.instances_declared),
                           cell(surge_instances(pool)),
                           cell(pool.terminating),
                           cell(pool.blue_green),
                           cell(pool.processes_per_instance),
                           cell(pool.threads_per_process),
                           cell(pool.via),
                           cell(seconds(pool.network_idle_timeout)),
                           cell(seconds(pool.longest_think_time)),
                           cell(seconds(pool.longest_hold_time)),
                           cell(seconds(pool.longest_query)),
                           cell(pool.rolls_back_on_error),
                           cell(pool.writes),
                           cell(pool.reads_own_writes),
                           session("autocommit"),
                           is_null(interactive) && !unknown.contains(kInteractive) ? cell(false) : interactive,
                           session("wait_timeout"),
                           session("lock_wait_timeout"),
                           session("innodb_lock_wait_timeout"),
                           session("idle_transaction_timeout"),
                           session("idle_write_transaction_timeout"),
                           session("idle_readonly_transaction_timeout"),
                           cell(unless_empty(join({unknown.begin(), unknown.end()}, ", "))),
                           cell(unless_empty(library.validation_log)),
                           cell(unless_empty(library.dead_log)),
                           cell(unless_empty(library.exhausted_log))};
  for (const std::string& column : fact_columns()) cells.push_back(fact(column));
  insert.row(cells);
}

}  // namespace

std::vector<Library> derive_pools(Store& store, const std::vector<Pool>& pools,
                                  const std::vector<std::string>& library_folders, Problems& problems) {
  struct Loaded {
    Library library;
    LibrarySql sql;
  };
  std::map<std::string, std::optional<Loaded>> libraries;
  std::vector<std::string> columns = kPoolColumns;
  for (const std::string& column : fact_columns()) columns.push_back(column);
  Insert pool_rows = store.insert("pool", columns);
  Insert setting_rows = store.insert("pool_setting", {"pool", "setting", "declared", "effective", "unit", "origin",
                                                      "declared_in", "rejected", "changed", "source"});
  for (const Pool& pool : pools) {
    if (pool.library.empty()) continue;  // its declaration lacks it, which is a problem already
    const auto [entry, is_new] = libraries.try_emplace(pool.library);
    if (is_new) {
      Result<Library> library = load_library(library_folders, pool.library, problems);
      if (library) {
        LibrarySql sql = LibrarySql::compile(store, *library, problems);
        entry->second.emplace(Loaded{std::move(*library), std::move(sql)});
      } else {
        problems.add(pool.file, pool.library_line,
                     fmt::format("[[pool]] '{}': {}", pool.name, describe(library.error())));
      }
    }
    if (!entry->second) continue;
    const DerivedPool derived = derive_pool(pool, entry->second->library, entry->second->sql, problems);
    insert_pool(pool_rows, pool, entry->second->library, derived);
    for (const SettingState& state : derived.settings) {
      setting_rows.row(pool.name, state.name, state.declared, state.effective, state.unit, state.origin,
                       state.declared_in, state.rejected, state.changed, state.source);
    }
  }
  std::vector<Library> used;
  for (auto& [id, loaded] : libraries) {
    if (loaded) used.push_back(std::move(loaded->library));
  }
  return used;
}

}  // namespace dbaudit

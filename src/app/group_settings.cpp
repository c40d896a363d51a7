#include "app/group_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"

namespace dbaudit {
namespace {

// In the order of kVariables. One character set has two names.
constexpr std::string_view kGroupSettings =
    "SELECT s.name, s.group_name, s.role, s.flavor, g.server_id IS NOT NULL, g.autocommit, "
    "iif(g.character_set_server = 'utf8', 'utf8mb3', g.character_set_server), "
    "replace(g.collation_server, 'utf8_', 'utf8mb3_'), g.idle_readonly_transaction_timeout, "
    "g.idle_transaction_timeout, g.idle_write_transaction_timeout, g.init_connect, g.innodb_lock_wait_timeout, "
    "g.innodb_rollback_on_timeout, g.interactive_timeout, g.lock_wait_timeout, g.lower_case_table_names, "
    "g.max_allowed_packet, g.max_connections, g.max_execution_time, g.max_statement_time, g.max_user_connections, "
    "g.sql_mode, g.time_zone, coalesce(g.transaction_isolation, g.tx_isolation), g.wait_timeout "
    "FROM server s LEFT JOIN global_variables g ON g.server_id = s.server_id "
    "WHERE s.group_name IS NOT NULL ORDER BY s.name";

constexpr std::array<std::string_view, 21> kVariables{"autocommit",
                                                      "character_set_server",
                                                      "collation_server",
                                                      "idle_readonly_transaction_timeout",
                                                      "idle_transaction_timeout",
                                                      "idle_write_transaction_timeout",
                                                      "init_connect",
                                                      "innodb_lock_wait_timeout",
                                                      "innodb_rollback_on_timeout",
                                                      "interactive_timeout",
                                                      "lock_wait_timeout",
                                                      "lower_case_table_names",
                                                      "max_allowed_packet",
                                                      "max_connections",
                                                      "max_execution_time",
                                                      "max_statement_time",
                                                      "max_user_connections",
                                                      "sql_mode",
                                                      "time_zone",
                                                      "transaction_isolation",
                                                      "wait_timeout"};

using Role = std::optional<std::string>;

struct Group {
  std::map<std::string_view, std::map<Value, std::vector<std::string>>> names;  // of servers, by variable and value
};

// As text in a message.
std::string shown(const Value& value) {
  const std::string text = text_of(value);
  return text.empty() ? "(empty)" : bounded(text, 200);
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 3;
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(std::min(kMost, names.size())));
  return join(first, ", ") + (names.size() > kMost ? fmt::format(" and {} more", names.size() - kMost) : "");
}

using Count = std::pair<Value, std::vector<std::string>>;

// "600 on a, b; 28800 on c"
std::string told(const std::vector<Count>& counted) {
  constexpr std::size_t kMost = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, counted.size()); ++i)
    text += fmt::format("{}{} on {}", i == 0 ? "" : "; ", shown(counted[i].first), some_of(counted[i].second));
  return counted.size() > kMost ? text + fmt::format("; {} other values", counted.size() - kMost) : text;
}

}  // namespace

void add_group_settings(const Config& config, Store& store) {
  store.execute("DELETE FROM group_setting");
  std::map<std::pair<std::string, Role>, std::map<std::string, Group>> groups;            // by product
  std::map<std::tuple<std::string, Role, std::string>, std::vector<std::string>> unread;  // product "": not known
  std::set<std::string> part_of_run;
  {
    Query rows = store.query(kGroupSettings);
    while (rows.next().value()) {
      const std::string name = rows.text(0);
      const Role role = rows.optional_text(2);
      part_of_run.insert(name);
      if (rows.integer(4) != 1) {
        unread[{rows.text(1), role, rows.text(3)}].push_back(name);
        continue;
      }
      Group& group = groups[{rows.text(1), role}][rows.text(3)];
      for (std::size_t i = 0; i < kVariables.size(); ++i) {
        if (Value value = rows.value(5 + i); !is_null(value)) group.names[kVariables.at(i)][value].push_back(name);
      }
    }
  }
  std::map<std::pair<std::string, Role>, std::int64_t> left_out;
  for (const ServerConfig& server : config.servers) {
    if (server.group && !part_of_run.contains(server.name)) ++left_out[{*server.group, server.role}];
  }
  Insert insert = store.insert("group_setting");
  for (const auto& [of, products] : groups) {
    for (const auto& [flavor, group] : products) {
      std::vector<std::string> not_read = unread[{of.first, of.second, flavor}];
      const std::vector<std::string>& unknown = unread[{of.first, of.second, ""}];
      not_read.insert(not_read.end(), unknown.begin(), unknown.end());
      for (const auto& [variable, names] : group.names) {
        std::vector<Count> counted(names.begin(), names.end());
        std::stable_sort(counted.begin(), counted.end(),
                         [](const Count& a, const Count& b) { return a.second.size() > b.second.size(); });
        const std::size_t most = counted.front().second.size();
        const std::size_t next = counted.size() > 1 ? counted[1].second.size() : 0;
        std::size_t all = 0;
        for (const Count& one : counted) all += one.second.size();
        insert.row(of.first, of.second, flavor, variable, most > next ? counted.front().first : Value{},
                   static_cast<std::int64_t>(most), static_cast<std::int64_t>(next), static_cast<std::int64_t>(all),
                   told(counted), static_cast<std::int64_t>(not_read.size()),
                   not_read.empty() ? std::nullopt : std::optional(some_of(not_read)), left_out[of]);
      }
    }
  }
}

}  // namespace dbaudit

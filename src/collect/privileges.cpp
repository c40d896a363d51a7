#include "collect/privileges.h"

#include <fmt/format.h>

#include <algorithm>

namespace dbaudit {
namespace {

const std::vector<std::string> kPerformanceSchema{"metadata_locks", "connection_attributes", "statements",
                                                  "table_handles",  "row_lock_waits",        "session_variables",
                                                  "instruments"};
// Columns by name, so that the account never can read a password hash.
const Privilege kAccounts{"SELECT (User, Host, max_user_connections) ON mysql.user",
                          {"accounts"},
                          "connection limits of accounts; these three columns only, no password hashes"};

}  // namespace

// Measured on MySQL 9.7.4, MariaDB 10.11.19 and 11.8.6: which account was shown what.
std::vector<Privilege> needed_privileges(const ServerVersion& server) {
  std::vector<Privilege> list{{"PROCESS ON *.*", {"sessions", "transactions"}, "all sessions and InnoDB transactions"}};
  if (server.is_mariadb()) {
    list.front().sources.emplace_back("row_lock_waits");
    std::vector<std::string> sources = kPerformanceSchema;
    std::erase(sources, "row_lock_waits");
    std::erase(sources, "session_variables");
    list.push_back(
        {"SELECT ON performance_schema.*", sources, "metadata locks and statements, where performance_schema is on"});
    list.push_back({"SLAVE MONITOR ON *.*", {"replication"}, "state of replication channels"});
    list.push_back(kAccounts);
    list.push_back({"CONNECTION ADMIN ON *.*", {}, "optional: a connection when max_connections is used up", true});
    return list;
  }
  std::vector<std::string> sources = kPerformanceSchema;
  if (!server.min_mysql(8, 0)) {  // there they are in information_schema
    std::erase(sources, "row_lock_waits");
    list.front().sources.emplace_back("row_lock_waits");
  }
  list.push_back(
      {"SELECT ON performance_schema.*", sources, "metadata locks, row locks, statements, session variables"});
  list.push_back({"REPLICATION CLIENT ON *.*", {"replication"}, "state of replication channels"});
  if (server.min_mysql(8, 0)) {
    list.push_back({"XA_RECOVER_ADMIN ON *.*", {"prepared_xa"}, "prepared XA transactions"});
  }
  list.push_back(kAccounts);
  if (server.min_mysql(8, 0, 14)) {
    list.push_back(
        {"SERVICE_CONNECTION_ADMIN ON *.*", {}, "optional: a connection when max_connections is used up", true});
  }
  return list;
}

std::optional<std::string> grant_for(const std::string& source, const ServerVersion& server,
                                     const std::string& account) {
  for (const Privilege& privilege : needed_privileges(server)) {
    if (std::find(privilege.sources.begin(), privilege.sources.end(), source) != privilege.sources.end()) {
      return fmt::format("GRANT {} TO {}", privilege.grant, account);
    }
  }
  return std::nullopt;
}

std::string quoted_account(const std::string& current_user) {
  const std::size_t at = current_user.rfind('@');
  const auto quoted = [](const std::string& part) {
    std::string out = "'";
    for (const char c : part) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
  };
  if (at == std::string::npos) return quoted(current_user);
  return quoted(current_user.substr(0, at)) + "@" + quoted(current_user.substr(at + 1));
}

}  // namespace dbaudit

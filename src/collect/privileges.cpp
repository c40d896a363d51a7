#include "collect/privileges.h"

#include <fmt/format.h>

#include <algorithm>

namespace dbaudit {
namespace {

const std::vector<std::string> kPerformanceSchema{"metadata_locks", "connection_attributes", "statements",
                                                  "table_handles",  "row_lock_waits",        "session_variables",
                                                  "instruments"};
// Columns by name, so that the account never can read a password hash.
const Privilege kAccountsPrivilege{"SELECT (User, Host, max_user_connections) ON mysql.user",
                                   {"accounts"},
                                   "connection limits of accounts; these three columns only, no password hashes"};
// The server shows them to replicas only.
const std::string kRegistered = "optional: where its replicas listen, for audit --with-replicas";

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
    list.push_back(kAccountsPrivilege);
    list.push_back({"CONNECTION ADMIN ON *.*", {}, "optional: a connection when max_connections is used up", true});
    list.push_back({"REPLICATION MASTER ADMIN ON *.*", {}, kRegistered, true});
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
  list.push_back(kAccountsPrivilege);
  if (server.min_mysql(8, 0, 14)) {
    list.push_back(
        {"SERVICE_CONNECTION_ADMIN ON *.*", {}, "optional: a connection when max_connections is used up", true});
  }
  list.push_back({"REPLICATION SLAVE ON *.*", {}, kRegistered, true});
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

namespace {

std::string quoted_part(std::string_view part) {
  std::string out = "'";
  for (const char c : part) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

// A name in quotes at the start of `text`, which it is taken from; nothing when they are not closed.
std::optional<std::string> take_quoted(std::string_view& text) {
  const char quote = text.front();
  std::string name;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] != quote) {
      name += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == quote) {
      name += text[i++];
    } else {
      text.remove_prefix(i + 1);
      return name;
    }
  }
  return std::nullopt;
}

bool begins_with_quote(std::string_view text) {
  return !text.empty() && std::string_view("'\"`").find(text.front()) != std::string_view::npos;
}

}  // namespace

std::optional<std::string> account_as_written(std::string_view text) {
  const auto strange = [](char c) { return c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; };
  if (std::any_of(text.begin(), text.end(), strange)) return std::nullopt;
  std::optional<std::string> user;
  std::string host = "%";
  if (begins_with_quote(text)) {
    user = take_quoted(text);
    if (!user || (!text.empty() && text.front() != '@')) return std::nullopt;
  } else {
    const std::size_t at = std::min(text.rfind('@'), text.size());
    user = text.substr(0, at);
    text.remove_prefix(at);
  }
  if (!text.empty()) {
    text.remove_prefix(1);
    if (begins_with_quote(text)) {
      const std::optional<std::string> quoted_host = take_quoted(text);
      if (!quoted_host || !text.empty()) return std::nullopt;
      host = *quoted_host;
    } else {
      host = text;
    }
  }
  const auto has_quote = [](const std::string& name) { return name.find_first_of("'\"`") != std::string::npos; };
  if (user->empty() || host.empty() || has_quote(host)) return std::nullopt;
  return quoted_part(*user) + "@" + quoted_part(host);
}

std::string quoted_account(const std::string& current_user) {
  const std::size_t at = current_user.rfind('@');
  if (at == std::string::npos) return quoted_part(current_user);
  return quoted_part(current_user.substr(0, at)) + "@" + quoted_part(current_user.substr(at + 1));
}

}  // namespace dbaudit

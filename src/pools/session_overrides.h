// What a pool sets for its own sessions: timeouts and autocommit of their own, or CLIENT_INTERACTIVE, which makes the
// session start with interactive_timeout instead (MySQL reference manual, server system variables, wait_timeout).
//
// Where it can hide: JDBC `sessionVariables`, `initSql`, `interactiveClient` (MySQL Connector/J and MariaDB
// Connector/J); go-sql-driver's DSN, where every name that is no parameter is a session variable; `init_command` and
// `client_flag` of Python's drivers; statements that a pool runs on every new connection, and the server's
// init_connect.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

// The session variables that are looked for. Timeouts are in seconds, autocommit is 1 or 0.
inline constexpr std::array<std::string_view, 7> kSessionVariables{"wait_timeout",
                                                                   "lock_wait_timeout",
                                                                   "innodb_lock_wait_timeout",
                                                                   "idle_transaction_timeout",
                                                                   "idle_write_transaction_timeout",
                                                                   "idle_readonly_transaction_timeout",
                                                                   "autocommit"};

// Stands beside them in SessionOverrides: 1 when the client logs in with CLIENT_INTERACTIVE.
inline constexpr std::string_view kInteractive = "interactive";

struct SessionOverride {
  enum class Kind {
    value,
    unknown,        // set, and nobody can tell to what: an expression, a placeholder
    server_default  // SET x = DEFAULT: takes an earlier override back
  };
  Kind kind = Kind::unknown;
  double value = 0;
};

// By name; what is not there is left as it is.
using SessionOverrides = std::map<std::string, SessionOverride, std::less<>>;

// From statements such as "SET SESSION wait_timeout=600; SET NAMES utf8mb4".
SessionOverrides overrides_in_sql(std::string_view statements);

// From one variable and its value, as YAML or a Go DSN have it; nothing when it is none that is looked for.
SessionOverrides override_of(std::string_view variable, std::string_view value);

// What statements or options may have done that nobody can read.
SessionOverrides unknown_statements();
SessionOverrides unknown_options();

// One option in a URL's query, both parts decoded.
struct UrlOption {
  std::string key;
  std::string value;
};

// The options of a JDBC URL, a SQLAlchemy URL or a Go DSN, in order. Their values may be secrets.
std::vector<UrlOption> url_options(std::string_view url);

// "socketTimeout=30000;sessionVariables=wait_timeout=600", as connectionProperties of Tomcat and DBCP2 have it.
std::vector<UrlOption> property_options(std::string_view properties);

// Whether an option is one that overrides_in_options() reads.
bool sets_session(std::string_view option);

// From options of a driver. kUnknownSetting (pool.h) as a value, or as a name, is what a placeholder has left.
SessionOverrides overrides_in_options(const std::vector<UrlOption>& options);

// `later` is applied to the session after `earlier`.
SessionOverrides combined(const SessionOverrides& earlier, const SessionOverrides& later);

}  // namespace dbaudit

// What a pool sets for its own sessions: a wait_timeout of their own, or CLIENT_INTERACTIVE, which makes the session
// start with interactive_timeout instead (MySQL reference manual, server system variables, wait_timeout).
//
// Where it can hide: JDBC `sessionVariables`, `initSql`, `interactiveClient` (MySQL Connector/J and MariaDB
// Connector/J); go-sql-driver's DSN parameter `wait_timeout`; `init_command` and `client_flag` of Python's drivers;
// statements that a pool runs on every new connection.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

struct SessionOverrides {
  std::optional<double> wait_timeout_s;
  std::optional<bool> interactive;
  bool back_to_global = false;  // SET wait_timeout = DEFAULT: takes an earlier override back
  // Settings of wait_timeout whose value is not a number ("@x * 2"), so that nobody can tell what it will be.
  std::vector<std::string> not_understood;
};

// From statements such as "SET SESSION wait_timeout=600; SET NAMES utf8mb4".
SessionOverrides overrides_in_sql(std::string_view statements);

// One option in a URL's query, both parts decoded.
struct UrlOption {
  std::string key;
  std::string value;
};

// The options of a JDBC URL, a SQLAlchemy URL or a Go DSN, in order. Their values may be secrets.
std::vector<UrlOption> url_options(std::string_view url);

// From a JDBC URL, a SQLAlchemy URL or a Go DSN. Nothing of the URL but a not understood expression is kept.
SessionOverrides overrides_in_url(std::string_view url);

// `later` is applied to the session after `earlier`.
SessionOverrides combined(const SessionOverrides& earlier, const SessionOverrides& later);

}  // namespace dbaudit

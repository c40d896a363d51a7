// SQL statements as text: MySQL's lexical rules, and taking literals out of a statement.
//
// Lexical rules: MySQL 8.4 reference manual, chapter 11.1 (literals), 11.2 (identifiers), 11.7 (comments); MariaDB's
// differ only in the executable comment /*M! ... */.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

enum class SqlTokenKind {
  word,        // keyword, function or unquoted name
  identifier,  // `quoted`; text is without the quotes
  string,      // '...' or "..."; text is with the quotes. A missing closing quote (a cut statement) ends at the end
  number,
  variable,  // @name, @@name
  symbol,    // one operator or punctuation character
};

struct SqlToken {
  SqlTokenKind kind = SqlTokenKind::symbol;
  std::string text;
  std::size_t begin = 0;  // offsets of the token in the statement
  std::size_t end = 0;
};

// Comments are skipped; the contents of /*! ... */, /*!50720 ... */ and /*M! ... */ are tokens like any other.
std::vector<SqlToken> sql_tokens(std::string_view statement);

// The statement with a space for what stands between its tokens.
std::string without_comments(std::string_view statement);

// The same with every string and number literal as '?'.
std::string without_literals(std::string_view statement);

// Statements that may carry a password (IDENTIFIED BY, SET PASSWORD, CHANGE REPLICATION SOURCE, ...) lose their
// literals; all others come back as they are.
std::string without_secrets(std::string_view statement);

// The bytes of a string literal: 'it''s' or "it\"s", with its quotes.
std::string unquoted(std::string_view literal);

// The name in GET_LOCK('name', ...), where the statement holds one as a literal.
std::optional<std::string> user_lock_name(std::string_view statement);

// Whether a variable of this name holds a secret, so that its value is neither stored nor printed.
bool is_secret_variable(std::string_view name);

}  // namespace dbaudit

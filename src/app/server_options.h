// What a server makes of the lines of an option file and of values, as its own option parser and SET do (measured on
// MySQL 9.7.4, MariaDB 10.11.19 and 11.8.9).
#pragma once

#include <string>

#include "base/result.h"
#include "base/version.h"
#include "facts/known_names.h"
#include "facts/value.h"

namespace dbaudit {

// Whether this server reads the group; whether any server does.
bool reads_group(const std::string& group, const ServerVersion& server);
bool is_server_group(const std::string& group);

enum class OptionModifier { none, off, on, maximum };  // skip- and disable-, enable-, maximum-

struct MeantOption {
  std::string name;  // of a variable or another option; empty: the server has none that could be meant
  OptionModifier modifier = OptionModifier::none;
  std::string problem;  // why the server would not start with it
};

// `written` is in lower case with underscores. MariaDB takes every abbreviation that only one option begins with; MySQL
// takes none since 8.0.
MeantOption meant_option(const std::string& written, const ServerVersion& server);

// Whether some server knows such an option, so that it is not just misspelt.
bool is_option_somewhere(const std::string& written);

struct TakenValue {
  Value value;
  std::string adjusted;  // why it is another one than was written; empty when it is not
};

// `now`: the present value, whose kind counts where nothing is known of the variable. An Error says why the server
// refuses it.
Result<TakenValue> value_from_set(const KnownIn& variable, const Value& now, const std::string& text);
Result<TakenValue> value_from_option(const KnownIn& variable, const Value& now, const std::string& text, Flavor flavor);

}  // namespace dbaudit

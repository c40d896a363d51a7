#include "pools/session_overrides.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/sql_text.h"
#include "base/text.h"
#include "pools/pool.h"

namespace dbaudit {
namespace {

using Tokens = std::vector<SqlToken>;

constexpr std::uint64_t kClientInteractive = 1024;  // the protocol's capability flag CLIENT_INTERACTIVE

bool is_symbol(const SqlToken& token, char symbol) {
  return token.kind == SqlTokenKind::symbol && token.text.size() == 1 && token.text[0] == symbol;
}

std::optional<double> number_in(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

SessionOverride override_with(double value) { return {SessionOverride::Kind::value, value}; }

// What `value` makes of the variable: a literal, DEFAULT, or something that only the server can work out.
SessionOverride override_from(std::string_view variable, const SqlToken& value) {
  if (equals_ignoring_case(value.text, "DEFAULT")) return {SessionOverride::Kind::server_default, 0};
  if (value.kind == SqlTokenKind::number) {
    const std::optional<double> number = number_in(value.text);
    // One second is the server's own minimum.
    if (number) return override_with(variable == "wait_timeout" ? std::max(*number, 1.0) : *number);
  }
  if (variable == "autocommit") {
    const std::string word = value.kind == SqlTokenKind::string ? unquoted(value.text) : value.text;
    if (equals_ignoring_case(word, "ON") || equals_ignoring_case(word, "TRUE")) return override_with(1);
    if (equals_ignoring_case(word, "OFF") || equals_ignoring_case(word, "FALSE")) return override_with(0);
  }
  return {};
}

// The variable of this name that is looked for, or nothing.
std::string_view known_variable(std::string_view name) {
  for (const std::string_view variable : kSessionVariables) {
    if (equals_ignoring_case(variable, name)) return variable;
  }
  return {};
}

// Reads the assignments of SET statements.
class SetReader {
 public:
  // `one_list`: the whole text is one list of assignments, as in sessionVariables, where ';' separates like ','.
  SetReader(std::string_view text, bool one_list) : tokens_(sql_tokens(text)), one_list_(one_list) {}

  SessionOverrides run() {
    while (at_ < tokens_.size()) {
      if (one_list_) {
        assignments();
      } else if (word("SET")) {
        ++at_;
        assignments();
      }
      while (at_ < tokens_.size() && !is_symbol(tokens_[at_], ';')) ++at_;
      ++at_;
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] bool word(std::string_view wanted) const {
    return at_ < tokens_.size() && tokens_[at_].kind == SqlTokenKind::word &&
           equals_ignoring_case(tokens_[at_].text, wanted);
  }
  [[nodiscard]] bool ends_assignment() const {
    return at_ >= tokens_.size() || is_symbol(tokens_[at_], ',') || is_symbol(tokens_[at_], ';');
  }

  void assignments() {
    bool session = true;
    while (at_ < tokens_.size() && !is_symbol(tokens_[at_], ';')) {
      // MariaDB's SET STATEMENT name=value FOR ...: holds for one statement only.
      if (word("STATEMENT")) return;
      assignment(session);
      if (at_ < tokens_.size() && is_symbol(tokens_[at_], ',')) ++at_;
    }
  }

  // A scope word stays in force for the assignments after it that have none (MySQL reference manual, SET).
  void assignment(bool& session) {
    for (const std::string_view scope : {"GLOBAL", "PERSIST", "PERSIST_ONLY"}) {
      if (word(scope)) session = false, ++at_;
    }
    for (const std::string_view scope : {"SESSION", "LOCAL"}) {
      if (word(scope)) session = true, ++at_;
    }
    const std::string_view variable = ends_assignment() ? std::string_view() : target(tokens_[at_++], session);
    if (!ends_assignment() && is_symbol(tokens_[at_], ':')) ++at_;
    const bool assigns = !ends_assignment() && is_symbol(tokens_[at_], '=');
    if (assigns) ++at_;
    const std::size_t value = at_;
    int depth = 0;
    while (at_ < tokens_.size() && (depth > 0 || !ends_assignment())) {
      if (is_symbol(tokens_[at_], '(')) ++depth;
      if (is_symbol(tokens_[at_], ')')) --depth;
      ++at_;
    }
    if (variable.empty() || !assigns) return;
    found_[std::string(variable)] = at_ == value + 1 ? override_from(variable, tokens_[value]) : SessionOverride{};
  }

  // The session variable that is assigned to, when it is one that is looked for.
  static std::string_view target(const SqlToken& token, bool session) {
    if (token.kind != SqlTokenKind::variable) return session ? known_variable(token.text) : std::string_view();
    const std::string name = to_lower(token.text);
    for (const std::string_view scope : {"@@session.", "@@local.", "@@"}) {
      if (name.starts_with(scope)) return known_variable(std::string_view(name).substr(scope.size()));
    }
    return {};
  }

  Tokens tokens_;
  bool one_list_;
  std::size_t at_ = 0;
  SessionOverrides found_;
};

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// client_flag of Python's drivers: the sum of the protocol's capabilities.
SessionOverride interactive_flag(std::string_view flags) {
  const std::optional<double> number = number_in(flags);
  if (!number || *number < 0 || *number >= 4294967296.0) return {};
  return override_with((static_cast<std::uint64_t>(*number) & kClientInteractive) != 0 ? 1 : 0);
}

bool is_true(std::string_view value) {
  return equals_ignoring_case(value, "true") || equals_ignoring_case(value, "yes") || value == "1";
}

}  // namespace

SessionOverrides overrides_in_sql(std::string_view statements) { return SetReader(statements, false).run(); }

SessionOverrides override_of(std::string_view variable, std::string_view value) {
  const std::string_view known = known_variable(variable);
  if (known.empty()) return {};
  const Tokens tokens = sql_tokens(value);
  return {{std::string(known), tokens.size() == 1 ? override_from(known, tokens.front()) : SessionOverride{}}};
}

SessionOverrides unknown_statements() {
  SessionOverrides found;
  for (const std::string_view variable : kSessionVariables) found[std::string(variable)] = {};
  return found;
}

SessionOverrides unknown_options() {
  SessionOverrides found = unknown_statements();
  found[std::string(kInteractive)] = {};
  return found;
}

SessionOverrides combined(const SessionOverrides& earlier, const SessionOverrides& later) {
  SessionOverrides out = earlier;
  for (const auto& [name, value] : later) out[name] = value;
  return out;
}

std::vector<UrlOption> url_options(std::string_view url) {
  // A Go DSN has no scheme, and its password may hold a '?': there the options begin after the last '/'.
  std::size_t from = 0;
  if (url.find("://") == std::string_view::npos) {
    const std::size_t slash = url.rfind('/');
    if (slash != std::string_view::npos) from = slash;
  }
  const std::size_t question = url.find('?', from);
  std::vector<UrlOption> options;
  if (question == std::string_view::npos) return options;
  for (const std::string& option : split(url.substr(question + 1), '&')) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) continue;
    options.push_back({percent_decoded(std::string_view(option).substr(0, equals)),
                       percent_decoded(std::string_view(option).substr(equals + 1))});
  }
  return options;
}

std::vector<UrlOption> property_options(std::string_view properties) {
  std::vector<UrlOption> options;
  for (const std::string& property : split(properties, ';')) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos) continue;
    const std::string_view text = property;
    options.push_back({std::string(trimmed(text.substr(0, equals))), std::string(trimmed(text.substr(equals + 1)))});
  }
  return options;
}

bool sets_session(std::string_view option) {
  for (const std::string_view name :
       {"sessionvariables", "initsql", "init_command", "interactiveclient", "client_flag"}) {
    if (equals_ignoring_case(option, name)) return true;
  }
  return !known_variable(option).empty();
}

SessionOverrides overrides_in_options(const std::vector<UrlOption>& options) {
  SessionOverrides found;
  for (const auto& [name, value] : options) {
    const std::string key = to_lower(name);
    const bool unknown = value == kUnknownSetting;
    if (key == kUnknownSetting) {
      found.merge(unknown_options());
    } else if (key == "sessionvariables" || key == "initsql" || key == "init_command") {
      found = combined(found, unknown ? unknown_statements() : SetReader(value, key == "sessionvariables").run());
    } else if (key == "interactiveclient") {
      found[std::string(kInteractive)] = unknown ? SessionOverride{} : override_with(is_true(value) ? 1 : 0);
    } else if (key == "client_flag") {
      found[std::string(kInteractive)] = interactive_flag(value);
    } else {
      found = combined(found, override_of(key, value));
    }
  }
  return found;
}

}  // namespace dbaudit

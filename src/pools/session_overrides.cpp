#include "pools/session_overrides.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/sql_text.h"
#include "base/text.h"

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

// Reads the assignments of SET statements.
class SetReader {
 public:
  // `one_list`: the whole text is one list of assignments, as in sessionVariables, where ';' separates like ','.
  SetReader(std::string_view text, bool one_list) : text_(text), tokens_(sql_tokens(text)), one_list_(one_list) {}

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
    bool wanted = false;
    if (!ends_assignment()) {
      const SqlToken& target = tokens_[at_++];
      if (target.kind == SqlTokenKind::variable) {
        const std::string name = to_lower(target.text);
        wanted = name == "@@wait_timeout" || name == "@@session.wait_timeout" || name == "@@local.wait_timeout";
      } else {
        wanted = session && equals_ignoring_case(target.text, "wait_timeout");
      }
    }
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
    if (wanted && assigns) take(value);
  }

  void take(std::size_t value) {
    found_.wait_timeout_s.reset();
    found_.back_to_global = false;
    if (at_ == value + 1) {
      const SqlToken& only = tokens_[value];
      const std::optional<double> seconds =
          only.kind == SqlTokenKind::number ? number_in(only.text) : std::optional<double>();
      if (seconds) {
        found_.wait_timeout_s = std::max(*seconds, 1.0);  // the server's own minimum
        return;
      }
      if (only.kind == SqlTokenKind::word && equals_ignoring_case(only.text, "DEFAULT")) {
        found_.back_to_global = true;
        return;
      }
    }
    const std::size_t begin = value < at_ ? tokens_[value].begin : text_.size();
    const std::size_t end = value < at_ ? tokens_[at_ - 1].end : text_.size();
    found_.not_understood.push_back("wait_timeout=" + bounded(text_.substr(begin, end - begin), 80));
  }

  std::string_view text_;
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

bool is_true(std::string_view value) {
  return equals_ignoring_case(value, "true") || equals_ignoring_case(value, "yes") || value == "1";
}

}  // namespace

SessionOverrides overrides_in_sql(std::string_view statements) { return SetReader(statements, false).run(); }

SessionOverrides combined(const SessionOverrides& earlier, const SessionOverrides& later) {
  SessionOverrides out = earlier;
  if (later.wait_timeout_s || later.back_to_global) {
    out.wait_timeout_s = later.wait_timeout_s;
    out.back_to_global = later.back_to_global;
  }
  if (later.interactive) out.interactive = later.interactive;
  out.not_understood.insert(out.not_understood.end(), later.not_understood.begin(), later.not_understood.end());
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

SessionOverrides overrides_in_url(std::string_view url) {
  SessionOverrides found;
  for (const auto& [name, value] : url_options(url)) {
    const std::string key = to_lower(name);
    if (key == "sessionvariables") {
      found = combined(found, SetReader(value, true).run());
    } else if (key == "wait_timeout") {
      found = combined(found, SetReader("wait_timeout=" + value, true).run());
    } else if (key == "initsql" || key == "init_command") {
      found = combined(found, overrides_in_sql(value));
    } else if (key == "interactiveclient") {
      found.interactive = is_true(value);
    } else if (key == "client_flag") {
      const std::optional<double> flags = number_in(value);
      if (flags && *flags >= 0 && *flags < 4294967296.0) {
        found.interactive = (static_cast<std::uint64_t>(*flags) & kClientInteractive) != 0;
      }
    }
  }
  return found;
}

}  // namespace dbaudit

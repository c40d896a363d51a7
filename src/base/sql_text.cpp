#include "base/sql_text.h"

#include "base/text.h"

namespace dbaudit {
namespace {

bool starts_word(char c) { return is_letter(c) || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80; }
bool continues_word(char c) { return starts_word(c) || is_digit(c); }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<SqlToken> run() {
    while (at_ < text_.size()) next();
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void emit(SqlTokenKind kind, std::size_t begin, std::string text) {
    tokens_.push_back({kind, std::move(text), begin, at_});
  }

  void next() {
    const char c = peek();
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      ++at_;
    } else if (c == '#' || (c == '-' && peek(1) == '-' && static_cast<unsigned char>(peek(2)) <= ' ')) {
      skip_line();
    } else if (c == '/' && peek(1) == '*') {
      comment();
    } else if (in_executable_comment_ && c == '*' && peek(1) == '/') {
      in_executable_comment_ = false;
      at_ += 2;
    } else if (c == '\'' || c == '"') {
      string(c);
    } else if (c == '`') {
      quoted_identifier();
    } else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      number();
    } else if (c == '@') {
      variable();
    } else if (starts_word(c)) {
      word();
    } else {
      ++at_;
      emit(SqlTokenKind::symbol, at_ - 1, std::string(1, c));
    }
  }

  void skip_line() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

  void comment() {
    std::size_t start = at_ + 2;
    if (start < text_.size() && text_[start] == 'M') ++start;
    if (start < text_.size() && text_[start] == '!') {
      at_ = start + 1;
      while (is_digit(peek())) ++at_;
      in_executable_comment_ = true;
      return;
    }
    const std::size_t end = text_.find("*/", at_ + 2);
    at_ = end == std::string_view::npos ? text_.size() : end + 2;
  }

  void string(char quote) {
    const std::size_t begin = at_++;
    while (at_ < text_.size()) {
      if (text_[at_] == '\\') {
        at_ += 2;
      } else if (text_[at_] == quote && peek(1) == quote) {
        at_ += 2;
      } else if (text_[at_++] == quote) {
        break;
      }
    }
    if (at_ > text_.size()) at_ = text_.size();
    emit(SqlTokenKind::string, begin, std::string(text_.substr(begin, at_ - begin)));
  }

  void quoted_identifier() {
    const std::size_t begin = at_++;
    std::string name;
    while (at_ < text_.size()) {
      if (text_[at_] == '`' && peek(1) != '`') break;
      if (text_[at_] == '`') ++at_;
      name += text_[at_++];
    }
    if (at_ < text_.size()) ++at_;
    emit(SqlTokenKind::identifier, begin, std::move(name));
  }

  void number() {
    const std::size_t begin = at_;
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'b')) at_ += 2;
    while (continues_word(peek()) || peek() == '.' || ((peek() == '+' || peek() == '-') && exponent_before(begin)))
      ++at_;
    const std::string digits(text_.substr(begin, at_ - begin));
    // "1st_column" is a name that starts with a digit.
    bool numeric = true;
    for (const char c : digits)
      numeric = numeric && (is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-');
    const bool hexadecimal = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'b');
    emit(numeric || hexadecimal ? SqlTokenKind::number : SqlTokenKind::word, begin, digits);
  }

  [[nodiscard]] bool exponent_before(std::size_t begin) const {
    return at_ > begin + 1 && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') && is_digit(text_[at_ - 2]) &&
           is_digit(peek(1));
  }

  void variable() {
    const std::size_t begin = at_++;
    if (peek() == '@') ++at_;
    while (continues_word(peek()) || peek() == '.') ++at_;
    emit(SqlTokenKind::variable, begin, std::string(text_.substr(begin, at_ - begin)));
  }

  void word() {
    const std::size_t begin = at_;
    while (continues_word(peek())) ++at_;
    emit(SqlTokenKind::word, begin, std::string(text_.substr(begin, at_ - begin)));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool in_executable_comment_ = false;
  std::vector<SqlToken> tokens_;
};

}  // namespace

std::vector<SqlToken> sql_tokens(std::string_view statement) { return Lexer(statement).run(); }

namespace {

// Only what the lexer understood is kept, so that a comment cannot carry a literal along.
std::string tokens_of(std::string_view statement, bool literals) {
  std::string out;
  std::size_t last_end = 0;
  for (const SqlToken& token : sql_tokens(statement)) {
    if (!out.empty() && token.begin > last_end) out += ' ';
    last_end = token.end;
    const bool literal = token.kind == SqlTokenKind::string || token.kind == SqlTokenKind::number;
    out += literal && !literals ? std::string_view("?") : statement.substr(token.begin, token.end - token.begin);
  }
  return out;
}

}  // namespace

std::string without_comments(std::string_view statement) { return tokens_of(statement, true); }

std::string without_literals(std::string_view statement) { return tokens_of(statement, false); }

std::string without_secrets(std::string_view statement) {
  const std::string lower = to_lower(statement);
  for (const std::string_view mark : {"identified", "password", "_pwd", "secret", "wsrep_sst_auth"}) {
    if (lower.find(mark) != std::string::npos) return without_literals(statement);
  }
  return std::string(statement);
}

std::string unquoted(std::string_view literal) {
  std::string out;
  if (literal.empty()) return out;
  for (std::size_t i = 1; i < literal.size(); ++i) {
    const bool last = i + 1 == literal.size();
    if (literal[i] == literal.front() && (last || literal[i + 1] != literal.front())) break;
    if (!last && (literal[i] == '\\' || literal[i] == literal.front())) ++i;
    out += literal[i];
  }
  return out;
}

std::optional<std::string> user_lock_name(std::string_view statement) {
  const std::vector<SqlToken> tokens = sql_tokens(statement);
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i].kind == SqlTokenKind::word && equals_ignoring_case(tokens[i].text, "GET_LOCK") &&
        tokens[i + 1].text == "(" && tokens[i + 2].kind == SqlTokenKind::string)
      return unquoted(tokens[i + 2].text);
  }
  return std::nullopt;
}

bool is_secret_variable(std::string_view name) {
  // wsrep_provider_options may hold socket.ssl_key passwords (MariaDB "Galera Cluster System Variables");
  // file_key_management_filekey may be the key itself (MariaDB "File Key Management"); *_bind_root_pwd: MySQL "LDAP
  // Pluggable Authentication". The endings are for what plugins and forks add.
  const std::string lower = to_lower(name);
  for (const std::string_view secret : {"wsrep_provider_options", "file_key_management_filekey"}) {
    if (lower == secret) return true;
  }
  // A switch and a plugin whose names only look like it.
  for (const std::string_view harmless :
       {"log_builtin_as_identified_by_password", "validate_password", "disconnect_on_expired_password",
        "sha256_password", "caching_sha2_password"}) {
    if (lower == harmless) return false;
  }
  for (const std::string_view ending :
       {"_password", "_pwd", "_secret", "_secret_id", "_sst_auth", "_access_key", "_passphrase", "_management_token"}) {
    if (lower.size() >= ending.size() && lower.compare(lower.size() - ending.size(), ending.size(), ending) == 0)
      return true;
  }
  return lower.find("secret_key") != std::string::npos;
}

}  // namespace dbaudit

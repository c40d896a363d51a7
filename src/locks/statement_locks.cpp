#include "locks/statement_locks.h"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "base/sql_text.h"
#include "base/text.h"

namespace dbaudit {
namespace {

// Types from weak to strong, as far as one statement may ask for two of them on one table.
int strength(std::string_view type) {
  constexpr std::string_view kOrder[] = {"SHARED",          "SHARED_HIGH_PRIO",     "SHARED_READ",
                                         "SHARED_WRITE",    "SHARED_UPGRADABLE",    "SHARED_READ_ONLY",
                                         "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"};
  const auto* found = std::find(std::begin(kOrder), std::end(kOrder), type);
  return static_cast<int>(found - std::begin(kOrder));
}

class Reader {
 public:
  Reader(std::string_view statement, std::string_view database)
      : statement_(statement), tokens_(sql_tokens(statement)), database_(database) {}

  std::vector<WantedLock> run() {
    set_statement();
    while (is("(")) ++at_;
    skip_any({"EXPLAIN", "DESCRIBE", "DESC", "ANALYZE"}, {"TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"});
    statement();
    functions_and_user_locks();
    return std::move(wanted_);
  }

  HiddenLocks hidden() {
    set_statement();
    while (is("(")) ++at_;
    if (is_any({"INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD"})) return {{"SHARED_WRITE", "SHARED_READ"}, ""};
    // What a routine does shows as its own statement; expressions, conditions and cursors show as the CALL.
    if (is_any({"SELECT", "WITH", "VALUES", "SET", "DO", "CALL", "EXECUTE"}))
      return {{"SHARED_READ", "SHARED_WRITE"}, ""};
    if (skip("LOCK")) {
      const bool writes = std::any_of(tokens_.begin(), tokens_.end(), [](const SqlToken& t) {
        return t.kind == SqlTokenKind::word && equals_ignoring_case(t.text, "WRITE");
      });
      return {{writes ? "SHARED_NO_READ_WRITE" : "SHARED_READ"}, ""};
    }
    if (skip("DROP") && skip("TRIGGER")) {
      skip_words({"IF", "EXISTS"});
      Name name;
      if (read_name(name)) return {{"SHARED_NO_WRITE"}, name.schema};
    }
    return {};
  }

 private:
  // --- tokens

  [[nodiscard]] bool at_end() const { return at_ >= tokens_.size(); }
  [[nodiscard]] const SqlToken* token(std::size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? &tokens_[at_ + ahead] : nullptr;
  }
  // A keyword or a symbol; a quoted name is neither.
  [[nodiscard]] bool is(std::string_view text, std::size_t ahead = 0) const {
    const SqlToken* found = token(ahead);
    return found != nullptr && (found->kind == SqlTokenKind::word || found->kind == SqlTokenKind::symbol) &&
           equals_ignoring_case(found->text, text);
  }
  [[nodiscard]] bool is_any(std::initializer_list<std::string_view> texts, std::size_t ahead = 0) const {
    return std::any_of(texts.begin(), texts.end(), [&](std::string_view text) { return is(text, ahead); });
  }
  bool skip(std::string_view text) { return is(text) && (++at_, true); }
  // Skips one of `words` unless one of `but_not_before` follows: "ANALYZE SELECT" is prefixed, "ANALYZE TABLE" is not.
  void skip_any(std::initializer_list<std::string_view> words, std::initializer_list<std::string_view> but_not_before) {
    while (is_any(words) && !is_any(but_not_before, 1)) ++at_;
  }
  void skip_words(std::initializer_list<std::string_view> words) {
    while (is_any(words)) ++at_;
  }
  [[nodiscard]] bool is_name(std::size_t ahead = 0) const {
    const SqlToken* found = token(ahead);
    if (found == nullptr) return false;
    // Where a name belongs, "..." can only be one: sql_mode holds ANSI_QUOTES.
    return found->kind == SqlTokenKind::word || found->kind == SqlTokenKind::identifier ||
           (found->kind == SqlTokenKind::string && found->text.front() == '"');
  }
  [[nodiscard]] std::string name_at(std::size_t ahead = 0) const {
    const SqlToken& found = *token(ahead);
    return found.kind == SqlTokenKind::string ? unquoted(found.text) : found.text;
  }

  struct Name {
    std::string schema;
    std::string name;
  };
  // schema.name or name; the reader stands behind it then.
  bool read_name(Name& name) {
    if (!is_name()) return false;
    name = {database_, name_at()};
    ++at_;
    if (is(".") && is_name(1)) {
      name.schema = name.name;
      name.name = name_at(1);
      at_ += 2;
    }
    return true;
  }

  // --- what is wanted

  void want(std::string_view object_type, const std::string& schema, const std::string& name, std::string_view type,
            std::string_view upgraded_to = "") {
    for (WantedLock& known : wanted_) {
      if (known.object_type != object_type || known.schema != schema || known.name != name) continue;
      if (strength(type) > strength(known.lock_type)) {
        known.lock_type = type;
        known.upgraded_to = upgraded_to;
      }
      return;
    }
    wanted_.push_back({std::string(object_type), schema, name, std::string(type), std::string(upgraded_to)});
  }
  void want_table(const Name& name, std::string_view type, std::string_view upgraded_to = "") {
    if (name.schema == database_ && common_tables_.contains(to_lower(name.name))) return;
    want("TABLE", name.schema, name.name, type, upgraded_to);
  }
  void want_backup(std::string_view type) { want("BACKUP", "", "", type); }

  // a [AS x], b ...
  void name_list(std::string_view type, std::string_view upgraded_to = "") {
    Name name;
    do {
      if (!read_name(name)) return;
      want_table(name, type, upgraded_to);
      while (!at_end() && !is(",") && !is_any({"READ", "WRITE", "WITH", "FOR", "WAIT", "NOWAIT"})) ++at_;
    } while (skip(","));
  }

  // --- statements

  // MariaDB: SET STATEMENT a = 1, b = 2 FOR what is executed.
  void set_statement() {
    if (!is("SET") || !is("STATEMENT", 1)) return;
    while (!at_end() && !is("FOR")) ++at_;
    ++at_;
  }

  void statement() {
    if (is("SELECT") || is("WITH") || is("VALUES")) return query("SHARED_READ");
    if (is_any({"INSERT", "REPLACE"})) return insert();
    if (is("UPDATE")) return update();
    if (is("DELETE")) return remove();
    if (is("LOAD")) return load();
    if (skip("ALTER")) return alter();
    if (skip("CREATE")) return create();
    if (skip("DROP")) return drop();
    if (skip("RENAME")) return rename();
    if (skip("TRUNCATE")) return static_cast<void>(skip("TABLE")), name_list("EXCLUSIVE");
    if (skip("LOCK")) return lock();
    if (skip("FLUSH")) return flush();
    if (skip("BACKUP")) return backup();
    if (skip("HANDLER")) return handler();
    if (is_any({"OPTIMIZE", "REPAIR"})) return maintain("SHARED_UPGRADABLE", "EXCLUSIVE");
    if (is_any({"ANALYZE", "CHECK", "CHECKSUM"})) return maintain("SHARED_READ", "");
    if (skip("CALL")) return routine("PROCEDURE", "SHARED");
    if (is_any({"SHOW"})) return show();
    if (is_any({"GRANT", "REVOKE"})) return accounts("SHARED_WRITE");
    if (is("SET")) return set();
    if (is("DO")) return query("SHARED_READ");
  }

  void set() {
    if (is_any({"PASSWORD", "DEFAULT"}, 1)) return accounts("SHARED_WRITE");
    // MariaDB: SET GLOBAL read_only = 1 keeps writers out as FLUSH TABLES WITH READ LOCK does.
    for (std::size_t i = at_ + 1; i < tokens_.size(); ++i) {
      const SqlToken& token = tokens_[i];
      const bool global =
          equals_ignoring_case(token.text, "@@global.read_only") ||
          (equals_ignoring_case(token.text, "read_only") && equals_ignoring_case(tokens_[i - 1].text, "GLOBAL"));
      if (global && token.kind != SqlTokenKind::string) want_backup("BACKUP_FTWRL1");
    }
    query("SHARED_READ");
  }

  // MariaDB's tables of accounts and grants; which of them a statement opens is not worth a list of its own.
  void accounts(std::string_view type) {
    for (const char* table :
         {"global_priv", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"})
      want_table({"mysql", table}, type);
  }

  // Tables of a SELECT, wherever FROM and JOIN stand, subqueries included.
  void query(std::string_view type) {
    if (skip("WITH")) common_table_names();
    for (std::size_t i = at_; i < tokens_.size(); ++i) {
      const std::size_t before = at_;
      at_ = i;
      if (is("FOR") && is("UPDATE", 1)) type = "SHARED_WRITE";
      at_ = before;
    }
    tables(type);
  }

  void common_table_names() {
    const std::size_t begin = at_;
    skip("RECURSIVE");
    while (is_name()) {
      common_tables_.insert(to_lower(token()->text));
      ++at_;
      if (is("(")) skip_parentheses();  // columns
      if (!skip("AS") || !is("(")) break;
      skip_parentheses();
      if (!skip(",")) break;
    }
    at_ = begin;
  }

  void skip_parentheses() {
    int depth = 0;
    do {
      depth += is("(") ? 1 : is(")") ? -1 : 0;
      ++at_;
    } while (!at_end() && depth > 0);
  }

  // Every table reference from here on.
  void tables(std::string_view type) {
    std::vector<bool> function_of_from;  // for each open parenthesis: EXTRACT(... FROM ...) and its like
    while (!at_end()) {
      if (is("(")) {
        at_ = at_ > 0 && is_from_function(at_ - 1) ? (function_of_from.push_back(true), at_ + 1)
                                                   : (function_of_from.push_back(false), at_ + 1);
      } else if (is(")")) {
        if (!function_of_from.empty()) function_of_from.pop_back();
        ++at_;
      } else if (is("FROM") && !was("DISTINCT") && (function_of_from.empty() || !function_of_from.back())) {
        ++at_;
        reference_list(type);
      } else if (is_any({"JOIN", "STRAIGHT_JOIN"}) && is_name(1)) {
        ++at_;
        reference(type);
      } else if (is_any({"JOIN", "STRAIGHT_JOIN"}) && is("(", 1)) {
        ++at_;
        reference_list(type);
      } else {
        ++at_;
      }
    }
  }

  [[nodiscard]] bool was(std::string_view text, std::size_t back = 1) const {
    return at_ >= back && tokens_[at_ - back].kind == SqlTokenKind::word &&
           equals_ignoring_case(tokens_[at_ - back].text, text);
  }
  [[nodiscard]] bool is_from_function(std::size_t index) const {
    constexpr std::string_view kFunctions[] = {"EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "MID", "POSITION"};
    return tokens_[index].kind == SqlTokenKind::word &&
           std::any_of(std::begin(kFunctions), std::end(kFunctions),
                       [&](std::string_view name) { return equals_ignoring_case(tokens_[index].text, name); });
  }

  // One name with its alias; index hints, PARTITION and ON conditions are left to the caller's scan.
  void reference(std::string_view type) {
    Name name;
    if (is_any({"LATERAL", "JSON_TABLE", "DUAL", "SELECT"})) return;
    if (!read_name(name) || is("(")) return;  // a table function
    want_table(name, type);
    alias();
  }
  void alias() {
    if (skip("PARTITION") && is("(")) skip_parentheses();
    skip("AS");
    constexpr std::string_view kNext[] = {
        "WHERE", "JOIN",  "INNER", "LEFT",   "RIGHT",  "CROSS",     "NATURAL",   "STRAIGHT_JOIN", "ON",    "USING",
        "GROUP", "ORDER", "LIMIT", "FOR",    "HAVING", "UNION",     "WINDOW",    "LOCK",          "SET",   "PROCEDURE",
        "INTO",  "USE",   "FORCE", "IGNORE", "EXCEPT", "INTERSECT", "PARTITION", "VALUES",        "SELECT"};
    const bool next =
        std::any_of(std::begin(kNext), std::end(kNext), [this](std::string_view word) { return is(word); });
    if (is_name() && !next) ++at_;
  }
  // a, b AS c, (d JOIN e) ...
  void reference_list(std::string_view type) {
    do {
      while (skip("(")) {
      }
      if (skip("{")) skip("OJ");
      if (!is_name()) return;
      reference(type);
      while (skip(")")) {
      }
      if (skip("USE") || skip("FORCE") || skip("IGNORE")) {
        skip_words({"INDEX", "KEY", "FOR", "JOIN"});
        if (is("(")) skip_parentheses();
      }
    } while (skip(","));
  }

  void insert() {
    ++at_;
    skip_words({"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"});
    Name name;
    if (read_name(name)) want_table(name, "SHARED_WRITE");
    query("SHARED_READ");
  }

  void update() {
    ++at_;
    skip_words({"LOW_PRIORITY", "IGNORE"});
    reference_list("SHARED_WRITE");
    // UPDATE a JOIN b ... SET: which of them are written is not worth a parser of expressions.
    const auto set = std::find_if(tokens_.begin() + static_cast<std::ptrdiff_t>(at_), tokens_.end(),
                                  [](const SqlToken& t) { return equals_ignoring_case(t.text, "SET"); });
    const auto end = static_cast<std::size_t>(set - tokens_.begin());
    while (at_ < end) {
      if (is_any({"JOIN", "STRAIGHT_JOIN"}) && is_name(1)) {
        ++at_;
        reference("SHARED_WRITE");
      } else {
        ++at_;
      }
    }
    tables("SHARED_READ");
  }

  void remove() {
    ++at_;
    skip_words({"LOW_PRIORITY", "QUICK", "IGNORE"});
    if (skip("FROM")) {
      reference_list("SHARED_WRITE");
      if (skip("USING")) reference_list("SHARED_READ");
      return tables("SHARED_READ");
    }
    // DELETE a, b FROM a JOIN b: a name before FROM may be an alias, so all tables count as written.
    query("SHARED_WRITE");
  }

  void load() {
    while (!at_end() && !(is("INTO") && is("TABLE", 1))) ++at_;
    at_ += 2;
    Name name;
    if (read_name(name)) want_table(name, "SHARED_WRITE");
  }

  void alter() {
    skip_words({"ONLINE", "IGNORE"});
    if (skip("TABLE")) {
      skip_words({"IF", "EXISTS"});
      Name name;
      if (!read_name(name)) return;
      want_table(name, "SHARED_UPGRADABLE", "EXCLUSIVE");
      return renames_and_parents(name);
    }
    if (is_any({"DATABASE", "SCHEMA"})) {
      ++at_;
      return schema();
    }
    if (is_any({"USER", "ROLE"})) return accounts("SHARED_WRITE");
    created_object();
  }

  // RENAME [TO|AS] new, EXCHANGE PARTITION ... WITH TABLE other; REFERENCES parent.
  void renames_and_parents(const Name& table) {
    for (; !at_end(); ++at_) {
      Name other;
      if (is("RENAME") && !is_any({"COLUMN", "INDEX", "KEY"}, 1)) {
        ++at_;
        skip_words({"TO", "AS"});
        if (read_name(other)) want_table(other, "EXCLUSIVE");
        --at_;
      } else if (is("WITH") && is("TABLE", 1)) {
        at_ += 2;
        if (read_name(other)) want_table(other, "SHARED_UPGRADABLE", "EXCLUSIVE");
        --at_;
      } else if (is("REFERENCES")) {
        ++at_;
        if (read_name(other)) {
          if (other.schema == database_) other.schema = table.schema;
          want_table(other, "SHARED_UPGRADABLE");
        }
        --at_;
      }
    }
  }

  void schema() {
    skip_words({"IF", "NOT", "EXISTS"});
    if (is_name()) want("SCHEMA", name_at(), "", "EXCLUSIVE");
  }

  void create() {
    bool replaces = false;
    while (!at_end() && !is_any({"TABLE", "INDEX", "DATABASE", "SCHEMA", "TRIGGER", "VIEW", "FUNCTION", "PROCEDURE",
                                 "EVENT", "SEQUENCE", "PACKAGE", "USER", "ROLE", "SERVER"})) {
      if (is("TEMPORARY")) return temporary();
      replaces = replaces || is("REPLACE");
      ++at_;
    }
    if (is_any({"USER", "ROLE"})) return accounts("SHARED_WRITE");
    if (is_any({"DATABASE", "SCHEMA"})) return ++at_, schema();
    if (skip("INDEX")) return index_on();
    if (skip("TRIGGER")) {
      skip_words({"IF", "NOT", "EXISTS"});
      routine("TRIGGER", "EXCLUSIVE");
      return index_on();
    }
    if (is("TABLE")) {
      ++at_;
      skip_words({"IF", "NOT", "EXISTS"});
      Name name;
      if (!read_name(name)) return;
      // It looks first whether the table is there.
      want_table(name, "SHARED_UPGRADABLE", "EXCLUSIVE");
      wanted_.back().may_be_new = !replaces;
      if (skip("(") && !is("LIKE")) --at_;
      if (skip("LIKE")) return name_list("SHARED_READ");
      const std::size_t begin = at_;
      renames_and_parents(name);
      at_ = begin;
      return query("SHARED_READ");
    }
    if (!skip("VIEW")) return created_object();
    Name view;
    if (read_name(view)) want_table(view, "EXCLUSIVE");
    query("SHARED_READ");
  }

  // Nobody else sees it; what it is made from, everybody does.
  void temporary() {
    while (!at_end() && !is_any({"SELECT", "WITH", "LIKE"})) ++at_;
    if (skip("LIKE")) return name_list("SHARED_READ");
    query("SHARED_READ");
  }

  // VIEW, FUNCTION, PROCEDURE, EVENT and their name.
  void created_object() {
    while (!at_end() && !is_any({"VIEW", "FUNCTION", "PROCEDURE", "EVENT", "SEQUENCE", "TRIGGER"})) ++at_;
    if (at_end()) return;
    const std::string kind = to_upper(token()->text);
    ++at_;
    skip_words({"IF", "NOT", "EXISTS"});
    // DROP TRIGGER does not name the table.
    if (kind == "FUNCTION" || kind == "PROCEDURE" || kind == "EVENT" || kind == "TRIGGER")
      return routine(kind, "EXCLUSIVE");
    name_list("EXCLUSIVE");
  }

  void routine(std::string_view kind, std::string_view type) {
    Name name;
    if (read_name(name)) want(kind, name.schema, name.name, type);
  }

  // CREATE INDEX i ON t, CREATE TRIGGER x BEFORE INSERT ON t, DROP INDEX i ON t
  void index_on() {
    while (!at_end() && !is("ON")) ++at_;
    ++at_;
    Name name;
    if (read_name(name)) want_table(name, "SHARED_UPGRADABLE", "EXCLUSIVE");
  }

  void drop() {
    if (skip("TEMPORARY")) return;
    if (skip("INDEX")) return index_on();
    if (is_any({"DATABASE", "SCHEMA"})) return ++at_, schema();
    if (skip("TABLE") || skip("TABLES")) {
      skip_words({"IF", "EXISTS"});
      return name_list("EXCLUSIVE");
    }
    if (is_any({"USER", "ROLE"})) return accounts("SHARED_WRITE");
    created_object();
  }

  void rename() {
    if (is("USER")) return accounts("SHARED_WRITE");
    if (!skip("TABLE") && !skip("TABLES")) return;
    Name name;
    do {
      skip_words({"IF", "EXISTS"});
      if (!read_name(name)) return;
      want_table(name, "EXCLUSIVE");
      while (!at_end() && !is("TO")) ++at_;
      ++at_;
      if (read_name(name)) want_table(name, "EXCLUSIVE");
    } while (skip(","));
  }

  void lock() {
    if (skip("INSTANCE")) return want("BACKUP LOCK", "", "", "SHARED");
    if (!skip("TABLE") && !skip("TABLES")) return;
    Name name;
    do {
      if (!read_name(name)) return;
      while (!at_end() && !is(",") && !is_any({"READ", "WRITE"})) ++at_;
      if (is("WRITE")) {
        want_table(name, "SHARED_NO_READ_WRITE");
      } else {
        want_table(name, "SHARED_READ", "SHARED_READ_ONLY");
      }
      while (!at_end() && !is(",")) ++at_;
    } while (skip(","));
  }

  void flush() {
    skip_words({"LOCAL", "NO_WRITE_TO_BINLOG"});
    if (is("PRIVILEGES")) return accounts("SHARED_READ");
    if (!skip("TABLES") && !skip("TABLE")) return;
    if (at_end() || is_any({"WITH", ";"})) return want_backup("BACKUP_FTWRL1");
    const std::size_t begin = at_;
    while (!at_end() && !is_any({"WITH", "FOR"})) ++at_;
    const bool read_lock = !at_end();
    at_ = begin;
    name_list(read_lock ? "SHARED_NO_WRITE" : "EXCLUSIVE");
  }

  void backup() {
    if (skip("LOCK")) return name_list("SHARED_HIGH_PRIO");
    if (!skip("STAGE") || at_end()) return;
    const std::string stage = to_upper(token()->text);
    if (stage == "START") want_backup("BACKUP_START");
    if (stage == "FLUSH") want_backup("BACKUP_WAIT_FLUSH");
    if (stage == "BLOCK_DDL") want_backup("BACKUP_WAIT_DDL");
    if (stage == "BLOCK_COMMIT") want_backup("BACKUP_WAIT_COMMIT");
  }

  void handler() {
    Name name;
    if (read_name(name)) want_table(name, "SHARED_READ");
  }

  void maintain(std::string_view type, std::string_view upgraded_to) {
    ++at_;
    skip_words({"NO_WRITE_TO_BINLOG", "LOCAL"});
    if (skip("TABLE") || skip("TABLES")) name_list(type, upgraded_to);
  }

  void show() {
    for (; !at_end(); ++at_) {
      if (!is_any({"FROM", "IN", "TABLE", "VIEW"})) continue;
      ++at_;
      Name name;
      if (read_name(name)) want_table(name, "SHARED_HIGH_PRIO");
      return;
    }
  }

  // GET_LOCK('name', ...), MariaDB's sequences, and every name before a parenthesis that may be a stored function.
  void functions_and_user_locks() {
    if (const std::optional<std::string> name = user_lock_name(statement_))
      want("USER LEVEL LOCK", "", *name, "EXCLUSIVE");
    for (at_ = 0; at_ + 1 < tokens_.size(); ++at_) {
      if (sequence()) continue;
      if (!is("(", 1) || !is_name()) continue;
      if (!is_keyword_before_parenthesis()) {
        const bool qualified =
            at_ >= 2 && tokens_[at_ - 1].text == "." && tokens_[at_ - 1].kind == SqlTokenKind::symbol;
        want("FUNCTION", qualified ? tokens_[at_ - 2].text : database_, token()->text, "SHARED");
      }
    }
  }

  // NEXTVAL(s), LASTVAL(s), SETVAL(s, 1), NEXT VALUE FOR s, PREVIOUS VALUE FOR s
  bool sequence() {
    const bool function = is_any({"NEXTVAL", "LASTVAL", "SETVAL"}) && is("(", 1) && is_name(2);
    const bool words = is_any({"NEXT", "PREVIOUS"}) && is("VALUE", 1) && is("FOR", 2) && is_name(3);
    if (!function && !words) return false;
    const std::string_view type = is_any({"LASTVAL", "PREVIOUS"}) ? "SHARED_READ" : "SHARED_WRITE";
    const std::size_t begin = at_;
    at_ += function ? 2 : 3;
    Name name;
    if (read_name(name)) want_table(name, type);
    at_ = begin;
    return true;
  }

  [[nodiscard]] bool is_keyword_before_parenthesis() const {
    return is_any({"IN",      "VALUES", "VALUE",  "AND",      "OR",     "NOT",       "ON",       "USING",
                   "FROM",    "JOIN",   "SELECT", "AS",       "EXISTS", "WHERE",     "KEY",      "INDEX",
                   "UNION",   "ALL",    "ANY",    "SOME",     "CASE",   "WHEN",      "THEN",     "ELSE",
                   "BETWEEN", "LIKE",   "INTO",   "SET",      "CALL",   "PARTITION", "GET_LOCK", "COUNT",
                   "MAX",     "MIN",    "SUM",    "COALESCE", "SLEEP"});
  }

  static std::string to_upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
  }

  std::string_view statement_;
  std::vector<SqlToken> tokens_;
  std::string database_;
  std::size_t at_ = 0;
  std::set<std::string> common_tables_;
  std::vector<WantedLock> wanted_;
};

}  // namespace

std::vector<WantedLock> wanted_locks(std::string_view statement, std::string_view database) {
  return Reader(statement, database).run();
}

HiddenLocks hidden_locks(std::string_view statement, std::string_view database) {
  return Reader(statement, database).hidden();
}

}  // namespace dbaudit

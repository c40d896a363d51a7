#include "pools/library_sql.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sql_text.h"
#include "base/text.h"

namespace dbaudit {
namespace {

// An expression over two dozen settings takes some hundred steps.
constexpr WorkLimit kWorkLimit{.steps = 100'000};

struct Part {
  std::string_view sql;
  std::string_view where;  // "'when'" in messages
  int line;
};

// What one token of an expression names; empty when it is not a name. SQLite quotes names with "", `` or [].
std::string name_of(const SqlToken& token) {
  if (token.kind == SqlTokenKind::word || token.kind == SqlTokenKind::identifier) return token.text;
  if (token.kind != SqlTokenKind::string || token.text.empty() || token.text.front() != '"') return {};
  return token.text.size() < 2 ? std::string() : token.text.substr(1, token.text.size() - 2);
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

// SELECT of the parts over the settings that they mention, as a table of one row. Naming only those keeps the
// statement small: preparing it is what loading a library costs.
std::string statement_for(const std::vector<Part>& parts, const std::vector<std::string>& names,
                          const std::vector<std::size_t>& inputs) {
  std::string sql = "SELECT";
  for (const Part& part : parts) {
    // The line break ends a comment at the end of the expression.
    sql += fmt::format("{} ({}\n)", &part == parts.data() ? "" : ",", part.sql);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    sql += fmt::format("{} :p{} AS {}", i == 0 ? " FROM (SELECT" : ",", inputs[i], quoted_name(names[inputs[i]]));
  }
  return inputs.empty() ? sql : sql + ")";
}

std::vector<std::size_t> names_in_parts(const std::vector<Part>& parts, const std::vector<std::string>& names) {
  std::vector<std::size_t> all;
  for (const Part& part : parts) {
    for (const std::size_t index : names_in(part.sql, names)) {
      if (std::find(all.begin(), all.end(), index) == all.end()) all.push_back(index);
    }
  }
  return all;
}

class Compiler {
 public:
  Compiler(Store& store, const Library& library, Problems& problems)
      : store_(store), file_(library.file), names_(sql_names(library)), problems_(problems) {}

  // `where` names the place in messages. Parts are prepared together; when that fails, one by one, so that each
  // problem is reported with its own line.
  std::optional<Query> compile(const std::string& where, const std::vector<Part>& parts,
                               std::vector<std::size_t>& inputs) {
    bool sound = true;
    for (const Part& part : parts) sound = names_exist(where, part) && sound;
    inputs = names_in_parts(parts, names_);
    SqlCheck check;
    Result<Query> query = store_.untrusted_query(statement_for(parts, names_, inputs), kWorkLimit, check);
    if (query && query->columns().size() == parts.size() && check.reads.empty()) {
      if (sound) return std::move(*query);
      return std::nullopt;
    }
    for (const Part& part : parts) check_alone(where, part);
    return std::nullopt;
  }

 private:
  // SQLite takes a "quoted name" that it does not know for a string, so a misspelt one would go unnoticed.
  bool names_exist(const std::string& where, const Part& part) {
    bool sound = true;
    for (const SqlToken& token : sql_tokens(part.sql)) {
      if (token.kind != SqlTokenKind::string || token.text.front() != '"') continue;
      const std::string name = name_of(token);
      if (std::find(names_.begin(), names_.end(), name) != names_.end()) continue;
      const auto breaks =
          std::count(part.sql.begin(), part.sql.begin() + static_cast<std::ptrdiff_t>(token.begin), '\n');
      problems_.add(file_, part.line + static_cast<int>(breaks),
                    fmt::format("{}: {} uses the setting '{}', which does not exist{}", where, part.where,
                                printable(name), did_you_mean(name, names_)));
      sound = false;
    }
    return sound;
  }

  void check_alone(const std::string& where, const Part& part) {
    const std::vector<Part> alone{part};
    SqlCheck check;
    const Result<Query> query =
        store_.untrusted_query(statement_for(alone, names_, names_in_parts(alone, names_)), kWorkLimit, check);
    std::string message;
    if (!query) {
      message = explained(query.error().message);
    } else if (query->columns().size() != 1) {
      message = "it must be one expression";
    } else if (!check.reads.empty()) {
      message = "it may use the settings of this library only, no tables";
    }
    if (message.empty()) return;
    problems_.add(file_, part.line + std::max(check.error_line, 0),
                  fmt::format("{}: {}: {}", where, part.where, message));
  }

  // The store suggests fact columns for a name it does not know; here the candidates are settings.
  [[nodiscard]] std::string explained(const std::string& message) const {
    const std::string_view prefix = "no such column: ";
    if (message.compare(0, prefix.size(), prefix) != 0) return message;
    const std::string name = message.substr(prefix.size(), message.find(';') - prefix.size());
    return fmt::format("there is no setting '{}'{}", name, did_you_mean(name, names_));
  }

  Store& store_;
  std::string file_;
  std::vector<std::string> names_;
  Problems& problems_;
};

}  // namespace

std::vector<std::string> sql_names(const Library& library) {
  std::vector<std::string> names;
  names.reserve(library.settings.size() + 1);
  for (const Setting& setting : library.settings) names.push_back(setting.name);
  names.emplace_back("threads_per_process");
  return names;
}

std::vector<std::size_t> names_in(std::string_view expression, const std::vector<std::string>& names) {
  std::vector<std::size_t> found;
  for (const SqlToken& token : sql_tokens(expression)) {
    const std::string name = name_of(token);
    if (name.empty()) continue;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (equals_ignoring_case(names[i], name) && std::find(found.begin(), found.end(), i) == found.end()) {
        found.push_back(i);
      }
    }
  }
  return found;
}

LibrarySql LibrarySql::compile(Store& store, const Library& library, Problems& problems) {
  Compiler compiler(store, library, problems);
  LibrarySql out;
  out.file_ = library.file;
  out.defaults_.resize(library.settings.size());
  for (std::size_t i = 0; i < library.settings.size(); ++i) {
    const Setting& setting = library.settings[i];
    if (setting.default_sql.empty()) continue;
    Program& program = out.defaults_[i];
    program.line = setting.default_sql_line;
    program.query = compiler.compile(fmt::format("[settings.{}]", setting.name),
                                     {{setting.default_sql, "'default_sql'", program.line}}, program.inputs);
  }
  for (const Adjust& adjust : library.adjusts) {
    Program& program = out.adjusts_.emplace_back();
    program.line = adjust.when_line;
    std::vector<Part> parts{{adjust.when, "'when'", adjust.when_line}};
    if (adjust.kind != AdjustKind::reject) parts.push_back({adjust.value, "'value'", adjust.value_line});
    program.query = compiler.compile(fmt::format("[[adjust]] of '{}'", library.settings[adjust.setting].name), parts,
                                     program.inputs);
  }
  std::vector<Part> parts;
  for (const Derived& derived : library.derived) parts.push_back({derived.sql, derived.column, derived.line});
  out.derived_count_ = parts.size();
  if (!parts.empty()) {
    out.derived_.line = parts.front().line;
    out.derived_.query = compiler.compile("[derive]", parts, out.derived_.inputs);
  }
  return out;
}

bool LibrarySql::run(Program& program, const std::vector<Value>& values, Problems& problems) {
  if (!program.query) return false;
  program.query->reset();
  for (const std::size_t input : program.inputs) program.query->bind(fmt::format("p{}", input), values.at(input));
  const Result<bool> row = program.query->next();
  if (row && *row) return true;
  problems.add(file_, program.line, row ? "the expression has no value" : row.error().message);
  return false;
}

std::optional<Value> LibrarySql::default_of(std::size_t setting, const std::vector<Value>& values, Problems& problems) {
  if (!run(defaults_.at(setting), values, problems)) return std::nullopt;
  return defaults_[setting].query->value(0);
}

LibrarySql::Outcome LibrarySql::adjust(std::size_t index, const std::vector<Value>& values, Problems& problems) {
  Program& program = adjusts_.at(index);
  if (!run(program, values, problems)) return {};
  Outcome outcome;
  outcome.applies = program.query->real(0).value_or(0) != 0;
  if (program.query->columns().size() > 1) outcome.value = program.query->value(1);
  return outcome;
}

std::vector<Value> LibrarySql::derive(const std::vector<Value>& values, Problems& problems) {
  std::vector<Value> out;
  if (!run(derived_, values, problems)) return out;
  for (std::size_t i = 0; i < derived_count_; ++i) out.push_back(derived_.query->value(i));
  return out;
}

}  // namespace dbaudit

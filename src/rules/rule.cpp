#include "rules/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "facts/schema.h"
#include "rules/built_rules.h"

namespace dbaudit {

std::string to_string(Severity severity) {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "error";
}

std::optional<Severity> parse_severity(std::string_view name) {
  for (const Severity severity : {Severity::info, Severity::warning, Severity::error}) {
    if (name == to_string(severity)) return severity;
  }
  return std::nullopt;
}

bool is_engine_column(std::string_view column) {
  return column == "subject" || column == "ok" || column == "severity" || column == "hazard" || column == "reason" ||
         column == "curable" || column == "unknown_remedy" || column == "instead";
}

std::string_view wanted_form(ParameterType type) {
  switch (type) {
    case ParameterType::duration: return "a duration such as \"5m\"";
    case ParameterType::count: return "a whole number, 0 or more";
    case ParameterType::ratio: return "a ratio such as \"80%\" or 0.8";
    case ParameterType::duration_margin: return "a margin such as \"10%, at least 5s, at most 30s\" or \"5s\"";
    case ParameterType::count_margin: return "a margin such as \"10%, at least 5\" or 5";
  }
  return "";
}

std::optional<Value> parse_parameter(ParameterType type, const TomlValue& written) {
  const auto* text = written.get<std::string>();
  const auto* integer = written.get<std::int64_t>();
  const auto* real = written.get<double>();
  switch (type) {
    case ParameterType::duration: {
      const std::optional<Seconds> duration = text == nullptr ? std::nullopt : parse_duration(*text);
      if (duration) return Value{duration->count()};
      break;
    }
    case ParameterType::count:
      if (integer != nullptr && *integer >= 0) return Value{*integer};
      if (text != nullptr) {
        const Value number = value_from_server(*text);
        if (const auto* whole = std::get_if<std::int64_t>(&number); whole != nullptr && *whole >= 0) return number;
      }
      break;
    case ParameterType::ratio: {
      std::optional<double> ratio;
      if (real != nullptr) ratio = *real;
      if (integer != nullptr) ratio = static_cast<double>(*integer);
      if (text != nullptr) {
        const bool percent = !text->empty() && text->back() == '%';
        ratio = number_of(Value{percent ? text->substr(0, text->size() - 1) : *text});
        if (ratio && percent) *ratio /= 100;
      }
      if (ratio && *ratio >= 0 && *ratio <= 1) return Value{*ratio};
      break;
    }
    case ParameterType::duration_margin:
    case ParameterType::count_margin: {
      const std::string spec = text != nullptr ? *text : integer != nullptr ? std::to_string(*integer) : "";
      const std::optional<Margin> margin = parse_margin(spec);
      if (!margin) break;
      if (type == ParameterType::duration_margin ? !margin->in_counts : !margin->in_seconds) return Value{spec};
      break;
    }
  }
  return std::nullopt;
}

namespace {

bool is_rule_id(const std::string& id) {
  std::size_t letters = 0;
  while (letters < id.size() && id[letters] >= 'A' && id[letters] <= 'Z') ++letters;
  return letters >= 2 && id.size() == letters + 3 &&
         std::all_of(id.begin() + static_cast<std::ptrdiff_t>(letters), id.end(), is_digit);
}

std::string written_text(const TomlValue& value) {
  if (const auto* text = value.get<std::string>()) return *text;
  if (const auto* integer = value.get<std::int64_t>()) return std::to_string(*integer);
  if (const auto* real = value.get<double>()) return fmt::format("{}", *real);
  return "";
}

void parse_parameters(TomlReader& rule_reader, Rule& rule, Problems& problems) {
  const TomlValue* table = rule_reader.table("parameters");
  if (table == nullptr) return;
  const std::map<std::string, ParameterType> types{{"duration", ParameterType::duration},
                                                   {"count", ParameterType::count},
                                                   {"ratio", ParameterType::ratio},
                                                   {"duration_margin", ParameterType::duration_margin},
                                                   {"count_margin", ParameterType::count_margin}};
  for (const auto& [name, value] : *table->get<TomlMembers>()) {
    TomlReader reader(value, rule.file, fmt::format("rule {}, parameter '{}'", rule.id, name), problems);
    Parameter parameter;
    parameter.name = name;
    const std::optional<std::string> type =
        reader.one_of("type", {"duration", "count", "ratio", "duration_margin", "count_margin"});
    parameter.doc = reader.required_text("doc");
    const TomlValue* standard = reader.value("default");
    if (!type && !reader.has("type")) reader.problem("type", "'type' is missing");
    if (standard == nullptr) reader.problem("default", "'default' is missing");
    if (type && standard != nullptr) {
      parameter.type = types.at(*type);
      const std::optional<Value> parsed = parse_parameter(parameter.type, *standard);
      if (!parsed) reader.problem("default", fmt::format("'default' must be {}", wanted_form(parameter.type)));
      parameter.value = parsed.value_or(Value{});
      parameter.text = written_text(*standard);
    }
    reader.finish();
    rule.parameters.push_back(std::move(parameter));
  }
}

void check_sources(const std::vector<std::string>& names, const char* key, TomlReader& reader) {
  std::vector<std::string> known = source_names();
  known.emplace_back("pool");
  known.emplace_back(kLockWaits);
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      reader.problem(key, fmt::format("'{}' names an unknown source '{}'{}", key, name, did_you_mean(name, known)));
    }
  }
}

bool is_named_after(const std::filesystem::path& file, std::string_view rule) {
  return file.filename().string().starts_with(fmt::format("{}-", rule));
}

std::string category_of(const std::filesystem::path& file) { return file.parent_path().filename().string(); }

Rule parse_rule(const TomlValue& root, const std::filesystem::path& path, Problems& all_problems) {
  Rule rule;
  Problems problems;
  rule.file = path.string();
  rule.category = category_of(path);
  const TomlMembers* members = root.get<TomlMembers>();
  for (const auto& [key, value] : *members) {
    if (key == "id" && value.get<std::string>() != nullptr) rule.id = *value.get<std::string>();
  }
  TomlReader reader(root, rule.file, rule.id.empty() ? "rule" : "rule " + rule.id, problems);
  rule.id = reader.required_text("id");
  rule.line = reader.line_of("id");
  if (!rule.id.empty() && !is_rule_id(rule.id))
    reader.problem("id", "'id' must be capital letters and three digits, such as POOL001");
  if (!rule.id.empty() && !is_named_after(path, rule.id)) {
    reader.problem("id", fmt::format("the file must be named {}-something.toml", rule.id));
  }
  rule.title = reader.required_text("title");
  if (const auto severity = reader.one_of("severity", {"error", "warning", "info"})) {
    rule.severity = *parse_severity(*severity);
  } else if (!reader.has("severity")) {
    reader.problem("severity", "'severity' is missing");
  }
  const std::size_t before_sources = problems.list().size();
  rule.needs = reader.texts("needs");
  rule.wants = reader.texts("wants");
  check_sources(rule.needs, "needs", reader);
  check_sources(rule.wants, "wants", reader);
  if (rule.needs.empty()) reader.problem("needs", "'needs' must name the sources that the rule reads");
  if (problems.list().size() > before_sources) rule.unreadable.insert("needs");
  for (const std::string& text : reader.texts("applies_to")) {
    const std::optional<VersionRange> range = parse_version_range(text);
    if (range) {
      rule.applies_to.push_back(*range);
    } else {
      reader.problem(
          "applies_to",
          fmt::format("'{}' is not a condition such as \"mysql >= 5.7\" or \"mariadb >= 10.5, < 11\"", text));
    }
  }
  if (!reader.has("applies_to")) reader.problem("applies_to", "'applies_to' is missing");
  for (const std::string& name : reader.texts("optional_variables")) rule.optional_variables.insert(to_lower(name));
  rule.sql = reader.required_text("sql");
  rule.sql_line = reader.line_of("sql");
  if (rule.sql.find('\n') != std::string::npos) ++rule.sql_line;  // its text begins on the line below the quotes
  rule.only_with = reader.texts("only_with");
  rule.nothing_to_judge = reader.text("nothing_to_judge").value_or("");
  rule.message = reader.required_text("message");
  rule.remedy = reader.required_text("remedy");
  rule.rationale = reader.required_text("rationale");
  rule.references = reader.texts("references");
  if (rule.references.empty()) reader.problem("references", "'references' must name at least one source");
  rule.hazard = reader.one_of(
      "hazard", {"dead_handout", "dead_return", "noisy_close", "killed_in_transaction", "refused", "exhausted", "churn",
                 "silent_drop", "clamped", "order", "isolation", "diverges", "stale_read"});
  rule.compares_servers = reader.boolean("compares_servers").value_or(false);
  const std::size_t before_parameters = problems.list().size();
  parse_parameters(reader, rule, problems);
  if (problems.list().size() > before_parameters) rule.unreadable.insert("parameters");
  for (const TomlValue* test : reader.tables("test")) rule.tests.push_back(*test);
  reader.finish();
  rule.broken = !problems.empty();
  all_problems.add(problems);
  return rule;
}

const BuiltRule* find_built(const std::filesystem::path& file, std::string_view text) {
  for (const BuiltRule& rule : built_rules()) {
    if (rule.text == text && is_named_after(file, rule.id)) return &rule;
  }
  return nullptr;
}

// A value from dbaudit.toml or --param goes to every rule that has a parameter of that name.
void check_parameter_types(std::vector<Rule>& rules, Problems& problems) {
  std::map<std::string, std::pair<const Rule*, ParameterType>> seen;
  for (Rule& rule : rules) {
    if (rule.unreadable.contains("parameters")) continue;
    for (const Parameter& parameter : rule.parameters) {
      const auto first = seen.emplace(parameter.name, std::pair{&rule, parameter.type}).first->second;
      if (first.second == parameter.type) continue;
      problems.add(
          rule.file, rule.line,
          fmt::format("rule {}: parameter '{}' is {} here, and {} in rule {} ({})", rule.id, parameter.name,
                      wanted_form(parameter.type), wanted_form(first.second), first.first->id, first.first->file));
      rule.broken = true;
    }
  }
}

}  // namespace

std::vector<RuleFile> read_rule_files(const std::vector<std::string>& paths, RuleTests tests, Problems& problems) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      std::vector<fs::path> found;
      fs::path child = path;
      fs::recursive_directory_iterator entry(path, error);
      for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
        child = entry->path();
        const fs::path name = child.filename();
        if (child.extension() != ".toml" || name == "human_clients.toml" || name == "services.toml") continue;
        const fs::path folder = child.parent_path().filename();
        if (folder != "libraries" && folder != "defaults") found.push_back(child);
      }
      if (error) {
        problems.add(child.string(), 0, fmt::format("this folder cannot be read: {}", error.message()));
      } else if (found.empty()) {
        problems.add(path, 0, "there is no rule in this folder");
      }
      std::sort(found.begin(), found.end());
      files.insert(files.end(), found.begin(), found.end());
    } else if (fs::exists(path, error)) {
      files.emplace_back(path);
    } else {
      problems.add(path, 0, "no such rule file or folder");
    }
  }
  std::vector<RuleFile> read;
  for (const fs::path& file : files) {
    std::optional<std::string> text = read_file(file.string(), problems);
    if (!text) continue;
    if (tests == RuleTests::leave_out) text->resize(without_tests(*text).size());
    const BuiltRule* built = tests == RuleTests::leave_out ? find_built(file, *text) : nullptr;
    read.push_back({file.string(), std::move(*text), built});
  }
  return read;
}

std::vector<Rule> parse_rules(const std::vector<RuleFile>& files, Problems& problems) {
  std::vector<Rule> rules;
  for (const RuleFile& file : files) {
    if (file.built != nullptr) {
      Rule& rule = rules.emplace_back(file.built->make());
      rule.file = file.path;
      rule.category = category_of(file.path);
      rule.as_built = true;
    } else if (const std::optional<TomlValue> root = parse_toml(file.text, file.path, problems)) {
      rules.push_back(parse_rule(*root, file.path, problems));
    }
  }
  std::map<std::string, std::string> seen;
  for (Rule& rule : rules) {
    const auto [first, inserted] = seen.emplace(rule.id, rule.file);
    if (rule.id.empty() || inserted) continue;
    problems.add(rule.file, rule.line, fmt::format("rule {} is already defined in {}", rule.id, first->second));
    rule.broken = true;
  }
  std::stable_sort(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) { return a.id < b.id; });
  check_parameter_types(rules, problems);
  return rules;
}

std::vector<Rule> parse_rules(const std::vector<std::string>& paths, RuleTests tests, Problems& problems) {
  return parse_rules(read_rule_files(paths, tests, problems), problems);
}

}  // namespace dbaudit

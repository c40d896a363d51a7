#include "rules/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "facts/schema.h"
#include "rules/template.h"

namespace dbaudit {
namespace {

// Virtual machine steps. A rule over thousands of sessions takes a few million.
constexpr WorkLimit kWorkLimit{.steps = 200'000'000};
constexpr WorkLimit kWorkLimitOnNothing{.steps = 2'000'000};  // on empty tables everything ends at once, or never

// What `rule` may mention in its templates and SQL.
const Parameter* find_parameter(const Rule& rule, std::string_view name) {
  for (const Parameter& parameter : rule.parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// What is wrong with a template itself goes to `problems` always; its columns are known only when the statement is
// sound.
void check_templates(const Rule& rule, const std::optional<std::vector<std::string>>& columns, Problems& problems) {
  std::vector<std::string> known = columns.value_or(std::vector<std::string>());
  for (const Parameter& parameter : rule.parameters) known.push_back(parameter.name);
  for (const auto& [key, text] : {std::pair{"message", rule.message}, std::pair{"remedy", rule.remedy}}) {
    const TemplateCheck check = check_template(text);
    for (const std::string& problem : check.problems)
      problems.add(rule.file, rule.line, fmt::format("rule {}, {}: {}", rule.id, key, problem));
    for (const std::string& column : check.columns) {
      if (columns && !contains(known, column)) {
        problems.add(rule.file, rule.line,
                     fmt::format("rule {}, {}: '{{{}}}' is no column of its statement{}", rule.id, key, column,
                                 did_you_mean(column, known)));
      }
    }
  }
}

// TABLE, and COLUMN or "".
std::pair<std::string, std::string> table_and_column(const std::string& name) {
  const std::size_t dot = std::min(name.find('.'), name.size());
  return {name.substr(0, dot), name.substr(std::min(dot + 1, name.size()))};
}

void check_only_with(const Rule& rule, const SqlCheck& check, Problems& problems) {
  for (const std::string& name : rule.only_with) {
    const std::pair<std::string, std::string> wanted = table_and_column(name);
    const bool read = std::any_of(check.reads.begin(), check.reads.end(), [&wanted](const auto& of) {
      return of.first == wanted.first && (wanted.second.empty() || of.second == wanted.second);
    });
    const Table* known = find_table(wanted.first);
    if (!read || known == nullptr || !is_of_servers(*known))
      problems.add(
          rule.file, rule.line,
          fmt::format("rule {}: 'only_with' names '{}', which its statement does not read of a server", rule.id, name));
  }
}

void check_statement(const Rule& rule, const Query& query, const SqlCheck& check, Problems& problems) {
  const auto problem = [&](const std::string& text) {
    problems.add(rule.file, rule.sql_line, fmt::format("rule {}: {}", rule.id, text));
  };
  for (const char* column : {"subject", "ok"}) {
    if (!contains(query.columns(), column)) problem(fmt::format("its statement has no column '{}'", column));
  }
  const std::vector<std::string> used = query.parameters();
  std::vector<std::string> known{"server_id"};
  for (const Parameter& parameter : rule.parameters) known.push_back(parameter.name);
  for (const std::string& name : used) {
    if (!contains(known, name) && !rule.unreadable.contains("parameters"))
      problem(fmt::format("':{}' is no parameter of the rule{}", name, did_you_mean(name, known)));
  }
  for (const std::string& name : known) {
    if (!contains(used, name)) {
      problem(name == "server_id" ? "its statement must choose the server with :server_id"
                                  : fmt::format("parameter '{}' is not used", name));
    }
  }
  if (rule.unreadable.contains("needs")) return;
  std::set<std::string> read_sources;
  for (const auto& [table, column] : check.reads) {
    const Table* known_table = find_table(table);
    std::string source = known_table->source;
    if (rule.compares_servers && is_of_servers(*known_table) && !is_compared(*known_table))
      problem(fmt::format("it compares servers, and table '{}' of other servers is not kept for that", table));
    if (table.starts_with("pool")) read_sources.insert("pool");
    if (source.empty()) continue;
    read_sources.insert(source);
  }
  for (const std::string& source : read_sources) {
    if (source != "server" && !contains(rule.needs, source) && !contains(rule.wants, source)) {
      problem(fmt::format("it reads source '{}', which neither 'needs' nor 'wants' names", source));
    }
  }
  if (std::any_of(check.reads.begin(), check.reads.end(), [](const auto& of) { return of.first == kLockWaits; }))
    read_sources.insert(kLockWaits);
  for (const std::string& source : rule.needs) {
    if (!read_sources.contains(source))
      problem(fmt::format("'needs' names '{}', which its statement does not read", source));
  }
}

// Up to the first full stop that ends a sentence; line breaks of the rule file become spaces.
std::string first_sentence(const std::string& text) {
  std::string line = join(split(trimmed(text), '\n'), " ");
  std::size_t end = line.find(". ");
  while (end != std::string::npos && end > 0 && line[end - 1] == '.') end = line.find(". ", end + 1);  // an ellipsis
  return end == std::string::npos ? line : line.substr(0, end + 1);
}

void bind_parameters(Query& query, const Rule& rule, std::int64_t server_id, const ParameterValues& overrides) {
  query.bind("server_id", server_id);
  for (const Parameter& parameter : rule.parameters) {
    const auto found = overrides.find(parameter.name);
    query.bind(parameter.name, found == overrides.end() ? parameter.value : found->second);
  }
}

}  // namespace

ParameterValues parse_overrides(const TomlMembers& written, const std::string& file, const std::vector<Rule>& rules,
                                Problems& problems) {
  ParameterValues values;
  std::vector<std::string> known;
  for (const Rule& rule : rules) {
    for (const Parameter& parameter : rule.parameters) known.push_back(parameter.name);
  }
  for (const auto& [name, value] : written) {
    const Parameter* parameter = nullptr;
    for (const Rule& rule : rules) {
      if (parameter == nullptr) parameter = find_parameter(rule, name);
    }
    if (parameter == nullptr) {
      problems.add(file, value.line, fmt::format("no rule has a parameter '{}'{}", name, did_you_mean(name, known)));
      continue;
    }
    const std::optional<Value> parsed = parse_parameter(parameter->type, value);
    if (parsed) {
      values[name] = *parsed;
    } else {
      problems.add(file, value.line, fmt::format("parameter '{}' must be {}", name, wanted_form(parameter->type)));
    }
  }
  return values;
}

void check_rules(std::vector<Rule>& rules, Store& store, Problems& problems) {
  for (const Rule& rule : rules) {
    if (rule.as_built) continue;
    if (rule.sql.empty()) {  // said already
      check_templates(rule, std::nullopt, problems);
      continue;
    }
    SqlCheck check;
    Result<Query> query = store.untrusted_query(rule.sql, kWorkLimitOnNothing, check);
    if (!query) {
      const int line = check.error_line < 0 ? rule.sql_line : rule.sql_line + check.error_line;
      problems.add(rule.file, line, fmt::format("rule {}: {}", rule.id, query.error().message));
      check_templates(rule, std::nullopt, problems);
      continue;
    }
    check_statement(rule, *query, check, problems);
    check_only_with(rule, check, problems);
    check_templates(rule, query->columns(), problems);
    bind_parameters(*query, rule, 0, {});
    Result<bool> more = true;
    while (more && *more) more = query->next();
    if (!more) problems.add(rule.file, rule.sql_line, fmt::format("rule {}: {}", rule.id, more.error().message));
  }
  std::erase_if(rules, [](const Rule& rule) { return rule.broken; });
}

namespace {

bool applies(const Rule& rule, const ServerVersion& version) {
  return std::any_of(rule.applies_to.begin(), rule.applies_to.end(),
                     [&version](const VersionRange& range) { return range.contains(version); });
}

class Judge {
 public:
  Judge(const Rule& rule, Store& store, const AuditedServer& server, std::chrono::steady_clock::time_point deadline)
      : rule_(rule), store_(store), server_(server), deadline_(deadline) {}

  std::vector<RuleResult> run(const ParameterValues& overrides) {
    if (!server_.reachable) {
      // What was recorded when it was asked fits the cause: refused, full, not answering in time.
      const SourceState* asked = source("server");
      const std::string error = server_.error.value_or("the server could not be reached");
      if (asked != nullptr && asked->status == "unavailable") {
        unknown(asked->reason.value_or(error), asked->remedy.value_or(""), true);
      } else {
        unknown(error, "Make the server reachable for this account", true);
      }
      return std::move(results_);
    }
    if (!applies(rule_, *server_.version)) {
      not_applicable(fmt::format("the rule is not about {}", to_string(*server_.version)));
      return std::move(results_);
    }
    if (contains(rule_.needs, "pool") && !has_pools()) {
      not_applicable("no pool is declared for this server");
      return std::move(results_);
    }
    if (!sources_observed()) return std::move(results_);
    if (has_anything() && !judge_rows(overrides)) return std::move(results_);
    for (const SourceState* source : partial_) {
      unknown(fmt::format("only a part was seen of {}: {}", source->source, source->reason.value_or("no reason given")),
              source->remedy.value_or(""), source->curable);
    }
    // Looked, and there was nothing to judge.
    if (results_.empty() && !rule_.nothing_to_judge.empty()) not_applicable(rule_.nothing_to_judge);
    if (results_.empty()) add(Outcome::pass, server_.name);
    return std::move(results_);
  }

 private:
  RuleResult& add(Outcome outcome, std::string subject) {
    RuleResult result;
    result.rule = rule_.id;
    result.category = rule_.category;
    result.title = rule_.title;
    result.severity = rule_.forced_severity.value_or(rule_.severity);
    result.outcome = outcome;
    result.server = server_.name;
    result.subject = std::move(subject);
    result.hazard = rule_.hazard;
    result.fingerprint = fingerprint(rule_.id, server_.name, result.subject);
    results_.push_back(std::move(result));
    return results_.back();
  }

  void unknown(std::string reason, std::string remedy, bool curable) {
    RuleResult& result = add(Outcome::unknown, server_.name);
    result.reason = std::move(reason);
    result.remedy = std::move(remedy);
    result.curable = curable;
  }

  void not_applicable(std::string reason) { add(Outcome::not_applicable, server_.name).reason = std::move(reason); }

  bool has_pools() {
    Query query = store_.query("SELECT 1 FROM pool WHERE server_name IS NULL OR server_name = :name");
    query.bind("name", server_.name);
    return query.next().value();
  }

  [[nodiscard]] const SourceState* source(const std::string& name) const {
    if (name == kLockWaits) return &server_.lock_waits;
    for (const SourceState& state : server_.sources) {
      if (state.source == name) return &state;
    }
    return nullptr;
  }

  bool sources_observed() {
    for (const std::string& name : rule_.needs) {
      if (name == "pool") continue;
      const SourceState* state = source(name);
      if (state == nullptr) {
        unknown(fmt::format("{} was not read", name), "", true);
        return false;
      }
      if (state->status == "unavailable") {
        unknown(fmt::format("{}: {}", name, state->reason.value_or("not observed")), state->remedy.value_or(""),
                state->curable);
        return false;
      }
      if (state->status == "partial") partial_.push_back(state);
    }
    return true;
  }

  // False when the statement would find nothing.
  bool has_anything() {
    if (rule_.only_with.empty()) return true;
    std::string sql;
    for (const std::string& name : rule_.only_with) {
      const auto [table, column] = table_and_column(name);
      sql += fmt::format("{} EXISTS (SELECT 1 FROM \"{}\" WHERE server_id = :id{})", sql.empty() ? "SELECT" : " OR",
                         table, column.empty() ? "" : fmt::format(" AND \"{}\" IS NOT NULL", column));
    }
    Query query = store_.query(sql);
    query.bind("id", server_.server_id);
    return query.next().value() && query.integer(0) == 1;
  }

  // Whether the server has the variable, whatever its value.
  bool is_listed(const std::string& variable) {
    Query query = store_.query("SELECT 1 FROM variables_info WHERE server_id = :id AND variable_name = :name");
    query.bind("id", server_.server_id);
    query.bind("name", to_lower(variable));
    return query.next().value();
  }

  // A variable or counter that this server lacks makes the rule not applicable.
  bool variables_present(const SqlCheck& check) {
    for (const auto& [table, column] : check.reads) {
      const bool wide = table == "global_variables" || table == "global_status";
      if (!wide || column.empty() || column == "server_id" || rule_.optional_variables.contains(to_lower(column)))
        continue;
      Query query =
          store_.query(fmt::format("SELECT 1 FROM \"{}\" WHERE server_id = :id AND \"{}\" IS NOT NULL", table, column));
      query.bind("id", server_.server_id);
      if (!query.next().value()) {
        if (server_.door == "assumed") {
          unknown(fmt::format("the default of {} on {} is not known", column, to_string(*server_.version)),
                  fmt::format("Say what it is: --set {}=...", column), true);
          return false;
        }
        if (table == "global_variables" && is_listed(column)) {
          unknown(fmt::format("what {} will be is not known", column),
                  fmt::format("Say what it is: --set {}=...", column), true);
          return false;
        }
        not_applicable(fmt::format("{} has no {} {}", to_string(*server_.version),
                                   table == "global_variables" ? "variable" : "status counter", column));
        return false;
      }
    }
    return true;
  }

  // False when nothing more is to be said of the rule.
  bool judge_rows(const ParameterValues& overrides) {
    SqlCheck check;
    Result<Query> query = store_.untrusted_query(rule_.sql, kWorkLimit, check);
    if (!query) return failed(query.error());
    if (!variables_present(check)) return false;
    query->stop_at(deadline_);
    bind_parameters(*query, rule_, server_.server_id, overrides);
    while (true) {
      const Result<bool> more = query->next();
      if (!more) return failed(more.error());
      if (!*more) return true;
      judge_row(*query, overrides);
    }
  }

  bool failed(const Error& error) {
    unknown(fmt::format("the rule's statement failed: {}", error.message), "Report or mend the rule", true);
    return false;
  }

  void judge_row(const Query& query, const ParameterValues& overrides) {
    const std::vector<std::string>& columns = query.columns();
    const auto lookup = [&](std::string_view name) -> Value {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i] == name) return query.value(i);
      }
      const Parameter* parameter = find_parameter(rule_, name);
      const auto found = overrides.find(std::string(name));
      return found != overrides.end() ? found->second : parameter == nullptr ? Value{} : parameter->value;
    };
    const Value ok = lookup("ok");
    const Outcome outcome = is_null(ok)                      ? Outcome::unknown
                            : number_of(ok).value_or(0) != 0 ? Outcome::pass
                                                             : Outcome::fail;
    RuleResult& result = add(outcome, text_of(lookup("subject")));
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!is_engine_column(columns[i])) result.evidence.emplace_back(columns[i], query.value(i));
    }
    if (const auto severity = parse_severity(text_of(lookup("severity"))); severity && !rule_.forced_severity)
      result.severity = *severity;
    if (const Value hazard = contains(columns, "hazard") ? lookup("hazard") : Value{}; !is_null(hazard))
      result.hazard = text_of(hazard);
    if (const Value instead = contains(columns, "instead") ? lookup("instead") : Value{}; !is_null(instead))
      result.instead = text_of(instead);
    if (outcome == Outcome::fail) result.message = fill_template(rule_.message, lookup);
    if (outcome == Outcome::fail) result.why = why_;
    if (outcome == Outcome::fail) result.remedy = fill_template(rule_.remedy, lookup);
    if (outcome == Outcome::unknown) {
      const Value reason = contains(columns, "reason") ? lookup("reason") : Value{};
      result.reason = is_null(reason) ? "a value that decides it is not known" : text_of(reason);
      const Value curable = contains(columns, "curable") ? lookup("curable") : Value{};
      result.curable = is_null(curable) || number_of(curable).value_or(0) != 0;
      const Value remedy = contains(columns, "unknown_remedy") ? lookup("unknown_remedy") : Value{};
      result.remedy = is_null(remedy) ? "" : text_of(remedy);
    }
  }

  const Rule& rule_;
  Store& store_;
  const AuditedServer& server_;
  std::chrono::steady_clock::time_point deadline_;
  std::string why_ = first_sentence(rule_.rationale);
  std::vector<const SourceState*> partial_;
  std::vector<RuleResult> results_;
};

ParameterValues parameters_of(const AuditedServer& server, const JudgeRequest& request) {
  ParameterValues parameters = request.parameters;
  const auto add = [&parameters](const std::map<std::string, ParameterValues>& all, const std::string& whose) {
    const auto own = all.find(whose);
    if (own == all.end()) return;
    for (const auto& [name, value] : own->second) parameters[name] = value;
  };
  if (server.group) add(request.group_parameters, *server.group);
  add(request.server_parameters, server.name);
  return parameters;
}

}  // namespace

void prepare_rules(const std::vector<Rule>& rules, Store& store, const ServerVersion& version) {
  const bool any_pool = store.query("SELECT 1 FROM pool").next().value();
  for (const Rule& rule : rules) {
    if (!applies(rule, version) || !rule.only_with.empty() || (!any_pool && contains(rule.needs, "pool"))) continue;
    store.prepare_untrusted(rule.sql);
  }
}

std::vector<RuleResult> judge(const Rule& rule, Store& store, const AuditedServer& server,
                              const ParameterValues& overrides, std::chrono::steady_clock::time_point deadline) {
  return Judge(rule, store, server, deadline).run(overrides);
}

std::vector<RuleResult> judge_server(const std::vector<Rule>& rules, Which which, Store& store,
                                     const AuditedServer& server, const JudgeRequest& request, Timings* timings) {
  const ParameterValues parameters = parameters_of(server, request);
  std::vector<RuleResult> results;
  for (const Rule& rule : rules) {
    if (which != Which::all && rule.compares_servers != (which == Which::comparing)) continue;
    const auto begin = std::chrono::steady_clock::now();
    std::vector<RuleResult> found = judge(rule, store, server, parameters, request.deadline);
    results.insert(results.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    if (timings != nullptr)
      (*timings)[rule.id] +=
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  }
  return results;
}

AuditResult judge_all(const std::vector<Rule>& rules, Store& store, const JudgeRequest& request) {
  AuditResult audit;
  audit.servers = audited_servers(store);
  Query taken_at = store.query("SELECT min(taken_at) FROM server");
  if (taken_at.next().value()) audit.taken_at = taken_at.text(0);
  for (const AuditedServer& server : audit.servers) {
    std::vector<RuleResult> found = judge_server(rules, Which::all, store, server, request);
    audit.results.insert(audit.results.end(), std::make_move_iterator(found.begin()),
                         std::make_move_iterator(found.end()));
  }
  return audit;
}

}  // namespace dbaudit

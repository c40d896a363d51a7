// The [[test]] tables inside rule files: facts in, outcomes out.
//
//   name         what the case shows
//   server       "mysql 9.7.4"; default: a version that the rule applies to
//   facts        table -> rows; those with server_id = 2, 3, ... are of other servers, which are of the same version
//   and
//                called "server 2", unless a row of table server says otherwise. Sources not mentioned in unavailable
//                or partial are read
//   unavailable  source -> reason
//   partial      source -> reason
//   parameters   as in dbaudit.toml
//   expect       fail, pass, unknown, not_applicable: lists of subjects ("server" is the server's own name); what is
//                left out must be empty, except pass. severity and hazard: of the first failure; message, remedy: a
//                part of it. reason, unknown_remedy: a part of the first unknown's; curable: whether that could be
//                cured
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "facts/schema.h"
#include "rules/engine.h"

namespace dbaudit {
namespace {

constexpr std::string_view kServerName = "server";

Value value_of(const TomlValue& value) {
  if (const auto* text = value.get<std::string>()) return *text;
  if (const auto* integer = value.get<std::int64_t>()) return *integer;
  if (const auto* real = value.get<double>()) return *real;
  if (const auto* flag = value.get<bool>()) return static_cast<std::int64_t>(*flag);
  return {};
}

std::string newest_version(const Rule& rule) {
  if (rule.applies_to.empty()) return "mysql 9.7.4";
  const VersionRange& range = rule.applies_to.front();
  const ServerVersion newest{range.flavor, range.flavor == Flavor::mysql ? Version{9, 7, 4} : Version{11, 8, 6}};
  if (range.contains(newest) || !range.at_least)
    return fmt::format("{} {}", to_string(newest.flavor), to_string(newest.version));
  return fmt::format("{} {}", to_string(range.flavor), to_string(*range.at_least));
}

class Case {
 public:
  Case(const Rule& rule, const TomlValue& table)
      : rule_(rule), reader_(table, rule.file, "rule " + rule.id + ", [[test]]", problems_) {}

  std::vector<std::string> run() {
    name_ = reader_.required_text("name");
    server(reader_.text("server").value_or(newest_version(rule_)));
    facts(reader_.table("facts"));
    sources();
    const TomlValue* parameters = reader_.table("parameters");
    ParameterValues overrides;
    if (parameters != nullptr)
      overrides = parse_overrides(*parameters->get<TomlMembers>(), rule_.file, {rule_}, problems_);
    const TomlValue* expect = reader_.table("expect");
    if (expect == nullptr) reader_.problem("expect", "'expect' is missing");
    reader_.finish();
    if (problems_.empty() && expect != nullptr) {
      const std::vector<AuditedServer> servers = audited_servers(store_);
      compare(*expect, judge(rule_, store_, servers.front(), overrides));
    }
    for (const Problem& problem : problems_.list()) {
      failures_.push_back(fmt::format("{}:{}: {}", problem.file, problem.line, problem.message));
    }
    return std::move(failures_);
  }

 private:
  void server(const std::string& text) {
    const std::vector<std::string> words = split(text, ' ');
    const std::optional<Flavor> flavor = parse_flavor(words.front());
    if (words.size() != 2 || !flavor || !parse_version(words.back()))
      return reader_.problem("server", "'server' must be such as \"mysql 9.7.4\"");
    store_.insert("server", {"server_id", "name", "flavor", "version", "reachable"})
        .row(1, kServerName, words.front(), words.back(), 1);
  }

  void facts(const TomlValue* tables) {
    if (tables == nullptr) return;
    for (const auto& [table, rows] : *tables->get<TomlMembers>()) {
      const Table* known = find_table(table);
      const auto* list = rows.get<TomlArray>();
      if (known == nullptr || list == nullptr) {
        problems_.add(rule_.file, rows.line, fmt::format("facts.{} must be a fact table with an array of rows", table));
        continue;
      }
      for (const TomlValue& row : *list) insert(*known, row);
    }
  }

  void insert(const Table& table, const TomlValue& row) {
    const auto* members = row.get<TomlMembers>();
    if (members == nullptr)
      return problems_.add(rule_.file, row.line, fmt::format("a row of facts.{} must be a table", table.name));
    std::vector<std::string> columns;
    std::vector<Value> cells;
    std::vector<std::string> known;
    for (const Column& column : table.columns) known.emplace_back(column.name);
    std::int64_t server_id = 1;  // the one that is judged
    if (is_of_servers(table)) {
      for (const auto& [column, value] : *members) {
        if (column != "server_id") continue;
        const auto* other = value.get<std::int64_t>();
        if (other == nullptr || *other < 1)
          return problems_.add(rule_.file, value.line,
                               "server_id must be 1, which is judged, or the number of another");
        server_id = *other;
      }
      columns.emplace_back("server_id");
      cells.emplace_back(server_id);
    }
    if (has_one_row_a_server(table) && !given_.emplace(table.name, server_id).second)
      return problems_.add(rule_.file, row.line,
                           fmt::format("facts.{} has one row a server; another's needs server_id = 2", table.name));
    for (const auto& [column, value] : *members) {
      if (column == "server_id" && is_of_servers(table)) continue;
      if (std::find(known.begin(), known.end(), column) == known.end()) {
        problems_.add(rule_.file, value.line,
                      fmt::format("table {} has no column '{}'{}", table.name, column, did_you_mean(column, known)));
        return;
      }
      columns.push_back(column);
      cells.push_back(value_of(value));
    }
    if (table.name == "server") {  // the judged one's row is there already; a test only adds to it
      const std::string where = fmt::format(" WHERE server_id = {}", server_id);
      store_.execute(
          fmt::format("INSERT OR IGNORE INTO server (server_id, name, flavor, version, reachable) "
                      "SELECT {0}, 'server {0}', flavor, version, 1 FROM server WHERE server_id = 1",
                      server_id));
      for (std::size_t i = 1; i < columns.size(); ++i) {
        Query update = store_.query(fmt::format("UPDATE server SET \"{}\" = :value{}", columns[i], where));
        update.bind("value", cells[i]);
        static_cast<void>(update.next().value());
      }
      return;
    }
    store_.insert(table.name, columns).row(cells);
  }

  void sources() {
    const auto not_read = [this](const char* status) {
      std::vector<std::string> names;
      const TomlValue* table = reader_.table(status);
      if (table == nullptr) return names;
      for (const auto& [source, reason] : *table->get<TomlMembers>()) {
        names.push_back(source);
        store_.insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable"})
            .row(1, source, status, text_of(value_of(reason)), "the remedy", 1);
      }
      return names;
    };
    std::vector<std::string> named = not_read("unavailable");
    const std::vector<std::string> partial = not_read("partial");
    named.insert(named.end(), partial.begin(), partial.end());
    for (const std::string& source : source_names()) {
      if (std::find(named.begin(), named.end(), source) != named.end()) continue;
      store_.insert("fact_source", {"server_id", "source", "status", "curable", "rows"}).row(1, source, "read", 1, 0);
    }
  }

  void compare(const TomlValue& expected, const std::vector<RuleResult>& results) {
    TomlReader expect(expected, rule_.file, fmt::format("rule {}, test '{}', expect", rule_.id, name_), problems_);
    for (const Outcome outcome : {Outcome::fail, Outcome::pass, Outcome::unknown, Outcome::not_applicable}) {
      const std::string key = to_string(outcome);
      std::vector<std::string> wanted = expect.texts(key);
      std::vector<std::string> found;
      for (const RuleResult& result : results) {
        if (result.outcome == outcome) found.push_back(result.subject);
      }
      std::sort(wanted.begin(), wanted.end());
      std::sort(found.begin(), found.end());
      if (outcome == Outcome::pass && !expect.has("pass")) continue;
      if (wanted != found)
        failed(fmt::format("expected {} [{}], got [{}]", key, join(wanted, ", "), join(found, ", ")));
    }
    const auto failure =
        std::find_if(results.begin(), results.end(), [](const RuleResult& r) { return r.outcome == Outcome::fail; });
    const RuleResult none;
    const RuleResult& first = failure == results.end() ? none : *failure;
    const auto same = [&](const char* key, const std::string& found, bool part) {
      const std::optional<std::string> wanted = expect.text(key);
      if (wanted && (part ? found.find(*wanted) == std::string::npos : found != *wanted)) {
        failed(fmt::format("expected {} '{}', got '{}'", key, *wanted, found));
      }
    };
    same("severity", failure == results.end() ? "" : to_string(first.severity), false);
    same("hazard", first.hazard.value_or(""), false);
    same("message", first.message, true);
    same("remedy", first.remedy, true);
    const auto unknown =
        std::find_if(results.begin(), results.end(), [](const RuleResult& r) { return r.outcome == Outcome::unknown; });
    const RuleResult& not_known = unknown == results.end() ? none : *unknown;
    same("reason", not_known.reason.value_or(""), true);
    same("unknown_remedy", unknown == results.end() ? "" : not_known.remedy, true);
    if (const auto curable = expect.boolean("curable"); curable && *curable != not_known.curable)
      failed(fmt::format("expected curable {}", *curable));
    expect.finish();
  }

  void failed(const std::string& what) {
    failures_.push_back(
        fmt::format("{}:{}: rule {}, test '{}': {}", rule_.file, reader_.line(), rule_.id, name_, what));
  }

  const Rule& rule_;
  Problems problems_;
  std::set<std::pair<std::string, std::int64_t>> given_;  // rows of tables that have one a server
  TomlReader reader_;
  Store store_;
  std::string name_;
  std::vector<std::string> failures_;
};

}  // namespace

std::vector<std::string> run_rule_tests(const Rule& rule) {
  std::vector<std::string> failures;
  for (const TomlValue& test : rule.tests) {
    std::vector<std::string> found = Case(rule, test).run();
    std::move(found.begin(), found.end(), std::back_inserter(failures));
  }
  return failures;
}

std::vector<std::string> missing_test_cases(const Rule& rule) {
  bool fires = false;
  bool quiet = false;
  bool unknown = false;
  for (const TomlValue& test : rule.tests) {
    Problems ignored;  // reported by run_rule_tests
    TomlReader reader(test, rule.file, "test", ignored);
    const TomlValue* table = reader.table("expect");
    if (table == nullptr) continue;
    TomlReader expect(*table, rule.file, "expect", ignored);
    const bool has_fail = !expect.texts("fail").empty();
    const bool has_unknown = !expect.texts("unknown").empty();
    fires = fires || has_fail;
    unknown = unknown || has_unknown;
    quiet = quiet || (!has_fail && !has_unknown && !expect.texts("pass").empty());
  }
  std::vector<std::string> missing;
  if (!fires) missing.emplace_back("a case that fires");
  if (!quiet) missing.emplace_back("a case that is quiet (expect pass)");
  if (!unknown) missing.emplace_back("a case that is unknown");
  return missing;
}

}  // namespace dbaudit

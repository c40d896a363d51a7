#include "rules/engine.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "facts/schema.h"

using namespace dbaudit;

namespace {

// A folder of rule files that goes away with the test.
class Folder {
 public:
  Folder() { std::filesystem::create_directories(path_ / "variables"); }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / "variables" / name) << text;
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / ("dbaudit-rules-" + std::to_string(getpid()));
};

const std::string kRule = R"(id = "TST001"
title = "A title"
severity = "warning"
needs = ["global_variables"]
applies_to = ["mysql >= 5.7", "mariadb >= 10.5"]
sql = """
SELECT 'wait_timeout' AS subject, v.wait_timeout <= :limit AS ok, v.wait_timeout AS wait_timeout_s
FROM global_variables v WHERE v.server_id = :server_id
"""
message = "{subject} is {wait_timeout_s:duration}, more than {limit:duration}"
remedy = "lower it"
rationale = "because"
references = ["a book"]
[parameters.limit]
type = "duration"
default = "60s"
doc = "the limit"
)";

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

std::vector<Rule> load(const Folder& folder, Problems& problems) {
  std::vector<Rule> rules = parse_rules({folder.path()}, RuleTests::read, problems);
  Store store;
  check_rules(rules, store, problems);
  return rules;
}

// The problems of kRule with one change.
std::string problems_after(const std::string& what, const std::string& with) {
  const Folder folder;
  folder.write("TST001-x.toml", replaced(kRule, what, with));
  Problems problems;
  load(folder, problems);
  return problems.text();
}

void add_server(Store& store, const std::string& flavor, const std::string& version, std::optional<int> wait_timeout) {
  store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "s", flavor, version, 1);
  store.insert("global_variables", {"server_id", "wait_timeout"})
      .row(1, wait_timeout ? Value{std::int64_t{*wait_timeout}} : Value{});
}

void add_source(Store& store, const std::string& source, const std::string& status, bool curable = true) {
  store.insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable", "rows"})
      .row(1, source, status, "because", "GRANT x", curable, 1);
}

std::vector<RuleResult> judged(Store& store, const std::string& text = kRule, const ParameterValues& overrides = {}) {
  const Folder folder;
  folder.write("TST001-x.toml", text);
  Problems problems;
  std::vector<Rule> rules = load(folder, problems);
  INFO(problems.text());
  REQUIRE(rules.size() == 1);
  return judge(rules.front(), store, audited_servers(store).front(), overrides);
}

}  // namespace

TEST_CASE("a good rule loads without a word") { CHECK(problems_after("A title", "Another").empty()); }

TEST_CASE("what is wrong with a rule is said with its line") {
  CHECK(problems_after("v.wait_timeout <=", "v.wait_timout <=")
            .find(":7: rule TST001: no such column: v.wait_timout; did you mean 'wait_timeout'?") != std::string::npos);
  CHECK(problems_after("severity =", "severty =").find("unknown key 'severty'; did you mean 'severity'?") !=
        std::string::npos);
  CHECK(problems_after("\"warning\"", "\"fatal\"").find("must be one of error, warning, info") != std::string::npos);
  CHECK(problems_after("{subject}", "{subjct}")
            .find("'{subjct}' is no column of its statement; did you mean 'subject'?") != std::string::npos);
  CHECK(problems_after("{limit:duration}", "{limit:hours}")
            .find("the format must be duration, seconds, for, over, bytes or count") != std::string::npos);
  CHECK(problems_after(" <= :limit", " <= :limt").find("':limt' is no parameter of the rule; did you mean 'limit'?") !=
        std::string::npos);
  CHECK(problems_after("\"60s\"", "60").find("'default' must be a duration") != std::string::npos);
  CHECK(problems_after("AS ok", "AS okay").find("its statement has no column 'ok'") != std::string::npos);
  CHECK(problems_after(" WHERE v.server_id = :server_id", "").find("must choose the server with :server_id") !=
        std::string::npos);
  CHECK(
      problems_after("[\"global_variables\"]", "[\"status\"]").find("reads source 'global_variables', which neither") !=
      std::string::npos);
  CHECK(problems_after("[\"global_variables\"]", "[\"globl_variables\"]")
            .find("unknown source 'globl_variables'; did you mean 'global_variables'?") != std::string::npos);
  CHECK(problems_after("mysql >= 5.7", "mysql > 5.7").find("is not a condition") != std::string::npos);
  CHECK(problems_after("TST001", "tst1").find("'id' must be capital letters and three digits") != std::string::npos);
  CHECK(problems_after("SELECT 'wait_timeout' AS subject", "DELETE FROM server; SELECT 'wait_timeout' AS subject")
            .find("only SELECT on the fact tables") != std::string::npos);
  CHECK(problems_after("FROM global_variables v",
                       "FROM global_variables v, (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT "
                       "max(i) FROM n) z")
            .find("it loops") != std::string::npos);
}

TEST_CASE("several bad files are all reported, and one id is one rule") {
  const Folder folder;
  folder.write("TST001-a.toml", kRule);
  folder.write("TST001-b.toml", kRule);
  folder.write("TST002-c.toml", "id = ");
  folder.write("TST003-d.toml", replaced(kRule, "TST001", "TST003") + "surprise = 1\n");
  Problems problems;
  load(folder, problems);
  CHECK(problems.list().size() == 3);
}

TEST_CASE("everything that is wrong with one file is said at once") {
  const Folder folder;
  std::string text = replaced(kRule, "severity =", "severty =");
  text = replaced(text, "v.wait_timeout <=", "v.wait_timout <=");
  text = replaced(text, "{limit:duration}", "{limit:hours}");
  folder.write("TST001-x.toml", text);
  folder.write("TST002-a.toml", replaced(kRule, "TST001", "TST002"));
  folder.write("TST002-b.toml", replaced(replaced(kRule, "TST001", "TST002"), "v.wait_timeout <=", "v.wait_timout <="));
  Problems problems;
  const std::vector<Rule> rules = load(folder, problems);
  const std::string said = problems.text();
  INFO(said);
  for (const char* part :
       {"unknown key 'severty'", "'severity' is missing", "TST001-x.toml:7: rule TST001: no such column",
        "the format must be", "TST002 is already defined", "TST002-b.toml:7: rule TST002: no such column"})
    CHECK(said.find(part) != std::string::npos);
  CHECK(problems.list().size() == 6);
  REQUIRE(rules.size() == 1);  // what is broken is not there to be judged by
  CHECK(rules.front().file.ends_with("TST002-a.toml"));
}

TEST_CASE("what is wrong in a file causes no further complaint") {
  CHECK(problems_after("[\"global_variables\"]", "7").find("neither 'needs' nor 'wants'") == std::string::npos);
  CHECK(problems_after("type = \"duration\"", "type = \"time\"").find("is no parameter of the rule") ==
        std::string::npos);
  CHECK(problems_after("sql =", "sqll =").find("the statement is empty") == std::string::npos);
}

TEST_CASE("one parameter name is of one type in all rules, because one value goes to all of them") {
  const Folder folder;
  folder.write("TST001-x.toml", kRule);
  std::string other = replaced(replaced(kRule, "TST001", "TST002"), "type = \"duration\"", "type = \"count\"");
  folder.write("TST002-x.toml", replaced(other, "\"60s\"", "60"));
  Problems problems;
  load(folder, problems);
  CHECK(problems.list().size() == 1);
  CHECK(problems.text().find("rule TST002: parameter 'limit' is a whole number, 0 or more here, and a duration such as "
                             "\"5m\" in rule TST001 (") != std::string::npos);
}

TEST_CASE("a folder that cannot be read is a problem, because its rules would be missed") {
  const Folder folder;
  folder.write("TST001-x.toml", kRule);
  const std::string locked = folder.path() + "/locked";
  std::filesystem::create_directory(locked);
  std::filesystem::permissions(locked, std::filesystem::perms::none);
  const bool root = geteuid() == 0;  // root may read everything
  if (root) REQUIRE(seteuid(65534) == 0);
  Problems problems;
  parse_rules({folder.path()}, RuleTests::read, problems);
  if (root) REQUIRE(seteuid(0) == 0);
  std::filesystem::permissions(locked, std::filesystem::perms::owner_all);
  CHECK(problems.text().find("locked: this folder cannot be read: Permission denied") != std::string::npos);
}

TEST_CASE("rows become passes and failures; parameters can be overridden") {
  Store store;
  add_server(store, "mysql", "9.7.4", 300);
  add_source(store, "global_variables", "read");
  auto results = judged(store);
  REQUIRE(results.size() == 1);
  CHECK(results[0].outcome == Outcome::fail);
  CHECK(results[0].message == "wait_timeout is 5 min, more than 1 min");
  CHECK(results[0].fingerprint.size() == 16);
  results = judged(store, kRule, {{"limit", Value{600.0}}});
  CHECK(results[0].outcome == Outcome::pass);
}

TEST_CASE("not observed is unknown, with the remedy, and never a pass") {
  Store store;
  add_server(store, "mysql", "9.7.4", 300);
  SUBCASE("unavailable") {
    add_source(store, "global_variables", "unavailable", false);
    const auto results = judged(store);
    REQUIRE(results.size() == 1);
    CHECK(results[0].outcome == Outcome::unknown);
    CHECK(results[0].remedy == "GRANT x");
    CHECK_FALSE(results[0].curable);
  }
  SUBCASE("no word about the source") { CHECK(judged(store)[0].outcome == Outcome::unknown); }
  SUBCASE("partial: what was seen is judged, the rest is unknown") {
    add_source(store, "global_variables", "partial");
    const auto results = judged(store);
    REQUIRE(results.size() == 2);
    CHECK(results[0].outcome == Outcome::fail);
    CHECK(results[1].outcome == Outcome::unknown);
  }
}

TEST_CASE("a row says whether and how what it does not know could be known") {
  Store store;
  add_server(store, "mysql", "9.7.4", 300);
  add_source(store, "global_variables", "read");
  const auto with = [](const std::string& columns) {
    return replaced(kRule, "v.wait_timeout <= :limit AS ok", columns);
  };
  auto results = judged(store, with("iif(:limit > 0, NULL, 1) AS ok"));
  CHECK(results[0].curable);
  CHECK(results[0].remedy == "");
  results = judged(store, with("iif(:limit > 0, NULL, 1) AS ok, 0 AS curable"));
  CHECK_FALSE(results[0].curable);
  results = judged(store, with("iif(:limit > 0, NULL, 1) AS ok, NULL AS curable, 'GRANT y' AS unknown_remedy"));
  CHECK(results[0].curable);
  CHECK(results[0].remedy == "GRANT y");
  CHECK(results[0].evidence.size() == 1);
  // They say nothing about what is known.
  results = judged(store, with("0 * :limit AS ok, 0 AS curable, 'GRANT y' AS unknown_remedy"));
  CHECK(results[0].outcome == Outcome::fail);
  CHECK(results[0].remedy == "lower it");
}

TEST_CASE("a status of somebody else's words is not 'read'") {
  Store store;
  add_server(store, "mysql", "9.7.4", 300);
  add_source(store, "global_variables", "fine");
  const auto results = judged(store);
  REQUIRE(results.size() == 1);
  CHECK(results[0].outcome == Outcome::unknown);
  CHECK(results[0].reason == "global_variables: its status 'fine' is unknown to this dbaudit");
}

TEST_CASE("a server that was not reached: the remedy fits the cause") {
  Store store;
  store.insert("server", {"server_id", "name", "reachable", "error"})
      .row(1, "s", 0, "cannot connect: full. Use the spare door");
  store.insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable"})
      .row(1, "server", "unavailable", "cannot connect: full", "Use the spare door", 1);
  const auto results = judged(store);
  CHECK(results[0].reason == "cannot connect: full");
  CHECK(results[0].remedy == "Use the spare door");
}

TEST_CASE("a rule is not applicable to other versions and where the variable does not exist") {
  Store store;
  SUBCASE("version") {
    add_server(store, "mariadb", "10.4.1", 300);
    add_source(store, "global_variables", "read");
    CHECK(judged(store)[0].outcome == Outcome::not_applicable);
  }
  SUBCASE("variable") {
    add_server(store, "mysql", "9.7.4", {});
    add_source(store, "global_variables", "read");
    const auto results = judged(store);
    CHECK(results[0].outcome == Outcome::not_applicable);
    CHECK(results[0].reason == "MySQL 9.7.4 has no variable wait_timeout");
  }
  SUBCASE("unless the server has it and nobody knows what it will be: then it is unknown") {
    add_server(store, "mysql", "9.7.4", {});
    add_source(store, "global_variables", "read");
    store.insert("variables_info", {"server_id", "variable_name"}).row(1, "wait_timeout");
    const auto results = judged(store);
    CHECK(results[0].outcome == Outcome::unknown);
    CHECK(results[0].reason == "what wait_timeout will be is not known");
  }
  SUBCASE("unless the rule says it may be missing: then it is unknown") {
    add_server(store, "mysql", "9.7.4", {});
    add_source(store, "global_variables", "read");
    CHECK(judged(store, replaced(kRule, "remedy =", "optional_variables = [\"wait_timeout\"]\nremedy ="))[0].outcome ==
          Outcome::unknown);
  }
}

TEST_CASE("no rows is a pass for the server: it was looked at") {
  Store store;
  add_server(store, "mysql", "9.7.4", 300);
  add_source(store, "global_variables", "read");
  const auto results = judged(store, replaced(kRule, ":server_id", ":server_id AND 0"));
  REQUIRE(results.size() == 1);
  CHECK(results[0].outcome == Outcome::pass);
}

TEST_CASE("exit codes: findings win over incompleteness") {
  AuditResult audit;
  audit.servers.push_back({});
  audit.servers.back().reachable = true;
  CHECK(exit_code(audit, {Severity::error, false, false}) == 0);
  RuleResult unknown;
  unknown.severity = Severity::error;
  unknown.outcome = Outcome::unknown;
  audit.results.push_back(unknown);
  CHECK(exit_code(audit, {Severity::error, false, false}) == 3);
  CHECK(exit_code(audit, {Severity::error, true, false}) == 0);
  audit.results.back().curable = false;
  CHECK(exit_code(audit, {Severity::error, false, false}) == 0);
  audit.results.back() = unknown;
  RuleResult failure;
  failure.severity = Severity::warning;
  failure.outcome = Outcome::fail;
  audit.results.push_back(failure);
  CHECK(exit_code(audit, {Severity::error, false, false}) == 3);
  CHECK(exit_code(audit, {Severity::warning, false, false}) == 1);
  audit.results.clear();
  audit.servers.back().reachable = false;
  CHECK(exit_code(audit, {Severity::error, true, false}) == 3);
}

TEST_CASE("a server's own parameters go over its group's, and those over all servers'") {
  const Folder folder;
  folder.write("TST001-x.toml", kRule);
  Problems problems;
  const std::vector<Rule> rules = load(folder, problems);
  REQUIRE(problems.empty());
  Store store;
  for (int id = 1; id <= 4; ++id) {
    const char* name = id == 1 ? "own" : "any";
    const char* group = id <= 2 ? "shop" : id == 3 ? "stock" : nullptr;
    store.insert("server", {"server_id", "name", "flavor", "version", "reachable", "group_name"})
        .row(id, name, "mysql", "9.7.4", 1, group == nullptr ? Value{} : Value{std::string(group)});
    store.insert("global_variables", {"server_id", "wait_timeout"}).row(id, 100);
    store.insert("fact_source", {"server_id", "source", "status"}).row(id, "global_variables", "read");
  }
  JudgeRequest request;
  request.parameters["limit"] = 1.0;
  request.group_parameters["shop"]["limit"] = 2.0;
  request.server_parameters["own"]["limit"] = 3.0;
  const AuditResult audit = judge_all(rules, store, request);
  REQUIRE(audit.results.size() == 4);
  CHECK(audit.results[0].message.ends_with("more than 3 s"));
  CHECK(audit.results[1].message.ends_with("more than 2 s"));
  CHECK(audit.results[2].message.ends_with("more than 1 s"));
  CHECK(audit.results[3].message.ends_with("more than 1 s"));
}

TEST_CASE("a rule's test may have other servers; two rows where a server has one are a problem") {
  const Folder folder;
  const auto tested = [&folder](const std::string& facts) {
    folder.write("TST001-x.toml", kRule + "[[test]]\nname = \"t\"\nfacts = { " + facts +
                                      " }\nexpect = { fail = [\"wait_timeout\"], message = \"is 1 min 1 s\" }\n");
    Problems problems;
    const std::vector<Rule> rules = load(folder, problems);
    REQUIRE(problems.empty());
    return join(run_rule_tests(rules.front()), "\n");
  };
  CHECK(tested("global_variables = [{ wait_timeout = 61 }, { server_id = 2, wait_timeout = 5 }]") == "");
  CHECK(tested("server = [{ server_id = 2, name = \"b\" }], global_variables = [{ wait_timeout = 61 }]") == "");
  CHECK(tested("global_variables = [{ wait_timeout = 61 }, { wait_timeout = 62 }]")
            .find("facts.global_variables has one row a server") != std::string::npos);
  CHECK(tested("global_variables = [{ server_id = \"x\", wait_timeout = 61 }]").find("server_id must be 1") !=
        std::string::npos);
}

TEST_CASE("unknown parameters and wrong values in dbaudit.toml are problems") {
  const Folder folder;
  folder.write("TST001-x.toml", kRule);
  Problems problems;
  const std::vector<Rule> rules = load(folder, problems);
  REQUIRE(problems.empty());
  parse_overrides({{"limt", TomlValue{std::string("5s"), 3}}, {"limit", TomlValue{std::int64_t{5}, 4}}}, "dbaudit.toml",
                  rules, problems);
  CHECK(problems.text() ==
        "dbaudit.toml:3: no rule has a parameter 'limt'; did you mean 'limit'?\n"
        "dbaudit.toml:4: parameter 'limit' must be a duration such as \"5m\"\n");
}

TEST_CASE("counts are never negative, however they are written") {
  const auto fits = [](const TomlValue& value) { return parse_parameter(ParameterType::count, value).has_value(); };
  CHECK(fits({std::int64_t{0}, 1}));
  CHECK(fits({std::string("3"), 1}));
  CHECK_FALSE(fits({std::int64_t{-1}, 1}));
  CHECK_FALSE(fits({std::string("-1"), 1}));
}

TEST_CASE("margins know whether they are durations or counts") {
  const auto fits = [](ParameterType type, const TomlValue& value) { return parse_parameter(type, value).has_value(); };
  CHECK(fits(ParameterType::duration_margin, {std::string("10%, at least 5s"), 1}));
  CHECK(fits(ParameterType::duration_margin, {std::string("0s"), 1}));
  CHECK_FALSE(fits(ParameterType::duration_margin, {std::int64_t{5}, 1}));
  CHECK(fits(ParameterType::count_margin, {std::int64_t{5}, 1}));
  CHECK(fits(ParameterType::count_margin, {std::string("10%, at least 5"), 1}));
  CHECK_FALSE(fits(ParameterType::count_margin, {std::string("10s"), 1}));
}

TEST_CASE("the shipped rules are well-formed, tested in all three ways, and have published references") {
  Problems problems;
  std::vector<Rule> rules = parse_rules({DBAUDIT_SOURCE_RULES}, RuleTests::read, problems);
  Store store;
  check_rules(rules, store, problems);
  CHECK(problems.text() == "");
  CHECK(rules.size() >= 15);
  for (const Rule& rule : rules) {
    CAPTURE(rule.id);
    CHECK(missing_test_cases(rule).empty());
    CHECK(run_rule_tests(rule).empty());
  }
}

// Rules checked against the schema and judged over the facts. Pure: facts in, results out.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/problems.h"
#include "facts/store.h"
#include "rules/result.h"
#include "rules/rule.h"

namespace dbaudit {

// Values for parameters in place of a rule's defaults; checked by parse_overrides.
using ParameterValues = std::map<std::string, Value>;

// Checks `written` ([parameters], a server's parameters, --param) against the parameters that the rules have.
ParameterValues parse_overrides(const TomlMembers& written, const std::string& file, const std::vector<Rule>& rules,
                                Problems& problems);

// Prepares every rule's statement against the schema of `store` (which has no facts yet) and runs it once, so that a
// misspelt column, a statement that writes and one that never ends are found before anything is sent to a server. Those
// that are as this program was built with have been checked then. Rules that parse_rules found broken are checked as
// far as they go, and dropped.
void check_rules(std::vector<Rule>& rules, Store& store, Problems& problems);

// Prepares the statements of the rules that are about a server of this version and do not depend on what is found
// (only_with). That is half the work of judging, and can be done while the server is still being read.
void prepare_rules(const std::vector<Rule>& rules, Store& store, const ServerVersion& version);

// Judges one rule on one server.
std::vector<RuleResult> judge(
    const Rule& rule, Store& store, const AuditedServer& server, const ParameterValues& overrides,
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());

enum class Which { all, of_one_server, comparing };  // rules; comparing: Rule::compares_servers
using Timings = std::map<std::string, double>;       // milliseconds by rule

struct JudgeRequest {
  ParameterValues parameters;                                // for all servers
  std::map<std::string, ParameterValues> group_parameters;   // by group, over `parameters`
  std::map<std::string, ParameterValues> server_parameters;  // by server name, over those of its group
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();  // rules stop here
};
// All rules, or a part of them, on one server, in the order of the rules. `timings`, when given, is added to.
std::vector<RuleResult> judge_server(const std::vector<Rule>& rules, Which which, Store& store,
                                     const AuditedServer& server, const JudgeRequest& request,
                                     Timings* timings = nullptr);
// All rules on every server of `store`.
AuditResult judge_all(const std::vector<Rule>& rules, Store& store, const JudgeRequest& request);

// Runs the tests inside a rule's file. Returns what went wrong, one line each; empty when all passed.
std::vector<std::string> run_rule_tests(const Rule& rule);
// Which of the three cases (fires, quiet, unknown) a rule's tests lack.
std::vector<std::string> missing_test_cases(const Rule& rule);

}  // namespace dbaudit

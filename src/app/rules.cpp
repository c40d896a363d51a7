// dbaudit rules list | show | check | test
#include <fmt/format.h>

#include <algorithm>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/inputs.h"
#include "app/output.h"
#include "base/text.h"
#include "pools/library_sql.h"
#include "pools/library_tests.h"

namespace dbaudit {
namespace {

struct RulesArguments {
  std::vector<std::string> more;   // --rules
  std::vector<std::string> paths;  // of check and test
  std::string id;
};

std::vector<std::string> folders_of(const RulesArguments& arguments, Problems& problems) {
  if (!arguments.paths.empty()) return arguments.paths;
  std::vector<std::string> folders = arguments.more;
  const std::string shipped = shipped_rules_folder(problems);
  if (!shipped.empty()) folders.insert(folders.begin(), shipped);
  return folders;
}

std::vector<Rule> checked_rules(const std::vector<std::string>& folders, Problems& problems) {
  std::vector<Rule> rules = parse_rules(folders, RuleTests::read, problems);
  Store store;
  check_rules(rules, store, problems);
  return rules;
}

int list(const RulesArguments& arguments) {
  Problems problems;
  const std::vector<Rule> rules = checked_rules(folders_of(arguments, problems), problems);
  if (!problems.empty()) return report_problems(problems);
  std::string out;
  for (const Rule& rule : rules)
    out += fmt::format("{:<8} {:<8} {:<13} {}\n", rule.id, to_string(rule.severity), rule.category, rule.title);
  write_stdout(out);
  return kExitFine;
}

std::string indented(const std::string& text, std::size_t indent) {
  std::string out;
  for (const std::string& paragraph : split(trimmed(text), '\n')) {
    for (const std::string& line : wrap(trimmed(paragraph), 80 - indent, LongWords::keep))
      out += std::string(indent, ' ') + line + "\n";
  }
  return out;
}

std::string documentation(const Rule& rule) {
  std::string out = fmt::format("{}  {}\n\n  category: {}\n  severity: {}\n  needs:    {}\n", rule.id, rule.title,
                                rule.category, to_string(rule.severity), join(rule.needs, ", "));
  if (!rule.wants.empty()) out += fmt::format("  wants:    {}\n", join(rule.wants, ", "));
  if (rule.hazard) out += fmt::format("  hazard:   {}\n", *rule.hazard);
  out += "\nWhy\n" + indented(rule.rationale, 2) + "\nSays\n" + indented(rule.message, 2) + "\nDo\n" +
         indented(rule.remedy, 2);
  if (!rule.parameters.empty()) out += "\nParameters\n";
  for (const Parameter& parameter : rule.parameters) {
    out += fmt::format("  {} = {}\n", parameter.name, parameter.text) + indented(parameter.doc, 6);
  }
  out += "\nReferences\n";
  for (const std::string& reference : rule.references) out += indented(reference, 2);
  out += "\nStatement\n";
  for (const std::string& line : split(trimmed(rule.sql), '\n')) out += "  " + line + "\n";
  return out;
}

int show(const RulesArguments& arguments) {
  Problems problems;
  const std::vector<Rule> rules = checked_rules(folders_of(arguments, problems), problems);
  std::vector<std::string> ids;
  for (const Rule& rule : rules) {
    ids.push_back(rule.id);
    if (equals_ignoring_case(rule.id, arguments.id)) {
      write_stdout(documentation(rule));
      return kExitFine;
    }
  }
  problems.add(fmt::format("no rule '{}'{}", arguments.id, did_you_mean(arguments.id, ids)));
  return report_problems(problems);
}

// Rules and the descriptions of pool libraries beside them.
int check(const RulesArguments& arguments) {
  Problems problems;
  const std::vector<std::string> folders = folders_of(arguments, problems);
  const std::vector<Rule> rules = checked_rules(folders, problems);
  std::vector<Library> libraries = load_libraries(library_folders(folders), problems);
  Store store;
  for (const Library& library : libraries) static_cast<void>(LibrarySql::compile(store, library, problems));
  if (!problems.empty()) return report_problems(problems);
  write_stdout(fmt::format("{} rules and {} pool libraries are well-formed\n", rules.size(), libraries.size()));
  return kExitFine;
}

int test(const RulesArguments& arguments) {
  Problems problems;
  const std::vector<std::string> folders = folders_of(arguments, problems);
  const std::vector<Rule> rules = checked_rules(folders, problems);
  const std::vector<std::string> library_places = library_folders(folders);
  const std::vector<Library> libraries = load_libraries(library_places, problems);
  if (!problems.empty()) return report_problems(problems);
  std::size_t tests = 0;
  std::size_t failed = 0;
  for (const Rule& rule : rules) {
    tests += rule.tests.size();
    for (const std::string& failure : run_rule_tests(rule)) {
      write_stdout(failure + "\n");
      ++failed;
    }
    for (const std::string& missing : missing_test_cases(rule)) {
      write_stdout(fmt::format("{}:{}: rule {} lacks {}\n", rule.file, rule.line, rule.id, missing));
      ++failed;
    }
  }
  for (const Library& library : libraries) {
    const LibraryTests found = run_library_tests(library, library_places, problems);
    tests += found.count;
    failed += found.failures.size();
    for (const std::string& failure : found.failures) write_stdout(failure + "\n");
  }
  if (!problems.empty()) return report_problems(problems);
  write_stdout(
      fmt::format("{} rules and {} libraries, {} tests, {} failures\n", rules.size(), libraries.size(), tests, failed));
  return failed == 0 ? kExitFine : kExitFindings;
}

}  // namespace

void add_rules(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("rules", "List, show, check or test rules");
  command->require_subcommand(1);
  auto arguments = std::make_shared<RulesArguments>();
  const auto add = [&](const char* name, const char* text, int (*run)(const RulesArguments&)) {
    CLI::App* child = command->add_subcommand(name, text);
    child->callback([arguments, run, &action] { action = [arguments, run] { return run(*arguments); }; });
    return child;
  };
  CLI::App* lister = add("list", "One line a rule", list);
  CLI::App* shower = add("show", "A rule's documentation", show);
  CLI::App* checker = add("check", "Whether rule files are well-formed", check);
  CLI::App* tester = add("test", "Run the tests inside rule files", test);
  for (CLI::App* child : {lister, shower}) child->add_option("--rules", arguments->more, "More rule files or folders");
  shower->add_option("id", arguments->id, "Rule id")->required();
  for (CLI::App* child : {checker, tester})
    child->add_option("paths", arguments->paths, "Rule files or folders; default: the shipped ones");
}

}  // namespace dbaudit

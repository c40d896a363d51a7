// dbaudit check: an audit of a change that has not happened yet.
#include "app/command.h"
#include "app/exit_codes.h"
#include "app/judged_facts.h"
#include "app/output.h"
#include "app/proposal.h"
#include "app/what_if.h"
#include "rules/compare.h"

namespace dbaudit {
namespace {

struct Arguments {
  JudgingArguments judging;
  ReportArguments report;
  ProposalArguments proposal;
  bool only_new = false;
};

int run(const Arguments& arguments) {
  Problems problems;
  JudgedFacts facts = load_judged_facts(arguments.judging, problems);
  const Proposal proposal = parse_proposal(arguments.proposal, pool_names(facts.store), problems);
  Store pools = changed_pools(arguments.judging, facts, proposal, problems);
  if (!problems.empty()) return report_problems(problems);

  if (const Status read = read_judged_facts(arguments.judging, facts, problems); !read)
    return report_error(read.error());
  if (!problems.empty()) return report_problems(problems);

  const AuditResult now = judge_all(facts.inputs.rules, facts.store, facts.inputs.judge);
  std::vector<std::string> notes;
  Store after = changed_facts(std::move(pools), facts, proposal, notes, problems);
  if (!problems.empty()) return report_problems(problems);
  for (const std::string& note : notes) write_stderr(note);
  AuditResult audit = judge_all(facts.inputs.rules, after, facts.inputs.judge);
  mark_changes(audit, now);

  write_stdout(render(audit, arguments.report));
  return exit_code(audit,
                   {*parse_severity(arguments.report.fail_on), arguments.report.allow_unknown, arguments.only_new});
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("check", "Judge a change before it is made: what is new, fixed, and stays");
  auto arguments = std::make_shared<Arguments>();
  arguments->judging.add_to(*command);
  arguments->judging.add_assume_to(*command);
  arguments->proposal.add_to(*command);
  arguments->report.add_to(*command);
  command->add_flag("--only-new", arguments->only_new, "What was there before does not count for the exit code");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

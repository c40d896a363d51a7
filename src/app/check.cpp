// dbaudit check: an audit of a change that has not happened yet.
#include "app/command.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "app/what_if.h"
#include "rules/compare.h"

namespace dbaudit {
namespace {

struct CheckArguments {
  JudgingArguments judging;
  ReportArguments report;
  ProposalArguments proposal;
  bool only_new = false;
};

int run_check(const CheckArguments& arguments) {
  Problems problems;
  WhatIf change = load_what_if(arguments.judging, arguments.proposal, problems);
  const auto baseline = load_baseline(arguments.report, problems);
  if (const std::optional<int> failed = read_what_if(arguments.judging, change, problems)) return *failed;

  const Inputs& inputs = change.facts.inputs;
  const AuditResult now = judge_all(inputs.rules, change.facts.store, inputs.judge);
  AuditResult audit = judge_all(inputs.rules, change.wanted, inputs.judge);
  mark_changes(audit, now);
  mark_accepted(audit, inputs, arguments.report, baseline, system_clock());
  find_unused_waivers(audit, inputs);

  write_stdout(render(audit, arguments.report));
  return exit_code(audit,
                   {*parse_severity(arguments.report.fail_on), arguments.report.allow_unknown, arguments.only_new});
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("check", "Judge a change before it is made: what is new, fixed, and stays");
  auto arguments = std::make_shared<CheckArguments>();
  arguments->judging.add_to(*command);
  arguments->judging.add_assume_to(*command);
  arguments->proposal.add_to(*command);
  arguments->report.add_to(*command);
  arguments->report.add_baseline_to(*command);
  command->add_flag("--only-new", arguments->only_new, "What was there before does not count for the exit code");
  command->callback([arguments, &action] { action = [arguments] { return run_check(*arguments); }; });
}

}  // namespace dbaudit

// dbaudit plan: a change in its order. Runs none of it.
#include "report/plan.h"
#include "app/command.h"
#include "app/exit_codes.h"
#include "app/judged_facts.h"
#include "app/output.h"
#include "app/proposal.h"
#include "app/what_if.h"
#include "base/text.h"
#include "rules/compare.h"
#include "rules/plan.h"

namespace dbaudit {
namespace {

struct Arguments {
  JudgingArguments judging;
  ReportArguments report;
  ProposalArguments proposal;
};

// A setting as the declaration has it now; for the keys of [[pool]] itself that is not kept.
std::string declared_now(Store& store, const PoolChange& change) {
  Query row =
      store.query("SELECT declared, effective, origin FROM pool_setting WHERE pool = :pool AND setting = :setting");
  row.bind("pool", change.pool);
  row.bind("setting", change.key.starts_with("settings.") ? change.key.substr(9) : change.key);
  if (row.next().value()) {
    if (!is_null(row.value(0))) return row.text(0);
    return is_null(row.value(1)) ? "not set" : "not set (" + row.text(2) + ")";
  }
  for (const char* column : {"instances", "terminating", "processes_per_instance", "threads_per_process"}) {
    if (change.key != column) continue;
    Query pool = store.query(std::string("SELECT \"") + column + "\" FROM pool WHERE name = :name");
    pool.bind("name", change.pool);
    if (pool.next().value() && !is_null(pool.value(0))) return pool.text(0);
  }
  return "as declared";
}

std::vector<SettingStep> changed_settings(Store& before, const Proposal& proposal) {
  std::vector<SettingStep> settings;
  for (const PoolChange& change : proposal.pools)
    settings.push_back({change.pool, change.key, declared_now(before, change), change.value});
  std::stable_sort(settings.begin(), settings.end(),
                   [](const SettingStep& a, const SettingStep& b) { return a.pool < b.pool; });
  return settings;
}

// The part of the proposal that is in force after the first `steps` steps.
Proposal in_force(const Proposal& proposal, const std::vector<PlanStep>& steps, std::size_t count) {
  Proposal part;
  for (std::size_t i = 0; i < count; ++i) {
    if (steps[i].kind == StepKind::pools) part.pools = proposal.pools;
    for (const VariableStep& step : steps[i].variables)
      part.variables.push_back({step.server, step.variable, text_of(step.to), "--set", false});
  }
  return part;
}

// A plan from what was not read would say that nothing changes.
bool all_variables_read(const AuditResult& audit) {
  bool all = true;
  for (const AuditedServer& server : audit.servers) {
    std::optional<std::string> why;
    if (!server.reachable) why = server.error.value_or("not reached");
    for (const SourceState& source : server.sources) {
      if (server.reachable && source.source == "global_variables" && source.status == "unavailable")
        why = source.reason.value_or("its variables were not read");
    }
    if (!why) continue;
    write_stderr("no plan without the variables of " + server.name + ": " + *why);
    all = false;
  }
  return all;
}

int run(const Arguments& arguments) {
  Problems problems;
  JudgedFacts facts = load_judged_facts(arguments.judging, problems);
  const Proposal proposal = parse_proposal(arguments.proposal, pool_names(facts.store), problems);
  if (proposal.empty() && problems.empty())
    problems.add("nothing to plan: say what is wanted with --set or --option-file");
  Store pools = changed_pools(arguments.judging, facts, proposal, problems);
  if (!problems.empty()) return report_problems(problems);
  if (const Status read = read_judged_facts(arguments.judging, facts, problems); !read)
    return report_error(read.error());
  if (!problems.empty()) return report_problems(problems);

  std::vector<std::string> notes;
  Store wanted = changed_facts(std::move(pools), facts, proposal, notes, problems);
  if (!problems.empty()) return report_problems(problems);
  for (const std::string& note : notes) write_stderr(note);
  const auto judged = [&facts](Store& store) { return judge_all(facts.inputs.rules, store, facts.inputs.judge); };
  const AuditResult now = judged(facts.store);
  if (!all_variables_read(now)) return kExitIncomplete;
  AuditResult in_the_end = judged(wanted);

  Plan plan;
  plan.steps = ordered_steps(changed_variables(facts.store, wanted), changed_settings(facts.store, proposal));
  const auto state_after = [&](const Proposal& part) {
    Store store = changed_facts(changed_pools(arguments.judging, facts, part, problems), facts, part, notes, problems);
    return judged(store);
  };
  for (std::size_t i = 0; i + 1 < plan.steps.size(); ++i)
    plan.steps[i].meanwhile = only_here(state_after(in_force(proposal, plan.steps, i + 1)), now, in_the_end);
  const std::size_t count = plan.steps.size();
  if (count > 1 && plan.steps[count - 1].kind == StepKind::server && plan.steps[count - 2].kind == StepKind::pools) {
    Proposal server_first = in_force(proposal, plan.steps, count);
    server_first.pools.clear();
    plan.wrong_order = only_here(state_after(server_first), now, in_the_end);
  }
  if (!problems.empty()) return report_problems(problems);
  plan.old_sessions = old_sessions(wanted, plan.steps);
  plan.in_the_end = only_here(in_the_end, now, now);
  mark_changes(in_the_end, now);

  write_stdout(arguments.report.format == "json" ? render_plan_json(plan)
                                                 : render_plan_text(plan, {false, false, terminal_width()}));
  return exit_code(in_the_end, {*parse_severity(arguments.report.fail_on), arguments.report.allow_unknown, true});
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("plan", "The order of a change: what first, what holds in between, until when");
  auto arguments = std::make_shared<Arguments>();
  arguments->judging.add_to(*command);
  arguments->judging.add_assume_to(*command);
  arguments->proposal.add_to(*command);
  arguments->report.add_to(*command);
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

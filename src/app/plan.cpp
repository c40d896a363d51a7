// dbaudit plan: a change in its order. Runs none of it.
#include "report/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "app/what_if.h"
#include "base/text.h"
#include "pools/declare.h"
#include "rules/compare.h"
#include "rules/plan.h"

namespace dbaudit {
namespace {

struct PlanArguments {
  JudgingArguments judging;
  ReportArguments report;
  ProposalArguments proposal;
};

// The library's own name of what is changed; nothing for a key of [[pool]] itself, and where the library does not look
// at it.
std::optional<std::string> setting_of(WhatIf& what_if, const PoolChange& change) {
  if (is_pool_key(change.key)) return std::nullopt;
  Query pool = what_if.wanted.query("SELECT library FROM pool WHERE name = :name");
  pool.bind("name", change.pool);
  const std::string library = pool.next().value() ? pool.text(0) : "";
  for (const Library& known : what_if.libraries) {
    if (known.id != library) continue;
    const Setting* setting = find_setting(known, setting_key(change.key));
    if (setting != nullptr) return setting->name;
  }
  return std::nullopt;
}

// A setting as a declaration has it, without what could be a secret.
std::string declared_in(Store& store, const std::string& pool, const std::string& setting) {
  Query row =
      store.query("SELECT declared, effective, origin FROM pool_setting WHERE pool = :pool AND setting = :setting");
  row.bind("pool", pool);
  row.bind("setting", setting);
  if (!row.next().value()) return "as declared";
  if (!is_null(row.value(0))) return row.text(0);
  return is_null(row.value(1)) ? "not set" : "not set (" + row.text(2) + ")";
}

// For the keys of [[pool]] itself that is not always kept.
std::string key_in(Store& store, const PoolChange& change) {
  for (const char* column : {"instances", "terminating", "processes_per_instance", "threads_per_process"}) {
    if (change.key != column) continue;
    Query pool = store.query(std::string("SELECT \"") + column + "\" FROM pool WHERE name = :name");
    pool.bind("name", change.pool);
    if (pool.next().value() && !is_null(pool.value(0))) return pool.text(0);
  }
  return "as declared";
}

// Also those that nobody sets: a service's max_connections follows the size of its machine.
std::vector<VariableStep> changed_variables(WhatIf& what_if, const std::vector<ResizeStep>& resizes) {
  std::vector<VariableStep> variables = changed_variables(what_if.facts.store, what_if.wanted);
  for (VariableStep& step : variables) {
    const auto resized = [&step](const ResizeStep& resize) { return resize.server == step.server; };
    const auto set = [&step](const VariableChange& change) {
      return change.variable == step.variable && change.server.value_or(step.server) == step.server;
    };
    const auto named = [&step](const ServerConfig& server) { return server.name == step.server; };
    const std::vector<VariableChange>& proposed = what_if.proposal.variables;
    const std::vector<ServerConfig>& servers = what_if.facts.inputs.config.servers;
    step.declared = std::any_of(servers.begin(), servers.end(), named);
    step.by_resize = step.variable == "max_connections" && std::any_of(resizes.begin(), resizes.end(), resized) &&
                     std::none_of(proposed.begin(), proposed.end(), set);
  }
  return variables;
}

std::vector<SettingStep> changed_settings(WhatIf& what_if) {
  const std::map<std::string, double> more = more_connections(what_if.facts.store, what_if.wanted);
  std::vector<SettingStep> settings;
  for (const PoolChange& change : what_if.proposal.pools) {
    SettingStep step{change.pool, change.key, "", "", more.contains(change.pool) ? more.at(change.pool) : 0};
    if (const std::optional<std::string> setting = setting_of(what_if, change)) {
      step.from = declared_in(what_if.facts.store, change.pool, *setting);
      step.to = declared_in(what_if.wanted, change.pool, *setting);
    } else {
      step.from = key_in(what_if.facts.store, change);
      step.to = is_pool_key(change.key) && change.key != "url" ? change.value : "(not shown: it may hold a password)";
    }
    settings.push_back(std::move(step));
  }
  std::stable_sort(settings.begin(), settings.end(),
                   [](const SettingStep& a, const SettingStep& b) { return a.pool < b.pool; });
  return settings;
}

// The part of the proposal that is in force after the first `count` steps.
Proposal in_force(const Proposal& proposal, const std::vector<PlanStep>& steps, std::size_t count) {
  std::set<std::string> pools;
  Proposal part;
  for (std::size_t i = 0; i < count; ++i) {
    for (const SettingStep& step : steps[i].settings) pools.insert(step.pool);
    for (const ResizeStep& step : steps[i].resizes) part.memory.push_back({step.server, step.to});
    for (const VariableStep& step : steps[i].variables)
      part.variables.push_back({step.server, step.variable, "", "", "", true, step.to});
  }
  for (const PoolChange& change : proposal.pools) {
    if (pools.contains(change.pool)) part.pools.push_back(change);
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

int run_plan(const PlanArguments& arguments) {
  Problems problems;
  WhatIf change = load_what_if(arguments.judging, arguments.proposal, problems);
  if (change.proposal.empty() && problems.empty())
    problems.add("nothing to plan: say what is wanted with --set, --option-file or --memory");
  if (const std::optional<int> failed = read_what_if(arguments.judging, change, problems)) return *failed;

  const Inputs& inputs = change.facts.inputs;
  const auto judged = [&inputs](Store& store) { return judge_all(inputs.rules, store, inputs.judge); };
  const AuditResult now = judged(change.facts.store);
  if (!all_variables_read(now)) return kExitIncomplete;
  AuditResult in_the_end = judged(change.wanted);

  Plan plan;
  const std::vector<ResizeStep> resizes = changed_sizes(change.facts.store, change.wanted);
  plan.steps = ordered_steps(changed_variables(change, resizes), changed_settings(change), resizes);
  const auto state_after = [&](const Proposal& part) {
    Store store = with_part(arguments.judging, change, part, problems);
    return judged(store);
  };
  for (std::size_t i = 0; i + 1 < plan.steps.size(); ++i)
    plan.steps[i].meanwhile = only_here(state_after(in_force(change.proposal, plan.steps, i + 1)), now, in_the_end);
  const std::size_t count = plan.steps.size();
  if (count > 1 && plan.steps[count - 1].kind == StepKind::server && plan.steps[count - 2].kind == StepKind::pools) {
    Proposal server_first = in_force(change.proposal, plan.steps, count);
    server_first.pools.clear();
    plan.wrong_order = only_here(state_after(server_first), now, in_the_end);
  }
  if (!problems.empty()) return report_problems(problems);
  plan.old_sessions = old_sessions(change.facts.store, change.wanted, plan.steps);
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
  auto arguments = std::make_shared<PlanArguments>();
  arguments->judging.add_to(*command);
  arguments->judging.add_assume_to(*command);
  arguments->proposal.add_to(*command);
  arguments->report.add_to(*command);
  command->callback([arguments, &action] { action = [arguments] { return run_plan(*arguments); }; });
}

}  // namespace dbaudit

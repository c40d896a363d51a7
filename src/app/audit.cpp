// dbaudit audit: servers or snapshots, judged by all rules.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/judged_facts.h"
#include "app/output.h"

namespace dbaudit {
namespace {

struct Arguments {
  JudgingArguments judging;
  ReportArguments report;
  bool timings = false;
};

// --timings: how a run's time divides.
class Stopwatch {
 public:
  void lap(const char* name) {
    const auto now = std::chrono::steady_clock::now();
    laps_.emplace_back(name, std::chrono::duration<double, std::milli>(now - last_).count());
    last_ = now;
  }
  // CPU time before the first lap: loading the program and its libraries, reading the command line.
  void report(Store& store, const std::map<std::string, double>& rules) const {
    std::string line = fmt::format("timings: start {:.1f} ms CPU", start_ms_);
    for (const auto& [name, ms] : laps_) line += fmt::format(", {} {:.1f} ms", name, ms);
    write_stderr(line);
    Query servers = store.query("SELECT name, connect_ms, query_ms, collect_ms FROM server ORDER BY server_id");
    while (servers.next().value()) {
      const double connect = servers.real(1).value_or(0);
      const double query = servers.real(2).value_or(0);
      write_stderr(fmt::format("timings: {}: connect {:.1f} ms, read {:.1f} ms, store {:.1f} ms", servers.text(0),
                               connect, query, servers.real(3).value_or(0) - connect - query));
    }
    std::vector<std::pair<double, std::string>> slowest;
    for (const auto& [rule, ms] : rules) slowest.emplace_back(ms, rule);
    std::sort(slowest.rbegin(), slowest.rend());
    line = "timings: slowest rules:";
    for (std::size_t i = 0; i < std::min<std::size_t>(5, slowest.size()); ++i)
      line += fmt::format(" {} {:.1f} ms", slowest[i].second, slowest[i].first);
    write_stderr(line);
  }

 private:
  double start_ms_ = 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::vector<std::pair<std::string, double>> laps_;
};

int run(const Arguments& arguments) {
  Stopwatch stopwatch;
  std::map<std::string, double> rule_timings;
  Problems problems;
  JudgedFacts facts = load_judged_facts(arguments.judging, problems);
  const auto baseline = load_baseline(arguments.report, problems);
  if (!problems.empty()) return report_problems(problems);
  stopwatch.lap("load rules and pools");
  if (const Status read = read_judged_facts(arguments.judging, facts, problems); !read)
    return report_error(read.error());
  if (!problems.empty()) return report_problems(problems);
  stopwatch.lap("collect");
  AuditResult audit = judge_all(facts.inputs.rules.get(), facts.store, facts.inputs.judge, &rule_timings);
  accept(audit, facts.inputs, arguments.report, baseline, system_clock());
  stopwatch.lap("judge");
  write_stdout(render(audit, arguments.report));
  stopwatch.lap("print");
  if (arguments.timings) stopwatch.report(facts.store, rule_timings);
  const int code = exit_code(audit, {*parse_severity(arguments.report.fail_on), arguments.report.allow_unknown, false});
  if (const Status updated = update_baseline(audit, arguments.report, baseline); !updated) {
    const int failed = report_error(updated.error());
    return code == kExitFindings ? code : failed;
  }
  return code;
}

}  // namespace

void add_audit(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("audit", "Judge servers, or snapshots of them, by all rules");
  auto arguments = std::make_shared<Arguments>();
  arguments->judging.add_to(*command);
  arguments->report.add_to(*command);
  arguments->report.add_baseline_to(*command);
  arguments->report.add_update_baseline_to(*command);
  command->add_flag("--timings", arguments->timings, "Say on stderr how the time of the run divides");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

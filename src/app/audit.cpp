// dbaudit audit: servers or snapshots, judged by all rules.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/judge_each.h"
#include "app/output.h"
#include "report/report.h"

namespace dbaudit {
namespace {

struct AuditArguments {
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
  void report(const AuditTimes& times) const {
    std::string line = fmt::format("timings: start {:.1f} ms CPU", start_ms_);
    for (const auto& [name, ms] : laps_) line += fmt::format(", {} {:.1f} ms", name, ms);
    write_stderr(line);
    for (const ServerTimes& of : times.servers)
      write_stderr(fmt::format("timings: {}: connect {:.1f} ms, read {:.1f} ms, store {:.1f} ms, judge {:.1f} ms",
                               of.server, of.connect_ms, of.read_ms, of.store_ms, of.judge_ms));
    std::vector<std::pair<double, std::string>> slowest;
    for (const auto& [rule, ms] : times.rules) slowest.emplace_back(ms, rule);
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

// What was printed is kept only as far as it counts in the end.
void forget_what_was_said(AuditResult& part) {
  for (RuleResult& result : part.results) {
    RuleResult kept;
    kept.rule = std::move(result.rule);
    kept.severity = result.severity;
    kept.outcome = result.outcome;
    kept.server = std::move(result.server);
    kept.subject = std::move(result.subject);
    kept.fingerprint = std::move(result.fingerprint);
    kept.curable = result.curable;
    kept.waiver = std::move(result.waiver);
    kept.known = result.known;
    result = std::move(kept);
  }
  for (AuditedServer& server : part.servers) server.sources.clear();
}

int run_audit(const AuditArguments& arguments) {
  Stopwatch stopwatch;
  Problems problems;
  JudgedFacts facts = load_judged_facts(arguments.judging, problems);
  const auto baseline = load_baseline(arguments.report, problems);
  if (!problems.empty()) return report_problems(problems);
  stopwatch.lap("load rules and pools");

  const bool streamed = arguments.report.format == "jsonl";
  const auto take = [&](AuditResult& part) {
    mark_accepted(part, facts.inputs, arguments.report, baseline, system_clock());
    if (!streamed) return;
    write_stdout(render_json_lines(part));
    forget_what_was_said(part);
  };
  AuditTimes times;
  AuditResult audit = judge_each(arguments.judging, facts, take, times, problems);
  if (!problems.empty()) return report_problems(problems);
  find_unused_waivers(audit, facts.inputs);
  stopwatch.lap("read and judge");
  const Status updated = update_baseline(audit, arguments.report, baseline);
  write_stdout(streamed ? render_json_summary(audit) : render(audit, arguments.report));
  stopwatch.lap("print");
  if (arguments.timings) stopwatch.report(times);
  const int code = exit_code(audit, {*parse_severity(arguments.report.fail_on), arguments.report.allow_unknown, false});
  if (!updated) {
    const int failed = report_error(updated.error());
    return code == kExitFindings ? code : failed;
  }
  return code;
}

}  // namespace

void add_audit(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("audit", "Judge servers, or snapshots of them, by all rules");
  auto arguments = std::make_shared<AuditArguments>();
  arguments->judging.add_to(*command);
  arguments->judging.add_with_replicas_to(*command);
  arguments->report.add_to(*command, {"text", "json", "jsonl"});
  arguments->report.add_baseline_to(*command);
  arguments->report.add_update_baseline_to(*command);
  command->add_flag("--timings", arguments->timings, "Say on stderr how the time of the run divides");
  command->callback([arguments, &action] { action = [arguments] { return run_audit(*arguments); }; });
}

}  // namespace dbaudit

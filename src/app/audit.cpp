// dbaudit audit: servers or snapshots, judged by all rules.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "app/collect_all.h"
#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/from_snapshots.h"
#include "app/inputs.h"
#include "app/output.h"
#include "app/time_limit.h"
#include "base/text.h"
#include "report/report.h"

namespace dbaudit {
namespace {

struct Arguments {
  ConnectionArguments connection;
  InputArguments inputs;
  std::vector<std::string> from;
  std::string format = "text";
  std::string fail_on = "error";
  std::string colour = "auto";
  std::string interval;
  std::string timeout = "60s";
  bool allow_unknown = false;
  bool verbose = false;
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

// A pool whose server is not part of this run is not judged, and that must not look like a pass. It is in order only
// when dbaudit.toml names the server and this run was told to read others of it.
void check_pool_servers(Store& store, const Config& config, const Arguments& arguments, std::vector<std::string> names,
                        Problems& problems) {
  const bool by_name = !arguments.connection.servers.empty() || !arguments.from.empty();
  Query pools = store.query("SELECT name, server_name FROM pool ORDER BY name");
  while (pools.next().value()) {
    const std::string pool = pools.text(0);
    const std::string server = pools.text(1);
    if (is_null(pools.value(1))) {
      if (names.size() > 1)
        problems.add(
            fmt::format("pool '{}' names no server, and this run has {}; write server = \"...\"", pool, names.size()));
      continue;
    }
    if (std::find(names.begin(), names.end(), server) != names.end()) continue;
    const bool declared = std::any_of(config.servers.begin(), config.servers.end(),
                                      [&](const ServerConfig& known) { return known.name == server; });
    if (declared && by_name) {
      write_stderr(fmt::format("pool {} talks to server {}, which this run was not told to read", pool, server));
    } else {
      problems.add(fmt::format(
          "pool '{}' talks to server '{}', which is not part of this run ({}); use --server, or leave out 'server'",
          pool, server, join(names, ", ")));
    }
  }
}

int run(const Arguments& arguments) {
  Stopwatch stopwatch;
  std::map<std::string, double> rule_timings;
  Problems problems;
  Store store;
  Inputs inputs = load_inputs(arguments.inputs, store, problems);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  std::vector<CollectRequest> servers;
  check_from(arguments.from, arguments.connection, problems);
  if (!arguments.from.empty() && !arguments.interval.empty())
    problems.add("--interval needs a server; a snapshot is one sample");
  if (arguments.from.empty()) {
    servers = resolve_servers(arguments.connection, inputs.config, true, problems);
    const std::optional<Seconds> interval = parse_duration(arguments.interval);
    if (!arguments.interval.empty() && !interval) problems.add("--interval must be a duration such as 10s");
    for (CollectRequest& request : servers) {
      request.deadline = deadline.value_or(Deadline::max());
      request.sample_interval = interval;
    }
  }
  std::vector<std::string> names;
  for (const CollectRequest& request : servers) names.push_back(request.connection.name);
  if (arguments.from.empty()) check_pool_servers(store, inputs.config, arguments, names, problems);
  if (!problems.empty()) return report_problems(problems);
  stopwatch.lap("load rules and pools");

  if (arguments.from.empty()) {
    const auto fresh = [&arguments] {
      Problems none;  // loaded before without any
      Store another;
      load_inputs(arguments.inputs, another, none);
      return another;
    };
    store = collect_all(std::move(store), fresh, servers, system_clock());
  } else {
    if (const Status added = add_snapshots(store, arguments.from); !added) return report_error(added.error());
    for (const AuditedServer& server : audited_servers(store)) names.push_back(server.name);
    check_pool_servers(store, inputs.config, arguments, names, problems);
    if (!problems.empty()) return report_problems(problems);
  }
  stopwatch.lap("collect");
  inputs.judge.deadline = judging_deadline(*deadline);
  const AuditResult audit = judge_all(inputs.rules, store, inputs.judge, &rule_timings);
  stopwatch.lap("judge");
  const Colour colour = arguments.colour == "always"  ? Colour::always
                        : arguments.colour == "never" ? Colour::never
                                                      : Colour::automatic;
  write_stdout(arguments.format == "json"
                   ? render_json(audit)
                   : render_text(audit, {use_colour(colour), arguments.verbose, terminal_width()}));
  stopwatch.lap("print");
  if (arguments.timings) stopwatch.report(store, rule_timings);
  return exit_code(audit, *parse_severity(arguments.fail_on), arguments.allow_unknown);
}

}  // namespace

void add_audit(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("audit", "Judge servers, or snapshots of them, by all rules");
  auto arguments = std::make_shared<Arguments>();
  arguments->connection.add_to(*command, true);
  arguments->inputs.add_to(*command);
  command->add_option("--from", arguments->from, "Snapshot files in place of servers");
  command->add_option("--format", arguments->format, "text or json")->check(CLI::IsMember({"text", "json"}));
  command->add_option("--fail-on", arguments->fail_on, "Lowest severity that makes the exit code 1")
      ->check(CLI::IsMember({"error", "warning", "info"}));
  command->add_flag("--allow-unknown", arguments->allow_unknown,
                    "Rules that could not be judged do not make the exit code 3");
  command->add_option("--interval", arguments->interval, "Read status counters twice, this far apart, for rates");
  command->add_option("--timeout", arguments->timeout, "Time for the whole run")->capture_default_str();
  command->add_option("--color", arguments->colour, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->add_flag("-v,--verbose", arguments->verbose, "List passes and rules that do not apply as well");
  command->add_flag("--timings", arguments->timings, "Say on stderr how the time of the run divides");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

// dbaudit audit: servers or snapshots, judged by all rules.
#include <fmt/format.h>

#include "app/collect_all.h"
#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/inputs.h"
#include "app/output.h"
#include "app/time_limit.h"
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
};

// Pools that talk to a server which is not part of this run are not judged, and that must not look like a pass.
void warn_of_unjudged_pools(Store& store) {
  Query query = store.query(
      "SELECT name, server_name FROM pool WHERE server_name NOT IN (SELECT name FROM server) ORDER BY name");
  while (query.next().value()) {
    write_stderr(fmt::format("warning: pool {} is declared for server {}, which is not in this run; it is not judged",
                             query.text(0), query.text(1)));
  }
}

int run(const Arguments& arguments) {
  Problems problems;
  Store store;
  Inputs inputs = load_inputs(arguments.inputs, store, problems);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  std::vector<CollectRequest> servers;
  if (arguments.from.empty()) {
    servers = resolve_servers(arguments.connection, inputs.config, true, problems);
    const std::optional<Seconds> interval = parse_duration(arguments.interval);
    if (!arguments.interval.empty() && !interval) problems.add("--interval must be a duration such as 10s");
    for (CollectRequest& request : servers) {
      request.deadline = deadline.value_or(Deadline::max());
      request.sample_interval = interval;
    }
  }
  if (!problems.empty()) return report_problems(problems);

  if (arguments.from.empty()) {
    const auto fresh = [&arguments] {
      Problems none;  // loaded before without any
      Store another;
      load_inputs(arguments.inputs, another, none);
      return another;
    };
    store = collect_all(std::move(store), fresh, servers, system_clock());
  } else {
    for (const std::string& file : arguments.from) {
      if (const Status added = store.add_snapshot(file); !added) return report_error(added.error());
    }
  }
  warn_of_unjudged_pools(store);
  const AuditResult audit = judge_all(inputs.rules, store, inputs.judge);
  const Colour colour = arguments.colour == "always"  ? Colour::always
                        : arguments.colour == "never" ? Colour::never
                                                      : Colour::automatic;
  write_stdout(arguments.format == "json"
                   ? render_json(audit)
                   : render_text(audit, {use_colour(colour), arguments.verbose, terminal_width()}));
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
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

// dbaudit snapshot: everything that can be read of a server, in one file.
#include <fmt/format.h>

#include "app/collect_all.h"
#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "app/time_limit.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

struct Arguments {
  ConnectionArguments connection;
  std::string config;
  std::string output;
  std::string interval;
  std::string timeout = "60s";
  bool redact = false;
};

int run(const Arguments& arguments) {
  const std::future<void> connector = begin_to_initialise_connector();
  Problems problems;
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  std::vector<CollectRequest> servers = resolve_servers(arguments.connection, config, false, problems);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  const std::optional<Seconds> interval = interval_from(arguments.interval, arguments.timeout, problems);
  if (const Status writable = Store::check_snapshot_place(arguments.output); !writable)
    problems.add(describe(writable.error()));
  if (!problems.empty()) return report_problems(problems);
  for (CollectRequest& request : servers) {
    request.deadline = *deadline;
    request.redact = arguments.redact;
    request.sample_interval = interval;
  }

  Store store = collect_all([] { return Store(); }, servers, system_clock());
  const AuditedServer server = audited_servers(store).front();
  if (!server.reachable) {
    write_stderr(server.error.value_or("the server could not be reached"));
    return kExitIncomplete;
  }
  if (const Status written = store.write_snapshot(arguments.output); !written) return report_error(written.error());
  bool complete = true;
  for (const SourceState& source : server.sources) {
    if (source.status == "read") continue;
    write_stderr(fmt::format("{}: {}: {}", source.source, source.status, source.reason.value_or("")));
    complete = complete && !source.curable;
  }
  return complete ? kExitFine : kExitIncomplete;
}

}  // namespace

void add_snapshot(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("snapshot", "Write everything that can be read of a server to a file");
  auto arguments = std::make_shared<Arguments>();
  arguments->connection.add_to(*command, false);
  command->add_option("--config", arguments->config, "dbaudit.toml to use");
  command->add_option("-o,--output", arguments->output, "File to write")->required();
  command->add_flag("--redact", arguments->redact, "Store statements without their literals");
  command->add_option("--interval", arguments->interval, "Read status counters twice, this far apart, for rates");
  command->add_option("--timeout", arguments->timeout, "Time for the whole run")->capture_default_str();
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

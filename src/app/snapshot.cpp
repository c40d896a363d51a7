// dbaudit snapshot: everything that can be read of a server, in one file.
#include <fmt/format.h>

#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "app/read_each.h"
#include "app/time_limit.h"
#include "base/text.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

struct SnapshotArguments {
  ConnectionArguments connection;
  std::string config;
  std::string output;
  std::string interval;
  std::string timeout = "60s";
  bool redact = false;
};

int run_snapshot(const SnapshotArguments& arguments) {
  Problems problems;
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  std::vector<CollectRequest> servers =
      resolve_servers(arguments.connection, config, arguments.connection.shard.has_value(), problems);
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
  const std::vector<AuditedServer> read = audited_servers(store);
  bool complete = true;
  bool any = false;
  for (const AuditedServer& server : read) {
    any = any || server.reachable;
    complete = complete && server.reachable;
    if (!server.reachable) write_stderr(server.error.value_or("the server could not be reached"));
    const std::string which = read.size() == 1 ? "" : printable(server.name) + ": ";
    for (const SourceState& source : server.sources) {
      if (!server.reachable || source.status == "read") continue;
      write_stderr(fmt::format("{}{}: {}: {}", which, source.source, source.status, source.reason.value_or("")));
      complete = complete && !source.curable;
    }
  }
  // A snapshot of nothing would replace one of something; of a shard, that nobody answered is news to who merges it.
  if (!any && !arguments.connection.shard) return kExitIncomplete;
  if (const Status written = store.write_snapshot(arguments.output); !written) return report_error(written.error());
  return complete ? kExitFine : kExitIncomplete;
}

}  // namespace

void add_snapshot(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("snapshot", "Write everything that can be read of servers to a file");
  auto arguments = std::make_shared<SnapshotArguments>();
  arguments->connection.add_to(*command, true);
  command->add_option("--config", arguments->config, "dbaudit.toml to use");
  command->add_option("-o,--output", arguments->output, "File to write")->required();
  command->add_flag("--redact", arguments->redact, "Store statements without their literals");
  command->add_option("--interval", arguments->interval, "Read status counters twice, this far apart, for rates");
  command->add_option("--timeout", arguments->timeout, "Time for the whole run")->capture_default_str();
  command->callback([arguments, &action] { action = [arguments] { return run_snapshot(*arguments); }; });
}

}  // namespace dbaudit

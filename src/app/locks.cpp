// dbaudit locks: who waits for whom, and which session ends it.
#include <fmt/format.h>

#include <algorithm>

#include "app/collect_all.h"
#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/from_snapshots.h"
#include "app/inputs.h"
#include "app/output.h"
#include "app/time_limit.h"
#include "base/text.h"
#include "report/locks.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

struct Arguments {
  ConnectionArguments connection;
  std::string config;
  std::vector<std::string> from;
  std::string format = "text";
  std::string colour = "auto";
  std::string min_wait = "1s";
  std::string table;
  std::string timeout = "30s";
};

struct Table {
  std::string schema;
  std::string name;  // empty: every table of the schema
};

// SCHEMA or SCHEMA.TABLE; names with dots in `backticks`.
std::optional<Table> parse_table(const std::string& text) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (const char c : text) {
    if (c == '`') {
      quoted = !quoted;
    } else if (c == '.' && !quoted) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (quoted || parts.size() > 2 || parts.front().empty() || parts.back().empty()) return std::nullopt;
  return Table{parts.front(), parts.size() == 2 ? parts.back() : ""};
}

LockReport report_of(Store& store, const Arguments& arguments, const std::optional<Table>& table) {
  Query server = store.query("SELECT server_id, name, taken_at, collect_ms FROM server");
  static_cast<void>(server.next().value());
  const std::int64_t id = server.integer(0).value_or(0);
  LockReport report = analyse_locks(read_lock_facts(store, id));
  report.server_name = server.text(1);
  report.taken_at = server.text(2);
  report.collect_ms = server.real(3);
  report.min_wait_s = parse_duration(arguments.min_wait).value_or(Seconds{0}).count();
  if (table) keep_table(report, table->schema, table->name);
  identify_people(report, store, id);
  return report;
}

std::string render(const LockReport& report, const std::string& format, const TextOptions& options) {
  if (format == "json") return render_locks_json(report);
  if (format == "dot") return render_locks_dot(report);
  if (format == "html") return render_locks_html(report);
  return render_locks_text(report, options);
}

int exit_code_of(const LockReport& report) {
  if (count_waits(report) > 0) return kExitFindings;
  return report.complete ? kExitFine : kExitIncomplete;
}

int run(const Arguments& arguments) {
  Problems problems;
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  if (!parse_duration(arguments.min_wait)) problems.add("--min-wait must be a duration such as 1s");
  const std::optional<Table> table = arguments.table.empty() ? std::nullopt : parse_table(arguments.table);
  if (!arguments.table.empty() && !table) problems.add("--table must be SCHEMA or SCHEMA.TABLE");
  check_from(arguments.from, arguments.connection, problems);
  std::vector<CollectRequest> servers;
  if (arguments.from.empty()) servers = resolve_servers(arguments.connection, config, false, problems);
  if (!problems.empty()) return report_problems(problems);
  Store store(arguments.from.empty() ? Tables::without_wide : Tables::all);
  Problems unimportant;  // without the rules' folder, people are not recognised
  load_human_clients(shipped_rules_folder(unimportant), store, unimportant);

  if (arguments.from.empty()) {
    servers.front().deadline = *deadline;
    servers.front().scope = Scope::locks;
    store = collect_all(
        std::move(store), [] { return Store(Tables::without_wide); }, servers, system_clock());
  } else if (const Status added = add_snapshots(store, arguments.from); !added) {
    return report_error(added.error());
  }
  const AuditedServer server = audited_servers(store).front();
  if (!server.reachable) {
    write_stderr(server.error.value_or("the server could not be reached"));
    return kExitIncomplete;
  }
  if (server.door && *server.door != "normal port" && *server.door != "socket")
    write_stderr(fmt::format("connected through the {}", *server.door));
  const LockReport report = report_of(store, arguments, table);
  const Colour colour = arguments.colour == "always"  ? Colour::always
                        : arguments.colour == "never" ? Colour::never
                                                      : Colour::automatic;
  write_stdout(render(report, arguments.format, {use_colour(colour), false, terminal_width()}));
  return exit_code_of(report);
}

}  // namespace

void add_locks(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("locks", "Who waits for whom, and which session ends it");
  auto arguments = std::make_shared<Arguments>();
  arguments->connection.add_to(*command, false);
  command->add_option("--config", arguments->config, "dbaudit.toml to use");
  command->add_option("--from", arguments->from, "A snapshot file in place of a server")->expected(1);
  command->add_option("--format", arguments->format, "text, json, dot (Graphviz) or html (one file)")
      ->check(CLI::IsMember({"text", "json", "dot", "html"}));
  command->add_option("--min-wait", arguments->min_wait, "Shorter waits are shown, and do not make the exit code 1")
      ->capture_default_str();
  command->add_option("--table", arguments->table, "Only waits for SCHEMA, or for SCHEMA.TABLE");
  command->add_option("--timeout", arguments->timeout, "Time for the whole run")->capture_default_str();
  command->add_option("--color", arguments->colour, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace dbaudit

// dbaudit locks: who waits for whom, and which session ends it.
#include <fmt/format.h>

#include <algorithm>

#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/from_snapshots.h"
#include "app/inputs.h"
#include "app/output.h"
#include "app/read_each.h"
#include "app/time_limit.h"
#include "app/watch.h"
#include "base/text.h"
#include "report/locks.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

struct LocksArguments {
  ConnectionArguments connection;
  std::string config;
  std::vector<std::string> from;
  std::string format = "text";
  std::string colour = "auto";
  std::string min_wait = "1s";
  std::string table;
  std::string timeout = "30s";
  std::string watch;  // empty: one look
};

struct AskedTable {
  std::string schema;
  std::string name;  // empty: every table of the schema
};

// SCHEMA or SCHEMA.TABLE; names with dots in `backticks`, a backtick in them doubled.
std::optional<AskedTable> parse_table(const std::string& text) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '`' && quoted && i + 1 < text.size() && text[i + 1] == '`') {
      parts.back() += text[++i];
    } else if (c == '`') {
      quoted = !quoted;
    } else if (c == '.' && !quoted) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (quoted || parts.size() > 2 || parts.front().empty() || parts.back().empty()) return std::nullopt;
  return AskedTable{parts.front(), parts.size() == 2 ? parts.back() : ""};
}

LockReport report_of(Store& store, const LocksArguments& arguments, const std::optional<AskedTable>& table) {
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
  return report.incomplete.empty() ? kExitFine : kExitIncomplete;
}

// `new_door`: the connection was made for this look, so that the way in is news.
Look look_at(Store& store, const LocksArguments& arguments, const std::optional<AskedTable>& table, bool new_door) {
  const AuditedServer server = audited_servers(store).front();
  if (!server.reachable) return {{}, server.error.value_or("the server could not be reached"), kExitIncomplete};
  if (new_door && server.door && *server.door != "normal port" && *server.door != "socket")
    write_stderr(fmt::format("connected through the {}", *server.door));
  Look look;
  look.report = report_of(store, arguments, table);
  look.exit_code = exit_code_of(*look.report);
  return look;
}

Store store_for(const LocksArguments& arguments) {
  Store store(arguments.from.empty() ? Tables::of_locks : Tables::all);
  Problems unimportant;  // without the rules' folder, people are not recognised
  load_human_clients(shipped_rules_folder(unimportant), store, unimportant);
  return store;
}

Store read_server(const CollectRequest& server, const LocksArguments& arguments) {
  return collect_all([&arguments] { return store_for(arguments); }, {server}, system_clock());
}

// A look of many: the connection stays open from one to the next, and --timeout is the time of each.
Look look_again(CollectRequest& server, const LocksArguments& arguments, const std::optional<AskedTable>& table) {
  Look look;
  const bool was_open = server.kept && server.kept->has_value();
  for (int attempt = was_open ? 0 : 1; attempt < 2 && !look.report; ++attempt) {
    // An earlier look that was given up may still be using the old connection.
    if (!server.kept || attempt > 0) server.kept = std::make_shared<std::optional<Connection>>();
    Problems checked_before;
    server.deadline = *deadline_from(arguments.timeout, checked_before);
    Store store = read_server(server, arguments);
    look = look_at(store, arguments, table, attempt > 0);
  }
  // The next look makes one of its own; the session of this one should not stay on the server until then.
  if (!look.report || (*server.kept && (*server.kept)->lost())) server.kept.reset();
  return look;
}

// Seconds, or any duration.
std::optional<Seconds> watch_interval(const std::string& text, Problems& problems) {
  if (text.empty()) return std::nullopt;
  std::optional<Seconds> interval = parse_duration(text);
  if (!interval) interval = parse_duration(text + "s");
  if (!interval || *interval < Seconds{0.5} || *interval > Seconds{86400})
    problems.add("--watch must be a number of seconds, 0.5 or more, and at most a day");
  return interval;
}

int run_locks(const LocksArguments& arguments) {
  Problems problems;
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  if (!parse_duration(arguments.min_wait)) problems.add("--min-wait must be a duration such as 1s");
  const std::optional<AskedTable> table = arguments.table.empty() ? std::nullopt : parse_table(arguments.table);
  if (!arguments.table.empty() && !table) problems.add("--table must be SCHEMA or SCHEMA.TABLE");
  const std::optional<Seconds> interval = watch_interval(arguments.watch, problems);
  if (interval && !arguments.from.empty()) problems.add("--watch looks at a server, not at --from");
  if (interval && arguments.format != "text") problems.add("--watch is for --format text only");
  check_from(arguments.from, arguments.connection, problems);
  std::vector<CollectRequest> servers;
  if (arguments.from.empty()) servers = resolve_servers(arguments.connection, config, false, problems);
  if (!problems.empty()) return report_problems(problems);
  if (!servers.empty()) {
    servers.front().deadline = *deadline;
    servers.front().scope = Scope::locks;
  }
  const bool colour = use_colour(arguments.colour == "always"  ? Colour::always
                                 : arguments.colour == "never" ? Colour::never
                                                               : Colour::automatic);
  if (interval) {
    initialise_connector();  // on this thread: looks have their own
    // On the heap: a look that is left behind goes on using it.
    const auto server = std::make_shared<CollectRequest>(servers.front());
    return watch({[server, arguments, table] { return look_again(*server, arguments, table); }, *interval, colour,
                  system_clock()});
  }
  Store store = arguments.from.empty() ? read_server(servers.front(), arguments) : store_for(arguments);
  if (!arguments.from.empty()) {
    add_snapshots(store, arguments.from, SameServer::refuse, problems);
    if (!problems.empty()) return report_problems(problems);
  }
  const Look look = look_at(store, arguments, table, true);
  if (!look.report) {
    write_stderr(look.error);
    return look.exit_code;
  }
  write_stdout(render(*look.report, arguments.format, {colour, false, terminal_width()}));
  return look.exit_code;
}

}  // namespace

void add_locks(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("locks", "Who waits for whom, and which session ends it");
  auto arguments = std::make_shared<LocksArguments>();
  arguments->connection.add_to(*command, false);
  command->add_option("--config", arguments->config, "dbaudit.toml to use");
  command->add_option("--from", arguments->from, "A snapshot file in place of a server")->expected(1);
  command->add_option("--format", arguments->format, "text, json, dot (Graphviz) or html (one file)")
      ->check(CLI::IsMember({"text", "json", "dot", "html"}));
  command->add_option("--min-wait", arguments->min_wait, "Shorter waits are shown, and do not make the exit code 1")
      ->capture_default_str();
  command->add_option("--table", arguments->table, "Only waits for SCHEMA, or for SCHEMA.TABLE");
  command->add_flag("--watch{2}", arguments->watch, "Look again every SECONDS, 2 unless given; q ends it");
  command->add_option("--timeout", arguments->timeout, "Time for the whole run; with --watch, for each look")
      ->capture_default_str();
  command->add_option("--color", arguments->colour, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->callback([arguments, &action] { action = [arguments] { return run_locks(*arguments); }; });
}

}  // namespace dbaudit

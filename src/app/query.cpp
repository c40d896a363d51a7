// dbaudit query: one SELECT over the facts of a server or of snapshots.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/from_snapshots.h"
#include "app/output.h"
#include "app/read_each.h"
#include "app/time_limit.h"
#include "facts/schema.h"
#include "report/table.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

// More than a rule may do: who asks waits for it, and can end it.
constexpr WorkLimit kQueryLimit{.steps = 2'000'000'000, .text_bytes = 16 << 20};
constexpr std::size_t kMostRows = 1'000'000;

struct QueryArguments {
  ConnectionArguments connection;
  std::string config;
  std::vector<std::string> from;
  std::string sql;
  std::string format = "table";
  std::string timeout = "60s";
};

// Tables that the statement reads and that were not, or only partly, observed: an empty answer must not look complete.
// False when something is missing that could be had.
bool warn_of_unread_sources(Store& store, const SqlCheck& check) {
  bool complete = true;
  std::set<std::string> tables;
  for (const auto& [table, column] : check.reads) tables.insert(table);
  for (const AuditedServer& server : audited_servers(store)) {
    if (!server.reachable) {
      write_stderr(fmt::format("{}: {}", server.name, server.error.value_or("not reached")));
      complete = false;
      continue;
    }
    for (const SourceState& source : server.sources) {
      const bool used = std::any_of(tables.begin(), tables.end(), [&](const std::string& table) {
        return find_table(table)->source == source.source;
      });
      if (!used || source.status == "read") continue;
      write_stderr(
          fmt::format("{}: {} is {}: {}", server.name, source.source, source.status, source.reason.value_or("")));
      complete = complete && !source.curable;
    }
  }
  return complete;
}

// Two columns of one name would be one in JSON.
std::vector<std::string> unique_names(std::vector<std::string> names) {
  std::map<std::string, int> seen;
  for (std::string& name : names) {
    if (const int times = ++seen[name]; times > 1) name += fmt::format(":{}", times);
  }
  return names;
}

int run_query(const QueryArguments& arguments) {
  Problems problems;
  Store store;
  SqlCheck check;
  // Checked on the empty schema first: a misspelt column costs no connection.
  if (const Result<Query> prepared = store.untrusted_query(arguments.sql, kQueryLimit, check); !prepared) {
    problems.add("query: " + prepared.error().message);
  }
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  std::vector<CollectRequest> servers;
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  check_from(arguments.from, arguments.connection, problems);
  if (arguments.from.empty()) servers = resolve_servers(arguments.connection, config, true, problems);
  if (!problems.empty()) return report_problems(problems);

  if (arguments.from.empty()) {
    for (CollectRequest& request : servers) request.deadline = *deadline;
    store = collect_all([] { return Store(); }, servers, system_clock());
  }
  add_snapshots(store, arguments.from, SameServer::history, problems);
  if (!problems.empty()) return report_problems(problems);
  Result<Query> query = store.untrusted_query(arguments.sql, kQueryLimit, check);
  if (!query) return report_error(query.error());
  query->stop_at(arguments.from.empty() ? judging_deadline(*deadline) : *deadline);
  ResultTable table{unique_names(query->columns()), {}};
  while (true) {
    const Result<bool> more = query->next();
    if (!more) return report_error(more.error());
    if (!*more) break;
    if (table.rows.size() == kMostRows) {
      return report_error(
          {ErrorKind::bad_input, fmt::format("more than {} rows; add a LIMIT or aggregate", kMostRows)});
    }
    std::vector<Value>& row = table.rows.emplace_back();
    for (std::size_t i = 0; i < table.columns.size(); ++i) row.push_back(query->value(i));
  }
  write_stdout(arguments.format == "json"  ? render_rows_json(table)
               : arguments.format == "csv" ? render_csv(table, stdout_is_terminal())
                                           : render_table(table));
  return warn_of_unread_sources(store, check) ? kExitFine : kExitIncomplete;
}

}  // namespace

void add_query(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("query", "Run one SELECT over the facts (see: dbaudit schema)");
  auto arguments = std::make_shared<QueryArguments>();
  arguments->connection.add_to(*command, true);
  command->add_option("--config", arguments->config, "dbaudit.toml to use");
  command->add_option("--from", arguments->from, "Snapshot files in place of servers");
  command->add_option("--format", arguments->format, "table, json or csv")
      ->check(CLI::IsMember({"table", "json", "csv"}));
  command->add_option("--timeout", arguments->timeout, "Time for the whole run")->capture_default_str();
  command->add_option("sql", arguments->sql, "The SELECT")->required();
  command->callback([arguments, &action] { action = [arguments] { return run_query(*arguments); }; });
}

}  // namespace dbaudit

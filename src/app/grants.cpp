// dbaudit grants: the least-privilege account for a server, and what the account in use cannot see.
#include <fmt/format.h>

#include "app/command.h"
#include "app/connection_arguments.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "app/read_each.h"
#include "app/time_limit.h"
#include "base/text.h"
#include "collect/privileges.h"
#include "rules/result.h"

namespace dbaudit {
namespace {

// The newest series of each flavour, when no server says which one it is.
const ServerVersion kNewestMysql{Flavor::mysql, {9, 7, 0}};
const ServerVersion kNewestMariadb{Flavor::mariadb, {11, 8, 0}};

struct GrantsArguments {
  ConnectionArguments connection;
  std::string config;
  std::string flavor;
  std::string account = "'dbaudit'@'%'";
  std::string timeout = "60s";
  bool check = false;
};

std::string statements(const ServerVersion& version, const std::string& account) {
  std::string out = fmt::format(
      "-- Least privileges for dbaudit on {}. Choose a password and the hosts it may come from.\n", to_string(version));
  out += fmt::format("CREATE USER {} IDENTIFIED BY 'choose-a-password';\n", account);
  for (const Privilege& privilege : needed_privileges(version)) {
    out += fmt::format("{}GRANT {} TO {};\n    -- {}\n", privilege.optional ? "-- " : "", privilege.grant, account,
                       privilege.why);
  }
  if (version.is_mariadb()) {
    out +=
        "-- Once, by an administrator, to see metadata locks without performance_schema:\n-- INSTALL SONAME "
        "'metadata_lock_info';\n";
  }
  return out;
}

std::string visibility(const AuditedServer& server, bool& complete) {
  std::string out = fmt::format("{}  {}\n", printable(server.name), to_string(*server.version));
  for (const SourceState& source : server.sources) {
    out += fmt::format("  {:<22} {}\n", source.source, source.status);
    if (source.status == "read") continue;
    complete = complete && !source.curable;
    for (const auto& [label, text] : {std::pair{"why: ", source.reason}, std::pair{"do:  ", source.remedy}}) {
      if (!text) continue;
      std::string lead = label;
      for (const std::string& line : wrap(printable(*text), 65)) {
        out += fmt::format("{:10}{}{}\n", "", lead, line);
        lead = "     ";
      }
    }
  }
  return out;
}

int run_grants(const GrantsArguments& arguments) {
  Problems problems;
  const std::optional<std::string> account = account_as_written(arguments.account);
  if (!account) problems.add("--account must be USER, USER@HOST or 'USER'@'HOST', with a user and without backslashes");
  if (!arguments.flavor.empty() && !arguments.check) {
    if (!problems.empty()) return report_problems(problems);
    write_stdout(statements(arguments.flavor == "mysql" ? kNewestMysql : kNewestMariadb, *account));
    return kExitFine;
  }
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  std::vector<CollectRequest> servers = resolve_servers(arguments.connection, config, false, problems);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  if (!problems.empty()) return report_problems(problems);
  for (CollectRequest& request : servers) request.deadline = *deadline;
  Store store = collect_all([] { return Store(); }, servers, system_clock());
  const AuditedServer server = audited_servers(store).front();
  if (!server.reachable) {
    write_stderr(server.error.value_or("the server could not be reached"));
    return kExitIncomplete;
  }
  if (!arguments.check) {
    write_stdout(statements(*server.version, *account));
    return kExitFine;
  }
  bool complete = true;
  write_stdout(visibility(server, complete));
  return complete ? kExitFine : kExitIncomplete;
}

}  // namespace

void add_grants(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("grants", "Print the least-privilege account for a server, or check the one in use");
  auto arguments = std::make_shared<GrantsArguments>();
  arguments->connection.add_to(*command, false);
  command->add_option("--config", arguments->config, "dbaudit.toml to use");
  command->add_option("--flavor", arguments->flavor, "mysql or mariadb, without a connection")
      ->check(CLI::IsMember({"mysql", "mariadb"}));
  command->add_option("--account", arguments->account, "Account to print statements for")->capture_default_str();
  command->add_flag("--check", arguments->check, "What the account in use can and cannot see");
  command->add_option("--timeout", arguments->timeout, "Time for the whole run")->capture_default_str();
  command->callback([arguments, &action] { action = [arguments] { return run_grants(*arguments); }; });
}

}  // namespace dbaudit

#include "app/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <future>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "base/problems.h"
#include "server/connection.h"

namespace dbaudit {
namespace {

struct Command {
  std::string_view name;
  void (*add)(CLI::App& app, Action& action);
  bool connects = false;
};

constexpr std::array<Command, 10> kCommands{{{"locks", add_locks, true},
                                             {"audit", add_audit, true},
                                             {"check", add_check, true},
                                             {"plan", add_plan, true},
                                             {"snapshot", add_snapshot, true},
                                             {"query", add_query, true},
                                             {"schema", add_schema},
                                             {"rules", add_rules},
                                             {"pools", add_pools},
                                             {"grants", add_grants, true}}};

// -pSECRET is the mysql client's habit; CLI11 would take it for -p -S ECRET, or repeat it in an error message.
bool carries_password(std::string_view argument) {
  if (argument.rfind("--", 0) == 0) {
    if (argument == "--password" || argument == "--password-stdin" || argument == "--password-file") return false;
    if (argument.rfind("--password-file=", 0) == 0) return false;
    return argument.rfind("--pas", 0) == 0 || argument.rfind("--pw", 0) == 0;
  }
  if (argument.empty() || argument.front() != '-') return false;
  const std::size_t letter = argument.find_first_not_of('v', 1);  // -v may stand before it
  return letter != std::string_view::npos && argument[letter] == 'p' && letter + 1 < argument.size();
}

// What follows '=' or "://", and a word behind -p, may be a password.
std::string without_values(std::string message, const std::vector<std::string>& arguments) {
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i].empty() || (arguments[i - 1] != "-p" && arguments[i - 1] != "--password")) continue;
    const std::size_t at = message.find(": " + arguments[i]);
    if (at != std::string::npos) message.replace(at + 2, arguments[i].size(), "(not repeated: behind -p)");
  }
  std::string out;
  for (std::size_t begin = 0; begin < message.size();) {
    const std::size_t end = std::min(message.find('\n', begin), message.size());
    const std::string line = message.substr(begin, end - begin);
    const std::size_t cut = std::min(line.find("://"), line.find('='));
    out += (cut == std::string::npos ? line : line.substr(0, cut) + "...") + "\n";
    begin = end + 1;
  }
  return out;
}

// "no command 'adit'; did you mean 'audit'?", or nothing. Words that are near no command stay unsaid: one may be a
// password.
std::string mistyped_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* at = &app;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    std::vector<std::string> names;
    const CLI::App* chosen = nullptr;
    for (const CLI::App* child : at->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(child->get_name());
      if (child->get_name() == arguments[i]) chosen = child;
    }
    if (names.empty() || arguments[i].starts_with('-')) return "";
    if (chosen == nullptr) {
      const std::string near = did_you_mean(arguments[i], names);
      return near.empty() ? "" : fmt::format("no command '{}'{}", arguments[i], near);
    }
    at = chosen;
  }
  return "";
}

// Every command takes these. Those that have their own use for --config and --timeout have added them already.
void add_common_options(CLI::App& command, std::string& unused) {
  command.set_version_flag("--version", std::string("dbaudit ") + DBAUDIT_VERSION);
  const std::vector<CLI::App*> children = command.get_subcommands({});
  for (CLI::App* child : children) add_common_options(*child, unused);
  if (!children.empty()) return;  // in front of a command they would be taken and forgotten
  for (const char* name : {"--config", "--timeout"}) {
    if (command.get_option_no_throw(name) == nullptr)
      command.add_option(name, unused, "Accepted everywhere; without effect here");
  }
}

}  // namespace

int run(int argc, const char* const* argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe ends a write, not the program
  const auto* const chosen = std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& command) {
    return argc > 1 && command.name == std::string_view(argv[1]);
  });
  std::future<void> connector;
  if (chosen != kCommands.end() && chosen->connects) connector = begin_to_initialise_connector();
  CLI::App app("Lock and configuration auditor for MySQL and MariaDB", "dbaudit");
  app.set_help_flag("--help", "Print this help");  // -h is the host, as with the mysql client
  app.require_subcommand(1);
  Action action;
  // The options of all commands take milliseconds to describe: of the one that is run, where it is the first word.
  for (const Command& command : kCommands) {
    if (chosen == kCommands.end() || chosen->name == command.name) command.add(app, action);
  }
  std::string unused;
  add_common_options(app, unused);
  const std::vector<std::string> arguments(argv, argv + argc);
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (!carries_password(argument)) continue;
    write_stderr(
        "an argument starts with -p or --pas and is no option of dbaudit; its value is not repeated here. A password "
        "as an argument would stand in the process list: use -p alone, --password-file, --password-stdin or "
        "DBAUDIT_PASSWORD");
    return kExitBadInput;
  }
  if (const std::string near = mistyped_command(app, arguments); !near.empty()) {
    write_stderr(near);
    return kExitBadInput;
  }
  app.failure_message([&arguments](const CLI::App* failed, const CLI::Error& error) {
    return without_values(CLI::FailureMessage::simple(failed, error), arguments);
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? kExitFine : kExitBadInput;
  }
  return action();
}

}  // namespace dbaudit

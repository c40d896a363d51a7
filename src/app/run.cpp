#include "app/run.h"

#include <csignal>
#include <iostream>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/output.h"

namespace dbaudit {

int run(int argc, const char* const* argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe ends a write, not the program
  CLI::App app("Lock and configuration auditor for MySQL and MariaDB", "dbaudit");
  app.set_version_flag("--version", std::string("dbaudit ") + DBAUDIT_VERSION);
  app.set_help_flag("--help", "Print this help");  // -h is the host, as with the mysql client
  app.require_subcommand(1);
  Action action;
  for (const auto add : {add_audit, add_snapshot, add_query, add_schema, add_rules, add_pools, add_grants})
    add(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? kExitFine : kExitBadInput;
  }
  return action();
}

}  // namespace dbaudit

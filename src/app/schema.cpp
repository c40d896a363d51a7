// dbaudit schema: the fact tables, from the same source that creates them.
#include "facts/schema.h"

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/output.h"

namespace dbaudit {

void add_schema(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("schema", "Describe the fact tables and their columns");
  auto all = std::make_shared<bool>(false);
  command->add_flag("--all", *all, "Every variable and status counter, too");
  command->callback([all, &action] {
    action = [all] {
      write_stdout(describe_schema(*all));
      return kExitFine;
    };
  });
}

}  // namespace dbaudit

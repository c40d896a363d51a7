// Subcommands. Each lives in one file, adds itself to the command line and, when chosen, sets the action to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace dbaudit {

using Action = std::function<int()>;  // returns the exit code

void add_locks(CLI::App& app, Action& action);
void add_audit(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_snapshot(CLI::App& app, Action& action);
void add_query(CLI::App& app, Action& action);
void add_schema(CLI::App& app, Action& action);
void add_rules(CLI::App& app, Action& action);
void add_pools(CLI::App& app, Action& action);
void add_grants(CLI::App& app, Action& action);

}  // namespace dbaudit

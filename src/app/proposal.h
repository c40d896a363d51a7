// A change that has not happened yet: --set and --option-file of `check` and `plan`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/managed_services.h"
#include "base/problems.h"
#include "facts/store.h"
#include "pools/pool.h"

namespace dbaudit {

struct VariableChange {
  std::optional<std::string> server;  // none: every server of the run
  std::string variable;               // lower case, underscores
  std::string value;                  // as written; sizes may end in K, M, G, T, P or E
  std::string where;                  // "--set" or "new.cnf:12", for messages
  bool at_restart = false;            // from an option file: the next start reads it
};

struct Proposal {
  std::vector<VariableChange> variables;  // later ones win
  std::vector<PoolChange> pools;
  std::vector<MemoryChange> memory;

  [[nodiscard]] bool empty() const { return variables.empty() && pools.empty() && memory.empty(); }
};

struct ProposalArguments {
  std::vector<std::string> set;
  std::vector<std::string> option_files;
  std::vector<std::string> memory;

  void add_to(CLI::App& app);
};

// [SERVER:]VARIABLE=VALUE and pool.NAME.KEY=VALUE; the options in the server's groups of option files come first, so
// that --set wins. Everything wrong that shows without a server goes to `problems`.
Proposal parse_proposal(const ProposalArguments& arguments, const std::vector<std::string>& pools, Problems& problems);

// Writes the variables into the facts of the servers that they are meant for. A variable that such a server lacks and a
// value that it would not take are problems. Values that lose against a persisted one are left, and said in `notes`.
void apply_variables(const Proposal& proposal, Store& store, std::vector<std::string>& notes, Problems& problems);

}  // namespace dbaudit

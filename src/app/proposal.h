// A change that has not happened yet: --set and --option-file of `check` and `plan`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/cli_app.h"
#include "app/managed_services.h"
#include "base/problems.h"
#include "facts/store.h"
#include "pools/pool.h"

namespace dbaudit {

struct VariableChange {
  std::optional<std::string> server;  // none: every server of the run
  std::string variable;               // lower case, underscores; of an option file as written there
  std::string value;                  // as written; sizes may end in K, M, G, T, P or E
  std::string where;                  // "--set" or "new.cnf:12", for messages
  std::string group;                  // of an option file: only the servers that read it take the line; empty: --set
  bool has_value = true;
  std::optional<Value> taken;  // what the server makes of it, where that is known
};

struct Proposal {
  std::vector<VariableChange> variables;  // later ones win
  std::vector<PoolChange> pools;
  std::vector<MemoryChange> memory;
  bool starts = false;  // the servers would be started with the option files: what was only SET is lost

  [[nodiscard]] bool empty() const { return variables.empty() && pools.empty() && memory.empty() && !starts; }
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

}  // namespace dbaudit

// What audit, check and plan begin with: arguments, inputs and facts.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "app/connection_arguments.h"
#include "app/inputs.h"
#include "base/problems.h"
#include "collect/collect.h"
#include "facts/store.h"
#include "pools/pool.h"
#include "rules/result.h"

namespace dbaudit {

struct JudgingArguments {
  ConnectionArguments connection;
  InputArguments inputs;
  std::vector<std::string> from;
  std::string assume;  // check and plan only
  std::string interval;
  std::string timeout = "60s";

  void add_to(CLI::App& app);
  void add_assume_to(CLI::App& app);
};

struct ReportArguments {
  std::string format = "text";
  std::string fail_on = "error";
  std::string colour = "auto";
  bool allow_unknown = false;
  bool verbose = false;

  void add_to(CLI::App& app);
};

struct JudgedFacts {
  Store store;
  Inputs inputs;
  std::vector<CollectRequest> servers;    // to read
  std::vector<std::string> server_names;  // of this run; with --from known only when they are read
  Deadline deadline;
};

// Everything that can be checked before a server is contacted.
JudgedFacts load_judged_facts(const JudgingArguments& arguments, Problems& problems);

// Reads servers, snapshots or shipped defaults into the store, and works out what follows from facts and pools
// together. What is wrong only now (a snapshot, a pool of a server that is not there) is returned or in `problems`.
Status read_judged_facts(const JudgingArguments& arguments, JudgedFacts& facts, Problems& problems);

// A pool that a change moves to a server that is not part of this run: it would not be judged, and what is wrong with
// it would look mended.
void check_moved_pools(const JudgedFacts& facts, const std::vector<PoolChange>& changes, Store& wanted,
                       Problems& problems);

// In the chosen format.
std::string render(const AuditResult& audit, const ReportArguments& arguments);

}  // namespace dbaudit

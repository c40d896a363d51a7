// What audit, check and plan begin with: arguments, inputs and facts.
#pragma once

#include <string>
#include <vector>

#include "app/cli_app.h"
#include "app/connection_arguments.h"
#include "app/inputs.h"
#include "app/read_each.h"
#include "base/clock.h"
#include "base/problems.h"
#include "collect/collect.h"
#include "facts/store.h"
#include "pools/pool.h"
#include "rules/baseline.h"
#include "rules/result.h"

namespace dbaudit {

struct JudgingArguments {
  ConnectionArguments connection;
  InputArguments inputs;
  std::vector<std::string> from;
  std::string assume;          // check and plan only
  bool with_replicas = false;  // audit only
  std::string interval;
  std::string timeout = "60s";

  void add_to(CLI::App& app);
  void add_assume_to(CLI::App& app);
  void add_with_replicas_to(CLI::App& app);
};

struct ReportArguments {
  std::string format = "text";
  std::string fail_on = "error";
  std::string colour = "auto";
  bool allow_unknown = false;
  bool verbose = false;
  std::string baseline;
  bool update_baseline = false;

  void add_to(CLI::App& app, const std::vector<std::string>& formats = {"text", "json"});
  void add_baseline_to(CLI::App& app);
  void add_update_baseline_to(CLI::App& app);
};

struct JudgedFacts {
  Store store;
  Inputs inputs{};
  std::vector<CollectRequest> servers{};    // to read
  std::vector<CollectRequest> others{};     // declared, too; to read where --with-replicas finds them
  std::vector<std::string> server_names{};  // of this run; with --from known only when they are read
  Deadline deadline{};
};

// Everything that can be checked before a server is contacted.
JudgedFacts load_judged_facts(const JudgingArguments& arguments, Problems& problems);

// A pool whose server is not part of this run is not judged, and that must not look like a pass. It is in order only
// when dbaudit.toml names the server and this run was told to read others of it.
void check_pool_servers(JudgedFacts& facts, const JudgingArguments& arguments, Problems& problems);

// Makes stores with what is declared; the first of them is that of `facts`, which has none then. Valid as long as
// `arguments`.
StoreFactory declared_stores(const JudgingArguments& arguments, JudgedFacts& facts);

// What follows from the facts of `store` and from what is declared, together: services, limits of pools, expectations,
// upgrades. What it worked out before is gone.
void work_out(const Inputs& inputs, Store& store);

// For commands that look at all servers together. Reads servers, snapshots or shipped defaults into the store, and
// works out what follows from facts and pools together. What is wrong only now (a snapshot, a pool of a server that is
// not there) is returned or in `problems`.
Status read_judged_facts(const JudgingArguments& arguments, JudgedFacts& facts, Problems& problems);

// A pool that a change moves to a server that is not part of this run: it would not be judged, and what is wrong with
// it would look mended.
void check_moved_pools(const JudgedFacts& facts, const std::vector<PoolChange>& changes, Store& wanted,
                       Problems& problems);

// The file of --baseline; nothing without one, and where --update-baseline is to make it.
std::optional<std::vector<BaselineEntry>> load_baseline(const ReportArguments& arguments, Problems& problems);

// Marks what does not count: what is waived, and what is in the baseline. Of a whole run, or a part of it. In a
// baseline that is still to be made is nothing.
void mark_accepted(AuditResult& audit, const Inputs& inputs, const ReportArguments& arguments,
                   const std::optional<std::vector<BaselineEntry>>& baseline, const Clock& clock);
// Fills AuditResult::unused_waivers of a whole run.
void find_unused_waivers(AuditResult& audit, const Inputs& inputs);
// --update-baseline. What is found is known only when the baseline has been made of it.
Status update_baseline(AuditResult& audit, const ReportArguments& arguments,
                       const std::optional<std::vector<BaselineEntry>>& baseline);

// In the chosen format.
std::string render(const AuditResult& audit, const ReportArguments& arguments);

}  // namespace dbaudit

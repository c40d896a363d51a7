// What an audit is judged by: dbaudit.toml, rules, parameters and pools, loaded and checked before any server is
// contacted, with all problems at once.
#pragma once

#include <string>
#include <vector>

#include "app/cli_app.h"
#include "base/problems.h"
#include "config/config.h"
#include "facts/store.h"
#include "pools/library.h"
#include "pools/pool.h"
#include "rules/engine.h"
#include "rules/waiver.h"

namespace dbaudit {

struct InputArguments {
  std::string config;
  std::vector<std::string> rules;
  std::vector<std::string> pools;
  std::vector<std::string> imports;
  std::string import_profile;
  std::vector<std::string> only;
  std::vector<std::string> skip;
  std::vector<std::string> parameters;

  void add_to(CLI::App& app);
};

struct Inputs {
  Config config;
  std::vector<std::string> rule_folders;
  std::vector<Rule> rules;  // checked, switched, those chosen
  JudgeRequest judge;
  std::vector<Library> libraries;  // of the declared pools
  std::vector<std::string> notes;  // what imported files left open
  std::vector<Waiver> waivers;
};

// dbaudit.toml and the rules, as they are in their files.
struct InputFiles {
  Config config;
  std::string shipped;  // the folder of the shipped rules; empty when there is none
  std::vector<std::string> rule_folders;
  std::vector<RuleFile> rules;
};
InputFiles read_input_files(const InputArguments& arguments, Problems& problems);
// Fills the declared tables (pools, human clients) of `store`, which must be new.
Inputs load_inputs(const InputArguments& arguments, InputFiles files, Store& store, Problems& problems);
// The same tables once more, for another store, with the pools as they would be after `changes`.
std::vector<Library> load_declared(const InputArguments& arguments, const Inputs& inputs,
                                   const std::vector<PoolChange>& changes, Store& store, Problems& problems);
std::vector<std::string> pool_names(Store& store);

// The shipped rules: $DBAUDIT_RULES, else the installed folder, else that of the source tree around the program.
std::string shipped_rules_folder(Problems& problems);
// rules/human_clients.toml in that folder: programs that people type into, a table that rules and `locks` join.
void load_human_clients(const std::string& folder, Store& store, Problems& problems);
std::vector<std::string> library_folders(const std::vector<std::string>& rule_folders);

// Where declared pools come from.
struct PoolSources {
  std::vector<std::string> files;    // with [[pool]] tables
  std::vector<std::string> imports;  // applications' own files
  std::string import_profile;
};

// Declared pools of dbaudit.toml, pool files and imported files, as rows of `store`.
std::vector<Library> load_pools(const Config& config, const PoolSources& sources,
                                const std::vector<std::string>& folders, const std::vector<PoolChange>& changes,
                                Store& store, std::vector<std::string>& notes, Problems& problems);

}  // namespace dbaudit

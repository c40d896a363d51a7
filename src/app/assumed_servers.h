// --assume: no server at all, the defaults that a version ships with, for pipelines that cannot reach the database.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/problems.h"
#include "base/version.h"
#include "facts/store.h"

namespace dbaudit {

struct Inputs;
struct JudgingArguments;

// The names of the assumed servers: those of --server, else all of dbaudit.toml, else one that is called as assumed.
std::vector<std::string> check_assumed(const JudgingArguments& arguments, const Inputs& inputs, Problems& problems);

// Adds them with rules/defaults/<ID>.toml as their global variables. Everything else was not observed, and no grant
// could change that.
void add_assumed(const JudgingArguments& arguments, const Inputs& inputs, Store& store, Problems& problems);

// One file of rules/defaults.
struct Defaults {
  std::string flavor;
  std::string version;
  std::vector<std::pair<std::string, Value>> variables;
  // What the version has besides, without a default that is the same everywhere. Nothing where the file says nothing
  // about them: then `variables` is not all that the version has.
  std::optional<std::vector<std::string>> without_default;
};

// Their names without .toml, such as "mysql-8.4".
std::vector<std::string> known_defaults(const Inputs& inputs);
// Nothing where there is no such file.
std::optional<Defaults> defaults_of(const std::string& id, const Inputs& inputs, Problems& problems);

// rules/defaults/<flavour>-<major>.<minor>.toml; nothing where there is no such file.
std::optional<Defaults> shipped_with(const ServerVersion& server, const Inputs& inputs);
std::vector<std::pair<std::string, Value>> shipped_defaults(const Inputs& inputs, const ServerVersion& server);

}  // namespace dbaudit

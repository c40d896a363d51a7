// --assume: no server at all, the defaults that a version ships with, for pipelines that cannot reach the database.
#pragma once

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

// rules/defaults/<flavour>-<major>.<minor>.toml; nothing where there is no such file.
std::vector<std::pair<std::string, Value>> shipped_defaults(const Inputs& inputs, const ServerVersion& server);

}  // namespace dbaudit

// --assume: no server at all, the defaults that a version ships with, for pipelines that cannot reach the database.
#pragma once

#include <string>
#include <vector>

#include "base/problems.h"
#include "facts/store.h"

namespace dbaudit {

struct Inputs;
struct JudgingArguments;

// The names of the assumed servers: those of --server, else all of dbaudit.toml, else one that is called as assumed.
std::vector<std::string> check_assumed(const JudgingArguments& arguments, const Inputs& inputs, Problems& problems);

// Adds them with rules/defaults/<ID>.toml as their global variables. Everything else was not observed, and no grant
// could change that.
void add_assumed(const JudgingArguments& arguments, const Inputs& inputs, Store& store, Problems& problems);

}  // namespace dbaudit

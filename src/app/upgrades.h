// upgrade_to of a [[server]]: the version that the server is to have next.
#pragma once

#include "base/problems.h"
#include "facts/store.h"

namespace dbaudit {

struct Inputs;

// Versions whose defaults are not known, before any server is contacted.
void check_upgrades(const Inputs& inputs, Problems& problems);

// Fills the tables `upgrade` and `upgrade_variable`, for the servers of `store`; what was in them before is gone.
void add_upgrades(const Inputs& inputs, Store& store);

}  // namespace dbaudit

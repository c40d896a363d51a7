// [expect.ENVIRONMENT] of dbaudit.toml: values of global variables that must hold.
#pragma once

#include "base/problems.h"
#include "config/config.h"
#include "facts/store.h"

namespace dbaudit {

// Variables that no server has and values that no server takes, before any server is contacted.
void check_expectations(const Config& config, Problems& problems);

// Fills the table `expectation`, for the servers of `store` as their variables are now; what was in it before is gone.
void add_expectations(const Config& config, Store& store);

}  // namespace dbaudit

// Text for `dbaudit pools list`, `pools show LIBRARY` and `pools explain POOL`: at most 80 columns wide, ending in a
// line break. Pure functions of descriptions and facts.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "facts/store.h"
#include "pools/library.h"

namespace dbaudit {

std::string list_libraries(const std::vector<Library>& libraries);
std::string show_library(const Library& library);

// Every setting and every derived number of one declared pool, and where it came from. `libraries` are those that
// derive_pools returned. An Error when no pool of this name was declared.
Result<std::string> explain_pool(Store& store, const std::string& pool, const std::vector<Library>& libraries);

}  // namespace dbaudit

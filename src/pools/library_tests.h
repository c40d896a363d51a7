// The [[test]] tables inside library descriptions: declared pools in, derived facts out.
//
//   name      what the case shows
//   pool      keys of a [[pool]] table, without name and library
//   expect    column of the fact table `pool` -> number, text, inf (unlimited) or "unknown"
//   changed   settings whose declared value the library replaces; left out: none
//   rejected  settings that it refuses; left out: none
#pragma once

#include <string>
#include <vector>

#include "base/problems.h"
#include "pools/library.h"

namespace dbaudit {

struct LibraryTests {
  std::size_t count = 0;
  std::vector<std::string> failures;  // one line each
};

// Runs those of one description; `folders` are where descriptions are looked up.
LibraryTests run_library_tests(const Library& library, const std::vector<std::string>& folders, Problems& problems);

}  // namespace dbaudit

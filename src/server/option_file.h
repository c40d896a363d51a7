// MySQL option files (my.cnf): which files are read, and what they say in a program's groups.
//
// Read here and not by the client library, which silently ignores a missing file, an unknown ssl-mode and a port.
// Rules: MySQL 8.4 reference manual, 6.2.2.2 "Using Option Files". Dashes and underscores in names are the same.
#pragma once

#include <string>
#include <vector>

#include "base/problems.h"

namespace dbaudit {

struct OptionFileEntry {
  std::string group;
  std::string key;    // with underscores, without loose_
  std::string value;  // unquoted, escapes resolved; empty when the key stands alone
  bool has_value = false;
  std::string file;
  int line = 0;
};

// All entries of one file and the files it includes, in order. What cannot be read or understood is a problem; so is
// a world-writable file (MySQL's own programs ignore those).
std::vector<OptionFileEntry> read_option_file(const std::string& path, Problems& problems);

struct OptionFileChoice {
  std::string defaults_file;        // only this one; must exist
  std::string defaults_extra_file;  // in addition; must exist
  std::string group_suffix;
  std::string home;  // where .my.cnf is
};

// The entries of [client] and [dbaudit] (and of both with the suffix) in the order in which later ones win.
std::vector<OptionFileEntry> client_options(const OptionFileChoice& choice, Problems& problems);

}  // namespace dbaudit

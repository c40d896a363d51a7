// Every global variable and status counter of the supported servers: the columns of the wide tables global_variables
// and global_status, and what makes a misspelt name in a rule an error.
//
// Generated at build time from src/facts/known_variables.txt and known_status.txt, one "name flavour..." a line.
#pragma once

#include <span>
#include <string_view>

namespace dbaudit {

struct KnownName {
  std::string_view name;  // lower case
  bool mysql;
  bool mariadb;
  bool mysql_restart = false;  // read only there: a change needs a restart
  bool mariadb_restart = false;
};

std::span<const KnownName> known_variables();
std::span<const KnownName> known_status_counters();

}  // namespace dbaudit

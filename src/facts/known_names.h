// Every global variable and status counter of the supported servers: the columns of the wide tables global_variables
// and global_status, and what makes a misspelt name in a rule an error.
//
// Generated at build time from src/facts/known_variables.txt, known_status.txt and known_options.txt, one
// "name flavour[:word...]..." a line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/version.h"

namespace dbaudit {

enum class VariableType : unsigned char { other, integer, real, boolean };

// What the servers of one flavour know of a name.
struct KnownIn {
  bool known = false;
  bool restart = false;  // read only there: a change needs a restart
  bool session = false;  // sessions have a value of their own, and open ones keep it
  bool early = false;    // the option is looked for, also abbreviated, before all others are
  VariableType type = VariableType::other;
  double least = 0;  // of numbers: what is outside of the range is moved to its end
  double most = 0;
};

struct KnownName {
  // In the entry itself: pointers to thousands of names would all be relocated, and their pages copied, at every start.
  char text[64];
  KnownIn mysql;
  KnownIn mariadb;

  [[nodiscard]] constexpr std::string_view name() const { return text; }  // lower case

  [[nodiscard]] constexpr const KnownIn& in(Flavor flavor) const { return flavor == Flavor::mysql ? mysql : mariadb; }
};

std::span<const KnownName> known_variables();
std::span<const KnownName> known_status_counters();
// Options of an option file that are no variables.
std::span<const KnownName> known_options();

// For messages that name the nearest one.
std::vector<std::string> variable_names();

// Null when no server has it.
const KnownName* known_variable(std::string_view name);

}  // namespace dbaudit

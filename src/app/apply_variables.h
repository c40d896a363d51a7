// The variables of a change that has not happened yet, in force in the facts.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "app/proposal.h"
#include "base/version.h"

namespace dbaudit {

// The defaults that a version ships with, as far as they are known.
using ShippedDefaults = std::function<std::vector<std::pair<std::string, Value>>(const ServerVersion& server)>;

// A change of a server that is not part of the run would look like one without consequences.
void check_server_names(const Proposal& proposal, const std::vector<std::string>& names, Problems& problems);

// Writes the variables into the facts of the servers that they are meant for. A variable that such a server lacks and a
// value that it would refuse are problems. What it would adjust, servers that could not be read, values that lose
// against a persisted one and those that are lost when it starts are said in `notes`.
void apply_variables(const Proposal& proposal, const ShippedDefaults& shipped, Store& store,
                     std::vector<std::string>& notes, Problems& problems);

}  // namespace dbaudit

// The facts of a run with a part of a proposed change in force.
#pragma once

#include <string>
#include <vector>

#include "app/judged_facts.h"
#include "app/proposal.h"

namespace dbaudit {

// A store of its own with the facts of `facts`, the pools as `proposal` has them, and its variables. Problems are those
// of apply_variables(); `facts` has been read.
Store changed_facts(const JudgingArguments& arguments, JudgedFacts& facts, const Proposal& proposal,
                    std::vector<std::string>& notes, Problems& problems);

}  // namespace dbaudit

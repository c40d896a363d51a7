// The facts of a run with a part of a proposed change in force.
#pragma once

#include <string>
#include <vector>

#include "app/judged_facts.h"
#include "app/proposal.h"

namespace dbaudit {

// The pools as `proposal` has them, without any facts: what must be sound before a server is asked.
Store changed_pools(const JudgingArguments& arguments, const JudgedFacts& facts, const Proposal& proposal,
                    Problems& problems);

// `pools` with the facts of `facts`, which have been read, and the variables of `proposal`. Problems are those of
// apply_variables().
Store changed_facts(Store pools, JudgedFacts& facts, const Proposal& proposal, std::vector<std::string>& notes,
                    Problems& problems);

}  // namespace dbaudit

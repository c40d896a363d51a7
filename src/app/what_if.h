// What check and plan judge: today's facts, and those with a change in force that has not happened yet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/judged_facts.h"
#include "app/proposal.h"

namespace dbaudit {

struct WhatIf {
  JudgedFacts facts;  // of today
  Proposal proposal;
  Store wanted;                    // the pools as proposed; after read_what_if() all facts
  std::vector<Library> libraries;  // of the pools as proposed
};

// Everything that can be checked before a server is contacted.
WhatIf load_what_if(const JudgingArguments& judging, const ProposalArguments& proposal, Problems& problems);

// Reads the facts and puts the change in force. The exit code where that failed or something was wrong before; why was
// printed.
std::optional<int> read_what_if(const JudgingArguments& judging, WhatIf& change, Problems& problems);

// The facts with only this part of the change in force.
Store with_part(const JudgingArguments& judging, WhatIf& change, const Proposal& part, Problems& problems);

}  // namespace dbaudit

#include "app/what_if.h"

#include "app/apply_variables.h"
#include "app/assumed_servers.h"
#include "app/output.h"

namespace dbaudit {
namespace {

// `pools` with the facts that were read and the variables of `proposal`.
Store with_facts(Store pools, JudgedFacts& facts, const Proposal& proposal, std::vector<std::string>& notes,
                 Problems& problems) {
  pools.add_facts(facts.store);
  apply_memory(proposal.memory, facts.inputs, pools, notes);
  const auto shipped = [&facts](const ServerVersion& server) { return shipped_defaults(facts.inputs, server); };
  apply_variables(proposal, shipped, pools, notes, problems);
  work_out(facts.inputs, pools);
  return pools;
}

// What names servers must name those of this run.
void check_servers(WhatIf& change, Problems& problems) {
  check_server_names(change.proposal, change.facts.server_names, problems);
  check_moved_pools(change.facts, change.proposal.pools, change.wanted, problems);
}

}  // namespace

WhatIf load_what_if(const JudgingArguments& judging, const ProposalArguments& proposal, Problems& problems) {
  WhatIf change;
  change.facts = load_judged_facts(judging, problems);
  change.proposal = parse_proposal(proposal, pool_names(change.facts.store), problems);
  change.libraries = load_declared(judging.inputs, change.facts.inputs, change.proposal.pools, change.wanted, problems);
  if (judging.from.empty()) check_servers(change, problems);
  return change;
}

std::optional<int> read_what_if(const JudgingArguments& judging, WhatIf& change, Problems& problems) {
  if (!problems.empty()) return report_problems(problems);
  if (const Status read = read_judged_facts(judging, change.facts, problems); !read) return report_error(read.error());
  if (!judging.from.empty()) check_servers(change, problems);
  if (!problems.empty()) return report_problems(problems);
  std::vector<std::string> notes;
  change.wanted = with_facts(std::move(change.wanted), change.facts, change.proposal, notes, problems);
  if (!problems.empty()) return report_problems(problems);
  for (const std::string& note : notes) write_stderr(note);
  return std::nullopt;
}

Store with_part(const JudgingArguments& judging, WhatIf& change, const Proposal& part, Problems& problems) {
  Store pools;
  load_declared(judging.inputs, change.facts.inputs, part.pools, pools, problems);
  std::vector<std::string> said_before;
  return with_facts(std::move(pools), change.facts, part, said_before, problems);
}

}  // namespace dbaudit

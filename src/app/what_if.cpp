#include "app/what_if.h"

#include "pools/limits.h"

namespace dbaudit {

Store changed_pools(const JudgingArguments& arguments, const JudgedFacts& facts, const Proposal& proposal,
                    Problems& problems) {
  Store changed;
  load_declared(arguments.inputs, facts.inputs, proposal.pools, changed, problems);
  return changed;
}

Store changed_facts(Store pools, JudgedFacts& facts, const Proposal& proposal, std::vector<std::string>& notes,
                    Problems& problems) {
  pools.add_facts(facts.store);
  apply_memory(proposal.memory, facts.inputs, pools, notes, problems);
  apply_variables(proposal, pools, notes, problems);
  add_pool_limits(pools);
  return pools;
}

}  // namespace dbaudit

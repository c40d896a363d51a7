#include "app/what_if.h"

#include "pools/limits.h"

namespace dbaudit {

Store changed_facts(const JudgingArguments& arguments, JudgedFacts& facts, const Proposal& proposal,
                    std::vector<std::string>& notes, Problems& problems) {
  Store changed;
  load_declared(arguments.inputs, facts.inputs, proposal.pools, changed, problems);
  changed.add_facts(facts.store);
  apply_variables(proposal, changed, notes, problems);
  add_pool_limits(changed);
  return changed;
}

}  // namespace dbaudit

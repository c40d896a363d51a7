#include "rules/compare.h"

#include <map>
#include <set>

namespace dbaudit {
namespace {

Change change_of(const RuleResult& after, const RuleResult* before) {
  const bool failed = before != nullptr && before->outcome == Outcome::fail;
  if (after.outcome == Outcome::pass) return failed && !after.instead ? Change::fixed : Change::same;
  if (after.outcome == Outcome::not_applicable) return Change::same;
  if (before == nullptr || before->outcome != after.outcome) return Change::introduced;
  // What was only a warning and is an error now is news.
  return after.outcome == Outcome::fail && after.severity > before->severity ? Change::introduced : Change::same;
}

}  // namespace

void mark_changes(AuditResult& after, const AuditResult& before) {
  std::map<std::string, const RuleResult*> old;
  for (const RuleResult& result : before.results) old[result.fingerprint] = &result;
  std::set<std::string> still_there;
  std::set<std::pair<std::string, std::string>> unknown;  // rule, server: nobody can tell what became of its subjects
  for (RuleResult& result : after.results) {
    const auto found = old.find(result.fingerprint);
    result.change = change_of(result, found == old.end() ? nullptr : found->second);
    still_there.insert(result.fingerprint);
    if (result.outcome == Outcome::unknown) unknown.emplace(result.rule, result.server);
  }
  for (const RuleResult& result : before.results) {
    if (result.outcome != Outcome::fail || still_there.contains(result.fingerprint) ||
        unknown.contains({result.rule, result.server}))
      continue;
    RuleResult gone = result;
    gone.outcome = Outcome::pass;
    gone.message.clear();
    gone.why.clear();
    gone.remedy.clear();
    gone.evidence.clear();
    gone.change = Change::fixed;
    after.results.push_back(std::move(gone));
  }
}

}  // namespace dbaudit

// What a change that has not happened yet would make of the findings.
#pragma once

#include "rules/result.h"

namespace dbaudit {

// Fills RuleResult::change of `after`: `introduced` for a finding (or an unknown) that `before` does not have, `fixed`
// for what passes now and failed before, `same` for all the rest. A finding whose subject does not exist any more is
// added to `after` as a pass that is fixed. Results are matched by fingerprint.
void mark_changes(AuditResult& after, const AuditResult& before);

}  // namespace dbaudit

// A baseline: the findings of a day, so that later runs fail only on what is new. A text file, one finding a line, in
// the order of its lines' text, so that two versions of it compare well:
//
//   # dbaudit baseline 1
//   9f2c51e0a3b7d846<TAB>error<TAB>POOL001<TAB>shop-primary<TAB>checkout-api
//
// Fingerprint and severity decide: what was a warning and is an error now is new. Rule, server and subject are for
// people, and tell which lines a run can judge.
#pragma once

#include <string>
#include <vector>

#include "base/problems.h"
#include "rules/result.h"

namespace dbaudit {

struct BaselineEntry {
  std::string fingerprint;
  Severity severity = Severity::error;
  std::string rule;
  std::string server;
  std::string subject;
};

std::vector<BaselineEntry> parse_baseline(const std::string& text, const std::string& file, Problems& problems);
std::string render_baseline(const std::vector<BaselineEntry>& entries);

// Of every failure that is not waived.
std::vector<BaselineEntry> baseline_of(const AuditResult& audit);

// Fills RuleResult::known of failures. One whose waiver has expired is not known: it counts again.
void mark_known(AuditResult& audit, const std::vector<BaselineEntry>& entries);

// Without the entries that this run has seen to be gone. One whose server was not read, whose rule was not judged
// there or did not apply, or of which something is unknown there, stays; and nothing is added.
std::vector<BaselineEntry> pruned_baseline(const std::vector<BaselineEntry>& entries, const AuditResult& audit);

}  // namespace dbaudit

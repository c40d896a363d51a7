// Results of rules, made by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rules/result.h"

namespace dbaudit {

inline RuleResult made_result(const std::string& rule, const std::string& server, const std::string& subject,
                              Outcome outcome, Severity severity = Severity::error) {
  RuleResult made;
  made.rule = rule;
  made.server = server;
  made.subject = subject;
  made.outcome = outcome;
  made.severity = severity;
  made.fingerprint = fingerprint(rule, server, subject);
  return made;
}

inline AuditResult audit_of(std::vector<RuleResult> results) {
  AuditResult made;
  made.results = std::move(results);
  return made;
}

}  // namespace dbaudit

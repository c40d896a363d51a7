// Waivers: failures that a team accepts until a day, with a reason and an owner ([[waiver]] of dbaudit.toml). What is
// waived does not count, and is never hidden; one that has expired counts again and says so; one that nothing needs is
// reported, because it would silently accept what comes later.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/problems.h"
#include "base/toml.h"
#include "rules/result.h"

namespace dbaudit {

struct Waiver {
  std::string rule;
  std::string subject = "*";  // glob
  std::string server = "*";   // glob
  std::string reason;
  std::string owner;
  std::chrono::year_month_day until;  // the last day on which it holds, in UTC
  std::string file;
  int line = 0;
};

// `rules` are the ids of all rules there are, also of those that this run leaves out.
std::vector<Waiver> parse_waivers(const std::vector<TomlValue>& tables, const std::string& file,
                                  const std::vector<std::string>& rules, Problems& problems);

// Failures that a waiver matches become `waived`, or, where it has expired, stay failures that carry it. Where several
// match, the one that holds longest counts.
void mark_waived(AuditResult& audit, const std::vector<Waiver>& waivers, std::chrono::sys_days today);
// Of a whole run that has been marked: those that matched no failure, of rules that were judged where the waiver holds,
// without anything unknown. `declared` are the names of all servers of dbaudit.toml: a waiver that holds on one that
// was left out of this run may be needed there.
std::vector<UnusedWaiver> unused_waivers(const AuditResult& audit, const std::vector<Waiver>& waivers,
                                         const std::vector<std::string>& declared);

// "2027-01-31"
std::string to_string(std::chrono::year_month_day day);

}  // namespace dbaudit

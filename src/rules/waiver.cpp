#include "rules/waiver.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace dbaudit {
namespace {

Waiver parse_waiver(const TomlValue& table, const std::string& file, const std::vector<std::string>& rules,
                    Problems& problems) {
  TomlReader reader(table, file, "[[waiver]]", problems);
  Waiver waiver;
  waiver.file = file;
  waiver.line = table.line;
  waiver.rule = reader.required_text("rule");
  if (!waiver.rule.empty() && std::find(rules.begin(), rules.end(), waiver.rule) == rules.end())
    reader.problem("rule", fmt::format("no rule '{}'{}", printable(waiver.rule), did_you_mean(waiver.rule, rules)));
  waiver.subject = reader.text("subject").value_or("*");
  waiver.server = reader.text("server").value_or("*");
  waiver.reason = trimmed(reader.required_text("reason"));
  waiver.owner = trimmed(reader.required_text("owner"));
  for (const auto& [key, text] : {std::pair{"reason", waiver.reason}, std::pair{"owner", waiver.owner}}) {
    if (text.empty() && reader.has(key)) reader.problem(key, fmt::format("'{}' says nothing", key));
  }
  if (const std::optional<TomlDate> until = reader.date("until")) {
    waiver.until = std::chrono::year(until->year) / static_cast<int>(until->month) / static_cast<int>(until->day);
  } else if (reader.value("until") == nullptr) {
    reader.problem("until", "'until' is missing: the last day on which it holds, such as 2027-01-31");
  }
  reader.finish();
  return waiver;
}

bool matches(const Waiver& waiver, const RuleResult& result) {
  return waiver.rule == result.rule && matches_glob(waiver.server, result.server) &&
         matches_glob(waiver.subject, result.subject);
}

// Whether every failure that a waiver may be for has been seen: its rule was judged on some server that it names,
// nothing about it was unknown there, and no server that it names was left out of this run.
bool is_all_seen(const AuditResult& audit, const Waiver& waiver, const std::vector<std::string>& declared) {
  for (const std::string& name : declared) {
    if (!matches_glob(waiver.server, name)) continue;
    const bool part_of_run = std::any_of(audit.servers.begin(), audit.servers.end(),
                                         [&name](const AuditedServer& server) { return server.name == name; });
    if (!part_of_run) return false;
  }
  bool judged = false;
  for (const RuleResult& result : audit.results) {
    if (waiver.rule != result.rule || !matches_glob(waiver.server, result.server)) continue;
    if (result.outcome == Outcome::unknown) return false;
    judged = judged || result.outcome != Outcome::not_applicable;
  }
  return judged;
}

}  // namespace

std::vector<Waiver> parse_waivers(const std::vector<TomlValue>& tables, const std::string& file,
                                  const std::vector<std::string>& rules, Problems& problems) {
  std::vector<Waiver> waivers;
  waivers.reserve(tables.size());
  for (const TomlValue& table : tables) waivers.push_back(parse_waiver(table, file, rules, problems));
  return waivers;
}

void mark_waived(AuditResult& audit, const std::vector<Waiver>& waivers, std::chrono::sys_days today) {
  for (RuleResult& result : audit.results) {
    if (result.outcome != Outcome::fail) continue;
    const Waiver* longest = nullptr;
    for (const Waiver& waiver : waivers) {
      if (matches(waiver, result) && (longest == nullptr || waiver.until > longest->until)) longest = &waiver;
    }
    if (longest == nullptr) continue;
    const bool expired = today > std::chrono::sys_days(longest->until);
    result.waiver = WaivedBy{longest->reason, longest->owner, to_string(longest->until), expired};
    if (!expired) result.outcome = Outcome::waived;
  }
}

std::vector<UnusedWaiver> unused_waivers(const AuditResult& audit, const std::vector<Waiver>& waivers,
                                         const std::vector<std::string>& declared) {
  std::vector<UnusedWaiver> unused;
  for (const Waiver& waiver : waivers) {
    // What a proposed change mends is there until it is made.
    const bool used = std::any_of(audit.results.begin(), audit.results.end(), [&](const RuleResult& result) {
      return (result.waiver || result.change == Change::fixed) && matches(waiver, result);
    });
    if (!used && is_all_seen(audit, waiver, declared))
      unused.push_back({waiver.rule, waiver.server, waiver.subject, waiver.reason, waiver.owner,
                        to_string(waiver.until), waiver.file, waiver.line});
  }
  return unused;
}

std::string to_string(std::chrono::year_month_day day) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

}  // namespace dbaudit

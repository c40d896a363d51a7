#include "rules/baseline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"

namespace dbaudit {
namespace {

constexpr std::string_view kFirstLine = "# dbaudit baseline 1";
constexpr std::size_t kFingerprintLength = 16;

bool is_fingerprint(std::string_view text) {
  return text.size() == kFingerprintLength && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string line_of(const BaselineEntry& entry) {
  return fmt::format("{}\t{}\t{}\t{}\t{}", entry.fingerprint, to_string(entry.severity), entry.rule,
                     printable(entry.server), printable(bounded(entry.subject, 200)));
}

}  // namespace

std::vector<BaselineEntry> parse_baseline(const std::string& text, const std::string& file, Problems& problems) {
  std::vector<BaselineEntry> entries;
  const std::vector<std::string> lines = split(text, '\n');
  if (trimmed(lines.front()) != kFirstLine) {
    problems.add(file, 1,
                 fmt::format("this is no baseline that this dbaudit knows: its first line is not '{}'", kFirstLine));
    return entries;
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    std::string line = lines[i];
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> fields = split(line, '\t');
    const std::optional<Severity> severity = fields.size() == 5 ? parse_severity(fields[1]) : std::nullopt;
    if (!severity || !is_fingerprint(fields[0])) {
      problems.add(
          file, static_cast<int>(i) + 1,
          "a line of a baseline is a fingerprint, a severity, a rule, a server and a subject, with tabs between them");
      continue;
    }
    entries.push_back({fields[0], *severity, fields[2], fields[3], fields[4]});
  }
  return entries;
}

std::string render_baseline(const std::vector<BaselineEntry>& entries) {
  std::vector<std::string> lines;
  for (const BaselineEntry& entry : entries) lines.push_back(line_of(entry));
  // By severity, rule, server and subject: where people look for them.
  std::sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    return a.compare(kFingerprintLength, std::string::npos, b, kFingerprintLength, std::string::npos) < 0;
  });
  std::string text = fmt::format("{}\n", kFirstLine);
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::vector<BaselineEntry> baseline_of(const AuditResult& audit) {
  std::vector<BaselineEntry> entries;
  for (const RuleResult& result : audit.results) {
    if (result.outcome == Outcome::fail)
      entries.push_back({result.fingerprint, result.severity, result.rule, result.server, result.subject});
  }
  return entries;
}

void mark_known(AuditResult& audit, const std::vector<BaselineEntry>& entries) {
  std::unordered_map<std::string, Severity> known;
  for (const BaselineEntry& entry : entries) {
    Severity& severity = known.try_emplace(entry.fingerprint, entry.severity).first->second;
    severity = std::max(severity, entry.severity);
  }
  for (RuleResult& result : audit.results) {
    if (result.outcome != Outcome::fail) continue;
    const auto found = known.find(result.fingerprint);
    result.known = found != known.end() && result.severity <= found->second && !result.waiver;
  }
}

std::vector<BaselineEntry> pruned_baseline(const std::vector<BaselineEntry>& entries, const AuditResult& audit) {
  std::unordered_set<std::string> failing;
  std::map<std::pair<std::string, std::string>, bool> judged;  // rule and server: whether all of it was known
  for (const RuleResult& result : audit.results) {
    if (result.outcome == Outcome::fail || result.outcome == Outcome::waived) failing.insert(result.fingerprint);
    bool& whole = judged.try_emplace({result.rule, printable(result.server)}, true).first->second;
    whole = whole && result.outcome != Outcome::unknown && result.outcome != Outcome::not_applicable;
  }
  std::vector<BaselineEntry> kept;
  for (const BaselineEntry& entry : entries) {
    const auto seen = judged.find({entry.rule, entry.server});
    const bool gone = seen != judged.end() && seen->second && !failing.contains(entry.fingerprint);
    if (!gone) kept.push_back(entry);
  }
  return kept;
}

}  // namespace dbaudit

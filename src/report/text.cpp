#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/units.h"
#include "report/report.h"

namespace dbaudit {
namespace {

constexpr std::size_t kMessageBytes = 1500;
constexpr std::size_t kEvidenceBytes = 160;
constexpr int kShownOfARule = 10;  // findings of one rule and severity; the rest is counted

class Text {
 public:
  explicit Text(const TextOptions& options) : options_(options) {}

  // `text` wrapped; the first line begins with `first`, the others with as many spaces.
  void paragraph(std::string_view first, const std::string& text) { paragraph(first, display_width(first), text); }
  // For a coloured `first`, whose width is `indent`.
  void paragraph(std::string_view first, std::size_t indent, const std::string& text) {
    std::string lead(first);
    for (const std::string& line :
         wrap(bounded(printable(text), kMessageBytes), std::max<std::size_t>(30, options_.width - indent))) {
      out += lead + line + "\n";
      lead.assign(indent, ' ');
    }
  }

  [[nodiscard]] std::string coloured(const std::string& text, const char* code) const {
    return options_.colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }

  [[nodiscard]] std::size_t width() const { return options_.width; }

  std::string out;

 private:
  const TextOptions& options_;
};

// "wait_timeout_s" -> "wait_timeout = 3 min": units are in the names.
std::string evidence_item(const std::string& name, const Value& value) {
  const std::optional<double> number = number_of(value);
  const auto ends_with = [&name](std::string_view end) {
    return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
  };
  std::string text = is_null(value) ? "unknown" : text_of(value);
  std::string label = name;
  if (number && ends_with("_s")) {
    text = format_duration(*number);
    label.resize(label.size() - 2);
  } else if (number && ends_with("_bytes")) {
    text = format_bytes(*number);
    label.resize(label.size() - 6);
  } else if (!number && text.find(' ') != std::string::npos) {
    text = "'" + text + "'";
  }
  return fmt::format("{} = {}", label, bounded(printable(text), kEvidenceBytes));
}

std::string subject_of(const RuleResult& result, bool name_server) {
  return name_server && result.subject != result.server ? result.server + ": " + result.subject : result.subject;
}

void write_failure(Text& text, const RuleResult& result, bool name_server) {
  std::string word = to_string(result.severity);
  std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(c - 32); });
  const char* colour = result.severity == Severity::error ? "1;31" : result.severity == Severity::warning ? "33" : "36";
  const std::string subject = subject_of(result, name_server);
  const std::string_view change = !result.change ? "" : result.change == Change::introduced ? "NEW   " : "stays ";
  const std::string lead = fmt::format("{:<8} {}{}  ", word, change, result.rule);
  const std::string coloured_lead = text.coloured(lead.substr(0, 8), colour) + lead.substr(8);
  text.paragraph(coloured_lead, display_width(lead), bounded(subject, 200));
  text.paragraph("  ", result.message);
  if (!result.why.empty()) text.paragraph("  why:  ", result.why);
  std::vector<std::string> items;
  for (const auto& [name, value] : result.evidence) {
    // Long texts that the message or the remedy quotes are not said twice.
    const auto* quoted = std::get_if<std::string>(&value);
    const auto quoted_in = [quoted](const std::string& in) { return in.find(*quoted) != std::string::npos; };
    if (quoted != nullptr && quoted->size() > 20 && (quoted_in(result.message) || quoted_in(result.remedy))) continue;
    items.push_back(evidence_item(name, value));
  }
  if (!items.empty()) text.paragraph("  seen: ", join(items, ", "));
  if (!result.remedy.empty()) text.paragraph("  do:   ", result.remedy);
  if (result.waiver)
    text.paragraph("  note: ", fmt::format("the waiver of {} expired on {}: {}", result.waiver->owner,
                                           result.waiver->until, result.waiver->reason));
  text.out += "\n";
}

// Nothing waived is hidden, however many there are.
void write_waived(Text& text, const AuditResult& audit, bool name_server) {
  const std::size_t before = text.out.size();
  for (const RuleResult& result : audit.results) {
    if (result.outcome != Outcome::waived) continue;
    if (text.out.size() == before) text.out += "Waived:\n";
    text.paragraph(fmt::format("  {}  ", result.rule),
                   fmt::format("{}: {}", bounded(subject_of(result, name_server), 200), result.message));
    text.paragraph("    by ",
                   fmt::format("{} until {}: {}", result.waiver->owner, result.waiver->until, result.waiver->reason));
  }
  if (text.out.size() != before) text.out += "\n";
}

void write_unused_waivers(Text& text, const AuditResult& audit) {
  if (audit.unused_waivers.empty()) return;
  text.out += "Waivers that nothing needs; take them out, or they accept what comes later:\n";
  for (const UnusedWaiver& waiver : audit.unused_waivers) {
    text.paragraph("  ", fmt::format("{}:{}: {} for {}{}, until {} ({}): {}", waiver.file, waiver.line, waiver.rule,
                                     waiver.server == "*" ? "" : waiver.server + ": ", waiver.subject, waiver.until,
                                     waiver.owner, waiver.reason));
  }
  text.out += "\n";
}

// Failures that are in the baseline: a line each.
void write_known(Text& text, const AuditResult& audit, const TextOptions& options, bool name_server) {
  std::map<std::string, int> shown;
  std::map<std::string, int> folded;
  const std::size_t before = text.out.size();
  for (const RuleResult& result : audit.results) {
    if (!result.known.value_or(false)) continue;
    if (text.out.size() == before) text.out += "In the baseline, so not counted:\n";
    if (!options.verbose && shown[result.rule]++ >= kShownOfARule) {
      ++folded[result.rule];
      continue;
    }
    text.paragraph("  ",
                   fmt::format("{}  {}: {}", result.rule, bounded(subject_of(result, name_server), 200), result.title));
  }
  for (const auto& [rule, count] : folded)
    text.out += fmt::format("  ... and {} more of {} (--verbose lists all)\n", format_count(count), rule);
  if (text.out.size() != before) text.out += "\n";
}

// What a proposed change mends.
void write_fixed(Text& text, const AuditResult& audit, bool name_server) {
  const std::size_t before = text.out.size();
  for (const RuleResult& result : audit.results) {
    if (result.change != Change::fixed) continue;
    if (text.out.size() == before) text.out += "Fixed by the change:\n";
    text.paragraph("  ", fmt::format("{}  {}{}: {}", result.rule, name_server ? result.server + ": " : "",
                                     result.subject, result.title));
  }
  if (text.out.size() != before) text.out += "\n";
}

// "TRX001, VAR002 wait_timeout, lock_wait_timeout and 3 more": rules, and what they could not judge where that is not
// the whole server.
class Unjudged {
 public:
  void add(const RuleResult& result) {
    const bool first = subjects_.empty() || subjects_.back().first != result.rule;
    if (first) subjects_.emplace_back(result.rule, 0);
    if (result.subject == result.server) {
      if (first) words_.push_back(result.rule);
      return;
    }
    const std::size_t count = ++subjects_.back().second;
    const std::string subject = bounded(result.subject, 80);
    if (count == 1) words_.push_back(result.rule + " " + subject);
    if (count > 1 && count <= kShownSubjects) words_.push_back(subject);
    if (count > kShownSubjects) ++more_;
  }
  [[nodiscard]] std::string text() const {
    return join(words_, ", ") + (more_ > 0 ? fmt::format(" and {} more", format_count(more_)) : "");
  }

 private:
  static constexpr std::size_t kShownSubjects = 5;
  std::vector<std::pair<std::string, std::size_t>> subjects_;  // rule, how many of its subjects
  std::vector<std::string> words_;
  int more_ = 0;
};

// Unknown results that have the same reason are one entry.
void write_unknown(Text& text, const AuditResult& audit, const TextOptions& options, bool name_server) {
  struct Group {
    Unjudged what;
    std::string remedy;
    bool curable = true;
  };
  std::vector<std::pair<std::string, Group>> groups;
  std::map<std::string, int> groups_of;  // by rule: a reason of its own for each of a thousand sessions is too much
  std::map<std::string, int> folded;
  for (const RuleResult& result : audit.results) {
    if (result.outcome != Outcome::unknown) continue;
    const std::string key = (name_server ? result.server + ": " : std::string()) + result.reason.value_or("");
    auto found = std::find_if(groups.begin(), groups.end(), [&key](const auto& group) { return group.first == key; });
    if (found == groups.end()) {
      if (!options.verbose && groups_of[result.rule]++ >= kShownOfARule) {
        ++folded[result.rule];
        continue;
      }
      found = groups.insert(groups.end(), {key, Group{}});
    }
    Group& group = found->second;
    group.what.add(result);
    group.remedy = result.remedy;
    group.curable = result.curable;
  }
  if (groups.empty()) return;
  text.out += "Not known, so not judged:\n";
  for (const auto& [reason, group] : groups) {
    text.paragraph("  ", fmt::format("{}: {}", group.what.text(), reason));
    if (!group.remedy.empty()) text.paragraph("    do: ", group.remedy);
    if (!group.curable) text.paragraph("    ", "No grant and no setting of this server can cure that.");
  }
  for (const auto& [rule, count] : folded)
    text.out += fmt::format("  ... and {} more of {} (--verbose lists all)\n", format_count(count), rule);
  text.out += "\n";
}

void write_header(Text& text, const AuditedServer& server) {
  const std::string version = server.version ? to_string(*server.version) : "";
  std::string rest = version.empty() ? "" : "  " + version;
  const bool assumed = server.door == "assumed";
  if (assumed) {
    rest += "  (its defaults; no server was asked)";
  } else if (server.door && *server.door != "normal port" && *server.door != "socket") {
    rest += fmt::format("  (through the {})", *server.door);
  }
  const std::string name = printable(server.name);
  if (display_width(name + rest) <= text.width()) {
    text.out += text.coloured(name, "1") + rest + "\n";
  } else {
    text.paragraph("", server.name + rest);
  }
  if (!server.reachable) text.paragraph("  NOT REACHED: ", server.error.value_or("no reason known"));
  for (const SourceState& source : server.sources) {
    if (!server.reachable || assumed || source.status == "read") continue;
    text.paragraph(fmt::format("  {} ", source.status == "partial" ? "partly read:" : "not read:"),
                   fmt::format("{}: {}", source.source, source.reason.value_or("no reason known")));
  }
}

}  // namespace

std::string render_text(const AuditResult& audit, const TextOptions& options) {
  Text text(options);
  const bool several = audit.servers.size() > 1;
  for (const AuditedServer& server : audit.servers) write_header(text, server);
  text.out += "\n";

  std::vector<const RuleResult*> failures;
  for (const RuleResult& result : audit.results) {
    if (result.outcome == Outcome::fail && !result.known.value_or(false)) failures.push_back(&result);
  }
  // What the change brings comes before what was there already.
  std::stable_sort(failures.begin(), failures.end(), [](const RuleResult* a, const RuleResult* b) {
    const bool a_is_new = a->change == Change::introduced;
    const bool b_is_new = b->change == Change::introduced;
    return a_is_new != b_is_new ? a_is_new : a->severity > b->severity;
  });
  std::map<std::pair<std::string, Severity>, int> shown;
  std::map<std::pair<std::string, Severity>, int> folded;
  for (const RuleResult* failure : failures) {
    const auto key = std::pair{failure->rule, failure->severity};
    if (options.verbose || shown[key]++ < kShownOfARule) {
      write_failure(text, *failure, several);
    } else {
      ++folded[key];
    }
  }
  for (const auto& [key, count] : folded) {
    text.out += fmt::format("... and {} more of {}, {} (--verbose lists all)\n\n", format_count(count), key.first,
                            to_string(key.second));
  }
  write_fixed(text, audit, several);
  write_known(text, audit, options, several);
  write_waived(text, audit, several);
  write_unused_waivers(text, audit);
  write_unknown(text, audit, options, several);

  if (options.verbose) {
    for (const RuleResult& result : audit.results) {
      if (result.outcome != Outcome::pass && result.outcome != Outcome::not_applicable) continue;
      text.paragraph(result.outcome == Outcome::pass ? "pass  " : "n/a   ",
                     fmt::format("{}  {}{}{}", result.rule, several ? result.server + ": " : "", result.subject,
                                 result.reason ? " (" + *result.reason + ")" : ""));
    }
    text.out += "\n";
  }

  const Summary summary = summarise(audit);
  const auto reached =
      std::count_if(audit.servers.begin(), audit.servers.end(), [](const AuditedServer& s) { return s.reachable; });
  // Two lines, because one is wider than a terminal.
  text.paragraph("", fmt::format("{} of {} read; {} judged: {}, {}, {} info, {} passed", reached,
                                 counted(audit.servers.size(), "server", "servers"),
                                 summary.pass + summary.errors + summary.warnings + summary.infos,
                                 counted(static_cast<std::size_t>(summary.errors), "error", "errors"),
                                 counted(static_cast<std::size_t>(summary.warnings), "warning", "warnings"),
                                 summary.infos, summary.pass));
  text.paragraph("", fmt::format("{} unknown, {} not applicable{}{}", summary.unknown, summary.not_applicable,
                                 summary.waived > 0 ? fmt::format(", {} waived", summary.waived) : "",
                                 summary.known ? fmt::format(", {} in the baseline", *summary.known) : ""));
  if (std::any_of(audit.results.begin(), audit.results.end(), [](const RuleResult& r) { return r.change; })) {
    const auto findings = [&audit](Change change, Outcome outcome) {
      return std::count_if(audit.results.begin(), audit.results.end(), [&](const RuleResult& result) {
        return result.change == change && result.outcome == outcome;
      });
    };
    text.paragraph(
        "", fmt::format("with the change: {} new, {} fixed, {} as before", findings(Change::introduced, Outcome::fail),
                        findings(Change::fixed, Outcome::pass), findings(Change::same, Outcome::fail)));
  }
  return text.out;
}

}  // namespace dbaudit

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/units.h"
#include "report/plan.h"

namespace dbaudit {
namespace {

void paragraph(std::string& out, std::string_view first, const std::string& text, std::size_t width) {
  std::string lead(first);
  const std::size_t indent = display_width(first);
  for (const std::string& line : wrap(printable(text), std::max<std::size_t>(30, width - std::min(indent, width)))) {
    out += lead + line + "\n";
    lead.assign(indent, ' ');
  }
}

std::string value_text(const Value& value) {
  return is_null(value) ? "unknown" : printable(bounded(text_of(value), 120));
}

std::string in_shell(const std::string& word) {
  const auto plain = [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("-_.:").find(c) != std::string_view::npos;
  };
  if (std::all_of(word.begin(), word.end(), plain)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

void write_findings(std::string& out, const std::vector<RuleResult>& findings, std::size_t width) {
  for (const RuleResult& finding : findings) {
    paragraph(out, fmt::format("     {} ", finding.rule), fmt::format("{}: {}", finding.subject, finding.message),
              width);
  }
}

// A command for each server, because a value is one server's.
void write_verification(std::string& out, const std::vector<VariableStep>& variables, std::size_t width) {
  std::vector<const VariableStep*> servers;
  std::map<std::string, std::vector<std::string>> names;  // of variables, by server
  for (const VariableStep& variable : variables) {
    if (!names.contains(variable.server)) servers.push_back(&variable);
    names[variable.server].push_back(variable.variable);
  }
  if (!servers.empty()) out += "   verify\n";
  for (const VariableStep* first : servers)
    paragraph(
        out, "     ",
        fmt::format("dbaudit query{} 'SELECT {} FROM global_variables'",
                    first->declared ? " --server " + in_shell(first->server) : "", join(names[first->server], ", ")),
        width);
}

void write_server_step(std::string& out, const PlanStep& step, std::size_t width) {
  std::string server;
  for (const ResizeStep& resize : step.resizes) {
    const auto size = [](std::int64_t bytes) { return format_bytes(static_cast<double>(bytes)); };
    paragraph(out, "   ",
              fmt::format("resize {}: memory {} -> {}", printable(resize.server),
                          resize.from ? size(*resize.from) : "unknown", size(resize.to)),
              width);
  }
  for (const VariableStep& variable : step.variables) {
    if (variable.server != server) {
      server = variable.server;
      out += fmt::format("   on {} ({})\n", printable(server), to_string(variable.version));
    }
    paragraph(out, "     ",
              fmt::format("{}: {} -> {}{}", variable.variable, value_text(variable.from), value_text(variable.to),
                          variable.by_resize ? ", by the new size"
                          : variable.restart ? ", at a restart"
                                             : ""),
              width);
    for (const std::string& command : variable.commands()) paragraph(out, "       ", command, width);
  }
  write_verification(out, step.variables, width);
}

void write_pool_step(std::string& out, const PlanStep& step, std::size_t width) {
  std::string pool;
  for (const SettingStep& setting : step.settings) {
    if (setting.pool != pool) {
      pool = setting.pool;
      out += fmt::format("   in {}, then roll out every instance\n", printable(pool));
    }
    paragraph(out, "     ", fmt::format("{}: {} -> {}", setting.key, setting.from, setting.to), width);
  }
  out += "   verify\n";
  paragraph(
      out, "     ",
      "write the new settings into the declaration; dbaudit pools explain NAME shows what the library makes of them, "
      "dbaudit audit that nothing fails with them",
      width);
}

std::string until(const OldSessions& old) {
  if (!old.gone_after_s) return old.pool.empty() ? "not known" : "see there";
  if (*old.gone_after_s == kUnlimited) return "never";
  if (*old.gone_after_s == 0) return "at once";
  return fmt::format("{} after the change, at the latest", format_duration(*old.gone_after_s));
}

void write_old_sessions(std::string& out, const Plan& plan, std::size_t width) {
  if (plan.old_sessions.empty()) return;
  out += "Sessions that are open keep the old value\n";
  std::string last;
  for (const OldSessions& old : plan.old_sessions) {
    const std::string key = fmt::format("{} on {} ({} -> {})", old.variable, printable(old.server),
                                        value_text(old.from), value_text(old.to));
    if (key != last) out += "   " + key + "\n";
    last = key;
    const std::string who = old.pool.empty() ? "everybody else" : old.pool;
    std::string text = fmt::format("{}: {}", until(old), old.reason);
    if (old.seen) text += fmt::format(" ({} sessions are open now, of pools and others)", *old.seen);
    paragraph(out, fmt::format("     {:<16} ", printable(who)), text, width);
  }
  paragraph(
      out, "   ",
      "dbaudit audit --only SES001 lists the sessions that differ, where the server shows them; when it lists none, "
      "the last one is gone",
      width);
  out += "\n";
}

}  // namespace

std::string render_plan_text(const Plan& plan, const TextOptions& options) {
  std::string out;
  const std::size_t width = options.width;
  if (plan.steps.empty()) return "Nothing changes: the wanted state is today's.\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    out += fmt::format("{}. {}\n", i + 1, step.kind == StepKind::server ? "Change the server" : "Change the pools");
    paragraph(out, "   ", step.why, width);
    if (step.kind == StepKind::server) {
      write_server_step(out, step, width);
    } else {
      write_pool_step(out, step, width);
    }
    if (i + 1 < plan.steps.size()) {
      if (step.meanwhile.empty()) {
        out += "   until the next step nothing breaks that is not broken today\n";
      } else {
        out += "   UNTIL THE NEXT STEP this breaks\n";
        write_findings(out, step.meanwhile, width);
      }
    }
    out += "\n";
  }
  if (!plan.wrong_order.empty()) {
    out += "Why in this order: with the server first, this would break\n";
    write_findings(out, plan.wrong_order, width);
    out += "\n";
  }
  write_old_sessions(out, plan, width);
  if (plan.in_the_end.empty()) {
    out += "In the end nothing fails that does not fail today.\n";
  } else {
    out += "IN THE END this fails, which does not fail today\n";
    write_findings(out, plan.in_the_end, width);
  }
  out += "dbaudit has run none of this.\n";
  return out;
}

}  // namespace dbaudit

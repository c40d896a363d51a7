// For the one who was woken up: the verdict in one sentence, what to do, then who waits for whom. Fits a screen.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "base/units.h"
#include "report/locks.h"
#include "report/locks_words.h"

namespace dbaudit {
namespace {

constexpr std::size_t kShownRoots = 5;
constexpr std::size_t kShownSuspects = 5;
constexpr std::size_t kShownWaits = 3;  // below one blocker; the rest is counted
constexpr std::size_t kMostLines = 22;  // of the trees together
constexpr std::size_t kStatementBytes = 160;

class Page {
 public:
  Page(const LockReport& report, const TextOptions& options)
      : report_(report), words_(report), options_(options), forest_(grow_forest(report)) {}

  std::string run() {
    line("", bold(printable(report_.server_name)) + "  " + to_string(report_.facts.version) + "  " + report_.taken_at);
    paragraph("", words_.verdict());
    out_ += '\n';
    if (!report_.shown.empty()) {
      advice();
      trees();
    }
    notes();
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string bold(const std::string& text) const {
    return options_.colour ? "\x1b[1m" + text + "\x1b[0m" : text;
  }
  void line(std::string_view lead, const std::string& text) { out_ += std::string(lead) + text + "\n"; }
  // Wrapped; the first line begins with `lead`, the others are indented as far.
  void paragraph(std::string_view lead, const std::string& text) {
    const std::size_t indent = display_width(lead);
    std::string first(lead);
    for (std::string& part :
         wrap(with(text, "KILL ", "KILL\u00a0"), std::max<std::size_t>(30, options_.width - indent))) {
      line(first, with(std::move(part), "KILL\u00a0", "KILL "));
      first.assign(indent, ' ');
    }
  }
  // What is to be typed stays on one line.
  static std::string with(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
    return text;
  }
  // One line, cut at the page's width.
  void cut(const std::string& lead, const std::string& text) {
    const std::size_t room = options_.width > display_width(lead) + 10 ? options_.width - display_width(lead) : 10;
    std::string shown = text;
    if (display_width(shown) > room) {
      std::size_t bytes = room;
      do {
        shown = bounded(text, bytes);
        --bytes;
      } while (bytes > 1 && display_width(shown) > room);
    }
    line(lead, shown);
  }

  void advice() {
    const std::vector<LockRoot>& roots = report_.roots.empty() ? report_.suspects : report_.roots;
    if (roots.empty() || count_waits(report_) == 0) return;  // what is brief ends by itself, mostly
    out_ += report_.roots.empty() ? "Who it may be, likeliest first\n" : "What to do\n";
    const std::size_t shown = report_.roots.empty() ? kShownSuspects : kShownRoots;
    for (std::size_t i = 0; i < std::min(roots.size(), shown); ++i) {
      const LockRoot& root = roots[i];
      paragraph(fmt::format("  {}. ", i + 1), words_.advice(root));
      if (!root.reason.empty()) paragraph("     because: ", printable(root.reason));
      if (i == 0 && root.prevention) paragraph("     next time: ", *root.prevention);
    }
    if (roots.size() > shown)
      line("  ", fmt::format("... and {} more", format_count(static_cast<double>(roots.size() - shown))));
    out_ += '\n';
  }

  void trees() {
    out_ += "Who waits for whom\n";
    std::size_t shown = 0;
    for (const LockRoot& root : report_.roots) {
      if (++shown > kShownRoots || lines_ >= kMostLines) break;
      tree(root);
    }
    if (report_.roots.empty()) {
      for (const LockRoot& suspect : report_.suspects) {
        if (!forest_.below[suspect.node].empty()) tree(suspect);
      }
    }
    if (!forest_.orphans.empty()) {
      line("  ", "behind nobody that this server shows:");
      children(forest_.orphans, "  ");
    }
    out_ += '\n';
  }

  void tree(const LockRoot& root) {
    paragraph("  ", words_.headline(root));
    lines_ += 2;
    if (root.last_statement) {
      cut("     last: ", bounded(printable(*root.last_statement), kStatementBytes));
      ++lines_;
    }
    if (const std::string holds = words_.holds(root); !holds.empty()) {
      cut("     holds ", holds);
      ++lines_;
    }
    const std::vector<std::size_t> below = enter(root.node);
    if (below.empty() && !root.reason.empty()) {
      line("     ", "may hold up those below, whose holder this server does not show");
    } else if (below.empty() && root.blocks > 0) {
      line("     ", fmt::format("holds up {} that {} shown above", counted(root.blocks, "session", "sessions"),
                                root.blocks == 1 ? "is" : "are"));
    }
    children(below, "  ");
  }

  // Who waits behind `node`, the first time it is asked: a cycle leads back to where it began.
  std::vector<std::size_t> enter(std::size_t node) { return std::exchange(forest_.below[node], {}); }

  // NOLINTNEXTLINE(misc-no-recursion): as deep as sessions wait behind each other, and cut after a screen
  void children(const std::vector<std::size_t>& waits, const std::string& indent) {
    std::map<std::string, std::size_t> folded;
    std::size_t shown = 0;
    for (const std::size_t w : waits) {
      const LockWait& wait = report_.graph.waits[w];
      // Those behind whom others wait are worth a line of their own.
      const bool blocks = !forest_.below[wait.node].empty();
      if (lines_ >= kMostLines || (!blocks && shown >= kShownWaits)) {
        ++folded[words_.object(report_.graph.queues[wait.queue])];
        if (blocks) count_below(wait.node, folded);
        continue;
      }
      ++shown;
      ++lines_;
      cut(indent + "└─ ", words_.wait(wait));
      children(enter(wait.node), indent + "   ");
    }
    for (const auto& [object, count] : folded)
      cut(indent + "└─ ", fmt::format("and {} more waiting for {}", format_count(static_cast<double>(count)), object));
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  void count_below(std::size_t node, std::map<std::string, std::size_t>& folded) {
    for (const std::size_t w : enter(node)) {
      ++folded[words_.object(report_.graph.queues[report_.graph.waits[w].queue])];
      count_below(report_.graph.waits[w].node, folded);
    }
  }

  void notes() {
    line("", "Seen through: " + to_string(report_.method));
    for (const SourceStatus& source : report_.facts.sources) {
      if (source.status == "read" || source.source == "statements" || source.source == "connection_attributes")
        continue;
      if (source.source == "metadata_locks" && report_.better_view) continue;
      if (source.source == "table_handles") continue;
      paragraph(fmt::format("{} {}: ", source.status == "partial" ? "partly read:" : "not read:", source.source),
                printable(source.reason.value_or("no reason known")) +
                    (source.remedy ? " - do: " + printable(*source.remedy) : ""));
    }
    if (report_.better_view && (report_.shown.empty() || report_.method != LockMethod::performance_schema))
      paragraph("To see more: ", *report_.better_view);
  }

  static std::string counted(std::size_t number, const char* one, const char* many) {
    return fmt::format("{} {}", format_count(static_cast<double>(number)), number == 1 ? one : many);
  }

  const LockReport& report_;
  LockWords words_;
  TextOptions options_;
  WaitForest forest_;
  std::size_t lines_ = 0;
  std::string out_;
};

}  // namespace

std::string render_locks_text(const LockReport& report, const TextOptions& options) {
  return Page(report, options).run();
}

}  // namespace dbaudit

// For the one who was woken up: the verdict in one sentence, what to do, then who waits for whom. Fits a screen.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/text.h"
#include "base/units.h"
#include "report/locks.h"
#include "report/locks_words.h"

namespace dbaudit {
namespace {

constexpr std::size_t kShownRoots = 5;
constexpr std::size_t kShownSuspects = 5;
constexpr std::size_t kSuspectsBesideRoots = 3;
constexpr std::size_t kNamedSuspects = 3;    // in a line of the trees
constexpr std::size_t kShownObjects = 3;     // below one blocker, whose waits are only counted
constexpr std::size_t kShownWaits = 3;       // below one blocker; the rest is counted
constexpr std::size_t kMostLines = 22;       // of the trees together
constexpr std::size_t kLinesOfSuspects = 8;  // of these, at least
constexpr std::size_t kStatementBytes = 160;

class TextPage {
 public:
  TextPage(const LockReport& report, const TextOptions& options)
      : report_(report), words_(report), options_(options), forest_(grow_forest(report)) {}

  std::string run() {
    paragraph("", words_.verdict());
    line("", bold(printable(report_.server_name)) + "  " + to_string(report_.facts.version) + "  " + report_.taken_at);
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
    const LockCulprits culprits = words_.culprits();
    advice("What to do", culprits.roots, kShownRoots);
    advice(LockWords::suspects_title(culprits), culprits.suspects,
           culprits.roots.empty() ? kShownSuspects : kSuspectsBesideRoots);
  }

  void advice(const std::string& title, const std::vector<const LockRoot*>& whom, std::size_t at_most) {
    if (whom.empty()) return;
    line("", title);
    const std::size_t shown = std::min(whom.size(), at_most);
    for (std::size_t i = 0; i < shown; ++i) {
      const LockRoot& root = *whom[i];
      paragraph(fmt::format("  {}. ", i + 1), words_.advice(root));
      if (!root.reason.empty()) paragraph("     because: ", printable(root.reason));
      if (i == 0 && root.prevention) paragraph("     next time: ", *root.prevention);
    }
    if (whom.size() > shown) line("  ", fmt::format("... and {} more", count_of(whom.size() - shown)));
    out_ += '\n';
  }

  void trees() {
    out_ += "Who waits for whom\n";
    std::vector<const LockRoot*> suspects;
    std::vector<const LockRoot*> roots;
    for (const LockRoot& root : report_.roots) roots.push_back(&root);
    for (const LockRoot& suspect : report_.suspects) {
      if (!forest_.below[suspect.node].empty()) suspects.push_back(&suspect);
    }
    trees_of(roots, kShownRoots, "block");
    lines_ = std::min(lines_, kMostLines - kLinesOfSuspects);
    trees_of(suspects, kShownSuspects, "may block");
    const std::string others =
        suspects_who([this](const LockRoot& suspect) { return suspect.one_of > 0 && !drawn_.contains(suspect.node); },
                     report_.unlisted_suspects);
    if (!others.empty()) paragraph("  ", "or, where one of several holds the lock, another of them: " + others);
    if (!forest_.orphans.empty()) {
      const std::string suspected = suspects_who([](const LockRoot& suspect) { return suspect.one_of == 0; });
      paragraph("  ", "behind nobody that this server shows" +
                          (suspected.empty() ? std::string(":") : " (suspected: " + suspected + "):"));
      children(forest_.orphans, "  ");
    }
    out_ += '\n';
  }

  void trees_of(const std::vector<const LockRoot*>& roots, std::size_t at_most, const char* do_what) {
    std::size_t shown = 0;
    std::size_t more = 0;
    std::map<std::string, std::size_t> folded;
    for (const LockRoot* root : roots) {
      if (shown < at_most && lines_ < kMostLines) {
        ++shown;
        tree(*root);
      } else {
        ++more;
        count_below(root->node, folded);
      }
    }
    if (more == 0) return;
    line("  ", fmt::format("... and {} more who {}", count_of(more), do_what));
    fold(folded, "  ");
  }

  template <typename Chosen>
  [[nodiscard]] std::string suspects_who(const Chosen& chosen, std::size_t unlisted = 0) const {
    std::vector<std::string> names;
    for (const LockRoot* suspect : words_.culprits().suspects) {
      if (chosen(*suspect)) names.push_back(words_.who(suspect->node));
    }
    return some_of(std::move(names), kNamedSuspects, unlisted);
  }

  void tree(const LockRoot& root) {
    drawn_.insert(root.node);
    paragraph("  ", words_.headline(root));
    lines_ += 2;
    if (root.last_statement) {
      cut("     last: ", bounded(printable(*root.last_statement), kStatementBytes));
      ++lines_;
    }
    if (const std::string holds = words_.holds(root); !holds.empty()) {
      cut("     ", holds);
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
    fold(folded, indent);
  }

  void fold(const std::map<std::string, std::size_t>& folded, const std::string& indent) {
    for (const LockFold& fold : bounded_folds(folded, lines_ < kMostLines ? kShownObjects : 0)) {
      ++lines_;
      cut(indent + "└─ ", fmt::format("and {} more waiting for {}", count_of(fold.count), fold.object));
    }
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

  static std::string count_of(std::size_t number) { return format_count(static_cast<double>(number)); }

  const LockReport& report_;
  LockWords words_;
  TextOptions options_;
  WaitForest forest_;
  std::size_t lines_ = 0;
  std::unordered_set<std::size_t> drawn_;  // nodes that have a tree
  std::string out_;
};

}  // namespace

std::string render_locks_text(const LockReport& report, const TextOptions& options) {
  return TextPage(report, options).run();
}

}  // namespace dbaudit

// One HTML file for whoever is called next: the verdict, what to do, the graph as SVG, the waits, and how all that was
// seen. It loads nothing and runs nothing, and its Content-Security-Policy keeps it so.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "report/locks.h"
#include "report/locks_drawing.h"
#include "report/locks_words.h"

namespace dbaudit {
namespace {

using Kind = DrawnItem::Kind;

constexpr std::size_t kAdvisedRoots = 5;
constexpr std::size_t kListedWaits = 100;

// The drawing's measures, in pixels; the font is monospaced, so that a text's width is known without a browser.
constexpr int kWidth = 1120;
constexpr int kIndent = 34;
constexpr int kLine = 19;
constexpr int kPadding = 9;
constexpr int kGap = 10;
constexpr double kColumn = 7.5;

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1b1f; --soft: #5a5d66; --line: #c9ccd4; --box: #f4f5f8;
  --root: #b3261e; --root-box: #ffe2de; --suspect: #8a5a00; --suspect-box: #fff3d1; --cycle: #6a1fb0;
  --cycle-box: #f1e6ff; --queue: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --paper: #16171b; --ink: #e8e8ec; --soft: #a3a7b3; --line: #444854;
  --box: #22242b; --root: #ff8a80; --root-box: #4a1d1a; --suspect: #ffc860; --suspect-box: #3d3014; --cycle: #cfa6ff;
  --cycle-box: #33204d; --queue: #7db4f0; } }
body { margin: 0 auto; max-width: 1120px; padding: 20px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
header { color: var(--soft); } header b { color: var(--ink); }
h1 { font-size: 23px; line-height: 1.3; margin: 8px 0 20px; } h2 { font-size: 17px; margin: 28px 0 8px; }
h1, li, p, td { overflow-wrap: anywhere; }
code { font: 13px/1.4 ui-monospace, monospace; }
ol { padding-left: 24px; } li { margin: 0 0 12px; }
li.first { border-left: 5px solid var(--root); background: var(--root-box); padding: 10px 14px; list-style-position: inside; }
li.first.guess { border-color: var(--suspect); background: var(--suspect-box); }
pre { margin: 6px 0; white-space: pre-wrap; font: 700 16px ui-monospace, monospace; }
.note { color: var(--soft); margin: 2px 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } .number { white-space: nowrap; }
svg { display: block; } svg text { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; fill: var(--ink); white-space: pre; }
svg text.first { font-weight: 700; } svg text.soft { fill: var(--soft); }
svg rect { fill: var(--box); stroke: var(--line); } svg .root rect { fill: var(--root-box); stroke: var(--root); stroke-width: 2.5; }
svg .suspect rect { fill: var(--suspect-box); stroke: var(--suspect); stroke-dasharray: 6 4; stroke-width: 2; }
svg .cycle rect { fill: var(--cycle-box); stroke: var(--cycle); stroke-width: 2; }
svg .more rect, svg .nobody rect { fill: none; stroke-dasharray: 2 4; }
svg .root text.first { fill: var(--root); font-size: 15px; }
svg .suspect text.first { fill: var(--suspect); } svg .cycle text.first { fill: var(--cycle); }
svg path { fill: none; stroke: var(--soft); stroke-width: 1.6; } svg path.guess { stroke-dasharray: 5 4; }
svg path.queue { stroke: var(--queue); stroke-width: 2.4; }
)";

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

// What a server sent: made visible, then made text.
std::string html(const std::string& text, std::size_t bytes = 300) {
  return html_escaped(bounded(printable(text), bytes));
}

// At most `columns` wide; `text` is printable.
std::string fitted(const std::string& text, std::size_t columns) {
  std::string out = text;
  for (std::size_t bytes = std::min(text.size(), columns); display_width(out) > columns && bytes > 1; --bytes)
    out = bounded(text, bytes);
  return out;
}

std::string count_of(std::size_t number) { return format_count(static_cast<double>(number)); }

struct Line {
  std::string text;
  const char* style = "";
};

class Picture {
 public:
  Picture(const LockReport& report, const LockWords& words)
      : report_(report), words_(words), items_(draw_locks(report)), middle_(items_.size()), bottom_(items_.size()) {}

  std::string run() {
    int y = 4;
    for (std::size_t i = 0; i < items_.size(); ++i) y = box(i, y) + kGap;
    // Behind the boxes, and known only when those are placed.
    for (std::size_t i = 0; i < items_.size(); ++i) connect(i);
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"group\" "
        "aria-label=\"Who waits for whom\">\n{2}{3}</svg>\n",
        kWidth, y, lines_, boxes_);
  }

 private:
  [[nodiscard]] static int left(const DrawnItem& item) { return 4 + static_cast<int>(item.depth) * kIndent; }

  int box(std::size_t i, int y) {
    const DrawnItem& item = items_[i];
    const std::vector<Line> texts = lines_of(item);
    const int x = left(item);
    const int width = kWidth - x - 4;
    const int height = static_cast<int>(texts.size()) * kLine + 2 * kPadding - 4;
    boxes_ += fmt::format("<g class=\"{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/>",
                          style_of(item), x, y, width, height);
    int baseline = y + kPadding + 11;
    for (const Line& line : texts) {
      const bool large = item.kind == Kind::root && std::string_view(line.style) == "first";
      const double columns = (width - 24) / (large ? kColumn * 1.25 : kColumn);
      boxes_ += fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\">{}</text>", x + 12, baseline, line.style,
                            html_escaped(fitted(line.text, static_cast<std::size_t>(columns))));
      baseline += kLine;
    }
    boxes_ += "</g>\n";
    middle_[i] = y + height / 2;
    bottom_[i] = y + height;
    return y + height;
  }

  void connect(std::size_t i) {
    const DrawnItem& item = items_[i];
    if (!item.parent) return;
    const bool certain =
        item.wait == nullptr || (item.behind != nullptr && item.behind->certainty == Certainty::observed);
    const bool queued = item.behind != nullptr && item.behind->how == How::queued_ahead;
    lines_ +=
        fmt::format("<path class=\"{}{}\" d=\"M{} {} V{} H{}\"/>\n", queued ? "queue" : "held", certain ? "" : " guess",
                    left(items_[*item.parent]) + kIndent / 2, bottom_[*item.parent], middle_[i], left(item));
  }

  static const char* style_of(const DrawnItem& item) {
    switch (item.kind) {
      case Kind::root: return "root";
      case Kind::suspect: return "suspect";
      case Kind::cycle: return "cycle";
      case Kind::waiter:
      case Kind::again: return "waiter";
      case Kind::more_waits:
      case Kind::more_roots:
      case Kind::more_suspects: return "more";
      case Kind::nobody: return "nobody";
    }
    return "";
  }

  [[nodiscard]] std::vector<Line> lines_of(const DrawnItem& item) const {
    std::vector<Line> lines;
    const auto add = [&lines](const std::string& text, const char* style) {
      if (!text.empty()) lines.push_back({text, style});
    };
    switch (item.kind) {
      case Kind::root:
      case Kind::suspect:
      case Kind::cycle:
        add(words_.who(item.root->node) + " " + words_.blocks(*item.root), "first");
        add(words_.circumstances(*item.root), "plain");
        if (item.root->last_statement) add("last: " + bounded(printable(*item.root->last_statement), 200), "plain");
        if (const std::string holds = words_.holds(*item.root); !holds.empty()) add(holds, "plain");
        add(wait_of(item), "soft");
        break;
      case Kind::waiter:
        add(words_.who(*item.node) + " waits " + wait_of(item), "first");
        add(words_.statement(*item.wait), "plain");
        break;
      case Kind::again: add(words_.who(*item.node) + ", drawn elsewhere, waits " + wait_of(item), "plain"); break;
      case Kind::more_waits:
        add(fmt::format("and {} more waiting for {}", count_of(item.count), item.object), "soft");
        break;
      case Kind::more_roots: add(fmt::format("and {} more who block", count_of(item.count)), "soft"); break;
      case Kind::more_suspects: add(fmt::format("and {} more who may block", count_of(item.count)), "soft"); break;
      case Kind::nobody: add("Behind nobody that this server shows", "first"); break;
    }
    return lines;
  }

  // "up to 9 s for EXCLUSIVE on shop.orders, behind SHARED_READ held"
  [[nodiscard]] std::string wait_of(const DrawnItem& item) const {
    if (item.wait == nullptr) return "";
    const std::string waited = words_.waited(*item.wait);
    std::string text =
        waited + (waited.empty() ? "for " : " for ") + words_.wanted(report_.graph.queues[item.wait->queue]);
    if (item.behind != nullptr) text += ", behind " + words_.what_blocks(*item.behind);
    if (const std::string others = words_.in_its_way(*item.wait); !others.empty()) text += " (" + others + ")";
    return text;
  }

  const LockReport& report_;
  const LockWords& words_;
  std::vector<DrawnItem> items_;
  std::vector<int> middle_;
  std::vector<int> bottom_;
  std::string lines_;
  std::string boxes_;
};

class HtmlPage {
 public:
  explicit HtmlPage(const LockReport& report) : report_(report), words_(report) {}

  std::string run() {
    const std::string name = html(report_.server_name);
    out_ = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"referrer\" content=\"no-referrer\">\n"
        "<title>Locks of {}</title>\n<style>{}</style>\n</head>\n<body>\n"
        "<header><b>{}</b> &nbsp; {} &nbsp; {}</header>\n<h1>{}</h1>\n",
        name, kStyle, name, html_escaped(to_string(report_.facts.version)), html(report_.taken_at),
        html_escaped(words_.verdict()));
    if (!report_.shown.empty()) {
      advice();
      out_ +=
          "<h2>Who waits for whom</h2>\n<p class=\"note\">The one above blocks those below it. Solid line: observed; "
          "dashed: inferred; thick blue line: it does not hold the lock yet, but is ahead in the queue.</p>\n"
          "<div class=\"wide\">\n" +
          Picture(report_, words_).run() + "</div>\n";
      waits();
    }
    sources();
    return out_ + "</body>\n</html>\n";
  }

 private:
  void advice() {
    const LockCulprits culprits = words_.culprits();
    advice("What to do", culprits.roots, kAdvisedRoots);
    advice(LockWords::suspects_title(culprits), culprits.suspects, kAdvisedRoots);
  }

  void advice(const std::string& title, const std::vector<const LockRoot*>& whom, std::size_t at_most) {
    if (whom.empty()) return;
    out_ += "<h2>" + title + "</h2>\n<ol>\n";
    const std::size_t shown_here = std::min(whom.size(), at_most);
    for (std::size_t i = 0; i < shown_here; ++i) {
      const LockRoot& root = *whom[i];
      out_ += i > 0 ? "<li>" : !root.reason.empty() ? "<li class=\"first guess\">" : "<li class=\"first\">";
      out_ += html_escaped(words_.advice(root)) + ".";
      if (!root.remedy.empty()) out_ += "<pre>" + html(root.remedy) + "</pre>";
      if (!root.reason.empty()) note("Because: " + html(root.reason));
      if (i == 0 && root.prevention) note("Next time: " + html(*root.prevention, 600));
      out_ += "</li>\n";
    }
    out_ += "</ol>\n";
    if (whom.size() > shown_here) note("... and " + count_of(whom.size() - shown_here) + " more");
  }

  void waits() {
    out_ +=
        "<h2>Waits, longest first</h2>\n<div class=\"wide\"><table>\n<tr><th>connection</th><th>waits</th>"
        "<th>for</th><th>behind</th><th>statement</th></tr>\n";
    const std::size_t rows = std::min(report_.shown.size(), kListedWaits);
    for (std::size_t i = 0; i < rows; ++i) {
      const LockWait& wait = report_.graph.waits[report_.shown[i]];
      out_ += fmt::format(
          "<tr><td>{}</td><td class=\"number\">{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>\n",
          html_escaped(words_.who(wait.node)), html_escaped(words_.waited(wait)),
          html_escaped(words_.wanted(report_.graph.queues[wait.queue])), html_escaped(behind(wait)),
          html_escaped(words_.statement(wait)));
    }
    out_ += "</table></div>\n";
    if (report_.shown.size() > rows) note("... and " + count_of(report_.shown.size() - rows) + " more");
  }

  // The first of those in its way, and how many more there are.
  [[nodiscard]] std::string behind(const LockWait& wait) const {
    const std::vector<const Blocker*> first = blockers_of(report_.graph, wait, 1);
    if (first.empty()) return "not known";
    const std::size_t count = count_blockers(report_.graph, wait);
    const std::string more = count > 1 ? fmt::format(" and {} more", count_of(count - 1)) : "";
    return fmt::format("{}, {}{}", words_.who(first.front()->node), words_.what_blocks(*first.front()), more);
  }

  void sources() {
    out_ += "<h2>How this was seen</h2>\n<p>" + html_escaped(to_string(report_.method)) + "</p>\n";
    if (report_.better_view) out_ += "<p>To see more: " + html(*report_.better_view, 1000) + "</p>\n";
    out_ +=
        "<div "
        "class=\"wide\"><table>\n<tr><th>source</th><th>status</th><th>rows</th><th>reason</th><th>remedy</th></tr>\n";
    for (const SourceStatus& source : report_.facts.sources) {
      out_ += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", html(source.source),
                          html(source.status), source.rows ? std::to_string(*source.rows) : "",
                          html(source.reason.value_or(""), 600), html(source.remedy.value_or(""), 600));
    }
    out_ += "</table></div>\n";
  }

  void note(const std::string& html) { out_ += "<p class=\"note\">" + html + "</p>\n"; }

  const LockReport& report_;
  LockWords words_;
  std::string out_;
};

}  // namespace

std::string render_locks_html(const LockReport& report) { return HtmlPage(report).run(); }

}  // namespace dbaudit

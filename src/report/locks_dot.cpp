// The wait-for graph for Graphviz: `dbaudit locks --format dot | dot -Tsvg`. Edges run from who waits to who blocks.
#include <fmt/format.h>

#include "base/text.h"
#include "base/units.h"
#include "report/locks.h"
#include "report/locks_drawing.h"
#include "report/locks_words.h"

namespace dbaudit {
namespace {

using Kind = DrawnItem::Kind;

constexpr std::size_t kLineWidth = 60;  // of a label

// Graphviz reads backslash escapes and HTML entities in labels. What is escaped is printable already.
std::string dot_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

// A quoted string of lines; those that are empty are left out.
std::string label(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    if (line.empty()) continue;
    for (const std::string& part : wrap(line, kLineWidth)) {
      if (!out.empty()) out += "\\n";
      out += dot_escaped(part);
    }
  }
  return "\"" + out + "\"";
}

class Graph {
 public:
  explicit Graph(const LockReport& report) : report_(report), words_(report), items_(draw_locks(report)) {}

  std::string run() {
    out_ = "digraph locks {\n  rankdir=RL;\n  labelloc=t;\n  labeljust=l;\n";
    std::vector<std::string> title{printable(report_.server_name) + "  " + to_string(report_.facts.version) + "  " +
                                   report_.taken_at};
    title.push_back(words_.verdict());
    title.push_back("seen through: " + to_string(report_.method));
    out_ += "  label=" + label(title) + ";\n";
    out_ +=
        "  node [shape=box, fontname=\"sans-serif\", fontsize=11];\n  edge [fontname=\"sans-serif\", fontsize=9];\n";
    for (std::size_t i = 0; i < items_.size(); ++i) {
      node(i);
      edge(items_[i], i);
    }
    return out_ + "}\n";
  }

 private:
  // A session is one node, wherever it is drawn again.
  [[nodiscard]] std::string name(std::size_t item) const {
    return items_[item].node ? fmt::format("n{}", *items_[item].node) : fmt::format("more{}", item);
  }

  void node(std::size_t i) {
    const DrawnItem& item = items_[i];
    const std::string count = format_count(static_cast<double>(item.count));
    switch (item.kind) {
      case Kind::root:
        named(i, root_label(*item.root), "style=\"bold,filled\", fillcolor=\"#ffd6d1\", color=\"#b3261e\"");
        break;
      case Kind::suspect:
        named(i, root_label(*item.root), "style=\"dashed,filled\", fillcolor=\"#fff3d1\", color=\"#8a5a00\"");
        break;
      case Kind::cycle:
        named(i, root_label(*item.root), "style=\"bold,filled\", fillcolor=\"#ead9ff\", color=\"#6a1fb0\"");
        break;
      case Kind::waiter: named(i, label({words_.who(*item.node), words_.statement(*item.wait)}), ""); break;
      case Kind::again: break;
      case Kind::more_waits:
        named(i, label({fmt::format("and {} more waiting for {}", count, item.object)}), "shape=note, style=dotted");
        break;
      case Kind::more_roots:
        named(i, label({fmt::format("and {} more who block", count)}), "shape=note, style=dotted");
        break;
      case Kind::more_suspects:
        named(i, label({fmt::format("and {} more who may block", count)}), "shape=note, style=dotted");
        break;
      case Kind::nobody:
        named(i, label({"held by nobody that this server shows"}), "shape=ellipse, style=dashed");
        break;
    }
  }

  [[nodiscard]] std::string root_label(const LockRoot& root) const {
    const std::string holds = words_.holds(root);
    return label({words_.who(root.node), root.xid ? printable(*root.xid) : "", words_.circumstances(root), holds,
                  words_.blocks(root), root.remedy.empty() ? "" : "to end it: " + printable(root.remedy)});
  }

  void named(std::size_t i, const std::string& text, const std::string& style) {
    out_ += fmt::format("  {} [label={}{}{}];\n", name(i), text, style.empty() ? "" : ", ", style);
  }

  void edge(const DrawnItem& item, std::size_t i) {
    if (!item.parent) return;
    std::string attributes;
    if (item.wait == nullptr) {
      attributes = "style=dotted, arrowhead=none";
    } else {
      const std::string others = words_.in_its_way(*item.wait);
      attributes = "label=" + label({words_.wanted(report_.graph.queues[item.wait->queue]), words_.waited(*item.wait),
                                     item.behind != nullptr ? words_.what_blocks(*item.behind) : "",
                                     others.empty() ? "" : "(" + others + ")"});
      // The style says how sure it is; an empty arrow, that the other one only waits in front.
      const bool observed = item.behind != nullptr && item.behind->certainty == Certainty::observed;
      attributes += observed ? ", style=solid" : ", style=dashed";
      if (item.behind != nullptr && item.behind->how == How::queued_ahead)
        attributes += ", arrowhead=empty, color=\"#2060a0\"";
    }
    out_ += fmt::format("  {} -> {} [{}];\n", name(i), name(*item.parent), attributes);
  }

  const LockReport& report_;
  LockWords words_;
  std::vector<DrawnItem> items_;
  std::string out_;
};

}  // namespace

std::string render_locks_dot(const LockReport& report) { return Graph(report).run(); }

}  // namespace dbaudit

// The only user of yaml-cpp. Its events are taken instead of its nodes: nodes share what an anchor names, so that a few
// lines can mean billions of values, and nobody would count them.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <set>
#include <sstream>

#include "pools/document.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

struct Size {
  std::size_t values = 0;
  std::size_t bytes = 0;
};

Size size_of(const DocNode& node) {
  Size size{1, node.text.size()};
  const auto add = [&size](const DocNode& child) {
    const Size inner = size_of(child);
    size.values += inner.values;
    size.bytes += inner.bytes;
  };
  for (const DocNode& item : node.items) add(item);
  for (const DocMember& member : node.members) {
    size.bytes += member.key.size();
    add(member.value);
  }
  return size;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  std::vector<DocNode> documents;

  void OnDocumentStart(const YAML::Mark&) override {
    open_.clear();
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    DocNode node;
    finish(mark, std::move(node), anchor, false);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw YAML::ParserException(mark, "an alias stands inside what its anchor names");
    count(mark, found->second.size);
    place(mark, DocNode(found->second.node), false);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    DocNode node;
    node.kind = DocNode::Kind::scalar;
    node.quoted = tag != "?";
    // "!" marks quotes, the rest of one letter or of YAML itself says what is obvious; all others are programs.
    node.text = tag.size() > 1 && !tag.starts_with("tag:yaml.org,") ? std::string(kTemplate) : value;
    finish(mark, std::move(node), anchor, tag == "?");
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, DocNode::Kind::list, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(mark, DocNode::Kind::map, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapEnd() override {
    merge(open_.back());
    end();
  }

 private:
  struct Open {
    DocNode node;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    bool has_key = false;
    bool plain_key = false;
    std::string key;
    std::vector<DocNode> merges;
  };
  struct Anchored {
    DocNode node;
    Size size;
  };

  void count(const YAML::Mark& mark, const Size& more) {
    total_.values += more.values;
    total_.bytes += more.bytes;
    if (total_.values > kMostDocumentValues || total_.bytes > kMostDocumentBytes) {
      throw YAML::ParserException(mark,
                                  "more values than any configuration has, aliases counted as what they stand for");
    }
  }

  void begin(const YAML::Mark& mark, DocNode::Kind kind, YAML::anchor_t anchor) {
    if (open_.size() >= kDeepestDocument) throw YAML::ParserException(mark, "nested too deeply");
    Open open;
    open.node.kind = kind;
    open.anchor = anchor;
    open.mark = mark;
    open_.push_back(std::move(open));
  }

  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    finish(done.mark, std::move(done.node), done.anchor, false);
  }

  void finish(const YAML::Mark& mark, DocNode node, YAML::anchor_t anchor, bool plain) {
    node.line = mark.line + 1;
    count(mark, {1, node.text.size()});
    if (anchor != 0) {
      const Size size = size_of(node);
      count(mark, size);
      anchors_[anchor] = {node, size};
    }
    place(mark, std::move(node), plain);
  }

  void place(const YAML::Mark& mark, DocNode node, bool plain) {
    if (open_.empty()) {
      documents.push_back(std::move(node));
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == DocNode::Kind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      if (!node.is_scalar() && node.kind != DocNode::Kind::null)
        throw YAML::ParserException(mark, "a key must be text");
      parent.key = std::move(node.text);
      parent.plain_key = plain;
      parent.has_key = true;
      count(mark, {0, parent.key.size()});
    } else {
      parent.has_key = false;
      if (parent.key == "<<" && parent.plain_key) {
        parent.merges.push_back(std::move(node));
      } else {
        parent.node.members.push_back({std::move(parent.key), std::move(node)});
      }
    }
  }

  // "<<: *defaults" or "<<: [*a, *b]": keys of the map itself win, then those of earlier merges.
  static void merge(Open& open) {
    if (open.merges.empty()) return;
    std::set<std::string> known;
    for (const DocMember& member : open.node.members) known.insert(member.key);
    const auto take = [&](const DocNode& from) {
      std::set<std::string> added;
      for (auto member = from.members.rbegin(); member != from.members.rend(); ++member) {
        if (!known.contains(member->key) && added.insert(member->key).second) open.node.members.push_back(*member);
      }
      known.insert(added.begin(), added.end());
    };
    for (const DocNode& merged : open.merges) {
      if (merged.is_map()) take(merged);
      for (const DocNode& item : merged.items) take(item);
    }
  }

  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  Size total_;
};

// yaml-cpp's scanner remembers every bracket that is open before anybody is asked: too many are refused unread.
constexpr int kMostOpenBrackets = 1000;

bool brackets_are_bounded(std::string_view text, const std::string& file, Problems& problems) {
  int open = 0;
  int line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (open <= kMostOpenBrackets) continue;
    problems.add(file, line, "not valid YAML: nested too deeply");
    return false;
  }
  return true;
}

}  // namespace

std::vector<DocNode> yaml_documents(std::string_view text, const std::string& file, Problems& problems) {
  if (!brackets_are_bounded(text, file, problems)) return {};
  TreeBuilder builder;
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    problems.add(file, error.mark.is_null() ? 0 : error.mark.line + 1, "not valid YAML: " + error.msg);
  }
  return std::move(builder.documents);
}

}  // namespace dbaudit

// The only user of nlohmann-json in this layer. The events of its parser are taken, which neither throw nor recurse.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "pools/document.h"

namespace dbaudit {
namespace {

// Counts lines while the parser reads.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  int* line = nullptr;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    if (*at == '\n') ++*line;
    ++at;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
  bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  Events(std::size_t size, const int& line, const std::string& file, Problems& problems)
      : size_(size), line_(line), file_(file), problems_(problems) {}

  std::optional<DocNode> root;

  bool null() override { return add(DocNode{}); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false", false); }
  bool number_integer(number_integer_t value) override { return scalar(std::to_string(value), false); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(std::to_string(value), false); }
  bool number_float(number_float_t, const string_t& text) override { return scalar(text, false); }
  bool string(string_t& value) override { return scalar(value, true); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return begin(DocNode::Kind::map); }
  bool start_array(std::size_t) override { return begin(DocNode::Kind::list); }
  bool key(string_t& name) override {
    open_.back().key = name;
    open_.back().key_line = line_;
    return true;
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    // What was read last is not repeated: it may be a password without its quotes.
    problems_.add(file_, line_, position > size_ ? "not valid JSON: it ends too early" : "not valid JSON");
    return false;
  }

 private:
  struct Open {
    DocNode node;
    std::string key;
    int key_line = 0;
  };

  bool refuse(const std::string& why) {
    problems_.add(file_, line_, why);
    return false;
  }

  bool scalar(std::string text, bool quoted) {
    DocNode node;
    node.kind = DocNode::Kind::scalar;
    node.text = std::move(text);
    node.quoted = quoted;
    return add(std::move(node));
  }

  bool begin(DocNode::Kind kind) {
    if (open_.size() >= kDeepestDocument) return refuse("nested too deeply");
    open_.push_back({});
    open_.back().node.kind = kind;
    open_.back().node.line = line_;
    return true;
  }

  bool end() {
    DocNode node = std::move(open_.back().node);
    open_.pop_back();
    return add(std::move(node));
  }

  bool add(DocNode node) {
    if (++count_ > kMostDocumentValues) return refuse("more values than any configuration has");
    if (node.line == 0) node.line = line_;
    if (open_.empty()) {
      root = std::move(node);
    } else if (open_.back().node.kind == DocNode::Kind::list) {
      open_.back().node.items.push_back(std::move(node));
    } else {
      node.line = open_.back().key_line;  // the parser has read past a number's end, but not past a key's
      open_.back().node.members.push_back({std::move(open_.back().key), std::move(node)});
    }
    return true;
  }

  std::size_t size_;
  const int& line_;
  const std::string& file_;
  Problems& problems_;
  std::vector<Open> open_;
  std::size_t count_ = 0;
};

}  // namespace

std::optional<DocNode> json_document(std::string_view text, const std::string& file, Problems& problems) {
  int line = 1;
  Events events(text.size(), line, file, problems);
  const CountingIterator begin{text.data(), &line};
  const CountingIterator end{text.data() + text.size(), &line};
  if (!nlohmann::json::sax_parse(begin, end, &events)) return std::nullopt;
  return std::move(events.root);
}

}  // namespace dbaudit

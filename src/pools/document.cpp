#include "pools/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace dbaudit {
namespace {

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | (code >> 6U));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xE0U | (code >> 12U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

// One logical line of a properties file, with its line continuations.
struct LogicalLine {
  std::string text;
  int line = 0;
};

bool ends_in_backslash(std::string_view line) {
  std::size_t count = 0;
  while (count < line.size() && line[line.size() - 1 - count] == '\\') ++count;
  return count % 2 == 1;
}

std::string_view without_leading_space(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\f");
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    const char next = text[++i];
    unsigned code = 0;
    if (next == 'u' && i + 4 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 5, code, 16).ptr == text.data() + i + 5) {
      // Half a surrogate pair, or NUL, is no character.
      append_utf8(out, code == 0 || (code >= 0xD800 && code < 0xE000) ? 0xFFFDU : code);
      i += 4;
    } else {
      out += next == 't' ? '\t' : next == 'n' ? '\n' : next == 'r' ? '\r' : next == 'f' ? '\f' : next;
    }
  }
  return out;
}

DocProperty property_of(const LogicalLine& line) {
  std::size_t end = 0;
  while (end < line.text.size() && std::string_view("=: \t\f").find(line.text[end]) == std::string_view::npos) {
    end += line.text[end] == '\\' && end + 1 < line.text.size() ? 2 : 1;
  }
  std::string_view rest = without_leading_space(std::string_view(line.text).substr(end));
  if (!rest.empty() && (rest[0] == '=' || rest[0] == ':')) rest = without_leading_space(rest.substr(1));
  return {unescaped(std::string_view(line.text).substr(0, end)), unescaped(rest), line.line};
}

}  // namespace

int line_at(std::string_view text, std::size_t offset) {
  const auto end = static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + end, '\n'));
}

const DocNode* DocNode::find(std::string_view key) const {
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (member->key == key) return &member->value;
  }
  return nullptr;
}

const DocNode* DocNode::at(std::initializer_list<std::string_view> path) const {
  const DocNode* node = this;
  for (const std::string_view key : path) {
    node = node->find(key);
    if (node == nullptr) return nullptr;
  }
  return node;
}

std::string DocNode::text_of(std::string_view key) const {
  const DocNode* found = find(key);
  return found != nullptr && found->is_scalar() ? found->text : "";
}

std::vector<std::vector<DocProperty>> properties_documents(std::string_view text, const std::string& file,
                                                           Problems& problems) {
  std::vector<std::vector<DocProperty>> documents(1);
  std::size_t count = 0;
  LogicalLine logical;
  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    std::string_view line = raw;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (logical.text.empty()) {
      if (line == "#---" || line == "!---") {
        documents.emplace_back();
        continue;
      }
      line = without_leading_space(line);
      if (line.empty() || line[0] == '#' || line[0] == '!') continue;
      logical.line = number;
    } else {
      line = without_leading_space(line);
    }
    const bool goes_on = ends_in_backslash(line);
    logical.text += goes_on ? line.substr(0, line.size() - 1) : line;
    if (goes_on) continue;
    if (++count > kMostDocumentValues) {
      problems.add(file, number, fmt::format("more than {} values, which no configuration has", kMostDocumentValues));
      return documents;
    }
    DocProperty property = property_of(logical);
    if (property.key.size() < 1000) documents.back().push_back(std::move(property));  // nobody's key is longer
    logical = {};
  }
  if (!logical.text.empty()) documents.back().push_back(property_of(logical));
  return documents;
}

std::vector<DocProperty> environment_lines(std::string_view text) {
  std::vector<DocProperty> out;
  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    std::string_view line = trimmed(raw);
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    const std::size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == std::string_view::npos || equals == 0) continue;
    std::string_view value = trimmed(line.substr(equals + 1));
    const char quote = value.empty() ? '\0' : value[0];
    const std::size_t closing = quote == '"' || quote == '\'' ? value.find(quote, 1) : std::string_view::npos;
    if (closing != std::string_view::npos) {
      value = value.substr(1, closing - 1);
    } else if (const std::size_t comment = value.find(" #"); comment != std::string_view::npos) {
      value = trimmed(value.substr(0, comment));
    }
    out.push_back({std::string(trimmed(line.substr(0, equals))), std::string(value), number});
  }
  return out;
}

std::optional<std::string> utf8_text(std::string_view bytes, bool latin1, const std::string& file, Problems& problems) {
  const auto starts = [&](std::string_view mark) { return bytes.substr(0, mark.size()) == mark; };
  if (starts("\xFF\xFE") || starts("\xFE\xFF")) {
    problems.add(file, 0, "is UTF-16 text; save it as UTF-8");
    return std::nullopt;
  }
  if (starts("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (const std::size_t zero = bytes.find('\0'); zero != std::string_view::npos) {
    const bool wide = zero < 4 && bytes.size() > 4 && (bytes[1] == '\0' || bytes[0] == '\0');
    problems.add(file, line_at(bytes, zero),
                 wide ? "is UTF-16 text; save it as UTF-8" : "holds a NUL byte, so it is no text");
    return std::nullopt;
  }
  if (is_valid_utf8(bytes)) return std::string(bytes);
  if (latin1) {
    std::string out;
    for (const char c : bytes) append_utf8(out, static_cast<unsigned char>(c));
    return out;
  }
  std::size_t line = 1;
  for (const std::string& one : split(bytes, '\n')) {
    if (!is_valid_utf8(one)) break;
    ++line;
  }
  problems.add(file, static_cast<int>(line), "is not UTF-8 (Latin-1, maybe); save it as UTF-8");
  return std::nullopt;
}

}  // namespace dbaudit

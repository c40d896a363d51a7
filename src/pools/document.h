// YAML, JSON, XML and properties files of applications as plain values that remember their line.
//
// What is read here was written by others, and maybe against us: every reader bounds depth, number of values and bytes,
// whatever its library would put up with. Nothing outside the text is ever read (no XML entities, no includes).
// Problems are added with file and line; the result then holds what was read before.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/problems.h"

namespace dbaudit {

inline constexpr std::size_t kDeepestDocument = 64;
inline constexpr std::size_t kMostDocumentValues = 100'000;              // YAML aliases count as what they stand for
inline constexpr std::size_t kMostDocumentBytes = std::size_t{8} << 20;  // of a file, and of all its values together

struct DocMember;

struct DocNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;     // of a scalar
  bool quoted = false;  // a scalar that its file marks as text
  std::vector<DocNode> items;
  std::vector<DocMember> members;  // as written; of equal keys the last one counts
  int line = 0;                    // 1-based

  // The value of a key of a map; null for what is no map or lacks it.
  [[nodiscard]] const DocNode* find(std::string_view key) const;
  // The same, one step after another.
  [[nodiscard]] const DocNode* at(std::initializer_list<std::string_view> path) const;
  // The text of a scalar member, else "".
  [[nodiscard]] std::string text_of(std::string_view key) const;
  [[nodiscard]] bool is_map() const { return kind == Kind::map; }
  [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
};

struct DocMember {
  std::string key;
  DocNode value;
};

// Every document of a stream. Anchors and merge keys (<<) are resolved; a value with a tag of an application's own
// (!vault) is a placeholder (placeholder.h).
std::vector<DocNode> yaml_documents(std::string_view text, const std::string& file, Problems& problems);

std::optional<DocNode> json_document(std::string_view text, const std::string& file, Problems& problems);

// Lines count from 1; an offset behind the end is on the last one.
int line_at(std::string_view text, std::size_t offset);

// One key and value, as properties files, environment variables and XML attributes have them.
struct DocProperty {
  std::string key;
  std::string value;
  int line = 0;
};

struct XmlElement {
  std::string name;
  std::vector<DocProperty> attributes;
  int line = 0;
};

// All elements of this name, wherever they stand. An entity other than XML's own five is not read: it is a placeholder.
std::vector<XmlElement> xml_elements(std::string_view text, std::string_view name, const std::string& file,
                                     Problems& problems);

// java.util.Properties: continuation lines, escapes, '=', ':' or a space between key and value. Spring Boot's
// "#---" and "!---" begin another document.
std::vector<std::vector<DocProperty>> properties_documents(std::string_view text, const std::string& file,
                                                           Problems& problems);

// KEY=VALUE lines of a .env file, with "export", quotes and comments.
std::vector<DocProperty> environment_lines(std::string_view text);

// UTF-8 without its mark. Another encoding and NUL bytes are problems; Latin-1 is taken where `latin1` says that the
// format is written in it.
std::optional<std::string> utf8_text(std::string_view bytes, bool latin1, const std::string& file, Problems& problems);

}  // namespace dbaudit

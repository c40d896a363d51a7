// The only user of pugixml. It reads neither a DTD nor anything that an entity names.
#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>

#include "base/text.h"
#include "pools/document.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

// pugixml keeps no place for attributes: theirs is looked up behind the element's name.
int line_of_attribute(std::string_view text, std::size_t element, std::string_view name) {
  std::size_t at = element;
  while ((at = text.find(name, at)) != std::string_view::npos) {
    const bool begins = at > 0 && std::string_view(" \t\r\n").find(text[at - 1]) != std::string_view::npos;
    std::size_t after = at + name.size();
    while (after < text.size() && (text[after] == ' ' || text[after] == '\n')) ++after;
    if (begins && after < text.size() && text[after] == '=') return line_at(text, at);
    ++at;
  }
  return line_at(text, element);
}

bool has_entity(std::string_view value) {
  for (std::size_t at = value.find('&'); at != std::string_view::npos; at = value.find('&', at + 1)) {
    std::size_t end = at + 1;
    while (end < value.size() && (is_letter(value[end]) || is_digit(value[end]) || value[end] == '_')) ++end;
    if (end > at + 1 && end < value.size() && value[end] == ';') return true;
  }
  return false;
}

// Walks without recursion: the file decides how deep it is.
class Elements : public pugi::xml_tree_walker {
 public:
  Elements(std::string_view text, std::string_view name) : text_(text), name_(name) {
    declares_entities_ = text.find("<!ENTITY") != std::string_view::npos;
  }

  std::vector<XmlElement> found;
  bool too_many = false;

  bool for_each(pugi::xml_node& node) override {
    if (++count_ > kMostDocumentValues) return !(too_many = true);
    if (node.type() != pugi::node_element || name_ != node.name()) return true;
    const auto offset = static_cast<std::size_t>(std::max<std::ptrdiff_t>(node.offset_debug(), 0));
    XmlElement element{node.name(), {}, line_at(text_, offset)};
    for (const pugi::xml_attribute& attribute : node.attributes()) {
      if (element.attributes.size() >= 1000) break;
      const bool hidden = declares_entities_ && has_entity(attribute.value());
      element.attributes.push_back({attribute.name(), hidden ? std::string(kTemplate) : attribute.value(),
                                    line_of_attribute(text_, offset, attribute.name())});
    }
    found.push_back(std::move(element));
    return found.size() <= 1000;
  }

 private:
  std::string_view text_;
  std::string_view name_;
  bool declares_entities_ = false;
  std::size_t count_ = 0;
};

}  // namespace

std::vector<XmlElement> xml_elements(std::string_view text, std::string_view name, const std::string& file,
                                     Problems& problems) {
  pugi::xml_document document;
  const pugi::xml_parse_result result =
      document.load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!result) {
    problems.add(file, line_at(text, static_cast<std::size_t>(std::max<std::ptrdiff_t>(result.offset, 0))),
                 fmt::format("not valid XML: {}", result.description()));
    return {};
  }
  Elements elements(text, name);
  document.traverse(elements);
  if (elements.too_many) problems.add(file, 0, "more elements than any configuration has");
  return std::move(elements.found);
}

}  // namespace dbaudit

#include "pools/placeholder.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace dbaudit {
namespace {

struct Brackets {
  std::string_view open;
  std::string_view close;
};
constexpr std::array<Brackets, 2> kTemplates{{{"{{", "}}"}, {"<%", "%>"}}};

std::size_t newlines_in(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Whether everything on the lines of [begin, end) is the template itself.
bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t before = begin;
  while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t')) --before;
  std::size_t after = end;
  while (after < text.size() && (text[after] == ' ' || text[after] == '\t' || text[after] == '\r')) ++after;
  return (before == 0 || text[before - 1] == '\n') && (after >= text.size() || text[after] == '\n');
}

// "key: @project.version@" of Maven: '@' cannot begin a plain YAML value.
void replace_maven(std::string& line) {
  const std::size_t colon = line.find(": @");
  if (colon == std::string::npos) return;
  const std::size_t close = line.find('@', colon + 3);
  if (close != std::string::npos) line.replace(colon + 2, close - colon - 1, kTemplate);
}

bool harmless_default(std::string_view text) {
  return text == "true" || text == "false" || (!text.empty() && std::all_of(text.begin(), text.end(), is_digit));
}

}  // namespace

std::string without_templates(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  std::array<std::size_t, kTemplates.size()> found{};  // where each kind comes next; looked for once
  for (std::size_t i = 0; i < found.size(); ++i) found[i] = text.find(kTemplates[i].open);
  while (at < text.size()) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] < at) found[i] = text.find(kTemplates[i].open, at);
    }
    const std::size_t kind = found[0] <= found[1] ? 0 : 1;
    const std::size_t begin = found[kind];
    if (begin == std::string_view::npos) break;
    const std::size_t close = text.find(kTemplates[kind].close, begin + 2);
    if (close == std::string_view::npos) break;
    const std::size_t end = close + 2;
    out += text.substr(at, begin - at);
    const std::string_view whole = text.substr(begin, end - begin);
    const bool steers = whole.starts_with("<%") && !whole.starts_with("<%=");
    if (!steers && !stands_alone(text, begin, end)) out += kTemplate;
    out += std::string(newlines_in(whole), '\n');
    at = end;
  }
  out += text.substr(at);
  if (out.find(": @") == std::string::npos) return out;
  std::vector<std::string> lines = split(out, '\n');
  for (std::string& line : lines) replace_maven(line);
  return join(lines, "\n");
}

std::optional<std::string> placeholder_in(std::string_view value) {
  if (value == kElsewhere) return "a ConfigMap or Secret";
  if (value.find(kTemplate) != std::string_view::npos || value.find("{{") != std::string_view::npos ||
      value.find("<%") != std::string_view::npos)
    return "a template's placeholder";
  for (const Brackets& brackets :
       {Brackets{"${", "}"}, Brackets{"$(", ")"}, Brackets{"#{", "}"}, Brackets{"%(", ")"}}) {
    const std::size_t begin = value.find(brackets.open);
    if (begin == std::string_view::npos) continue;
    const std::size_t close = value.find(brackets.close, begin);
    if (close == std::string_view::npos) continue;
    const std::string_view inside = value.substr(begin + 2, close - begin - 2);
    const std::size_t colon = inside.find(':');
    const bool shown = colon == std::string_view::npos || harmless_default(inside.substr(colon + 1));
    return std::string(brackets.open) + printable(bounded(shown ? inside : inside.substr(0, colon), 60)) +
           std::string(brackets.close);
  }
  // $NAME of a shell or an environment.
  if (value.size() > 1 && value[0] == '$' && (is_letter(value[1]) || value[1] == '_')) {
    return printable(bounded(value.substr(0, value.find_first_of(" /:?&")), 60));
  }
  return std::nullopt;
}

bool is_secret_key(std::string_view key) {
  std::string plain;
  for (const char c : to_lower(key)) {
    if (c != '-' && c != '_') plain += c;
  }
  for (const std::string_view word : {"password", "passwd", "passphrase", "pwd", "secret", "token", "credential",
                                      "privatekey", "accesskey", "apikey"}) {
    if (plain.find(word) != std::string::npos) return true;
  }
  return plain == "pass" || plain == "auth";
}

}  // namespace dbaudit

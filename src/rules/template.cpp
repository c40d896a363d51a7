#include "rules/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"

namespace dbaudit {
namespace {

std::string formatted(const Value& value, std::string_view format) {
  if (is_null(value)) return "unknown";
  const std::optional<double> number = number_of(value);
  if (!number) return text_of(value);
  if (format == "duration") return format_duration(*number);
  if (format == "seconds") return std::isinf(*number) ? text_of(value) : fmt::format("{:.0f}", std::ceil(*number));
  if (format == "for")
    return *number == kUnlimited ? "for any length of time" : "for up to " + format_duration(*number);
  if (format == "over") return *number == kUnlimited ? "without any limit" : format_duration(*number) + " too long";
  if (format == "bytes") return format_bytes(*number);
  if (format == "count") return format_count(*number);
  return text_of(value);
}

// Calls `literal` for text and `placeholder(column, format)` for placeholders; returns false for an unclosed brace.
template <typename Literal, typename Placeholder>
bool walk(std::string_view text, Literal literal, Placeholder placeholder) {
  while (!text.empty()) {
    const std::size_t brace = text.find_first_of("{}");
    literal(text.substr(0, brace));
    if (brace == std::string_view::npos) return true;
    text.remove_prefix(brace);
    if (text.size() > 1 && text[1] == text[0]) {
      literal(text.substr(0, 1));
      text.remove_prefix(2);
      continue;
    }
    const std::size_t end = text.find('}');
    if (text[0] == '}' || end == std::string_view::npos) return false;
    const std::string_view inside = text.substr(1, end - 1);
    const std::size_t colon = inside.find(':');
    placeholder(inside.substr(0, colon),
                colon == std::string_view::npos ? std::string_view() : inside.substr(colon + 1));
    text.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace

TemplateCheck check_template(std::string_view text) {
  TemplateCheck check;
  const bool closed = walk(
      text, [](std::string_view) {},
      [&](std::string_view column, std::string_view format) {
        check.columns.emplace_back(column);
        constexpr std::array<std::string_view, 7> kFormats{"", "duration", "seconds", "for", "over", "bytes", "count"};
        if (std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end()) {
          check.problems.push_back(fmt::format(
              "'{{{}:{}}}': the format must be duration, seconds, for, over, bytes or count", column, format));
        }
      });
  if (!closed) check.problems.emplace_back("a '{' or '}' stands alone; write '{{' for a brace");
  return check;
}

std::string fill_template(std::string_view text, const Lookup& lookup) {
  std::string out;
  walk(
      text, [&](std::string_view literal) { out += literal; },
      [&](std::string_view column, std::string_view format) { out += formatted(lookup(column), format); });
  return out;
}

}  // namespace dbaudit

#include "facts/value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace dbaudit {
namespace {

template <typename Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<double> number_of(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* text = std::get_if<std::string>(&value)) return parse_whole<double>(*text);
  return std::nullopt;
}

std::string text_of(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* real = std::get_if<double>(&value)) {
    if (std::isinf(*real)) return *real > 0 ? "unlimited" : "-unlimited";
    return fmt::format("{}", *real == std::floor(*real) && std::abs(*real) < 1e15 ? fmt::format("{:.0f}", *real)
                                                                                  : fmt::format("{}", *real));
  }
  return "";
}

Value value_from_server(std::string_view text) {
  const bool leading_zero = text.size() > 1 && text[0] == '0' && text[1] != '.';
  if (text.empty() || leading_zero || (text[0] != '-' && (text[0] < '0' || text[0] > '9'))) return std::string(text);
  if (const auto integer = parse_whole<std::int64_t>(text)) return *integer;
  // 18446744073709551615 and its like: larger than SQLite's integers, kept as the nearest real number.
  if (text.find_first_not_of("-0123456789.") == std::string_view::npos) {
    if (const auto real = parse_whole<double>(text)) return *real;
  }
  return std::string(text);
}

}  // namespace dbaudit

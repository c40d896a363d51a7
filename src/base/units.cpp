#include "base/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace dbaudit {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 5> kTimeUnits{{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}, {"ms", 0.001}}};

// Reads an unsigned decimal number at the start of `text` and removes it.
std::optional<double> take_number(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && (is_digit(text[length]) || text[length] == '.')) ++length;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + length, number, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + length) return std::nullopt;
  text.remove_prefix(length);
  return number;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && is_letter(text[length])) ++length;
  const std::string_view letters = text.substr(0, length);
  text.remove_prefix(length);
  return letters;
}

void skip_spaces(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

}  // namespace

std::optional<Seconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const std::optional<double> number = take_number(text);
    if (!number) return std::nullopt;
    skip_spaces(text);
    const std::string_view name = take_letters(text);
    const Unit* found = nullptr;
    for (const Unit& unit : kTimeUnits) {
      if (unit.name == name) found = &unit;
    }
    if (name == "m") found = &kTimeUnits[2];
    if (found == nullptr) return std::nullopt;
    total += *number * found->factor;
    skip_spaces(text);
  }
  return Seconds{total};
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  const std::optional<double> number = take_number(text);
  if (!number) return std::nullopt;
  skip_spaces(text);
  std::string unit = to_lower(text);
  if (!unit.empty() && unit.back() == 'b') unit.pop_back();
  if (!unit.empty() && unit.back() == 'i') unit.pop_back();
  double factor = 1;
  if (!unit.empty()) {
    constexpr std::string_view kPrefixes = "kmgtp";
    const std::size_t power = kPrefixes.find(unit);
    if (power == std::string_view::npos || unit.size() != 1) return std::nullopt;
    factor = std::pow(1024.0, static_cast<double>(power) + 1);
  }
  const double bytes = *number * factor;
  if (bytes > 9.2e18) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

double Margin::of(double base) const { return std::clamp(ratio * base, at_least, std::max(at_least, at_most)); }

std::optional<Margin> parse_margin(std::string_view text) {
  // A duration, or a plain number.
  Margin margin;
  const auto amount = [&margin](std::string_view part) -> std::optional<double> {
    if (const std::optional<Seconds> duration = parse_duration(part)) {
      margin.in_seconds = true;
      return duration->count();
    }
    margin.in_counts = true;
    const std::optional<double> number = take_number(part);
    return number && part.empty() ? number : std::nullopt;
  };
  margin.at_most = std::numeric_limits<double>::infinity();
  bool first = true;
  for (const std::string& piece : split(text, ',')) {
    std::string_view part = trimmed(piece);
    constexpr std::string_view kAtLeast = "at least ";
    constexpr std::string_view kAtMost = "at most ";
    if (first) {
      first = false;
      if (!part.empty() && part.back() == '%') {
        part.remove_suffix(1);
        const std::optional<double> percent = take_number(part);
        if (!percent || !part.empty()) return std::nullopt;
        margin.ratio = *percent / 100;
        continue;
      }
      const std::optional<double> fixed = amount(part);
      if (!fixed) return std::nullopt;
      margin.at_least = margin.at_most = *fixed;
      continue;
    }
    const bool least = part.substr(0, kAtLeast.size()) == kAtLeast;
    if (!least && part.substr(0, kAtMost.size()) != kAtMost) return std::nullopt;
    part.remove_prefix(least ? kAtLeast.size() : kAtMost.size());
    const std::optional<double> bound = amount(trimmed(part));
    if (!bound || margin.ratio == 0) return std::nullopt;
    (least ? margin.at_least : margin.at_most) = *bound;
  }
  if (margin.in_seconds && margin.in_counts) return std::nullopt;
  return margin;
}

std::string format_duration(double seconds) {
  if (std::isinf(seconds)) return seconds > 0 ? "unlimited" : "-unlimited";
  if (std::isnan(seconds)) return "unknown";
  if (seconds < 0) return "-" + format_duration(-seconds);
  if (seconds == 0) return "0 s";
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 60) {
    return std::abs(seconds - std::round(seconds)) < 0.05 ? fmt::format("{:.0f} s", seconds)
                                                          : fmt::format("{:.1f} s", seconds);
  }
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  for (std::size_t i = 0; i + 2 < kTimeUnits.size(); ++i) {
    const auto size = static_cast<std::int64_t>(kTimeUnits[i].factor);
    if (whole < size) continue;
    const auto smaller = static_cast<std::int64_t>(kTimeUnits[i + 1].factor);
    const std::int64_t rest = whole % size / smaller;
    std::string text = fmt::format("{} {}", whole / size, kTimeUnits[i].name);
    if (rest > 0) text += fmt::format(" {} {}", rest, kTimeUnits[i + 1].name);
    return text;
  }
  return fmt::format("{} s", whole);
}

std::string format_bytes(double bytes) {
  if (std::isinf(bytes)) return "unlimited";
  constexpr std::array<std::string_view, 6> kNames{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t power = 0;
  while (std::abs(bytes) >= 1024 && power + 1 < kNames.size()) {
    bytes /= 1024;
    ++power;
  }
  return power == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kNames.at(power));
}

std::string format_count(double value) {
  if (std::isinf(value)) return value > 0 ? "unlimited" : "-unlimited";
  if (value != std::floor(value)) return fmt::format("{:.2f}", value);
  std::string digits = fmt::format("{:.0f}", std::abs(value));
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return value < 0 ? "-" + digits : digits;
}

std::string counted(std::size_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", format_count(static_cast<double>(number)), number == 1 ? one : many);
}

}  // namespace dbaudit

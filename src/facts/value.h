// One cell of the fact store.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace dbaudit {

// monostate is SQL's NULL: unknown. Infinity is "unlimited".
using Value = std::variant<std::monostate, std::int64_t, double, std::string>;

inline constexpr double kUnlimited = std::numeric_limits<double>::infinity();

inline bool is_null(const Value& value) { return value.index() == 0; }

// The number in it, also from text that is entirely a number; nothing for NULL and other text.
std::optional<double> number_of(const Value& value);

// As text: numbers in their shortest form, infinity as "unlimited", NULL as "".
std::string text_of(const Value& value);

// What a server's text answer means: an integer or decimal number becomes one (when printing it gives the same text
// again), everything else stays text.
Value value_from_server(std::string_view text);

}  // namespace dbaudit

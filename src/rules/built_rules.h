// The shipped rules as they were when this program was built, and its tests checked them.
#pragma once

#include <cstddef>
#include <string_view>

namespace dbaudit {

// Whether this is, byte for byte, one of them; its text without tests.
bool is_built_rule(std::string_view text);
std::size_t count_of_built_rules();

}  // namespace dbaudit

// A cell of the fact store as JSON: NULL is null, infinity "unlimited", whole numbers without a fraction.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "facts/value.h"

namespace dbaudit {

nlohmann::ordered_json json_value(const Value& value);

// Indented, valid UTF-8 whatever is inside, without characters that act on a terminal, and with a line break at its
// end.
std::string json_text(const nlohmann::ordered_json& json);

}  // namespace dbaudit

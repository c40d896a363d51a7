// A cell of the fact store as JSON: NULL is null, infinity "unlimited", whole numbers without a fraction.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "facts/value.h"

namespace dbaudit {

nlohmann::ordered_json json_value(const Value& value);

}  // namespace dbaudit

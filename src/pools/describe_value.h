// Values of settings as people read them.
#pragma once

#include <string>

#include "facts/value.h"

namespace dbaudit {

// `unit` as in pool_setting.unit: "30 s", "unlimited", "10", "true"; NULL is "not set".
std::string describe_value(const Value& value, const std::string& unit);

}  // namespace dbaudit

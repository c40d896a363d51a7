#include "pools/describe_value.h"

#include "base/units.h"

namespace dbaudit {

std::string describe_value(const Value& value, const std::string& unit) {
  if (is_null(value)) return "not set";
  const std::optional<double> number = number_of(value);
  if (unit == "seconds" && number) return format_duration(*number);
  if (unit == "boolean" && number) return *number != 0 ? "true" : "false";
  return text_of(value);
}

}  // namespace dbaudit

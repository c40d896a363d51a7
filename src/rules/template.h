// Messages with placeholders: "{subject} waits {idle_s:duration}".
//
// {column} prints a value as it is, {column:duration}, {column:bytes} and {column:count} for people, {column:seconds}
// for a server: whole seconds, rounded up. {column:for} is "for up to 30 min" or "for any length of time",
// {column:over} "5 min too long" or "without any limit". NULL is "unknown".
// "{{" and "}}" are braces.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "facts/value.h"

namespace dbaudit {

struct TemplateCheck {
  std::vector<std::string> columns;   // every placeholder's column
  std::vector<std::string> problems;  // unclosed braces, unknown formats
};
TemplateCheck check_template(std::string_view text);

using Lookup = std::function<Value(std::string_view column)>;
std::string fill_template(std::string_view text, const Lookup& lookup);

}  // namespace dbaudit

// What a file leaves to its deployment: ${...}, $(...), {{ }}, <%= %>, @...@. Such a value is unknown, never guessed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dbaudit {

// Stands for a template's placeholder where the file itself would otherwise not be YAML.
inline constexpr std::string_view kTemplate = "__template__";

// Stands for a value that the file takes from somewhere else (valueFrom of Kubernetes).
inline constexpr std::string_view kElsewhere = "__elsewhere__";

// Templates in YAML text made harmless, with every line where it was: {{ ... }}, <%= ... %> and @...@ as a whole value
// become kTemplate, and what only steers (a line of nothing but {{- if }} or <% if %>) an empty line.
std::string without_templates(std::string_view text);

// What hides the value, for people ("${DB_POOL}"); nothing when the value is plain. A default inside a placeholder
// (${A:5}) is shown when it is a number or a boolean: anything else might be a secret.
std::optional<std::string> placeholder_in(std::string_view value);

// Whether a key of this name holds a password, token or the like, so that its value is neither kept nor printed.
bool is_secret_key(std::string_view key);

}  // namespace dbaudit

#include "base/toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <array>
#include <cstdio>
#include <memory>

#include "base/text.h"

namespace dbaudit {
namespace {

TomlValue converted(const toml::node& node) {
  TomlValue out;
  out.line = static_cast<int>(node.source().begin.line);
  node.visit([&out](const auto& concrete) {
    using Node = std::remove_cvref_t<decltype(concrete)>;
    if constexpr (toml::is_table<Node>) {
      TomlMembers members;
      members.reserve(concrete.size());
      for (const auto& [key, child] : concrete) members.push_back({std::string(key.str()), converted(child)});
      out.value = std::move(members);
    } else if constexpr (toml::is_array<Node>) {
      TomlArray items;
      items.reserve(concrete.size());
      for (const auto& child : concrete) items.push_back(converted(child));
      out.value = std::move(items);
    } else if constexpr (toml::is_string<Node>) {
      out.value = concrete.get();
    } else if constexpr (toml::is_integer<Node>) {
      out.value = concrete.get();
    } else if constexpr (toml::is_floating_point<Node>) {
      out.value = concrete.get();
    } else if constexpr (toml::is_boolean<Node>) {
      out.value = concrete.get();
    } else if constexpr (toml::is_date<Node>) {
      out.value = TomlDate{concrete.get().year, concrete.get().month, concrete.get().day};
    } else {
      out.value = std::string("(a time of day)");  // also of a date: nothing here takes one, and none may be dropped
    }
  });
  return out;
}

}  // namespace

std::string_view TomlValue::type_name() const {
  switch (value.index()) {
    case 0: return "a string";
    case 1: return "an integer";
    case 2: return "a decimal number";
    case 3: return "a boolean";
    case 4: return "a date";
    case 5: return "an array";
    default: return "a table";
  }
}

std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file, Problems& problems) {
  try {
    return converted(toml::parse(text));
  } catch (const toml::parse_error& error) {
    problems.add(file, static_cast<int>(error.source().begin.line),
                 "not valid TOML: " + std::string(error.description()));
    return std::nullopt;
  }
}

// Not with a stream: an audit reads a hundred files, and streams take four times as long.
std::optional<std::string> read_file(const std::string& path, Problems& problems) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (in) {
    std::setvbuf(in.get(), nullptr, _IONBF, 0);
    std::string text;
    std::array<char, 65536> part;  // it may be a pipe, which has no size
    while (const std::size_t read = std::fread(part.data(), 1, part.size(), in.get())) text.append(part.data(), read);
    if (std::ferror(in.get()) == 0) return text;  // a folder can be opened, and not read
  }
  problems.add(path, 0, "cannot be read");
  return std::nullopt;
}

std::string_view without_tests(std::string_view text) { return text.substr(0, text.find("\n[[test]]")); }

std::optional<TomlValue> parse_toml_file(const std::string& path, Problems& problems) {
  const std::optional<std::string> text = read_file(path, problems);
  return text ? parse_toml(*text, path, problems) : std::nullopt;
}

std::optional<TomlValue> parse_toml_file_without_tests(const std::string& path, Problems& problems) {
  const std::optional<std::string> text = read_file(path, problems);
  return text ? parse_toml(without_tests(*text), path, problems) : std::nullopt;
}

TomlReader::TomlReader(const TomlValue& value, std::string file, std::string where, Problems& problems)
    : members_(value.get<TomlMembers>()),
      line_(value.line),
      file_(std::move(file)),
      where_(std::move(where)),
      problems_(problems) {
  static const TomlMembers kNoMembers;
  if (members_ == nullptr) {
    problems_.add(file_, line_, fmt::format("{} must be a table, not {}", where_, value.type_name()));
    members_ = &kNoMembers;
  }
}

const TomlValue* TomlReader::peek(std::string_view key) const {
  for (const auto& [name, child] : *members_) {
    if (name == key) return &child;
  }
  return nullptr;
}

int TomlReader::line_of(std::string_view key) const {
  const TomlValue* found = peek(key);
  return found == nullptr ? line_ : found->line;
}

const TomlValue* TomlReader::take(const std::string& key) {
  known_.insert(key);
  return peek(key);
}

void TomlReader::problem(std::string_view key, std::string message) {
  problems_.add(file_, line_of(key), fmt::format("{}: {}", where_, message));
}

void TomlReader::wrong_type(const TomlValue& found, std::string_view key, std::string_view wanted) {
  problem(key, fmt::format("'{}' must be {}, not {}", key, wanted, found.type_name()));
}

std::optional<std::string> TomlReader::text(const std::string& key) {
  const TomlValue* found = take(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* text = found->get<std::string>()) return *text;
  wrong_type(*found, key, "a string");
  return std::nullopt;
}

std::string TomlReader::required_text(const std::string& key) {
  const bool present = has(key);
  std::optional<std::string> found = text(key);
  if (!present || (found && found->empty())) problem(key, fmt::format("'{}' is missing or empty", key));
  return found.value_or("");
}

std::optional<std::int64_t> TomlReader::integer(const std::string& key, std::int64_t min, std::int64_t max) {
  const TomlValue* found = take(key);
  if (found == nullptr) return std::nullopt;
  const auto* number = found->get<std::int64_t>();
  if (number == nullptr) {
    wrong_type(*found, key, "an integer");
    return std::nullopt;
  }
  if (*number < min || *number > max) {
    problem(key, fmt::format("'{}' is {}, it must be from {} to {}", key, *number, min, max));
    return std::nullopt;
  }
  return *number;
}

std::optional<bool> TomlReader::boolean(const std::string& key) {
  const TomlValue* found = take(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* flag = found->get<bool>()) return *flag;
  wrong_type(*found, key, "true or false");
  return std::nullopt;
}

std::optional<TomlDate> TomlReader::date(const std::string& key) {
  const TomlValue* found = take(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* date = found->get<TomlDate>()) return *date;
  wrong_type(*found, key, "a date such as 2027-01-31, without quotes or a time of day");
  return std::nullopt;
}

std::optional<Seconds> TomlReader::duration(const std::string& key) {
  const TomlValue* found = take(key);
  if (found == nullptr) return std::nullopt;
  const auto* text = found->get<std::string>();
  std::optional<Seconds> duration = text == nullptr ? std::nullopt : parse_duration(*text);
  if (!duration) {
    problem(key, fmt::format("'{}' must be a duration with a unit, such as \"30s\", \"5m\" or \"250ms\"{}", key,
                             text == nullptr ? fmt::format(", not {}", found->type_name())
                                             : fmt::format(", not \"{}\"", *text)));
  }
  return duration;
}

std::optional<std::int64_t> TomlReader::size_bytes(const std::string& key) {
  const TomlValue* found = take(key);
  if (found == nullptr) return std::nullopt;
  const auto* text = found->get<std::string>();
  std::optional<std::int64_t> size = text == nullptr ? std::nullopt : parse_size(*text);
  if (!size) problem(key, fmt::format("'{}' must be a size such as \"16GiB\" or \"512M\"", key));
  return size;
}

std::optional<std::string> TomlReader::one_of(const std::string& key, const std::vector<std::string>& allowed,
                                              Spelling spelling) {
  std::optional<std::string> found = text(key);
  if (!found) return std::nullopt;
  for (const std::string& candidate : allowed) {
    if (candidate == *found || (spelling == Spelling::any_case && equals_ignoring_case(candidate, *found)))
      return candidate;
  }
  problem(key, fmt::format("'{}' is \"{}\", it must be one of {}{}", key, *found, fmt::join(allowed, ", "),
                           did_you_mean(*found, allowed)));
  return std::nullopt;
}

std::vector<std::string> TomlReader::texts(const std::string& key) {
  std::vector<std::string> out;
  const TomlValue* found = take(key);
  if (found == nullptr) return out;
  const auto* items = found->get<TomlArray>();
  if (items == nullptr) {
    wrong_type(*found, key, "an array of strings");
    return out;
  }
  for (const TomlValue& item : *items) {
    if (const auto* text = item.get<std::string>()) {
      out.push_back(*text);
    } else {
      problems_.add(file_, item.line,
                    fmt::format("{}: '{}' must hold strings only, not {}", where_, key, item.type_name()));
    }
  }
  return out;
}

const TomlValue* TomlReader::value(const std::string& key) { return take(key); }

const TomlValue* TomlReader::table(const std::string& key) {
  const TomlValue* found = take(key);
  if (found == nullptr) return nullptr;
  if (found->get<TomlMembers>() != nullptr) return found;
  wrong_type(*found, key, "a table");
  return nullptr;
}

std::vector<const TomlValue*> TomlReader::tables(const std::string& key) {
  std::vector<const TomlValue*> out;
  const TomlValue* found = take(key);
  if (found == nullptr) return out;
  const auto* items = found->get<TomlArray>();
  if (items == nullptr) {
    wrong_type(*found, key, fmt::format("an array of tables ([[{}]])", key));
    return out;
  }
  for (const TomlValue& item : *items) {
    if (item.get<TomlMembers>() != nullptr) {
      out.push_back(&item);
    } else {
      wrong_type(item, key, fmt::format("an array of tables ([[{}]])", key));
    }
  }
  return out;
}

const TomlMembers& TomlReader::members() {
  for (const auto& [name, child] : *members_) known_.insert(name);
  return *members_;
}

void TomlReader::finish() {
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& [name, child] : *members_) {
    if (known_.contains(name)) continue;
    problems_.add(file_, child.line, fmt::format("{}: unknown key '{}'{}", where_, name, did_you_mean(name, known)));
  }
}

}  // namespace dbaudit

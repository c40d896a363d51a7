// TOML files as plain values that remember their line, and a reader that checks them.
//
// toml++ is used in toml.cpp only. Reading never throws: every problem goes to Problems with file and line, so that a
// whole file, and every file of a run, is judged in one go.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/problems.h"
#include "base/units.h"

namespace dbaudit {

struct TomlValue;
struct TomlMember;
using TomlArray = std::vector<TomlValue>;
using TomlMembers = std::vector<TomlMember>;  // sorted by key

struct TomlDate {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  bool operator==(const TomlDate&) const = default;
};

struct TomlValue {
  std::variant<std::string, std::int64_t, double, bool, TomlDate, TomlArray, TomlMembers> value;
  int line = 0;  // 1-based

  template <typename T>
  [[nodiscard]] const T* get() const;
  // "a string", "a table", ... for messages.
  [[nodiscard]] std::string_view type_name() const;
  bool operator==(const TomlValue&) const = default;
};

// Named so that `for (const auto& [key, value] : members)` reads as it would over a map.
struct TomlMember {
  std::string key;
  TomlValue value;
  bool operator==(const TomlMember&) const = default;
};

template <typename T>
const T* TomlValue::get() const {
  return std::get_if<T>(&value);
}

std::optional<std::string> read_file(const std::string& path, Problems& problems);
// Without the [[test]] tables, which stand at the end of rules and library descriptions and are most of them.
std::string_view without_tests(std::string_view text);

// The root table; nothing after a syntax error or an unreadable file, which is then in `problems`.
std::optional<TomlValue> parse_toml_file(const std::string& path, Problems& problems);
std::optional<TomlValue> parse_toml_file_without_tests(const std::string& path, Problems& problems);
std::optional<TomlValue> parse_toml(std::string_view text, const std::string& file, Problems& problems);

enum class Spelling { exact, any_case };

// Reads one table key by key. What was not read when `finish` is called is an unknown key, reported with the nearest
// known name. The getters report a wrong type and then return nothing, like a missing key.
class TomlReader {
 public:
  // `where` names the table in messages ("[[pool]] 'checkout'", "rule POOL001"). `value` must be a table and, like
  // `problems`, outlive the reader.
  TomlReader(const TomlValue& value, std::string file, std::string where, Problems& problems);

  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] int line_of(std::string_view key) const;
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool has(std::string_view key) const { return peek(key) != nullptr; }

  std::optional<std::string> text(const std::string& key);
  std::optional<std::int64_t> integer(const std::string& key, std::int64_t min, std::int64_t max);
  std::optional<bool> boolean(const std::string& key);
  std::optional<TomlDate> date(const std::string& key);
  std::optional<Seconds> duration(const std::string& key);         // a string with a unit
  std::optional<std::int64_t> size_bytes(const std::string& key);  // a string such as "16GiB"
  // Spelt as in `allowed`, however it is written when its case is ignored.
  std::optional<std::string> one_of(const std::string& key, const std::vector<std::string>& allowed,
                                    Spelling spelling = Spelling::exact);
  std::vector<std::string> texts(const std::string& key);  // an array of strings
  // Any value, unchecked.
  const TomlValue* value(const std::string& key);
  // A member that must be a table, or every element of an array of tables.
  const TomlValue* table(const std::string& key);
  std::vector<const TomlValue*> tables(const std::string& key);
  // Every member of this table, for tables whose keys are the user's own.
  const TomlMembers& members();

  // Like text(), and a missing or empty one is a problem.
  std::string required_text(const std::string& key);

  void problem(std::string_view key, std::string message);
  void finish();

 private:
  [[nodiscard]] const TomlValue* peek(std::string_view key) const;
  const TomlValue* take(const std::string& key);
  void wrong_type(const TomlValue& found, std::string_view key, std::string_view wanted);

  const TomlMembers* members_;
  int line_;
  std::string file_;
  std::string where_;
  Problems& problems_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace dbaudit

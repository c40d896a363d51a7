// JSON, written member by member. Valid UTF-8 whatever is inside, without characters that act on a terminal, and with a
// line break at its end. No tree of it is built first: a stall of hundreds of waits is written while people wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "facts/value.h"

namespace dbaudit {

enum class JsonLayout { indented, one_line };

class JsonWriter {
 public:
  explicit JsonWriter(JsonLayout layout = JsonLayout::indented);
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;
  ~JsonWriter();

  void value(std::nullptr_t);
  void value(bool flag);
  void value(std::int64_t number);
  void value(int number) { value(static_cast<std::int64_t>(number)); }
  void value(std::size_t number) { value(static_cast<std::int64_t>(number)); }
  // Whole numbers without a fraction; infinity is "unlimited".
  void value(double number);
  void value(std::string_view text);
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(const char* text) { value(std::string_view(text)); }
  void value(const Value& cell);
  template <typename T>
  void value(const std::optional<T>& maybe) {
    if (maybe) {
      value(*maybe);
    } else {
      value(nullptr);
    }
  }

  // `members` writes them, with what follows.
  template <typename Members>
  void object(const Members& members) {
    begin_object();
    members();
    end_object();
  }
  // `each` writes one value for each item.
  template <typename List, typename Each>
  void array(const List& items, const Each& each) {
    begin_array();
    for (const auto& item : items) each(item);
    end_array();
  }

  template <typename T>
  void member(std::string_view name, const T& of) {
    key(name);
    value(of);
  }
  template <typename Members>
  void object(std::string_view name, const Members& members) {
    key(name);
    object(members);
  }
  template <typename List, typename Each>
  void array(std::string_view name, const List& items, const Each& each) {
    key(name);
    array(items, each);
  }
  // `members` of an item writes those of its object.
  template <typename List, typename Members>
  void objects(std::string_view name, const List& items, const Members& members) {
    array(name, items, [&](const auto& item) { object([&] { members(item); }); });
  }
  // Empty: null.
  void text_or_null(std::string_view name, std::string_view text) {
    key(name);
    if (text.empty()) {
      value(nullptr);
    } else {
      value(text);
    }
  }

  // What was written; nothing more may be.
  std::string text() const;

 private:
  void key(std::string_view name);
  void begin_object();
  void end_object();
  void begin_array();
  void end_array();

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbaudit

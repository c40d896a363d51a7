// Private to src/facts: failures of SQLite that are dbaudit's own fault, or the machine's.
#pragma once

#include <fmt/format.h>
#include <sqlite3.h>

#include <stdexcept>
#include <string_view>

namespace dbaudit {

[[noreturn]] inline void fail_store(sqlite3* db, std::string_view doing) {
  throw std::runtime_error(
      fmt::format("fact store: {}: {}", doing, db == nullptr ? "out of memory" : sqlite3_errmsg(db)));
}

inline void check_store(sqlite3* db, int code, std::string_view doing) {
  if (code != SQLITE_OK) fail_store(db, doing);
}

}  // namespace dbaudit

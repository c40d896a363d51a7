// Which metadata locks a statement asks for, read from its text.
//
// Needed where a server shows who waits but not for what: MariaDB without performance_schema. What a text cannot tell
// (tables behind views, triggers and stored routines, a statement that the server cut off) is not in the answer, and
// everything that follows from the answer is inferred.
// The order of lock types is MariaDB's, where texts are all that there is; MySQL shows what is asked for.
// Lock types: MySQL 8.4 reference manual 10.11.4 "Metadata Locking" and what MariaDB 10.11.19 and 11.8.6 granted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

struct WantedLock {
  std::string object_type;  // performance_schema's words: TABLE, SCHEMA, FUNCTION, PROCEDURE, USER LEVEL LOCK, BACKUP
  std::string schema;       // empty where the type has none
  std::string name;
  std::string lock_type;    // what it asks for first
  std::string upgraded_to;  // what it asks for next when it has that (ALTER TABLE); empty: nothing
  bool may_be_new = false;  // CREATE TABLE: the upgrade is for a table that was not there

  bool operator==(const WantedLock&) const = default;
};

// In the order in which the statement names them, each object once with its strongest type. `database` is the
// session's default.
std::vector<WantedLock> wanted_locks(std::string_view statement, std::string_view database);

// What a statement may ask of tables that it does not name, of those behind views, triggers and routines: the first is
// the likeliest. `schema` is where they must be; empty: anywhere.
struct HiddenLocks {
  std::vector<std::string_view> types;
  std::string schema;
};
HiddenLocks hidden_locks(std::string_view statement, std::string_view database);

}  // namespace dbaudit

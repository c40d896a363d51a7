// Which metadata locks stand in each other's way: the conflict tables of both families.
//
// A request is granted when no other session holds an incompatible granted lock on the object and no incompatible
// request waits for it. The second table is not a queue: a request that came later may stand in the way as well.
// Source: the arrays in sql/mdl.cc of MySQL 9.7.2 and MariaDB 10.11.18, compared by script with what MySQL 9.7.4,
// MariaDB 10.11.19 and 11.8.6 did.
#pragma once

#include <string_view>

namespace dbaudit {

enum class Conflict {
  none,
  conflict,
  unknown,  // a lock type that this version of dbaudit does not know
};

// `object_type` and lock types in performance_schema's words: TABLE, SCHEMA, GLOBAL, BACKUP, ...; SHARED_READ, ...
Conflict conflict_with_granted(std::string_view object_type, std::string_view requested, std::string_view granted);
Conflict conflict_with_waiting(std::string_view object_type, std::string_view requested, std::string_view waiting);

// Whether max_write_lock_count counts for the object (MDL_lock in sql/mdl.cc of both: not for what is no object but a
// scope, such as GLOBAL, SCHEMA or BACKUP).
bool has_limited_queue(std::string_view object_type);

// What MariaDB's performance_schema shows as `shown`, because later upgrades are not written back, may really be this
// conflict with `requested` (measured: LOCK TABLES READ shows SHARED_READ and is SHARED_READ_ONLY, ALTER shows
// SHARED_UPGRADABLE and is SHARED_NO_WRITE or EXCLUSIVE, FLUSH TABLES WITH READ LOCK shows BACKUP_FTWRL1).
bool may_have_become_conflict(std::string_view object_type, std::string_view requested, std::string_view shown);

// The reverse: an ALTER shows BACKUP_DDL and, once it is at work, is BACKUP_ALTER_COPY (measured).
bool may_have_lost_conflict(std::string_view object_type, std::string_view requested, std::string_view shown);

}  // namespace dbaudit

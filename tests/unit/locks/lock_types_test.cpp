#include "locks/lock_types.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/text.h"

namespace dbaudit {
namespace {

using Names = std::map<std::string, std::string>;  // short, performance_schema's

// What a request does not go with: types that others hold, and types that others ask for.
struct InTheWay {
  const char* granted;
  const char* waiting;
};
using Rows = std::map<std::string, InTheWay>;  // by what is requested

// Every cell: what is not listed goes together.
void compare(const std::string& object_type, const Names& names, const Rows& rows) {
  for (const auto& requested : names) {
    const std::vector<std::string> granted = split(rows.at(requested.first).granted, ' ');
    const std::vector<std::string> waiting = split(rows.at(requested.first).waiting, ' ');
    for (const auto& other : names) {
      const auto expected = [&](const std::vector<std::string>& listed) {
        const bool found = std::find(listed.begin(), listed.end(), other.first) != listed.end();
        return found ? Conflict::conflict : Conflict::none;
      };
      CAPTURE(object_type);
      CAPTURE(requested.second);
      CAPTURE(other.second);
      CHECK(conflict_with_granted(object_type, requested.second, other.second) == expected(granted));
      CHECK(conflict_with_waiting(object_type, requested.second, other.second) == expected(waiting));
    }
  }
}

// The lists are those of sql/mdl.cc; MariaDB's are the same without SHARED_WRITE_LOW_PRIO.
TEST_CASE("locks on tables, routines and names") {
  const Names names{{"S", "SHARED"},
                    {"SH", "SHARED_HIGH_PRIO"},
                    {"SR", "SHARED_READ"},
                    {"SW", "SHARED_WRITE"},
                    {"SWLP", "SHARED_WRITE_LOW_PRIO"},
                    {"SU", "SHARED_UPGRADABLE"},
                    {"SRO", "SHARED_READ_ONLY"},
                    {"SNW", "SHARED_NO_WRITE"},
                    {"SNRW", "SHARED_NO_READ_WRITE"},
                    {"X", "EXCLUSIVE"}};
  const Rows rows{
      {"S", {"X", "X"}},
      {"SH", {"X", ""}},             // SHOW COLUMNS passes a waiting ALTER
      {"SR", {"SNRW X", "SNRW X"}},  // and a SELECT does not: why one idle reader freezes a table
      {"SW", {"SRO SNW SNRW X", "SNW SNRW X"}},
      {"SWLP", {"SRO SNW SNRW X", "SRO SNW SNRW X"}},
      {"SU", {"SU SNW SNRW X", "X"}},
      {"SRO", {"SW SWLP SNRW X", "SW SNRW X"}},
      {"SNW", {"SW SWLP SU SNW SNRW X", "X"}},
      {"SNRW", {"SR SW SWLP SU SRO SNW SNRW X", "X"}},
      {"X", {"S SH SR SW SWLP SU SRO SNW SNRW X", ""}},  // two that wait do not wait for each other
  };
  for (const char* object_type :
       {"TABLE", "FUNCTION", "PROCEDURE", "PACKAGE BODY", "TRIGGER", "EVENT", "USER LEVEL LOCK"})
    compare(object_type, names, rows);
}

TEST_CASE("scoped locks: MySQL's, and of MariaDB SCHEMA") {
  const Names names{{"IX", "INTENTION_EXCLUSIVE"}, {"S", "SHARED"}, {"X", "EXCLUSIVE"}};
  const Rows rows{{"IX", {"S X", "S X"}}, {"S", {"IX X", "X"}}, {"X", {"IX S X", ""}}};
  for (const char* object_type : {"GLOBAL", "COMMIT", "BACKUP LOCK", "SCHEMA", "TABLESPACE", "RESOURCE_GROUPS",
                                  "FOREIGN KEY", "CHECK CONSTRAINT"})
    compare(object_type, names, rows);
}

TEST_CASE("backup locks of MariaDB") {
  Names names;
  for (const char* name : {"START", "FLUSH", "WAIT_FLUSH", "WAIT_DDL", "WAIT_COMMIT", "FTWRL1", "FTWRL2", "DML",
                           "TRANS_DML", "SYS_DML", "DDL", "BLOCK_DDL", "ALTER_COPY", "COMMIT"})
    names[name] = std::string("BACKUP_") + name;
  const Rows rows{
      {"START",
       {"START FLUSH WAIT_FLUSH WAIT_DDL WAIT_COMMIT BLOCK_DDL", "FLUSH WAIT_FLUSH WAIT_DDL WAIT_COMMIT BLOCK_DDL"}},
      {"FLUSH", {"START", ""}},  // it goes with the writers that are there, and keeps new ones out
      {"WAIT_FLUSH", {"START DML", ""}},
      {"WAIT_DDL", {"START DML DDL", ""}},
      {"WAIT_COMMIT", {"START DML SYS_DML DDL COMMIT", ""}},
      {"FTWRL1", {"DML TRANS_DML SYS_DML DDL ALTER_COPY", ""}},
      {"FTWRL2", {"DML TRANS_DML SYS_DML DDL ALTER_COPY COMMIT", ""}},
      {"DML",
       {"FLUSH WAIT_FLUSH WAIT_DDL WAIT_COMMIT FTWRL1 FTWRL2", "FLUSH WAIT_FLUSH WAIT_DDL WAIT_COMMIT FTWRL1 FTWRL2"}},
      {"TRANS_DML", {"FTWRL1 FTWRL2", "FTWRL1 FTWRL2"}},
      {"SYS_DML", {"WAIT_COMMIT FTWRL1 FTWRL2", "WAIT_COMMIT FTWRL1 FTWRL2"}},
      {"DDL", {"WAIT_DDL WAIT_COMMIT FTWRL1 FTWRL2 BLOCK_DDL", "WAIT_DDL WAIT_COMMIT FTWRL1 FTWRL2 BLOCK_DDL"}},
      {"BLOCK_DDL", {"START FLUSH WAIT_FLUSH WAIT_DDL WAIT_COMMIT BLOCK_DDL DDL", "START"}},
      {"ALTER_COPY", {"FTWRL1 FTWRL2", "FTWRL1 FTWRL2"}},
      {"COMMIT", {"WAIT_COMMIT FTWRL2", "WAIT_COMMIT FTWRL2"}},
  };
  compare("BACKUP", names, rows);
}

TEST_CASE("a type that nobody knows is neither compatible nor in the way") {
  CHECK(conflict_with_granted("TABLE", "SHARED_READ", "SHARED_SOMETHING") == Conflict::unknown);
  CHECK(conflict_with_waiting("BACKUP", "BACKUP_DML", "EXCLUSIVE") == Conflict::unknown);
  CHECK(conflict_with_granted("TABLE", "", "EXCLUSIVE") == Conflict::unknown);
}

TEST_CASE("what MariaDB's performance_schema shows may have become more") {
  CHECK(may_have_become_conflict("TABLE", "SHARED_WRITE", "SHARED_READ"));        // LOCK TABLES ... READ
  CHECK(may_have_become_conflict("TABLE", "SHARED_WRITE", "SHARED_UPGRADABLE"));  // ALTER ... COPY
  CHECK_FALSE(may_have_become_conflict("TABLE", "SHARED_READ", "SHARED_READ"));
  CHECK_FALSE(may_have_become_conflict("TABLE", "SHARED_WRITE", "SHARED_WRITE"));
  CHECK(may_have_become_conflict("BACKUP", "BACKUP_COMMIT", "BACKUP_FTWRL1"));
  CHECK(may_have_become_conflict("BACKUP", "BACKUP_COMMIT", "BACKUP_BLOCK_DDL"));  // BACKUP STAGE BLOCK_COMMIT
  CHECK_FALSE(may_have_become_conflict("BACKUP", "BACKUP_DML", "BACKUP_TRANS_DML"));
}

}  // namespace

TEST_CASE("max_write_lock_count counts for objects only") {
  for (const char* type : {"TABLE", "PROCEDURE", "USER LEVEL LOCK"}) CHECK(has_limited_queue(type));
  for (const char* type : {"GLOBAL", "SCHEMA", "COMMIT", "BACKUP", "BACKUP LOCK"}) CHECK_FALSE(has_limited_queue(type));
}

}  // namespace dbaudit

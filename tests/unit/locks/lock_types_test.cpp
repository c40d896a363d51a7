#include "locks/lock_types.h"

#include <doctest/doctest.h>

#include <array>

namespace dbaudit {
namespace {

bool granted(const char* object, const char* requested, const char* held) {
  return conflict_with_granted(object, requested, held) == Conflict::conflict;
}
bool waiting(const char* object, const char* requested, const char* ahead) {
  return conflict_with_waiting(object, requested, ahead) == Conflict::conflict;
}

// Not so in MariaDB's BACKUP namespace: BACKUP_FLUSH goes with the writers that are there, and keeps new ones out.
TEST_CASE("two granted locks conflict whichever came first") {
  constexpr std::array kObject{"SHARED",           "SHARED_HIGH_PRIO",      "SHARED_READ",
                               "SHARED_WRITE",     "SHARED_WRITE_LOW_PRIO", "SHARED_UPGRADABLE",
                               "SHARED_READ_ONLY", "SHARED_NO_WRITE",       "SHARED_NO_READ_WRITE",
                               "EXCLUSIVE"};
  constexpr std::array kScoped{"INTENTION_EXCLUSIVE", "SHARED", "EXCLUSIVE"};
  const auto symmetric = [](const char* object, const auto& names) {
    for (const char* a : names) {
      for (const char* b : names) {
        CAPTURE(a);
        CAPTURE(b);
        CHECK(granted(object, a, b) == granted(object, b, a));
      }
    }
  };
  symmetric("TABLE", kObject);
  symmetric("GLOBAL", kScoped);
}

TEST_CASE("why one idle reader freezes a table") {
  CHECK_FALSE(granted("TABLE", "SHARED_READ", "SHARED_READ"));
  CHECK(granted("TABLE", "EXCLUSIVE", "SHARED_READ"));
  CHECK(waiting("TABLE", "SHARED_READ", "EXCLUSIVE"));
  CHECK(waiting("TABLE", "SHARED_WRITE", "EXCLUSIVE"));
  CHECK_FALSE(waiting("TABLE", "SHARED_HIGH_PRIO", "EXCLUSIVE"));  // SHOW COLUMNS goes through
  CHECK_FALSE(waiting("TABLE", "EXCLUSIVE", "EXCLUSIVE"));
}

TEST_CASE("LOCK TABLES, ALTER and writers") {
  CHECK(waiting("TABLE", "SHARED_READ_ONLY", "SHARED_NO_READ_WRITE"));  // LOCK TABLES READ behind LOCK TABLES WRITE
  CHECK(granted("TABLE", "SHARED_WRITE", "SHARED_READ_ONLY"));
  CHECK_FALSE(granted("TABLE", "SHARED_READ", "SHARED_READ_ONLY"));
  CHECK(granted("TABLE", "SHARED_READ", "SHARED_NO_READ_WRITE"));
  CHECK(granted("TABLE", "SHARED_UPGRADABLE", "SHARED_UPGRADABLE"));
  CHECK_FALSE(granted("TABLE", "SHARED_WRITE", "SHARED_UPGRADABLE"));
  CHECK(granted("USER LEVEL LOCK", "EXCLUSIVE", "EXCLUSIVE"));              // MySQL's GET_LOCK
  CHECK(granted("USER LEVEL LOCK", "SHARED_NO_WRITE", "SHARED_NO_WRITE"));  // MariaDB's
}

TEST_CASE("scoped locks of MySQL") {
  CHECK(granted("GLOBAL", "INTENTION_EXCLUSIVE", "SHARED"));  // a writer under FLUSH TABLES WITH READ LOCK
  CHECK_FALSE(granted("GLOBAL", "INTENTION_EXCLUSIVE", "INTENTION_EXCLUSIVE"));
  CHECK(granted("BACKUP LOCK", "INTENTION_EXCLUSIVE", "SHARED"));
  CHECK(granted("SCHEMA", "INTENTION_EXCLUSIVE", "EXCLUSIVE"));
  CHECK(waiting("COMMIT", "INTENTION_EXCLUSIVE", "SHARED"));
  CHECK_FALSE(waiting("COMMIT", "EXCLUSIVE", "SHARED"));
}

TEST_CASE("backup locks of MariaDB") {
  CHECK(granted("BACKUP", "BACKUP_TRANS_DML", "BACKUP_FTWRL2"));
  CHECK_FALSE(granted("BACKUP", "BACKUP_TRANS_DML", "BACKUP_WAIT_DDL"));
  CHECK(granted("BACKUP", "BACKUP_DML", "BACKUP_WAIT_DDL"));
  CHECK(granted("BACKUP", "BACKUP_DML", "BACKUP_FLUSH"));
  CHECK_FALSE(granted("BACKUP", "BACKUP_FLUSH", "BACKUP_DML"));
  CHECK(granted("BACKUP", "BACKUP_DDL", "BACKUP_BLOCK_DDL"));
  CHECK_FALSE(granted("BACKUP", "BACKUP_COMMIT", "BACKUP_FTWRL1"));
  CHECK(granted("BACKUP", "BACKUP_COMMIT", "BACKUP_FTWRL2"));
  CHECK(granted("BACKUP", "BACKUP_START", "BACKUP_START"));
  CHECK_FALSE(waiting("BACKUP", "BACKUP_START", "BACKUP_START"));
  CHECK(waiting("BACKUP", "BACKUP_DML", "BACKUP_FTWRL1"));
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
}  // namespace dbaudit

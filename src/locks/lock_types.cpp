#include "locks/lock_types.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace dbaudit {
namespace {

// '-' in row r, column c: a request for r does not go with c. Rows and columns are in the order of `names`.
struct Matrix {
  std::span<const std::string_view> names;
  std::span<const std::string_view> granted;
  std::span<const std::string_view> waiting;
};

constexpr std::array<std::string_view, 10> kObjectNames{
    "SHARED",           "SHARED_HIGH_PRIO",      "SHARED_READ",
    "SHARED_WRITE",     "SHARED_WRITE_LOW_PRIO", "SHARED_UPGRADABLE",
    "SHARED_READ_ONLY", "SHARED_NO_WRITE",       "SHARED_NO_READ_WRITE",
    "EXCLUSIVE"};
constexpr std::array<std::string_view, 10> kObjectGranted{
    "+++++++++-",  // SHARED
    "+++++++++-",  // SHARED_HIGH_PRIO
    "++++++++--",  // SHARED_READ
    "++++++----",  // SHARED_WRITE
    "++++++----",  // SHARED_WRITE_LOW_PRIO
    "+++++-+---",  // SHARED_UPGRADABLE
    "+++--+++--",  // SHARED_READ_ONLY
    "+++---+---",  // SHARED_NO_WRITE
    "++--------",  // SHARED_NO_READ_WRITE
    "----------",  // EXCLUSIVE
};
constexpr std::array<std::string_view, 10> kObjectWaiting{
    "+++++++++-",  // SHARED
    "++++++++++",  // SHARED_HIGH_PRIO: why SHOW COLUMNS passes a waiting ALTER
    "++++++++--",  // SHARED_READ: why a SELECT waits behind a waiting ALTER
    "+++++++---",  // SHARED_WRITE
    "++++++----",  // SHARED_WRITE_LOW_PRIO
    "+++++++++-",  // SHARED_UPGRADABLE
    "+++-++++--",  // SHARED_READ_ONLY
    "+++++++++-",  // SHARED_NO_WRITE
    "+++++++++-",  // SHARED_NO_READ_WRITE
    "++++++++++",  // EXCLUSIVE
};

constexpr std::array<std::string_view, 3> kScopedNames{"INTENTION_EXCLUSIVE", "SHARED", "EXCLUSIVE"};
constexpr std::array<std::string_view, 3> kScopedGranted{"+--", "-+-", "---"};
constexpr std::array<std::string_view, 3> kScopedWaiting{"+--", "++-", "+++"};

// MariaDB has one namespace for what MySQL calls GLOBAL, COMMIT and BACKUP LOCK.
constexpr std::array<std::string_view, 14> kBackupNames{
    "BACKUP_START",  "BACKUP_FLUSH",     "BACKUP_WAIT_FLUSH", "BACKUP_WAIT_DDL",  "BACKUP_WAIT_COMMIT",
    "BACKUP_FTWRL1", "BACKUP_FTWRL2",    "BACKUP_DML",        "BACKUP_TRANS_DML", "BACKUP_SYS_DML",
    "BACKUP_DDL",    "BACKUP_BLOCK_DDL", "BACKUP_ALTER_COPY", "BACKUP_COMMIT"};
constexpr std::array<std::string_view, 14> kBackupGranted{
    "-----++++++-++",  // START
    "-+++++++++++++",  // FLUSH
    "-++++++-++++++",  // WAIT_FLUSH
    "-++++++-++-+++",  // WAIT_DDL
    "-++++++-+--++-",  // WAIT_COMMIT
    "+++++++----+-+",  // FTWRL1
    "+++++++----+--",  // FTWRL2
    "+------+++++++",  // DML
    "+++++--+++++++",  // TRANS_DML
    "++++---+++++++",  // SYS_DML
    "+++----++++-++",  // DDL
    "-----+++++--++",  // BLOCK_DDL
    "+++++--+++++++",  // ALTER_COPY
    "++++-+-+++++++",  // COMMIT
};
constexpr std::array<std::string_view, 14> kBackupWaiting{
    "+----++++++-++",  // START
    "++++++++++++++",  // FLUSH
    "++++++++++++++",  // WAIT_FLUSH
    "++++++++++++++",  // WAIT_DDL
    "++++++++++++++",  // WAIT_COMMIT
    "++++++++++++++",  // FTWRL1
    "++++++++++++++",  // FTWRL2
    "+------+++++++",  // DML
    "+++++--+++++++",  // TRANS_DML
    "++++---+++++++",  // SYS_DML
    "+++----++++-++",  // DDL
    "-+++++++++++++",  // BLOCK_DDL
    "+++++--+++++++",  // ALTER_COPY
    "++++-+-+++++++",  // COMMIT
};

constexpr Matrix kObject{kObjectNames, kObjectGranted, kObjectWaiting};
constexpr Matrix kScoped{kScopedNames, kScopedGranted, kScopedWaiting};
constexpr Matrix kBackup{kBackupNames, kBackupGranted, kBackupWaiting};

const Matrix& matrix_of(std::string_view object_type) {
  constexpr std::array<std::string_view, 8> kScopedTypes{
      "GLOBAL", "COMMIT", "BACKUP LOCK", "SCHEMA", "TABLESPACE", "RESOURCE_GROUPS", "FOREIGN KEY", "CHECK CONSTRAINT"};
  if (object_type == "BACKUP") return kBackup;
  return std::find(kScopedTypes.begin(), kScopedTypes.end(), object_type) == kScopedTypes.end() ? kObject : kScoped;
}

std::optional<std::size_t> index_of(const Matrix& matrix, std::string_view name) {
  const auto found = std::find(matrix.names.begin(), matrix.names.end(), name);
  if (found == matrix.names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - matrix.names.begin());
}

Conflict look_up(const Matrix& matrix, std::span<const std::string_view> rows, std::string_view requested,
                 std::string_view other) {
  const auto row = index_of(matrix, requested);
  const auto column = index_of(matrix, other);
  if (!row || !column) return Conflict::unknown;
  return rows[*row][*column] == '-' ? Conflict::conflict : Conflict::none;
}

struct Upgrade {
  std::string_view shown;
  std::string_view real;
};
constexpr std::array<Upgrade, 8> kUpgrades{{
    {"SHARED_READ", "SHARED_READ_ONLY"},
    {"SHARED_UPGRADABLE", "SHARED_NO_WRITE"},
    {"SHARED_UPGRADABLE", "SHARED_NO_READ_WRITE"},
    {"SHARED_UPGRADABLE", "EXCLUSIVE"},
    {"SHARED_NO_WRITE", "EXCLUSIVE"},
    {"SHARED_NO_READ_WRITE", "EXCLUSIVE"},
    {"SHARED", "EXCLUSIVE"},
    {"BACKUP_FTWRL1", "BACKUP_FTWRL2"},
}};
// BACKUP STAGE goes from each of these to the next.
constexpr std::array<std::string_view, 6> kStages{"BACKUP_START",     "BACKUP_FLUSH",    "BACKUP_WAIT_FLUSH",
                                                  "BACKUP_BLOCK_DDL", "BACKUP_WAIT_DDL", "BACKUP_WAIT_COMMIT"};

}  // namespace

bool has_limited_queue(std::string_view object_type) { return &matrix_of(object_type) == &kObject; }

Conflict conflict_with_granted(std::string_view object_type, std::string_view requested, std::string_view granted) {
  const Matrix& matrix = matrix_of(object_type);
  return look_up(matrix, matrix.granted, requested, granted);
}

Conflict conflict_with_waiting(std::string_view object_type, std::string_view requested, std::string_view waiting) {
  const Matrix& matrix = matrix_of(object_type);
  return look_up(matrix, matrix.waiting, requested, waiting);
}

bool may_have_become_conflict(std::string_view object_type, std::string_view requested, std::string_view shown) {
  const auto conflicts = [&](std::string_view type) {
    return conflict_with_granted(object_type, requested, type) == Conflict::conflict;
  };
  const auto stage = std::find(kStages.begin(), kStages.end(), shown);
  if (stage != kStages.end()) return std::any_of(stage, kStages.end(), conflicts);
  return std::any_of(kUpgrades.begin(), kUpgrades.end(),
                     [&](const Upgrade& upgrade) { return upgrade.shown == shown && conflicts(upgrade.real); });
}

bool may_have_lost_conflict(std::string_view object_type, std::string_view requested, std::string_view shown) {
  return object_type == "BACKUP" && shown == "BACKUP_DDL" &&
         conflict_with_granted(object_type, requested, "BACKUP_ALTER_COPY") == Conflict::none;
}

}  // namespace dbaudit

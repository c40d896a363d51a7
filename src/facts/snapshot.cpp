// Facts from elsewhere: another store of this run, and snapshot files.
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <limits>

#include "base/text.h"
#include "facts/schema.h"
#include "facts/sqlite_check.h"
#include "facts/store.h"

namespace dbaudit {
namespace {

// Not what is worked out from facts and what is declared together.
bool holds_facts(const Table& table) { return table.columns.front().name == "server_id"; }

}  // namespace

std::int64_t Store::highest_server_id() {
  Query ids = query("SELECT ifnull(max(server_id), 0) FROM server");
  return ids.next().value() ? ids.integer(0).value_or(0) : 0;
}

void Store::copy_table(Store& from, const std::string& table, std::int64_t server_id_offset) {
  Query rows = from.query(fmt::format("SELECT * FROM \"{}\"", table));
  Insert target = insert(table);
  std::vector<Value> cells;
  while (rows.next().value()) {
    cells.clear();
    for (std::size_t i = 0; i < rows.columns().size(); ++i) cells.push_back(rows.value(i));
    if (auto* id = std::get_if<std::int64_t>(&cells.front())) *id += server_id_offset;
    target.row(cells);
  }
}

void Store::copy_tables(Store& from, bool (*wanted)(const Table&), std::int64_t server_id_offset) {
  begin();
  for (const Table& table : schema()) {
    if (wanted(table)) copy_table(from, table.name, server_id_offset);
  }
  commit();
}

void Store::add_facts(Store& other, std::optional<std::int64_t> server_id) {
  copy_tables(other, holds_facts, server_id ? *server_id - 1 : highest_server_id());
}

void Store::add_compared_facts(Store& other, std::int64_t server_id) { copy_tables(other, is_compared, server_id - 1); }

void Store::add_declared(Store& other) {
  copy_tables(
      other, [](const Table& table) { return !is_of_servers(table); }, 0);
}

void Store::remove_facts(std::int64_t server_id) {
  begin();
  for (const Table& table : schema()) {
    if (holds_facts(table)) execute(fmt::format("DELETE FROM \"{}\" WHERE server_id = {}", table.name, server_id));
  }
  commit();
}

void Store::clear_facts() {
  begin();
  for (const Table& table : schema()) {
    if (is_of_servers(table)) execute(fmt::format("DELETE FROM \"{}\"", table.name));
  }
  commit();
}

namespace {

std::string partial_name(const std::string& path) { return path + ".partial"; }

Error cannot_write(const std::string& path, const std::string& why) {
  return {ErrorKind::io, fmt::format("cannot write snapshot {}: {}", path, why)};
}

// Created first and empty, so that nobody else ever may read it.
Status create_partial(const std::string& path) {
  // Its partial file could be made, and only the final name would fail.
  if (path.empty()) return cannot_write(path, "the name is empty");
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) return cannot_write(path, "it exists and is no file");
  const std::string partial = partial_name(path);
  unlink(partial.c_str());
  const int file = open(partial.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return cannot_write(path, std::strerror(errno));
  close(file);
  return success();
}

}  // namespace

Status Store::check_snapshot_place(const std::string& path) {
  if (Status created = create_partial(path); !created) return created;
  unlink(partial_name(path).c_str());
  return success();
}

Status Store::write_snapshot(const std::string& path) {
  writer_->settle();
  if (Status created = create_partial(path); !created) return created;
  const std::string partial = partial_name(path);
  const auto failed = [&](const std::string& why) {
    unlink(partial.c_str());
    return cannot_write(path, why);
  };
  sqlite3* target = nullptr;
  int code = sqlite3_open_v2(partial.c_str(), &target, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, Close> owner(target);
  if (code == SQLITE_OK) {
    // Incomplete files never get the final name, so neither a journal nor waiting for the disk is needed here.
    sqlite3_exec(target, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", nullptr, nullptr, nullptr);
    sqlite3_backup* backup = sqlite3_backup_init(target, "main", db_.get(), "main");
    code = backup == nullptr ? sqlite3_errcode(target) : sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE) code = SQLITE_OK;
  }
  if (code != SQLITE_OK) return failed(sqlite3_errstr(code));
  if (rename(partial.c_str(), path.c_str()) != 0) return failed(std::strerror(errno));
  return success();
}

namespace {

// Reads one integer pragma or one text cell; nothing when SQLite could not.
std::optional<std::string> scalar(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  std::optional<std::string> result;
  if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    const auto* text = static_cast<const char*>(sqlite3_column_blob(statement, 0));
    result = text == nullptr ? "" : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, 0)));
  }
  sqlite3_finalize(statement);
  return result;
}

// Why the attached file is not a snapshot this program can read; empty when it is.
std::string snapshot_fault(sqlite3* db, std::int64_t file_size) {
  const std::optional<std::string> application = scalar(db, "PRAGMA snapshot.application_id");
  if (!application) return fmt::format("not a snapshot of dbaudit ({})", sqlite3_errmsg(db));
  if (*application != std::to_string(kApplicationId)) return "not a snapshot of dbaudit";
  const std::string version = scalar(db, "PRAGMA snapshot.user_version").value_or("");
  if (version != std::to_string(kSchemaVersion)) {
    return fmt::format("it has schema version {}, this dbaudit reads version {}; use the dbaudit that wrote it",
                       version, kSchemaVersion);
  }
  // SQLite itself does not mind an incomplete last page as long as nothing reads it.
  const std::int64_t pages = std::stoll(scalar(db, "PRAGMA snapshot.page_count").value_or("0"));
  const std::int64_t page_size = std::stoll(scalar(db, "PRAGMA snapshot.page_size").value_or("0"));
  if (pages * page_size != file_size) return fmt::format("truncated: {} of {} bytes", file_size, pages * page_size);
  const std::optional<std::string> sound = scalar(db, "PRAGMA snapshot.quick_check(1)");
  if (sound != "ok") return fmt::format("damaged or truncated ({})", sound ? *sound : sqlite3_errmsg(db));
  // Exactly our tables and nothing else: no view, trigger or expression of somebody else's making.
  sqlite3_stmt* statement = nullptr;
  std::set<std::string> expected;
  for (const Table& table : schema()) expected.insert(create_table_sql(table));
  std::string fault;
  if (sqlite3_prepare_v2(db, "SELECT sql FROM snapshot.sqlite_schema", -1, &statement, nullptr) != SQLITE_OK) {
    fault = sqlite3_errmsg(db);
  }
  while (fault.empty() && sqlite3_step(statement) == SQLITE_ROW) {
    const auto* sql = static_cast<const char*>(sqlite3_column_blob(statement, 0));
    const std::string text(sql == nullptr ? "" : sql, static_cast<std::size_t>(sqlite3_column_bytes(statement, 0)));
    if (expected.erase(text) == 0) fault = "its tables are not those of dbaudit's schema";
  }
  sqlite3_finalize(statement);
  if (fault.empty() && !expected.empty()) fault = "tables of dbaudit's schema are missing";
  if (!fault.empty()) return fault;
  // Without a server nothing would be judged, and that must not look like a pass. Every fact hangs on a server's id.
  return scalar(db,
                "SELECT CASE WHEN count(*) = 0 THEN 'it holds no server' "
                "WHEN sum(server_id BETWEEN 1 AND 1000000) < count(*) "
                "THEN 'the ids of its servers make no sense' ELSE '' END FROM snapshot.server")
      .value_or("damaged or truncated");
}

}  // namespace

namespace {

Error refused_snapshot(const std::string& path, const std::string& why) {
  return {ErrorKind::bad_input, fmt::format("snapshot {}: {}", path, why),
          "Make it again with: dbaudit snapshot -o FILE"};
}

}  // namespace

Result<std::vector<SnapshotServer>> Store::open_snapshot(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return refused_snapshot(path, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return refused_snapshot(path, "not a file");
  std::string uri = "file:";
  for (const char c : path)
    uri += is_letter(c) || is_digit(c) || c == '/' || c == '.' ? std::string(1, c)
                                                               : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  sqlite3_stmt* attach = nullptr;
  check_store(db_.get(), sqlite3_prepare_v2(db_.get(), "ATTACH ? AS snapshot", -1, &attach, nullptr), "attach");
  uri += "?mode=ro&immutable=1";
  sqlite3_bind_text(attach, 1, uri.c_str(), -1, SQLITE_TRANSIENT);
  const int code = sqlite3_step(attach);
  const std::string attach_error = sqlite3_errmsg(db_.get());
  sqlite3_finalize(attach);
  if (code != SQLITE_DONE) return refused_snapshot(path, fmt::format("not a snapshot of dbaudit ({})", attach_error));
  if (const std::string fault = snapshot_fault(db_.get(), info.st_size); !fault.empty()) {
    close_snapshot();
    return refused_snapshot(path, fault);
  }
  open_snapshot_ = {path, {}};
  std::vector<SnapshotServer> servers;
  Query rows = query("SELECT server_id, name, taken_at FROM snapshot.server ORDER BY server_id");
  Result<bool> more = rows.next();
  for (; more && *more; more = rows.next())
    servers.push_back({rows.integer(0).value_or(0), rows.text(1), rows.text(2)});
  if (!more) {
    rows.reset();
    close_snapshot();
    return refused_snapshot(path, fmt::format("damaged ({})", more.error().message));
  }
  return servers;
}

void Store::close_snapshot() {
  open_snapshot_ = {};
  execute("DETACH snapshot");
}

std::pair<std::int64_t, std::int64_t> Store::snapshot_rows(const std::string& table, std::int64_t server_id) {
  const auto [found, added] = open_snapshot_.rows.try_emplace(table);
  if (added) {
    Query ranges =
        query(fmt::format("SELECT server_id, min(rowid), max(rowid) FROM snapshot.\"{}\" GROUP BY server_id", table));
    Result<bool> more = ranges.next();
    for (; more && *more; more = ranges.next())
      found->second[ranges.integer(0).value_or(0)] = {ranges.integer(1).value_or(0), ranges.integer(2).value_or(0)};
    if (!more) {  // looked for everywhere, so that who reads the rows meets the damage
      open_snapshot_.rows.erase(found);
      return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    }
  }
  const auto range = found->second.find(server_id);
  return range == found->second.end() ? std::pair<std::int64_t, std::int64_t>{1, 0} : range->second;
}

Status Store::add_from_snapshot(std::optional<std::int64_t> server_id) {
  const std::int64_t offset = highest_server_id() + (server_id ? 1 - *server_id : 0);
  std::string fault;
  begin();
  for (const Table& table : schema()) {
    if (!holds_facts(table)) continue;  // declared tables come from this run's own files
    std::string which = "1";
    if (server_id) {
      const auto [first, last] = snapshot_rows(table.name, *server_id);
      which = fmt::format("rowid BETWEEN {} AND {} AND server_id = {}", first, last, *server_id);
    }
    std::string columns = fmt::format("server_id + {}", offset);
    for (std::size_t i = 1; i < table.columns.size(); ++i) columns += fmt::format(", \"{}\"", table.columns[i].name);
    const std::string sql =
        fmt::format("INSERT INTO main.\"{0}\" SELECT {1} FROM snapshot.\"{0}\" WHERE {2}", table.name, columns, which);
    if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      fault = fmt::format("damaged ({})", sqlite3_errmsg(db_.get()));
      break;
    }
  }
  commit();
  if (!fault.empty()) return refused_snapshot(open_snapshot_.path, fault);
  return success();
}

}  // namespace dbaudit

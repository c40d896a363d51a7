#include "facts/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "base/problems.h"
#include "base/text.h"
#include "base/units.h"
#include "facts/schema.h"

namespace dbaudit {
namespace {

constexpr int kProgressInterval = 1000;  // virtual machine steps between two looks at the work limit

[[noreturn]] void fail(sqlite3* db, std::string_view doing) {
  throw std::runtime_error(
      fmt::format("fact store: {}: {}", doing, db == nullptr ? "out of memory" : sqlite3_errmsg(db)));
}

void check(sqlite3* db, int code, std::string_view doing) {
  if (code != SQLITE_OK) fail(db, doing);
}

// What untrusted SQL may do: select, read fact tables, call functions that only compute.
int authorize(void* context, int action, const char* first, const char* second, const char* /*database*/,
              const char* /*trigger*/) {
  auto& reads = static_cast<SqlCheck*>(context)->reads;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_READ:
      // Reading no column at all (count(*)) comes with an empty column name, and with the name of a common table
      // expression too; no real table but ours and sqlite_schema exists.
      if (find_table(first) == nullptr)
        return *second == '\0' && std::strncmp(first, "sqlite_", 7) != 0 ? SQLITE_OK : SQLITE_DENY;
      reads.emplace(first, second);
      return SQLITE_OK;
    case SQLITE_FUNCTION: {
      // random(): the same facts must give the same result. The rest reaches outside the database or eats memory.
      static const std::set<std::string> kForbidden{"load_extension", "fts3_tokenizer", "readfile",   "writefile",
                                                    "edit",           "random",         "randomblob", "zeroblob"};
      return kForbidden.contains(to_lower(second)) ? SQLITE_DENY : SQLITE_OK;
    }
    default: return SQLITE_DENY;
  }
}

// One connection runs one statement at a time, so the limit is set around each step.
int progress(void* work_left) {
  auto& left = *static_cast<std::int64_t*>(work_left);
  left -= kProgressInterval;
  return left < 0 ? 1 : 0;
}

bool sql_rest_is_blank(const char* begin, const char* end) {
  const std::string_view rest = trimmed(std::string_view(begin, static_cast<std::size_t>(end - begin)));
  return rest.empty() || rest == ";";
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Table& table : schema()) {
    names.push_back(table.name);
    for (const Column& column : table.columns) names.push_back(column.name);
  }
  return names;
}

// SQLite's message for an unknown name, with the nearest known one.
std::string with_suggestion(const std::string& message) {
  for (const std::string_view prefix : {"no such column: ", "no such table: "}) {
    if (message.compare(0, prefix.size(), prefix) != 0) continue;
    std::string name = message.substr(prefix.size());
    const std::size_t dot = name.rfind('.');
    if (dot != std::string::npos) name.erase(0, dot + 1);
    return message + did_you_mean(name, all_names());
  }
  if (message == "not authorized") {
    return "only SELECT on the fact tables (dbaudit schema) and harmless functions are allowed";
  }
  return message;
}

}  // namespace

namespace {

// margin_of('10%, at least 5s, at most 30s', 180) is 18. NULL when the second argument is NULL or the first no margin.
void margin_of(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  const auto* text = static_cast<const char*>(sqlite3_value_blob(arguments[0]));
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(arguments[0]));
  const std::optional<Margin> margin = text == nullptr ? std::nullopt : parse_margin({text, size});
  if (!margin || sqlite3_value_type(arguments[1]) == SQLITE_NULL) return sqlite3_result_null(context);
  sqlite3_result_double(context, margin->of(sqlite3_value_double(arguments[1])));
}

}  // namespace

// --- Query

void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

std::vector<std::string> Query::parameters() const {
  std::vector<std::string> names;
  const int count = sqlite3_bind_parameter_count(statement_.get());
  for (int i = 1; i <= count; ++i) {
    const char* name = sqlite3_bind_parameter_name(statement_.get(), i);
    names.emplace_back(name == nullptr ? "?" : name + 1);
  }
  return names;
}

namespace {

void bind_value(sqlite3_stmt* statement, int index, const Value& value) {
  int code = SQLITE_OK;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    code = sqlite3_bind_int64(statement, index, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    code = sqlite3_bind_double(statement, index, *real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    code = sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  } else {
    code = sqlite3_bind_null(statement, index);
  }
  check(sqlite3_db_handle(statement), code, "bind");
}

}  // namespace

void Query::bind(std::string_view parameter, const Value& value) {
  const int index = sqlite3_bind_parameter_index(statement_.get(), fmt::format(":{}", parameter).c_str());
  if (index != 0) bind_value(statement_.get(), index, value);
}

void Query::reset() {
  sqlite3_reset(statement_.get());
  work_left_ = work_limit_;
}

Result<bool> Query::next() {
  if (work_limit_ > 0) sqlite3_progress_handler(db_, kProgressInterval, progress, &work_left_);
  const int code = sqlite3_step(statement_.get());
  if (work_limit_ > 0) sqlite3_progress_handler(db_, 0, nullptr, nullptr);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  if (code == SQLITE_INTERRUPT) {
    return Error{ErrorKind::bad_input,
                 fmt::format("stopped after {} steps of work: it loops, or joins too much", work_limit_)};
  }
  return Error{ErrorKind::bad_input, sqlite3_errmsg(db_)};
}

Value Query::value(std::size_t column) const {
  const int index = static_cast<int>(column);
  switch (sqlite3_column_type(statement_.get(), index)) {
    case SQLITE_INTEGER: return static_cast<std::int64_t>(sqlite3_column_int64(statement_.get(), index));
    case SQLITE_FLOAT: return sqlite3_column_double(statement_.get(), index);
    case SQLITE_NULL: return std::monostate{};
    default: return text(column);
  }
}

std::string Query::text(std::size_t column) const {
  const int index = static_cast<int>(column);
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), index));
  const int size = sqlite3_column_bytes(statement_.get(), index);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

std::optional<std::int64_t> Query::integer(std::size_t column) const {
  const int index = static_cast<int>(column);
  if (sqlite3_column_type(statement_.get(), index) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_int64(statement_.get(), index);
}

std::optional<double> Query::real(std::size_t column) const {
  const int index = static_cast<int>(column);
  if (sqlite3_column_type(statement_.get(), index) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_double(statement_.get(), index);
}

// --- Insert

void Insert::bind(int index, std::nullptr_t) { check(db_, sqlite3_bind_null(statement_.get(), index), "bind"); }

void Insert::bind(int index, std::int64_t value) {
  check(db_, sqlite3_bind_int64(statement_.get(), index, value), "bind");
}

void Insert::bind(int index, double value) { check(db_, sqlite3_bind_double(statement_.get(), index, value), "bind"); }

void Insert::bind(int index, std::string_view value) {
  // The row is stepped before the argument goes away, so SQLite need not copy it.
  check(db_,
        sqlite3_bind_text64(statement_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                            SQLITE_STATIC, SQLITE_UTF8),
        "bind");
}

void Insert::bind(int index, const Value& value) { bind_value(statement_.get(), index, value); }

void Insert::row(const std::vector<Value>& cells) {
  int index = 0;
  for (const Value& cell : cells) bind_value(statement_.get(), ++index, cell);
  finish_row(index);
}

void Insert::finish_row(int cells) {
  if (cells != width_) throw std::runtime_error(fmt::format("fact store: {} cells for {} columns", cells, width_));
  if (sqlite3_step(statement_.get()) != SQLITE_DONE) fail(db_, "insert");
  sqlite3_reset(statement_.get());
}

// --- Store

void Store::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Store::Store() {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      ":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, nullptr);
  db_.reset(db);
  check(db, code, "open");
  // Snapshots may be anybody's file: no code in their schema, no attached writes to schema tables.
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 64 << 20);
  check(db,
        sqlite3_create_function(db, "margin_of", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr,
                                margin_of, nullptr, nullptr),
        "functions");
  execute("PRAGMA journal_mode=OFF");
  begin();
  for (const std::string& sql : schema_sql()) execute(sql);
  commit();
  execute(fmt::format("PRAGMA application_id={}", kApplicationId));
  execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
}

void Store::execute(const std::string& sql) {
  check(db_.get(), sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr), sql.substr(0, 80));
}

void Store::begin() { execute("BEGIN"); }
void Store::commit() { execute("COMMIT"); }

Insert Store::insert(const std::string& table, const std::vector<std::string>& columns) {
  const Table* known = find_table(table);
  if (known == nullptr) throw std::runtime_error("fact store: no table " + table);
  std::string names;
  std::string marks;
  int width = 0;
  const auto add = [&](const std::string& name) {
    names += fmt::format("{}\"{}\"", width == 0 ? "" : ",", name);
    marks += width == 0 ? "?" : ",?";
    ++width;
  };
  if (columns.empty()) {
    // No names: SQLite looks each one up in a list, which takes milliseconds for a table of a thousand columns.
    for (std::size_t i = 0; i < known->columns.size(); ++i) add("");
    names.clear();
  } else {
    for (const std::string& name : columns) add(name);
  }
  Insert insert;
  insert.db_ = db_.get();
  insert.width_ = width;
  const std::string sql =
      fmt::format("INSERT INTO \"{}\" {} VALUES ({})", table, names.empty() ? "" : "(" + names + ")", marks);
  sqlite3_stmt* statement = nullptr;
  check(db_.get(), sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &statement, nullptr), "prepare insert into " + table);
  insert.statement_.reset(statement);
  return insert;
}

namespace {

std::vector<std::string> column_names(sqlite3_stmt* statement) {
  std::vector<std::string> names;
  for (int i = 0; i < sqlite3_column_count(statement); ++i) names.emplace_back(sqlite3_column_name(statement, i));
  return names;
}

}  // namespace

Query Store::query(std::string_view sql) {
  Query query;
  query.db_ = db_.get();
  sqlite3_stmt* statement = nullptr;
  check(db_.get(), sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr), sql);
  query.statement_.reset(statement);
  query.columns_ = column_names(statement);
  return query;
}

Result<Query> Store::untrusted_query(std::string_view sql, std::int64_t work_limit, SqlCheck& check) {
  check = {};
  Query query;
  query.db_ = db_.get();
  query.work_limit_ = query.work_left_ = work_limit;
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  sqlite3_set_authorizer(db_.get(), authorize, &check);
  const int code = sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, &rest);
  const int offset = code == SQLITE_OK ? -1 : sqlite3_error_offset(db_.get());
  const std::string message = code == SQLITE_OK ? "" : sqlite3_errmsg(db_.get());
  sqlite3_set_authorizer(db_.get(), nullptr, nullptr);
  query.statement_.reset(statement);
  if (code != SQLITE_OK) {
    check.error_line = offset < 0 ? -1 : static_cast<int>(std::count(sql.begin(), sql.begin() + offset, '\n'));
    return Error{ErrorKind::bad_input, with_suggestion(message)};
  }
  if (statement == nullptr) return Error{ErrorKind::bad_input, "the statement is empty"};
  if (!sql_rest_is_blank(rest, sql.data() + sql.size())) {
    check.error_line = static_cast<int>(std::count(sql.data(), rest, '\n'));
    return Error{ErrorKind::bad_input, "one statement only; there is more after its end"};
  }
  if (sqlite3_stmt_readonly(statement) == 0 || sqlite3_column_count(statement) == 0) {
    return Error{ErrorKind::bad_input, "it must be a SELECT"};
  }
  query.columns_ = column_names(statement);
  return query;
}

// --- other stores

namespace {

// Facts belong to a server; what is declared does not.
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

void Store::add_facts(Store& other) {
  const std::int64_t offset = highest_server_id();
  begin();
  for (const Table& table : schema()) {
    if (holds_facts(table)) copy_table(other, table.name, offset);
  }
  commit();
}

// --- snapshots

Status Store::write_snapshot(const std::string& path) {
  const std::string partial = path + ".partial";
  const auto failed = [&](const std::string& why) {
    unlink(partial.c_str());
    return Error{ErrorKind::io, fmt::format("cannot write snapshot {}: {}", path, why)};
  };
  // Created first and empty, so that nobody else ever may read it.
  unlink(partial.c_str());
  const int file = open(partial.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return failed(std::strerror(errno));
  close(file);
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
  std::set<std::string> expected(schema_sql().begin(), schema_sql().end());
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
  return fault;
}

}  // namespace

Status Store::add_snapshot(const std::string& path) {
  const auto refused = [&](const std::string& why) {
    return Error{ErrorKind::bad_input, fmt::format("snapshot {}: {}", path, why),
                 "Make it again with: dbaudit snapshot -o FILE"};
  };
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return refused(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return refused("not a file");
  std::string uri = "file:";
  for (const char c : path)
    uri += is_letter(c) || is_digit(c) || c == '/' || c == '.' ? std::string(1, c)
                                                               : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  sqlite3_stmt* attach = nullptr;
  check(db_.get(), sqlite3_prepare_v2(db_.get(), "ATTACH ? AS snapshot", -1, &attach, nullptr), "attach");
  uri += "?mode=ro&immutable=1";
  sqlite3_bind_text(attach, 1, uri.c_str(), -1, SQLITE_TRANSIENT);
  const int code = sqlite3_step(attach);
  const std::string attach_error = sqlite3_errmsg(db_.get());
  sqlite3_finalize(attach);
  if (code != SQLITE_DONE) return refused(fmt::format("not a snapshot of dbaudit ({})", attach_error));

  std::string fault = snapshot_fault(db_.get(), info.st_size);
  if (fault.empty()) {
    const std::int64_t offset = highest_server_id();
    begin();
    for (const Table& table : schema()) {
      if (!holds_facts(table)) continue;  // declared tables come from this run's own files
      std::string columns = fmt::format("server_id + {}", offset);
      for (std::size_t i = 1; i < table.columns.size(); ++i) columns += fmt::format(", \"{}\"", table.columns[i].name);
      const std::string sql =
          fmt::format("INSERT INTO main.\"{0}\" SELECT {1} FROM snapshot.\"{0}\"", table.name, columns);
      if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        fault = fmt::format("damaged ({})", sqlite3_errmsg(db_.get()));
        break;
      }
    }
    commit();
  }
  execute("DETACH snapshot");
  if (!fault.empty()) return refused(fault);
  return success();
}

}  // namespace dbaudit

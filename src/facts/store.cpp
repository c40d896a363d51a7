#include "facts/store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>

#include "base/deploy.h"
#include "base/problems.h"
#include "base/text.h"
#include "base/units.h"
#include "facts/schema.h"
#include "facts/sqlite_check.h"

namespace dbaudit {
namespace {

// What untrusted SQL may do: select, read fact tables, call functions that only compute. It stays in place, because
// setting it makes SQLite prepare every statement again.
int authorize(void* context, int action, const char* first, const char* second, const char* /*database*/,
              const char* /*trigger*/) {
  SqlCheck* const check = static_cast<UntrustedStatements*>(context)->check;
  if (check == nullptr) return SQLITE_OK;  // one of dbaudit's own
  auto& reads = check->reads;
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

bool sql_rest_is_blank(const char* begin, const char* end) {
  const std::string_view rest = trimmed(std::string_view(begin, static_cast<std::size_t>(end - begin)));
  return rest.empty() || rest == ";";
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Table& table : schema()) {
    names.push_back(table.name);
    for (const Column& column : table.columns) names.emplace_back(column.name);
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

// deploy_instances(instances, surge, terminating, blue_green). NULL when the first is NULL; the others then count as 0.
void sql_deploy_instances(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_NULL) return sqlite3_result_null(context);
  sqlite3_result_double(
      context, dbaudit::deploy_instances(sqlite3_value_double(arguments[0]), sqlite3_value_double(arguments[1]),
                                         sqlite3_value_double(arguments[2]), sqlite3_value_int(arguments[3]) != 0));
}

}  // namespace

void Store::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Store::Store(Tables tables) {
  // Before SQLite is first used: without the statistics, which nobody asks for, allocating needs no lock.
  static const int kNoStatistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(kNoStatistics);
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      ":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, nullptr);
  db_.reset(db);
  check_store(db, code, "open");
  writer_ = std::make_unique<RowWriter>(db);
  // Snapshots may be anybody's file: no code in their schema, no attached writes to schema tables.
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 64 << 20);
  // What one pattern of LIKE or GLOB may cost, and how many calls of functions may stand in one statement.
  sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000);
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 256 << 10);
  constexpr int kPure = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  check_store(db, sqlite3_create_function(db, "margin_of", 2, kPure, nullptr, margin_of, nullptr, nullptr),
              "functions");
  check_store(
      db, sqlite3_create_function(db, "deploy_instances", 4, kPure, nullptr, sql_deploy_instances, nullptr, nullptr),
      "functions");
  sqlite3_set_authorizer(db, authorize, untrusted_.get());
  execute("PRAGMA journal_mode=OFF; PRAGMA temp_store=MEMORY; PRAGMA locking_mode=EXCLUSIVE");
  std::vector<const Table*> made;
  for (const Table& table : schema()) {
    if (tables == Tables::of_locks && is_held(table)) {
      writer_->hold(table.name);
    } else if (tables == Tables::all || (tables == Tables::of_locks ? is_of_locks(table) : !is_wide(table))) {
      made.push_back(&table);
    }
  }
  create_tables(made);
  // SQLite reads the new schema when it is first asked for something: now, and not while a server waits.
  static_cast<void>(query("SELECT 1 FROM server"));
  execute(fmt::format("PRAGMA application_id={}", kApplicationId));
  execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
}

// SQLite parses a CREATE TABLE, writes it into its schema table, and parses it again from there: milliseconds for a
// thousand columns. So the tables are made with one column, get their true statement, and are read once.
void Store::create_tables(const std::vector<const Table*>& tables) {
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  execute("PRAGMA writable_schema=ON");
  begin();
  for (const Table* table : tables) execute(fmt::format("CREATE TABLE \"{}\" (server_id)", table->name));
  {
    Query statement = query("UPDATE sqlite_schema SET sql = :sql WHERE name = :name");
    for (const Table* table : tables) {
      statement.bind("sql", create_table_sql(*table));
      statement.bind("name", table->name);
      static_cast<void>(statement.next().value());
      statement.reset();
    }
  }
  commit();
  execute("PRAGMA writable_schema=RESET");
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
}

void Store::execute(const std::string& sql) {
  writer_->settle();
  check_store(db_.get(), sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr), sql.substr(0, 80));
}

void Store::begin() { execute("BEGIN"); }
void Store::commit() {
  writer_->end_behind();
  execute("COMMIT");
}

Insert Store::insert(const std::string& table, const std::vector<std::string>& columns) {
  const Table* known = find_table(table);
  if (known == nullptr) throw std::runtime_error("fact store: no table " + table);
  Insert insert;
  insert.batch_ = {new RowBatch, HandOver{writer_.get()}};
  insert.batch_->width = columns.empty() ? known->columns.size() : columns.size();
  // All columns without their names: SQLite looks each one up in a list, which takes milliseconds for a table of a
  // thousand columns.
  const std::string names = columns.empty() ? "" : fmt::format("(\"{}\") ", fmt::join(columns, "\",\""));
  insert.batch_->sql = fmt::format("INSERT INTO \"{}\" {}VALUES ", table, names);
  insert.batch_->held = writer_->held(table);
  if (insert.batch_->held != nullptr && !columns.empty())
    throw std::runtime_error("fact store: only whole rows of " + table + " can be held");
  return insert;
}

std::optional<HeldRows> Store::held_rows(const std::string& table, std::int64_t server_id,
                                         std::span<const char* const> columns) {
  writer_->settle();
  const std::vector<RowBatch>* batches = writer_->held(table);
  if (batches == nullptr) return std::nullopt;
  HeldRows rows;
  rows.server_id_ = server_id;
  const std::vector<Column>& all = find_table(table)->columns;
  for (const char* name : columns) {
    const auto found = std::find_if(all.begin(), all.end(), [name](const Column& one) { return one.name == name; });
    if (found == all.end()) throw std::runtime_error(fmt::format("fact store: no column {} in {}", name, table));
    rows.positions_.push_back(static_cast<std::size_t>(found - all.begin()));
  }
  rows.batch_ = batches->data();
  rows.end_ = rows.batch_ + batches->size();
  return rows;
}

namespace {

std::vector<std::string> column_names(sqlite3_stmt* statement) {
  std::vector<std::string> names;
  for (int i = 0; i < sqlite3_column_count(statement); ++i) names.emplace_back(sqlite3_column_name(statement, i));
  return names;
}

}  // namespace

Query Store::query(std::string_view sql) {
  writer_->settle();
  Query query;
  query.db_ = db_.get();
  sqlite3_stmt* statement = nullptr;
  check_store(db_.get(), sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr),
              sql);
  query.statement_.reset(statement);
  query.columns_ = column_names(statement);
  return query;
}

Result<Query> Store::untrusted_query(std::string_view sql, const WorkLimit& limit, SqlCheck& check) {
  writer_->settle();
  check = {};
  Query query;
  query.db_ = db_.get();
  query.limit_ = limit;
  query.work_left_ = limit.steps;
  query.stop_at(std::chrono::steady_clock::now() +
                std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit.time));
  if (const auto found = untrusted_->kept.find(sql); found != untrusted_->kept.end() && found->second.statement) {
    query.statement_ = {found->second.statement.release(), ReleaseStatement{&found->second}};
    query.columns_ = column_names(query.statement_.get());
    check = found->second.check;
    return query;
  }
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  untrusted_->check = &check;
  const int code = sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, &rest);
  untrusted_->check = nullptr;
  const int offset = code == SQLITE_OK ? -1 : sqlite3_error_offset(db_.get());
  const std::string message = code == SQLITE_OK ? "" : sqlite3_errmsg(db_.get());
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
  KeptStatement& kept = untrusted_->kept[std::string(sql)];
  kept.check = check;
  query.statement_.get_deleter().kept = &kept;
  return query;
}

void Store::prepare_untrusted(std::string_view sql) {
  SqlCheck check;
  if (!untrusted_->kept.contains(sql)) static_cast<void>(untrusted_query(sql, {}, check));
}
}  // namespace dbaudit

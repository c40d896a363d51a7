// The fact store: one SQLite database in memory, filled by collectors or from snapshot files, read by rules. Only
// `dbaudit locks` holds the rows of two tables itself, of which nothing is asked in SQL.
//
// This folder is the only user of SQLite. Misuse by dbaudit itself and running out of memory throw std::runtime_error
// (caught in main); everything that depends on files or on other people's SQL is a Result.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "facts/row_writer.h"
#include "facts/value.h"

struct sqlite3;
struct sqlite3_stmt;

namespace dbaudit {

struct Table;

// What one prepared statement reads, and where its text is wrong.
struct SqlCheck {
  std::set<std::pair<std::string, std::string>> reads;  // table, column
  int error_line = 0;                                   // 0-based line within the statement; -1: unknown
};

// Untrusted statements that have been prepared and that nobody uses now, by their text: a rule is checked, and then
// judged on every server.
struct KeptStatement {
  Statement statement;
  SqlCheck check;
};
struct UntrustedStatements {
  std::map<std::string, KeptStatement, std::less<>> kept;
  SqlCheck* check = nullptr;  // of the one that is being prepared
};

struct ReleaseStatement {
  KeptStatement* kept = nullptr;  // where it goes back to; null: nowhere
  void operator()(sqlite3_stmt* statement) const;
};

// How much an untrusted statement may do.
struct WorkLimit {
  std::int64_t steps = 0;  // of the virtual machine; 0: without a limit, for trusted statements
  // Of a text or row that it makes. SQLite counts a call of a function as one step whatever it costs, and cannot
  // interrupt it; some take the product of the lengths of two texts.
  int text_bytes = 64 << 10;
  Seconds time{5};  // unless stop_at() says when
};

// A prepared SELECT. Valid as long as its Store.
class Query {
 public:
  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  [[nodiscard]] std::vector<std::string> parameters() const;  // names without the colon

  void bind(std::string_view parameter, const Value& value);
  // The moment at which an untrusted statement ends with an error.
  void stop_at(std::chrono::steady_clock::time_point deadline) { deadline_ = deadline; }
  // Moves to the next row; false at the end. Untrusted statements end with an error when their work limit is used up.
  Result<bool> next();
  void reset();
  // Steps of the virtual machine that an untrusted statement has taken.
  [[nodiscard]] std::int64_t work() const { return limit_.steps - work_left_; }

  [[nodiscard]] Value value(std::size_t column) const;
  [[nodiscard]] std::string text(std::size_t column) const;
  [[nodiscard]] std::optional<std::string> optional_text(std::size_t column) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::size_t column) const;
  [[nodiscard]] std::optional<double> real(std::size_t column) const;

 private:
  friend class Store;
  [[nodiscard]] bool is_null(std::size_t column) const;

  sqlite3* db_ = nullptr;
  std::unique_ptr<sqlite3_stmt, ReleaseStatement> statement_;
  std::vector<std::string> columns_;
  WorkLimit limit_;
  std::int64_t work_left_ = 0;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

// Rows of a held table, as they were inserted. Valid until more are.
class HeldRows {
 public:
  bool next();

  // As of a Query, but a cell of another kind is not converted: it is as NULL, an empty text or nothing.
  [[nodiscard]] std::string text(std::size_t column) const;
  [[nodiscard]] std::optional<std::string> optional_text(std::size_t column) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::size_t column) const;
  [[nodiscard]] std::optional<double> real(std::size_t column) const;

 private:
  friend class Store;
  [[nodiscard]] const Cell& cell(std::size_t column) const { return batch_->cells[row_ + positions_[column]]; }

  std::int64_t server_id_ = 0;
  std::vector<std::size_t> positions_;  // of the columns
  const RowBatch* batch_ = nullptr;
  const RowBatch* end_ = nullptr;
  std::size_t row_ = 0;   // where in the batch it begins
  std::size_t next_ = 0;  // and the next one
};

// Whole rows for one table. They are there at once; only after Store::write_behind() they may come later.
class Insert {
 public:
  // The arguments in the order of the columns are one row.
  template <typename... Cells>
  void row(const Cells&... cells) {
    (add(cells), ...);
    finish_row(sizeof...(cells));
  }
  void row(const std::vector<Value>& cells);

 private:
  friend class Store;
  void add(std::nullptr_t) { batch_->add(nullptr); }
  void add(std::int64_t value) { batch_->add(value); }
  void add(int value) { batch_->add(static_cast<std::int64_t>(value)); }
  void add(bool value) { batch_->add(static_cast<std::int64_t>(value)); }
  void add(double value) { batch_->add(value); }
  void add(std::string_view value) { batch_->add(value); }
  void add(const std::string& value) { batch_->add(std::string_view(value)); }
  void add(const char* value) { batch_->add(std::string_view(value)); }
  void add(const Value& value);
  template <typename T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add(nullptr);
    }
  }
  void finish_row(std::size_t cells);

  std::unique_ptr<RowBatch, HandOver> batch_;
};

// global_variables, global_status and global_status_rate have a thousand columns, which SQLite reads for milliseconds;
// of_locks: what `dbaudit locks` needs and nothing else, because people wait for it; tables with a row for each of
// thousands of sessions are held as they come, and SQLite has none of that name.
enum class Tables { all, without_wide, of_locks };

// A server of a snapshot file.
struct SnapshotServer {
  std::int64_t server_id = 0;
  std::string name;
  std::string taken_at;
};

// A server's rows lie together in the file of whoever wrote it in turn; without an index, only that makes it possible
// to read hundreds of servers one by one.
struct OpenSnapshot {
  std::string path;
  std::map<std::string, std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>>> rows;  // table, server: rowids
};

class Store {
 public:
  // Empty, in memory, with the schema. Snapshots and other stores fit into one with all tables only.
  explicit Store(Tables tables = Tables::all);

  // An insert into these columns of `table`; all columns in schema order when none are named.
  Insert insert(const std::string& table, const std::vector<std::string>& columns = {});
  // Begins a transaction and commits it, so that thousands of rows cost one.
  void begin();
  void commit();
  // Until the commit, rows may be stored later, by another thread. Asking the store for anything waits for them; rows
  // of an Insert that still lives may be missing then, and none may be added while a Query is used.
  void write_behind() { writer_->begin_behind(); }

  // `columns` of the rows of one server; nothing where SQLite has the table.
  std::optional<HeldRows> held_rows(const std::string& table, std::int64_t server_id,
                                    std::span<const char* const> columns);

  // For dbaudit's own statements: a failure to prepare throws.
  Query query(std::string_view sql);
  // For rules and users: only SELECT on fact tables and SQLite's own harmless functions, within `limit`. `check` is
  // filled whether it succeeds or not.
  Result<Query> untrusted_query(std::string_view sql, const WorkLimit& limit, SqlCheck& check);
  // Prepares such a statement for later.
  void prepare_untrusted(std::string_view sql);
  // Runs one of dbaudit's own statements that returns no rows.
  void execute(const std::string& sql);

  // Adds another store's facts under new server ids, or its only server's under `server_id`; not its declared tables.
  void add_facts(Store& other, std::optional<std::int64_t> server_id = {});
  // Of these facts what rules that compare servers may read.
  void add_compared_facts(Store& other, std::int64_t server_id);
  void remove_facts(std::int64_t server_id);
  // Adds another store's declared tables, and nothing else.
  void add_declared(Store& other);
  // Leaves the declared tables.
  void clear_facts();

  // Whether a snapshot can be written there, before any work is done for it; leaves nothing behind.
  static Status check_snapshot_place(const std::string& path);
  // Writes the facts to a file that sqlite3 opens; replaces an existing file only when complete. Mode 0600.
  Status write_snapshot(const std::string& path);
  // Opens a snapshot file, one at a time, until close_snapshot(), and says whose it is. A truncated, foreign or newer
  // file is refused.
  Result<std::vector<SnapshotServer>> open_snapshot(const std::string& path);
  // Adds the facts of one server of the open snapshot, or of all, under new ids.
  Status add_from_snapshot(std::optional<std::int64_t> server_id = {});
  void close_snapshot();

 private:
  void create_tables(const std::vector<const Table*>& tables);
  std::int64_t highest_server_id();
  void copy_table(Store& from, const std::string& table, std::int64_t server_id_offset);
  void copy_tables(Store& from, bool (*wanted)(const Table&), std::int64_t server_id_offset);

  // First and last rowid of a server's rows in a table of the open snapshot.
  std::pair<std::int64_t, std::int64_t> snapshot_rows(const std::string& table, std::int64_t server_id);

  struct Close {
    void operator()(sqlite3* db) const;
  };
  std::unique_ptr<sqlite3, Close> db_;
  std::unique_ptr<UntrustedStatements> untrusted_ =
      std::make_unique<UntrustedStatements>();  // a place that stays when the store moves
  std::unique_ptr<RowWriter> writer_;
  OpenSnapshot open_snapshot_;
};

}  // namespace dbaudit

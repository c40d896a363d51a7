// How rows get into the store: collected as plain data, and stored in batches, on request by a thread of its own, so
// that the next answer of a server is waited for meanwhile.
#pragma once

#include <bit>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace dbaudit {

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const;
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

struct Cell {
  enum class Kind : std::uint8_t { null, integer, real, text };
  Kind kind = Kind::null;
  std::uint32_t size = 0;  // of a text
  std::int64_t bits = 0;   // an integer, the bits of a real, or where in RowBatch::text a text begins
};

// Rows of one table, one after the other.
struct RowBatch {
  std::string sql;  // the INSERT, up to and with VALUES
  std::size_t width = 0;
  std::vector<Cell> cells;
  std::string text;                       // of all cells
  std::vector<RowBatch>* held = nullptr;  // where it goes instead of the database

  void add(std::nullptr_t) { cells.emplace_back(); }
  void add(std::int64_t value) { cells.push_back({.kind = Cell::Kind::integer, .bits = value}); }
  void add(double value) {
    if (std::isnan(value)) return add(nullptr);  // as SQLite does
    cells.push_back({.kind = Cell::Kind::real, .bits = std::bit_cast<std::int64_t>(value)});
  }
  void add(std::string_view value) {
    cells.push_back({.kind = Cell::Kind::text,
                     .size = static_cast<std::uint32_t>(value.size()),
                     .bits = static_cast<std::int64_t>(text.size())});
    text.append(value);
  }
};

class RowWriter {
 public:
  explicit RowWriter(sqlite3* db) : db_(db) {}
  ~RowWriter();  // rows that are not stored yet are lost
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;

  // Whether rows may wait for others. Until settle() nobody else may use the database then.
  [[nodiscard]] bool behind() const { return behind_; }
  void begin_behind() { behind_ = true; }

  // Rows of `table` are not for the database.
  void hold(const std::string& table) { held_[table]; }
  // Null: they are.
  [[nodiscard]] std::vector<RowBatch>* held(const std::string& table) {
    const auto found = held_.find(table);
    return found == held_.end() ? nullptr : &found->second;
  }

  // Stores the rows, or lets them be stored, and empties the batch. What went wrong is thrown by settle().
  void take(RowBatch& batch) noexcept;
  // Returns when every row is stored; throws when one could not be.
  void settle();
  // Settles and ends begin_behind().
  void end_behind();

 private:
  // The INSERT of one table, for one row and for several: a statement costs more than a row.
  struct Inserts {
    Statement one;
    Statement several;
  };

  void store(const RowBatch& batch);
  void store_rows(const RowBatch& batch, std::size_t begin, std::size_t end, std::size_t rows, Statement& statement);
  void store_queued();
  void stop();

  sqlite3* db_;
  std::map<std::string, Inserts> statements_;
  std::map<std::string, std::vector<RowBatch>> held_;  // by table
  bool behind_ = false;
  std::thread thread_;  // begins with the first large batch: most servers are small
  std::mutex mutex_;    // of everything below
  std::condition_variable changed_;
  std::deque<RowBatch> queue_;
  std::vector<RowBatch> spare_;  // stored and empty: their memory is used again
  bool busy_ = false;
  bool stop_ = false;
  std::exception_ptr failure_;
};

// Where an Insert's last rows go when it ends.
struct HandOver {
  RowWriter* writer = nullptr;
  void operator()(RowBatch* batch) const noexcept {
    if (!batch->cells.empty()) writer->take(*batch);
    delete batch;
  }
};

}  // namespace dbaudit

#include "facts/row_writer.h"

#include <sqlite3.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "facts/sqlite_check.h"

namespace dbaudit {
namespace {

// A thread costs more than so many cells.
constexpr std::size_t kFewCells = 1000;
// Beyond it, more rows for each statement gain nothing.
constexpr std::size_t kCellsOfStatement = 200;

std::string insert_sql(const RowBatch& batch, std::size_t rows) {
  std::string marks = "(?";
  for (std::size_t i = 1; i < batch.width; ++i) marks += ",?";
  marks += ")";
  std::string sql = batch.sql + marks;
  for (std::size_t i = 1; i < rows; ++i) sql += "," + marks;
  return sql;
}

bool same(const Cell& a, const Cell& b, const std::string& text) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Cell::Kind::null: return true;
    case Cell::Kind::integer:
    case Cell::Kind::real: return a.bits == b.bits;
    case Cell::Kind::text: break;
  }
  const std::string_view all = text;
  return all.substr(static_cast<std::size_t>(a.bits), a.size) == all.substr(static_cast<std::size_t>(b.bits), b.size);
}

int bind(sqlite3_stmt* statement, int index, const Cell& cell, const std::string& text) {
  switch (cell.kind) {
    case Cell::Kind::null: return sqlite3_bind_null(statement, index);
    case Cell::Kind::integer: return sqlite3_bind_int64(statement, index, cell.bits);
    case Cell::Kind::real: return sqlite3_bind_double(statement, index, std::bit_cast<double>(cell.bits));
    case Cell::Kind::text: break;
  }
  // The row is stepped before the batch goes away, so SQLite need not copy it.
  return sqlite3_bind_text64(statement, index, text.data() + cell.bits, cell.size, SQLITE_STATIC, SQLITE_UTF8);
}

RowBatch batch_like(const RowBatch& batch) {
  RowBatch next;
  next.sql = batch.sql;
  next.width = batch.width;
  next.held = batch.held;
  return next;
}

// Where the system allows no more threads, rows are stored at once.
template <typename Work>
std::thread thread_or_none(Work work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error&) {
    return {};
  }
}

}  // namespace

RowWriter::~RowWriter() {
  {
    const std::lock_guard lock(mutex_);
    queue_.clear();
  }
  stop();
}

void RowWriter::store(const RowBatch& batch) {
  Inserts& inserts = statements_[batch.sql];
  const std::size_t rows = std::max<std::size_t>(1, kCellsOfStatement / batch.width);
  const std::size_t even = batch.cells.size() - batch.cells.size() % (rows * batch.width);
  store_rows(batch, 0, even, rows, inserts.several);
  store_rows(batch, even, batch.cells.size(), 1, inserts.one);
}

void RowWriter::store_rows(const RowBatch& batch, std::size_t begin, std::size_t end, std::size_t rows,
                           Statement& statement) {
  if (begin == end) return;
  if (!statement) {
    sqlite3_stmt* prepared = nullptr;
    check_store(db_, sqlite3_prepare_v2(db_, insert_sql(batch, rows).c_str(), -1, &prepared, nullptr), batch.sql);
    statement.reset(prepared);
  }
  const std::size_t cells = rows * batch.width;
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t at = (i - begin) % cells + 1;
    // Most cells of a list say what those above say, and that is bound still.
    if (i - begin < cells || !same(batch.cells[i], batch.cells[i - cells], batch.text))
      check_store(db_, bind(statement.get(), static_cast<int>(at), batch.cells[i], batch.text), "bind");
    if (at < cells) continue;
    if (sqlite3_step(statement.get()) != SQLITE_DONE) fail_store(db_, "insert");
    sqlite3_reset(statement.get());
  }
}

void RowWriter::take(RowBatch& batch) noexcept {
  try {
    if (batch.held != nullptr) {
      RowBatch next = batch_like(batch);
      next.cells.reserve(batch.cells.size());
      batch.held->push_back(std::exchange(batch, std::move(next)));
      return;
    }
    if (behind_ && batch.cells.size() > kFewCells && !thread_.joinable())
      thread_ = thread_or_none([this] { store_queued(); });
    if (thread_.joinable()) {
      const std::lock_guard lock(mutex_);
      RowBatch next = batch_like(batch);
      if (!spare_.empty()) {
        std::swap(next.cells, spare_.back().cells);
        std::swap(next.text, spare_.back().text);
        spare_.pop_back();
      }
      queue_.push_back(std::exchange(batch, std::move(next)));
      changed_.notify_all();
    } else {
      store(batch);
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
  }
  batch.cells.clear();
  batch.text.clear();
}

void RowWriter::store_queued() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    RowBatch batch = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      store(batch);
    } catch (...) {
      failure = std::current_exception();
    }
    batch.cells.clear();
    batch.text.clear();
    lock.lock();
    spare_.push_back(std::move(batch));
    if (failure) failure_ = failure;
    busy_ = false;
    changed_.notify_all();
  }
}

void RowWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  stop_ = false;
}

void RowWriter::settle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
  if (const std::exception_ptr failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
}

void RowWriter::end_behind() {
  settle();
  stop();
  behind_ = false;
}

}  // namespace dbaudit

#include <fmt/format.h>

#include "facts/sqlite_check.h"
#include "facts/store.h"

namespace dbaudit {
namespace {

constexpr int kProgressInterval = 100;  // virtual machine steps between two looks at the limits; some take long

// One connection runs one statement at a time, so the limits are set around each step.
struct Limits {
  std::int64_t* work_left;
  std::chrono::steady_clock::time_point deadline;
};

int progress(void* context) {
  const auto& limits = *static_cast<Limits*>(context);
  *limits.work_left -= kProgressInterval;
  return *limits.work_left < 0 || std::chrono::steady_clock::now() > limits.deadline ? 1 : 0;
}

}  // namespace

void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void ReleaseStatement::operator()(sqlite3_stmt* statement) const {
  if (kept == nullptr) {
    sqlite3_finalize(statement);
    return;
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  kept->statement.reset(statement);
}

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
  check_store(sqlite3_db_handle(statement), code, "bind");
}

}  // namespace

void Query::bind(std::string_view parameter, const Value& value) {
  const int index = sqlite3_bind_parameter_index(statement_.get(), fmt::format(":{}", parameter).c_str());
  if (index != 0) bind_value(statement_.get(), index, value);
}

void Query::reset() {
  sqlite3_reset(statement_.get());
  work_left_ = limit_.steps;
}

Result<bool> Query::next() {
  Limits limits{&work_left_, deadline_};
  int code = SQLITE_OK;
  if (limit_.steps > 0) {
    sqlite3_progress_handler(db_, kProgressInterval, progress, &limits);
    const int before = sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, limit_.text_bytes);
    code = sqlite3_step(statement_.get());
    sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, before);
    sqlite3_progress_handler(db_, 0, nullptr, nullptr);
  } else {
    code = sqlite3_step(statement_.get());
  }
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  if (code == SQLITE_INTERRUPT && work_left_ >= 0) {
    return Error{ErrorKind::timeout, "stopped: it takes longer than there is time (--timeout)"};
  }
  if (code == SQLITE_INTERRUPT) {
    return Error{ErrorKind::bad_input,
                 fmt::format("stopped after {} steps of work: it loops, or joins too much", limit_.steps)};
  }
  if (code == SQLITE_TOOBIG) {
    return Error{ErrorKind::bad_input,
                 fmt::format("stopped: it makes a text or row longer than {} bytes", limit_.text_bytes)};
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

bool Query::is_null(std::size_t column) const {
  return sqlite3_column_type(statement_.get(), static_cast<int>(column)) == SQLITE_NULL;
}

std::string Query::text(std::size_t column) const {
  const int index = static_cast<int>(column);
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), index));
  const int size = sqlite3_column_bytes(statement_.get(), index);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

// The value first, and the type only where it may have been NULL: thousands of rows are read while people wait.
std::optional<std::string> Query::optional_text(std::size_t column) const {
  std::string found = text(column);
  if (found.empty() && is_null(column)) return std::nullopt;
  return found;
}

std::optional<std::int64_t> Query::integer(std::size_t column) const {
  const std::int64_t found = sqlite3_column_int64(statement_.get(), static_cast<int>(column));
  if (found == 0 && is_null(column)) return std::nullopt;
  return found;
}

std::optional<double> Query::real(std::size_t column) const {
  const double found = sqlite3_column_double(statement_.get(), static_cast<int>(column));
  if (found == 0 && is_null(column)) return std::nullopt;
  return found;
}

// --- HeldRows

// The first column of every such table is server_id.
bool HeldRows::next() {
  for (; batch_ != end_; ++batch_, next_ = 0) {
    while (next_ < batch_->cells.size()) {
      row_ = next_;
      next_ += batch_->width;
      if (batch_->cells[row_].bits == server_id_) return true;
    }
  }
  return false;
}

std::string HeldRows::text(std::size_t column) const { return optional_text(column).value_or(""); }

std::optional<std::string> HeldRows::optional_text(std::size_t column) const {
  const Cell& found = cell(column);
  if (found.kind != Cell::Kind::text) return std::nullopt;
  return batch_->text.substr(static_cast<std::size_t>(found.bits), found.size);
}

std::optional<std::int64_t> HeldRows::integer(std::size_t column) const {
  const Cell& found = cell(column);
  if (found.kind != Cell::Kind::integer) return std::nullopt;
  return found.bits;
}

std::optional<double> HeldRows::real(std::size_t column) const {
  const Cell& found = cell(column);
  if (found.kind == Cell::Kind::integer) return static_cast<double>(found.bits);
  if (found.kind != Cell::Kind::real) return std::nullopt;
  return std::bit_cast<double>(found.bits);
}

// --- Insert

namespace {
constexpr std::size_t kBatchCells = 3000;
}

void Insert::add(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    add(*integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    add(*real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    add(*text);
  } else {
    add(nullptr);
  }
}

void Insert::row(const std::vector<Value>& cells) {
  for (const Value& cell : cells) add(cell);
  finish_row(cells.size());
}

void Insert::finish_row(std::size_t cells) {
  if (cells != batch_->width)
    throw std::runtime_error(fmt::format("fact store: {} cells for {} columns", cells, batch_->width));
  RowWriter& writer = *batch_.get_deleter().writer;
  if (writer.behind() && batch_->cells.size() < kBatchCells) return;
  writer.take(*batch_);
  if (!writer.behind()) writer.settle();
}
}  // namespace dbaudit

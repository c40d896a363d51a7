// A guarded, read-only connection to one server. Connector/C++ is used in connection.cpp only.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/version.h"
#include "server/connection_options.h"

namespace dbaudit {

using Deadline = std::chrono::steady_clock::time_point;

// Makes the connector's one driver object. Must be called once on the main thread before any other thread connects:
// the connector's first call is not thread-safe.
void initialise_connector();

// Does the part of it that takes milliseconds on a thread of its own, while a command reads its arguments and files.
// The future waits for the end when it goes; initialise_connector() is called all the same.
[[nodiscard]] std::future<void> begin_to_initialise_connector();

// A buffered result: all of it has arrived, so an error in the middle of it has already been reported.
class Rows {
 public:
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) noexcept;
  ~Rows();

  bool next();
  void rewind();  // before the first row again
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t columns() const;
  [[nodiscard]] std::string column_name(std::size_t column) const;  // 0-based, as the server spells it
  // Index of a column by name, case ignored; SHOW statements differ between versions.
  [[nodiscard]] std::optional<std::size_t> find_column(std::string_view name) const;

  [[nodiscard]] bool is_null(std::size_t column) const;
  [[nodiscard]] std::string text(std::size_t column) const;  // valid UTF-8; "" for NULL
  [[nodiscard]] std::optional<std::string> optional_text(std::size_t column) const;
  // The same without a copy, for lists of thousands of rows; valid until the next row, or the same column, is read.
  [[nodiscard]] std::string_view view(std::size_t column) const;
  [[nodiscard]] std::optional<std::string_view> optional_view(std::size_t column) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::size_t column) const;  // nothing for NULL, for what
  // is no number, and for what does not fit
  [[nodiscard]] std::optional<double> real(std::size_t column) const;

 private:
  friend class Connection;
  struct Impl;
  explicit Rows(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// For one thread at a time; the Rows it gave may be read by another meanwhile.
class Connection {
 public:
  // Connects, proves TLS when it was asked for, and sets the session's guards: read-only transactions, no waiting for
  // locks, a limit on each statement, UTF-8 and the server's own time zone. With all connections used up it tries
  // again for a moment and then the spare port. Ends by `deadline`.
  static Result<Connection> open(const ConnectionOptions& options, Deadline deadline);

  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // Only SELECT, SHOW and XA RECOVER are ever given to it. At the deadline it gives up: the connection is lost then,
  // and what was read before is not.
  Result<Rows> query(std::string_view sql);
  void end_by(Deadline deadline);  // another one than open() was given

  // Begins a statement that query() will be asked for, after those that were begun before, so that the server works on
  // it while the rows before are looked at. When query() is asked for a later one, those before it are forgotten; when
  // it is asked for one that was not begun, all are.
  void begin(std::string sql);

  // Whether a query has found the connection broken or silent; nothing more can be read then.
  [[nodiscard]] bool lost() const;

  // Whether nothing is begun. Otherwise its end waits for the statement that is at work: ten seconds at most, or what a
  // silent server takes. Not for one that was given up: that is left to a thread, which sends nothing more.
  [[nodiscard]] bool idle() const;
  // Whether such a thread was left; the program must then end without running destructors.
  static bool left_threads_behind();

  // Time spent waiting in query(): sending, the server's own time, and buffering the answers.
  [[nodiscard]] Seconds query_time() const;

  [[nodiscard]] const std::string& door() const;        // "normal port", "socket", "spare port 33062"
  [[nodiscard]] const std::string& tls_cipher() const;  // empty: plaintext
  // What the user should know: plaintext over a network.
  [[nodiscard]] const std::vector<std::string>& warnings() const;

 private:
  struct Impl;
  explicit Connection(std::shared_ptr<Impl> impl);
  void end();
  std::shared_ptr<Impl> impl_;  // with the thread that waits for answers
};

}  // namespace dbaudit

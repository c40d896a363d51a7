// Result<T>: a value, or an Error that says what was tried and what to do next.
//
// Expected failures (a server that refuses, a file that is missing) travel as values; exceptions of third-party
// libraries are caught in the one file that wraps that library. Asking a Result for what it does not hold is a bug and
// ends the program.
#pragma once

#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace dbaudit {

enum class ErrorKind {
  bad_input,            // usage, config, rule, pool or snapshot file: exit code 2
  unreachable,          // no TCP/socket connection, unknown host
  refused_credentials,  // the server knows us not, or the account is locked or expired
  no_privilege,         // this account may not read this
  no_such_object,       // table, view, column, variable or statement unknown to this server
  timeout,              // ours (socket, deadline) or the server's statement limit
  too_many_connections,
  lost,  // the connection broke after it had been made
  tls,
  unreadable,  // the server itself cannot produce the rows (MySQL error 3854)
  io,          // a local file
  other,
};

std::string to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::other;
  std::string message = {};    // what was tried, on what, and what came back
  std::string next_step = {};  // what the reader can do about it; may be empty
  int code = 0;                // the server's or client library's error number; 0 when there is none
  std::string sqlstate = {};   // five characters, or empty
};

// The message, the code with SQLSTATE when there is one, and the next step, in one line.
std::string describe(const Error& error);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] T& value() & { return check_value(), std::get<0>(state_); }
  [[nodiscard]] const T& value() const& { return check_value(), std::get<0>(state_); }
  [[nodiscard]] T&& value() && { return check_value(), std::move(std::get<0>(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const {
    if (ok()) std::abort();
    return std::get<1>(state_);
  }

 private:
  void check_value() const {
    if (!ok()) std::abort();
  }
  std::variant<T, Error> state_;
};

// For functions that only succeed or fail.
struct Success {};
using Status = Result<Success>;
inline Status success() { return Success{}; }

}  // namespace dbaudit

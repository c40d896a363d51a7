#include "base/result.h"

namespace dbaudit {

std::string to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::bad_input: return "bad input";
    case ErrorKind::unreachable: return "unreachable";
    case ErrorKind::refused_credentials: return "refused credentials";
    case ErrorKind::no_privilege: return "no privilege";
    case ErrorKind::no_such_object: return "no such object";
    case ErrorKind::timeout: return "timeout";
    case ErrorKind::too_many_connections: return "too many connections";
    case ErrorKind::lost: return "connection lost";
    case ErrorKind::tls: return "TLS";
    case ErrorKind::unreadable: return "unreadable";
    case ErrorKind::io: return "file";
    case ErrorKind::other: return "error";
  }
  return "error";
}

std::string describe(const Error& error) {
  std::string line = error.message;
  if (error.code != 0) {
    line += " (error " + std::to_string(error.code);
    if (!error.sqlstate.empty()) line += ", SQLSTATE " + error.sqlstate;
    line += ")";
  }
  if (!error.next_step.empty()) line += ". " + error.next_step;
  return line;
}

}  // namespace dbaudit

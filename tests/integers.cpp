// Prints what Rows::integer() makes of each cell of the one row that a statement gives: a number or "nothing".
//
//   integers PORT USER PASSWORD STATEMENT     on 127.0.0.1, with a password that is no secret
#include <cstdio>
#include <cstdlib>

#include "server/connection.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  dbaudit::ConnectionOptions options;
  options.name = "server";
  options.host = "127.0.0.1";
  options.port = std::atoi(argv[1]);
  options.user = argv[2];
  options.password = argv[3];
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  dbaudit::Result<dbaudit::Connection> connection = dbaudit::Connection::open(options, deadline);
  if (!connection) return 3;
  dbaudit::Result<dbaudit::Rows> rows = connection->query(argv[4]);
  if (!rows || !rows->next()) return 3;
  for (std::size_t i = 0; i < rows->columns(); ++i) {
    const std::optional<std::int64_t> number = rows->integer(i);
    std::printf("%s\n", number ? std::to_string(*number).c_str() : "nothing");
  }
  return 0;
}

#include "collect/privileges.h"

#include <doctest/doctest.h>

using namespace dbaudit;

TEST_CASE("an account that a person writes is quoted so that the statement runs, or refused") {
  CHECK(account_as_written("aud") == "'aud'@'%'");
  CHECK(account_as_written("aud@10.0.%") == "'aud'@'10.0.%'");
  CHECK(account_as_written("'aud'@'%'") == "'aud'@'%'");
  CHECK(account_as_written("'aud'@localhost") == "'aud'@'localhost'");
  CHECK(account_as_written("`a b`@\"h\"") == "'a b'@'h'");
  CHECK(account_as_written("o'brien@db") == "'o''brien'@'db'");
  CHECK(account_as_written("'o''brien'@'db'") == "'o''brien'@'db'");
  CHECK(account_as_written("'a@b'@'c'") == "'a@b'@'c'");
  CHECK(account_as_written("a@b@c") == "'a@b'@'c'");
  CHECK(account_as_written("x'; DROP TABLE t; --") == "'x''; DROP TABLE t; --'@'%'");
  for (const char* wrong : {"", "@h", "''@'h'", "'aud", "'aud'h", "'aud'@", "aud@", "'aud'@'h", "'aud'@'h'x", "a\\'b",
                            "aud\n@h", "aud@h'x"}) {
    CAPTURE(wrong);
    CHECK_FALSE(account_as_written(wrong).has_value());
  }
}

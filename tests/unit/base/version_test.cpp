#include "base/version.h"

#include <doctest/doctest.h>

using namespace dbaudit;

TEST_CASE("the flavour and version of what servers say") {
  const auto mariadb = parse_server_version("5.5.5-10.11.19-MariaDB-0+deb12u1");
  REQUIRE(mariadb.has_value());
  CHECK(mariadb->flavor == Flavor::mariadb);
  CHECK(mariadb->version == Version{10, 11, 19});
  const auto mysql = parse_server_version("9.7.4");
  REQUIRE(mysql.has_value());
  CHECK(mysql->flavor == Flavor::mysql);
  CHECK_FALSE(parse_server_version("PostgreSQL").has_value());
}

TEST_CASE("10.11 is newer than 10.2, and a version belongs to its flavour") {
  const ServerVersion server{Flavor::mariadb, {10, 11, 2}};
  CHECK(server.min_mariadb(10, 2));
  CHECK_FALSE(server.min_mariadb(11, 0));
  CHECK_FALSE(server.min_mysql(5, 7));
}

TEST_CASE("conditions on versions") {
  const auto range = parse_version_range("mysql >= 5.7, < 9.0");
  REQUIRE(range.has_value());
  CHECK(range->contains({Flavor::mysql, {8, 4, 0}}));
  CHECK_FALSE(range->contains({Flavor::mysql, {9, 0, 0}}));
  CHECK_FALSE(range->contains({Flavor::mariadb, {8, 4, 0}}));
  CHECK(parse_version_range("mariadb")->contains({Flavor::mariadb, {5, 5, 0}}));
  for (const char* wrong : {"", "oracle", "mysql > 5", "mysql >= x", "mysql >= 5, >= 6", "mysql 5.7"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_version_range(wrong).has_value());
  }
}

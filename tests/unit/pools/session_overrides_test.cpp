#include "pools/session_overrides.h"

#include <doctest/doctest.h>

#include "facts/value.h"
#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

TEST_CASE("wait_timeout in statements") {
  const struct {
    const char* sql;
    double seconds;  // -1: none
  } cases[] = {
      {"SET wait_timeout=600", 600},
      {"set session wait_timeout = 600", 600},
      {"SET LOCAL wait_timeout := 5", 5},
      {"SET @@wait_timeout=7", 7},
      {"SET @@session.wait_timeout=7;", 7},
      {"SET @@SESSION.WAIT_TIMEOUT=7", 7},
      {"SET NAMES utf8mb4, wait_timeout=8", 8},
      {"SET sql_mode='a,wait_timeout=1', wait_timeout=9", 9},
      {"SELECT 1; SET wait_timeout=10", 10},
      {"SET wait_timeout=10; SET wait_timeout=11", 11},
      {"SET `wait_timeout`=12", 12},
      {"SET x=(SELECT 1, 2), wait_timeout=13", 13},
      {"/* SET wait_timeout=1 */ SELECT 1", -1},
      {"SELECT 'SET wait_timeout=1'", -1},
      {"SET GLOBAL wait_timeout=600", -1},
      {"SET GLOBAL innodb_lock_wait_timeout=3, wait_timeout=600", -1},
      {"SET GLOBAL x=3, SESSION wait_timeout=14", 14},
      {"SET @@global.wait_timeout=600", -1},
      {"SET PERSIST wait_timeout=600", -1},
      {"SET @wait_timeout=600", -1},
      {"SET lock_wait_timeout=600", -1},
      {"SET interactive_timeout=600", -1},
      {"SET STATEMENT wait_timeout=1 FOR SELECT 2", -1},
      {"SET wait_timeout=5; SET wait_timeout=DEFAULT", -1},
      {"SET wait_timeout=0", 1},  // the server's minimum
      {"SET", -1},
      {"SET ,;=", -1},
      {"", -1},
  };
  for (const auto& c : cases) {
    CAPTURE(c.sql);
    const SessionOverrides found = overrides_in_sql(c.sql);
    CHECK(found.wait_timeout_s.value_or(-1) == c.seconds);
    CHECK(found.not_understood.empty());
  }
  CHECK(overrides_in_sql("SET wait_timeout=@x*2").not_understood.size() == 1);
  CHECK(overrides_in_sql("SET wait_timeout=").not_understood.size() == 1);
}

TEST_CASE("options of URLs and DSNs") {
  const struct {
    const char* url;
    double seconds;
    int interactive;  // -1: not said
  } cases[] = {
      {"jdbc:mysql://db/shop?sessionVariables=wait_timeout=600", 600, -1},
      {"jdbc:mysql://db/shop?useSSL=false&sessionVariables=innodb_lock_wait_timeout=5,wait_timeout=600", 600, -1},
      {"jdbc:mysql://db/shop?sessionVariables=a=1;wait_timeout=601&x=y", 601, -1},
      {"jdbc:mysql://db/shop?sessionVariables=sql_mode%3D%27x%2Cy%27%2Cwait_timeout%3D602", 602, -1},
      {"jdbc:mariadb://db/shop?sessionVariables=@@wait_timeout=603", 603, -1},
      {"jdbc:mysql://db/shop?sessionVariables=global.wait_timeout=1", -1, -1},
      {"jdbc:mysql://db/shop?interactiveClient=true", -1, 1},
      {"jdbc:mysql://db/shop?interactiveClient=false", -1, 0},
      {"jdbc:mariadb://db/shop?initSql=SET+wait_timeout%3D604", 604, -1},
      {"app:pa?ss/word@tcp(db:3306)/shop?timeout=5s&wait_timeout=120", 120, -1},
      {"mysql+pymysql://u:p@db/shop?init_command=SET+wait_timeout=60", 60, -1},
      {"mysql+pymysql://u:p@db/shop?client_flag=1024", -1, 1},
      {"jdbc:mysql://db/shop", -1, -1},
      {"jdbc:mysql://db/shop?", -1, -1},
      {"jdbc:mysql://db/shop?sessionVariables", -1, -1},
      {"jdbc:mysql://db/shop?a=%", -1, -1},
      {"", -1, -1},
  };
  for (const auto& c : cases) {
    CAPTURE(c.url);
    const SessionOverrides found = overrides_in_url(c.url);
    CHECK(found.wait_timeout_s.value_or(-1) == c.seconds);
    CHECK((found.interactive ? static_cast<int>(*found.interactive) : -1) == c.interactive);
  }
}

TEST_CASE("the statement a pool runs comes after the URL's options and wins") {
  Declared d = declared("hikaricp", "5.1.0", "connectionInitSql = \"SET SESSION wait_timeout=8\"",
                        "url = \"jdbc:mysql://db/shop?sessionVariables=wait_timeout=600&interactiveClient=true\"");
  CHECK(d.problems.text() == "");
  CHECK(d.number("session_wait_timeout_s") == 8);
  CHECK(d.number("interactive") == 1);
}

TEST_CASE("a URL among the settings counts like the declared one") {
  Declared d = declared("hikaricp", "5.1.0", "jdbcUrl = \"jdbc:mysql://db/shop?sessionVariables=wait_timeout=600\"");
  CHECK(d.number("session_wait_timeout_s") == 600);
}

TEST_CASE("a wait_timeout that nobody can judge is a problem with its line") {
  Declared d = declared("hikaricp", "5.1.0", "connectionInitSql = \"SET wait_timeout=@x\"");
  CHECK(d.problems.text() ==
        "pools.toml:6: [[pool]] 'p': the value in 'wait_timeout=@x' cannot be judged; write a number of seconds\n");
}

TEST_CASE("no password reaches the fact store") {
  Declared d = declared("hikaricp", "5.1.0",
                        "jdbcUrl = \"jdbc:mysql://app:hunter2@db/shop?password=hunter2\", password = \"hunter2\", "
                        "connectionInitSql = \"SET PASSWORD = 'hunter2'\"",
                        "url = \"jdbc:mysql://app:hunter2@db/shop\"");
  CHECK(d.problems.text() == "");
  CHECK(d.number("instances") == 1);
  for (const char* table : {"pool", "pool_setting"}) {
    Query query = d.store.query(std::string("SELECT * FROM ") + table);
    while (query.next().value()) {
      for (std::size_t i = 0; i < query.columns().size(); ++i) {
        CHECK(query.text(i).find("hunter2") == std::string::npos);
      }
    }
  }
}

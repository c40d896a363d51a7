#include "pools/session_overrides.h"

#include <doctest/doctest.h>

#include "facts/value.h"
#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

namespace {

constexpr double kUnknown = -2;

// -1: not set.
double value_of(const SessionOverrides& overrides, const std::string& variable) {
  const auto found = overrides.find(variable);
  if (found == overrides.end() || found->second.kind == SessionOverride::Kind::server_default) return -1;
  return found->second.kind == SessionOverride::Kind::unknown ? kUnknown : found->second.value;
}

SessionOverrides overrides_in_url(const std::string& url) { return overrides_in_options(url_options(url)); }

}  // namespace

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
    CHECK(value_of(found, "wait_timeout") == c.seconds);
  }
}

TEST_CASE("other variables in statements") {
  const SessionOverrides found = overrides_in_sql(
      "SET SESSION lock_wait_timeout=10, innodb_lock_wait_timeout=5, @@idle_transaction_timeout=20; "
      "SET idle_write_transaction_timeout=0, @@session.idle_readonly_transaction_timeout=7; SET autocommit=OFF");
  CHECK(value_of(found, "lock_wait_timeout") == 10);
  CHECK(value_of(found, "innodb_lock_wait_timeout") == 5);
  CHECK(value_of(found, "idle_transaction_timeout") == 20);
  CHECK(value_of(found, "idle_write_transaction_timeout") == 0);
  CHECK(value_of(found, "idle_readonly_transaction_timeout") == 7);
  CHECK(value_of(found, "autocommit") == 0);
  for (const char* on : {"SET autocommit=1", "SET autocommit = ON", "SET @@autocommit='on'", "SET autocommit=TRUE"})
    CHECK(value_of(overrides_in_sql(on), "autocommit") == 1);
  CHECK(overrides_in_sql("SET net_read_timeout=5, sql_mode=''").empty());
}

TEST_CASE("what only the server can work out is unknown, and the rest is not") {
  for (const char* sql : {"SET wait_timeout=@x*2, lock_wait_timeout=5", "SET wait_timeout=2*60, lock_wait_timeout=5",
                          "SET lock_wait_timeout=5, wait_timeout=@@interactive_timeout",
                          "SET wait_timeout=600, lock_wait_timeout=5; SET wait_timeout="}) {
    CAPTURE(sql);
    const SessionOverrides found = overrides_in_sql(sql);
    CHECK(value_of(found, "wait_timeout") == kUnknown);
    CHECK(value_of(found, "lock_wait_timeout") == 5);
  }
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
    CHECK(value_of(found, "wait_timeout") == c.seconds);
    CHECK(value_of(found, "interactive") == c.interactive);
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

TEST_CASE("other options of URLs and DSNs") {
  CHECK(value_of(overrides_in_url("jdbc:mariadb://db/x?autocommit=false"), "autocommit") == 0);
  CHECK(value_of(overrides_in_url("app@tcp(db)/x?innodb_lock_wait_timeout=5"), "innodb_lock_wait_timeout") == 5);
  CHECK(value_of(overrides_in_url("jdbc:mysql://db/x?sessionVariables=lock_wait_timeout=10"), "lock_wait_timeout") ==
        10);
  CHECK(value_of(overrides_in_options(property_options("a=b; sessionVariables = wait_timeout=2;")), "wait_timeout") ==
        2);
}

TEST_CASE("what a placeholder has left of a URL") {
  const SessionOverrides list = overrides_in_url("jdbc:mysql://db/x?sessionVariables=unknown&autocommit=0");
  CHECK(value_of(list, "wait_timeout") == kUnknown);
  CHECK(value_of(list, "lock_wait_timeout") == kUnknown);
  CHECK(value_of(list, "interactive") == -1);
  CHECK(value_of(list, "autocommit") == 0);
  CHECK(value_of(overrides_in_url("jdbc:mysql://db/x?interactiveClient=unknown"), "interactive") == kUnknown);
  CHECK(value_of(overrides_in_url("mysql+pymysql://db/x?client_flag=unknown"), "interactive") == kUnknown);
  CHECK(value_of(overrides_in_url("app@tcp(db)/x?wait_timeout=unknown"), "wait_timeout") == kUnknown);
  const SessionOverrides any = overrides_in_url("jdbc:mysql://db/x?unknown=unknown&sessionVariables=wait_timeout=5");
  CHECK(value_of(any, "wait_timeout") == 5);
  CHECK(value_of(any, "interactive") == kUnknown);
}

TEST_CASE("a wait_timeout that nobody can judge is unknown, and the declaration is in order") {
  Declared d = declared("hikaricp", "5.1.0", "connectionInitSql = \"SET wait_timeout=2*60\"");
  CHECK(d.problems.text() == "");
  CHECK(is_null(d.fact("session_wait_timeout_s")));
  CHECK(text_of(d.fact("session_unknown")) == "wait_timeout");
}

TEST_CASE("a statement that is hidden may set anything but CLIENT_INTERACTIVE") {
  Declared d = declared("tomcat_jdbc", "10.1.60", "initSQL = \"unknown\"");
  CHECK(d.problems.text() == "");
  CHECK(text_of(d.fact("session_unknown")) ==
        "autocommit, idle_readonly_transaction_timeout, idle_transaction_timeout, idle_write_transaction_timeout, "
        "innodb_lock_wait_timeout, lock_wait_timeout, wait_timeout");
  CHECK(d.number("interactive") == 0);
}

TEST_CASE("COM_RESET_CONNECTION takes back autocommit of statements, not of settings") {
  Declared statement = declared("generic", "", "resetsSession = true, initSql = \"SET autocommit=0\"");
  CHECK(is_null(statement.fact("autocommit")));
  Declared setting = declared("generic", "", "resetsSession = true, autocommit = false");
  CHECK(setting.number("autocommit") == 0);
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

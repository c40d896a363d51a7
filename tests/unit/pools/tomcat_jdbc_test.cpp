// What Tomcat JDBC makes of its settings. The tables of idle, thinking and holding pools are what real ones did.
#include <doctest/doctest.h>

#include <algorithm>

#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

TEST_CASE("tomcat_jdbc: defaults protect nothing") {
  Declared d = declared("tomcat_jdbc", "10.1.60", "");
  CHECK(d.problems.text() == "");
  CHECK(d.number("max_connections_per_process") == 100);
  CHECK(d.number("acquire_timeout_s") == 30);
  CHECK(std::isinf(d.number("max_lifetime_s")));
  CHECK(std::isinf(d.number("longest_unchecked_idle_s")));
  CHECK(std::isinf(d.number("longest_silence_s")));
  CHECK(std::isinf(d.number("longest_unchecked_hold_s")));
  CHECK(d.number("validates_on_borrow") == 0);
  CHECK(d.number("validates_on_return") == 0);
  CHECK(is_null(d.fact("autocommit")));  // the driver's default
}

TEST_CASE("tomcat_jdbc: validationInterval by version") {
  const struct {
    const char* version;
    double seconds;
  } cases[] = {{"7.0.70", 30}, {"7.0.71", 3},  {"8.0.53", 30}, {"8.5.4", 30}, {"8.5.5", 3},
               {"9.0.0", 3},   {"10.1.60", 3}, {"11.0.22", 3}, {"", 30}};
  for (const auto& c : cases) {
    CAPTURE(c.version);
    Declared d = declared("tomcat_jdbc", c.version, "testOnBorrow = true");
    CHECK(d.number("longest_unchecked_idle_s") == c.seconds);
  }
  Declared d = declared("tomcat_jdbc", "", "");
  CHECK(d.setting("validationInterval", "origin") == Value{"default (version not declared, the worst one assumed)"});
}

TEST_CASE("tomcat_jdbc: what the library changes") {
  const struct {
    const char* settings;
    const char* setting;
    double effective;
    bool changed;
  } cases[] = {
      {"maxActive = 0", "maxActive", 100, true},
      {"maxActive = 4, initialSize = 5", "initialSize", 4, true},
      {"maxActive = 4", "initialSize", 4, false},  // a default that is changed is no finding
      {"maxActive = 4, minIdle = 5", "minIdle", 4, true},
      {"maxActive = 4, maxIdle = 5", "maxIdle", 4, true},
      {"maxIdle = 5", "maxIdle", 10, true},  // below minIdle's default
      {"maxAge = 2000, timeBetweenEvictionRunsMillis = 60000", "timeBetweenEvictionRunsMillis", 2, true},
      {"maxAge = 60000", "timeBetweenEvictionRunsMillis", 5, false},
      {"maxWait = 0", "maxWait", kUnlimited, false},
      {"maxWait = -1", "maxWait", kUnlimited, false},
      {"minEvictableIdleTimeMillis = 0", "minEvictableIdleTimeMillis", kUnlimited, false},
      {"timeBetweenEvictionRunsMillis = -1", "timeBetweenEvictionRunsMillis", kUnlimited, false},
      {"validationInterval = -1", "validationInterval", 0, false},
      {"removeAbandonedTimeout = 300", "removeAbandonedTimeout", 300, false},  // seconds
      {"suspectTimeout = 0", "suspectTimeout", kUnlimited, false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.settings);
    Declared d = declared("tomcat_jdbc", "10.1.60", c.settings);
    CHECK(d.problems.text() == "");
    CHECK(number_of(d.setting(c.setting, "effective")).value_or(-1) == c.effective);
    CHECK(is_null(d.setting(c.setting, "changed")) == !c.changed);
  }
}

TEST_CASE("tomcat_jdbc 10.1.60: idle pools, as measured") {
  const struct {
    const char* fact;
    const char* settings;
    double wait_timeout;
    const char* expected;
  } cases[] = {
      {"nothing is tested", "", 10, "dead_handout"},
      {"testOnBorrow", "testOnBorrow = true", 10, "noisy_close"},
      {"testOnBorrow, every time", "testOnBorrow = true, validationInterval = 0", 10, "noisy_close"},
      {"testOnBorrow, interval below the limit", "testOnBorrow = true, validationInterval = 9000", 10, "noisy_close"},
      {"testOnBorrow, interval above the limit", "testOnBorrow = true, validationInterval = 12000", 10, "dead_handout"},
      {"the interval gates both tests",
       "testOnBorrow = true, testWhileIdle = true, timeBetweenEvictionRunsMillis = 2000, validationInterval = 30000",
       10, "dead_handout"},
      {"testOnReturn is of no use to idle ones", "testOnReturn = true", 10, "dead_handout"},
      {"testOnConnect neither", "testOnConnect = true", 10, "dead_handout"},
      {"a validationQuery alone neither", "validationQuery = \"SELECT 1\"", 10, "dead_handout"},
      {"testWhileIdle keeps connections alive", "testWhileIdle = true", 10, "quiet"},
      {"testWhileIdle, sweeping exactly at the limit", "testWhileIdle = true, timeBetweenEvictionRunsMillis = 10000",
       10, "quiet"},
      {"testWhileIdle, sweeping too late", "testWhileIdle = true, timeBetweenEvictionRunsMillis = 12000", 10,
       "dead_handout"},
      {"testWhileIdle, every third sweep tests",
       "testWhileIdle = true, timeBetweenEvictionRunsMillis = 4000, validationInterval = 9000", 10, "dead_handout"},
      {"testWhileIdle without a sweeper", "testWhileIdle = true, timeBetweenEvictionRunsMillis = 0", 10,
       "dead_handout"},
      {"late sweeps, but tested when borrowed",
       "testWhileIdle = true, timeBetweenEvictionRunsMillis = 20000, testOnBorrow = true", 10, "noisy_close"},
      {"idle ones are closed in time", "minEvictableIdleTimeMillis = 5000, timeBetweenEvictionRunsMillis = 12000", 20,
       "quiet"},
      {"idle ones are closed too late", "minEvictableIdleTimeMillis = 7000, timeBetweenEvictionRunsMillis = 6000", 10,
       "dead_handout"},
      {"idle ones are never closed without a sweeper",
       "minEvictableIdleTimeMillis = 5000, timeBetweenEvictionRunsMillis = 0", 10, "dead_handout"},
      {"two idle ones are kept, and die",
       "minIdle = 2, minEvictableIdleTimeMillis = 5000, timeBetweenEvictionRunsMillis = 2000", 10, "dead_handout"},
      {"maxAge, swept", "maxAge = 5000", 10, "quiet"},
      {"maxAge, swept, with idle ones kept", "minIdle = 4, maxAge = 5000", 10, "quiet"},
      {"maxAge above the limit", "maxAge = 30000", 10, "dead_handout"},
      {"maxAge at borrow, equal to the limit", "maxAge = 10000, timeBetweenEvictionRunsMillis = 0", 10, "noisy_close"},
      {"maxAge at borrow, above the limit", "maxAge = 12000, timeBetweenEvictionRunsMillis = 0", 10, "dead_handout"},
      {"fairQueue changes nothing", "fairQueue = false", 10, "dead_handout"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.fact);
    const std::string min_idle = std::string(c.settings).find("minIdle") == std::string::npos ? ", minIdle = 0" : "";
    const std::string more = *c.settings == '\0' ? "" : std::string(", ") + c.settings;
    Declared d = declared("tomcat_jdbc", "10.1.60", "maxActive = 4, maxIdle = 4, initialSize = 0" + min_idle + more);
    CHECK(d.problems.text() == "");
    CHECK(hazard(d, c.wait_timeout) == c.expected);
  }
}

TEST_CASE("tomcat_jdbc: broken and long held connections that come back, as measured with wait_timeout 10") {
  const struct {
    const char* fact;
    const char* version;
    const char* settings;
    bool transaction;  // broke inside a transaction (the driver knows), else while held unused
    bool handed_on;
  } cases[] = {
      {"old versions take a broken one back", "9.0.95", "", true, true},
      {"since 9.0.113 they look", "9.0.122", "", true, false},
      {"but see only what the driver saw", "9.0.122", "", false, true},
      {"10.1 likewise", "10.1.60", "", true, false},
      {"11.0 likewise", "11.0.22", "", false, true},
      {"10.1.49 does not look yet", "10.1.49", "", true, true},
      {"testOnBorrow cures", "9.0.70", "testOnBorrow = true", true, false},
      {"testOnReturn cures", "9.0.70", "testOnReturn = true", true, false},
      {"not with a long validationInterval", "9.0.70", "testOnReturn = true, validationInterval = 30000", true, true},
      {"testWhileIdle does not", "9.0.70", "testWhileIdle = true, timeBetweenEvictionRunsMillis = 2000", true, true},
      {"rollbackOnReturn alone does not", "9.0.70", "rollbackOnReturn = true", true, true},
      {"rollbackOnReturn with autocommit off does", "9.0.70", "rollbackOnReturn = true, defaultAutoCommit = false",
       true, false},
      {"commitOnReturn with autocommit off does", "9.0.70", "commitOnReturn = true, defaultAutoCommit = false", true,
       false},
      {"maxAge does", "9.0.70", "maxAge = 5000", true, false},
      {"held, with a long validationInterval", "10.1.60", "testOnBorrow = true, validationInterval = 30000", false,
       true},
      {"held, with testOnBorrow", "10.1.60", "testOnBorrow = true", false, false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.fact);
    Declared d = declared("tomcat_jdbc", c.version, c.settings);
    CHECK(d.problems.text() == "");
    const bool unseen = d.number("longest_unchecked_hold_s") > 10;
    CHECK((unseen && !(c.transaction && d.number("discards_broken") == 1)) == c.handed_on);
  }
}

TEST_CASE("tomcat_jdbc: sweeping by age came with 9.0.18") {
  Declared before = declared("tomcat_jdbc", "9.0.17", "maxAge = 5000");
  CHECK(hazard(before, 10) == "noisy_close");
  Declared after = declared("tomcat_jdbc", "9.0.18", "maxAge = 5000");
  CHECK(hazard(after, 10) == "quiet");
}

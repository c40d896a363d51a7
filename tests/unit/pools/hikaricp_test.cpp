// What HikariCP makes of its settings. The table of idle pools is what real ones did on real servers.
#include <doctest/doctest.h>

#include "base/units.h"
#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

TEST_CASE("hikaricp: defaults") {
  Declared d = declared("hikaricp", "5.1.0", "");
  CHECK(d.problems.text() == "");
  CHECK(d.number("max_connections_per_process") == 10);
  CHECK(d.number("acquire_timeout_s") == 30);
  CHECK(d.number("max_lifetime_s") == 1800);
  CHECK(d.number("longest_unchecked_idle_s") == 0.5);
  CHECK(d.number("longest_silence_s") == 1800);
  CHECK(d.number("longest_unchecked_hold_s") == 0.5);
  CHECK(d.number("validates_on_borrow") == 1);
  CHECK(d.number("validates_on_return") == 0);
  CHECK(d.number("discards_broken") == 1);
  CHECK(d.number("autocommit") == 1);
  CHECK(d.cell("SELECT count(*) FROM pool_setting WHERE changed IS NOT NULL OR rejected IS NOT NULL") ==
        Value{std::int64_t{0}});
  CHECK(d.setting("maxLifetime", "origin") == Value{"default"});
  CHECK(d.setting("minimumIdle", "effective") == Value{std::int64_t{10}});
}

TEST_CASE("hikaricp: keepaliveTime by version") {
  const struct {
    const char* version;
    double silence;
    const char* origin;
  } cases[] = {
      {"2.7.9", 1800, "default of version 2.7.9; 0: no pings"},
      {"4.0.3", 1800, "default of version 4.0.3; 0: no pings"},
      {"6.2.0", 1800, "default of version 6.2.0; 0: no pings"},
      {"6.2.1", 120, "default of version 6.2.1"},
      {"7.0.2", 120, "default of version 7.0.2"},
      {"", 1800, "default (version not declared, the worst one assumed); 0: no pings"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.version);
    Declared d = declared("hikaricp", c.version, "");
    CHECK(d.number("longest_silence_s") == c.silence);
    CHECK(d.setting("keepaliveTime", "origin") == Value{c.origin});
  }
  Declared old = declared("hikaricp", "3.4.5", "keepaliveTime = 60000");
  CHECK(old.setting("keepaliveTime", "rejected") == Value{"keepaliveTime exists since HikariCP 4.0.0"});
}

TEST_CASE("hikaricp: what the library changes of a declared value is reported, of a default it is not") {
  const struct {
    const char* settings;
    const char* setting;
    double effective;
    const char* changed;  // empty: not a change
  } cases[] = {
      {"maxLifetime = 29999", "maxLifetime", 1800, "maxLifetime is less than 30000ms, setting to default 1800000ms."},
      {"maxLifetime = -1", "maxLifetime", 1800, "maxLifetime is less than 30000ms, setting to default 1800000ms."},
      {"maxLifetime = 30000", "maxLifetime", 30, ""},
      {"maxLifetime = 0", "maxLifetime", kUnlimited, ""},
      {"keepaliveTime = 29999", "keepaliveTime", kUnlimited, "keepaliveTime is less than 30000ms, disabling it."},
      {"keepaliveTime = 60000, maxLifetime = 60000", "keepaliveTime", kUnlimited,
       "keepaliveTime is greater than or equal to maxLifetime, disabling it."},
      {"keepaliveTime = 59000, maxLifetime = 60000", "keepaliveTime", 59, ""},
      {"maxLifetime = 60000", "keepaliveTime", kUnlimited, ""},  // its default is not below maxLifetime
      {"leakDetectionThreshold = 1999", "leakDetectionThreshold", kUnlimited,
       "leakDetectionThreshold is less than 2000ms or more than maxLifetime, disabling it."},
      {"leakDetectionThreshold = 2000", "leakDetectionThreshold", 2, ""},
      {"minimumIdle = 11", "minimumIdle", 10,
       "minimumIdle is more than maximumPoolSize and silently becomes equal to it"},
      {"minimumIdle = 1, idleTimeout = 1799001", "idleTimeout", kUnlimited,
       "idleTimeout is close to or more than maxLifetime, disabling it."},
      {"minimumIdle = 1, idleTimeout = 1799000", "idleTimeout", 1799, ""},
      {"minimumIdle = 1, idleTimeout = 9999", "idleTimeout", 600,
       "idleTimeout is less than 10000ms, setting to default 600000ms."},
      {"minimumIdle = 1, idleTimeout = 10000", "idleTimeout", 10, ""},
      {"minimumIdle = 1, idleTimeout = 0", "idleTimeout", kUnlimited, ""},
      {"idleTimeout = 300000", "idleTimeout", kUnlimited,
       "idleTimeout has been set but has no effect because the pool is operating as a fixed size pool."},
      {"idleTimeout = 600000", "idleTimeout", kUnlimited, ""},
      {"connectionTimeout = 0", "connectionTimeout", kUnlimited, ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.settings);
    Declared d = declared("hikaricp", "7.0.2", c.settings);
    CHECK(d.problems.text() == "");
    CHECK(number_of(d.setting(c.setting, "effective")).value_or(-1) == c.effective);
    const double effective = number_of(d.setting(c.setting, "effective")).value_or(-1);
    const std::string value =
        d.setting(c.setting, "unit") == Value{"seconds"} ? format_duration(effective) : format_count(effective);
    const std::string expected = *c.changed == '\0' ? "" : value + ": " + c.changed;
    CHECK(text_of(d.setting(c.setting, "changed")) == expected);
  }
}

TEST_CASE("hikaricp: what its setters refuse") {
  const struct {
    const char* settings;
    const char* setting;
    const char* rejected;
  } cases[] = {
      {"maximumPoolSize = 0", "maximumPoolSize", "maxPoolSize cannot be less than 1"},
      {"minimumIdle = -1", "minimumIdle", "minimumIdle cannot be negative"},
      {"connectionTimeout = 249", "connectionTimeout", "connectionTimeout cannot be less than 250ms"},
      {"validationTimeout = 0", "validationTimeout", "validationTimeout cannot be less than 250ms"},
      {"idleTimeout = -1", "idleTimeout", "idleTimeout cannot be negative"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.settings);
    Declared d = declared("hikaricp", "5.1.0", c.settings);
    CHECK(d.setting(c.setting, "rejected") == Value{c.rejected});
    CHECK(is_null(d.setting(c.setting, "effective")));
  }
  Declared d = declared("hikaricp", "5.1.0", "connectionTimeout = 250");
  CHECK(is_null(d.setting("connectionTimeout", "rejected")));
  CHECK(d.number("acquire_timeout_s") == 0.25);
}

TEST_CASE("hikaricp: names and values as configuration files have them") {
  Declared d =
      declared("hikaricp", "5.1.0",
               "maximum-pool-size = \"20\", MAX_LIFETIME = \"10m\", auto-commit = \"false\", pool-name = \"x\"");
  CHECK(d.problems.text() == "");
  CHECK(d.number("max_connections_per_process") == 20);
  CHECK(d.number("max_lifetime_s") == 600);
  CHECK(d.number("autocommit") == 0);
  CHECK(d.setting("maxLifetime", "declared") == Value{"10m"});
  CHECK(std::isinf(d.number("longest_unchecked_hold_s")));  // measured: only with autoCommit off
}

TEST_CASE("hikaricp 2.7.9: idle pools, as measured") {
  const struct {
    const char* fact;
    const char* settings;
    double wait_timeout;
    const char* expected;
  } cases[] = {
      {"connections that live for ever", "maxLifetime = 0, idleTimeout = 0, minimumIdle = 0", 20, "noisy_close"},
      {"a lifetime above wait_timeout", "maxLifetime = 30000, idleTimeout = 0, minimumIdle = 4", 20, "noisy_close"},
      {"a lifetime equal to wait_timeout", "maxLifetime = 30000, idleTimeout = 0, minimumIdle = 4", 30, "quiet"},
      {"a lifetime below wait_timeout", "maxLifetime = 45000, minimumIdle = 0", 60, "quiet"},
      {"a lifetime too short to be accepted", "maxLifetime = 5000", 60, "noisy_close"},
      {"defaults", "minimumIdle = 4", 60, "noisy_close"},
      {"idleTimeout plus the housekeeper fits", "maxLifetime = 1800000, idleTimeout = 10000, minimumIdle = 0", 60,
       "quiet"},
      {"idleTimeout fits, the housekeeper does not", "maxLifetime = 0, idleTimeout = 15000, minimumIdle = 0", 40,
       "noisy_close"},
      {"idleTimeout with one connection kept", "maxLifetime = 0, idleTimeout = 10000, minimumIdle = 1", 60,
       "noisy_close"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.fact);
    Declared d = declared("hikaricp", "2.7.9", std::string("maximumPoolSize = 4, ") + c.settings);
    CHECK(d.problems.text() == "");
    CHECK(hazard(d, c.wait_timeout) == c.expected);
  }
}

// What Django makes of its settings, as measured with 3.2.25 and 4.2.28 inside requests.
#include <doctest/doctest.h>

#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

TEST_CASE("django: one connection a thread, unknown while nobody says how many threads") {
  Declared unknown = declared("django", "4.2.28", "");
  CHECK(unknown.problems.text() == "");
  CHECK(is_null(unknown.fact("max_connections_per_process")));
  Declared known = declared("django", "4.2.28", "", "threads_per_process = 8");
  CHECK(known.number("max_connections_per_process") == 8);
  CHECK(std::isinf(known.number("acquire_timeout_s")));  // nobody waits for a connection
}

TEST_CASE("django: idle threads, as measured with wait_timeout 10") {
  const struct {
    const char* fact;
    const char* version;
    const char* settings;
    const char* expected;
    double hold;
  } cases[] = {
      {"the default closes after each request", "3.2.25", "", "quiet", 0},
      {"kept for less than the limit", "3.2.25", "CONN_MAX_AGE = 5", "noisy_close", 5},
      {"kept for the limit", "3.2.25", "CONN_MAX_AGE = 10", "noisy_close", 10},
      {"kept for longer", "3.2.25", "CONN_MAX_AGE = 30", "dead_handout", 30},
      {"kept for ever", "3.2.25", "CONN_MAX_AGE = \"none\"", "dead_handout", kUnlimited},
      {"kept for longer, pinged", "4.2.28", "CONN_MAX_AGE = 30, CONN_HEALTH_CHECKS = true", "noisy_close", 0},
      {"kept for ever, pinged", "4.2.28", "CONN_MAX_AGE = \"none\", CONN_HEALTH_CHECKS = true", "noisy_close", 0},
      {"health checks are unknown to 3.2", "3.2.25", "CONN_MAX_AGE = 30, CONN_HEALTH_CHECKS = true", "dead_handout",
       30},
      {"health checks without persistent connections", "4.2.28", "CONN_HEALTH_CHECKS = true", "quiet", 0},
  };
  for (const auto& c : cases) {
    CAPTURE(c.fact);
    Declared d = declared("django", c.version, c.settings);
    CHECK(d.problems.text() == "");
    CHECK(hazard(d, 10) == c.expected);
    CHECK(d.number("longest_unchecked_hold_s") == c.hold);
    CHECK(d.number("discards_broken") == 1);
  }
}

TEST_CASE("django: a setting that the version ignores is reported") {
  Declared d = declared("django", "3.2", "CONN_HEALTH_CHECKS = true");
  CHECK(d.setting("CONN_HEALTH_CHECKS", "changed") ==
        Value{"false: CONN_HEALTH_CHECKS exists since Django 4.1.0; 3.2.0 ignores it"});
  Declared undeclared = declared("django", "", "CONN_HEALTH_CHECKS = true, CONN_MAX_AGE = 60");
  CHECK(is_null(undeclared.setting("CONN_HEALTH_CHECKS", "changed")));
  CHECK(undeclared.number("validates_on_borrow") == 1);
}

TEST_CASE("django: OPTIONS are settings too") {
  Declared d =
      declared("django", "4.2.28",
               "ENGINE = \"django.db.backends.mysql\", OPTIONS = { init_command = \"SET SESSION wait_timeout=120\", "
               "isolation_level = \"none\", ssl = { ca = \"x\" } }");
  CHECK(d.problems.text() == "");
  CHECK(d.number("session_wait_timeout_s") == 120);
  CHECK(is_null(d.setting("OPTIONS.isolation_level", "effective")));
  CHECK(d.setting("OPTIONS.isolation_level", "declared") == Value{"none"});
}

TEST_CASE("django: a negative age closes at once; 'none' is for settings that know None") {
  Declared negative = declared("django", "4.2.28", "CONN_MAX_AGE = -1");
  CHECK(hazard(negative, 10) == "quiet");
  Declared none = declared("django", "4.2.28", "CONN_HEALTH_CHECKS = \"none\"");
  CHECK(none.problems.text() ==
        "pools.toml:6: [[pool]] 'p': 'CONN_HEALTH_CHECKS' must be true or false, not \"none\"\n");
}

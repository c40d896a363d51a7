#include "pools/explain.h"

#include <doctest/doctest.h>

#include "base/text.h"
#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

namespace {

bool fits(const std::string& text) {
  for (const std::string& line : split(text, '\n')) {
    if (display_width(line) > 80) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("pools explain: every number with where it came from") {
  Declared d = declared("hikaricp", "5.1.0", "maxLifetime = 20000, maximumPoolSize = 20, connectionTimeout = 100",
                        "instances = 6\nmax_surge = \"25%\"\nwrites = false");
  const Result<std::string> text = explain_pool(d.store, "p", d.libraries);
  REQUIRE(text.ok());
  INFO(*text);
  CHECK(fits(*text));
  for (const char* part : {
           "p: HikariCP 5.1.0",
           "writes: no; reads its own writes: not declared",
           "at most 120 in steady state, 160 while deploying",
           "maximumPoolSize = 20  (declared)",
           "minimumIdle = 20  (default: maximumPoolSize)",
           "maxLifetime = 20000, that is 30 m",
           "maxLifetime is less than 30000ms, setting to default 1800000ms.",
           "REFUSED: connectionTimeout cannot be less than 250ms",
           "longest_silence_s = 30 m",
           "from maxLifetime 30 m",
           "acquire_timeout_s = unknown",
       }) {
    CAPTURE(part);
    CHECK(text->find(part) != std::string::npos);
  }
}

TEST_CASE("pools explain: a deploy is blue/green or rolling, as CAP001 counts it") {
  for (const auto& [more, most] :
       {std::pair{"instances = 4\nmax_surge = 1\nterminating = 1\nblue_green = true", "80"},
        std::pair{"instances = 1\nmax_surge = 1\nterminating = 1\nblue_green = true", "30"}}) {
    Declared d = declared("hikaricp", "5.1.0", "maximumPoolSize = 10", more);
    const Result<std::string> text = explain_pool(d.store, "p", d.libraries);
    REQUIRE(text.ok());
    INFO(*text);
    CHECK(text->find(std::string(most) + " while deploying") != std::string::npos);
  }
}

TEST_CASE("pools explain: instances that are not declared are said to be counted as one") {
  Declared d = declared("hikaricp", "5.1.0", "");
  const Result<std::string> text = explain_pool(d.store, "p", d.libraries);
  REQUIRE(text.ok());
  INFO(*text);
  CHECK(fits(*text));
  CHECK(text->find("instances 1 (not declared)") != std::string::npos);
}

TEST_CASE("pools explain: a pool that is not declared") {
  Declared d = declared("hikaricp", "5.1.0", "");
  const Result<std::string> text = explain_pool(d.store, "pp", d.libraries);
  REQUIRE(!text.ok());
  CHECK(text.error().kind == ErrorKind::bad_input);
  CHECK(text.error().message == "no pool 'pp' is declared; did you mean 'p'?");
}

TEST_CASE("pools list and show fit a terminal and name everything") {
  Problems problems;
  const std::vector<Library> libraries = load_libraries({shipped_libraries()}, problems);
  const std::string list = list_libraries(libraries);
  CHECK(fits(list));
  for (const Library& library : libraries) {
    CAPTURE(library.id);
    CHECK(list.find(library.id + " ") != std::string::npos);
    const std::string shown = show_library(library);
    for (const Setting& setting : library.settings) CHECK(shown.find(setting.name) != std::string::npos);
    for (const Derived& derived : library.derived) CHECK(shown.find(derived.column) != std::string::npos);
  }
}

TEST_CASE("pools explain: control characters of a declaration do not reach the terminal") {
  Declared d("[[pool]]\nname = \"p\"\nlibrary = \"django\"\ndriver = \"x\\u001b[31m\"\n");
  const Result<std::string> text = explain_pool(d.store, "p", d.libraries);
  REQUIRE(text.ok());
  CHECK(text->find('\x1b') == std::string::npos);
}

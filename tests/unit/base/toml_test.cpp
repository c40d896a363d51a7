#include "base/toml.h"

#include <doctest/doctest.h>

using namespace dbaudit;

TEST_CASE("everything wrong in a table is reported at once, with its line") {
  Problems problems;
  const auto root = parse_toml(R"(name = 3
tiemout = "5s"
limit = "5"
kind = "grean"
size = "lots"
count = 12
)",
                               "x.toml", problems);
  REQUIRE(root.has_value());
  TomlReader reader(*root, "x.toml", "thing", problems);
  CHECK_FALSE(reader.text("name").has_value());
  CHECK_FALSE(reader.duration("timeout").has_value());
  CHECK_FALSE(reader.duration("limit").has_value());
  CHECK_FALSE(reader.one_of("kind", {"green", "blue"}).has_value());
  CHECK_FALSE(reader.size_bytes("size").has_value());
  CHECK_FALSE(reader.integer("count", 1, 10).has_value());
  CHECK(reader.required_text("missing").empty());
  reader.finish();
  CHECK(problems.text() ==
        "x.toml:1: thing: 'name' must be a string, not an integer\n"
        "x.toml:1: thing: 'missing' is missing or empty\n"
        "x.toml:2: thing: unknown key 'tiemout'; did you mean 'timeout'?\n"
        "x.toml:3: thing: 'limit' must be a duration with a unit, such as \"30s\", \"5m\" or \"250ms\", not \"5\"\n"
        "x.toml:4: thing: 'kind' is \"grean\", it must be one of green, blue; did you mean 'green'?\n"
        "x.toml:5: thing: 'size' must be a size such as \"16GiB\" or \"512M\"\n"
        "x.toml:6: thing: 'count' is 12, it must be from 1 to 10\n");
}

TEST_CASE("broken TOML says where") {
  Problems problems;
  CHECK_FALSE(parse_toml("a = 1\nb = = 2\n", "y.toml", problems).has_value());
  REQUIRE(problems.list().size() == 1);
  CHECK(problems.list().front().line == 2);
}

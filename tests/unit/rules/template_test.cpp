#include "rules/template.h"

#include <doctest/doctest.h>

using namespace dbaudit;

TEST_CASE("placeholders print values for people") {
  const Lookup lookup = [](std::string_view name) -> Value {
    if (name == "idle_s") return 1800.0;
    if (name == "half_s") return 90.5;
    if (name == "limit_s") return kUnlimited;
    if (name == "size_bytes") return std::int64_t{1048576};
    if (name == "n") return std::int64_t{1234};
    if (name == "who") return std::string("app");
    return {};
  };
  CHECK(fill_template("{who}: {idle_s:duration}, {limit_s:duration}, {size_bytes:bytes}, {n:count}, {n}, {gone}",
                      lookup) == "app: 30 min, unlimited, 1.0 MiB, 1,234, 1234, unknown");
  CHECK(fill_template("{idle_s:for}, {limit_s:for}", lookup) == "for up to 30 min, for any length of time");
  CHECK(fill_template("{idle_s:over}, {limit_s:over}", lookup) == "30 min too long, without any limit");
  CHECK(fill_template("{{braces}}", lookup) == "{braces}");
  CHECK(fill_template("{half_s:seconds} {idle_s:seconds} {gone:seconds}", lookup) == "91 1800 unknown");
}

TEST_CASE("what is wrong with a template") {
  CHECK(check_template("{a} {b:bytes}").problems.empty());
  CHECK(check_template("{a").problems.size() == 1);
  CHECK(check_template("a}").problems.size() == 1);
  CHECK(check_template("{a:weeks}").problems.size() == 1);
}

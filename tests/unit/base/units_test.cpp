#include "base/units.h"

#include <doctest/doctest.h>

#include <limits>

using namespace dbaudit;

TEST_CASE("durations need a unit and may be put together") {
  CHECK(parse_duration("250ms")->count() == doctest::Approx(0.25));
  CHECK(parse_duration("1h30m")->count() == 5400);
  CHECK(parse_duration("2 d")->count() == 172800);
  CHECK(parse_duration("5min")->count() == 300);
  for (const char* wrong : {"", "30", "s", "30x", "-5s", "5s 3", "1.2.3s"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_duration(wrong).has_value());
  }
}

TEST_CASE("sizes count in powers of 1024, as option files do") {
  CHECK(parse_size("512") == 512);
  CHECK(parse_size("64K") == 65536);
  CHECK(parse_size("16GiB") == 17179869184);
  CHECK(parse_size("1.5m") == 1572864);
  for (const char* wrong : {"", "GiB", "16 GB of RAM", "5X", "99999999999T"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_size(wrong).has_value());
  }
}

TEST_CASE("a margin is a share within bounds, or fixed") {
  const Margin share = *parse_margin("10%, at least 5s, at most 30s");
  CHECK(share.of(180) == 18);
  CHECK(share.of(10) == 5);
  CHECK(share.of(28800) == 30);
  CHECK(parse_margin("10%, at least 5")->of(151) == doctest::Approx(15.1));
  CHECK(parse_margin("5s")->of(1000) == 5);
  CHECK(parse_margin("0")->of(1000) == 0);
  for (const char* wrong : {"", "ten", "10%, about 5s", "5s, at least 3s", "10%,"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_margin(wrong).has_value());
  }
}

TEST_CASE("durations are printed with at most two units") {
  CHECK(format_duration(0) == "0 s");
  CHECK(format_duration(0.25) == "250 ms");
  CHECK(format_duration(1.52) == "1.5 s");
  CHECK(format_duration(300) == "5 min");
  CHECK(format_duration(31536000) == "365 d");
  CHECK(format_duration(93784) == "1 d 2 h");
  CHECK(format_duration(std::numeric_limits<double>::infinity()) == "unlimited");
}

TEST_CASE("sizes and counts for people") {
  CHECK(format_bytes(512) == "512 B");
  CHECK(format_bytes(17179869184.0) == "16.0 GiB");
  CHECK(format_count(1234567) == "1,234,567");
  CHECK(format_count(0.5) == "0.50");
}

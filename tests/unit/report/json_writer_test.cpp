#include "report/json_writer.h"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "report/table.h"

using namespace dbaudit;

TEST_CASE("objects, lists and values, indented and on one line") {
  const auto write = [](JsonLayout layout) {
    JsonWriter json(layout);
    json.object([&] {
      json.member("text", "a \"quote\"");
      json.member("nothing", nullptr);
      json.member("maybe", std::optional<std::string>());
      json.text_or_null("empty", "");
      json.member("flag", true);
      json.member("count", std::size_t{7});
      json.object("inside", [&] { json.member("x", Value{std::int64_t{-1}}); });
      json.array("list", std::vector<int>{1, 2}, [&](int item) { json.value(item); });
      json.array("none", std::vector<int>(), [&](int item) { json.value(item); });
    });
    return json.text();
  };
  CHECK(write(JsonLayout::one_line) ==
        "{\"text\":\"a \\\"quote\\\"\",\"nothing\":null,\"maybe\":null,\"empty\":null,\"flag\":true,\"count\":7,"
        "\"inside\":{\"x\":-1},\"list\":[1,2],\"none\":[]}\n");
  const std::string indented = write(JsonLayout::indented);
  CHECK(indented.starts_with("{\n  \"text\": \"a \\\"quote\\\"\",\n  \"nothing\": null,\n"));
  CHECK(indented.ends_with("  \"list\": [\n    1,\n    2\n  ],\n  \"none\": []\n}\n"));
  CHECK(nlohmann::json::parse(indented) == nlohmann::json::parse(write(JsonLayout::one_line)));
}

TEST_CASE("every number comes back as it was; what is none is said") {
  constexpr double kLargest = std::numeric_limits<double>::max();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const double number : {0.1, 1.0 / 3, -2.5e-300, 1e15, 1e22, kLargest}) {
    JsonWriter json;
    json.value(number);
    CHECK(nlohmann::json::parse(json.text()).get<double>() == number);
  }
  for (const std::int64_t number : {kMost, -kMost - 1, std::int64_t{0}}) {
    JsonWriter json;
    json.value(number);
    CHECK(nlohmann::json::parse(json.text()).get<std::int64_t>() == number);
  }
  const auto text_of = [](double number) {
    JsonWriter json;
    json.value(number);
    return json.text();
  };
  CHECK(text_of(12.0) == "12\n");
  CHECK(text_of(kUnlimited) == "\"unlimited\"\n");
  CHECK(text_of(-kUnlimited) == "\"-unlimited\"\n");
  CHECK(text_of(std::numeric_limits<double>::quiet_NaN()) == "null\n");
}

TEST_CASE("text and names of any bytes are valid UTF-8, and nothing acts on a terminal") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  bytes += "\xF0\x9F\x90\xAC \xC2\x9B \xE2\x80\xAE";  // a dolphin, a control sequence introducer, a change of direction
  JsonWriter json;
  json.object([&] { json.member("name \xFF", bytes); });
  const std::string text = json.text();
  const auto parsed = nlohmann::json::parse(text);
  const std::string back = parsed.begin().value();
  CHECK(parsed.begin().key() == "name \xEF\xBF\xBD");
  CHECK(back.substr(0, 128) == bytes.substr(0, 128));
  CHECK(back.find("\xF0\x9F\x90\xAC") != std::string::npos);
  CHECK(text.find("\xC2\x9B") == std::string::npos);
  CHECK(text.find("\xE2\x80\xAE") == std::string::npos);
  for (const char c : text) CHECK((c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)));
}

TEST_CASE("of columns of one name the last is written") {
  const ResultTable table{{"a", "b", "a"}, {{Value{std::int64_t{1}}, Value{std::int64_t{2}}, Value{std::int64_t{3}}}}};
  CHECK(render_rows_json(table) == "[\n  {\n    \"b\": 2,\n    \"a\": 3\n  }\n]\n");
}

#include "base/text.h"

#include <doctest/doctest.h>

using namespace dbaudit;

TEST_CASE("invalid bytes become the replacement character, valid text stays") {
  CHECK(valid_utf8("주문 😀") == "주문 😀");
  CHECK(valid_utf8("a\xff"
                   "b\xe2\x82") ==
        "a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("cutting never splits a code point") {
  CHECK(bounded("abc", 3) == "abc");
  CHECK(bounded("주문", 4) == "주…");
}

TEST_CASE("nothing that moves the cursor or reorders text reaches a terminal") {
  CHECK(printable("a\nb\tc\x1b[2J\x07") == "a\\nb c\\x1b[2J\\x07");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\x9b31m");  // C1 CSI
  CHECK(printable("user\xe2\x80\xae"
                  "drowssap") == "user\\u202edrowssap");  // right-to-left override
  CHECK(printable("\xff") == "\\xff");
}

TEST_CASE("width counts columns, not bytes") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("주문") == 4);
}

TEST_CASE("wrapping keeps words whole that fit into a line, and breaks the others") {
  CHECK(wrap("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrap("an immeasurable x", 5) == std::vector<std::string>{"an", "immea", "surab", "le x"});
  CHECK(wrap("주문주문 x", 5) == std::vector<std::string>{"주문", "주문", "x"});
  CHECK(wrap("an immeasurable x", 5, LongWords::keep) == std::vector<std::string>{"an", "immeasurable", "x"});
  CHECK(wrap("주", 1) == std::vector<std::string>{"주"});
  CHECK(wrap("", 5) == std::vector<std::string>{""});
}

// Eight bytes are looked at together, and a rest one by one.
TEST_CASE("a byte that is not plain is found at every place") {
  for (std::size_t size = 1; size <= 20; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, '~');
      CHECK(is_valid_utf8(text));
      CHECK(json_without_controls(text) == text);
      text[at] = '\x7f';
      CHECK(is_valid_utf8(text));
      CHECK(json_without_controls(text) == std::string(at, '~') + "\\u007f" + std::string(size - at - 1, '~'));
      for (const char high : {'\x80', '\xfe', '\xff'}) {
        text[at] = high;
        CHECK_FALSE(is_valid_utf8(text));
      }
    }
  }
}

TEST_CASE("a client's host comes without its port") {
  CHECK(without_port("10.0.0.5:52110") == "10.0.0.5");
  CHECK(without_port("localhost:1") == "localhost");
  CHECK(without_port("::1:52110") == "::1");
  CHECK(without_port("2001:db8::5:52110") == "2001:db8::5");
  CHECK(without_port("localhost") == "localhost");
  CHECK(without_port("") == "");
  CHECK(without_port("connecting:") == "connecting:");
}

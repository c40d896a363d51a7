#include "pools/import_url.h"

#include <doctest/doctest.h>

using namespace dbaudit;

TEST_CASE("URLs lose user, password and secret options, however they are written") {
  const struct {
    const char* url;
    const char* kept;
    const char* user;
  } cases[] = {
      {"jdbc:mysql://db:3306/shop?socketTimeout=1", "jdbc:mysql://db:3306/shop?socketTimeout=1", ""},
      {"mysql://app:pw@db/shop", "mysql://db/shop", "app"},
      {"mysql://app:p/w@db/shop", "mysql://db/shop", "app"},
      {"mysql://app:p@w@db/shop", "mysql://db/shop", "app"},
      {"jdbc:mysql://h1,h2:3307/d?user=app&password=pw&a=1", "jdbc:mysql://h1,h2:3307/d?a=1", ""},
      {"jdbc:mysql://h/d?trustCertificateKeyStorePassword=pw", "jdbc:mysql://h/d", ""},
      {"jdbc:mysql://address=(host=h)(user=u)(password=pw)/d?a=1", "jdbc:mysql:///?a=1", ""},
      {"jdbc:mysql://h/d?sessionVariables=sql_mode=concat(@@sql_mode,'x')",
       "jdbc:mysql://h/d?sessionVariables=sql_mode=concat(@@sql_mode,'x')", ""},
      {"app:p@ss/w?rd@tcp(h:3306)/d?timeout=5s", "tcp(h:3306)/d?timeout=5s", "app"},
      {"unix(/run/mysqld.sock)/d", "unix(/run/mysqld.sock)/d", ""},
      {"mysql://${U}:${P}@${HOST}/d?a=${B}&c=1", "mysql://${HOST}/d?a=unknown&c=1", ""},
      {"mysql://h/d?init_command=SET%20PASSWORD%3D%27leak%27&a=1", "mysql://h/d?init_command=SET%20PASSWORD=?&a=1", ""},
      {"mysql://h/d?init%5Fcommand=SET+PASSWORD='leak'", "mysql://h/d?init%5Fcommand=SET%20PASSWORD=?", ""},
      {"jdbc:mysql://h/d?sessionVariables=PASSWORD='leak'", "jdbc:mysql://h/d?sessionVariables=PASSWORD=?", ""},
      {"jdbc:mysql://h/d?%70assword=leak&a=1", "jdbc:mysql://h/d?a=1", ""},
      {"mysql://h/d?init_command=SET%20NAMES%20utf8mb4", "mysql://h/d?init_command=SET%20NAMES%20utf8mb4", ""},
      {"mysql://[::1]:3306/d", "mysql://[::1]:3306/d", ""},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.url));
    const std::optional<PublicUrl> url = public_url(c.url);
    REQUIRE(url);
    CHECK(url->text == c.kept);
    CHECK(url->user == c.user);
  }
}

TEST_CASE("what might be a part of a password is no URL") {
  for (const char* url : {"mysql://app:p?w@db/shop", "mysql://app:12?w@db/shop", "app:pw@db", "hello", "://", "",
                          "mysql://app:secret", "tcp(h)x/d"}) {
    CAPTURE(std::string(url));
    CHECK(!public_url(url));
  }
}

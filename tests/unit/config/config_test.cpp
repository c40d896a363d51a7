#include "config/config.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace dbaudit;

namespace {

Config parse(const std::string& text, Problems& problems) {
  const auto path = std::filesystem::temp_directory_path() / ("dbaudit-config-" + std::to_string(getpid()) + ".toml");
  std::ofstream(path) << text;
  Config config = parse_config(path.string(), problems);
  std::filesystem::remove(path);
  return config;
}

}  // namespace

TEST_CASE("dbaudit.toml of the public contract") {
  Problems problems;
  const Config config = parse(R"(
[parameters]
safety_margin = "10%, at least 5s, at most 30s"
[rules]
POOL001 = "off"
VAR001 = "error"
[[server]]
name = "shop-primary"
url = "mysql://audit@10.0.0.5:3306"
password_file = "pw"
role = "primary"
group = "shop"
environment = "production"
memory = "16GiB"
upgrade_to = "mysql-8.4"
parameters = { max_idle = "5m" }
[[group]]
name = "shop"
parameters = { max_idle = "9m" }
[[pool]]
name = "checkout"
library = "hikaricp"
)",
                              problems);
  CHECK(problems.text() == "");
  REQUIRE(config.servers.size() == 1);
  CHECK(config.servers[0].memory_bytes == 17179869184);
  CHECK(config.servers[0].upgrade_to == "mysql-8.4");
  CHECK(config.servers[0].upgrade_to_line == 15);
  CHECK(config.servers[0].password_file == (std::filesystem::temp_directory_path() / "pw").string());
  CHECK(config.rules.at("POOL001").value == "off");
  CHECK(config.pools.size() == 1);
  REQUIRE(config.groups.size() == 1);
  CHECK(config.groups[0].name == "shop");
  CHECK(config.groups[0].parameters.size() == 1);
}

TEST_CASE("ssl_mode is taken in any case, as on the command line") {
  for (const char* written : {"VERIFY_IDENTITY", "verify_identity", "Verify_Identity"}) {
    CAPTURE(written);
    Problems problems;
    const Config config = parse(
        "[[server]]\nname = \"a\"\nurl = \"mysql://db\"\nssl_mode = \"" + std::string(written) + "\"\n", problems);
    CHECK(problems.text() == "");
    CHECK(config.servers.at(0).ssl_mode == "VERIFY_IDENTITY");
  }
  Problems problems;
  parse("[[server]]\nname = \"a\"\nurl = \"mysql://db\"\nssl_mode = \"maybe\"\n", problems);
  CHECK(problems.text().find("'ssl_mode' is \"maybe\", it must be one of DISABLED") != std::string::npos);
}

TEST_CASE("mistakes in dbaudit.toml, all at once") {
  Problems problems;
  parse(R"([rules]
POOL001 = "of"
[[server]]
name = "a"
rol = "primary"
[[server]]
name = "a"
url = "mysql://db"
memory = 16
replica_of = "b"
group = "shop"
[[server]]
name = "c"
url = "mysql://db"
replica_of = "c"
[[group]]
name = "shoop"
[[group]]
name = "shop"
parameter = {}
[[group]]
name = "shop"
[expect.production]
wait_timeout = 600
[pool]
)",
        problems);
  const std::string text = problems.text();
  for (const char* part :
       {":2: [rules] POOL001 must be", "it needs a 'url' or an 'option_file'",
        "unknown key 'rol'; did you mean 'role'?", "is declared twice", "'memory' must be a size",
        "replica_of names no declared server 'b'", ":12: [[server]] 'c': replica_of names the server itself",
        ":16: [[group]] 'shoop': no [[server]] is in this group; did you mean 'shop'?",
        "[[group]] 'shop': unknown key 'parameter'; did you mean 'parameters'?",
        ":21: [[group]] 'shop' is declared twice", "[expect.production]: no [[server]] has this environment",
        "'pool' must be an array of tables"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

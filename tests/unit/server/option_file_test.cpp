#include "server/option_file.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/connection_options.h"

using namespace dbaudit;

namespace {

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("dbaudit-cnf-" + std::to_string(getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name) << text;
    std::filesystem::permissions(path / name, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return (path / name).string();
  }
};

}  // namespace

TEST_CASE("option files: quotes, comments, escapes, dashes, includes") {
  const Folder folder;
  folder.write("more.cnf", "[client]\nport=3307\n");
  const std::string file = folder.write("my.cnf", R"([client]
user = "a b"# comment
password='p#w\\d'
loose-ssl-ca=/x\sy
; comment
compress#ed
[dbaudit-night]
host=db
!include )" + (folder.path / "more.cnf").string() + "\n");
  Problems problems;
  const auto entries = read_option_file(file, problems);
  CHECK(problems.text() == "");
  REQUIRE(entries.size() == 6);
  CHECK(entries[0].value == "a b");
  CHECK(entries[1].value == "p#w\\d");
  CHECK(entries[2].key == "ssl_ca");
  CHECK(entries[2].value == "/x y");
  CHECK_FALSE(entries[3].has_value);
  CHECK(entries[4].group == "dbaudit-night");
  CHECK(entries[5].key == "port");

  const auto plain = client_options({file, "", "", ""}, problems);
  CHECK(plain.size() == 5);
  CHECK(client_options({file, "", "-night", ""}, problems).size() == 6);
}

TEST_CASE("bad option files: everything with file and line") {
  const Folder folder;
  const std::string file =
      folder.write("my.cnf", "lost=1\n[client\n[dbaudit]\nport=99999\nhots=db\nssl-mode=SOME\n!nonsense\n");
  Problems problems;
  request_from_option_files(client_options({file, "", "", ""}, problems), problems);
  const std::string text = problems.text();
  for (const char* part : {":1: an option stands before", ":2: the group name has no closing",
                           ":4: [dbaudit] port = 99999", ":5: [dbaudit]: unknown option 'hots'; did you mean 'host'?",
                           ":6: [dbaudit] ssl_mode = SOME", ":7: only '!include FILE'"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  std::filesystem::permissions(file, std::filesystem::perms::all);
  Problems writable;
  CHECK(read_option_file(file, writable).empty());
  CHECK(writable.text().find("anybody may write") != std::string::npos);
  Problems missing;
  read_option_file("/no/such.cnf", missing);
  CHECK_FALSE(missing.empty());
}

TEST_CASE("URLs name a server and never a password or database") {
  const auto url = parse_connection_url("mysql://a%40b@[::1]:3307");
  REQUIRE(url.ok());
  CHECK(url->user == "a@b");
  CHECK(url->host == "::1");
  CHECK(url->port == 3307);
  CHECK(parse_connection_url("unix:///run/my.sock")->socket == "/run/my.sock");
  CHECK(parse_connection_url("mysql://db")->port == std::nullopt);
  for (const char* wrong : {"db:3306", "mysql://u:pw@db", "mysql://db/shop", "mysql://db:x", "postgres://db",
                            "mysql://", "unix://rel", "mysql://[::1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_connection_url(wrong).ok());
  }
}

TEST_CASE("the first source that names a server decides") {
  ConnectionRequest arguments;
  arguments.host = "db";
  ConnectionRequest file;
  file.socket = "/run/x.sock";
  file.port = 3307;
  file.user = "audit";
  const ConnectionRequest both = merged(arguments, file);
  CHECK(both.host == "db");
  CHECK_FALSE(both.socket.has_value());
  CHECK(both.port == 3307);
  CHECK(both.user == "audit");
}

TEST_CASE("what the client library cannot prove is refused") {
  ConnectionRequest request;
  request.host = "127.0.0.1";
  request.ssl_mode = SslMode::verify_ca;
  Problems problems;
  resolve(request, "", problems);
  CHECK(problems.text().find("VERIFY_CA") != std::string::npos);
  request.ssl_mode = SslMode::required;
  request.ssl_ca = "/no/such/file";
  Problems missing;
  resolve(request, "", missing);
  CHECK(missing.text().find("/no/such/file cannot be read") != std::string::npos);
}

TEST_CASE("no message repeats what may be a password") {
  const Folder folder;
  const std::string file = folder.write(
      "my.cnf", "[dbaudit]\npassword hunter2\npasswrod=hunter2\npassword:hunter2\n[client]\npassword hunter2\n");
  Problems problems;
  request_from_option_files(client_options({file, "", "", ""}, problems), problems);
  CHECK(problems.list().size() == 4);
  CHECK(problems.text().find("hunter2") == std::string::npos);
  for (const char* url : {"mysql://u:hunter2", "mysql://u:hunter2@db", "mysql://[::1]hunter2", "mysql://u:1x/"}) {
    CAPTURE(url);
    const auto parsed = parse_connection_url(url);
    REQUIRE_FALSE(parsed.ok());
    CHECK(describe(parsed.error()).find("hunter2") == std::string::npos);
  }
}

TEST_CASE("a port of the command line means TCP, whatever socket an option file names") {
  ConnectionRequest file;
  file.socket = "/run/x.sock";
  Problems problems;
  CHECK(resolve(merged({}, file), "", problems).socket == "/run/x.sock");
  ConnectionRequest arguments;
  arguments.port = 3307;
  const ConnectionOptions options = resolve(merged(arguments, file), "", problems);
  CHECK(options.socket.empty());
  CHECK(options.host == "localhost");
  CHECK(options.port == 3307);
  file.port = 3306;  // one source that names both: the socket, as with the mysql client
  CHECK(resolve(merged({}, file), "", problems).socket == "/run/x.sock");
  file.host = "db";
  CHECK(resolve(merged(arguments, file), "", problems).host == "db");
}

TEST_CASE("default option files that cannot be read are skipped, named ones are not") {
  const Folder folder;
  Problems problems;
  client_options({"", "", "", "/dev/null"}, problems);             // HOME that is no folder
  client_options({"", "", "", std::string(5000, 'x')}, problems);  // HOME that cannot even be looked at
  folder.write(".my.cnf", "!include /no/such.cnf\n!includedir /no/such\n");
  client_options({"", "", "", folder.path.string()}, problems);
  CHECK(problems.text() == "");
  client_options({"", "/no/extra.cnf", "", ""}, problems);
  client_options({"/no/only.cnf", "", "", ""}, problems);
  CHECK(problems.list().size() == 2);
}

TEST_CASE("loopback is an address, not the beginning of a name") {
  const auto loopback = [](const char* host) {
    ConnectionOptions options;
    options.host = host;
    return is_loopback(options);
  };
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"}) CHECK(loopback(host));
  for (const char* host : {"127.evil.example", "127.0.0.1.evil.example", "127.1", "10.0.0.1", "::2"})
    CHECK_FALSE(loopback(host));
}

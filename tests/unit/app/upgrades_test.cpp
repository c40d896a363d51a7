#include "app/upgrades.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/inputs.h"

using namespace dbaudit;

namespace {

namespace fs = std::filesystem;

// A folder of rules with the defaults of three versions, of which all variables are known but for mysql-8.4.
class Versions {
 public:
  Versions() : folder_(fs::temp_directory_path() / ("dbaudit-upgrades-" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "defaults");
    write("mysql-8.4", "mysql", "8.4.0", "", "wait_timeout = 28800\nlock_wait_timeout = 50\n");
    write("broken-1.0", "mysql", "1.0.0", "", "wait_timout = 1\n");
    write("mariadb-10.6", "mariadb", "10.6.2", "without_default = [\"port\", \"max_tmp_tables\"]",
          "wait_timeout = 28800\nold_alter_table = \"DEFAULT\"\n");
    write("mariadb-10.11", "mariadb", "10.11.1", "without_default = [\"port\", \"socket\"]", "wait_timeout = 600\n");
  }
  Versions(const Versions&) = delete;
  Versions& operator=(const Versions&) = delete;
  ~Versions() { fs::remove_all(folder_); }

  [[nodiscard]] Inputs inputs(const std::string& upgrade_to) const {
    Inputs inputs;
    inputs.rule_folders = {folder_.string()};
    inputs.config.file = "dbaudit.toml";
    ServerConfig server;
    server.name = "shop";
    server.upgrade_to = upgrade_to;
    server.upgrade_to_line = 7;
    ServerConfig other;
    other.name = "other";
    inputs.config.servers = {server, other};
    return inputs;
  }

 private:
  void write(const std::string& id, const std::string& flavor, const std::string& version, const std::string& others,
             const std::string& variables) const {
    std::ofstream(folder_ / "defaults" / (id + ".toml"))
        << "flavor = \"" << flavor << "\"\nversion = \"" << version << "\"\nsource = \"a test\"\n"
        << others << "\n[variables]\n"
        << variables;
  }

  fs::path folder_;
};

std::string problems_of(const std::string& upgrade_to) {
  Problems problems;
  const Versions versions;
  check_upgrades(versions.inputs(upgrade_to), problems);
  return problems.text();
}

Store store_with(const Value& flavor, const Value& version) {
  Store store;
  store.insert("server", {"server_id", "name", "flavor", "version"}).row(3, "shop", flavor, version);
  store.insert("server", {"server_id", "name", "flavor", "version"}).row(4, "other", flavor, version);
  return store;
}

// "name:there:default:here ..." in the order of their names.
std::string variables_in(Store& store) {
  Query rows = store.query(
      "SELECT group_concat(variable_name || ':' || there || ':' || coalesce(default_value, '-') || ':' || "
      "coalesce(default_here, '-'), ' ') FROM (SELECT * FROM upgrade_variable WHERE server_id = 3 ORDER BY 1)");
  return rows.next().value() ? rows.text(0) : "";
}

std::string refused(const Value& flavor, const Value& version, const std::string& upgrade_to) {
  Store store = store_with(flavor, version);
  const Versions versions;
  add_upgrades(versions.inputs(upgrade_to), store);
  CHECK(variables_in(store).empty());
  Query rows = store.query("SELECT refused FROM upgrade");
  REQUIRE(rows.next().value());
  return rows.text(0);
}

Value words(const std::string& text) { return text; }

}  // namespace

TEST_CASE("a next version whose defaults are not known is a problem with its line") {
  CHECK(problems_of("mysql-8.4") == "");
  CHECK(problems_of("mysql-8.5")
            .find("dbaudit.toml:7: [[server]] 'shop': upgrade_to: the defaults of 'mysql-8.5' are "
                  "not known; did you mean 'mysql-8.4'?; known are broken-1.0, mariadb-10.11, mariadb-10.6, "
                  "mysql-8.4") != std::string::npos);
  CHECK(problems_of("../defaults/mysql-8.4").find("are not known") != std::string::npos);
  CHECK(problems_of("broken-1.0").find("'wait_timout' is no variable of any supported server") != std::string::npos);
  CHECK(problems_of("").find("are not known") != std::string::npos);
}

TEST_CASE("what the next version has, and what it has no more") {
  Store store = store_with(words("mariadb"), words("10.6.20"));
  const Versions versions;
  const Inputs inputs = versions.inputs("mariadb-10.11");
  add_upgrades(inputs, store);
  add_upgrades(inputs, store);
  CHECK(variables_in(store) ==
        "max_tmp_tables:0:-:- old_alter_table:0:-:DEFAULT port:1:-:- socket:1:-:- wait_timeout:1:600:28800");
  Query rows = store.query("SELECT server_id, target, series, all_known, refused, declared_in FROM upgrade");
  REQUIRE(rows.next().value());
  CHECK(rows.integer(0) == 3);
  CHECK(rows.text(1) == "mariadb-10.11");
  CHECK(rows.text(2) == "10.11");
  CHECK(rows.integer(3) == 1);
  CHECK(is_null(rows.value(4)));
  CHECK(rows.text(5) == "dbaudit.toml:7");
  CHECK_FALSE(rows.next().value());
}

TEST_CASE("a list that is not complete takes nothing away") {
  Store store = store_with(words("mysql"), words("8.0.46"));
  const Versions versions;
  add_upgrades(versions.inputs("mysql-8.4"), store);
  CHECK(variables_in(store) == "lock_wait_timeout:1:50:- wait_timeout:1:28800:-");
  Query rows = store.query("SELECT all_known FROM upgrade");
  REQUIRE(rows.next().value());
  CHECK(rows.integer(0) == 0);
}

TEST_CASE("no upgrade is one to another product, an older series or the same") {
  CHECK(refused(words("mariadb"), words("10.6.20"), "mysql-8.4") == "this server is MariaDB 10.6.20, and it is MySQL");
  CHECK(refused(words("mysql"), words("9.7.4"), "mysql-8.4") == "it is not newer than this server, MySQL 9.7.4");
  CHECK(refused(words("mysql"), words("8.4.0"), "mysql-8.4") == "it is not newer than this server, MySQL 8.4.0");
  CHECK(refused(words("mariadb"), words("11.4.2"), "mariadb-10.11") ==
        "it is not newer than this server, MariaDB 11.4.2");
  CHECK(refused({}, {}, "mysql-8.4") == "this server's version is not known");
}

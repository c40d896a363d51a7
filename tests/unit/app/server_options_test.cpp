#include "app/server_options.h"

#include <doctest/doctest.h>

using namespace dbaudit;

namespace {

const ServerVersion kMariadb{Flavor::mariadb, {10, 11, 19}};
const ServerVersion kMysql{Flavor::mysql, {9, 7, 4}};

const KnownIn& facts(const char* variable, Flavor flavor) { return known_variable(variable)->in(flavor); }

std::string text(const Result<TakenValue>& taken) { return taken ? text_of(taken->value) : "refused"; }

std::string set(const char* variable, const char* value, Flavor flavor = Flavor::mariadb) {
  return text(value_from_set(facts(variable, flavor), {}, value));
}

std::string option(const char* variable, const char* value, Flavor flavor = Flavor::mariadb) {
  return text(value_from_option(facts(variable, flavor), {}, value, flavor));
}

}  // namespace

TEST_CASE("the groups that each server says it reads") {
  for (const char* group : {"mysqld", "server", "mysqld-10.11", "mariadb", "mariadb-10.11", "mariadbd",
                            "mariadbd-10.11", "client-server", "galera"}) {
    CAPTURE(std::string(group));
    CHECK(reads_group(group, kMariadb));
    CHECK(is_server_group(group));
  }
  for (const char* group : {"mysqld", "server", "mysql_cluster", "mysqld-9.7"}) CHECK(reads_group(group, kMysql));
  CHECK(reads_group("mariadb-11", {Flavor::mariadb, {11, 8, 9}}));
  for (const char* group : {"mysqld-11.8", "mariadb-10.1", "mariadb-10", "mysqld-9.7", "mysqld10.11", "mysqldump"})
    CHECK(!reads_group(group, kMariadb));
  for (const char* group : {"mariadb", "mariadbd", "client-server", "galera", "mysqld-5.7", "mysqld-9", "mysqld-10.11"})
    CHECK(!reads_group(group, kMysql));
  CHECK(is_server_group("mysqld-5.7"));
  for (const char* group : {"client", "mysqld_safe", "mysqldump", "mysqld1"}) CHECK(!is_server_group(group));
}

TEST_CASE("MariaDB takes what only one option begins with, MySQL takes no abbreviation") {
  CHECK(meant_option("wait_time", kMariadb).name == "wait_timeout");
  // max_connect_errors begins so too; max_connections is looked for before it.
  CHECK(meant_option("max_conn", kMariadb).name == "max_connections");
  CHECK(meant_option("max_connect_errors", kMariadb).name == "max_connect_errors");
  CHECK(meant_option("user", kMariadb).name == "user");  // not userstat
  CHECK(meant_option("innodb_buffer", kMariadb).problem.find("it may be") == 0);
  CHECK(meant_option("use", kMariadb).problem.find("user") != std::string::npos);
  CHECK(meant_option("wait_time", kMysql).problem == "MySQL 9.7.4 takes no abbreviated options");
  CHECK(meant_option("wait_time", {Flavor::mysql, {5, 7, 44}}).name == "wait_timeout");
  CHECK(meant_option("option_of_a_plugin", kMysql).name.empty());
  CHECK(meant_option("option_of_a_plugin", kMysql).problem.empty());
  CHECK(is_option_somewhere("wait_time"));
  CHECK(!is_option_somewhere("wait_timout"));
}

TEST_CASE("option modifiers") {
  const MeantOption skip = meant_option("skip_slow_query_log", kMysql);
  CHECK(skip.name == "slow_query_log");
  CHECK(skip.modifier == OptionModifier::off);
  CHECK(meant_option("skip_name_resolve", kMysql).modifier == OptionModifier::none);  // a variable of that name
  CHECK(meant_option("enable_slow_query_log", kMysql).modifier == OptionModifier::on);
  CHECK(meant_option("maximum_wait_timeout", kMysql).modifier == OptionModifier::maximum);
  CHECK(meant_option("maximum_max_connections", kMysql).problem == "the maximum of max_connections cannot be set");
}

TEST_CASE("a value out of range is moved to its end, as SET does") {
  CHECK(set("wait_timeout", "0") == "1");
  CHECK(set("wait_timeout", "1") == "1");
  CHECK(set("wait_timeout", "-5") == "1");
  CHECK(set("wait_timeout", "31536000") == "31536000");
  CHECK(set("wait_timeout", "99999999999") == "31536000");
  CHECK(set("max_connections", "5") == "10");
  CHECK(set("max_connections", "5", Flavor::mysql) == "5");
  CHECK(set("max_connections", "9999999") == "100000");
  CHECK(set("max_user_connections", "-1") == "-1");
  CHECK(set("max_user_connections", "-1", Flavor::mysql) == "0");
  CHECK(set("long_query_time", "-1") == "0");
  CHECK(set("long_query_time", "0.5", Flavor::mysql) == "0.5");
  CHECK(set("long_query_time", "99999999999", Flavor::mysql) == "31536000");
  CHECK(value_from_set(facts("max_connections", Flavor::mariadb), {}, "5")->adjusted ==
        "the server takes 10 to 100000");
  CHECK(value_from_set(facts("max_connections", Flavor::mariadb), {}, "10")->adjusted.empty());
}

TEST_CASE("what SET refuses") {
  for (const char* value : {"1e3", "100.7", "'60'", "", "soon", "0x10", "K", "-", "1Kb"}) {
    CAPTURE(std::string(value));
    CHECK(set("wait_timeout", value) == "refused");
  }
  CHECK(set("long_query_time", "1e1") == "10");
  CHECK(set("long_query_time", "1K") == "refused");
  CHECK(set("slow_query_log", "2") == "refused");
  CHECK(set("slow_query_log", "true") == "ON");
}

TEST_CASE("an option file is read in another way than SET") {
  CHECK(option("wait_timeout", "1K") == "1024");
  CHECK(option("wait_timeout", "1e3") == "31536000");  // 1E, which is too much
  CHECK(option("wait_timeout", "100.7") == "refused");
  CHECK(option("wait_timeout", "-5") == "refused");
  CHECK(option("wait_timeout", "-5", Flavor::mysql) == "1");
  CHECK(option("wait_timeout", "") == "1");
  CHECK(option("wait_timeout", "", Flavor::mysql) == "refused");
  CHECK(option("wait_timeout", "9999999999999999999999") == "refused");
  CHECK(option("max_user_connections", "-1") == "-1");
  CHECK(option("long_query_time", "1e1") == "10");
  CHECK(option("long_query_time", "1K") == "refused");
  CHECK(option("slow_query_log", "maybe") == "OFF");
}

#include "pools/declare.h"

#include <doctest/doctest.h>

#include "pool_fixture.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

TEST_CASE("a pool with every key keeps every value") {
  Declared d(R"([[pool]]
name = "checkout-api"
library = "hikaricp"
version = "5.1.0"
server = "shop-primary"
user = "checkout"
driver = "mariadb-java-client 2.7.6"
url = "jdbc:mysql://app:secret@db/shop?sessionVariables=wait_timeout=600"
instances = 6
max_surge = "25%"
terminating = 1
blue_green = true
processes_per_instance = 2
threads_per_process = 8
network_idle_timeout = "350s"
longest_think_time = "30s"
longest_hold_time = "1m"
rolls_back_on_error = false
longest_query = "20s"
writes = true
reads_own_writes = false
settings = { maximumPoolSize = 20 }
)");
  CHECK(d.problems.text() == "");
  CHECK(d.fact("server_name") == Value{"shop-primary"});
  CHECK(d.fact("library_title") == Value{"HikariCP"});
  CHECK(d.fact("library_version") == Value{"5.1.0"});
  CHECK(d.fact("account_user") == Value{"checkout"});
  CHECK(d.number("instances") == 6);
  CHECK(d.number("instances_declared") == 1);
  CHECK(d.number("surge_instances") == 2);
  CHECK(d.number("terminating") == 1);
  CHECK(d.number("blue_green") == 1);
  CHECK(d.number("processes_per_instance") == 2);
  CHECK(d.number("threads_per_process") == 8);
  CHECK(d.number("network_idle_timeout_s") == 350);
  CHECK(d.number("longest_think_time_s") == 30);
  CHECK(d.number("longest_hold_time_s") == 60);
  CHECK(d.number("longest_query_s") == 20);
  CHECK(d.number("rolls_back_on_error") == 0);
  CHECK(d.number("writes") == 1);
  CHECK(d.number("reads_own_writes") == 0);
  CHECK(d.number("session_wait_timeout_s") == 600);
}

TEST_CASE("what is not declared is NULL or the contract's default, never a guess") {
  Declared d = declared("hikaricp", "", "");
  CHECK(d.problems.text() == "");
  for (const char* column : {"server_name", "account_user", "driver", "library_version", "threads_per_process",
                             "network_idle_timeout_s", "longest_think_time_s", "longest_hold_time_s", "longest_query_s",
                             "session_wait_timeout_s", "writes", "reads_own_writes"}) {
    CAPTURE(column);
    CHECK(is_null(d.fact(column)));
  }
  CHECK(d.number("instances") == 1);
  CHECK(d.number("instances_declared") == 0);
  CHECK(d.number("surge_instances") == 0);
  CHECK(d.number("rolls_back_on_error") == 1);
  CHECK(d.number("interactive") == 0);
}

TEST_CASE("surge in percent is rounded up, a count stays") {
  const struct {
    std::int64_t instances;
    Surge surge;
    std::int64_t expected;
  } cases[] = {{6, {25, true}, 2}, {4, {25, true}, 1}, {1, {1, true}, 1}, {3, {100, true}, 3},
               {0, {25, true}, 0}, {6, {0, true}, 0},  {6, {3, false}, 3}};
  for (const auto& c : cases) {
    Pool pool;
    pool.instances = c.instances;
    pool.max_surge = c.surge;
    CHECK(surge_instances(pool) == c.expected);
  }
}

TEST_CASE("everything wrong with pools is reported at once, with its line and the nearest name") {
  Declared d(R"([[pool]]
name = "a"
library = "hikaricpp"
instances = "six"
max_serge = 1

[[pool]]
name = "b"
library = "hikaricp"
max_surge = "lots"
network_idle_timeout = 350
longest_query = "0s"
import = "application.yml"

[pool.settings]
maximumPolSize = 3
maxLifetime = "30 parsecs"
autoCommit = 7
minimumIdle = 1.5
maximumPoolSize = 4
maximum-pool-size = 5

[[pool]]
name = "b"
library = "django"
version = "latest"
settings = { OPTIONS = { init_comand = "x" } }

[[pool]]
library = ""
)");
  const std::string text = d.problems.text();
  INFO(text);
  const char* expected[] = {
      "pools.toml:3: [[pool]] 'a': there is no library 'hikaricpp'; did you mean 'hikaricp'?",
      "pools.toml:4: [[pool]] 'a': 'instances' must be an integer",
      "pools.toml:5: [[pool]] 'a': unknown key 'max_serge'; did you mean 'max_surge'?",
      "pools.toml:10: [[pool]] 'b': 'max_surge' must be a count",
      "pools.toml:11: [[pool]] 'b': 'network_idle_timeout' must be a duration with a unit",
      "pools.toml:12: [[pool]] 'b': 'longest_query' must be longer than zero",
      "pools.toml:16: [[pool]] 'b': HikariCP has no setting 'maximumPolSize'; did you mean 'maximumPoolSize'?",
      "pools.toml:17: [[pool]] 'b': 'maxLifetime' must be a duration: a number of ms or text with a unit",
      "pools.toml:18: [[pool]] 'b': 'autoCommit' must be true or false, not an integer",
      "pools.toml:19: [[pool]] 'b': 'minimumIdle' must be a whole number",
      "pools.toml:21: [[pool]] 'b': 'maximumPoolSize' is declared twice",
      "pools.toml:23: [[pool]] 'b': a pool of this name is declared in line 7 already",
      "pools.toml:26: [[pool]] 'b': 'version' is \"latest\"",
      "pools.toml:27: [[pool]] 'b': Django has no setting 'OPTIONS.init_comand'; did you mean 'OPTIONS.init_command'?",
      "[[pool]]: 'name' is missing or empty",
      "[[pool]]: 'library' is missing or empty",
  };
  for (const char* line : expected) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  CHECK(d.problems.list().size() == std::size(expected));
}

TEST_CASE("a library id cannot lead out of the folder") {
  Declared d = declared("../libraries/hikaricp", "", "");
  CHECK(d.problems.text().find("there is no library") != std::string::npos);
}

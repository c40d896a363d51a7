#include "app/apply_variables.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace dbaudit;

namespace {

struct OptionFile {
  std::string path;
  explicit OptionFile(const std::string& text) {
    path = std::filesystem::temp_directory_path() / "dbaudit-test-XXXXXX";
    close(mkstemp(path.data()));
    std::ofstream(path) << text;
  }
  OptionFile(const OptionFile&) = delete;
  OptionFile& operator=(const OptionFile&) = delete;
  ~OptionFile() { std::filesystem::remove(path); }
};

const ShippedDefaults no_defaults = [](const ServerVersion&) { return std::vector<std::pair<std::string, Value>>{}; };

Store mysql_server() {
  Store store;
  store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "db", "mysql", "9.7.4", 1);
  store
      .insert("global_variables", {"server_id", "wait_timeout", "max_connections", "slow_query_log", "long_query_time",
                                   "innodb_buffer_pool_size", "transaction_isolation"})
      .row(1, 28800, 151, "OFF", 10.0, std::int64_t{134217728}, "REPEATABLE-READ");
  return store;
}

std::string value_after(const std::vector<std::string>& set, const std::string& variable,
                        std::string* wrong = nullptr) {
  Problems problems;
  Store store = mysql_server();
  std::vector<std::string> notes;
  ProposalArguments arguments;
  arguments.set = set;
  const Proposal proposal = parse_proposal(arguments, {}, problems);
  check_server_names(proposal, {"db"}, problems);
  apply_variables(proposal, no_defaults, store, notes, problems);
  if (wrong != nullptr) *wrong = problems.text();
  Query row = store.query("SELECT \"" + variable + "\" FROM global_variables");
  return row.next().value() ? row.text(0) : "";
}

}  // namespace

TEST_CASE("a value as the server would take it") {
  CHECK(value_after({"wait_timeout=180"}, "wait_timeout") == "180");
  CHECK(value_after({"WAIT-TIMEOUT = 180"}, "wait_timeout") == "180");
  CHECK(value_after({"@@global.wait_timeout=180"}, "wait_timeout") == "180");
  CHECK(value_after({"db:wait_timeout=180"}, "wait_timeout") == "180");
  CHECK(value_after({"wait_timeout=180", "wait_timeout=60"}, "wait_timeout") == "60");
  CHECK(value_after({"innodb_buffer_pool_size=2G"}, "innodb_buffer_pool_size") == "2147483648");
  CHECK(value_after({"long_query_time=0.5"}, "long_query_time") == "0.5");
  CHECK(value_after({"slow_query_log=1"}, "slow_query_log") == "ON");
  CHECK(value_after({"slow_query_log=true"}, "slow_query_log") == "ON");
  CHECK(value_after({"transaction_isolation=READ-COMMITTED"}, "transaction_isolation") == "READ-COMMITTED");
}

TEST_CASE("what is wrong with a proposal") {
  const auto wrong = [](const std::vector<std::string>& set) {
    std::string text;
    value_after(set, "wait_timeout", &text);
    return text;
  };
  CHECK(wrong({"wait_timout=180"}).find("did you mean 'wait_timeout'?") != std::string::npos);
  CHECK(wrong({"wait_timeout"}).find("write [SERVER:]VARIABLE=VALUE") != std::string::npos);
  CHECK(wrong({"wait_timeout=soon"}).find("wait_timeout is an integer on db, not 'soon'") != std::string::npos);
  CHECK(wrong({"replica:wait_timeout=180"}).find("no server of this run is named 'replica'") != std::string::npos);
  CHECK(wrong({"idle_transaction_timeout=60"}).find("db (MySQL 9.7.4) has no variable") != std::string::npos);
  CHECK(wrong({"pool.api.maximumPoolSize=10"}).find("no pool is named 'api'") != std::string::npos);
  CHECK(wrong({"pool.api=10"}).find("write pool.NAME.KEY=VALUE") != std::string::npos);
}

TEST_CASE("what a variable would do on a server that was not read is not known") {
  Problems problems;
  Store store = mysql_server();
  store.insert("server", {"server_id", "name", "reachable"}).row(2, "dead", 0);
  std::vector<std::string> notes;
  ProposalArguments arguments;
  arguments.set = {"dead:wait_timeout=180"};
  const Proposal proposal = parse_proposal(arguments, {}, problems);
  check_server_names(proposal, {"db", "dead"}, problems);
  apply_variables(proposal, no_defaults, store, notes, problems);
  CHECK(problems.text() == "");
  CHECK(notes == std::vector<std::string>{"--set: dead was not read; what wait_timeout would do there is not known"});
}

TEST_CASE("pool changes, with a name that has dots") {
  Problems problems;
  ProposalArguments arguments;
  arguments.set = {"pool.\"api.v2\".settings.OPTIONS.init_command=SET x=1", "pool.web.instances=8"};
  const Proposal proposal = parse_proposal(arguments, {"api.v2", "web"}, problems);
  CHECK(problems.text() == "");
  REQUIRE(proposal.pools.size() == 2);
  CHECK(proposal.pools[0].pool == "api.v2");
  CHECK(proposal.pools[0].key == "settings.OPTIONS.init_command");
  CHECK(proposal.pools[0].value == "SET x=1");
}

TEST_CASE("an option file says what the next start would take") {
  const OptionFile file(
      "[client]\nuser = app\n[mysqld]\nwait-timeout = 180\nloose-max_connections = 2K\nslow-query-log\nuser = mysql\n"
      "[mysqld-9.7]\nskip-slow-query-log\n[mysqldump]\nmax_connections = 7\n");
  Problems problems;
  Store store = mysql_server();
  std::vector<std::string> notes;
  ProposalArguments arguments;
  arguments.option_files = {file.path};
  apply_variables(parse_proposal(arguments, {}, problems), no_defaults, store, notes, problems);
  CHECK(problems.text() == "");
  Query row = store.query("SELECT wait_timeout, max_connections, slow_query_log FROM global_variables");
  REQUIRE(row.next().value());
  CHECK(row.integer(0) == 180);
  CHECK(row.integer(1) == 2048);
  CHECK(row.text(2) == "OFF");
}

TEST_CASE("a persisted value wins over an option file, a misspelt variable is found") {
  const OptionFile file("[mysqld]\nwait_timeout = 180\n");
  Problems problems;
  Store store = mysql_server();
  store.insert("variables_info", {"server_id", "variable_name", "persisted_value"}).row(1, "wait_timeout", 600);
  std::vector<std::string> notes;
  ProposalArguments arguments;
  arguments.option_files = {file.path};
  apply_variables(parse_proposal(arguments, {}, problems), no_defaults, store, notes, problems);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("wait_timeout stays 600") != std::string::npos);
  Query row = store.query("SELECT wait_timeout FROM global_variables");
  REQUIRE(row.next().value());
  CHECK(row.integer(0) == 28800);

  const OptionFile misspelt("[mysqld]\nwait_timout = 180\n");
  arguments.option_files = {misspelt.path};
  static_cast<void>(parse_proposal(arguments, {}, problems));
  CHECK(problems.text().find(":2: 'wait_timout' is no variable") != std::string::npos);
}

namespace {

// Values of the MariaDB or MySQL server `version` when it is started with `text`, by variable.
struct Started {
  Store store;
  std::vector<std::string> notes;
  Problems problems;

  explicit Started(const std::string& text, const char* flavor = "mariadb", const char* version = "10.11.19") {
    store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "db", flavor, version, 1);
    store.insert("global_variables", {"server_id", "wait_timeout", "max_connections", "interactive_timeout"})
        .row(1, 28800, 151, 180);
    Insert origins = store.insert("variables_info", {"server_id", "variable_name", "variable_value", "variable_source",
                                                     "default_value", "origin_reliable"});
    const bool mariadb = std::string(flavor) == "mariadb";
    origins.row(1, "interactive_timeout", 180, mariadb ? "SQL" : "DYNAMIC", mariadb ? Value{28800} : Value{},
                mariadb ? 1 : 0);
    const OptionFile file(text);
    ProposalArguments arguments;
    arguments.option_files = {file.path};
    const auto shipped = [](const ServerVersion&) {
      return std::vector<std::pair<std::string, Value>>{{"interactive_timeout", std::int64_t{28800}}};
    };
    apply_variables(parse_proposal(arguments, {}, problems), shipped, store, notes, problems);
  }
  std::string source(const std::string& variable) {
    Query row = store.query("SELECT variable_source FROM variables_info WHERE variable_name = :name");
    row.bind("name", variable);
    return row.next().value() ? row.text(0) : "";
  }
  std::string value(const std::string& variable) {
    Query row = store.query("SELECT \"" + variable + "\" FROM global_variables");
    return row.next().value() ? row.text(0) : "";
  }
};

}  // namespace

TEST_CASE("only the groups that a server reads count for it") {
  const char* text =
      "[mysqld]\nmax_connections=300\n[mysqld-11.8]\nmax_connections=11\n[mysqld-9.7]\nwait_timeout=50\n"
      "[mariadb]\nwait_timeout=60\n";
  Started mariadb(text);
  CHECK(mariadb.value("max_connections") == "300");
  CHECK(mariadb.value("wait_timeout") == "60");
  Started mysql(text, "mysql", "9.7.4");
  CHECK(mysql.value("max_connections") == "300");
  CHECK(mysql.value("wait_timeout") == "50");
}

TEST_CASE("what an option file says, as the server understands it") {
  Started shortened("[mysqld]\nmax_conn=40\nwait_time=70\nuser=mysql\n");
  CHECK(shortened.problems.text() == "");
  CHECK(shortened.value("max_connections") == "40");
  CHECK(shortened.value("wait_timeout") == "70");
  REQUIRE(shortened.notes.size() == 3);
  CHECK(shortened.notes[0].find("db takes 'max_conn' for max_connections") != std::string::npos);

  Started refused("[mysqld]\nmax_conn=40\n", "mysql", "9.7.4");
  CHECK(refused.problems.text().find("db (MySQL 9.7.4) would not start with 'max_conn': MySQL 9.7.4 takes no") !=
        std::string::npos);

  Started capped("[mysqld]\nmaximum-wait_timeout=50\n");
  CHECK(capped.value("wait_timeout") == "28800");
  CHECK(capped.notes[0].find("limits what a session of db may SET; the global wait_timeout stays 28800") !=
        std::string::npos);
  CHECK(Started("[mysqld]\nmaximum-wait_timeout=50\n", "mysql", "9.7.4").value("wait_timeout") == "50");
  CHECK(Started("[mysqld]\nmaximum-wait_timeout=100000\n", "mysql", "9.7.4").value("wait_timeout") == "28800");

  Started moved("[mysqld]\nmax_connections=5\n");
  CHECK(moved.value("max_connections") == "10");
  CHECK(moved.notes[0].find("max_connections = 5 becomes 10 on db: the server takes 10 to 100000") !=
        std::string::npos);
}

TEST_CASE("a start loses what was only SET") {
  Started lost("[mysqld]\nmax_connections=300\n");
  CHECK(lost.value("interactive_timeout") == "28800");
  REQUIRE(lost.notes.size() == 1);
  CHECK(lost.notes[0] == "db: interactive_timeout = 180 was SET and is lost at that start, which takes 28800");
  Started said("[mysqld]\ninteractive_timeout=180\n");
  CHECK(said.value("interactive_timeout") == "180");
  CHECK(said.notes.empty());
  // VAR002 has nothing to say of either any more.
  CHECK(lost.source("interactive_timeout") == "COMPILE-TIME");
  CHECK(said.source("interactive_timeout") == "CONFIG");
  // MySQL: the trace may be a SET SESSION's, and an option file that stays may have the value.
  Started unknown("[mysqld]\nmax_connections=300\n", "mysql", "9.7.4");
  CHECK(unknown.value("interactive_timeout").empty());
  CHECK(unknown.source("interactive_timeout") == "DYNAMIC");
  CHECK(unknown.notes[0].find("is not known") != std::string::npos);
}

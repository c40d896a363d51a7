#include "app/proposal.h"

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
  apply_variables(parse_proposal(arguments, {}, problems), store, notes, problems);
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
  CHECK(wrong({"wait_timeout=soon"}).find("is a number") != std::string::npos);
  CHECK(wrong({"replica:wait_timeout=180"}).find("no server of this run is named 'replica'") != std::string::npos);
  CHECK(wrong({"idle_transaction_timeout=60"}).find("db (mysql 9.7.4) has no variable") != std::string::npos);
  CHECK(wrong({"pool.api.maximumPoolSize=10"}).find("no pool is named 'api'") != std::string::npos);
  CHECK(wrong({"pool.api=10"}).find("write pool.NAME.KEY=VALUE") != std::string::npos);
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
  apply_variables(parse_proposal(arguments, {}, problems), store, notes, problems);
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
  apply_variables(parse_proposal(arguments, {}, problems), store, notes, problems);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("wait_timeout stays 600") != std::string::npos);
  Query row = store.query("SELECT wait_timeout FROM global_variables");
  REQUIRE(row.next().value());
  CHECK(row.integer(0) == 28800);

  const OptionFile misspelt("[mysqld]\nwait_timeou = 180\n");
  arguments.option_files = {misspelt.path};
  static_cast<void>(parse_proposal(arguments, {}, problems));
  CHECK(problems.text().find(":2: 'wait_timeou' is no variable") != std::string::npos);
}

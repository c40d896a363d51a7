#include "app/expectations.h"

#include <doctest/doctest.h>

using namespace dbaudit;

namespace {

Config expecting(const std::string& variable, decltype(TomlValue::value) value) {
  Config config;
  config.file = "dbaudit.toml";
  config.expectations.push_back({"production", variable, {std::move(value), 7}});
  return config;
}

std::string problem_of(const std::string& variable, decltype(TomlValue::value) value) {
  Problems problems;
  check_expectations(expecting(variable, std::move(value)), problems);
  return problems.text();
}

struct Judged {
  Value expected, found, holds, refused;
};

// Of a server of production that shows `found`; NULL where nothing was stored.
Judged judge(const std::string& flavor, const std::string& variable, decltype(TomlValue::value) value,
             const Value& found) {
  Store store;
  store.insert("server", {"server_id", "flavor", "environment"}).row(1, flavor, "production");
  store.insert("server", {"server_id", "flavor", "environment"}).row(2, flavor, "test");
  store.insert("global_variables", {"server_id", variable}).row({Value{std::int64_t{1}}, found});
  add_expectations(expecting(variable, std::move(value)), store);
  Query rows = store.query("SELECT server_id, expected, found, holds, refused FROM expectation");
  REQUIRE(rows.next().value());
  CHECK(rows.integer(0) == 1);
  Judged judged{rows.value(1), rows.value(2), rows.value(3), rows.value(4)};
  CHECK_FALSE(rows.next().value());  // the server of another environment
  return judged;
}

Value whole(std::int64_t number) { return number; }
Value words(const std::string& text) { return text; }

}  // namespace

TEST_CASE("an expectation that no server could meet is a problem with its line") {
  CHECK(problem_of("wait_timeout", std::int64_t{600}).empty());
  CHECK(problem_of("wait_timout", std::int64_t{600})
            .find("dbaudit.toml:7: [expect.production] wait_timout: no supported "
                  "server has such a global variable; did you mean "
                  "'wait_timeout'?") != std::string::npos);
  CHECK(problem_of("wait_timeout", std::int64_t{0}).find("no server takes 0: ") != std::string::npos);
  CHECK(problem_of("wait_timeout", std::string("soon")).find("no server takes soon: ") != std::string::npos);
  CHECK(problem_of("wait_timeout", TomlArray{}).find("must be a number, true, false or text") != std::string::npos);
  CHECK(problem_of("slow_query_log", std::string("perhaps")).find("no server takes perhaps") != std::string::npos);
}

TEST_CASE("what holds is compared as the server shows it") {
  CHECK(judge("mysql", "wait_timeout", std::int64_t{600}, whole(600)).holds == whole(1));
  CHECK(judge("mysql", "wait_timeout", std::int64_t{600}, whole(599)).holds == whole(0));
  CHECK(judge("mysql", "max_allowed_packet", std::string("64M"), whole(64 << 20)).holds == whole(1));
  CHECK(judge("mariadb", "slow_query_log", true, words("ON")).holds == whole(1));
  CHECK(judge("mariadb", "slow_query_log", false, words("ON")).holds == whole(0));
  CHECK(judge("mariadb", "long_query_time", std::int64_t{2}, Value{2.0}).holds == whole(1));
  const std::string mode = "strict_trans_tables, ANSI_QUOTES";
  CHECK(judge("mysql", "sql_mode", mode, words("ANSI_QUOTES,STRICT_TRANS_TABLES")).holds == whole(1));
  CHECK(judge("mysql", "sql_mode", mode, words("ANSI_QUOTES")).holds == whole(0));
  CHECK(judge("mysql", "sql_mode", std::string(), words("")).holds == whole(1));
}

TEST_CASE("what a server does not have is not judged") {
  const Judged none = judge("mariadb", "super_read_only", true, Value{});
  CHECK(is_null(none.holds));
  CHECK(none.expected == words("ON"));
}

TEST_CASE("a change of the facts is judged anew") {
  Store store;
  store.insert("server", {"server_id", "flavor", "environment"}).row(1, "mysql", "production");
  store.insert("global_variables", {"server_id", "wait_timeout"}).row(1, 600);
  const Config config = expecting("wait_timeout", std::int64_t{600});
  add_expectations(config, store);
  store.execute("UPDATE global_variables SET wait_timeout = 180");
  add_expectations(config, store);
  Query rows = store.query("SELECT count(*), min(holds) FROM expectation");
  REQUIRE(rows.next().value());
  CHECK(rows.integer(0) == 1);
  CHECK(rows.integer(1) == 0);
}

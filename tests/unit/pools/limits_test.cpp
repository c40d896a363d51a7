#include "pools/limits.h"

#include <doctest/doctest.h>

using namespace dbaudit;

namespace {

// One server, one pool; what the table of limits says about them.
struct Case {
  Store store;

  Case(const char* flavor, const char* version, const std::vector<std::pair<std::string, Value>>& variables,
       const std::vector<std::pair<std::string, Value>>& pool) {
    store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "db", flavor, version, 1);
    insert("global_variables", {{"server_id", Value{std::int64_t{1}}}}, variables);
    insert("pool", {{"name", Value{std::string("api")}}}, pool);
    add_pool_limits(store);
  }

  void insert(const std::string& table, std::vector<std::pair<std::string, Value>> cells,
              const std::vector<std::pair<std::string, Value>>& more) {
    cells.insert(cells.end(), more.begin(), more.end());
    std::vector<std::string> columns;
    std::vector<Value> values;
    for (const auto& [column, value] : cells) {
      columns.push_back(column);
      values.push_back(value);
    }
    store.insert(table, columns).row(values);
  }

  Value limit(const std::string& column, const std::string& pool = "api") {
    Query row = store.query("SELECT \"" + column + "\" FROM pool_limits WHERE pool = :pool");
    row.bind("pool", pool);
    return row.next().value() ? row.value(0) : Value{};
  }
  double idle() { return number_of(limit("idle_limit_s")).value_or(-1); }
  double transaction() { return number_of(limit("transaction_limit_s")).value_or(-1); }
};

Value number(std::int64_t value) { return value; }

const std::vector<std::pair<std::string, Value>> kTimeouts{{"wait_timeout", number(180)},
                                                           {"interactive_timeout", number(3600)}};

}  // namespace

TEST_CASE("whose idle limit counts") {
  CHECK(Case("mysql", "9.7.4", kTimeouts, {{"interactive", number(0)}}).idle() == 180);
  CHECK(Case("mysql", "9.7.4", kTimeouts, {{"interactive", number(1)}}).idle() == 3600);
  CHECK(Case("mysql", "9.7.4", kTimeouts, {{"interactive", number(1)}, {"session_wait_timeout_s", 600.0}}).idle() ==
        600);
  // COM_RESET_CONNECTION makes both the global wait_timeout again.
  CHECK(Case("mysql", "9.7.4", kTimeouts,
             {{"interactive", number(1)}, {"session_wait_timeout_s", 600.0}, {"resets_session", number(1)}})
            .idle() == 180);
}

TEST_CASE("a proxy ends its clients by its own clock") {
  Case made("mysql", "9.7.4", kTimeouts, {{"via", std::string("edge")}, {"session_wait_timeout_s", 600.0}});
  CHECK(is_null(made.limit("idle_limit_s")));  // no such proxy was declared, so its limit is not known
  Case behind("mysql", "9.7.4", kTimeouts, {{"via", std::string("api")}, {"client_idle_timeout_s", 28800.0}});
  CHECK(behind.idle() == 28800);
  CHECK(text_of(behind.limit("idle_limit_by")) == "the proxy api");
}

TEST_CASE("Aurora takes the shorter of both timeouts") {
  Store store;
  store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "db", "mysql", "8.0.36", 1);
  store.insert("global_variables", {"server_id", "wait_timeout", "interactive_timeout"}).row(1, 28800, 600);
  store.insert("variables_info", {"server_id", "variable_name"}).row(1, "aurora_version");
  store.insert("pool", {"name", "interactive"}).row("api", 0);
  add_pool_limits(store);
  Query row = store.query("SELECT idle_limit_s FROM pool_limits");
  REQUIRE(row.next().value());
  CHECK(row.real(0) == 600);
}

TEST_CASE("MariaDB's transaction timeouts") {
  const auto with = [](std::int64_t general, std::int64_t write, std::int64_t readonly) {
    std::vector<std::pair<std::string, Value>> variables = kTimeouts;
    variables.emplace_back("idle_transaction_timeout", number(general));
    variables.emplace_back("idle_write_transaction_timeout", number(write));
    variables.emplace_back("idle_readonly_transaction_timeout", number(readonly));
    return Case("mariadb", "11.8.6", variables, {}).transaction();
  };
  CHECK(with(0, 0, 0) == 180);  // 0 is off: wait_timeout stays
  CHECK(with(60, 0, 0) == 60);
  CHECK(with(60, 90, 90) == 90);  // the special ones win over the general one
  CHECK(with(60, 90, 0) == 60);   // which still holds for read-only transactions
  CHECK(with(600, 0, 0) == 180);
}

TEST_CASE("which servers say goodbye") {
  const auto announces = [](const char* flavor, const char* version) {
    return number_of(Case(flavor, version, kTimeouts, {}).limit("announces_close")) == 1;
  };
  CHECK(announces("mysql", "8.0.24"));
  CHECK(announces("mysql", "9.7.4"));
  CHECK(!announces("mysql", "8.0.23"));
  CHECK(!announces("mysql", "5.7.44"));
  CHECK(!announces("mariadb", "11.8.6"));
}

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

TEST_CASE("what is not known of the sessions is not judged by the server's value") {
  const auto hides = [](const char* variables) {
    return std::pair<std::string, Value>{"session_unknown", std::string(variables)};
  };
  Case hidden("mysql", "9.7.4", kTimeouts, {hides("lock_wait_timeout, wait_timeout")});
  CHECK(is_null(hidden.limit("idle_limit_s")));
  CHECK(is_null(hidden.limit("transaction_limit_s")));
  CHECK(is_null(hidden.limit("lock_wait_timeout_s")));
  CHECK(text_of(hidden.limit("idle_limit_by")) == "the wait_timeout that the pool sets");
  CHECK(Case("mysql", "9.7.4", kTimeouts, {hides("wait_timeout"), {"resets_session", number(1)}}).idle() == 180);
  CHECK(is_null(Case("mysql", "9.7.4", kTimeouts, {hides("interactive")}).limit("idle_limit_s")));
  CHECK(
      Case("mysql", "9.7.4", {{"wait_timeout", number(9)}, {"interactive_timeout", number(9)}}, {hides("interactive")})
          .idle() == 9);
  CHECK(
      is_null(Case("mysql", "9.7.4", {{"autocommit", std::string("ON")}}, {hides("autocommit")}).limit("autocommit")));
}

TEST_CASE("lock timeouts and autocommit: the pool's own, init_connect's, the server's") {
  const std::vector<std::pair<std::string, Value>> server{{"lock_wait_timeout", number(86400)},
                                                          {"innodb_lock_wait_timeout", number(50)},
                                                          {"autocommit", std::string("OFF")},
                                                          {"wait_timeout", number(28800)}};
  Case plain("mariadb", "11.8.6", server, {});
  CHECK(number_of(plain.limit("lock_wait_timeout_s")) == 86400);
  CHECK(number_of(plain.limit("innodb_lock_wait_timeout_s")) == 50);
  CHECK(number_of(plain.limit("autocommit")) == 0);
  CHECK(text_of(plain.limit("autocommit_by")) == "autocommit");
  const std::vector<std::pair<std::string, Value>> own{
      {"session_lock_wait_timeout_s", 10.0}, {"session_innodb_lock_wait_timeout_s", 5.0}, {"autocommit", number(1)}};
  Case set("mariadb", "11.8.6", server, own);
  CHECK(number_of(set.limit("lock_wait_timeout_s")) == 10);
  CHECK(number_of(set.limit("innodb_lock_wait_timeout_s")) == 5);
  CHECK(number_of(set.limit("autocommit")) == 1);
  std::vector<std::pair<std::string, Value>> with_init = server;
  with_init.emplace_back("init_connect", std::string("SET wait_timeout=2, lock_wait_timeout=3"));
  CHECK(Case("mysql", "9.7.4", with_init, {}).idle() == 2);
  CHECK(text_of(Case("mysql", "9.7.4", with_init, {}).limit("idle_limit_by")) == "wait_timeout set by init_connect");
  CHECK(number_of(Case("mysql", "9.7.4", with_init, own).limit("lock_wait_timeout_s")) == 10);
  CHECK(Case("mysql", "9.7.4", with_init, {{"resets_session", number(1)}}).idle() == 28800);
}

TEST_CASE("a transaction that is left open in the pool") {
  const std::vector<std::pair<std::string, Value>> server{
      {"wait_timeout", number(180)}, {"idle_transaction_timeout", number(20)}, {"autocommit", std::string("ON")}};
  const auto idle = [&](const std::vector<std::pair<std::string, Value>>& pool) {
    return Case("mariadb", "10.11.6", server, pool).idle();
  };
  CHECK(idle({}) == 180);
  CHECK(idle({{"autocommit", number(0)}, {"rolls_back_on_return", number(0)}}) == 20);
  CHECK(idle({{"autocommit", number(0)}, {"rolls_back_on_return", number(1)}}) == 180);
  CHECK(idle({{"autocommit", number(1)}, {"rolls_back_on_return", number(0)}}) == 180);
  CHECK(idle({{"autocommit", number(0)}}) == -1);  // not known whether it rolls back
  CHECK(idle({{"session_unknown", std::string("autocommit")}, {"rolls_back_on_return", number(0)}}) == -1);
  CHECK(Case("mysql", "9.7.4", kTimeouts, {{"autocommit", number(0)}}).idle() == 180);  // has no such timeouts
}

TEST_CASE("a proxy ends its clients by its own clock") {
  Case made("mysql", "9.7.4", kTimeouts, {{"via", std::string("edge")}, {"session_wait_timeout_s", 600.0}});
  CHECK(is_null(made.limit("idle_limit_s")));  // no such proxy was declared, so its limit is not known
  const auto behind = [](std::int64_t wait_timeout, double idle, double transaction, int keep = 0) {
    Store store;
    store.insert("server", {"server_id", "name", "flavor", "version", "reachable"}).row(1, "db", "mysql", "9.7.4", 1);
    store.insert("global_variables", {"server_id", "wait_timeout", "autocommit"}).row(1, wait_timeout, "ON");
    store.insert("pool", {"name", "via"}).row("api", "edge");
    store.insert("pool", {"name", "client_idle_timeout_s", "client_transaction_timeout_s", "clients_keep_connections"})
        .row("edge", idle, transaction, keep);
    add_pool_limits(store);
    Query row = store.query(
        "SELECT idle_limit_s || ' ' || idle_limit_by || ', ' || transaction_limit_s || ' ' || transaction_limit_by "
        "FROM pool_limits WHERE pool = 'api'");
    return row.next().value() ? row.text(0) : "";
  };
  CHECK(behind(28800, 600, 20) == "600.0 the proxy edge, 20.0 the proxy edge");
  // Inside a transaction the proxy holds a connection that the server ends; outside it pings them.
  CHECK(behind(30, 600, 14400) == "600.0 the proxy edge, 30.0 wait_timeout");
  CHECK(behind(30, 600, 14400, 1) == "30.0 wait_timeout, 30.0 wait_timeout");
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

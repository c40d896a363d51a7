#include "rules/plan.h"

#include <doctest/doctest.h>

using namespace dbaudit;

namespace {

VariableStep step(const std::string& variable, std::int64_t from, std::int64_t to, Flavor flavor = Flavor::mysql,
                  Version version = {9, 7, 4}) {
  return {"db", {flavor, version}, variable, from, to, false, true};
}

}  // namespace

TEST_CASE("which limits loosen and which tighten") {
  const auto direction = [](const char* variable, std::int64_t from, std::int64_t to) {
    return direction_of(variable, Value{from}, Value{to});
  };
  CHECK(direction("wait_timeout", 28800, 180) == Direction::tightens);
  CHECK(direction("wait_timeout", 180, 28800) == Direction::loosens);
  CHECK(direction("max_connections", 151, 500) == Direction::loosens);
  CHECK(direction("max_user_connections", 0, 20) == Direction::tightens);  // 0 is no limit
  CHECK(direction("idle_transaction_timeout", 60, 0) == Direction::loosens);
  CHECK(direction("lock_wait_timeout", 86400, 60) == Direction::loosens);  // borrowers need to wait less
  CHECK(direction("innodb_lock_wait_timeout", 50, 100) == Direction::tightens);
  CHECK(direction("sort_buffer_size", 1, 2) == Direction::neutral);
  CHECK(direction_of("sql_mode", Value{std::string("A")}, Value{std::string("B")}) == Direction::neutral);
}

TEST_CASE("growing limits come before the pools, shrinking ones after them") {
  const std::vector<PlanStep> steps = ordered_steps(
      {step("wait_timeout", 28800, 180), step("max_connections", 151, 500), step("sort_buffer_size", 1, 2)},
      {{"api", "maximumPoolSize", "10", "100"}});
  REQUIRE(steps.size() == 3);
  REQUIRE(steps[0].variables.size() == 2);
  CHECK(steps[0].variables[0].variable == "max_connections");
  CHECK(steps[1].kind == StepKind::pools);
  CHECK(steps[2].variables[0].variable == "wait_timeout");
  CHECK(ordered_steps({}, {}).empty());
}

TEST_CASE("statements as each server takes them") {
  VariableStep variable = step("wait_timeout", 28800, 180);
  CHECK(variable.commands() == std::vector<std::string>{"SET PERSIST wait_timeout = 180;"});
  variable.restart = true;
  CHECK(variable.commands() == std::vector<std::string>{"SET PERSIST_ONLY wait_timeout = 180;", "RESTART;"});
  variable = step("wait_timeout", 28800, 180, Flavor::mariadb, {11, 8, 6});
  CHECK(variable.commands() == std::vector<std::string>{"SET GLOBAL wait_timeout = 180;",
                                                        "in the option file, below [mariadbd]: wait_timeout = 180"});
  variable = step("wait_timeout", 28800, 180, Flavor::mysql, {5, 7, 44});
  CHECK(variable.commands()[0] == "SET GLOBAL wait_timeout = 180;");
  variable.to = std::string("it's");
  CHECK(variable.commands()[0] == "SET GLOBAL wait_timeout = 'it''s';");
}

TEST_CASE("who keeps the old value, and until when") {
  Store store;
  store.insert("server", {"server_id", "name", "reachable"}).row(1, "db", 1);
  store.insert("fact_source", {"server_id", "source", "status"}).row(1, "sessions", "read");
  Insert sessions = store.insert("sessions", {"server_id", "processlist_id", "kind"});
  sessions.row(1, 7, "client");
  sessions.row(1, 8, "daemon");
  Insert pools = store.insert("pool", {"name", "max_lifetime_s", "resets_session", "keeps_connections"});
  pools.row("a half an hour", 1800.0, 0, 1);
  pools.row("b for ever", kUnlimited, 0, 1);
  pools.row("c resets", kUnlimited, 1, 1);
  pools.row("d each request", 0.0, 0, 0);
  pools.row("e not known", nullptr, 0, 1);
  const std::vector<OldSessions> old = old_sessions(store, ordered_steps({step("wait_timeout", 28800, 180)}, {}));
  REQUIRE(old.size() == 6);
  CHECK(old[0].gone_after_s == 1800);
  CHECK(old[1].gone_after_s == kUnlimited);
  CHECK(old[2].gone_after_s == 0);
  CHECK(old[3].gone_after_s == 0);
  CHECK(!old[4].gone_after_s);
  CHECK(old[5].pool.empty());
  CHECK(old[5].seen == 1);
}

TEST_CASE("a pool that is rolled out afterwards has no old sessions left") {
  Store store;
  store.insert("server", {"server_id", "name", "reachable"}).row(1, "db", 1);
  store.insert("pool", {"name", "max_lifetime_s"}).row("api", kUnlimited);
  const std::vector<OldSessions> old =
      old_sessions(store, ordered_steps({step("wait_timeout", 180, 28800)}, {{"api", "maxLifetime", "0", "1800000"}}));
  REQUIRE(old.size() == 2);
  CHECK(!old[0].gone_after_s);
  CHECK(old[0].reason.find("restarted in the step") != std::string::npos);
  CHECK(!old[1].seen);  // nobody asked for the sessions
}

#include "rules/plan.h"

#include <doctest/doctest.h>

using namespace dbaudit;

namespace {

VariableStep step(const std::string& variable, std::int64_t from, std::int64_t to, Flavor flavor = Flavor::mysql,
                  Version version = {9, 7, 4}) {
  return {"db", {flavor, version}, variable, from, to, false, true, false};
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
  CHECK(direction_of("read_only", Value{std::string("OFF")}, Value{std::string("ON")}) == Direction::tightens);
  CHECK(direction_of("require_secure_transport", Value{std::string("ON")}, Value{std::string("OFF")}) ==
        Direction::loosens);
  CHECK(direction_of("autocommit", Value{std::string("ON")}, Value{std::string("OFF")}) == Direction::neutral);
  CHECK(direction_of("sql_mode", Value{std::string("A")}, Value{std::string("B")}) == Direction::neutral);
}

TEST_CASE("growing limits come before the pools, shrinking ones after them") {
  const std::vector<PlanStep> steps = ordered_steps(
      {step("wait_timeout", 28800, 180), step("max_connections", 151, 500), step("sort_buffer_size", 1, 2)},
      {{"api", "maximumPoolSize", "10", "100"}});
  REQUIRE(steps.size() == 3);
  REQUIRE(steps[0].variables.size() == 2);
  CHECK(steps[0].variables[0].variable == "max_connections");
  CHECK(steps[0].why.find("whether clients depend on sort_buffer_size is not known") != std::string::npos);
  CHECK(steps[1].kind == StepKind::pools);
  CHECK(steps[2].variables[0].variable == "wait_timeout");
  CHECK(ordered_steps({}, {}).empty());
}

TEST_CASE("pools that give connections back come before those that take them") {
  const auto pools_of = [](const PlanStep& step) {
    std::string names;
    for (const SettingStep& setting : step.settings) names += setting.pool;
    return names;
  };
  const SettingStep grows{"a", "size", "", "", 20};
  const SettingStep same{"b", "lifetime", "", "", 0};
  const SettingStep shrinks{"c", "size", "", "", -60};
  const std::vector<PlanStep> steps = ordered_steps({step("max_connections", 200, 151)}, {grows, same, shrinks});
  REQUIRE(steps.size() == 3);
  CHECK(pools_of(steps[0]) == "bc");
  CHECK(pools_of(steps[1]) == "a");
  CHECK(steps[2].kind == StepKind::server);
  CHECK(ordered_steps({}, {grows, same}).size() == 1);
  CHECK(ordered_steps({}, {same, shrinks}).size() == 1);
}

TEST_CASE("how many more connections a pool may open: every process of every instance while it is deployed") {
  const std::vector<std::string> columns{
      "name", "server_name", "instances", "surge_instances", "processes_per_instance", "max_connections_per_process"};
  Store before;
  Insert old_pools = before.insert("pool", columns);
  old_pools.row("instances", nullptr, 2, 1, 1, 10.0);
  old_pools.row("moved", "db1", 2, 0, 1, 10.0);
  old_pools.row("not known", nullptr, 2, 0, 1, nullptr);
  old_pools.row("same", nullptr, 2, 0, 1, 10.0);
  old_pools.row("unlimited", nullptr, 2, 0, 1, kUnlimited);
  Store after;
  Insert new_pools = after.insert("pool", columns);
  new_pools.row("instances", nullptr, 4, 1, 1, 10.0);
  new_pools.row("moved", "db2", 2, 0, 1, 10.0);
  new_pools.row("not known", nullptr, 2, 0, 1, nullptr);
  new_pools.row("same", nullptr, 2, 0, 1, 10.0);
  new_pools.row("unlimited", nullptr, 2, 0, 1, 20.0);
  const std::map<std::string, double> more = more_connections(before, after);
  CHECK(more == std::map<std::string, double>{
                    {"instances", 20}, {"moved", kUnlimited}, {"not known", kUnlimited}, {"unlimited", -kUnlimited}});
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
  Insert pools =
      store.insert("pool", {"name", "max_lifetime_s", "resets_session", "keeps_connections", "longest_silence_s"});
  pools.row("a half an hour", 1800.0, 0, 1, 1800.0);
  pools.row("b for ever", kUnlimited, 0, 1, 30.0);
  pools.row("c resets", kUnlimited, 1, 1, kUnlimited);
  pools.row("d each request", 0.0, 0, 0, 0.0);
  pools.row("e not known", nullptr, 0, 1, kUnlimited);
  const std::vector<OldSessions> old =
      old_sessions(store, store, ordered_steps({step("wait_timeout", 28800, 180)}, {}));
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
  const std::vector<OldSessions> old = old_sessions(
      store, store, ordered_steps({step("wait_timeout", 180, 28800)}, {{"api", "maxLifetime", "0", "1800000"}}));
  REQUIRE(old.size() == 2);
  CHECK(!old[0].gone_after_s);
  CHECK(old[0].reason.find("restarted in the step") != std::string::npos);
  CHECK(!old[1].seen);  // nobody asked for the sessions
}

TEST_CASE("a lifetime that is looked at only on borrow does not end what lies idle") {
  Store before;
  before.insert("server", {"server_id", "name", "reachable"}).row(1, "db", 1);
  Insert limits = before.insert("pool_limits", {"pool", "server_id", "idle_limit_s", "idle_limit_by"});
  Store after;
  Insert pools =
      after.insert("pool", {"name", "max_lifetime_s", "longest_silence_s", "resets_session", "keeps_connections"});
  const auto add = [&](const char* pool, double silence_s, const Value& idle_limit_s) {
    pools.row(pool, 600.0, silence_s, 0, 1);
    limits.row(pool, 1, idle_limit_s, "wait_timeout");
  };
  add("a on borrow", kUnlimited, 28800.0);
  add("b swept", 600.0, 28800.0);
  add("c closed when idle", 90.0, 28800.0);
  add("d the server is sooner", 7200.0, 1800.0);
  add("e limit not known", kUnlimited, Value{});
  const std::vector<OldSessions> old =
      old_sessions(before, after, ordered_steps({step("wait_timeout", 28800, 700)}, {}));
  REQUIRE(old.size() == 6);
  // Used once more just before it is too old, and then left alone.
  CHECK(old[0].gone_after_s == 600 + 28800);
  CHECK(old[0].reason.find("only when it is borrowed or given back") != std::string::npos);
  CHECK(old[1].gone_after_s == 600);
  CHECK(old[2].gone_after_s == 690);
  CHECK(old[3].gone_after_s == 2400);
  CHECK(!old[4].gone_after_s);
}

TEST_CASE("only sessions that have the variable from the server keep its old value") {
  Store store;
  store.insert("server", {"server_id", "name", "reachable"}).row(1, "db", 1);
  Insert pools = store.insert("pool", {"name", "max_lifetime_s", "longest_silence_s", "via"});
  Insert limits = store.insert("pool_limits", {"pool", "server_id", "idle_limit_s", "idle_limit_by"});
  pools.row("behind", 600.0, 600.0, "edge");
  limits.row("behind", 1, 60.0, "the proxy edge");
  pools.row("edge", 600.0, 600.0, nullptr);
  limits.row("edge", 1, 28800.0, "wait_timeout");
  pools.row("people", 600.0, 600.0, nullptr);
  limits.row("people", 1, 28800.0, "interactive_timeout");
  pools.row("shorter", 600.0, 600.0, nullptr);
  limits.row("shorter", 1, 28800.0, "interactive_timeout (Aurora takes the shorter one)");
  const auto listed = [&](const char* variable) {
    std::string names;
    for (const OldSessions& old : old_sessions(store, store, ordered_steps({step(variable, 28800, 120)}, {})))
      names += old.pool + ",";
    return names;
  };
  CHECK(listed("wait_timeout") == "edge,,");
  CHECK(listed("interactive_timeout") == "people,shorter,,");
  CHECK(listed("sort_buffer_size") == "edge,people,shorter,,");
}

TEST_CASE("another size of the machine is a step, and what follows it has no statement") {
  Store before;
  before.insert("server", {"server_id", "name", "memory_bytes"}).row(1, "db", std::int64_t{8} << 30);
  Store after;
  after.insert("server", {"server_id", "name", "memory_bytes"}).row(1, "db", std::int64_t{2} << 30);
  const std::vector<ResizeStep> resizes = changed_sizes(before, after);
  REQUIRE(resizes.size() == 1);
  VariableStep follows = step("max_connections", 682, 170);
  follows.by_resize = true;
  CHECK(follows.commands().empty());
  const std::vector<PlanStep> smaller = ordered_steps({follows}, {{"api", "size", "", "", -10}}, resizes);
  REQUIRE(smaller.size() == 2);
  CHECK(smaller[1].resizes.size() == 1);
  const std::vector<PlanStep> larger = ordered_steps({}, {{"api", "size", "", "", 10}}, changed_sizes(after, before));
  REQUIRE(larger.size() == 2);
  CHECK(larger[0].resizes[0].to == std::int64_t{8} << 30);
}

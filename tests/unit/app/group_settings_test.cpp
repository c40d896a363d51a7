#include "app/group_settings.h"

#include <doctest/doctest.h>

#include <map>

using namespace dbaudit;

namespace {

struct Member {
  std::string name;
  std::optional<std::int64_t> wait_timeout = {};  // nothing: it was not read
  std::string flavor = "mysql";
  std::optional<std::string> role = {};
};

Store store_of(const std::vector<Member>& members) {
  Store store;
  std::int64_t id = 0;
  for (const Member& member : members) {
    store.insert("server", {"server_id", "name", "flavor", "group_name", "role"})
        .row(++id, member.name, member.wait_timeout ? std::optional(member.flavor) : std::nullopt, "shop", member.role);
    if (member.wait_timeout)
      store.insert("global_variables", {"server_id", "wait_timeout"}).row(id, *member.wait_timeout);
  }
  return store;
}

Config declaring(const std::vector<std::string>& names) {
  Config config;
  for (const std::string& name : names) {
    ServerConfig& server = config.servers.emplace_back();
    server.name = name;
    server.group = "shop";
  }
  return config;
}

struct Told {
  std::string usual, told, unread_names;
  std::int64_t usual_servers = 0, next_servers = 0, all_servers = 0, unread = 0, left_out = 0;
};

std::map<std::string, Told> told_of(Store store, const Config& config = {}) {
  add_group_settings(config, store);
  add_group_settings(config, store);  // what was there before is gone
  std::map<std::string, Told> found;
  Query rows = store.query("SELECT * FROM group_setting WHERE variable = 'wait_timeout'");
  while (rows.next().value()) {
    const std::string key = rows.text(2) + rows.optional_text(1).value_or("");
    CHECK_FALSE(found.contains(key));
    found[key] = {rows.text(4),     rows.text(8),     rows.text(10),    *rows.integer(5),
                  *rows.integer(6), *rows.integer(7), *rows.integer(9), *rows.integer(11)};
  }
  return found;
}

}  // namespace

TEST_CASE("the value that most servers of a group have is the usual one") {
  const Told two = told_of(store_of({{"c", 60}, {"b", 28800}, {"a", 60}})).at("mysql");
  CHECK(two.usual == "60");
  CHECK(two.told == "60 on a, c; 28800 on b");
  CHECK(two.usual_servers == 2);
  CHECK(two.next_servers == 1);
  CHECK(two.all_servers == 3);

  const Told tie = told_of(store_of({{"a", 60}, {"b", 28800}, {"c", 60}, {"d", 28800}})).at("mysql");
  CHECK(tie.usual.empty());
  CHECK(tie.next_servers == 2);

  const Told alone = told_of(store_of({{"a", 60}})).at("mysql");
  CHECK(alone.usual == "60");
  CHECK(alone.all_servers == 1);
}

TEST_CASE("other products and roles are other groups") {
  const auto found = told_of(store_of({{"a", 60}, {"b", 61, "mariadb"}, {"c", 62, "mysql", "primary"}}));
  CHECK(found.size() == 3);
  CHECK(found.at("mysql").told == "60 on a");
  CHECK(found.at("mariadb").told == "61 on b");
  CHECK(found.at("mysqlprimary").told == "62 on c");
}

TEST_CASE("members that were not read, and those that are not part of the run, are counted") {
  const Told some =
      told_of(store_of({{"a", 60}, {"b", {}}, {"c", {}}}), declaring({"a", "b", "x", "y", "z"})).at("mysql");
  CHECK(some.unread == 2);
  CHECK(some.unread_names == "b, c");
  CHECK(some.left_out == 3);
}

TEST_CASE("a group of many is told in a few words") {
  std::vector<Member> members;
  for (int i = 0; i < 40; ++i) members.push_back({"s" + std::to_string(10 + i), 100 + i / 4});
  const std::string told = told_of(store_of(members)).at("mysql").told;
  CHECK(told ==
        "100 on s10, s11, s12 and 1 more; 101 on s14, s15, s16 and 1 more; 102 on s18, s19, s20 and 1 more; "
        "103 on s22, s23, s24 and 1 more; 6 other values");
}

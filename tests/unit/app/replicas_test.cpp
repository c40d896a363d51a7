#include "app/replicas.h"

#include <doctest/doctest.h>

using namespace dbaudit;

namespace {

struct Replica {
  Value host;
  Value port;
  const char* seen_in;
};

// What is found from a server that listens at 3307: "name" of what has registered, "name?" of mere sessions.
std::vector<std::string> found(const ConnectionOptions& primary, const std::vector<Replica>& replicas,
                               std::vector<std::string>* said = nullptr) {
  Store store;
  store.insert("server", {"server_id", "name", "reachable", "port"}).row(1, "shop", 1, 3307);
  for (const Replica& replica : replicas)
    store.insert("replicas", {"server_id", "host", "port", "seen_in"})
        .row(1, replica.host, replica.port, replica.seen_in);
  CollectRequest request;
  request.connection = primary;
  request.declared.group = "all";
  std::vector<std::string> names;
  std::vector<std::string> notes;
  for (const FoundServer& one : find_replicas(store, request, notes)) {
    const ConnectionOptions& to = one.request.connection;
    CHECK(to.socket.empty());
    CHECK(to.user == primary.user);
    CHECK(one.request.declared.name == to.name);
    CHECK(one.request.declared.group == "all");
    CHECK(one.request.declared.replica_of == "shop");
    names.push_back(to.name + (one.as == FoundAs::registered ? "" : "?"));
  }
  if (said != nullptr) *said = notes;
  return names;
}

ConnectionOptions at(const std::string& host, const std::string& socket) {
  ConnectionOptions options;
  options.name = "shop";
  options.host = host;
  if (socket.empty()) options.port = 3307;
  options.socket = socket;
  options.user = "aud";
  return options;
}

using Names = std::vector<std::string>;

Value text(const char* text) { return std::string(text); }
Value number(std::int64_t number) { return number; }

}  // namespace

TEST_CASE("replicas are where they have registered, else where their sessions come from") {
  const ConnectionOptions tcp = at("db1", "");
  CHECK(found(tcp, {}) == Names{});
  CHECK(found(tcp, {{text("db2"), number(3306), "registered"}, {text("10.0.0.2"), {}, "sessions"}}) ==
        Names{"db2:3306"});
  CHECK(found(tcp, {{{}, number(3308), "registered"}, {text("10.0.0.2"), {}, "sessions"}}) == Names{"10.0.0.2:3308?"});
  CHECK(found(tcp, {{text("10.0.0.2"), {}, "sessions"}, {text("10.0.0.2"), {}, "sessions"}}) ==
        Names{"10.0.0.2:3307?"});
  // One more session than there are names.
  CHECK(found(tcp, {{text("db2"), number(3306), "registered"},
                    {text("10.0.0.2"), {}, "sessions"},
                    {text("DB2"), {}, "sessions"}}) == Names{"db2:3306", "10.0.0.2:3307?"});
}

TEST_CASE("a reader of the binary log that registers without a port has none") {
  const ConnectionOptions tcp = at("db1", "");
  CHECK(found(tcp, {{{}, number(0), "registered"}, {text("10.0.0.2"), {}, "sessions"}}) == Names{"10.0.0.2:3307?"});
  CHECK(found(tcp, {{text("cdc"), number(0), "registered"}, {text("10.0.0.2"), {}, "sessions"}}) ==
        Names{"cdc:3307?", "10.0.0.2:3307?"});
}

TEST_CASE("who reads the binary log on the server's own machine is not the server itself") {
  const ConnectionOptions tcp = at("db1", "");
  const ConnectionOptions socket = at("", "/run/mysqld/mysqld.sock");
  for (const char* host : {"localhost", "127.0.0.1", "::1"}) {
    CAPTURE(host);
    CHECK(found(tcp, {{text(host), {}, "sessions"}}) == Names{});
    CHECK(found(socket, {{text(host), {}, "sessions"}}) == Names{});
    CHECK(found(tcp, {{text(host), number(0), "registered"}, {text(host), {}, "sessions"}}) == Names{});
  }
  std::vector<std::string> said;
  CHECK(found(tcp, {{text("DB1"), {}, "sessions"}}, &said) == Names{});
  CHECK(said ==
        std::vector<std::string>{"shop sends its binary log to a reader on DB1, its own machine; a replica there "
                                 "would have to say where it listens (report_host)"});
  // Another port of that machine, as it is called from here.
  CHECK(found(tcp, {{{}, number(3308), "registered"}, {text("127.0.0.1"), {}, "sessions"}}) == Names{"db1:3308?"});
  CHECK(found(socket, {{{}, number(3308), "registered"}, {text("127.0.0.1"), {}, "sessions"}}) ==
        Names{"127.0.0.1:3308?"});
}

#include "app/replicas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>

#include "base/text.h"

namespace dbaudit {
namespace {

struct Seen {
  std::optional<std::string> host;
  std::optional<int> port;
  bool registered = false;
  std::int64_t times = 0;
};

std::vector<Seen> seen_replicas(Store& store) {
  std::vector<Seen> seen;
  // Port 0 is that of a reader that listens nowhere; MariaDB shows the host of its session then.
  Query rows = store.query(
      "SELECT host, nullif(port, 0), seen_in, count(*) FROM replicas GROUP BY 1, 2, 3 ORDER BY seen_in, host, port");
  while (rows.next().value()) {
    const std::optional<std::int64_t> port = rows.integer(1);
    seen.push_back({rows.optional_text(0), port ? std::optional(static_cast<int>(*port)) : std::nullopt,
                    rows.text(2) == "registered", rows.integer(3).value_or(0)});
  }
  return seen;
}

// A socket's server has one, too.
int port_of(Store& store, const CollectRequest& request) {
  Query row = store.query("SELECT port FROM server WHERE port > 0");
  return row.next().value() ? static_cast<int>(row.integer(0).value_or(0)) : request.connection.port;
}

CollectRequest request_for(const std::string& host, int port, const CollectRequest& primary) {
  CollectRequest request = primary;
  ConnectionOptions& to = request.connection;
  to.host = host;
  to.port = port;
  to.socket.clear();
  to.spare_port.reset();
  to.name = address_of(host, port);
  request.declared = {.name = to.name,
                      .role = "replica",
                      .replica_of = primary.connection.name,
                      .group = primary.declared.group,
                      .environment = primary.declared.environment,
                      .memory_bytes = {}};
  request.kept.reset();
  return request;
}

// From where the server sees its session.
CollectRequest request_for_session(const std::string& host, int port, const CollectRequest& primary) {
  CollectRequest request = request_for(host, port, primary);
  const bool on_its_machine = is_loopback(request.connection) && primary.connection.socket.empty();
  return on_its_machine ? request_for(primary.connection.host, port, primary) : request;
}

void note_what_is_not_known(Store& store, const CollectRequest& primary, std::vector<std::string>& notes) {
  Query unread = store.query(
      "SELECT reason FROM fact_source WHERE source = 'replication' AND status = 'unavailable' AND "
      "EXISTS (SELECT 1 FROM server WHERE reachable)");
  if (unread.next().value())
    notes.push_back(fmt::format("{}: replication could not be read, so replicas of it may be missing: {}",
                                primary.connection.name, unread.text(0)));
}

bool are_on_one_machine(const ConnectionOptions& a, const ConnectionOptions& b) {
  return (is_loopback(a) && is_loopback(b)) || (!a.host.empty() && to_lower(a.host) == to_lower(b.host));
}

}  // namespace

std::vector<FoundServer> find_replicas(Store& store, const CollectRequest& primary, std::vector<std::string>& notes) {
  note_what_is_not_known(store, primary, notes);
  const std::vector<Seen> seen = seen_replicas(store);
  const int own_port = port_of(store, primary);
  std::vector<FoundServer> found;
  int port_of_nameless = own_port;
  std::int64_t sessions = 0;
  std::int64_t nameless = 0;
  for (const Seen& one : seen) {
    if (!one.registered) {
      sessions += one.times;
    } else if (one.host && one.port) {
      found.push_back({request_for(*one.host, *one.port, primary), FoundAs::registered});
    } else {
      nameless += one.times;
      if (one.port) port_of_nameless = *one.port;
    }
  }
  if (const std::int64_t registered = static_cast<std::int64_t>(found.size()) + nameless;
      nameless > 0 && sessions < registered)
    notes.push_back(
        fmt::format("{}: {} replicas have registered, {} of them without a report_host, and {} of their sessions are "
                    "seen, so replicas of it may be missing; the account needs PROCESS",
                    primary.connection.name, registered, nameless, sessions));
  // Every replica has a session of its own; those whose names are known are not looked for a second time.
  if (sessions <= static_cast<std::int64_t>(found.size())) return found;
  std::set<std::string> hosts;
  for (const Seen& one : seen) {
    if (!one.host || one.port || !hosts.insert(to_lower(*one.host)).second) continue;
    const bool named = std::any_of(found.begin(), found.end(), [&](const FoundServer& other) {
      return to_lower(other.request.connection.host) == to_lower(*one.host);
    });
    if (named) continue;
    CollectRequest request = request_for_session(*one.host, port_of_nameless, primary);
    if (port_of_nameless == own_port && are_on_one_machine(request.connection, primary.connection)) {
      notes.push_back(
          fmt::format("{} sends its binary log to a reader on {}, its own machine; a replica there would have to say "
                      "where it listens (report_host)",
                      primary.connection.name, *one.host));
    } else {
      found.push_back({std::move(request), FoundAs::session});
    }
  }
  return found;
}

std::string identity_of(Store& store) {
  Query row = store.query(
      "SELECT coalesce((SELECT server_uuid FROM global_variables), hostname || ':' || port || ' ' || (SELECT "
      "variable_value FROM variables_info WHERE variable_name = 'server_id')) FROM server WHERE reachable");
  return row.next().value() ? row.text(0) : "";
}

}  // namespace dbaudit

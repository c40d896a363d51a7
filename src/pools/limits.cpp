#include "pools/limits.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/version.h"

namespace dbaudit {
namespace {

constexpr const char* kServers = R"sql(
SELECT s.server_id, s.name, s.flavor, s.version, g.wait_timeout, g.interactive_timeout, g.idle_transaction_timeout,
       g.idle_write_transaction_timeout, g.idle_readonly_transaction_timeout,
       EXISTS (SELECT 1 FROM variables_info v WHERE v.server_id = s.server_id AND v.variable_name = 'aurora_version')
FROM server s JOIN global_variables g ON g.server_id = s.server_id
ORDER BY s.server_id
)sql";

constexpr const char* kPools = R"sql(
SELECT p.name, p.server_name, p.session_wait_timeout_s, p.interactive, p.resets_session, p.via, v.client_idle_timeout_s
FROM pool p LEFT JOIN pool v ON v.name = p.via
ORDER BY p.name
)sql";

struct Limit {
  std::optional<double> seconds;
  std::string by;
};

struct ServerLimits {
  std::int64_t server_id = 0;
  std::string name;
  std::optional<double> wait_timeout;
  std::optional<double> interactive_timeout;
  Limit transaction;  // MariaDB's idle_*transaction_timeout; unlimited without
  bool announces_close = false;
  bool aurora = false;
};

// idle_transaction_timeout holds for transactions to which none of the two special ones applies; 0 is off (MariaDB
// Knowledge Base, "Transaction Timeouts"). What a transaction will do is not known, so the shortest counts.
Limit transaction_limit(const Query& row) {
  const auto above_zero = [&row](std::size_t column) {
    const std::optional<double> value = row.real(column);
    return value.value_or(0) > 0 ? value : std::nullopt;
  };
  const std::optional<double> general = above_zero(6);
  Limit shortest{kUnlimited, ""};
  for (const auto& [column, name] : {std::pair<std::size_t, const char*>{7, "idle_write_transaction_timeout"},
                                     std::pair<std::size_t, const char*>{8, "idle_readonly_transaction_timeout"}}) {
    const std::optional<double> own = above_zero(column);
    const std::optional<double> effective = own ? own : general;
    if (effective && *effective < *shortest.seconds) shortest = {effective, own ? name : "idle_transaction_timeout"};
  }
  return shortest;
}

std::vector<ServerLimits> read_servers(Store& store) {
  std::vector<ServerLimits> servers;
  Query row = store.query(kServers);
  while (row.next().value()) {
    ServerLimits server;
    server.server_id = row.integer(0).value_or(0);
    server.name = row.text(1);
    server.wait_timeout = row.real(4);
    server.interactive_timeout = row.real(5);
    server.transaction = transaction_limit(row);
    // MySQL 8.0.24 release notes: the server writes the reason (ER_CLIENT_INTERACTION_TIMEOUT) before it closes.
    const std::optional<Version> version = parse_version(row.text(3));
    server.announces_close = row.text(2) == "mysql" && version && *version >= Version{8, 0, 24};
    server.aurora = row.integer(9).value_or(0) != 0;
    servers.push_back(std::move(server));
  }
  return servers;
}

// In the order in which they win: a proxy ends its clients by its own clock, whatever the server says and whatever they
// SET; COM_RESET_CONNECTION makes wait_timeout the global value again, of interactive clients too (measured).
Limit idle_limit(const Query& pool, const ServerLimits& server) {
  if (const std::optional<std::string> via = pool.optional_text(5)) return {pool.real(6), "the proxy " + *via};
  const bool resets = pool.integer(4).value_or(0) != 0;
  if (const std::optional<double> own = pool.real(2); own && !resets) return {own, "wait_timeout set by the pool"};
  // Aurora MySQL ends a session at the shorter of both, whoever opened it (AWS, Aurora MySQL reference, parameters).
  if (server.aurora && server.wait_timeout && server.interactive_timeout &&
      *server.interactive_timeout < *server.wait_timeout) {
    return {server.interactive_timeout, "interactive_timeout (Aurora takes the shorter one)"};
  }
  if (pool.integer(3).value_or(0) != 0 && !resets && !server.aurora) {
    return {server.interactive_timeout, "interactive_timeout"};
  }
  return {server.wait_timeout, "wait_timeout"};
}

}  // namespace

void add_pool_limits(Store& store) {
  const std::vector<ServerLimits> servers = read_servers(store);
  store.begin();
  {
    Query pool = store.query(kPools);
    std::vector<std::vector<Value>> rows;
    while (pool.next().value()) {
      const std::optional<std::string> server_name = pool.optional_text(1);
      for (const ServerLimits& server : servers) {
        if (server_name && *server_name != server.name) continue;
        const Limit idle = idle_limit(pool, server);
        Limit transaction = idle;
        if (idle.seconds && *server.transaction.seconds < *idle.seconds) transaction = server.transaction;
        const auto number = [](const std::optional<double>& value) { return value ? Value{*value} : Value{}; };
        rows.push_back({pool.text(0), server.server_id, number(idle.seconds), idle.by, number(transaction.seconds),
                        transaction.by, std::int64_t{server.announces_close ? 1 : 0}});
      }
    }
    Insert insert = store.insert("pool_limits");
    for (const std::vector<Value>& row : rows) insert.row(row);
  }
  store.commit();
}

}  // namespace dbaudit

#include "pools/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "base/version.h"
#include "pools/session_overrides.h"

namespace dbaudit {
namespace {

constexpr const char* kLimits = R"sql(
SELECT s.server_id, s.name, s.flavor, s.version,
       EXISTS (SELECT 1 FROM variables_info v WHERE v.server_id = s.server_id AND v.variable_name = 'aurora_version'),
       g.init_connect, g.autocommit, g.interactive_timeout, g.wait_timeout, g.lock_wait_timeout,
       g.innodb_lock_wait_timeout, g.idle_transaction_timeout, g.idle_write_transaction_timeout,
       g.idle_readonly_transaction_timeout
FROM server s JOIN global_variables g ON g.server_id = s.server_id
ORDER BY s.server_id
)sql";

constexpr const char* kPools = R"sql(
SELECT name, server_name, via, resets_session, rolls_back_on_return, client_idle_timeout_s,
       client_transaction_timeout_s, clients_keep_connections, session_unknown, interactive, autocommit, session_wait_timeout_s,
       session_lock_wait_timeout_s, session_innodb_lock_wait_timeout_s, session_idle_transaction_timeout_s,
       session_idle_write_transaction_timeout_s, session_idle_readonly_transaction_timeout_s
FROM pool
ORDER BY name
)sql";

// A value and what sets it, or why it is not known.
struct Limit {
  std::optional<double> seconds;
  std::string by;
};

Limit shorter(const Limit& a, const Limit& b) {
  // What may be shorter, and nobody knows whether it is, makes the whole unknown.
  if (!a.seconds) return a;
  if (!b.seconds) return b;
  return *b.seconds < *a.seconds ? b : a;
}

struct Server {
  std::int64_t id = 0;
  std::string name;
  bool mariadb = false;
  bool announces_close = false;
  bool aurora = false;
  std::map<std::string, std::optional<double>, std::less<>> globals;
  SessionOverrides init_connect;
};

struct Sessions {
  std::string pool;
  std::optional<std::string> server_name;
  std::optional<std::string> via;
  bool resets = false;
  std::optional<bool> rolls_back_on_return;
  std::optional<double> client_idle_timeout;         // of a proxy
  std::optional<double> client_transaction_timeout;  // of a proxy
  bool clients_keep_connections = false;             // of a proxy
  SessionOverrides own;
};

std::vector<Server> read_servers(Store& store) {
  std::vector<Server> servers;
  Query row = store.query(kLimits);
  while (row.next().value()) {
    Server server;
    server.id = row.integer(0).value_or(0);
    server.name = row.text(1);
    server.mariadb = row.text(2) == "mariadb";
    // MySQL 8.0.24 release notes: the server writes the reason (ER_CLIENT_INTERACTION_TIMEOUT) before it closes.
    const std::optional<Version> version = parse_version(row.text(3));
    server.announces_close = row.text(2) == "mysql" && version && *version >= Version{8, 0, 24};
    server.aurora = row.integer(4).value_or(0) != 0;
    // Accounts with SUPER or CONNECTION_ADMIN are spared; an application should not have them.
    server.init_connect = overrides_in_sql(row.text(5));
    for (const auto& [name, value] : override_of("autocommit", row.text(6))) {
      if (value.kind == SessionOverride::Kind::value) server.globals[name] = value.value;
    }
    for (std::size_t column = 7; column < row.columns().size(); ++column)
      server.globals[row.columns()[column]] = row.real(column);
    servers.push_back(std::move(server));
  }
  return servers;
}

std::map<std::string, Sessions> read_pools(Store& store) {
  std::map<std::string, Sessions> pools;
  Query row = store.query(kPools);
  while (row.next().value()) {
    Sessions pool;
    pool.pool = row.text(0);
    pool.server_name = row.optional_text(1);
    pool.via = row.optional_text(2);
    pool.resets = row.integer(3).value_or(0) != 0;
    if (const std::optional<std::int64_t> flag = row.integer(4)) pool.rolls_back_on_return = *flag != 0;
    pool.client_idle_timeout = row.real(5);
    pool.client_transaction_timeout = row.real(6);
    pool.clients_keep_connections = row.integer(7).value_or(0) != 0;
    for (const std::string& name : split(row.text(8), ',')) {
      if (!name.empty()) pool.own[std::string(trimmed(name))] = {};
    }
    const std::string prefix = "session_";
    for (std::size_t column = 9; column < row.columns().size(); ++column) {
      std::string name = row.columns()[column];
      if (name.starts_with(prefix)) name = name.substr(prefix.size(), name.size() - prefix.size() - 2);  // "_s"
      if (const std::optional<double> value = row.real(column)) pool.own[name] = {SessionOverride::Kind::value, *value};
    }
    pools.emplace(pool.pool, std::move(pool));
  }
  return pools;
}

// One pool's sessions on one server.
class Resolver {
 public:
  Resolver(const Sessions& pool, const Server& server, const std::map<std::string, Sessions>& pools)
      : pool_(pool), server_(server), pools_(pools) {}

  // In the order in which they win. COM_RESET_CONNECTION makes it the global value again, and init_connect does not run
  // another time.
  Limit variable(const std::string& name) const {
    if (!pool_.resets) {
      if (const std::optional<Limit> own = from(pool_.own, name, "the pool")) return *own;
      if (const std::optional<Limit> own = from(server_.init_connect, name, "init_connect")) return *own;
    }
    return global(name);
  }

  // Inside a transaction: wait_timeout, or MariaDB's timeouts, which end it sooner.
  Limit transaction() const {
    if (pool_.via) return through_proxy(&Sessions::client_transaction_timeout, true);
    return shorter(session_idle(), transaction_timeout());
  }

  // While it lies in the pool. A pool that takes connections back with a transaction open leaves them to the timeouts
  // of transactions.
  Limit idle() const {
    Limit idle = pool_.via ? through_proxy(&Sessions::client_idle_timeout, false) : session_idle();
    const Limit open = transaction();
    const Limit mode = autocommit();
    if (mode.seconds == 1 || pool_.rolls_back_on_return == true) return idle;
    if (!idle.seconds || (open.seconds && *open.seconds >= *idle.seconds)) return idle;
    if (!mode.seconds) return {std::nullopt, mode.by};
    if (!pool_.rolls_back_on_return)
      return {std::nullopt, "whether a transaction is still open in the pool, for which " + open.by + " counts"};
    return {open.seconds, open.by + ", for the transaction that is left open"};
  }

  // Of the application's transactions and the server's setting: COM_RESET_CONNECTION was thought of by derive_pool().
  Limit autocommit() const {
    if (const std::optional<Limit> own = from(pool_.own, "autocommit", "the pool")) return *own;
    return variable("autocommit");
  }

 private:
  static std::optional<Limit> from(const SessionOverrides& overrides, const std::string& name, const std::string& who) {
    const auto found = overrides.find(name);
    if (found == overrides.end() || found->second.kind == SessionOverride::Kind::server_default) return std::nullopt;
    if (found->second.kind == SessionOverride::Kind::value)
      return Limit{found->second.value, fmt::format("{} set by {}", name, who)};
    return Limit{std::nullopt, fmt::format("the {} that {} sets", name, who)};
  }

  Limit global(const std::string& name) const {
    const auto found = server_.globals.find(name);
    return {found == server_.globals.end() ? std::nullopt : found->second, name};
  }

  // COM_RESET_CONNECTION makes wait_timeout the global value again, of interactive clients too (measured).
  Limit session_idle() const {
    Limit found = variable("wait_timeout");
    if (found.by != "wait_timeout") return found;
    Limit interactive = global("interactive_timeout");
    // Aurora MySQL ends a session at the shorter of both, whoever opened it (AWS, Aurora MySQL reference, parameters).
    if (server_.aurora && found.seconds && interactive.seconds && *interactive.seconds < *found.seconds)
      return {interactive.seconds, "interactive_timeout (Aurora takes the shorter one)"};
    const auto flag = pool_.own.find(kInteractive);
    if (server_.aurora || pool_.resets || flag == pool_.own.end()) return found;
    if (flag->second.kind == SessionOverride::Kind::unknown) {
      if (found.seconds == interactive.seconds) return found;
      return {std::nullopt, "whether its sessions are interactive ones"};
    }
    return flag->second.value != 0 ? interactive : found;
  }

  // idle_transaction_timeout holds for transactions to which none of the two special ones applies; 0 is off (MariaDB
  // Knowledge Base, "Transaction Timeouts"). What a transaction will do is not known, so the shortest counts.
  Limit transaction_timeout() const {
    Limit shortest{kUnlimited, ""};
    if (!server_.mariadb) return shortest;
    const auto off_is_unlimited = [](Limit limit) {
      if (limit.seconds == 0) limit.seconds = kUnlimited;
      return limit;
    };
    const Limit general = off_is_unlimited(existing("idle_transaction_timeout"));
    for (const char* name : {"idle_write_transaction_timeout", "idle_readonly_transaction_timeout"}) {
      const Limit own = off_is_unlimited(existing(name));
      shortest = shorter(shortest, own.seconds == kUnlimited ? general : own);
    }
    return shortest;
  }

  // Variables that old servers do not have limit nothing there.
  Limit existing(const std::string& name) const {
    Limit found = variable(name);
    if (!found.seconds && found.by == name) found.seconds = kUnlimited;
    return found;
  }

  // A proxy ends its clients by its own clock, whatever they SET. While it holds a connection to the server for a
  // client, as it does inside a transaction, the server ends that by its own.
  Limit through_proxy(std::optional<double> Sessions::*timeout, bool in_transaction) const {
    const auto proxy = pools_.find(*pool_.via);
    const std::string by = "the proxy " + *pool_.via;
    if (proxy == pools_.end() || !(proxy->second.*timeout)) return {std::nullopt, by};
    Limit limit{proxy->second.*timeout, by};
    if (proxy->second.via) return limit;
    if (in_transaction || proxy->second.clients_keep_connections)
      limit = shorter(limit, Resolver(proxy->second, server_, pools_).session_idle());
    return in_transaction ? shorter(limit, transaction_timeout()) : limit;
  }

  const Sessions& pool_;
  const Server& server_;
  const std::map<std::string, Sessions>& pools_;
};

}  // namespace

void add_pool_limits(Store& store) {
  store.execute("DELETE FROM pool_limits");
  const std::map<std::string, Sessions> pools = read_pools(store);
  if (pools.empty()) return;
  const std::vector<Server> servers = read_servers(store);
  store.begin();
  {
    Insert insert = store.insert("pool_limits");
    for (const auto& [name, pool] : pools) {
      for (const Server& server : servers) {
        if (pool.server_name && *pool.server_name != server.name) continue;
        const Resolver of(pool, server, pools);
        std::vector<Value> row{name, server.id};
        for (const Limit& limit : {of.idle(), of.transaction(), of.variable("lock_wait_timeout"),
                                   of.variable("innodb_lock_wait_timeout"), of.autocommit()}) {
          row.push_back(limit.seconds ? Value{*limit.seconds} : Value{});
          row.emplace_back(limit.by);
        }
        row.emplace_back(std::int64_t{server.announces_close ? 1 : 0});
        insert.row(row);
      }
    }
  }
  store.commit();
}

}  // namespace dbaudit

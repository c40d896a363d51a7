#include "rules/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "facts/known_names.h"

namespace dbaudit {
namespace {

// A higher value allows clients more; 0 is no limit where that is said.
struct Limit {
  const char* variable;
  bool zero_is_unlimited;
};
constexpr Limit kMoreIsLooser[] = {{"wait_timeout", false},
                                   {"interactive_timeout", false},
                                   {"idle_transaction_timeout", true},
                                   {"idle_write_transaction_timeout", true},
                                   {"idle_readonly_transaction_timeout", true},
                                   {"max_connections", false},
                                   {"max_user_connections", true},
                                   {"net_read_timeout", false},
                                   {"net_write_timeout", false},
                                   {"connect_timeout", false},
                                   {"max_allowed_packet", false},
                                   {"max_execution_time", true},
                                   {"max_statement_time", true}};
// The longer these are, the longer borrowers of a pool must be ready to wait.
constexpr const char* kLessIsLooser[] = {"lock_wait_timeout", "innodb_lock_wait_timeout"};

// Sessions keep their own value of these (reference manuals of both: "Scope: Global, Session").
constexpr const char* kSessionScope[] = {"wait_timeout",
                                         "interactive_timeout",
                                         "lock_wait_timeout",
                                         "innodb_lock_wait_timeout",
                                         "idle_transaction_timeout",
                                         "idle_write_transaction_timeout",
                                         "idle_readonly_transaction_timeout",
                                         "autocommit",
                                         "transaction_isolation",
                                         "tx_isolation",
                                         "net_read_timeout",
                                         "net_write_timeout",
                                         "max_execution_time",
                                         "max_statement_time",
                                         "sql_mode"};

template <typename List>
bool contains(const List& list, const std::string& name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

bool needs_restart(const std::string& variable, Flavor flavor) {
  for (const KnownName& known : known_variables()) {
    if (known.name == variable) return flavor == Flavor::mysql ? known.mysql_restart : known.mariadb_restart;
  }
  return false;
}

std::string sql_value(const Value& value) {
  std::string text = text_of(value);
  if (!std::holds_alternative<std::string>(value) || text == "ON" || text == "OFF") return text;
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace

Direction direction_of(const std::string& variable, const Value& from, const Value& to) {
  std::optional<double> old_value = number_of(from);
  std::optional<double> new_value = number_of(to);
  if (!old_value || !new_value || *old_value == *new_value) return Direction::neutral;
  if (contains(kLessIsLooser, variable)) return *new_value < *old_value ? Direction::loosens : Direction::tightens;
  for (const Limit& limit : kMoreIsLooser) {
    if (limit.variable != variable) continue;
    if (limit.zero_is_unlimited && *old_value == 0) old_value = kUnlimited;
    if (limit.zero_is_unlimited && *new_value == 0) new_value = kUnlimited;
    return *new_value > *old_value ? Direction::loosens : Direction::tightens;
  }
  return Direction::neutral;
}

std::vector<std::string> VariableStep::commands() const {
  const std::string value = sql_value(to);
  // SET PERSIST writes mysqld-auto.cnf (MySQL 8.0); elsewhere only the option file outlives a restart.
  if (version.min_mysql(8, 0)) {
    if (!restart) return {fmt::format("SET PERSIST {} = {};", variable, value)};
    return {fmt::format("SET PERSIST_ONLY {} = {};", variable, value), "RESTART;"};
  }
  const std::string line = fmt::format("in the option file, below [{}]: {} = {}",
                                       version.is_mariadb() ? "mariadbd" : "mysqld", variable, text_of(to));
  if (restart) return {line, "restart the server"};
  return {fmt::format("SET GLOBAL {} = {};", variable, value), line};
}

std::vector<VariableStep> changed_variables(Store& before, Store& after) {
  std::vector<VariableStep> changed;
  for (const AuditedServer& server : audited_servers(after)) {
    if (!server.version) continue;
    const auto row_of = [&server](Store& store) {
      Query row = store.query("SELECT * FROM global_variables WHERE server_id = :id");
      row.bind("id", server.server_id);
      std::vector<std::pair<std::string, Value>> values;
      if (row.next().value()) {
        for (std::size_t i = 0; i < row.columns().size(); ++i) values.emplace_back(row.columns()[i], row.value(i));
      }
      return values;
    };
    const auto old_values = row_of(before);
    const auto new_values = row_of(after);
    for (std::size_t i = 0; i < std::min(old_values.size(), new_values.size()); ++i) {
      const auto& [name, value] = new_values[i];
      if (name == "server_id" || value == old_values[i].second) continue;
      changed.push_back({server.name, *server.version, name, old_values[i].second, value,
                         needs_restart(name, server.version->flavor), contains(kSessionScope, name)});
    }
  }
  return changed;
}

std::vector<PlanStep> ordered_steps(const std::vector<VariableStep>& variables,
                                    const std::vector<SettingStep>& settings) {
  PlanStep first{
      StepKind::server, "these limits grow, or no client depends on them: the server comes first", {}, {}, {}};
  PlanStep last{StepKind::server,
                "these limits shrink: the server comes last, when no client needs the old value any more",
                {},
                {},
                {}};
  for (const VariableStep& variable : variables) {
    const bool tightens = direction_of(variable.variable, variable.from, variable.to) == Direction::tightens;
    (tightens ? last : first).variables.push_back(variable);
  }
  PlanStep pools{
      StepKind::pools, "every instance must run with the new settings before the next step", {}, settings, {}};
  if (last.variables.empty()) pools.why = "what they need is there now";
  std::vector<PlanStep> steps;
  if (!first.variables.empty()) steps.push_back(std::move(first));
  if (!settings.empty()) steps.push_back(std::move(pools));
  if (!last.variables.empty()) steps.push_back(std::move(last));
  return steps;
}

namespace {

struct Client {
  std::string name;
  std::optional<double> lifetime_s;
  bool resets = false;
  bool keeps = true;
  std::optional<double> own_wait_timeout_s;
};

std::vector<Client> clients_of(Store& store, const std::string& server) {
  Query rows = store.query(
      "SELECT name, max_lifetime_s, resets_session, keeps_connections, session_wait_timeout_s FROM pool "
      "WHERE server_name IS NULL OR server_name = :server ORDER BY name");
  rows.bind("server", server);
  std::vector<Client> clients;
  while (rows.next().value()) {
    clients.push_back(
        {rows.text(0), rows.real(1), rows.integer(2).value_or(0) != 0, rows.integer(3).value_or(1) != 0, rows.real(4)});
  }
  return clients;
}

OldSessions sessions_of(const Client& client, const VariableStep& step, bool redeployed_later) {
  OldSessions old{step.server, client.name, step.variable, step.from, step.to, {}, "", {}};
  if (client.own_wait_timeout_s && step.variable == "wait_timeout" && !client.resets) {
    old.gone_after_s = 0;
    old.reason = fmt::format("sets its own wait_timeout of {}, so the global value does not concern it",
                             format_duration(*client.own_wait_timeout_s));
  } else if (redeployed_later) {
    old.reason = "its instances are restarted in the step that changes its settings, which opens new sessions";
  } else if (client.resets) {
    old.gone_after_s = 0;
    old.reason = "COM_RESET_CONNECTION between borrowers takes the global value";
  } else if (!client.keeps) {
    old.gone_after_s = 0;
    old.reason = "opens a connection for each request";
  } else if (!client.lifetime_s) {
    old.reason = "how long its connections live is not known";
  } else if (*client.lifetime_s == kUnlimited) {
    old.gone_after_s = kUnlimited;
    old.reason = "nothing ends its connections: restart the application, or KILL them one by one";
  } else {
    old.gone_after_s = client.lifetime_s;
    old.reason = "one lifetime of its connections; those in use end when they are given back";
  }
  return old;
}

}  // namespace

std::vector<OldSessions> old_sessions(Store& store, const std::vector<PlanStep>& steps) {
  std::vector<OldSessions> all;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    std::set<std::string> redeployed;
    for (std::size_t later = i + 1; later < steps.size(); ++later) {
      for (const SettingStep& setting : steps[later].settings) redeployed.insert(setting.pool);
    }
    for (const VariableStep& step : steps[i].variables) {
      if (!step.session_scope || step.restart) continue;
      for (const Client& client : clients_of(store, step.server)) {
        all.push_back(sessions_of(client, step, redeployed.contains(client.name)));
      }
      OldSessions others{step.server, "", step.variable, step.from, step.to, {}, "", {}};
      others.reason =
          "clients that are not declared keep it until they disconnect; no server shows when a session began";
      Query seen = store.query(
          "SELECT (SELECT count(*) FROM sessions c WHERE c.server_id = s.server_id AND c.kind = 'client') FROM server "
          "s "
          "JOIN fact_source f ON f.server_id = s.server_id AND f.source = 'sessions' AND f.status = 'read' "
          "WHERE s.name = :server");
      seen.bind("server", step.server);
      if (seen.next().value()) others.seen = seen.integer(0);
      all.push_back(std::move(others));
    }
  }
  return all;
}

std::vector<RuleResult> only_here(const AuditResult& state, const AuditResult& before, const AuditResult& after) {
  std::set<std::string> known;
  for (const AuditResult* other : {&before, &after}) {
    for (const RuleResult& result : other->results) {
      if (result.outcome == Outcome::fail) known.insert(result.fingerprint);
    }
  }
  std::vector<RuleResult> found;
  for (const RuleResult& result : state.results) {
    if (result.outcome == Outcome::fail && !known.contains(result.fingerprint)) found.push_back(result);
  }
  return found;
}

}  // namespace dbaudit

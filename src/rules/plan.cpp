#include "rules/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "base/units.h"
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

// ON allows clients less.
constexpr const char* kOffIsLooser[] = {"read_only",        "super_read_only",          "offline_mode",
                                        "innodb_read_only", "require_secure_transport", "transaction_read_only",
                                        "tx_read_only",     "skip_networking"};

template <typename List>
bool contains(const List& list, const std::string& name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
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
  if (contains(kOffIsLooser, variable) && !is_null(from) && from != to)
    return text_of(to) == "OFF" ? Direction::loosens : Direction::tightens;
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
  if (is_null(to) || by_resize) return {};  // nobody sets it
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
      const KnownIn& known = known_variable(name)->in(server.version->flavor);
      changed.push_back(
          {server.name, *server.version, name, old_values[i].second, value, known.restart, known.session});
    }
  }
  return changed;
}

std::map<std::string, double> more_connections(Store& before, Store& after) {
  struct Need {
    Value server;
    std::optional<double> connections;
  };
  const auto needs = [](Store& store) {
    Query row = store.query(
        "SELECT name, server_name, deploy_instances(instances, surge_instances, terminating, blue_green) "
        "* coalesce(processes_per_instance, 1) * max_connections_per_process FROM pool");
    std::map<std::string, Need> found;
    while (row.next().value()) found[row.text(0)] = {row.value(1), row.real(2)};
    return found;
  };
  std::map<std::string, Need> old = needs(before);
  std::map<std::string, double> more;
  for (const auto& [pool, need] : needs(after)) {
    const Need& was = old[pool];
    const bool same = need.connections == was.connections && need.server == was.server;
    if (same && need.connections) continue;
    const bool comparable = need.connections && was.connections && need.server == was.server;
    more[pool] = comparable ? *need.connections - *was.connections : kUnlimited;
  }
  return more;
}

std::vector<ResizeStep> changed_sizes(Store& before, Store& after) {
  std::vector<ResizeStep> resizes;
  Query rows = after.query("SELECT name, memory_bytes FROM server WHERE memory_bytes IS NOT NULL ORDER BY server_id");
  while (rows.next().value()) {
    Query old = before.query("SELECT memory_bytes FROM server WHERE name = :name");
    old.bind("name", rows.text(0));
    if (!old.next().value() || old.integer(0) == rows.integer(1)) continue;
    resizes.push_back({rows.text(0), old.integer(0), rows.integer(1).value_or(0)});
  }
  return resizes;
}

namespace {

// Why the server comes first with these.
std::string why_first(const PlanStep& step) {
  std::vector<std::string> not_known;
  for (const VariableStep& variable : step.variables) {
    if (direction_of(variable.variable, variable.from, variable.to) == Direction::neutral)
      not_known.push_back(variable.variable);
  }
  const bool some_grow = not_known.size() < step.variables.size() || !step.resizes.empty();
  std::string why = some_grow ? "what clients may use grows: the server comes first" : "";
  if (!not_known.empty())
    why += fmt::format("{}whether clients depend on {} is not known here: see to that before", why.empty() ? "" : "; ",
                       join(not_known, ", "));
  return why;
}

}  // namespace

std::vector<PlanStep> ordered_steps(const std::vector<VariableStep>& variables,
                                    const std::vector<SettingStep>& settings, const std::vector<ResizeStep>& resizes) {
  PlanStep first{StepKind::server, ""};
  PlanStep smaller{StepKind::pools, "every instance must run with the new settings before the next step"};
  PlanStep larger{StepKind::pools, smaller.why};
  PlanStep last{StepKind::server,
                "these limits shrink: the server comes last, when no client needs the old value any more"};
  for (const VariableStep& variable : variables) {
    const bool tightens = direction_of(variable.variable, variable.from, variable.to) == Direction::tightens;
    (tightens ? last : first).variables.push_back(variable);
  }
  for (const ResizeStep& resize : resizes)
    (resize.from && resize.to < *resize.from ? last : first).resizes.push_back(resize);
  first.why = why_first(first);
  const bool room_is_made = std::any_of(settings.begin(), settings.end(),
                                        [](const SettingStep& setting) { return setting.more_connections < 0; });
  for (const SettingStep& setting : settings)
    (room_is_made && setting.more_connections <= 0 ? smaller : larger).settings.push_back(setting);
  if (last.variables.empty() && last.resizes.empty()) {
    larger.why = "what they need is there now";
    if (larger.settings.empty()) smaller.why = larger.why;
  }
  if (!larger.settings.empty())
    smaller.why =
        "these give connections back for the next step: every instance must run with the new settings before it";
  std::vector<PlanStep> steps;
  for (PlanStep* step : {&first, &smaller, &larger, &last}) {
    if (!step->variables.empty() || !step->settings.empty() || !step->resizes.empty())
      steps.push_back(std::move(*step));
  }
  return steps;
}

namespace {

struct Client {
  std::string name;
  std::optional<double> lifetime_s;
  bool resets = false;
  bool keeps = true;
  std::optional<double> own_wait_timeout_s;
  std::optional<double> silence_s;      // after it the pool itself looks at an idle connection
  std::optional<double> idle_limit_s;   // of sessions that are open now
  std::set<std::string> idle_limit_by;  // empty: not known
};

// "interactive_timeout (Aurora takes the shorter one)" is interactive_timeout.
std::string variable_in(const std::string& idle_limit_by) { return idle_limit_by.substr(0, idle_limit_by.find(' ')); }

// Those that have sessions of their own on the server; behind a proxy the sessions are the proxy's.
std::vector<Client> clients_of(Store& before, Store& after, const std::string& server) {
  Query rows = after.query(
      "SELECT name, max_lifetime_s, resets_session, keeps_connections, session_wait_timeout_s, longest_silence_s FROM "
      "pool WHERE via IS NULL AND (server_name IS NULL OR server_name = :server) ORDER BY name");
  rows.bind("server", server);
  std::vector<Client> clients;
  while (rows.next().value()) {
    Client client{rows.text(0),
                  rows.real(1),
                  rows.integer(2).value_or(0) != 0,
                  rows.integer(3).value_or(1) != 0,
                  rows.real(4),
                  rows.real(5),
                  std::nullopt,
                  {}};
    for (Store* store : {&after, &before}) {
      Query limit = store->query(
          "SELECT l.idle_limit_s, l.idle_limit_by FROM pool_limits l JOIN server s ON s.server_id = l.server_id WHERE "
          "l.pool = :pool AND s.name = :server");
      limit.bind("pool", client.name);
      limit.bind("server", server);
      if (!limit.next().value()) continue;
      client.idle_limit_s = limit.real(0);
      if (client.idle_limit_s) client.idle_limit_by.insert(variable_in(limit.text(1)));
    }
    clients.push_back(std::move(client));
  }
  return clients;
}

// Whose idle limit neither is nor was this variable does not notice that it changes. It is not known of all the others.
bool concerns(const Client& client, const std::string& variable) {
  if (variable != "wait_timeout" && variable != "interactive_timeout") return true;
  return client.idle_limit_by.empty() || client.idle_limit_by.contains(variable);
}

// Since when a connection can be too old, and how long one may then lie idle before somebody acts.
void ends_with_lifetime(const Client& client, OldSessions& old) {
  const double lifetime = *client.lifetime_s;
  if (client.silence_s && *client.silence_s == lifetime) {
    old.gone_after_s = lifetime;
    old.reason = "one lifetime of its connections; those in use end when they are given back";
    return;
  }
  const double silence = client.silence_s.value_or(kUnlimited);
  const bool by_server = silence == kUnlimited || (client.idle_limit_s && *client.idle_limit_s < silence);
  if (by_server && !client.idle_limit_s) {
    old.reason =
        "its pool looks at a connection's age only when it is borrowed or given back, and when the server ends "
        "one that lies idle is not known";
    return;
  }
  old.gone_after_s = lifetime + (by_server ? *client.idle_limit_s : silence);
  old.reason = by_server ? fmt::format(
                               "its pool looks at a connection's age ({}) only when it is borrowed or given back; one "
                               "that then lies idle stays until the server ends it by the limit that it began with, {}",
                               format_duration(lifetime), format_duration(*client.idle_limit_s))
                         : fmt::format("one lifetime of its connections ({}), and up to {} more for one that lies idle",
                                       format_duration(lifetime), format_duration(silence));
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
    ends_with_lifetime(client, old);
  }
  return old;
}

}  // namespace

std::vector<OldSessions> old_sessions(Store& before, Store& after, const std::vector<PlanStep>& steps) {
  std::vector<OldSessions> all;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    std::set<std::string> redeployed;
    for (std::size_t later = i + 1; later < steps.size(); ++later) {
      for (const SettingStep& setting : steps[later].settings) redeployed.insert(setting.pool);
    }
    for (const VariableStep& step : steps[i].variables) {
      if (!step.session_scope || step.restart || step.by_resize) continue;
      for (const Client& client : clients_of(before, after, step.server)) {
        if (concerns(client, step.variable)) all.push_back(sessions_of(client, step, redeployed.contains(client.name)));
      }
      OldSessions others{step.server, "", step.variable, step.from, step.to, {}, "", {}};
      others.reason =
          "clients that are not declared keep it until they disconnect; no server shows when a session began";
      Query seen = after.query(
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

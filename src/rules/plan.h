// A change in its order: which step first, what it takes, what holds in between, and who keeps old values until when.
// Pure data and functions; nothing of it is ever run.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/version.h"
#include "facts/store.h"
#include "facts/value.h"
#include "rules/result.h"

namespace dbaudit {

// Whether clients may do more or less afterwards. A limit that grows can be changed before the clients use it; one that
// shrinks must wait until they all keep to it.
enum class Direction { loosens, tightens, neutral };
Direction direction_of(const std::string& variable, const Value& from, const Value& to);

struct VariableStep {
  std::string server;
  ServerVersion version;
  std::string variable;
  Value from;
  Value to;
  bool restart = false;        // the variable is read only there
  bool session_scope = false;  // sessions that are open keep their own value
  bool by_resize = false;      // a managed service changes it with the size of the machine
  bool declared = false;       // the server is one of dbaudit.toml, so that --server names it

  // SQL and option-file lines that make the change, as this server takes them.
  [[nodiscard]] std::vector<std::string> commands() const;
};

struct SettingStep {
  std::string pool;
  std::string key;
  std::string from;  // for people, without secrets
  std::string to;
  double more_connections = 0;  // of the whole pool
};

// Another size of the machine.
struct ResizeStep {
  std::string server;
  std::optional<std::int64_t> from;  // bytes
  std::int64_t to = 0;
};

enum class StepKind { server, pools };
struct PlanStep {
  StepKind kind = StepKind::server;
  std::string why;                       // why it stands here
  std::vector<ResizeStep> resizes = {};  // before `variables`
  std::vector<VariableStep> variables = {};
  std::vector<SettingStep> settings = {};
  std::vector<RuleResult> meanwhile = {};  // fails after this step, and neither before all steps nor after them
};

// Sessions of one pool (or of clients that nobody declared) after one variable was changed.
struct OldSessions {
  std::string server;
  std::string pool;  // empty: everybody else
  std::string variable;
  Value from;
  Value to;
  std::optional<double> gone_after_s;  // counted from the change; unlimited: never by itself; none: not known
  std::string reason;
  std::optional<std::int64_t> seen;  // sessions that are open now, where that was asked
};

struct Plan {
  std::vector<PlanStep> steps;
  std::vector<OldSessions> old_sessions;
  std::vector<RuleResult> wrong_order;  // what would break if limits were tightened before the pools are changed
  std::vector<RuleResult> in_the_end;   // findings that the wanted state has and today's has not
};

// What differs between the global variables of two stores with the same servers.
std::vector<VariableStep> changed_variables(Store& before, Store& after);

// How many more connections each pool may open while it is deployed (negative: fewer), where that changes. Infinity
// where it is not known, or the server is another one: there must be room for whatever it is.
std::map<std::string, double> more_connections(Store& before, Store& after);

std::vector<ResizeStep> changed_sizes(Store& before, Store& after);

// In this order: what loosens, or does not tighten as far as is known, the pools, what tightens. Pools that grow come
// after those that give connections back. Without `meanwhile`.
std::vector<PlanStep> ordered_steps(const std::vector<VariableStep>& variables,
                                    const std::vector<SettingStep>& settings,
                                    const std::vector<ResizeStep>& resizes = {});

// Who keeps the old value of variables with session scope. Facts and pools as they are, and as they will be.
std::vector<OldSessions> old_sessions(Store& before, Store& after, const std::vector<PlanStep>& steps);

// Failures of `state` that are in neither `before` nor `after`.
std::vector<RuleResult> only_here(const AuditResult& state, const AuditResult& before, const AuditResult& after);

}  // namespace dbaudit

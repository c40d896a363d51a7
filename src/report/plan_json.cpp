#include <nlohmann/json.hpp>

#include "base/text.h"
#include "report/json_value.h"
#include "report/plan.h"

namespace dbaudit {
namespace {

using Json = nlohmann::ordered_json;

Json findings_json(const std::vector<RuleResult>& findings) {
  Json out = Json::array();
  for (const RuleResult& finding : findings) {
    out.push_back({{"rule", finding.rule},
                   {"severity", to_string(finding.severity)},
                   {"server", valid_utf8(finding.server)},
                   {"subject", valid_utf8(finding.subject)},
                   {"hazard", finding.hazard ? Json(*finding.hazard) : Json(nullptr)},
                   {"message", valid_utf8(finding.message)},
                   {"fingerprint", finding.fingerprint}});
  }
  return out;
}

Json step_json(const PlanStep& step) {
  Json variables = Json::array();
  for (const VariableStep& variable : step.variables) {
    variables.push_back({{"server", valid_utf8(variable.server)},
                         {"variable", variable.variable},
                         {"from", json_value(variable.from)},
                         {"to", json_value(variable.to)},
                         {"restart", variable.restart},
                         {"by_resize", variable.by_resize},
                         {"commands", variable.commands()}});
  }
  Json resizes = Json::array();
  for (const ResizeStep& resize : step.resizes) {
    resizes.push_back({{"server", valid_utf8(resize.server)},
                       {"from_bytes", resize.from ? Json(*resize.from) : Json(nullptr)},
                       {"to_bytes", resize.to}});
  }
  Json settings = Json::array();
  for (const SettingStep& setting : step.settings) {
    settings.push_back({{"pool", valid_utf8(setting.pool)},
                        {"setting", valid_utf8(setting.key)},
                        {"from", valid_utf8(setting.from)},
                        {"to", valid_utf8(setting.to)}});
  }
  return {{"kind", step.kind == StepKind::server ? "server" : "pools"},
          {"why", step.why},
          {"resizes", std::move(resizes)},
          {"variables", std::move(variables)},
          {"settings", std::move(settings)},
          {"meanwhile", findings_json(step.meanwhile)}};
}

}  // namespace

std::string render_plan_json(const Plan& plan) {
  Json steps = Json::array();
  for (const PlanStep& step : plan.steps) steps.push_back(step_json(step));
  Json old = Json::array();
  for (const OldSessions& sessions : plan.old_sessions) {
    old.push_back({{"server", valid_utf8(sessions.server)},
                   {"pool", sessions.pool.empty() ? Json(nullptr) : Json(valid_utf8(sessions.pool))},
                   {"variable", sessions.variable},
                   {"from", json_value(sessions.from)},
                   {"to", json_value(sessions.to)},
                   {"gone_after_s", sessions.gone_after_s ? json_value(*sessions.gone_after_s) : Json(nullptr)},
                   {"reason", sessions.reason},
                   {"sessions_now", sessions.seen ? Json(*sessions.seen) : Json(nullptr)}});
  }
  return json_text({{"schema", "dbaudit/plan/1"},
                    {"steps", std::move(steps)},
                    {"old_sessions", std::move(old)},
                    {"wrong_order", findings_json(plan.wrong_order)},
                    {"in_the_end", findings_json(plan.in_the_end)}});
}

}  // namespace dbaudit

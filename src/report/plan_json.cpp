#include "report/json_writer.h"
#include "report/plan.h"

namespace dbaudit {
namespace {

void findings(JsonWriter& json, std::string_view name, const std::vector<RuleResult>& list) {
  json.objects(name, list, [&json](const RuleResult& finding) {
    json.member("rule", finding.rule);
    json.member("severity", to_string(finding.severity));
    json.member("server", finding.server);
    json.member("subject", finding.subject);
    json.member("hazard", finding.hazard);
    json.member("message", finding.message);
    json.member("fingerprint", finding.fingerprint);
  });
}

void members(JsonWriter& json, const PlanStep& step) {
  json.member("kind", step.kind == StepKind::server ? "server" : "pools");
  json.member("why", step.why);
  json.objects("resizes", step.resizes, [&json](const ResizeStep& resize) {
    json.member("server", resize.server);
    json.member("from_bytes", resize.from);
    json.member("to_bytes", resize.to);
  });
  json.objects("variables", step.variables, [&json](const VariableStep& variable) {
    json.member("server", variable.server);
    json.member("variable", variable.variable);
    json.member("from", variable.from);
    json.member("to", variable.to);
    json.member("restart", variable.restart);
    json.member("by_resize", variable.by_resize);
    json.array("commands", variable.commands(), [&json](const std::string& command) { json.value(command); });
  });
  json.objects("settings", step.settings, [&json](const SettingStep& setting) {
    json.member("pool", setting.pool);
    json.member("setting", setting.key);
    json.member("from", setting.from);
    json.member("to", setting.to);
  });
  findings(json, "meanwhile", step.meanwhile);
}

void members(JsonWriter& json, const OldSessions& sessions) {
  json.member("server", sessions.server);
  json.text_or_null("pool", sessions.pool);
  json.member("variable", sessions.variable);
  json.member("from", sessions.from);
  json.member("to", sessions.to);
  json.member("gone_after_s", sessions.gone_after_s);
  json.member("reason", sessions.reason);
  json.member("sessions_now", sessions.seen);
}

}  // namespace

std::string render_plan_json(const Plan& plan) {
  JsonWriter json;
  const auto members_of = [&json](const auto& item) { members(json, item); };
  json.object([&] {
    json.member("schema", "dbaudit/plan/1");
    json.objects("steps", plan.steps, members_of);
    json.objects("old_sessions", plan.old_sessions, members_of);
    findings(json, "wrong_order", plan.wrong_order);
    findings(json, "in_the_end", plan.in_the_end);
  });
  return json.text();
}

}  // namespace dbaudit

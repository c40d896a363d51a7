#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "report/json_value.h"
#include "report/report.h"

namespace dbaudit {

using Json = nlohmann::ordered_json;

Json json_value(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* text = std::get_if<std::string>(&value)) return valid_utf8(*text);
  if (const auto* real = std::get_if<double>(&value)) {
    if (std::isinf(*real)) return *real > 0 ? "unlimited" : "-unlimited";
    if (*real == std::floor(*real) && std::abs(*real) < 1e15) return static_cast<std::int64_t>(*real);
    return *real;
  }
  return nullptr;
}

std::string json_text(const Json& json) {
  return json_without_controls(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

namespace {

Json text_or_null(const std::optional<std::string>& text) { return text ? Json(valid_utf8(*text)) : Json(nullptr); }
Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(valid_utf8(text)); }

Json source_json(const SourceState& source) {
  return {{"source", source.source},
          {"status", source.status},
          {"rows", source.rows ? Json(*source.rows) : Json(nullptr)},
          {"reason", text_or_null(source.reason)},
          {"remedy", text_or_null(source.remedy)}};
}

Json server_json(const AuditedServer& server) {
  Json sources = Json::array();
  for (const SourceState& source : server.sources) sources.push_back(source_json(source));
  return {{"name", valid_utf8(server.name)},
          {"flavor", server.version ? Json(to_string(server.version->flavor)) : Json(nullptr)},
          {"version", server.version ? Json(to_string(server.version->version)) : Json(nullptr)},
          {"reachable", server.reachable},
          {"error", text_or_null(server.error)},
          {"door", text_or_null(server.door)},
          {"sources", std::move(sources)}};
}

Json waiver_json(const std::optional<WaivedBy>& waiver) {
  if (!waiver) return nullptr;
  return {{"reason", waiver->reason}, {"owner", waiver->owner}, {"until", waiver->until}, {"expired", waiver->expired}};
}

Json unused_waiver_json(const UnusedWaiver& waiver) {
  return {
      {"rule", waiver.rule},   {"server", waiver.server}, {"subject", waiver.subject},       {"reason", waiver.reason},
      {"owner", waiver.owner}, {"until", waiver.until},   {"file", valid_utf8(waiver.file)}, {"line", waiver.line}};
}

Json result_json(const RuleResult& result) {
  Json evidence = Json::object();
  for (const auto& [name, value] : result.evidence) evidence[name] = json_value(value);
  Json out{{"rule", result.rule},
           {"category", result.category},
           {"severity", to_string(result.severity)},
           {"outcome", to_string(result.outcome)},
           {"server", valid_utf8(result.server)},
           {"subject", valid_utf8(result.subject)},
           {"message", text_or_null(result.message)},
           {"remedy", text_or_null(result.remedy)},
           {"evidence", std::move(evidence)},
           {"reason", text_or_null(result.reason)},
           {"waiver", waiver_json(result.waiver)},
           {"fingerprint", result.fingerprint}};
  if (result.outcome == Outcome::unknown) out["curable"] = result.curable;
  if (result.hazard) out["hazard"] = *result.hazard;
  if (result.change) out["change"] = to_string(*result.change);
  if (result.known) out["known"] = *result.known;
  return out;
}

}  // namespace

std::string render_json(const AuditResult& audit) {
  const Summary summary = summarise(audit);
  Json servers = Json::array();
  for (const AuditedServer& server : audit.servers) servers.push_back(server_json(server));
  Json results = Json::array();
  for (const RuleResult& result : audit.results) results.push_back(result_json(result));
  Json unused = Json::array();
  for (const UnusedWaiver& waiver : audit.unused_waivers) unused.push_back(unused_waiver_json(waiver));
  Json out{{"schema", "dbaudit/audit/1"},
           {"tool", {{"name", "dbaudit"}, {"version", DBAUDIT_VERSION}}},
           {"taken_at", audit.taken_at},
           {"servers", std::move(servers)},
           {"summary",
            {{"pass", summary.pass},
             {"fail", {{"error", summary.errors}, {"warning", summary.warnings}, {"info", summary.infos}}},
             {"unknown", summary.unknown},
             {"waived", summary.waived},
             {"not_applicable", summary.not_applicable}}},
           {"results", std::move(results)},
           {"unused_waivers", std::move(unused)}};
  if (summary.known) out["summary"]["known"] = *summary.known;
  return json_text(out);
}

}  // namespace dbaudit

#include <algorithm>

#include "report/json_writer.h"
#include "report/report.h"

namespace dbaudit {
namespace {

void sources(JsonWriter& json, const std::vector<SourceState>& list) {
  json.objects("sources", list, [&json](const SourceState& source) {
    json.member("source", source.source);
    json.member("status", source.status);
    json.member("rows", source.rows);
    json.member("reason", source.reason);
    json.member("remedy", source.remedy);
  });
}

// Functions of this name write the members of an object.
void members(JsonWriter& json, const AuditedServer& server) {
  json.member("name", server.name);
  json.member("flavor", server.version ? std::optional(to_string(server.version->flavor)) : std::nullopt);
  json.member("version", server.version ? std::optional(to_string(server.version->version)) : std::nullopt);
  json.member("reachable", server.reachable);
  json.member("error", server.error);
  json.member("door", server.door);
  sources(json, server.sources);
}

void members(JsonWriter& json, const UnusedWaiver& waiver) {
  json.member("rule", waiver.rule);
  json.member("server", waiver.server);
  json.member("subject", waiver.subject);
  json.member("reason", waiver.reason);
  json.member("owner", waiver.owner);
  json.member("until", waiver.until);
  json.member("file", waiver.file);
  json.member("line", waiver.line);
}

void waiver(JsonWriter& json, const std::optional<WaivedBy>& by) {
  if (!by) return json.member("waiver", nullptr);
  json.object("waiver", [&] {
    json.member("reason", by->reason);
    json.member("owner", by->owner);
    json.member("until", by->until);
    json.member("expired", by->expired);
  });
}

void members(JsonWriter& json, const RuleResult& result) {
  json.member("rule", result.rule);
  json.member("category", result.category);
  json.member("severity", to_string(result.severity));
  json.member("outcome", to_string(result.outcome));
  json.member("server", result.server);
  json.member("subject", result.subject);
  json.text_or_null("message", result.message);
  json.text_or_null("remedy", result.remedy);
  json.object("evidence", [&] {
    const auto& evidence = result.evidence;
    for (auto one = evidence.begin(); one != evidence.end(); ++one) {
      // Of columns of one name the last.
      const auto same = [one](const auto& other) { return other.first == one->first; };
      if (std::none_of(one + 1, evidence.end(), same)) json.member(one->first, one->second);
    }
  });
  json.member("reason", result.reason);
  waiver(json, result.waiver);
  json.member("fingerprint", result.fingerprint);
  if (result.outcome == Outcome::unknown) json.member("curable", result.curable);
  if (result.hazard) json.member("hazard", *result.hazard);
  if (result.change) json.member("change", to_string(*result.change));
  if (result.known) json.member("known", *result.known);
}

void summary(JsonWriter& json, const AuditResult& audit) {
  const Summary of = summarise(audit);
  json.object("summary", [&] {
    json.member("pass", of.pass);
    json.object("fail", [&] {
      json.member("error", of.errors);
      json.member("warning", of.warnings);
      json.member("info", of.infos);
    });
    json.member("unknown", of.unknown);
    json.member("waived", of.waived);
    json.member("not_applicable", of.not_applicable);
    if (of.known) json.member("known", *of.known);
  });
}

void tool(JsonWriter& json) {
  json.object("tool", [&json] {
    json.member("name", "dbaudit");
    json.member("version", DBAUDIT_VERSION);
  });
}

template <typename Item>
std::string line_of(const char* type, const Item& item) {
  JsonWriter json(JsonLayout::one_line);
  json.object([&] {
    json.member("type", type);
    members(json, item);
  });
  return json.text();
}

}  // namespace

std::string render_json(const AuditResult& audit) {
  JsonWriter json;
  const auto members_of = [&json](const auto& item) { members(json, item); };
  json.object([&] {
    json.member("schema", "dbaudit/audit/1");
    tool(json);
    json.member("taken_at", audit.taken_at);
    json.objects("servers", audit.servers, members_of);
    summary(json, audit);
    json.objects("results", audit.results, members_of);
    json.objects("unused_waivers", audit.unused_waivers, members_of);
  });
  return json.text();
}

std::string render_json_lines(const AuditResult& part) {
  std::string lines;
  for (const AuditedServer& server : part.servers) lines += line_of("server", server);
  for (const RuleResult& result : part.results) lines += line_of("result", result);
  return lines;
}

std::string render_json_summary(const AuditResult& audit) {
  std::string lines;
  for (const UnusedWaiver& waiver : audit.unused_waivers) lines += line_of("unused_waiver", waiver);
  JsonWriter json(JsonLayout::one_line);
  json.object([&] {
    json.member("type", "summary");
    json.member("schema", "dbaudit/audit-lines/1");
    tool(json);
    json.member("taken_at", audit.taken_at);
    json.member("servers", audit.servers.size());
    summary(json, audit);
  });
  return lines + json.text();
}

}  // namespace dbaudit

#include "rules/result.h"

#include <fmt/format.h>

#include <algorithm>

#include "facts/schema.h"

namespace dbaudit {

std::string to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::unknown: return "unknown";
    case Outcome::not_applicable: return "not_applicable";
    case Outcome::waived: return "waived";
  }
  return "unknown";
}

std::string to_string(Change change) {
  return change == Change::introduced ? "new" : change == Change::fixed ? "fixed" : "same";
}

Summary summarise(const AuditResult& audit) {
  Summary summary;
  for (const RuleResult& result : audit.results) {
    if (result.known) summary.known = summary.known.value_or(0) + (*result.known ? 1 : 0);
    switch (result.outcome) {
      case Outcome::pass: ++summary.pass; break;
      case Outcome::unknown: ++summary.unknown; break;
      case Outcome::not_applicable: ++summary.not_applicable; break;
      case Outcome::waived: ++summary.waived; break;
      case Outcome::fail:
        ++(result.severity == Severity::error     ? summary.errors
           : result.severity == Severity::warning ? summary.warnings
                                                  : summary.infos);
        break;
    }
  }
  return summary;
}

int exit_code(const AuditResult& audit, const Verdict& verdict) {
  bool incomplete = false;
  for (const RuleResult& result : audit.results) {
    if (result.severity < verdict.fail_on) continue;
    if (verdict.only_new && result.change != Change::introduced) continue;
    if (result.outcome == Outcome::fail && !result.known.value_or(false)) return 1;
    if (result.outcome == Outcome::unknown && result.curable && !verdict.allow_unknown) incomplete = true;
  }
  for (const AuditedServer& server : audit.servers) incomplete = incomplete || !server.reachable;
  return incomplete ? 3 : 0;
}

namespace {
SourceState state_of_lock_waits(const std::vector<SourceState>& sources) {
  const auto find = [&sources](std::string_view name) {
    return std::find_if(sources.begin(), sources.end(), [name](const SourceState& one) { return one.source == name; });
  };
  const auto transactions = find("transactions");
  const auto waits = find("row_lock_waits");
  SourceState state{kLockWaits, "read", {}, {}, true, {}};
  for (const auto& one : {transactions, waits}) {
    if (one != sources.end() && one->status == "read") return state;
  }
  state.status = "partial";
  state.reason = "who waits for a row was not read";
  if (waits != sources.end()) {
    state.reason = fmt::format("who waits for a row: {}", waits->reason.value_or("no reason given"));
    state.remedy = waits->remedy;
    state.curable = waits->curable;
  }
  return state;
}
}  // namespace

std::vector<AuditedServer> audited_servers(Store& store) {
  std::vector<AuditedServer> servers;
  Query rows = store.query(
      "SELECT server_id, name, flavor, version, reachable, error, door, group_name FROM server ORDER BY server_id");
  Query sources =
      store.query("SELECT source, status, reason, remedy, curable, rows FROM fact_source WHERE server_id = :server_id");
  while (rows.next().value()) {
    AuditedServer server;
    server.server_id = rows.integer(0).value_or(0);
    server.name = rows.text(1);
    const std::optional<Flavor> flavor = parse_flavor(rows.text(2));
    const std::optional<Version> version = parse_version(rows.text(3));
    if (flavor && version) server.version = ServerVersion{*flavor, *version};
    server.reachable = rows.integer(4) == 1;
    server.error = rows.optional_text(5);
    // A snapshot is somebody's file. Without a version no rule can be judged, and that must not look like a pass.
    if (server.reachable && !server.version) {
      server.reachable = false;
      server.error = "its version is not known";
    }
    server.door = rows.optional_text(6);
    server.group = rows.optional_text(7);
    sources.reset();
    sources.bind("server_id", server.server_id);
    while (sources.next().value()) {
      SourceState state{sources.text(0),          sources.text(1),         sources.optional_text(2),
                        sources.optional_text(3), sources.integer(4) != 0, sources.integer(5)};
      // A word of somebody else's: whatever it means, it is no proof that the source was read.
      if (state.status != "read" && state.status != "partial" && state.status != "unavailable") {
        state.reason = fmt::format("its status '{}' is unknown to this dbaudit", state.status);
        state.status = "unavailable";
      }
      server.sources.push_back(std::move(state));
    }
    const std::vector<std::string>& order = source_names();
    const auto place = [&order](const SourceState& state) {
      return std::find(order.begin(), order.end(), state.source);
    };
    std::sort(server.sources.begin(), server.sources.end(),
              [&](const SourceState& a, const SourceState& b) { return place(a) < place(b); });
    server.lock_waits = state_of_lock_waits(server.sources);
    servers.push_back(std::move(server));
  }
  return servers;
}

std::string fingerprint(const std::string& rule, const std::string& server, const std::string& subject) {
  // FNV-1a, 64 bits: stable, and not a secret.
  std::uint64_t hash = 14695981039346656037ULL;
  for (const std::string* part : {&rule, &server, &subject}) {
    for (const char c : *part + '\x1f') hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace dbaudit

#include "report/report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "golden.h"
#include "report/table.h"

using namespace dbaudit;

namespace {

AuditResult example() {
  AuditResult audit;
  audit.taken_at = "2026-11-21T22:10:03.000Z";
  AuditedServer server;
  server.server_id = 1;
  server.name = "shop-primary";
  server.version = ServerVersion{Flavor::mariadb, {11, 8, 6}};
  server.reachable = true;
  server.door = "normal port";
  server.sources = {{"sessions", "read", {}, {}, true, 12},
                    {"metadata_locks", "unavailable", "instrument is off", "switch it on", true, {}}};
  audit.servers.push_back(server);
  server = {};
  server.name = "shop-replica";
  server.error = "cannot connect";
  audit.servers.push_back(server);

  RuleResult failure;
  failure.rule = "TRX001";
  failure.category = "transactions";
  failure.severity = Severity::error;
  failure.outcome = Outcome::fail;
  failure.server = "shop-primary";
  failure.subject = "connection 11 (app)\x1b[2J";
  failure.message = "idle in a transaction for 10 min; last statement: SELECT '주문 \xff'\nFROM orders";
  failure.why = "A migration waits behind it.";
  failure.remedy = "KILL 11";
  failure.evidence = {{"idle_s", Value{612.4}},
                      {"limit_s", Value{kUnlimited}},
                      {"size_bytes", Value{std::int64_t{1048576}}},
                      {"gone", Value{}}};
  failure.hazard = "isolation";
  failure.fingerprint = "0123456789abcdef";
  audit.results.push_back(failure);

  RuleResult unknown;
  unknown.rule = "SES001";
  unknown.category = "sessions";
  unknown.outcome = Outcome::unknown;
  unknown.server = unknown.subject = "shop-primary";
  unknown.reason = "MariaDB shows nobody's session variables to others";
  unknown.curable = false;
  audit.results.push_back(unknown);

  RuleResult pass;
  pass.rule = "VAR001";
  pass.category = "variables";
  pass.server = pass.subject = "shop-primary";
  audit.results.push_back(pass);
  RuleResult other = pass;
  other.outcome = Outcome::not_applicable;
  other.reason = "no pool is declared for this server";
  audit.results.push_back(other);
  return audit;
}

}  // namespace

TEST_CASE("text report") { check_golden("audit.txt", render_text(example(), {})); }
TEST_CASE("text report, verbose and in colour") {
  check_golden("audit-verbose.txt", render_text(example(), {true, true, 80}));
}
TEST_CASE("JSON report") { check_golden("audit.json", render_json(example())); }

TEST_CASE("no line of a text report is wider than asked, whatever the server sends") {
  AuditResult audit = example();
  audit.servers[0].name = std::string(90, 'u');
  audit.servers[1].error = std::string(300, 'x');
  audit.results[0].subject = std::string(300, 'y');
  audit.results[0].message += std::string(300, 'z');
  audit.results[0].remedy = "SET GLOBAL init_connect = '" + std::string(300, 'w') + "'";
  audit.results[1].reason = std::string(300, 'v');
  std::istringstream lines(render_text(audit, {false, true, 80}));
  for (std::string line; std::getline(lines, line);) {
    CHECK(display_width(line) <= 80);
    CHECK(line.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("a storm of findings is folded, and counted") {
  AuditResult audit = example();
  const RuleResult finding = audit.results.front();
  audit.results.assign(2000, finding);
  const std::string text = render_text(audit, {});
  CHECK(text.size() < 6000);
  CHECK(text.find("... and 1,990 more of TRX001, error (--verbose lists all)") != std::string::npos);
  CHECK(text.find("2,000 errors") != std::string::npos);
}

TEST_CASE("what could not be judged is named: the rule alone for a whole server, else each subject") {
  AuditResult audit = example();
  audit.servers.resize(1);
  RuleResult unknown = audit.results[1];
  audit.results.clear();
  const auto add = [&](const std::string& rule, const std::string& subject, const std::string& reason) {
    unknown.rule = rule;
    unknown.subject = subject;
    unknown.reason = reason;
    audit.results.push_back(unknown);
  };
  add("SES001", "shop-primary", "nobody shows it");
  add("SES002", "shop-primary", "nobody shows it");
  add("VAR002", "wait_timeout", "somebody has SET it");
  add("CAP001", "max_connections", "size is not known");
  for (int i = 1; i <= 9; ++i) add("CAP002", "account a" + std::to_string(i), "size is not known");
  const std::string text = render_text(audit, {});
  INFO(text);
  CHECK(text.find("  SES001, SES002: nobody shows it\n") != std::string::npos);
  CHECK(text.find("  VAR002 wait_timeout: somebody has SET it\n") != std::string::npos);
  CHECK(text.find("  CAP001 max_connections, CAP002 account a1, account a2, account a3, account a4,\n"
                  "  account a5 and 4 more: size is not known\n") != std::string::npos);
}

TEST_CASE("a storm of unknowns is folded, and counted") {
  AuditResult audit = example();
  RuleResult unknown = audit.results[1];
  audit.results.clear();
  for (int i = 0; i < 500; ++i) {
    unknown.subject = "connection " + std::to_string(i);
    unknown.reason = "no time for " + std::to_string(i);
    audit.results.push_back(unknown);
  }
  const std::string text = render_text(audit, {});
  CHECK(text.size() < 4000);
  CHECK(text.find("... and 490 more of SES001 (--verbose lists all)") != std::string::npos);
  CHECK(text.find("500 unknown") != std::string::npos);
  CHECK(render_text(audit, {false, true, 80}).find("connection 499") != std::string::npos);
}

TEST_CASE("JSON is valid whatever the bytes") {
  const auto json = nlohmann::json::parse(render_json(example()));
  CHECK(json["schema"] == "dbaudit/audit/1");
  CHECK(json["results"][0]["evidence"]["limit_s"] == "unlimited");
  CHECK(json["results"][0]["evidence"]["gone"].is_null());
  CHECK(json["results"][1]["curable"] == false);
  CHECK(json["summary"]["fail"]["error"] == 1);
}

TEST_CASE("rows of a query as table, CSV and JSON") {
  const ResultTable table{{"a", "b"},
                          {{Value{std::int64_t{1}}, Value{std::string("x,\"y\"\n")}}, {Value{}, Value{kUnlimited}}}};
  CHECK(render_csv(table) == "a,b\r\n1,\"x,\"\"y\"\"\n\"\r\n,unlimited\r\n");
  CHECK(render_table(table) == "a     b\n----  ---------\n1     x,\"y\"\\n\nNULL  unlimited\n");
  CHECK(nlohmann::json::parse(render_rows_json(table))[1]["b"] == "unlimited");
}

#include "rules/waiver.h"

#include <doctest/doctest.h>

#include "results.h"

using namespace dbaudit;
using namespace std::chrono_literals;

namespace {

RuleResult result(const std::string& rule, const std::string& subject, Outcome outcome,
                  const std::string& server = "shop-1") {
  return made_result(rule, server, subject, outcome);
}

Waiver waiver(const std::string& rule, const std::string& subject, std::chrono::year_month_day until) {
  Waiver made;
  made.rule = rule;
  made.subject = subject;
  made.reason = "moves next year";
  made.owner = "db-team";
  made.until = until;
  return made;
}

constexpr auto kUntil = 2027y / 1 / 31;
constexpr std::chrono::sys_days kLastDay = kUntil;

AuditResult judged(std::vector<RuleResult> results, const std::vector<Waiver>& waivers,
                   std::chrono::sys_days today = kLastDay, const std::vector<std::string>& declared = {}) {
  AuditResult audit = audit_of(std::move(results));
  AuditedServer& server = audit.servers.emplace_back();
  server.name = "shop-1";
  server.reachable = true;
  mark_waived(audit, waivers, today);
  audit.unused_waivers = unused_waivers(audit, waivers, declared);
  return audit;
}

std::vector<Waiver> parsed(const std::string& text, Problems& problems) {
  const std::optional<TomlValue> root = parse_toml(text, "dbaudit.toml", problems);
  REQUIRE(root);
  TomlReader reader(*root, "dbaudit.toml", "dbaudit.toml", problems);
  std::vector<TomlValue> tables;
  for (const TomlValue* table : reader.tables("waiver")) tables.push_back(*table);
  return parse_waivers(tables, "dbaudit.toml", {"VAR001", "POOL001"}, problems);
}

}  // namespace

TEST_CASE("a waiver holds through its last day, and then the failure counts again and says so") {
  const std::vector<Waiver> waivers{waiver("VAR001", "shop-*", kUntil)};
  for (const int days : {-400, 0, 1}) {
    const bool expired = days > 0;
    const std::chrono::sys_days today = kLastDay + std::chrono::days(days);
    CAPTURE(expired);
    const AuditResult audit = judged({result("VAR001", "shop-1", Outcome::fail)}, waivers, today);
    CHECK(audit.results[0].outcome == (expired ? Outcome::fail : Outcome::waived));
    REQUIRE(audit.results[0].waiver);
    CHECK(audit.results[0].waiver->expired == expired);
    CHECK(audit.results[0].waiver->owner == "db-team");
    CHECK(audit.results[0].waiver->until == "2027-01-31");
    CHECK(audit.unused_waivers.empty());
    CHECK(exit_code(audit, {}) == (expired ? 1 : 0));
    CHECK(summarise(audit).waived == (expired ? 0 : 1));
    CHECK(summarise(audit).errors == (expired ? 1 : 0));
  }
}

TEST_CASE("a waiver is for failures of its rule, subject and server only") {
  Waiver here = waiver("VAR001", "shop-?", kUntil);
  here.server = "db-*";
  const AuditResult audit = judged(
      {
          result("VAR001", "shop-1", Outcome::fail, "db-1"),
          result("VAR001", "shop-1", Outcome::fail, "other"),
          result("VAR001", "shop-10", Outcome::fail, "db-1"),
          result("POOL001", "shop-1", Outcome::fail, "db-1"),
          result("VAR001", "shop-2", Outcome::unknown, "db-1"),
          result("VAR001", "shop-3", Outcome::pass, "db-1"),
      },
      {here});
  const Outcome expected[] = {Outcome::waived, Outcome::fail,    Outcome::fail,
                              Outcome::fail,   Outcome::unknown, Outcome::pass};
  for (std::size_t i = 0; i < audit.results.size(); ++i) {
    CAPTURE(i);
    CHECK(to_string(audit.results[i].outcome) == to_string(expected[i]));
    CHECK(audit.results[i].waiver.has_value() == (i == 0));
  }
}

TEST_CASE("of several waivers the one that holds longest counts, and none of them is unused") {
  const AuditResult audit = judged({result("VAR001", "shop-1", Outcome::fail)},
                                   {waiver("VAR001", "*", 2026y / 1 / 1), waiver("VAR001", "shop-1", kUntil),
                                    waiver("VAR001", "s*", 2025y / 1 / 1)});
  CHECK(audit.results[0].outcome == Outcome::waived);
  CHECK(audit.results[0].waiver->until == "2027-01-31");
  CHECK(audit.unused_waivers.empty());
}

TEST_CASE("a waiver is unused only where everything it may be for was seen") {
  const std::vector<Waiver> waivers{waiver("VAR001", "shop-1", kUntil)};
  CHECK(judged({result("VAR001", "shop-1", Outcome::pass)}, waivers).unused_waivers.size() == 1);
  CHECK(judged({result("VAR001", "other", Outcome::fail)}, waivers).unused_waivers.size() == 1);
  CHECK(judged({result("VAR001", "shop-1", Outcome::unknown)}, waivers).unused_waivers.empty());
  CHECK(judged({result("VAR001", "other", Outcome::pass), result("VAR001", "shop-2", Outcome::unknown)}, waivers)
            .unused_waivers.empty());
  CHECK(judged({result("POOL001", "shop-1", Outcome::pass)}, waivers).unused_waivers.empty());  // --only POOL001
  CHECK(judged({result("VAR001", "shop-1", Outcome::not_applicable)}, waivers).unused_waivers.empty());
  CHECK(judged({result("VAR001", "shop-1", Outcome::not_applicable), result("VAR001", "other", Outcome::pass)}, waivers)
            .unused_waivers.size() == 1);  // what does not apply cannot fail
  Waiver elsewhere = waivers.front();
  elsewhere.server = "other-*";
  CHECK(judged({result("VAR001", "shop-1", Outcome::pass)}, {elsewhere}).unused_waivers.empty());
}

TEST_CASE("a waiver may be needed where this run did not look, and by what a change mends") {
  const std::vector<Waiver> waivers{waiver("VAR001", "shop-1", kUntil)};
  const RuleResult pass = result("VAR001", "shop-1", Outcome::pass);
  CHECK(judged({pass}, waivers, kLastDay, {"shop-1"}).unused_waivers.size() == 1);
  CHECK(judged({pass}, waivers, kLastDay, {"shop-1", "left-out"}).unused_waivers.empty());
  std::vector<Waiver> of_one = waivers;
  of_one.front().server = "shop-*";
  CHECK(judged({pass}, of_one, kLastDay, {"shop-1", "left-out"}).unused_waivers.size() == 1);
  RuleResult fixed = pass;
  fixed.change = Change::fixed;
  CHECK(judged({fixed}, waivers).unused_waivers.empty());
}

TEST_CASE("what is wrong with waivers is said all at once") {
  Problems problems;
  const auto waivers = parsed(R"(
[[waiver]]
rule = "VAR001"
subject = "shop-*"
reason = "r"
owner = "o"
until = 2027-01-31

[[waiver]]
rule = "VAR01"
reason = "r"
until = "2027-01-31"
sunject = "x"

[[waiver]]
rule = "POOL001"
owner = "o"
reason = ""

[[waiver]]
rule = "VAR001"
reason = "r"
owner = "o"
until = 2027-01-31T10:00:00Z
)",
                              problems);
  CHECK(waivers.size() == 4);
  CHECK(waivers[0].line == 2);
  CHECK(to_string(waivers[0].until) == "2027-01-31");
  const std::string text = problems.text();
  CAPTURE(text);
  for (const std::string said : {"dbaudit.toml:10: ", "no rule 'VAR01'; did you mean 'VAR001'?", "'owner' is missing",
                                 "a date such as 2027-01-31, without quotes", "sunject", "'until' is missing",
                                 "dbaudit.toml:24: [[waiver]]: 'until' must be a date"})
    CHECK_MESSAGE(text.find(said) != std::string::npos, said);
}

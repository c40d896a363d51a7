#include "rules/compare.h"

#include <doctest/doctest.h>

#include "results.h"

using namespace dbaudit;

namespace {

RuleResult result(const std::string& subject, Outcome outcome, Severity severity = Severity::error) {
  return made_result("AAA001", "db", subject, outcome, severity);
}

}  // namespace

TEST_CASE("what a change makes of each outcome") {
  const struct {
    const char* what;
    Outcome before;
    Outcome after;
    Change change;
  } cases[] = {
      {"fails as before", Outcome::fail, Outcome::fail, Change::same},
      {"fails now", Outcome::pass, Outcome::fail, Change::introduced},
      {"was not known, fails", Outcome::unknown, Outcome::fail, Change::introduced},
      {"passes now", Outcome::fail, Outcome::pass, Change::fixed},
      {"passes as before", Outcome::pass, Outcome::pass, Change::same},
      {"was not known, passes", Outcome::unknown, Outcome::pass, Change::same},
      {"is not known any more", Outcome::fail, Outcome::unknown, Change::introduced},
      {"is not known as before", Outcome::unknown, Outcome::unknown, Change::same},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    AuditResult after = audit_of({result("x", c.after)});
    mark_changes(after, audit_of({result("x", c.before)}));
    REQUIRE(after.results.size() == 1);
    CHECK(to_string(*after.results[0].change) == to_string(c.change));
  }
}

TEST_CASE("a warning that becomes an error is new") {
  AuditResult after = audit_of({result("x", Outcome::fail, Severity::error)});
  mark_changes(after, audit_of({result("x", Outcome::fail, Severity::warning)}));
  CHECK(to_string(*after.results[0].change) == "new");
}

TEST_CASE("a finding whose subject is gone is fixed, unless nobody can tell") {
  const AuditResult before = audit_of({result("gone", Outcome::fail)});
  AuditResult after = audit_of({result("other", Outcome::pass)});
  mark_changes(after, before);
  REQUIRE(after.results.size() == 2);
  CHECK(after.results[1].subject == "gone");
  CHECK(to_string(*after.results[1].change) == "fixed");
  CHECK(after.results[1].outcome == Outcome::pass);
  AuditResult blind = audit_of({result("db", Outcome::unknown)});
  mark_changes(blind, before);
  CHECK(blind.results.size() == 1);
}

TEST_CASE("what another rule reports in its place is not fixed") {
  AuditResult after = audit_of({result("x", Outcome::pass)});
  after.results[0].instead = "AAA000";
  mark_changes(after, audit_of({result("x", Outcome::fail)}));
  CHECK(to_string(*after.results[0].change) == "same");
}

TEST_CASE("only what is new counts, when asked for that") {
  AuditResult after = audit_of({result("old", Outcome::fail), result("blind", Outcome::unknown)});
  mark_changes(after, audit_of({result("old", Outcome::fail), result("blind", Outcome::unknown)}));
  CHECK(exit_code(after, {Severity::error, false, false}) == 1);
  CHECK(exit_code(after, {Severity::error, false, true}) == 0);
}

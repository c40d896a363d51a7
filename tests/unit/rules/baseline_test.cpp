#include "rules/baseline.h"

#include <doctest/doctest.h>

#include "results.h"

using namespace dbaudit;

TEST_CASE("a baseline is written and read again, whatever is in its names") {
  const AuditResult found = audit_of({made_result("VAR001", "b", "lock_wait_timeout", Outcome::fail),
                                      made_result("TRX001", "a", "has\ttab\nand line", Outcome::fail),
                                      made_result("TRX002", "a", "waived", Outcome::waived),
                                      made_result("TRX003", "a", "unknown", Outcome::unknown)});
  const std::string text = render_baseline(baseline_of(found));
  Problems problems;
  const std::vector<BaselineEntry> entries = parse_baseline(text, "base.txt", problems);
  CHECK(problems.text() == "");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].rule == "TRX001");  // in order
  CHECK(entries[0].fingerprint == found.results[1].fingerprint);
  CHECK(entries[1].subject == "lock_wait_timeout");
  CHECK(render_baseline(entries) == text);
}

TEST_CASE("only what is new counts") {
  AuditResult found = audit_of({made_result("VAR001", "a", "x", Outcome::fail)});
  const std::vector<BaselineEntry> entries = baseline_of(found);
  mark_known(found, entries);
  CHECK(found.results[0].known == true);
  CHECK(exit_code(found, {}) == 0);
  CHECK(summarise(found).known == 1);
  CHECK(summarise(found).errors == 1);

  AuditResult more =
      audit_of({made_result("VAR001", "a", "x", Outcome::fail), made_result("VAR001", "a", "y", Outcome::fail),
                made_result("VAR001", "a", "z", Outcome::pass)});
  mark_known(more, entries);
  CHECK(more.results[1].known == false);
  CHECK_FALSE(more.results[2].known.has_value());
  CHECK(exit_code(more, {}) == 1);

  // What was a warning and is an error now is new; so is what a waiver no longer covers.
  AuditResult worse = audit_of({made_result("VAR001", "a", "x", Outcome::fail)});
  std::vector<BaselineEntry> milder = entries;
  milder[0].severity = Severity::warning;
  mark_known(worse, milder);
  CHECK(worse.results[0].known == false);
  AuditResult expired = audit_of({made_result("VAR001", "a", "x", Outcome::fail)});
  expired.results[0].waiver = WaivedBy{"r", "o", "2001-01-01", true};
  mark_known(expired, entries);
  CHECK(expired.results[0].known == false);
  CHECK(exit_code(expired, {}) == 1);

  // What cannot be seen is not known from before.
  AuditResult blind = audit_of({made_result("VAR001", "a", "x", Outcome::unknown)});
  mark_known(blind, entries);
  CHECK(exit_code(blind, {}) == 3);
}

TEST_CASE("pruning takes out only what was seen to be gone, and adds nothing") {
  const std::vector<BaselineEntry> entries = baseline_of(audit_of(
      {made_result("VAR001", "a", "x", Outcome::fail), made_result("VAR001", "b", "x", Outcome::fail),
       made_result("TRX001", "a", "17", Outcome::fail), made_result("TRX002", "a", "17", Outcome::fail),
       made_result("POOL001", "a", "shop", Outcome::fail), made_result("POOL002", "a", "shop", Outcome::fail)}));
  const std::vector<BaselineEntry> kept = pruned_baseline(
      entries, audit_of({made_result("VAR001", "a", "x", Outcome::fail),                // still there; b was not read
                         made_result("TRX001", "a", "18", Outcome::fail),               // new; the old one is gone
                         made_result("TRX002", "a", "a", Outcome::unknown),             // cannot be seen
                         made_result("POOL001", "a", "shop", Outcome::waived),          // waived in the meantime
                         made_result("POOL002", "a", "a", Outcome::not_applicable)}));  // without --pools
  std::vector<std::string> names;
  for (const BaselineEntry& entry : kept) names.push_back(entry.rule + " " + entry.server + " " + entry.subject);
  CHECK(names ==
        std::vector<std::string>{"VAR001 a x", "VAR001 b x", "TRX002 a 17", "POOL001 a shop", "POOL002 a shop"});
}

TEST_CASE("a broken baseline is refused with its lines") {
  Problems problems;
  CHECK(parse_baseline("# dbaudit baseline 1\n\n# a "
                       "remark\nzzz\terror\tVAR001\ta\tx\n0123456789abcdef\terror\tVAR001\ta\tx\r\n0123\n",
                       "base.txt", problems)
            .size() == 1);
  CHECK(problems.text().find("base.txt:4: ") != std::string::npos);
  CHECK(problems.text().find("base.txt:6: ") != std::string::npos);
  Problems newer;
  CHECK(parse_baseline("# dbaudit baseline 2\n", "base.txt", newer).empty());
  CHECK(newer.text().find("base.txt:1: ") != std::string::npos);
}

#include "report/locks_changes.h"

#include <doctest/doctest.h>

#include "stall.h"

namespace dbaudit {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("one leaves and another comes") {
  const LockReport before = finished(stall(1));
  CHECK(lock_changes(before, before) == "nothing has changed");
  LockFacts facts = stall(1);
  for (LockSession& one : facts.sessions) one.connection_id += one.connection_id == 100 ? 7 : 0;
  facts.metadata_locks.back().connection_id = 107;
  CHECK(lock_changes(before, finished(facts)) == "1 more wait: 107; 1 no longer wait: 100");
  const std::string crowd = lock_changes(before, finished(stall(500)));
  CHECK(has(crowd, "499 more wait: "));
  CHECK(has(crowd, " and 496 more"));
  CHECK(crowd.size() < 200);
}

TEST_CASE("somebody waits for something else") {
  LockFacts facts = stall(1);
  const LockReport before = finished(facts);
  facts.row_waits.front().name = "prices";
  CHECK(lock_changes(before, finished(facts)) == "1 wait for something else: 41");
}

TEST_CASE("another prepared transaction, another first suspect") {
  LockFacts facts = stall(1);
  facts.transactions[1].connection_id.reset();
  facts.row_waits.front().blocking_id.reset();
  const LockReport before = finished(facts);
  facts.transactions[1].trx_id = facts.row_waits.front().blocking_trx_id = "77";
  CHECK(lock_changes(before, finished(facts)) ==
        "new root: a prepared XA transaction without a session; gone: a prepared XA transaction without a session");

  LockFacts hidden = half_blind();
  const LockReport first = finished(hidden);
  hidden.sessions[0].connection_id = 13;
  hidden.transactions[0].connection_id = 13;
  CHECK(lock_changes(first, finished(hidden)) == "first suspect: connection 13 (ann@10.0.0.5:52011)");
}

}  // namespace
}  // namespace dbaudit

// The sentences that the reports of `dbaudit locks` share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "locks/lock_report.h"

namespace dbaudit {

// Whom to talk to about the waits that are not brief.
struct LockCulprits {
  std::vector<const LockRoot*> roots;     // those who hold up somebody; the only one who is there comes last
  std::vector<const LockRoot*> suspects;  // of the waits that no root explains
  std::size_t explained = 0;              // waits behind a root that is known
  std::size_t unexplained = 0;            // and the others
};

// Waits that are counted and not shown one by one, by what they are for, most first: at most `at_most` objects, and
// the rest as one, "197 other objects".
struct LockFold {
  std::string object;
  std::size_t count = 0;
};
std::vector<LockFold> bounded_folds(const std::map<std::string, std::size_t>& folded, std::size_t at_most);

// At most `at_most` of them, "and 12 more".
// `unlisted`: how many more there are than `names`.
std::string some_of(std::vector<std::string> names, std::size_t at_most, std::size_t unlisted = 0);

class LockWords {
 public:
  explicit LockWords(const LockReport& report) : report_(report) {}

  [[nodiscard]] LockCulprits culprits() const;
  [[nodiscard]] static std::string suspects_title(const LockCulprits& culprits);
  [[nodiscard]] std::string verdict() const;                       // who waits, for whom, and how sure that is
  [[nodiscard]] std::string who(std::size_t node) const;           // "connection 11 (app@10.0.0.5:52110)"
  [[nodiscard]] std::string headline(const LockRoot& root) const;  // who, program, state, times
  [[nodiscard]] std::string advice(const LockRoot& root) const;    // whom to ask, what ends it, what that undoes
  [[nodiscard]] std::string holds(const LockRoot& root) const;     // "holds SHARED_READ on shop.orders", or nothing
  [[nodiscard]] std::string state(const LockRoot& root) const;
  [[nodiscard]] std::string object(const LockQueue& queue) const;  // "shop.orders", "the global read lock"
  [[nodiscard]] std::string wait(const LockWait& wait) const;      // one waiter, in one line

  // The parts of that, for reports that draw; each empty where it is not known.
  [[nodiscard]] std::string waited(const LockWait& wait) const;      // "up to 9 s"
  [[nodiscard]] std::string wanted(const LockQueue& queue) const;    // "EXCLUSIVE on shop.orders"
  [[nodiscard]] std::string in_its_way(const LockWait& wait) const;  // "3 in its way", of more than one
  [[nodiscard]] std::string statement(const LockWait& wait) const;
  [[nodiscard]] std::string what_blocks(const Blocker& blocker) const;  // "SHARED_READ held", "... queued ahead"
  [[nodiscard]] std::string circumstances(const LockRoot& root) const;  // program, person, state, times, certainty
  [[nodiscard]] std::string blocks(const LockRoot& root) const;         // "blocks 5 sessions"

 private:
  [[nodiscard]] std::string waiting_advice(const LockRoot& root) const;
  [[nodiscard]] std::string judgement() const;
  [[nodiscard]] std::string held_up_by(const LockCulprits& culprits) const;
  [[nodiscard]] std::string circle() const;
  [[nodiscard]] std::string unexplained(const LockCulprits& culprits) const;

  const LockReport& report_;
};

}  // namespace dbaudit

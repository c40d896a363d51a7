// The sentences that the reports of `dbaudit locks` share.
#pragma once

#include <string>

#include "locks/lock_report.h"

namespace dbaudit {

class LockWords {
 public:
  explicit LockWords(const LockReport& report) : report_(report) {}

  [[nodiscard]] std::string verdict() const;                       // who waits, for whom, and how sure that is
  [[nodiscard]] std::string who(std::size_t node) const;           // "connection 11 (app@10.0.0.5:52110)"
  [[nodiscard]] std::string headline(const LockRoot& root) const;  // who, program, state, times
  [[nodiscard]] std::string advice(const LockRoot& root) const;    // whom to ask, what ends it, what that undoes
  [[nodiscard]] std::string holds(const LockRoot& root) const;
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

  const LockReport& report_;
};

}  // namespace dbaudit

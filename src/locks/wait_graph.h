// Who waits for whom, over every layer of locks: metadata, InnoDB rows and tables, table level, global read lock,
// backup, user and commit locks. Pure: facts in, graph out.
//
// Waiters do not point at holders one by one: all who ask for the same lock on the same object share one LockQueue,
// which names each holder once. So 500 waiters behind 2,000 readers are 2,500 entries, not a million.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "locks/lock_facts.h"

namespace dbaudit {

enum class WaitKind { metadata, row, table, global_read, backup, user, commit };
std::string to_string(WaitKind kind);

enum class How {
  granted,       // it holds the lock
  queued_ahead,  // it waits itself, and its request goes first
};
std::string to_string(How how);

enum class Certainty { observed, inferred };
std::string to_string(Certainty certainty);

// A connection, a background thread, or a prepared XA transaction whose session is gone.
struct LockNode {
  std::optional<std::int64_t> connection_id;
  std::optional<std::int64_t> thread_id;  // of a detached transaction (MySQL)
  std::optional<std::string> trx_id;      // of a detached transaction, where it is known
  bool detached = false;
  std::optional<std::size_t> session;  // index into LockFacts::sessions
};

struct LockObject {
  std::string type;  // performance_schema's words
  std::string schema;
  std::string name;

  bool operator==(const LockObject&) const = default;
};

struct Blocker {
  std::size_t node = 0;
  std::string lock;
  How how = How::granted;
  Certainty certainty = Certainty::observed;
  std::string inferred_from;  // of an inferred one: from what
  bool candidate = false;     // only one of the queue's candidates holds the lock; the server does not tell which
};

struct LockQueue {
  WaitKind kind = WaitKind::metadata;
  LockObject object;
  std::string requested;          // empty: not known
  std::vector<Blocker> blockers;  // each node once. A waiter that is among them does not wait for itself
  std::vector<std::size_t> waits;
  std::size_t unlisted = 0;  // further candidates beyond kMostCandidates
  bool one_of_them = false;  // all blockers are candidates
};

// Any of a thousand readers may be the one: the oldest of them stand for all.
inline constexpr std::size_t kMostCandidates = 50;

struct LockWait {
  std::size_t node = 0;
  std::size_t queue = 0;
  std::optional<double> wait_s;
  bool wait_is_exact = false;  // else at most that long: the time of the whole statement
};

struct WaitGraph {
  std::vector<LockNode> nodes;
  std::vector<LockQueue> queues;
  std::vector<LockWait> waits;  // of connections, longest first
};

WaitGraph build_wait_graph(const LockFacts& facts);

// A wait's blockers without the waiter itself, and how many there are.
std::vector<const Blocker*> blockers_of(const WaitGraph& graph, const LockWait& wait, std::size_t at_most);
std::size_t count_blockers(const WaitGraph& graph, const LockWait& wait);

}  // namespace dbaudit

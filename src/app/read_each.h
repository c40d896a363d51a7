// Reading several servers at once, each on a thread of its own, so that one that hangs holds up nobody.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "collect/collect.h"
#include "facts/store.h"

namespace dbaudit {

// Connections at the same time: in all, and to one address (host and port, or socket), whatever its names. Most of them
// may be waiting for hosts that never answer, so fewer are read at a time.
inline constexpr std::size_t kThreads = 64;
inline constexpr std::size_t kThreadsOfAddress = 4;
inline constexpr std::size_t kStores = 16;

// Makes a store without facts whose declared tables (pools, human clients) are filled.
using StoreFactory = std::function<Store()>;

// Gets the facts of one server, the request `index`, as server 1 of a store that also has the declared tables. The
// store is used again for the next server; only of a single request may it be taken away.
using TakeFacts = std::function<void(std::size_t index, Store& store)>;

struct ReadEach {
  // Called on this thread while the first server is being connected; the other stores are copies of what it makes.
  StoreFactory make;
  // Called as soon as a server is read, on the thread that read it: for several servers at once.
  TakeFacts take;
  // Called on that thread with the store while the server works out its first answers, if it gives any; may be empty.
  WhileItAnswers meanwhile{};
};

// Calls `take` once for each of `requests`. A server that is not done by its deadline is a fact like any other: not
// reached. Its thread may still be writing, so that is told of in a store that `make` makes, and a second time here.
// Warnings go to stderr.
void read_each(const std::vector<CollectRequest>& requests, const ReadEach& how, const Clock& clock);

// A store with the facts of all servers, under the ids 1, 2, ... in the order of `requests`, on top of the declared
// tables that `make` fills.
Store collect_all(const StoreFactory& make, const std::vector<CollectRequest>& requests, const Clock& clock);

// True when a thread had to be left behind; the program must then end without running destructors.
bool left_threads_behind();

}  // namespace dbaudit

// Reading several servers at once, each on a thread of its own, so that one that hangs holds up nobody.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "collect/collect.h"
#include "facts/store.h"

namespace dbaudit {

inline constexpr std::size_t kThreads = 8;  // connections at the same time

// Makes a store without facts whose declared tables (pools, human clients) are filled.
using StoreFactory = std::function<Store()>;

// Returns a store with the facts of all servers, in the order of `requests`, on top of the declared tables of a store
// that `make` makes, on the calling thread, while the first server is being connected. A server that is not done by the
// deadline is a fact like any other: not reached. Its thread may still be writing, so when that is the first one,
// `make` is called again. Warnings go to stderr.
Store collect_all(const StoreFactory& make, const std::vector<CollectRequest>& requests, const Clock& clock);

// True when a thread had to be left behind; the program must then end without running destructors.
bool left_threads_behind();

}  // namespace dbaudit

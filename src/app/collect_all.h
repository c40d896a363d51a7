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

// Returns a store with the facts of all servers, in the order of `requests`, on top of the declared tables of `store`.
// A server that is not done by the deadline is a fact like any other: not reached. Its thread may still be writing, so
// `fresh` then makes another store. Warnings go to stderr.
Store collect_all(Store store, const StoreFactory& fresh, const std::vector<CollectRequest>& requests,
                  const Clock& clock);

// True when a thread had to be left behind; the program must then end without running destructors.
bool left_threads_behind();

}  // namespace dbaudit

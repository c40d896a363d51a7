// The wait-for graph as the drawn reports show it: a tree from each root, every wait once, long lists folded.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "locks/lock_report.h"

namespace dbaudit {

struct DrawnItem {
  enum class Kind {
    root,
    suspect,
    cycle,  // waits itself, in a circle
    waiter,
    again,       // stands elsewhere in the drawing: `node` says where, by its own item
    more_waits,  // `count` waits for `object` that are not drawn one by one
    more_roots,  // `count` roots that are not drawn
    more_suspects,
    nobody,  // stands for the holder that the server does not show
  };
  Kind kind = Kind::waiter;
  std::size_t depth = 0;
  std::optional<std::size_t> parent;  // index into the drawing; always an earlier one
  std::optional<std::size_t> node;    // index into WaitGraph::nodes
  const LockRoot* root = nullptr;     // of root, suspect and cycle
  const LockWait* wait = nullptr;     // why it stands below its parent
  const Blocker* behind = nullptr;    // what the parent has that is in its way
  std::string object;
  std::size_t count = 0;
};

// Parents before children, and children in one piece behind their parent. Points into `report`.
std::vector<DrawnItem> draw_locks(const LockReport& report);

}  // namespace dbaudit

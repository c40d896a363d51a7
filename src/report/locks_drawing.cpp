#include "report/locks_drawing.h"

#include <algorithm>
#include <map>

#include "report/locks_words.h"

namespace dbaudit {
namespace {

constexpr std::size_t kDrawnRoots = 10;
constexpr std::size_t kDrawnSuspects = 5;
constexpr std::size_t kDrawnWaits = 5;      // below one blocker, of those behind whom nobody waits
constexpr std::size_t kDrawnInTheWay = 15;  // ... and of those behind whom somebody does
constexpr std::size_t kDrawnFolds = 5;      // objects below one blocker, whose waits are only counted
constexpr std::size_t kMostItems = 120;     // beyond them, a blocker's others are one item
constexpr std::size_t kMostDepth = 10;

using Kind = DrawnItem::Kind;

class Drawing {
 public:
  explicit Drawing(const LockReport& report)
      : report_(report),
        words_(report),
        forest_(grow_forest(report)),
        root_of_(report.graph.nodes.size(), nullptr),
        drawn_(report.graph.nodes.size(), false),
        counted_(report.graph.nodes.size(), false) {
    for (const LockRoot& root : report_.roots) root_of_[root.node] = &root;
  }

  std::vector<DrawnItem> run() {
    trees(report_.roots, kDrawnRoots, Kind::root);
    trees(report_.suspects, kDrawnSuspects, Kind::suspect);
    if (!forest_.orphans.empty()) {
      const std::size_t nobody = add(Kind::nobody, std::nullopt);
      children(forest_.orphans, nobody);
    }
    return std::move(items_);
  }

 private:
  std::size_t add(Kind kind, std::optional<std::size_t> parent) {
    DrawnItem item;
    item.kind = kind;
    item.parent = parent;
    item.depth = parent ? items_[*parent].depth + 1 : 0;
    items_.push_back(std::move(item));
    return items_.size() - 1;
  }

  void trees(const std::vector<LockRoot>& roots, std::size_t at_most, Kind kind) {
    std::size_t shown = 0;
    std::size_t more = 0;
    std::map<std::string, std::size_t> folded;
    for (const LockRoot& root : roots) {
      if (drawn_[root.node]) continue;
      if (shown == at_most || items_.size() >= kMostItems) {
        ++more;
        count_below(forest_.below[root.node], folded);
        continue;
      }
      ++shown;
      const std::size_t item = add(root.cycle ? Kind::cycle : kind, std::nullopt);
      items_[item].node = root.node;
      items_[item].root = &root;
      drawn_[root.node] = true;
      children(forest_.below[root.node], item);
    }
    if (kind != Kind::root) more += report_.unlisted_suspects;
    if (more == 0) return;
    const std::size_t item = add(kind == Kind::root ? Kind::more_roots : Kind::more_suspects, std::nullopt);
    items_[item].count = more;
    fold(folded, item);
  }

  // NOLINTNEXTLINE(misc-no-recursion): no deeper than kMostDepth
  void children(const std::vector<std::size_t>& waits, std::size_t parent) {
    std::map<std::string, std::size_t> folded;
    std::size_t idle = 0;
    std::size_t in_the_way = 0;
    for (const std::size_t w : waits) {
      const LockWait& wait = report_.graph.waits[w];
      const std::vector<std::size_t>& below = forest_.below[wait.node];
      const bool full = below.empty() ? idle == kDrawnWaits : in_the_way == kDrawnInTheWay;
      if (full || items_.size() >= kMostItems || items_[parent].depth + 1 >= kMostDepth) {
        ++folded[words_.object(report_.graph.queues[wait.queue])];
        if (enter(wait.node)) count_below(below, folded);
        continue;
      }
      ++(below.empty() ? idle : in_the_way);
      draw_wait(wait, parent);
    }
    fold(folded, parent);
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  void draw_wait(const LockWait& wait, std::size_t parent) {
    const LockRoot* root = root_of_[wait.node];
    const bool again = drawn_[wait.node];
    const std::size_t item = add(again ? Kind::again : root != nullptr ? Kind::cycle : Kind::waiter, parent);
    items_[item].node = wait.node;
    items_[item].root = again ? nullptr : root;
    items_[item].wait = &wait;
    for (const Blocker& blocker : report_.graph.queues[wait.queue].blockers) {
      if (items_[parent].node == blocker.node) items_[item].behind = &blocker;
    }
    if (again) return;
    drawn_[wait.node] = true;
    if (!counted_[wait.node]) children(forest_.below[wait.node], item);
  }

  void fold(const std::map<std::string, std::size_t>& folded, std::size_t parent) {
    for (const LockFold& fold : bounded_folds(folded, items_.size() < kMostItems ? kDrawnFolds : 0)) {
      const std::size_t item = add(Kind::more_waits, parent);
      items_[item].object = fold.object;
      items_[item].count = fold.count;
    }
  }

  // Whether those behind a folded waiter are still to be counted. Members of a cycle have trees of their own.
  bool enter(std::size_t node) {
    if (drawn_[node] || counted_[node] || root_of_[node] != nullptr) return false;
    counted_[node] = true;
    return true;
  }

  // Everybody behind `waits` that nothing else shows. In a cycle that leads back, so each node is entered once.
  void count_below(std::vector<std::size_t> waits, std::map<std::string, std::size_t>& folded) {
    for (std::size_t i = 0; i < waits.size(); ++i) {
      const LockWait& wait = report_.graph.waits[waits[i]];
      ++folded[words_.object(report_.graph.queues[wait.queue])];
      if (!enter(wait.node)) continue;
      const std::vector<std::size_t>& below = forest_.below[wait.node];
      waits.insert(waits.end(), below.begin(), below.end());
    }
  }

  const LockReport& report_;
  LockWords words_;
  WaitForest forest_;
  std::vector<const LockRoot*> root_of_;
  std::vector<bool> drawn_;    // has an item
  std::vector<bool> counted_;  // those behind it are in the number of a folded list
  std::vector<DrawnItem> items_;
};

}  // namespace

std::vector<DrawnItem> draw_locks(const LockReport& report) { return Drawing(report).run(); }

}  // namespace dbaudit

// From the graph to the sessions that end a stall: roots, cycles, and how many wait behind each.
#include <algorithm>
#include <map>
#include <unordered_set>

#include "locks/lock_report.h"

namespace dbaudit {
namespace {

bool stands_in_the_way(const WaitGraph& graph, const LockQueue& queue, const Blocker& blocker) {
  return std::any_of(queue.waits.begin(), queue.waits.end(),
                     [&](std::size_t w) { return graph.waits[w].node != blocker.node; });
}

bool tells_not_which(const LockQueue& queue) { return queue.one_of_them && queue.blockers.size() > 1; }

// For each node the queues in which it stands in somebody's way.
std::vector<std::vector<std::size_t>> blocked_queues(const WaitGraph& graph) {
  std::vector<std::vector<std::size_t>> queues(graph.nodes.size());
  for (std::size_t q = 0; q < graph.queues.size(); ++q) {
    for (const Blocker& blocker : graph.queues[q].blockers) {
      if (stands_in_the_way(graph, graph.queues[q], blocker)) queues[blocker.node].push_back(q);
    }
  }
  return queues;
}

// Strongly connected components over nodes and queues (Tarjan, without recursion). A component with two sessions or
// more is a deadlock; one session and its own queue is an ALTER that holds SHARED_UPGRADABLE, and none.
class Components {
 public:
  explicit Components(const WaitGraph& graph) : graph_(graph), waits_of_(graph.nodes.size()) {
    for (const LockWait& wait : graph.waits) waits_of_[wait.node].push_back(wait.queue);
  }

  std::vector<std::vector<std::size_t>> run() {
    state_.resize(graph_.nodes.size() + graph_.queues.size());
    for (std::size_t node = 0; node < graph_.nodes.size(); ++node) {
      if (!waits_of_[node].empty() && state_[node].order == 0) visit(node);
    }
    return std::move(cycles_);
  }

 private:
  struct State {
    std::size_t order = 0;
    std::size_t low = 0;
    bool on_stack = false;
  };

  // Vertices are nodes, then queues. Only those who wait themselves can be part of a cycle.
  [[nodiscard]] std::size_t degree(std::size_t vertex) const {
    if (vertex < graph_.nodes.size()) return waits_of_[vertex].size();
    return graph_.queues[vertex - graph_.nodes.size()].blockers.size();
  }
  // Who is one of several proves no cycle.
  [[nodiscard]] bool is_edge(std::size_t vertex, std::size_t i) const {
    return vertex < graph_.nodes.size() || !graph_.queues[vertex - graph_.nodes.size()].blockers[i].candidate;
  }
  [[nodiscard]] std::size_t neighbour(std::size_t vertex, std::size_t i) const {
    if (vertex < graph_.nodes.size()) return graph_.nodes.size() + waits_of_[vertex][i];
    return graph_.queues[vertex - graph_.nodes.size()].blockers[i].node;
  }

  void visit(std::size_t start) {
    std::vector<std::pair<std::size_t, std::size_t>> path;  // vertex, next neighbour
    enter(start, path);
    while (!path.empty()) {
      auto& [vertex, next] = path.back();
      if (next < degree(vertex)) {
        const std::size_t i = next++;
        if (!is_edge(vertex, i)) continue;
        const std::size_t other = neighbour(vertex, i);
        if (state_[other].order == 0) {
          enter(other, path);
        } else if (state_[other].on_stack) {
          state_[vertex].low = std::min(state_[vertex].low, state_[other].order);
        }
        continue;
      }
      const std::size_t done = vertex;
      path.pop_back();
      if (!path.empty()) state_[path.back().first].low = std::min(state_[path.back().first].low, state_[done].low);
      if (state_[done].low == state_[done].order) take_component(done);
    }
  }

  void enter(std::size_t vertex, std::vector<std::pair<std::size_t, std::size_t>>& path) {
    state_[vertex] = {++counter_, counter_, true};
    stack_.push_back(vertex);
    path.emplace_back(vertex, 0);
  }

  void take_component(std::size_t root) {
    std::vector<std::size_t> members;
    while (true) {
      const std::size_t vertex = stack_.back();
      stack_.pop_back();
      state_[vertex].on_stack = false;
      if (vertex < graph_.nodes.size()) members.push_back(vertex);
      if (vertex == root) break;
    }
    if (members.size() > 1) {
      std::sort(members.begin(), members.end());
      cycles_.push_back(std::move(members));
    }
  }

  const WaitGraph& graph_;
  std::vector<std::vector<std::size_t>> waits_of_;
  std::vector<State> state_;
  std::vector<std::size_t> stack_;
  std::size_t counter_ = 0;
  std::vector<std::vector<std::size_t>> cycles_;
};

// All waits behind `node`, nearest first.
std::vector<std::size_t> reach(const WaitGraph& graph, const std::vector<std::vector<std::size_t>>& queues_of,
                               std::size_t node) {
  std::vector<std::size_t> order;
  std::unordered_set<std::size_t> seen_queues;
  std::unordered_set<std::size_t> seen_nodes{node};
  std::vector<std::size_t> next{node};
  for (std::size_t i = 0; i < next.size(); ++i) {
    for (const std::size_t q : queues_of[next[i]]) {
      // A waiter that stands in its own queue's way does not wait for itself; the queue may be entered again.
      if (!seen_queues.insert(q).second) continue;
      for (const std::size_t w : graph.queues[q].waits) {
        if (!seen_nodes.insert(graph.waits[w].node).second) continue;
        order.push_back(w);
        next.push_back(graph.waits[w].node);
      }
    }
  }
  return order;
}

class Roots {
 public:
  explicit Roots(LockReport& report)
      : report_(report), graph_(report.graph), queues_of_(blocked_queues(report.graph)) {}

  void run() {
    report_.cycles = Components(graph_).run();
    std::unordered_set<std::size_t> in_cycle;
    for (const auto& cycle : report_.cycles) in_cycle.insert(cycle.begin(), cycle.end());
    std::unordered_set<std::size_t> waiting;
    for (const LockWait& wait : graph_.waits) waiting.insert(wait.node);
    std::vector<Candidate> candidates(graph_.nodes.size());
    for (const LockQueue& queue : graph_.queues) {
      report_.unlisted_suspects = std::max(report_.unlisted_suspects, queue.unlisted);
      for (const Blocker& blocker : queue.blockers) {
        if (stands_in_the_way(graph_, queue, blocker)) candidates[blocker.node].note(queue, blocker);
      }
    }
    for (std::size_t node = 0; node < graph_.nodes.size(); ++node) {
      const bool cycle = in_cycle.contains(node);
      if (queues_of_[node].empty() || (waiting.contains(node) && !cycle)) continue;
      add(node, cycle, candidates[node]);
    }
    const auto by_blocks = [](const LockRoot& a, const LockRoot& b) { return a.blocks > b.blocks; };
    std::stable_sort(report_.roots.begin(), report_.roots.end(), by_blocks);
    std::stable_sort(report_.suspects.begin(), report_.suspects.end(), by_blocks);
  }

 private:
  // What the queues say of one who stands in the way of somebody.
  struct Candidate {
    std::vector<RootLock> holds;
    bool certain = false;
    bool one_of_them = true;
    std::size_t others = 0;  // candidates, itself included

    void note(const LockQueue& queue, const Blocker& blocker) {
      certain = certain || blocker.certainty == Certainty::observed;
      one_of_them = one_of_them && blocker.candidate;
      const auto candidates = std::count_if(queue.blockers.begin(), queue.blockers.end(),
                                            [](const Blocker& other) { return other.candidate; });
      others = std::max(others, static_cast<std::size_t>(candidates) + queue.unlisted);
      const bool known = std::any_of(holds.begin(), holds.end(), [&](const RootLock& lock) {
        return lock.object == queue.object && lock.lock == blocker.lock;
      });
      if (blocker.how == How::granted && !known) holds.push_back({queue.object, blocker.lock});
    }
  };

  void add(std::size_t node, bool cycle, Candidate& candidate) {
    LockRoot root;
    root.node = node;
    root.cycle = cycle;
    root.holds = std::move(candidate.holds);
    root.certainty = candidate.certain ? Certainty::observed : Certainty::inferred;
    const Counts counts = count(node, cycle);
    root.blocks = counts.all;
    root.blocks_directly = counts.directly;
    if (candidate.one_of_them && candidate.others > 1) {
      root.one_of = candidate.others;
      root.reason = "one of " + std::to_string(candidate.others) + " sessions of which one holds the lock";
      report_.suspects.push_back(std::move(root));
    } else {
      report_.roots.push_back(std::move(root));
    }
  }

  struct Counts {
    std::size_t all = 0;
    std::size_t directly = 0;
  };

  // Hundreds of readers of one table stand in the way of the very same queues, and are counted once.
  Counts count(std::size_t node, bool waits) {
    if (const auto known = counted_.find(queues_of_[node]); known != counted_.end() && !waits) return known->second;
    std::unordered_set<std::size_t> direct;
    for (const std::size_t q : queues_of_[node]) {
      for (const std::size_t w : graph_.queues[q].waits) direct.insert(graph_.waits[w].node);
    }
    direct.erase(node);
    const Counts counts{reach(graph_, queues_of_, node).size(), direct.size()};
    if (!waits) counted_.emplace(queues_of_[node], counts);
    return counts;
  }

  LockReport& report_;
  const WaitGraph& graph_;
  std::vector<std::vector<std::size_t>> queues_of_;
  std::map<std::vector<std::size_t>, Counts> counted_;
};

}  // namespace

void find_roots(LockReport& report) { Roots(report).run(); }

std::size_t count_with_those_behind(const WaitGraph& graph, const std::unordered_set<std::size_t>& nodes) {
  const std::vector<std::vector<std::size_t>> queues_of = blocked_queues(graph);
  std::unordered_set<std::size_t> all = nodes;
  std::unordered_set<std::size_t> queues;
  std::vector<std::size_t> next(nodes.begin(), nodes.end());
  for (std::size_t i = 0; i < next.size(); ++i) {
    for (const std::size_t q : queues_of[next[i]]) {
      if (!queues.insert(q).second) continue;
      for (const std::size_t w : graph.queues[q].waits) {
        if (all.insert(graph.waits[w].node).second) next.push_back(graph.waits[w].node);
      }
    }
  }
  return all.size();
}

std::unordered_set<std::size_t> up_from(const WaitGraph& graph, const std::vector<std::size_t>& waits,
                                        bool one_of_several) {
  std::vector<std::vector<std::size_t>> queues_of_waiter(graph.nodes.size());
  for (const LockWait& wait : graph.waits) queues_of_waiter[wait.node].push_back(wait.queue);
  std::unordered_set<std::size_t> nodes;
  std::unordered_set<std::size_t> queues;
  std::vector<std::size_t> next;
  for (const std::size_t w : waits) next.push_back(graph.waits[w].node);
  for (std::size_t i = 0; i < next.size(); ++i) {
    if (!nodes.insert(next[i]).second) continue;
    for (const std::size_t q : queues_of_waiter[next[i]]) {
      const LockQueue& queue = graph.queues[q];
      if (!queues.insert(q).second || (!one_of_several && tells_not_which(queue))) continue;
      for (const Blocker& blocker : queue.blockers) next.push_back(blocker.node);
    }
  }
  return nodes;
}

namespace {

// What a name that the server does not tell leaves open: row waits that only INNODB_TRX shows have none, tables behind
// triggers and views neither.
enum class Match { no, perhaps, yes };

Match match(const LockFacts& facts, const LockObject& object, const std::string& schema, const std::string& table) {
  constexpr std::string_view kInSchema[] = {"TABLE",   "SCHEMA", "FUNCTION",    "PROCEDURE",       "PACKAGE BODY",
                                            "TRIGGER", "EVENT",  "FOREIGN KEY", "CHECK CONSTRAINT"};
  const bool any_schema = object.schema.empty();
  if (any_schema && std::find(std::begin(kInSchema), std::end(kInSchema), object.type) == std::end(kInSchema))
    return Match::no;
  if (!any_schema && folded(facts, object.schema) != folded(facts, schema)) return Match::no;
  if (table.empty()) return any_schema ? Match::perhaps : Match::yes;
  if (object.name.empty()) return object.type == "TABLE" ? Match::perhaps : Match::no;
  if (folded(facts, object.name) != folded(facts, table)) return Match::no;
  return any_schema ? Match::perhaps : Match::yes;
}

// Whether a wait at or above those of `nodes` has nobody in its way that is seen.
bool any_unexplained(const WaitGraph& graph, const std::unordered_set<std::size_t>& nodes) {
  return std::any_of(graph.waits.begin(), graph.waits.end(), [&](const LockWait& wait) {
    return nodes.contains(wait.node) && count_blockers(graph, wait) == 0;
  });
}

}  // namespace

void keep_table(LockReport& report, const std::string& schema, const std::string& table) {
  report.only_for = table.empty() ? schema : schema + "." + table;
  report.elsewhere = std::erase_if(report.shown, [&](std::size_t w) {
    const LockObject& object = report.graph.queues[report.graph.waits[w].queue].object;
    const Match found = match(report.facts, object, schema, table);
    if (found == Match::perhaps) ++report.perhaps;
    return found == Match::no;
  });
  const std::unordered_set<std::size_t> related = up_from(report.graph, report.shown, true);
  // Suspects have no edges: whoever waits for what nobody explains may be behind any of them.
  const bool unexplained = any_unexplained(report.graph, related);
  const auto concerns = [&](const LockRoot& root) {
    if (unexplained && !root.reason.empty()) return true;
    return related.contains(root.node) && (root.reason.empty() || root.one_of > 0);
  };
  std::erase_if(report.roots, [&](const LockRoot& root) { return !concerns(root); });
  std::erase_if(report.suspects, [&](const LockRoot& suspect) { return !concerns(suspect); });
  std::erase_if(report.cycles, [&](const std::vector<std::size_t>& cycle) {
    return std::none_of(report.shown.begin(), report.shown.end(), [&](std::size_t w) {
      return std::binary_search(cycle.begin(), cycle.end(), report.graph.waits[w].node);
    });
  });
}

bool is_brief(const LockReport& report, const LockWait& wait) {
  return wait.wait_s && *wait.wait_s < report.min_wait_s;
}

std::size_t count_waits(const LockReport& report) {
  return static_cast<std::size_t>(std::count_if(report.shown.begin(), report.shown.end(), [&](std::size_t w) {
    return !is_brief(report, report.graph.waits[w]);
  }));
}

std::vector<bool> behind_known_roots(const LockReport& report) {
  const WaitGraph& graph = report.graph;
  const std::vector<std::vector<std::size_t>> queues_of = blocked_queues(graph);
  std::vector<bool> known(graph.nodes.size(), false);
  std::vector<bool> entered(graph.queues.size(), false);
  std::vector<std::size_t> next;
  for (const LockRoot& root : report.roots) {
    if (!root.reason.empty()) continue;
    known[root.node] = true;
    next.push_back(root.node);
  }
  for (std::size_t i = 0; i < next.size(); ++i) {
    for (const std::size_t q : queues_of[next[i]]) {
      if (entered[q] || tells_not_which(graph.queues[q])) continue;
      entered[q] = true;
      for (const std::size_t w : graph.queues[q].waits) {
        const std::size_t waiter = graph.waits[w].node;
        if (!known[waiter]) next.push_back(waiter);
        known[waiter] = true;
      }
    }
  }
  return known;
}

std::size_t count_unexplained(const LockReport& report) {
  const std::vector<bool> known = behind_known_roots(report);
  return static_cast<std::size_t>(std::count_if(report.shown.begin(), report.shown.end(), [&](std::size_t w) {
    const LockWait& wait = report.graph.waits[w];
    return !is_brief(report, wait) && !known[wait.node];
  }));
}

WaitForest grow_forest(const LockReport& report) {
  const WaitGraph& graph = report.graph;
  const std::vector<std::vector<std::size_t>> queues_of = blocked_queues(graph);
  WaitForest forest;
  forest.below.resize(graph.nodes.size());
  std::vector<bool> placed(graph.waits.size(), false);
  std::vector<bool> shown(graph.waits.size(), false);
  for (const std::size_t w : report.shown) shown[w] = true;
  std::vector<bool> entered(graph.queues.size(), false);
  std::vector<std::size_t> next;
  std::vector<bool> seen(graph.nodes.size(), false);
  for (const std::vector<LockRoot>* list : {&report.roots, &report.suspects}) {
    for (const LockRoot& root : *list) {
      if (!seen[root.node]) next.push_back(root.node);
      seen[root.node] = true;
    }
  }
  for (std::size_t i = 0; i < next.size(); ++i) {
    for (const std::size_t q : queues_of[next[i]]) {
      bool all = true;
      if (entered[q]) continue;
      for (const std::size_t w : graph.queues[q].waits) {
        const std::size_t waiter = graph.waits[w].node;
        if (waiter == next[i]) {
          all = false;  // somebody else stands in its way
          continue;
        }
        if (placed[w]) continue;
        placed[w] = true;
        if (shown[w]) forest.below[next[i]].push_back(w);
        if (!seen[waiter]) next.push_back(waiter);
        seen[waiter] = true;
      }
      entered[q] = all;
    }
  }
  for (std::vector<std::size_t>& list : forest.below) std::sort(list.begin(), list.end());
  for (const std::size_t w : report.shown) {
    if (!placed[w]) forest.orphans.push_back(w);
  }
  return forest;
}

}  // namespace dbaudit

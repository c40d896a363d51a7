// The graph as rows, so that rules can judge it.
#include <algorithm>
#include <map>

#include "locks/lock_report.h"

namespace dbaudit {
namespace {

// Cheaper than building the graph, and mostly enough.
constexpr std::string_view kAnybody =
    "SELECT EXISTS (SELECT 1 FROM sessions WHERE server_id = :id AND (state LIKE 'Waiting for %' OR state = 'User "
    "lock')) "
    "OR EXISTS (SELECT 1 FROM metadata_locks WHERE server_id = :id AND lock_status = 'PENDING') "
    "OR EXISTS (SELECT 1 FROM row_lock_waits WHERE server_id = :id) "
    "OR EXISTS (SELECT 1 FROM transactions WHERE server_id = :id AND wait_s IS NOT NULL)";

bool anybody_waits(Store& store, std::int64_t server_id) {
  Query query = store.query(kAnybody);
  query.bind("id", server_id);
  return query.next().value() && query.integer(0) == 1;
}

std::optional<std::string> known(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

// For each wait the root below which it stands; none when that is not known.
std::vector<const LockRoot*> roots_of_waits(const LockReport& report) {
  const WaitForest forest = grow_forest(report);
  const std::vector<bool> known = behind_known_roots(report);  // one of several who may be it is none
  std::vector<const LockRoot*> root_of(report.graph.waits.size());
  for (const LockRoot& root : report.roots) {
    std::vector<std::size_t> nodes{root.node};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      for (const std::size_t w : forest.below[nodes[i]]) {
        if (root_of[w] != nullptr || !known[report.graph.waits[w].node]) continue;
        root_of[w] = &root;
        nodes.push_back(report.graph.waits[w].node);
      }
    }
  }
  return root_of;
}

// For each wait how many hold up those who wait for the same: one of them gone may not be enough.
std::vector<std::size_t> roots_of_objects(const LockReport& report) {
  std::unordered_set<std::size_t> roots;
  for (const LockRoot& root : report.roots) {
    if (root.reason.empty()) roots.insert(root.node);
  }
  std::map<std::vector<std::string>, std::vector<std::size_t>> waits_for;
  for (std::size_t w = 0; w < report.graph.waits.size(); ++w) {
    const LockQueue& queue = report.graph.queues[report.graph.waits[w].queue];
    waits_for[{to_string(queue.kind), queue.object.schema, queue.object.name}].push_back(w);
  }
  std::vector<std::size_t> counts(report.graph.waits.size());
  for (const auto& [object, waits] : waits_for) {
    const std::unordered_set<std::size_t> above = up_from(report.graph, waits, false);
    const auto found = static_cast<std::size_t>(
        std::count_if(above.begin(), above.end(), [&](std::size_t node) { return roots.contains(node); }));
    for (const std::size_t w : waits) counts[w] = found;
  }
  return counts;
}

void insert_roots(Store& store, std::int64_t server_id, const LockReport& report, const std::vector<LockRoot>& roots,
                  bool suspects) {
  Insert insert = store.insert("lock_roots");
  for (const LockRoot& root : roots) {
    insert.row(server_id, report.graph.nodes[root.node].connection_id, root.xid, root.state,
               static_cast<std::int64_t>(root.blocks), static_cast<std::int64_t>(root.blocks_directly),
               to_string(root.certainty), suspects, root.cycle, root.transaction_s, root.idle_s, root.rows_modified,
               root.remedy.empty() ? "wait, it is rolling back already" : root.remedy, known(root.reason));
  }
}

}  // namespace

void store_lock_graph(Store& store, std::int64_t server_id) {
  if (!anybody_waits(store, server_id)) return;
  const LockReport report = analyse_locks(read_lock_facts(store, server_id));
  const std::vector<const LockRoot*> root_of = roots_of_waits(report);
  const std::vector<std::size_t> roots = roots_of_objects(report);
  store.begin();
  {
    Insert insert = store.insert("lock_waits");
    for (std::size_t w = 0; w < report.graph.waits.size(); ++w) {
      const LockWait& wait = report.graph.waits[w];
      const LockQueue& queue = report.graph.queues[wait.queue];
      insert.row(server_id, report.graph.nodes[wait.node].connection_id, to_string(queue.kind), queue.object.type,
                 known(queue.object.schema), known(queue.object.name), known(queue.requested), wait.wait_s,
                 wait.wait_is_exact, static_cast<std::int64_t>(count_blockers(report.graph, wait)),
                 root_of[w] != nullptr ? report.graph.nodes[root_of[w]->node].connection_id : std::nullopt,
                 root_of[w] != nullptr ? std::optional(root_of[w]->state) : std::nullopt,
                 static_cast<std::int64_t>(roots[w]));
    }
  }
  insert_roots(store, server_id, report, report.roots, false);
  insert_roots(store, server_id, report, report.suspects, true);
  store.commit();
}

}  // namespace dbaudit

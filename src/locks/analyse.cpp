#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "locks/lock_report.h"

namespace dbaudit {
namespace {

LockMethod method_of(const LockFacts& facts) {
  if (!facts.was_read("metadata_locks")) return LockMethod::process_list;
  if (!facts.plugin_loaded) return LockMethod::performance_schema;
  return facts.instrument_on ? LockMethod::plugin_and_performance_schema : LockMethod::plugin;
}

std::optional<std::string> better_view_of(const LockFacts& facts, LockMethod method) {
  constexpr const char* kPlugin =
      "INSTALL SONAME 'metadata_lock_info' shows at once who holds which metadata lock, also those taken before; no "
      "restart, no cost until it is read; it needs INSERT on mysql.plugin and stays until UNINSTALL SONAME";
  constexpr const char* kInstrument =
      "performance_schema=ON with performance-schema-instrument='wait/lock/metadata/sql/mdl=ON' in the option file "
      "shows who waits for which lock; it needs a restart, memory and a few percent of throughput";
  const SourceStatus* source = facts.source("metadata_locks");
  std::optional<std::string> remedy = source == nullptr ? std::nullopt : source->remedy;
  switch (method) {
    case LockMethod::plugin_and_performance_schema: return std::nullopt;
    case LockMethod::plugin: return kInstrument;
    case LockMethod::performance_schema:
      if (facts.version.is_mariadb()) return kPlugin;
      return remedy;
    case LockMethod::process_list: return facts.version.is_mariadb() ? kPlugin : remedy;
  }
  return std::nullopt;
}

// The process list shows every wait but those for a row.
bool shows_row_lock_waits(const LockFacts& facts) {
  const SourceStatus* transactions = facts.source("transactions");
  if (transactions != nullptr && transactions->status == "read") return true;
  return facts.was_read("row_lock_waits") &&
         std::all_of(facts.row_waits.begin(), facts.row_waits.end(),
                     [](const RowLockWait& wait) { return wait.waiting_id.has_value(); });
}

std::string incomplete(const LockFacts& facts) {
  const SourceStatus* sessions = facts.source("sessions");
  if (sessions == nullptr || sessions->status != "read") return "the process list is not complete";
  if (!shows_row_lock_waits(facts)) return "who waits for a row could not be read";
  return "";
}

// Who waits for `node` or for nobody that is seen.
std::unordered_set<std::size_t> behind_suspect(const WaitGraph& graph, std::size_t node) {
  std::unordered_set<std::size_t> waiters;
  for (const LockQueue& queue : graph.queues) {
    const bool its = std::any_of(queue.blockers.begin(), queue.blockers.end(),
                                 [node](const Blocker& blocker) { return blocker.node == node; });
    for (const std::size_t w : queue.waits) {
      if (its || count_blockers(graph, graph.waits[w]) == 0) waiters.insert(graph.waits[w].node);
    }
  }
  waiters.erase(node);
  return waiters;
}

// A reader of whom InnoDB says that he may be it, and whose traces say so as well, is one suspect.
void name_each_suspect_once(LockReport& report) {
  std::vector<LockRoot> once;
  std::unordered_map<std::size_t, std::size_t> index_of;
  for (LockRoot& suspect : report.suspects) {
    const auto [known, added] = index_of.emplace(suspect.node, once.size());
    if (added) {
      once.push_back(std::move(suspect));
      continue;
    }
    LockRoot& first = once[known->second];
    first.reason += "; " + suspect.reason;
    first.blocks = count_with_those_behind(report.graph, behind_suspect(report.graph, first.node));
  }
  report.suspects = std::move(once);
}

}  // namespace

std::string to_string(LockMethod method) {
  switch (method) {
    case LockMethod::performance_schema: return "performance_schema.metadata_locks";
    case LockMethod::plugin_and_performance_schema: return "performance_schema.metadata_locks and METADATA_LOCK_INFO";
    case LockMethod::plugin: return "METADATA_LOCK_INFO (granted locks) and the process list";
    case LockMethod::process_list: return "process list, transactions and statement texts";
  }
  return "";
}

LockReport analyse_locks(LockFacts facts) {
  LockReport report;
  report.facts = std::move(facts);
  report.graph = build_wait_graph(report.facts);
  report.method = method_of(report.facts);
  report.better_view = better_view_of(report.facts, report.method);
  for (std::size_t w = 0; w < report.graph.waits.size(); ++w) report.shown.push_back(w);
  report.incomplete = incomplete(report.facts);
  find_roots(report);
  find_suspects(report);
  name_each_suspect_once(report);
  for (std::vector<LockRoot>* list : {&report.roots, &report.suspects}) {
    for (LockRoot& root : *list) describe_root(report, root);
  }
  return report;
}

}  // namespace dbaudit

// Where the server shows no holder: who may it be? Each suspect is named with its traces; the one with the strongest
// traces comes first, and becomes the root only when nobody else is possible.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "locks/lock_report.h"
#include "locks/statement_locks.h"

namespace dbaudit {
namespace {

constexpr std::size_t kMostSuspects = 20;

// What nobody explains: how long ago the first of these waits began at the earliest, and what they are for.
struct Mystery {
  double longest_wait_s = 0;
  std::vector<LockObject> tables;
  std::unordered_set<std::size_t> waiting;  // for what nobody explains
  std::size_t waits = 0;
  bool whole_server = false;  // global read lock, commit or backup lock: what holds those is no transaction
};

Mystery unexplained(const WaitGraph& graph) {
  Mystery mystery;
  for (const LockWait& wait : graph.waits) {
    if (count_blockers(graph, wait) > 0) continue;
    mystery.waiting.insert(wait.node);
    const LockQueue& queue = graph.queues[wait.queue];
    ++mystery.waits;
    mystery.longest_wait_s = std::max(mystery.longest_wait_s, wait.wait_s.value_or(0));
    if (queue.kind == WaitKind::global_read || queue.kind == WaitKind::commit || queue.kind == WaitKind::backup)
      mystery.whole_server = true;
    if (queue.object.type == "TABLE" && !queue.object.name.empty()) mystery.tables.push_back(queue.object);
  }
  return mystery;
}

std::string name_of(const LockObject& object) { return object.schema + "." + object.name; }

class Search {
 public:
  Search(LockReport& report, Mystery mystery) : report_(report), mystery_(std::move(mystery)) {
    for (const LockTransaction& transaction : report.facts.transactions) {
      if (transaction.connection_id) transaction_of_.emplace(*transaction.connection_id, &transaction);
    }
    for (std::size_t i = 0; i < report.graph.nodes.size(); ++i) {
      if (report.graph.nodes[i].connection_id) node_of_.emplace(*report.graph.nodes[i].connection_id, i);
    }
    for (const LockWait& wait : report.graph.waits) {
      if (const auto id = report.graph.nodes[wait.node].connection_id) session_waits_.insert(*id);
    }
  }

  void run() {
    std::vector<Suspect> suspects;
    for (std::size_t i = 0; i < report_.facts.sessions.size(); ++i) {
      const LockSession& session = report_.facts.sessions[i];
      const auto node = node_of_.find(session.connection_id);
      const bool waits = node != node_of_.end() && mystery_.waiting.contains(node->second);
      if (session.kind == "client" && !waits) suspects.push_back(weigh(i, session));
    }
    keep_the_likely(suspects);
    std::stable_sort(suspects.begin(), suspects.end(),
                     [](const Suspect& a, const Suspect& b) { return a.weight > b.weight; });
    if (suspects.size() > kMostSuspects) suspects.resize(kMostSuspects);
    for (const Suspect& suspect : suspects) {
      LockRoot root;
      root.node = node_of(suspect);
      root.certainty = Certainty::inferred;
      root.reason = join(suspect.traces, "; ");
      root.blocks = mystery_.waits;
      if (possible_ == 1) {
        root.reason = "nobody else is possible; " + root.reason;
        root.blocks_directly = mystery_.waits;
        report_.roots.push_back(root);
      }
      report_.suspects.push_back(std::move(root));
    }
  }

 private:
  struct Suspect {
    std::size_t session = 0;
    double weight = 0;
    bool possible = true;  // it was there, and still, before the first wait began
    bool likely = false;   // it shows more than that it is asleep
    std::vector<std::string> traces;
  };

  // Sleepers without a transaction can hold LOCK TABLES and the like, and are mostly connections that a pool keeps:
  // they are named only when nobody shows more.
  void keep_the_likely(std::vector<Suspect>& suspects) {
    std::erase_if(suspects, [](const Suspect& suspect) { return !suspect.possible; });
    possible_ = suspects.size();
    const bool any = std::any_of(suspects.begin(), suspects.end(), [](const Suspect& s) { return s.likely; });
    if (any && !mystery_.whole_server) std::erase_if(suspects, [](const Suspect& s) { return !s.likely; });
  }

  std::size_t node_of(const Suspect& suspect) {
    const std::int64_t id = report_.facts.sessions[suspect.session].connection_id;
    const auto [found, added] = node_of_.emplace(id, report_.graph.nodes.size());
    if (added) report_.graph.nodes.push_back({id, {}, {}, false, suspect.session});
    return found->second;
  }

  // How much each trace weighs is a judgement: what names the table outweighs what only fits in time.
  Suspect weigh(std::size_t index, const LockSession& session) const {
    Suspect suspect{index, 0, true, false, {}};
    const auto trace = [&suspect](double weight, std::string text) {
      suspect.weight += weight;
      suspect.traces.push_back(std::move(text));
    };
    const auto found = transaction_of_.find(session.connection_id);
    const LockTransaction* transaction = found == transaction_of_.end() ? nullptr : found->second;
    const bool idle = session.command == "Sleep";
    const double time = session.time_s.value_or(0);
    const bool since_before = time >= mystery_.longest_wait_s;

    const bool waits = session_waits_.contains(session.connection_id);
    const std::optional<std::string>& statement = idle ? session.last_statement : session.info;
    if (const std::string table = waits ? "" : named_table(statement, session); !table.empty()) {
      suspect.likely = true;
      trace(idle ? 50 : 60, fmt::format("its {} statement names {}", idle ? "last" : "running", table));
    } else if (statement && idle) {
      suspect.weight -= 10;
    }
    const bool older = transaction != nullptr && transaction->age_s.value_or(0) >= mystery_.longest_wait_s;
    if (older) {
      suspect.likely = true;
      trace(mystery_.whole_server ? 5 : 40,
            fmt::format("{} in a transaction older than the first wait", idle    ? "idle"
                                                                         : waits ? "waiting itself"
                                                                                 : "busy"));
      // The oldest is the one that was forgotten.
      suspect.weight += 4 * (1 - mystery_.longest_wait_s / std::max(*transaction->age_s, 0.001));
      if (transaction->rows_modified.value_or(0) > 0) trace(1, "has changed rows");
    }
    if (idle && since_before) {
      // LOCK TABLES, HANDLER, FLUSH TABLES WITH READ LOCK, backup locks: no transaction shows them.
      trace(mystery_.whole_server ? 20 : 5, "asleep since before the first wait");
      // Whoever fell asleep last before it is the likelier one.
      if (time > 0 && transaction == nullptr) suspect.weight += 4 * mystery_.longest_wait_s / time;
    }
    if (!idle && !waits && since_before) {
      suspect.likely = true;
      trace(15, "its statement runs since before the first wait");
    }
    suspect.possible = older || (since_before && !waits);
    if (idle && transaction == nullptr) add_open_tables(suspect, trace);
    for (const LockObject& table : mystery_.tables) {
      if (session.database != table.schema) continue;
      trace(3, fmt::format("works in {}", table.schema));
      break;
    }
    return suspect;
  }

  [[nodiscard]] std::string named_table(const std::optional<std::string>& statement, const LockSession& session) const {
    if (!statement) return "";
    for (const WantedLock& lock : wanted_locks(*statement, session.database.value_or(""))) {
      for (const LockObject& table : mystery_.tables) {
        if (lock.object_type == "TABLE" && lock.schema == table.schema && lock.name == table.name)
          return name_of(table);
      }
    }
    return "";
  }

  // In use by more than the ALTERs that wait for it: then somebody has it locked, or open in a HANDLER. A transaction
  // that lies idle does not count there.
  template <typename Trace>
  void add_open_tables(Suspect& suspect, const Trace& trace) const {
    if (!suspect.possible) return;
    for (const OpenTable& open : report_.facts.open_tables) {
      std::int64_t altering = 0;
      bool waited_for = false;
      for (const LockWait& wait : report_.graph.waits) {
        const LockQueue& queue = report_.graph.queues[wait.queue];
        if (queue.object.schema != open.schema || queue.object.name != open.name) continue;
        waited_for = true;
        altering += queue.requested == "EXCLUSIVE" ? 1 : 0;
      }
      if (!waited_for || open.in_use <= altering) continue;
      suspect.likely = true;
      trace(20, fmt::format("{}.{} is in use by somebody without a transaction", open.schema, open.name));
      return;
    }
  }

  LockReport& report_;
  Mystery mystery_;
  std::size_t possible_ = 0;
  std::unordered_map<std::int64_t, const LockTransaction*> transaction_of_;
  std::unordered_map<std::int64_t, std::size_t> node_of_;
  std::unordered_set<std::int64_t> session_waits_;
};

}  // namespace

void find_suspects(LockReport& report) {
  Mystery mystery = unexplained(report.graph);
  if (mystery.waits > 0) Search(report, std::move(mystery)).run();
}

}  // namespace dbaudit

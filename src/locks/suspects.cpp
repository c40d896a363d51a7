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
  std::unordered_set<std::size_t> waiting;
  std::size_t waits = 0;
  bool whole_server = false;  // global read lock, commit or backup lock: what holds those is no transaction
};

Mystery unexplained(const WaitGraph& graph) {
  Mystery mystery;
  for (const LockWait& wait : graph.waits) {
    mystery.waiting.insert(wait.node);
    if (count_blockers(graph, wait) > 0) continue;
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
  }

  void run() {
    std::vector<Suspect> suspects;
    for (std::size_t i = 0; i < report_.facts.sessions.size(); ++i) {
      const LockSession& session = report_.facts.sessions[i];
      const auto node = node_of_.find(session.connection_id);
      const bool waits = node != node_of_.end() && mystery_.waiting.contains(node->second);
      if (session.kind == "client" && !waits) suspects.push_back(weigh(i, session));
    }
    std::stable_sort(suspects.begin(), suspects.end(),
                     [](const Suspect& a, const Suspect& b) { return a.weight > b.weight; });
    const auto possible = static_cast<std::size_t>(
        std::count_if(suspects.begin(), suspects.end(), [](const Suspect& suspect) { return suspect.possible; }));
    std::erase_if(suspects, [](const Suspect& suspect) { return !suspect.possible; });
    if (suspects.size() > kMostSuspects) suspects.resize(kMostSuspects);
    for (const Suspect& suspect : suspects) {
      LockRoot root;
      root.node = node_of(suspect);
      root.certainty = Certainty::inferred;
      root.reason = join(suspect.traces, "; ");
      root.blocks = mystery_.waits;
      if (possible == 1) {
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
    bool possible = true;
    std::vector<std::string> traces;
  };

  std::size_t node_of(const Suspect& suspect) {
    const std::int64_t id = report_.facts.sessions[suspect.session].connection_id;
    const auto [found, added] = node_of_.emplace(id, report_.graph.nodes.size());
    if (added) report_.graph.nodes.push_back({id, {}, {}, false, suspect.session});
    return found->second;
  }

  // How much each trace weighs is a judgement: what names the table outweighs what only fits in time.
  Suspect weigh(std::size_t index, const LockSession& session) const {
    Suspect suspect{index, 0, true, {}};
    const auto trace = [&suspect](double weight, std::string text) {
      suspect.weight += weight;
      suspect.traces.push_back(std::move(text));
    };
    const auto found = transaction_of_.find(session.connection_id);
    const LockTransaction* transaction = found == transaction_of_.end() ? nullptr : found->second;
    const bool idle = session.command == "Sleep";
    const double time = session.time_s.value_or(0);
    const bool since_before = time >= mystery_.longest_wait_s;

    const std::optional<std::string>& statement = idle ? session.last_statement : session.info;
    if (const std::string table = named_table(statement, session); !table.empty()) {
      trace(idle ? 50 : 60, fmt::format("its {} statement names {}", idle ? "last" : "running", table));
    } else if (statement && idle) {
      suspect.weight -= 10;
    }
    if (transaction != nullptr) {
      const bool older = transaction->age_s.value_or(0) >= mystery_.longest_wait_s;
      const double weight = mystery_.whole_server ? 5 : 40;
      if (older) trace(weight, fmt::format("{} in a transaction older than the first wait", idle ? "idle" : "busy"));
      if (!older) trace(weight / 2, "in a transaction that is younger than the statement that waits first");
      if (transaction->rows_modified.value_or(0) > 0) trace(1, "has changed rows");
    }
    if (idle && since_before) {
      // LOCK TABLES, HANDLER, FLUSH TABLES WITH READ LOCK, backup locks: no transaction shows them.
      trace(mystery_.whole_server ? 20 : 5, "asleep since before the first wait");
      // Whoever fell asleep last before it is the likelier one.
      if (time > 0) suspect.weight += 4 * mystery_.longest_wait_s / time;
    }
    if (!idle && since_before) trace(15, "its statement runs since before the first wait");
    if (transaction == nullptr && !since_before) suspect.possible = false;
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
      trace(20, fmt::format("{}.{} is in use by somebody without a transaction", open.schema, open.name));
      return;
    }
  }

  LockReport& report_;
  Mystery mystery_;
  std::unordered_map<std::int64_t, const LockTransaction*> transaction_of_;
  std::unordered_map<std::int64_t, std::size_t> node_of_;
};

}  // namespace

void find_suspects(LockReport& report) {
  Mystery mystery = unexplained(report.graph);
  if (mystery.waits > 0) Search(report, std::move(mystery)).run();
}

}  // namespace dbaudit

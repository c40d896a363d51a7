// Where the server shows no holder: who may it be? Each suspect is named with its traces; the one with the strongest
// traces comes first, and becomes the root only when nobody else is there.
//
// For how long somebody waits for a metadata lock, no server shows: the time is that of the whole statement, or of the
// CALL that it is part of. So who began after that may still be the one, and only comes later in the list.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "locks/lock_report.h"
#include "locks/lock_types.h"
#include "locks/statement_locks.h"

namespace dbaudit {
namespace {

constexpr std::size_t kMostSuspects = 20;
constexpr std::size_t kMostQueues = 100;  // held against every lock that is seen

// What nobody explains: how long ago the first and the last of these waits began at the earliest, and what they are
// for. Several tables may be held by several sessions: one that is too young for the first wait may still explain the
// last.
struct Mystery {
  double longest_wait_s = 0;
  double last_began_s =
      std::numeric_limits<double>::infinity();  // of the object that was waited for last, the first wait
  std::vector<LockObject> tables;
  std::unordered_set<std::size_t> waiting;  // for what nobody explains
  std::vector<const LockQueue*> queues;
  std::size_t waits = 0;
  bool exact = true;  // how long each of them lasts, so that whoever began after all of them is not the one
  // For a global read lock, commit or backup lock: what holds those is no transaction.
  bool whole_server = false;      // at least one of them
  bool only_whole_server = true;  // all of them
  bool in_innodb = false;         // at least one waits for rows
};

Mystery unexplained(const WaitGraph& graph) {
  Mystery mystery;
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, double> longest_of;  // object -> wait
  for (const LockWait& wait : graph.waits) {
    if (count_blockers(graph, wait) > 0) continue;
    mystery.waiting.insert(wait.node);
    const LockQueue& queue = graph.queues[wait.queue];
    ++mystery.waits;
    mystery.exact = mystery.exact && wait.wait_is_exact;
    if (mystery.queues.size() < kMostQueues &&
        std::find(mystery.queues.begin(), mystery.queues.end(), &queue) == mystery.queues.end())
      mystery.queues.push_back(&queue);
    mystery.longest_wait_s = std::max(mystery.longest_wait_s, wait.wait_s.value_or(0));
    // Whoever comes to a queue later may wait for those in front.
    double& longest = longest_of[{queue.object.type, queue.object.schema, queue.object.name}];
    longest = std::max(longest, wait.wait_s.value_or(0));
    const bool whole_server =
        queue.kind == WaitKind::global_read || queue.kind == WaitKind::commit || queue.kind == WaitKind::backup;
    mystery.whole_server = mystery.whole_server || whole_server;
    mystery.only_whole_server = mystery.only_whole_server && whole_server;
    mystery.in_innodb = mystery.in_innodb || queue.kind == WaitKind::row;
    if (queue.object.type == "TABLE" && !queue.object.name.empty() &&
        std::find(mystery.tables.begin(), mystery.tables.end(), queue.object) == mystery.tables.end())
      mystery.tables.push_back(queue.object);
  }
  for (const auto& [object, longest] : longest_of) mystery.last_began_s = std::min(mystery.last_began_s, longest);
  return mystery;
}

std::string name_of(const LockObject& object) { return object.schema + "." + object.name; }

class Search {
 public:
  Search(LockReport& report, Mystery mystery) : report_(report), mystery_(std::move(mystery)) {
    transaction_of_.reserve(report.facts.transactions.size());
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
    note_tables();
    note_locks();
    note_open_tables();
    std::vector<Suspect> suspects;
    suspects.reserve(report_.facts.sessions.size());
    std::size_t threads = 0;  // of replication: they hold locks as well
    for (std::size_t i = 0; i < report_.facts.sessions.size(); ++i) {
      const LockSession& session = report_.facts.sessions[i];
      const auto node = node_of_.find(session.connection_id);
      const bool waits = node != node_of_.end() && mystery_.waiting.contains(node->second);
      const bool applies = session.kind == "replication" && transaction_of_.contains(session.connection_id);
      if (session.kind == "replication" && !applies) ++threads;
      if ((session.kind == "client" || applies) && !waits) suspects.push_back(weigh(i, nullptr));
    }
    for (const LockTransaction& transaction : report_.facts.transactions) {
      if (!transaction.connection_id && may_be_in_the_way(transaction)) suspects.push_back(weigh(transaction, nullptr));
    }
    keep_the_likely(suspects);
    possible_ += threads;
    std::stable_sort(suspects.begin(), suspects.end(),
                     [](const Suspect& a, const Suspect& b) { return a.weight > b.weight; });
    cut(suspects);
    const std::size_t behind = count_with_those_behind(report_.graph, mystery_.waiting);
    std::unordered_set<std::size_t> roots;
    for (const LockRoot& root : report_.roots) roots.insert(root.node);
    for (const Suspect& suspect : suspects) {
      LockRoot root;
      root.node = node_of(suspect);
      root.certainty = Certainty::inferred;
      root.reason = join(traces_of(suspect), "; ");
      root.blocks = behind;
      if (possible_ == 1 && report_.incomplete.empty()) {
        root.reason = "nobody else is possible; " + root.reason;
        root.blocks_directly = mystery_.waits;
        if (!roots.contains(root.node)) report_.roots.push_back(root);
      }
      report_.suspects.push_back(std::move(root));
    }
  }

 private:
  struct Suspect {
    std::optional<std::size_t> session;
    const LockTransaction* detached = nullptr;  // where no session is
    double weight = 0;
    bool possible = true;
    bool likely = false;    // it shows more than that it is asleep, and was there before the first wait
    bool may_hold = false;  // it has something to hold locks with
  };
  // Why somebody is suspected, in words: thousands are weighed, and few are named.
  using Traces = std::vector<std::string>;
  [[nodiscard]] Traces traces_of(const Suspect& suspect) const {
    Traces traces;
    static_cast<void>(suspect.session ? weigh(*suspect.session, &traces) : weigh(*suspect.detached, &traces));
    return traces;
  }

  // Sleepers without a transaction can hold LOCK TABLES and the like, and are mostly connections that a pool keeps:
  // they are named only when nobody shows more.
  void keep_the_likely(std::vector<Suspect>& suspects) {
    std::erase_if(suspects, [](const Suspect& suspect) { return !suspect.possible; });
    possible_ = suspects.size();
    const bool any = std::any_of(suspects.begin(), suspects.end(), [](const Suspect& s) { return s.likely; });
    if (any && !mystery_.whole_server)
      std::erase_if(suspects, [](const Suspect& s) { return !s.likely && !s.may_hold; });
  }

  // Those who only sleep go first.
  static void cut(std::vector<Suspect>& suspects) {
    std::size_t mere = suspects.size() > kMostSuspects ? suspects.size() - kMostSuspects : 0;
    for (std::size_t i = suspects.size(); i-- > 0 && mere > 0;) {
      if (suspects[i].likely || suspects[i].may_hold) continue;
      suspects.erase(suspects.begin() + static_cast<std::ptrdiff_t>(i));
      --mere;
    }
    if (suspects.size() > kMostSuspects) suspects.resize(kMostSuspects);
  }

  // What each session is seen to hold, as far as it may stand in the way: the strongest of it.
  struct Trace {
    double weight = 0;
    std::string text;
  };
  void note_locks() {
    for (const HeldLock& lock : report_.facts.metadata_locks) {
      if (!lock.granted || !lock.connection_id) continue;
      const double weight = weight_of(lock);
      Trace& trace = holds_[*lock.connection_id];
      if (weight <= trace.weight) continue;
      const std::string where = lock.object_type == "USER LEVEL LOCK" ? "user lock " + lock.name
                                : lock.name.empty()                   ? to_lower(lock.object_type) + " " + lock.schema
                                                                      : lock.schema + "." + lock.name;
      trace = {weight, fmt::format("holds {} on {}", lock.lock_type, where)};
    }
  }
  [[nodiscard]] double weight_of(const HeldLock& lock) const {
    double most = 0;
    for (const LockQueue* queue : mystery_.queues) {
      if (queue->object.type != lock.object_type) continue;
      const bool named = !queue->object.name.empty();
      if ((named || !queue->object.schema.empty()) && queue->object.schema != lock.schema) continue;
      if (named && queue->object.name != lock.name) continue;
      const bool in_the_way = queue->requested.empty() || conflict_with_granted(lock.object_type, queue->requested,
                                                                                lock.lock_type) == Conflict::conflict;
      const bool strong = lock.lock_type != "SHARED_READ" && lock.lock_type != "SHARED_WRITE" &&
                          lock.lock_type != "SHARED" && lock.lock_type != "SHARED_HIGH_PRIO" &&
                          lock.lock_type != "INTENTION_EXCLUSIVE";
      if (in_the_way) most = std::max(most, named || strong ? 70.0 : 30.0);
    }
    return most;
  }

  std::size_t node_of(const Suspect& suspect) {
    std::vector<LockNode>& nodes = report_.graph.nodes;
    if (suspect.detached != nullptr) {
      const auto known = std::find_if(nodes.begin(), nodes.end(), [&](const LockNode& node) {
        return node.detached && node.trx_id == suspect.detached->trx_id;
      });
      if (known != nodes.end()) return static_cast<std::size_t>(known - nodes.begin());
      nodes.push_back({{}, {}, suspect.detached->trx_id, true, {}});
      return nodes.size() - 1;
    }
    const std::int64_t id = report_.facts.sessions[*suspect.session].connection_id;
    const auto [found, added] = node_of_.emplace(id, report_.graph.nodes.size());
    if (added) report_.graph.nodes.push_back({id, {}, {}, false, suspect.session});
    return found->second;
  }

  // MariaDB keeps the row locks of a transaction whose session is gone, and no metadata lock.
  [[nodiscard]] bool may_be_in_the_way(const LockTransaction& transaction) const {
    if (transaction.trx_id.empty()) return false;
    return mystery_.in_innodb || !report_.facts.version.is_mariadb();
  }

  [[nodiscard]] Suspect weigh(const LockTransaction& detached, Traces* traces) const {
    Suspect suspect;
    suspect.detached = &detached;
    suspect.may_hold = true;
    const double age = detached.age_s.value_or(0);
    suspect.likely = age >= mystery_.longest_wait_s;
    suspect.possible = !mystery_.exact || age >= mystery_.last_began_s;
    suspect.weight = suspect.likely ? 40 : age >= mystery_.last_began_s ? 10 : 1;
    if (traces != nullptr)
      traces->emplace_back(suspect.likely ? "a transaction without a session, older than the first wait"
                                          : "a transaction without a session");
    return suspect;
  }

  // How much each trace weighs is a judgement: what names the table outweighs what only fits in time.
  Suspect weigh(std::size_t index, Traces* traces) const {
    const LockSession& session = report_.facts.sessions[index];
    Suspect suspect;
    suspect.session = index;
    bool traced = false;
    const auto trace = [&]<typename... Args>(double weight, fmt::format_string<Args...> text, Args&&... args) {
      suspect.weight += weight;
      traced = true;
      if (traces != nullptr) traces->push_back(fmt::format(text, std::forward<Args>(args)...));
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
      trace(idle ? 50 : 60, "its {} statement names {}", idle ? "last" : "running", table);
    } else if (statement && idle) {
      suspect.weight -= 10;
    }
    if (const auto held = holds_.find(session.connection_id); held != holds_.end() && held->second.weight > 0) {
      suspect.likely = suspect.likely || !waits;
      trace(held->second.weight, "{}", held->second.text);
    }
    const double age = transaction == nullptr ? -1 : transaction->age_s.value_or(0);
    const bool older = age >= mystery_.longest_wait_s;
    const bool older_than_some = age >= mystery_.last_began_s;
    const std::string schema = waited_schema(session);
    if (older) {
      // Where it works in another schema, or the table is not known, whoever sleeps is named as well.
      suspect.likely = suspect.likely || !session.database || !schema.empty();
      trace(mystery_.only_whole_server ? 5 : 40, "{} in a transaction older than the first wait",
            idle    ? "idle"
            : waits ? "waiting itself"
                    : "busy");
      // The oldest is the one that was forgotten.
      suspect.weight += 4 * (1 - mystery_.longest_wait_s / std::max(age, 0.001));
      if (transaction->rows_modified.value_or(0) > 0) trace(1, "has changed rows");
    } else if (older_than_some) {
      trace(10, "in a transaction older than some of the waits");
    } else if (transaction != nullptr) {
      trace(1, "in a transaction that is younger than the first wait may be");
    }
    // A transaction's age is known to the second only, a sleeper's time better.
    if (idle && !since_before && transaction != nullptr && time >= mystery_.last_began_s)
      trace(5, "asleep since before some of the waits");
    suspect.may_hold = transaction != nullptr;
    if (idle && since_before) {
      // LOCK TABLES, HANDLER, FLUSH TABLES WITH READ LOCK, backup locks: no transaction shows them.
      trace(mystery_.whole_server && transaction == nullptr ? 20 : 5, "asleep since before the first wait");
      // Whoever fell asleep last before it is the likelier one.
      if (time > 0 && transaction == nullptr) suspect.weight += 4 * mystery_.longest_wait_s / time;
    } else if (idle && transaction == nullptr) {
      trace(0, "asleep");
    }
    if (!idle && !waits && since_before) {
      suspect.likely = true;
      trace(15, "its statement runs since before the first wait");
    }
    if (!idle && !traced) trace(0, "its statement runs");
    // Who waits itself and is in no transaction, is held up and holds up nobody for longer.
    const bool since_some = time >= mystery_.last_began_s;
    suspect.possible = mystery_.exact ? older_than_some || (since_some && !waits) : !waits || transaction != nullptr;
    if (idle && transaction == nullptr && since_before && suspect.possible && !table_in_use_.empty()) {
      suspect.likely = true;
      trace(60, "{} is in use, and no transaction that lies idle does that", table_in_use_);
    }
    if (!schema.empty()) trace(10, "works in {}", schema);
    return suspect;
  }

  // The session's default database, if somebody waits for a table in it.
  [[nodiscard]] std::string waited_schema(const LockSession& session) const {
    if (!session.database) return "";
    const auto found = waited_schemas_.find(folded(report_.facts, *session.database));
    return found == waited_schemas_.end() ? "" : found->second;
  }

  [[nodiscard]] std::string named_table(const std::optional<std::string>& statement, const LockSession& session) const {
    if (!statement) return "";
    for (const WantedLock& lock : wanted_locks(*statement, session.database.value_or(""))) {
      if (lock.object_type != "TABLE") continue;
      const auto found = waited_tables_.find(key_of(lock.schema, lock.name));
      if (found != waited_tables_.end()) return found->second;
    }
    return "";
  }

  using TableKey = std::pair<std::string, std::string>;
  [[nodiscard]] TableKey key_of(std::string_view schema, std::string_view name) const {
    return {folded(report_.facts, schema), folded(report_.facts, name)};
  }
  void note_tables() {
    for (const LockObject& table : mystery_.tables) {
      waited_schemas_.emplace(folded(report_.facts, table.schema), table.schema);
      waited_tables_.emplace(key_of(table.schema, table.name), name_of(table));
    }
  }

  // In use by more than the ALTERs that wait for it: then somebody has it locked, or open in a HANDLER. A transaction
  // that lies idle does not count there (tried on MariaDB 10.11 and 11.8); a statement at work may, through a view or
  // twice, and one that waits for something else as well: where there is any, this tells nothing.
  void note_open_tables() {
    if (report_.facts.open_tables.empty()) return;
    std::map<TableKey, std::int64_t> altering;  // those who wait for it: how many of them have it open
    std::unordered_map<std::int64_t, TableKey> waits_for;
    for (const LockWait& wait : report_.graph.waits) {
      const LockQueue& queue = report_.graph.queues[wait.queue];
      const auto id = report_.graph.nodes[wait.node].connection_id;
      if (queue.kind != WaitKind::metadata || !id) continue;
      const TableKey key = key_of(queue.object.schema, queue.object.name);
      waits_for.emplace(*id, key);
      altering[key] += queue.requested == "EXCLUSIVE" ? 1 : 0;
    }
    for (const OpenTable& open : report_.facts.open_tables) {
      const TableKey key = key_of(open.schema, open.name);
      if (!waited_tables_.contains(key) || open.in_use <= altering[key]) continue;
      const auto may_use = [&](const LockSession& session) {
        // Of replication only who applies: not the threads that send, receive and wait.
        const bool applies =
            session.kind == "replication" && (session.info || transaction_of_.contains(session.connection_id));
        if (session.command == "Sleep" || (session.kind != "client" && !applies)) return false;
        const auto wait = waits_for.find(session.connection_id);
        return wait == waits_for.end() || wait->second != key;
      };
      if (std::any_of(report_.facts.sessions.begin(), report_.facts.sessions.end(), may_use)) continue;
      table_in_use_ = waited_tables_[key];
      return;
    }
  }

  LockReport& report_;
  Mystery mystery_;
  std::size_t possible_ = 0;
  std::unordered_map<std::int64_t, const LockTransaction*> transaction_of_;
  std::unordered_map<std::int64_t, std::size_t> node_of_;
  std::unordered_set<std::int64_t> session_waits_;
  std::map<std::string, std::string> waited_schemas_;  // folded -> as it is written
  std::map<TableKey, std::string> waited_tables_;      // folded -> schema.name
  std::string table_in_use_;
  std::unordered_map<std::int64_t, Trace> holds_;  // connection -> the strongest that it is seen to hold
};

}  // namespace

void find_suspects(LockReport& report) {
  Mystery mystery = unexplained(report.graph);
  if (mystery.waits > 0) Search(report, std::move(mystery)).run();
}

}  // namespace dbaudit

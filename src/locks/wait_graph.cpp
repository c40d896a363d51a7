#include "locks/wait_graph.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/sql_text.h"
#include "base/text.h"
#include "locks/lock_types.h"
#include "locks/statement_locks.h"

namespace dbaudit {

std::string to_string(WaitKind kind) {
  switch (kind) {
    case WaitKind::metadata: return "metadata";
    case WaitKind::row: return "row";
    case WaitKind::table: return "table";
    case WaitKind::global_read: return "global_read";
    case WaitKind::backup: return "backup";
    case WaitKind::user: return "user";
    case WaitKind::commit: return "commit";
  }
  return "";
}

std::string to_string(How how) { return how == How::granted ? "granted" : "queued_ahead"; }

std::string to_string(Certainty certainty) { return certainty == Certainty::observed ? "observed" : "inferred"; }

namespace {

constexpr const char* kFromStatement = "the lock it holds is observed; what is asked for is read from the statement";
constexpr const char* kFromStatements = "both requests are read from the statements";
constexpr const char* kFromStaleType =
    "it holds a lock on the same object, whose present type MariaDB does not show; nothing else explains the wait";
constexpr const char* kFromRequestedType =
    "MariaDB shows the lock that its ALTER asked for; at work, an ALTER has a weaker one, which does not stand in the "
    "way";
constexpr const char* kFromUnknownType = "it holds a lock of a type that this version of dbaudit does not know";
constexpr const char* kFromReaders =
    "MariaDB gives every transaction that only read the id 0; it is one of those that hold row locks";
constexpr const char* kFromAskingReaders =
    "MariaDB does not tell apart those who only read and ask for the same row; who came first is not known";
constexpr const char* kFromLimitedQueue =
    "max_write_lock_count is below its default, so the server may let requests pass those that wait ahead";
constexpr const char* kFromHandles = "it has the table open and locked; who waits is read from the process list";
constexpr const char* kFromWaitingWriter = "it waits to write the same table, and writers go first";

// What the server's state of a session says about what it waits for. States: sql/mdl.cc, sql/lock.cc and
// sql/item_func.cc of both families.
struct StateMeaning {
  std::string_view state;
  std::string_view object_type;  // of the metadata lock; FLUSH and TABLE LEVEL are none
};
constexpr StateMeaning kStates[] = {
    {"Waiting for table metadata lock", "TABLE"},
    {"Waiting for schema metadata lock", "SCHEMA"},
    {"Waiting for stored function metadata lock", "FUNCTION"},
    {"Waiting for stored procedure metadata lock", "PROCEDURE"},
    {"Waiting for stored package body metadata lock", "PACKAGE BODY"},
    {"Waiting for trigger metadata lock", "TRIGGER"},
    {"Waiting for event metadata lock", "EVENT"},
    {"Waiting for tablespace metadata lock", "TABLESPACE"},
    {"Waiting for foreign key metadata lock", "FOREIGN KEY"},
    {"Waiting for check constraint metadata lock", "CHECK CONSTRAINT"},
    {"Waiting for global read lock", "GLOBAL"},
    {"Waiting for commit lock", "COMMIT"},
    {"Waiting for backup lock", "BACKUP LOCK"},  // MariaDB: BACKUP
    {"User lock", "USER LEVEL LOCK"},
    {"Waiting for table flush", "FLUSH"},
    {"Waiting for table level lock", "TABLE LEVEL"},
};

// All who hold, or all who ask for, the same type of lock on one object.
struct Holders {
  std::string type;
  bool current = true;   // false: the type that was asked for; it may have become another
  bool observed = true;  // of a request: false when read from a statement
  std::vector<std::size_t> nodes;

  [[nodiscard]] bool anybody_but(std::size_t node) const { return nodes.size() > 1 || nodes.front() != node; }
};
struct ObjectLocks {
  LockObject object;
  std::vector<Holders> granted;
  std::vector<Holders> waiting;
};

void add_holder(std::vector<Holders>& list, std::size_t node, const std::string& type, bool current, bool observed) {
  for (Holders& holders : list) {
    if (holders.type != type || holders.current != current || holders.observed != observed) continue;
    if (holders.nodes.back() != node) holders.nodes.push_back(node);
    return;
  }
  list.push_back({type, current, observed, {node}});
}

class Builder {
 public:
  explicit Builder(const LockFacts& facts) : facts_(facts), sees_locks_(facts.was_read("metadata_locks")) {}

  WaitGraph run() {
    session_of_.reserve(facts_.sessions.size());
    transaction_of_.reserve(facts_.transactions.size());
    for (std::size_t i = 0; i < facts_.sessions.size(); ++i) session_of_[facts_.sessions[i].connection_id] = i;
    for (const LockTransaction& transaction : facts_.transactions) {
      if (transaction.connection_id) transaction_of_.emplace(*transaction.connection_id, &transaction);
      if (!transaction.connection_id) detached_transactions_.insert(transaction.trx_id);
      if (!transaction.connection_id && transaction.rolling_back) rolling_back_.insert(transaction.trx_id);
    }
    metadata_locks();
    row_waits();
    if (!sees_locks_) statements_at_work();
    states();
    metadata_queues();
    longest_first();
    return std::move(graph_);
  }

 private:
  // --- nodes

  std::size_t add_node(LockNode node) {
    graph_.nodes.push_back(std::move(node));
    return graph_.nodes.size() - 1;
  }
  std::size_t node_of_connection(std::int64_t id) {
    const auto [found, added] = node_of_connection_.emplace(id, 0);
    if (added) {
      const auto session = session_of_.find(id);
      found->second =
          add_node({id, {}, {}, false, session == session_of_.end() ? std::nullopt : std::optional(session->second)});
    }
    return found->second;
  }
  std::size_t node_of_thread(std::int64_t thread_id) {
    // Which transaction it is, can be told when there is only one.
    if (detached_transactions_.size() == 1 && rolling_back_.empty())
      return node_of_transaction(*detached_transactions_.begin());
    const auto [found, added] = node_of_thread_.emplace(thread_id, 0);
    if (added) found->second = add_node({{}, thread_id, {}, true, {}});
    return found->second;
  }
  std::size_t node_of_transaction(const std::string& trx_id) {
    const auto [found, added] = node_of_trx_.emplace(trx_id, 0);
    if (added) found->second = add_node({{}, {}, trx_id, true, {}});
    return found->second;
  }
  [[nodiscard]] const LockSession* session(std::size_t node) const {
    return graph_.nodes[node].session ? &facts_.sessions[*graph_.nodes[node].session] : nullptr;
  }

  // --- metadata locks as the server shows them

  [[nodiscard]] std::string key_of(const LockObject& object) const {
    // Names cannot hold a NUL byte.
    std::string key;
    key.reserve(object.type.size() + object.schema.size() + object.name.size() + 2);
    key.append(object.type).append(1, '\0').append(object.schema).append(1, '\0').append(object.name);
    // MariaDB tells the names of user locks apart by case.
    const bool any_case = object.type == "USER LEVEL LOCK" && !facts_.version.is_mariadb();
    return any_case || (facts_.folds_case && object.type != "USER LEVEL LOCK") ? to_lower(key) : key;
  }
  ObjectLocks& locks_of(const LockObject& object) {
    const auto [found, added] = object_index_.emplace(key_of(object), objects_.size());
    if (added) objects_.push_back({object, {}, {}});
    return objects_[found->second];
  }
  [[nodiscard]] ObjectLocks* find_locks(const LockObject& object) {
    const auto found = object_index_.find(key_of(object));
    return found == object_index_.end() ? nullptr : &objects_[found->second];
  }

  void metadata_locks() {
    // The plugin knows the true types of granted locks, performance_schema who waits.
    const bool plugin = std::any_of(facts_.metadata_locks.begin(), facts_.metadata_locks.end(),
                                    [](const HeldLock& lock) { return lock.seen_in == "metadata_lock_info"; });
    for (const HeldLock& lock : facts_.metadata_locks) {
      if (plugin && lock.granted && lock.seen_in == "metadata_locks") continue;
      if (!lock.connection_id && !(lock.detached && lock.thread_id)) continue;  // a background thread's
      const std::size_t node =
          lock.connection_id ? node_of_connection(*lock.connection_id) : node_of_thread(*lock.thread_id);
      const LockObject object{lock.object_type, lock.schema, lock.name};
      ObjectLocks& locks = locks_of(object);
      if (lock.granted) {
        add_holder(locks.granted, node, lock.lock_type, lock.type_is_current, true);
      } else {
        // MariaDB has no word for what LOCK TABLES ... READ asks for when it has SHARED_READ.
        const bool read_only = lock.lock_type.empty() && lock.object_type == "TABLE" && facts_.version.is_mariadb();
        ask(node, object, read_only ? "SHARED_READ_ONLY" : lock.lock_type, true);
      }
    }
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (objects_[i].object.type != "TABLE") continue;
      for (const Holders& held : objects_[i].granted) {
        if (held.type != "SHARED_UPGRADABLE" && held.type != "SHARED_NO_WRITE") continue;
        for (const std::size_t node : held.nodes) upgradable_.emplace(node, i);
      }
    }
  }

  // Notes that `node` waits for a lock; who stands in its way is found when all requests are known.
  void ask(std::size_t node, const LockObject& object, const std::string& type, bool observed) {
    add_holder(locks_of(object).waiting, node, type, true, observed);
    waiting_nodes_.insert(node);
  }

  // --- InnoDB

  // Who has only read, and holds row locks; the oldest first. One that waits counts the lock that it asks for as well.
  [[nodiscard]] std::vector<std::size_t> readers_with_row_locks() {
    std::vector<const LockTransaction*> readers;
    for (const LockTransaction& transaction : facts_.transactions) {
      if (transaction.trx_id == "0" && transaction.connection_id &&
          transaction.rows_locked.value_or(0) > (transaction.wait_s ? 1 : 0))
        readers.push_back(&transaction);
    }
    std::stable_sort(readers.begin(), readers.end(), [](const LockTransaction* a, const LockTransaction* b) {
      return a->age_s.value_or(0) > b->age_s.value_or(0);
    });
    std::vector<std::size_t> nodes;
    nodes.reserve(readers.size());
    for (const LockTransaction* reader : readers) nodes.push_back(node_of_connection(*reader->connection_id));
    return nodes;
  }

  void row_waits() {
    readers_with_row_locks_ = readers_with_row_locks();
    std::map<std::size_t, std::size_t> queue_of;  // waiting node -> its queue
    for (const RowLockWait& wait : facts_.row_waits) {
      if (!wait.waiting_id) continue;
      const std::size_t waiter = node_of_connection(*wait.waiting_id);
      const auto [found, added] = queue_of.emplace(waiter, graph_.queues.size());
      if (added) {
        graph_.queues.push_back({WaitKind::row, {"TABLE", wait.schema, wait.name}, wait.requested_mode, {}, {}});
        add_wait(waiter, found->second);
      }
      add_row_blockers(wait, waiter, graph_.queues[found->second]);
    }
    for (const auto& [waiter, q] : queue_of) {
      LockQueue& queue = graph_.queues[q];
      queue.one_of_them = !queue.blockers.empty() && std::all_of(queue.blockers.begin(), queue.blockers.end(),
                                                                 [](const Blocker& b) { return b.candidate; });
      // Lists are cut: whoever holds it must not be cut off.
      std::stable_partition(queue.blockers.begin(), queue.blockers.end(),
                            [](const Blocker& b) { return b.how == How::granted; });
    }
    // Waits that only INNODB_TRX shows: nothing is known of the holder.
    for (const LockTransaction& transaction : facts_.transactions) {
      if (!transaction.wait_s || !transaction.connection_id) continue;
      const std::size_t waiter = node_of_connection(*transaction.connection_id);
      if (!queue_of.emplace(waiter, graph_.queues.size()).second) continue;
      graph_.queues.push_back({WaitKind::row, {"TABLE", "", ""}, "", {}, {}});
      add_wait(waiter, graph_.queues.size() - 1);
    }
  }

  void add_row_blockers(const RowLockWait& wait, std::size_t waiter, LockQueue& queue) {
    const How how = wait.blocking_waits ? How::queued_ahead : How::granted;
    // MySQL still names the session that prepared it, which by now does other things.
    const bool detached = detached_transactions_.contains(wait.blocking_trx_id) && wait.blocking_trx_id != "0";
    if (wait.blocking_id && !detached) {
      const Certainty certainty = wait.certain ? Certainty::observed : Certainty::inferred;
      add_blocker(queue, {node_of_connection(*wait.blocking_id), wait.blocking_mode, how, certainty,
                          wait.certain ? "" : kFromAskingReaders});
    } else if (wait.blocking_trx_id == "0") {
      std::size_t listed = 0;
      std::size_t all = 0;
      for (const std::size_t node : readers_with_row_locks_) {
        if (node == waiter) continue;
        ++all;
        if (listed == kMostCandidates) continue;
        ++listed;
        add_blocker(queue, {node, wait.blocking_mode, how, Certainty::inferred, kFromReaders, true});
      }
      queue.unlisted = all - listed;
    } else {
      const std::size_t node = wait.blocking_id || !wait.blocking_thread_id ? node_of_transaction(wait.blocking_trx_id)
                                                                            : node_of_thread(*wait.blocking_thread_id);
      graph_.nodes[node].trx_id = wait.blocking_trx_id;
      add_blocker(queue, {node, wait.blocking_mode, how, Certainty::observed, ""});
    }
  }

  // One that is seen to be in the way is no mere candidate.
  static void add_blocker(LockQueue& queue, Blocker blocker) {
    for (Blocker& known : queue.blockers) {
      if (known.node != blocker.node) continue;
      if (blocker.how == How::granted && !blocker.candidate) known.how = How::granted;
      if (known.candidate && !blocker.candidate) known = std::move(blocker);
      return;
    }
    queue.blockers.push_back(std::move(blocker));
  }

  // A statement that waits inside InnoDB has got its metadata locks already, and keeps them while it waits: where
  // nobody's are shown, its text tells which.
  void statements_at_work() {
    const std::size_t waits = graph_.waits.size();
    for (std::size_t i = 0; i < waits; ++i) {
      const std::size_t node = graph_.waits[i].node;
      const LockSession* asking = session(node);
      if (asking == nullptr || meaning_of(*asking) != nullptr) continue;
      for (const WantedLock& lock : asked_by(*asking).locks) {
        if (lock.object_type != "TABLE") continue;
        const std::string& type = lock.upgraded_to.empty() ? lock.lock_type : lock.upgraded_to;
        add_holder(locks_of({"TABLE", lock.schema, lock.name}).granted, node, type, true, false);
      }
    }
  }

  // --- waits that show in the process list only

  [[nodiscard]] std::vector<WantedLock> wanted_in(const std::string& statement, const std::string& database) const {
    std::vector<WantedLock> wanted = wanted_locks(statement, database);
    for (WantedLock& lock : wanted) {
      if (lock.object_type == "USER LEVEL LOCK") continue;
      lock.schema = folded(facts_, lock.schema);
      lock.name = folded(facts_, lock.name);
    }
    return wanted;
  }

  struct AskedFor {
    std::vector<WantedLock> locks;
    HiddenLocks hidden;
  };

  // Hundreds who wait often wait in the same statement.
  const AskedFor& asked_by(const LockSession& session) {
    const auto [found, fresh] = asked_in_.try_emplace({session.info.value_or(""), session.database.value_or("")});
    if (fresh) {
      const auto& [statement, database] = found->first;
      found->second = {wanted_in(statement, database), hidden_locks(statement, database)};
      found->second.hidden.schema = folded(facts_, found->second.hidden.schema);
    }
    return found->second;
  }

  struct StateWait {
    std::size_t node = 0;
    std::vector<LockObject> objects;  // what it may be waiting for, in the order in which it asks
    std::vector<std::string> types;   // and which lock on it
    HiddenLocks hidden;               // what it asks of tables that its text does not name
    std::string object_type;
  };

  [[nodiscard]] static const StateMeaning* meaning_of(const LockSession& session) {
    if (session.kind == "self" || session.kind == "daemon" || !session.state || session.command == "Sleep")
      return nullptr;
    for (const StateMeaning& meaning : kStates) {
      if (*session.state == meaning.state) return &meaning;
    }
    return nullptr;
  }

  void states() {
    std::vector<StateWait> open;
    open.reserve(facts_.sessions.size());
    for (const LockSession& session : facts_.sessions) {
      const StateMeaning* meaning = meaning_of(session);
      if (meaning == nullptr) continue;
      const std::size_t node = node_of_connection(session.connection_id);
      if (waiting_nodes_.contains(node)) continue;  // the server shows what it waits for
      if (meaning->object_type == "FLUSH" || meaning->object_type == "TABLE LEVEL") {
        handle_waiters_[node] = meaning->object_type == "FLUSH";
        continue;
      }
      open.push_back(candidates(node, session, std::string(meaning->object_type)));
    }
    settle(open);
    handle_waits();
  }

  StateWait candidates(std::size_t node, const LockSession& session, std::string object_type) {
    if (object_type == "BACKUP LOCK" && facts_.version.is_mariadb()) object_type = "BACKUP";
    StateWait wait{node, {}, {}, {}, object_type};
    const AskedFor& asked = asked_by(session);
    const std::vector<WantedLock>& wanted = asked.locks;
    const auto add = [&wait](const LockObject& object, std::string_view type) {
      wait.objects.push_back(object);
      wait.types.emplace_back(type);
    };
    // Who holds a lock that can be upgraded and waits, waits for the upgrade.
    if (object_type == "TABLE") {
      const bool reads_only = std::any_of(
          wanted.begin(), wanted.end(), [](const WantedLock& lock) { return lock.upgraded_to == "SHARED_READ_ONLY"; });
      const auto [begin, end] = upgradable_.equal_range(node);
      for (auto found = begin; found != end; ++found) add(objects_[found->second].object, "EXCLUSIVE");
      // LOCK TABLES ... READ of a view: first SHARED_READ on all that is behind it.
      for (std::size_t i = 0; reads_only && i < objects_.size(); ++i) {
        if (objects_[i].object.type == "TABLE" && holds(objects_[i], node, {"SHARED_READ"}))
          add(objects_[i].object, "SHARED_READ_ONLY");
      }
      wait.hidden = asked.hidden;
    }
    for (const WantedLock& lock : wanted) {
      if (lock.object_type != object_type) continue;
      const LockObject object{lock.object_type, lock.schema, lock.name};
      const std::string next = next_type(node, object, lock);
      if (!next.empty()) add(object, next);
    }
    // DROP DATABASE: every table of the schema.
    if (object_type == "TABLE" && wait.objects.empty() && !wanted.empty() && wanted.front().object_type == "SCHEMA") {
      for (const ObjectLocks& locks : objects_) {
        if (locks.object.type == "TABLE" && locks.object.schema == wanted.front().schema &&
            !holds(locks, node, {"EXCLUSIVE"}))
          add(locks.object, "EXCLUSIVE");
      }
    }
    const LockObject whole{object_type, "", ""};
    if (object_type == "BACKUP" && wait.objects.empty()) {
      for (const std::string_view type : backup_types(wanted, session.info.value_or(""))) add(whole, type);
    } else if (object_type == "GLOBAL" || object_type == "COMMIT") {
      const bool flushes = !wanted.empty() && wanted.front().object_type == "BACKUP";
      add(whole, flushes ? "SHARED" : "INTENTION_EXCLUSIVE");
    } else if (object_type == "BACKUP LOCK" && wait.objects.empty()) {
      add(whole, "INTENTION_EXCLUSIVE");
    } else if (object_type == "SCHEMA" && wait.objects.empty()) {
      for (const WantedLock& lock : wanted) add({"SCHEMA", lock.schema, ""}, "INTENTION_EXCLUSIVE");
    } else if (object_type == "USER LEVEL LOCK") {
      if (wait.objects.empty()) add_only_user_lock(wait);
      if (facts_.version.is_mariadb()) {
        for (std::string& type : wait.types) type = "SHARED_NO_WRITE";
      }
    }
    return wait;
  }

  // GET_LOCK(@name, 10): whoever waits, waits for a lock that somebody else has; when there is only one, for that.
  void add_only_user_lock(StateWait& wait) const {
    const ObjectLocks* only = nullptr;
    for (const ObjectLocks& locks : objects_) {
      if (locks.object.type != "USER LEVEL LOCK" ||
          std::none_of(locks.granted.begin(), locks.granted.end(),
                       [&](const Holders& held) { return held.anybody_but(wait.node); }))
        continue;
      if (only != nullptr) return;
      only = &locks;
    }
    if (only == nullptr || !sees_locks_) return;
    wait.objects.push_back(only->object);
    wait.types.emplace_back("EXCLUSIVE");
  }

  [[nodiscard]] static bool holds(const ObjectLocks& locks, std::size_t node,
                                  std::initializer_list<std::string_view> types) {
    return std::any_of(locks.granted.begin(), locks.granted.end(), [&](const Holders& held) {
      return std::find(types.begin(), types.end(), held.type) != types.end() &&
             std::find(held.nodes.begin(), held.nodes.end(), node) != held.nodes.end();
    });
  }

  // What a statement asks for next, given what its session holds already; empty: nothing more on this object.
  std::string next_type(std::size_t node, const LockObject& object, const WantedLock& lock) {
    const ObjectLocks* locks = find_locks(object);
    bool holds_any = false;
    bool holds_last = false;
    if (locks != nullptr) {
      for (const Holders& held : locks->granted) {
        if (std::find(held.nodes.begin(), held.nodes.end(), node) == held.nodes.end()) continue;
        holds_any = true;
        if (held.type == lock.upgraded_to) return "";
        holds_last = holds_last || held.type == lock.lock_type || held.type == "EXCLUSIVE";
      }
    }
    // Where nobody's locks are shown, an ALTER is taken to have got as far as it gets without waiting.
    const bool at_first = sees_locks_ || lock.upgraded_to.empty() || lock.may_be_new;
    if (!holds_any) return at_first ? lock.lock_type : lock.upgraded_to;
    if (!lock.upgraded_to.empty()) return lock.upgraded_to;
    // A transaction may hold a weaker lock than the statement wants now.
    return holds_last ? "" : lock.lock_type;
  }

  // MariaDB's backup namespace: what statements take there, in the order in which they take it.
  static std::vector<std::string_view> backup_types(const std::vector<WantedLock>& wanted, std::string_view statement) {
    const std::vector<SqlToken> tokens = sql_tokens(statement);
    if (!tokens.empty() && equals_ignoring_case(tokens.front().text, "COMMIT")) return {"BACKUP_COMMIT"};
    const bool defines = std::any_of(wanted.begin(), wanted.end(), [](const WantedLock& lock) {
      return lock.lock_type == "EXCLUSIVE" || lock.lock_type == "SHARED_UPGRADABLE" ||
             lock.lock_type == "SHARED_NO_READ_WRITE";
    });
    if (defines) return {"BACKUP_DDL", "BACKUP_ALTER_COPY", "BACKUP_COMMIT"};
    return {"BACKUP_TRANS_DML", "BACKUP_DML", "BACKUP_COMMIT", "BACKUP_SYS_DML"};
  }

  // Whether anybody else holds (or, with `waiting`, asks for) something that stands in the way of `type`.
  [[nodiscard]] static bool any_conflict(const ObjectLocks& locks, std::size_t node, std::string_view type,
                                         bool waiting) {
    const std::vector<Holders>& list = waiting ? locks.waiting : locks.granted;
    const auto conflict = waiting ? conflict_with_waiting : conflict_with_granted;
    return std::any_of(list.begin(), list.end(), [&](const Holders& holders) {
      return holders.anybody_but(node) && conflict(locks.object.type, type, holders.type) == Conflict::conflict;
    });
  }

  // Finds for each wait the first object that explains it: first by what others hold, then by what others wait for.
  // One that nobody explains may still explain others: a waiting ALTER is why readers wait.
  void settle(std::vector<StateWait>& open) {
    settle_by(open, false);
    std::erase_if(open, [this](const StateWait& wait) {
      const bool strong = wait.objects.size() == 1 && wait.types.front() != "SHARED_READ" &&
                          wait.types.front() != "SHARED_WRITE" && wait.types.front() != "SHARED";
      if (!strong) return false;
      ask(wait.node, wait.objects.front(), wait.types.front(), false);
      return true;
    });
    while (settle_by(open, true)) {
    }
    for (const StateWait& wait : open) ask_unknown(wait);
  }

  bool settle_by(std::vector<StateWait>& open, bool waiting) {
    return std::erase_if(open, [&](const StateWait& wait) {
             for (std::size_t i = 0; i < wait.objects.size(); ++i) {
               const ObjectLocks* locks = find_locks(wait.objects[i]);
               if (locks == nullptr || !any_conflict(*locks, wait.node, wait.types[i], waiting)) continue;
               ask(wait.node, wait.objects[i], wait.types[i], false);
               return true;
             }
             return false;
           }) > 0;
  }

  void ask_unknown(const StateWait& wait) {
    if (const auto [locks, type] = hidden_object(wait); locks != nullptr) {
      ask(wait.node, locks->object, std::string(type), false);
    } else if (wait.objects.size() == 1 || (!wait.objects.empty() && wait.object_type == "BACKUP")) {
      ask(wait.node, wait.objects.front(), wait.types.front(), false);
    } else {
      ask(wait.node, {wait.object_type, wait.hidden.schema, ""}, "", false);
    }
  }

  // A table that the text does not name, behind a trigger, a view or a routine: the only one that somebody else has
  // locked, or waits to lock, in a way that stands in this statement's way.
  std::pair<const ObjectLocks*, std::string_view> hidden_object(const StateWait& wait) {
    if (wait.object_type != "TABLE") return {};
    for (const std::string_view type : wait.hidden.types) {
      // Readers and writers, whom the strong types wait for, do not show everywhere.
      if (!sees_locks_ && type != "SHARED_READ" && type != "SHARED_WRITE") continue;
      const ObjectLocks* only = nullptr;
      for (const std::size_t i : in_the_way_of(type)) {
        const ObjectLocks& locks = objects_[i];
        if (!wait.hidden.schema.empty() && locks.object.schema != wait.hidden.schema) continue;
        if (std::find(wait.objects.begin(), wait.objects.end(), locks.object) != wait.objects.end()) continue;
        // What it has, it does not wait for.
        if (holds(locks, wait.node, {type, "SHARED_WRITE", "SHARED_UPGRADABLE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"}))
          continue;
        if (!any_conflict(locks, wait.node, type, false) && !any_conflict(locks, wait.node, type, true)) continue;
        if (only != nullptr) return {};
        only = &locks;
      }
      if (only != nullptr) return {only, type};
    }
    return {};
  }

  // Tables that somebody has locked, or waits to lock, in a way that does not go with `type`. The same for all who
  // wait.
  const std::vector<std::size_t>& in_the_way_of(std::string_view type) {
    const auto [found, added] = in_the_way_of_.emplace(type, std::vector<std::size_t>());
    constexpr std::size_t kNobody = static_cast<std::size_t>(-1);
    for (std::size_t i = 0; added && i < objects_.size(); ++i) {
      const ObjectLocks& locks = objects_[i];
      if (locks.object.type == "TABLE" &&
          (any_conflict(locks, kNobody, type, false) || any_conflict(locks, kNobody, type, true)))
        found->second.push_back(i);
    }
    return found->second;
  }

  // --- waits for open tables: flushes, and table level locks of engines without row locks

  void handle_waits() {
    std::map<std::pair<std::string, std::string>, std::vector<const TableHandle*>> handles;
    for (const TableHandle& handle : facts_.table_handles) {
      if (handle.connection_id) handles[{handle.schema, handle.name}].push_back(&handle);
    }
    std::map<std::string, LockQueue> in_the_way;  // of those who ask alike
    const auto queue_for = [&](const WantedLock& lock, bool flush) -> const LockQueue& {
      LockQueue queue{WaitKind::table, {"TABLE", lock.schema, lock.name}, flush ? "FLUSH" : "", {}, {}};
      if (!flush) queue.requested = lock.lock_type == "SHARED_READ" ? "READ" : "WRITE";
      const auto [found, added] = in_the_way.try_emplace(key_of(queue.object) + '\0' + queue.requested);
      if (!added) return found->second;
      std::unordered_set<std::size_t> known;
      for (const auto& [table, list] : handles) {
        const bool everything = lock.object_type == "BACKUP";  // FLUSH TABLES without names
        if (!everything && table != std::pair{lock.schema, lock.name}) continue;
        const std::size_t before = queue.blockers.size();
        add_handle_blockers(queue, list, flush, known);
        // FLUSH TABLES waits for the tables that are in use, one after the other.
        if (everything && queue.blockers.size() > before) queue.object = {"TABLE", table.first, table.second};
      }
      return found->second = std::move(queue);
    };
    std::map<std::string, std::size_t> queue_of;  // all who wait for the same share one
    for (const auto& [node, flush] : handle_waiters_) {
      LockQueue nothing{WaitKind::table, {"TABLE", "", ""}, flush ? "FLUSH" : "", {}, {}};
      const LockQueue* chosen = nullptr;
      for (const WantedLock& lock : asked_by(*session(node)).locks) {
        if (lock.object_type != "TABLE" && lock.object_type != "BACKUP") continue;
        const LockQueue& queue = queue_for(lock, flush);
        const bool explains = std::any_of(queue.blockers.begin(), queue.blockers.end(),
                                          [node = node](const Blocker& blocker) { return blocker.node != node; });
        if (chosen == nullptr || explains) chosen = &queue;
        if (explains) break;
      }
      if (chosen == nullptr) chosen = &nothing;
      const auto [found, added] =
          queue_of.emplace(key_of(chosen->object) + '\0' + chosen->requested, graph_.queues.size());
      if (added) graph_.queues.push_back(*chosen);
      add_wait(node, found->second);
    }
  }

  void add_handle_blockers(LockQueue& queue, const std::vector<const TableHandle*>& handles, bool flush,
                           std::unordered_set<std::size_t>& known) {
    for (const TableHandle* handle : handles) {
      const std::size_t node = node_of_connection(*handle->connection_id);
      const std::string& lock = flush ? handle->external_lock : handle->internal_lock;
      const bool in_the_way = flush || queue.requested == "WRITE" || lock.rfind("WRITE", 0) == 0;
      if (lock.empty() || !in_the_way) continue;
      if (!handle_waiters_.contains(node)) {
        if (known.insert(node).second)
          queue.blockers.push_back({node, lock, How::granted, Certainty::inferred, kFromHandles});
      } else if (queue.requested == "READ" && known.insert(node).second) {
        queue.blockers.push_back({node, lock, How::queued_ahead, Certainty::inferred, kFromWaitingWriter});
      }
    }
  }

  // --- who stands in the way of metadata lock requests

  void metadata_queues() {
    for (const ObjectLocks& locks : objects_) {
      for (const Holders& asking : locks.waiting) add_metadata_queue(locks, asking);
    }
  }

  void add_metadata_queue(const ObjectLocks& locks, const Holders& asking) {
    LockQueue queue{WaitKind::metadata, locks.object, asking.type, {}, {}};
    std::unordered_set<std::size_t> known;
    const auto add = [&](const Holders& holders, How how, const char* inferred_from) {
      const bool certain = inferred_from == nullptr && asking.observed && holders.observed;
      if (inferred_from == nullptr) inferred_from = how == How::granted ? kFromStatement : kFromStatements;
      for (const std::size_t node : holders.nodes) {
        if (!known.insert(node).second) continue;
        queue.blockers.push_back({node, holders.type, how, certain ? Certainty::observed : Certainty::inferred,
                                  certain ? "" : inferred_from});
      }
    };
    for (const Holders& held : locks.granted) {
      const Conflict conflict = conflict_with_granted(locks.object.type, asking.type, held.type);
      if (conflict == Conflict::conflict) add_granted(locks, asking, held, add);
      if (conflict == Conflict::unknown && !asking.type.empty()) add(held, How::granted, kFromUnknownType);
    }
    for (const Holders& other : locks.waiting) {
      if (conflict_with_waiting(locks.object.type, asking.type, other.type) == Conflict::conflict)
        add(other, How::queued_ahead,
            facts_.others_may_pass && has_limited_queue(locks.object.type) ? kFromLimitedQueue : nullptr);
    }
    // An ALTER that waits for EXCLUSIVE holds SHARED_UPGRADABLE itself: that explains nothing.
    const bool explained = std::any_of(queue.blockers.begin(), queue.blockers.end(),
                                       [&](const Blocker& blocker) { return asking.anybody_but(blocker.node); });
    if (!explained) add_stale_holders(locks, asking, add);
    queue.kind = kind_of(locks.object.type, asking.type, queue);
    graph_.queues.push_back(std::move(queue));
    for (const std::size_t node : asking.nodes) add_wait(node, graph_.queues.size() - 1);
  }

  // Whoever is altering a table may have a weaker lock by now than MariaDB's performance_schema shows.
  template <typename Add>
  void add_granted(const ObjectLocks& locks, const Holders& asking, const Holders& held, const Add& add) {
    if (held.current || !may_have_lost_conflict(locks.object.type, asking.type, held.type))
      return add(held, How::granted, nullptr);
    Holders altering = held;
    Holders others = held;
    std::erase_if(altering.nodes, [this](std::size_t node) { return !upgradable_.contains(node); });
    std::erase_if(others.nodes, [this](std::size_t node) { return upgradable_.contains(node); });
    add(others, How::granted, nullptr);
    add(altering, How::granted, kFromRequestedType);
  }

  // MariaDB's performance_schema shows the type that was asked for: whoever may hold a stronger one by now, and when
  // there is none, everybody else who holds the object.
  template <typename Add>
  void add_stale_holders(const ObjectLocks& locks, const Holders& asking, const Add& add) {
    std::vector<Holders> all;
    std::vector<Holders> upgraded;
    for (const Holders& held : locks.granted) {
      if (held.current) continue;
      Holders others{held.type, false, true, {}};
      Holders stronger = others;
      const bool may = may_have_become_conflict(locks.object.type, asking.type, held.type);
      for (const std::size_t node : held.nodes) {
        if (!asking.anybody_but(node)) continue;
        others.nodes.push_back(node);
        // LOCK TABLES ... READ and a reader look alike; but a reader that still holds its lock has a transaction.
        if (may && !(held.type == "SHARED_READ" && has_transaction(node))) stronger.nodes.push_back(node);
      }
      if (!others.nodes.empty()) all.push_back(std::move(others));
      if (!stronger.nodes.empty()) upgraded.push_back(std::move(stronger));
    }
    for (const Holders& holders : upgraded.empty() ? all : upgraded) add(holders, How::granted, kFromStaleType);
  }

  [[nodiscard]] bool has_transaction(std::size_t node) const {
    const auto id = graph_.nodes[node].connection_id;
    const auto found = id ? transaction_of_.find(*id) : transaction_of_.end();
    return found != transaction_of_.end() && found->second->in_innodb;
  }

  [[nodiscard]] static WaitKind kind_of(std::string_view object_type, std::string_view requested,
                                        const LockQueue& queue) {
    if (object_type == "GLOBAL") return WaitKind::global_read;
    if (object_type == "COMMIT") return WaitKind::commit;
    if (object_type == "BACKUP LOCK") return WaitKind::backup;
    if (object_type == "USER LEVEL LOCK") return WaitKind::user;
    if (object_type != "BACKUP") return WaitKind::metadata;
    const auto is_global_read = [](std::string_view type) { return type.rfind("BACKUP_FTWRL", 0) == 0; };
    const bool held = std::any_of(queue.blockers.begin(), queue.blockers.end(),
                                  [&](const Blocker& blocker) { return is_global_read(blocker.lock); });
    return held || is_global_read(requested) ? WaitKind::global_read : WaitKind::backup;
  }

  // --- waits

  void add_wait(std::size_t node, std::size_t queue) {
    LockWait wait{node, queue, {}, false};
    const LockNode& waiter = graph_.nodes[node];
    const bool innodb = graph_.queues[queue].kind == WaitKind::row || graph_.queues[queue].kind == WaitKind::table;
    const auto transaction = waiter.connection_id ? transaction_of_.find(*waiter.connection_id) : transaction_of_.end();
    if (innodb && transaction != transaction_of_.end()) wait.wait_s = transaction->second->wait_s;
    wait.wait_is_exact = wait.wait_s.has_value();
    if (const LockSession* asking = session(node); asking != nullptr && !wait.wait_s) {
      wait.wait_s = asking->time_s;
      // MySQL counts whole seconds; where the statement's own clock is known, it is the better bound.
      if (!facts_.version.is_mariadb() && wait.wait_s) *wait.wait_s += 1;
      if (asking->statement_s && wait.wait_s) wait.wait_s = std::min(*wait.wait_s, *asking->statement_s);
    }
    graph_.queues[queue].waits.push_back(graph_.waits.size());
    graph_.waits.push_back(wait);
    waiting_nodes_.insert(node);
  }

  void longest_first() {
    std::vector<std::size_t> order(graph_.waits.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return graph_.waits[a].wait_s.value_or(0) > graph_.waits[b].wait_s.value_or(0);
    });
    std::vector<LockWait> sorted;
    sorted.reserve(order.size());
    for (LockQueue& queue : graph_.queues) queue.waits.clear();
    for (const std::size_t i : order) {
      graph_.queues[graph_.waits[i].queue].waits.push_back(sorted.size());
      sorted.push_back(graph_.waits[i]);
    }
    graph_.waits = std::move(sorted);
  }

  const LockFacts& facts_;
  const bool sees_locks_;
  WaitGraph graph_;
  std::unordered_map<std::int64_t, std::size_t> session_of_;
  std::unordered_map<std::int64_t, const LockTransaction*> transaction_of_;
  std::unordered_map<std::int64_t, std::size_t> node_of_connection_;
  std::unordered_map<std::int64_t, std::size_t> node_of_thread_;
  std::unordered_map<std::string, std::size_t> node_of_trx_;
  std::unordered_set<std::string> detached_transactions_;
  std::unordered_set<std::string> rolling_back_;  // those of them that are not prepared
  std::unordered_map<std::string, std::size_t> object_index_;
  std::vector<ObjectLocks> objects_;
  std::multimap<std::size_t, std::size_t> upgradable_;                          // node -> object
  std::map<std::string, std::vector<std::size_t>, std::less<>> in_the_way_of_;  // lock type -> objects
  std::unordered_set<std::size_t> waiting_nodes_;
  std::map<std::pair<std::string, std::string>, AskedFor> asked_in_;  // a statement, in a database
  std::vector<std::size_t> readers_with_row_locks_;
  std::map<std::size_t, bool> handle_waiters_;  // node -> whether it waits for a flush
};

}  // namespace

WaitGraph build_wait_graph(const LockFacts& facts) { return Builder(facts).run(); }

std::vector<const Blocker*> blockers_of(const WaitGraph& graph, const LockWait& wait, std::size_t at_most) {
  std::vector<const Blocker*> out;
  for (const Blocker& blocker : graph.queues[wait.queue].blockers) {
    if (out.size() == at_most) break;
    if (blocker.node != wait.node) out.push_back(&blocker);
  }
  return out;
}

std::size_t count_blockers(const WaitGraph& graph, const LockWait& wait) {
  const std::vector<Blocker>& blockers = graph.queues[wait.queue].blockers;
  const bool itself =
      std::any_of(blockers.begin(), blockers.end(), [&](const Blocker& b) { return b.node == wait.node; });
  return blockers.size() - (itself ? 1 : 0) + graph.queues[wait.queue].unlisted;
}

}  // namespace dbaudit

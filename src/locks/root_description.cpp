// What a root is doing, what ends it, and what would have.
#include <fmt/format.h>

#include <algorithm>

#include "base/sql_text.h"
#include "base/text.h"
#include "locks/lock_report.h"

namespace dbaudit {
namespace {

bool starts_with(const std::string& text, std::string_view prefix) { return text.rfind(prefix, 0) == 0; }

// The first words of a statement, in capitals: "LOCK TABLES".
std::string first_words(const std::optional<std::string>& statement) {
  if (!statement) return "";
  std::string words;
  for (const SqlToken& token : sql_tokens(*statement)) {
    if (token.kind != SqlTokenKind::word || words.size() > 20) break;
    for (const char c : token.text) words += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    words += ' ';
  }
  return words;
}

// What an idle session holds names what it did; its last statement, where it is known, does so better.
std::string state_of_idle(const LockRoot& root, const LockSession& session, bool in_transaction) {
  const auto holds = [&](const auto& matches) { return std::any_of(root.holds.begin(), root.holds.end(), matches); };
  if (holds([](const RootLock& l) {
        const bool scoped = l.object.type == "GLOBAL" || l.object.type == "COMMIT";
        return (scoped && l.lock == "SHARED") || starts_with(l.lock, "BACKUP_FTWRL");
      }))
    return "global_read_lock";
  const auto is_stage = [](const RootLock& l) {
    return l.object.type == "BACKUP" && (starts_with(l.lock, "BACKUP_START") || starts_with(l.lock, "BACKUP_FLUSH") ||
                                         starts_with(l.lock, "BACKUP_WAIT") || l.lock == "BACKUP_BLOCK_DDL");
  };
  if (holds([&](const RootLock& l) {
        return is_stage(l) || (l.object.type == "BACKUP LOCK" && l.lock == "SHARED") ||
               (l.object.type == "TABLE" && l.lock == "SHARED_HIGH_PRIO");
      }))
    return "backup_lock";
  if (holds([](const RootLock& l) { return l.object.type == "USER LEVEL LOCK"; })) return "user_lock";
  const std::string words = first_words(session.last_statement);
  if (starts_with(words, "HANDLER ")) return "handler_open";
  if (starts_with(words, "LOCK TABLE")) return "lock_tables";
  if (holds([](const RootLock& l) {
        return l.lock == "SHARED_NO_READ_WRITE" || l.lock == "SHARED_NO_WRITE" || l.lock == "SHARED_READ_ONLY" ||
               (l.object.type == "BACKUP" && l.lock == "BACKUP_DDL");
      }))
    return "lock_tables";
  if (in_transaction) return "idle_in_transaction";
  // What a statement took of a table to write to it, or of a routine, stays with it until its transaction ends.
  if (holds([](const RootLock& l) {
        return l.object.type == "FUNCTION" || l.object.type == "PROCEDURE" ||
               (l.object.type == "TABLE" && l.lock == "SHARED_WRITE");
      }))
    return "idle_in_transaction";
  // Plain statements ask for more than SHARED; what stays open with it is a HANDLER.
  if (holds([](const RootLock& l) { return l.object.type == "TABLE" && l.lock == "SHARED"; })) return "handler_open";
  // MyISAM tables in a transaction, a statement that failed in one: nothing but the lock shows.
  return "idle";
}

std::string state_of(const LockReport& report, const LockRoot& root, bool in_transaction, bool rolling_back) {
  const LockNode& node = report.graph.nodes[root.node];
  if (rolling_back) return "rolling_back";
  if (node.detached) {
    // A background thread's, where XA RECOVER says that nothing is prepared.
    const SourceStatus* prepared = report.facts.source("prepared_xa");
    const bool nothing = prepared != nullptr && prepared->status == "read" && report.facts.prepared_xids.empty();
    return nothing ? "unknown" : "prepared_xa";
  }
  if (!node.session) return "unknown";
  const LockSession& session = report.facts.sessions[*node.session];
  // It ends already: killed, or executing ROLLBACK.
  const std::string words = session.command == "Query" ? first_words(session.info) : "";
  const bool ends = session.command == "Killed" || words == "ROLLBACK " || words == "ROLLBACK WORK ";
  if (ends && !root.cycle) return "rolling_back";
  if (session.kind == "replication") return "replication";
  if (root.cycle) return "waiting";
  return session.command == "Sleep" ? state_of_idle(root, session, in_transaction) : "running";
}

std::string remedy_of(const LockReport& report, const LockRoot& root) {
  const LockNode& node = report.graph.nodes[root.node];
  if (root.state == "rolling_back") return "";
  if (root.state == "prepared_xa") {
    if (root.xid) return fmt::format("XA ROLLBACK {}", *root.xid);
    return "XA RECOVER";
  }
  return node.connection_id ? fmt::format("KILL {}", *node.connection_id) : "";
}

std::optional<std::string> prevention_of(const LockReport& report, const LockRoot& root) {
  const bool mariadb = report.facts.version.is_mariadb();
  if (root.state == "idle_in_transaction") {
    return mariadb
               ? "SET GLOBAL idle_transaction_timeout = 60 ends such sessions by itself"
               : "MySQL ends no idle transaction by itself: autocommit in the client; SET SESSION lock_wait_timeout "
                 "= 5 before ALTER TABLE";
  }
  if (root.state == "running") {
    // table_handles says so of an open table: a FLUSH waits for it.
    const bool flush = std::any_of(root.holds.begin(), root.holds.end(), [](const RootLock& lock) {
      return lock.lock.find("EXTERNAL") != std::string::npos;
    });
    if (flush && !mariadb)
      return "max_execution_time ends such SELECTs; SET SESSION lock_wait_timeout = 5 before FLUSH TABLES";
    return mariadb ? "max_statement_time of its account or session ends such statements"
                   : "max_execution_time ends such SELECTs; SET SESSION lock_wait_timeout = 5 before ALTER TABLE";
  }
  if (root.state == "lock_tables" || root.state == "global_read_lock" || root.state == "backup_lock" ||
      root.state == "handler_open" || root.state == "user_lock" || root.state == "idle")
    return "a lower wait_timeout for that account ends such sessions";
  if (root.state == "prepared_xa") return "the transaction manager must recover what it has prepared";
  return std::nullopt;
}

// A prepared transaction whose session is still there shows as that session's, idle. KILL leaves it prepared, with its
// row locks (measured on MariaDB 11.8; MySQL takes it from its session at once). XA RECOVER lists it, and not whose it
// is; it lists as well what has touched no row, which has no transaction any more.
std::optional<std::string> caution_of(const LockReport& report, const LockRoot& root) {
  const LockFacts& facts = report.facts;
  // STOP REPLICA waits for the statement at work (measured on MySQL 9.7 and MariaDB 10.11).
  if (root.state == "replication")
    return fmt::format("it applies what another server did, and stops with an error; {} begins that transaction again",
                       facts.version.min_mysql(8, 0, 22) ? "START REPLICA" : "START SLAVE");
  if (root.state != "idle_in_transaction" || !facts.version.is_mariadb() || root.rows_modified == 0)
    return std::nullopt;
  const auto detached = std::count_if(
      facts.transactions.begin(), facts.transactions.end(),
      [](const LockTransaction& transaction) { return !transaction.connection_id && !transaction.rolling_back; });
  if (facts.prepared_xids.size() <= static_cast<std::size_t>(detached)) return std::nullopt;
  return "XA RECOVER lists what may be its transaction: then KILL leaves it prepared with its row locks, and XA "
         "ROLLBACK "
         "ends it";
}

// Which prepared transaction it is, can be told when there is only one.
std::optional<std::string> xid_of(const LockReport& report) {
  const auto rolls_back = [&](const LockNode& node) {
    return std::any_of(report.facts.transactions.begin(), report.facts.transactions.end(),
                       [&](const LockTransaction& t) { return t.rolling_back && t.trx_id == node.trx_id; });
  };
  const auto detached = std::count_if(report.graph.nodes.begin(), report.graph.nodes.end(),
                                      [&](const LockNode& node) { return node.detached && !rolls_back(node); });
  if (detached != 1 || report.facts.prepared_xids.size() != 1) return std::nullopt;
  return report.facts.prepared_xids.front();
}

}  // namespace

void describe_root(const LockReport& report, LockRoot& root) {
  const LockNode& node = report.graph.nodes[root.node];
  bool in_transaction = false;
  bool rolling_back = false;
  for (const LockTransaction& transaction : report.facts.transactions) {
    const bool own = node.connection_id ? transaction.connection_id == node.connection_id
                                        : !transaction.connection_id && transaction.trx_id == node.trx_id;
    if (!own) continue;
    in_transaction = true;
    rolling_back = rolling_back || transaction.rolling_back;
    root.transaction_s = std::max(root.transaction_s.value_or(0), transaction.age_s.value_or(0));
    if (transaction.rows_modified) root.rows_modified = root.rows_modified.value_or(0) + *transaction.rows_modified;
  }
  if (node.session) {
    const LockSession& session = report.facts.sessions[*node.session];
    if (session.command == "Sleep") root.idle_s = session.time_s;
    root.last_statement = session.last_statement ? session.last_statement : session.info;
  }
  root.state = state_of(report, root, in_transaction, rolling_back);
  if (root.state == "prepared_xa") root.xid = xid_of(report);
  root.remedy = remedy_of(report, root);
  root.prevention = prevention_of(report, root);
  root.caution = caution_of(report, root);
}

}  // namespace dbaudit

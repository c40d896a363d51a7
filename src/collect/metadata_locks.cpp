// Metadata locks.
//
// MySQL: performance_schema.metadata_locks. MariaDB: the same where its instrument is on (off by default, also with
// performance_schema=ON; an empty table then means "cannot see"), and the METADATA_LOCK_INFO plugin (granted locks
// only, but with their true types). MariaDB's metadata_locks shows the type that was asked for; later up- and
// downgrades are not written back. For MySQL before 9 that is not measured, so it is taken to be the same.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/sql_text.h"
#include "base/text.h"
#include "collect/privileges.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kPerformanceSchemaLocks =
    "SELECT OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME, LOCK_TYPE, LOCK_DURATION, LOCK_STATUS, OWNER_THREAD_ID, "
    "OWNER_EVENT_ID FROM performance_schema.metadata_locks";

// Of the granted locks only those on objects for which somebody waits: the table has an index on the object's name
// (<=> because GLOBAL and COMMIT have none), so the cost follows the stall and not the number of locks.
constexpr std::string_view kContested =
    "SELECT OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME, LOCK_TYPE, LOCK_DURATION, LOCK_STATUS, OWNER_THREAD_ID, "
    "OWNER_EVENT_ID FROM performance_schema.metadata_locks WHERE LOCK_STATUS = 'PENDING' "
    "UNION ALL "
    "SELECT g.OBJECT_TYPE, g.OBJECT_SCHEMA, g.OBJECT_NAME, g.LOCK_TYPE, g.LOCK_DURATION, g.LOCK_STATUS, "
    "g.OWNER_THREAD_ID, g.OWNER_EVENT_ID FROM (SELECT DISTINCT OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME "
    "FROM performance_schema.metadata_locks WHERE LOCK_STATUS = 'PENDING') p "
    "JOIN performance_schema.metadata_locks g ON g.OBJECT_TYPE = p.OBJECT_TYPE "
    "AND g.OBJECT_SCHEMA <=> p.OBJECT_SCHEMA AND g.OBJECT_NAME <=> p.OBJECT_NAME WHERE g.LOCK_STATUS = 'GRANTED'";

constexpr std::string_view kPluginLocks =
    "SELECT THREAD_ID, LOCK_TYPE, TABLE_SCHEMA, TABLE_NAME, LOCK_MODE, LOCK_TIME_MS "
    "FROM information_schema.METADATA_LOCK_INFO";

// Of the locks on tables, those that readers and writers hold matter only where a waiting statement names the table;
// the stronger ones may also stand in the way behind a view, a trigger or a routine. The server makes its list of all
// locks in any case, and this spares sending and storing thousands of them in the middle of a stall.
constexpr std::string_view kPluginContested =
    " WHERE LOCK_TYPE <> 'Table metadata lock' OR LOCK_MODE NOT IN ('MDL_SHARED', 'MDL_SHARED_HIGH_PRIO', "
    "'MDL_SHARED_READ', 'MDL_SHARED_WRITE')";

const std::string kInstrument = "wait/lock/metadata/sql/mdl";
const std::string kGlobalInstrumentation = "global_instrumentation";
constexpr const char* kPluginRemedy =
    "INSTALL SONAME 'metadata_lock_info' shows granted locks at once; performance_schema=ON with "
    "performance-schema-instrument='wait/lock/metadata/sql/mdl=ON' at the next start shows waiters too";

// The plugin's words for object types, in performance_schema's words.
std::string object_type_of_plugin(std::string_view type) {
  if (type == "Backup lock") return "BACKUP";
  if (type == "User lock") return "USER LEVEL LOCK";
  const std::size_t end = type.find(" metadata lock");
  std::string word(type.substr(0, end));
  if (word.rfind("Stored ", 0) == 0) word.erase(0, 7);
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return word;
}

std::string as_hex(std::string_view text) {
  std::string hex;
  for (const char c : text) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

// What a waiting statement tells of the tables that it wants.
enum class Tells {
  weak,     // it reads or writes: only the strong locks, which are always read, stand in its way
  strong,   // it wants a strong lock, on tables that it names
  nothing,  // it wants a strong lock on what it does not name, or nobody knows
};

Tells told_by(const std::vector<SqlToken>& tokens, bool whole) {
  std::size_t at = 0;
  const auto is = [&](std::string_view word, std::size_t ahead = 0) {
    return at + ahead < tokens.size() && tokens[at + ahead].kind != SqlTokenKind::string &&
           equals_ignoring_case(tokens[at + ahead].text, word);
  };
  const auto is_any = [&](std::initializer_list<std::string_view> words, std::size_t ahead = 0) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return is(word, ahead); });
  };
  if (is("SET") && is("STATEMENT", 1)) {  // ... FOR what is executed
    while (at < tokens.size() && !is("FOR")) ++at;
    ++at;
  }
  while (is("(")) ++at;
  if (is_any({"SELECT",   "INSERT", "REPLACE", "UPDATE",   "DELETE", "WITH",    "VALUES",
              "LOAD",     "DO",     "SET",     "SHOW",     "CALL",   "HANDLER", "EXPLAIN",
              "DESCRIBE", "DESC",   "COMMIT",  "ROLLBACK", "XA",     "GRANT",   "REVOKE"}) ||
      (is_any({"CREATE", "ALTER", "DROP", "RENAME"}) && is_any({"USER", "ROLE"}, 1)))
    return Tells::weak;
  if (!whole || !is_any({"ALTER", "CREATE", "DROP", "TRUNCATE", "RENAME", "OPTIMIZE", "REPAIR", "ANALYZE", "CHECK",
                         "FLUSH", "BACKUP"}))
    return Tells::nothing;
  if (is("DROP") && is("TRIGGER", 1)) return Tells::nothing;
  for (const SqlToken& token : tokens) {
    const bool name = token.kind == SqlTokenKind::word || token.kind == SqlTokenKind::identifier;
    // DROP DATABASE asks for tables that it does not name.
    if (name && (equals_ignoring_case(token.text, "DATABASE") || equals_ignoring_case(token.text, "SCHEMA")))
      return Tells::nothing;
    // A name, where sql_mode holds ANSI_QUOTES.
    if (token.kind == SqlTokenKind::string && token.text.front() == '"') return Tells::nothing;
  }
  return Tells::strong;
}

// Every name in the statements of those who wait; nothing when they do not tell all names that matter.
std::optional<std::set<std::string>> names_in(const std::set<std::string>& statements) {
  constexpr std::size_t kMostNames = 1000;
  constexpr std::size_t kCutInCharacter = 4;
  std::set<std::string> names;
  for (const std::string& statement : statements) {
    const std::vector<SqlToken> tokens = sql_tokens(statement);
    if (told_by(tokens, statement.size() + kCutInCharacter <= kStatementBytes) == Tells::nothing) return std::nullopt;
    for (const SqlToken& token : tokens) {
      if (token.kind == SqlTokenKind::word || token.kind == SqlTokenKind::identifier) names.insert(token.text);
    }
  }
  return names.size() > kMostNames ? std::nullopt : std::optional(names);
}

std::string plugin_sql(const Reading& reading) {
  std::string sql(kPluginLocks);
  if (reading.request.scope == Scope::everything || !reading.waiting_statements) return sql;
  const std::optional<std::set<std::string>> names = names_in(*reading.waiting_statements);
  if (!names) return sql;
  sql += kPluginContested;
  const char* before = " OR TABLE_NAME IN (";
  for (const std::string& name : *names) {
    sql += fmt::format("{}_utf8mb4 X'{}'", before, as_hex(name));
    before = ", ";
  }
  return names->empty() ? sql : sql + ")";
}

// Applications put what they like into the name of a user lock.
std::optional<std::string_view> name_of(const Reading& reading, std::string_view type,
                                        std::optional<std::string_view> name) {
  return reading.request.redact && type == "USER LEVEL LOCK" ? std::nullopt : name;
}

std::string_view owner_of(const Reading& reading, std::optional<std::int64_t> thread, std::string_view status) {
  if (reading.processlist_id(thread)) return "session";
  if (!thread || reading.thread_ids_problem) return "unknown";
  if (reading.background_threads.contains(*thread)) return "background";
  // A thread that began after the list of threads was read has a higher number; one that is gone waits for nothing.
  return *thread < reading.highest_thread_id && status == "GRANTED" ? "detached" : "unknown";
}

// MySQL detaches an XA transaction when it is prepared, and shows its locks under the thread that prepared it as long
// as that one lives, whatever it does now. The event that took such a lock came before the transaction that it is in.
bool is_left_behind(const Reading& reading, std::optional<std::int64_t> thread, std::string_view duration,
                    std::optional<std::int64_t> event) {
  if (!reading.detached_transactions || !thread || !event || duration != "TRANSACTION") return false;
  const auto current = reading.transaction_event_of_thread.find(*thread);
  return current != reading.transaction_event_of_thread.end() && *event < current->second;
}

std::string_view performance_schema_sql(const Reading& reading) {
  return reading.request.scope == Scope::everything ? kPerformanceSchemaLocks : kContested;
}

Result<std::int64_t> read_performance_schema(Reading& reading) {
  Result<Rows> rows = reading.connection.query(performance_schema_sql(reading));
  if (!rows) return rows.error();
  const std::string type_is = reading.version.min_mysql(9, 0) ? "current" : "as_requested";
  Insert insert = reading.store.insert("metadata_locks");
  std::int64_t count = 0;
  while (rows->next()) {
    const std::optional<std::int64_t> thread = rows->integer(6);
    const std::optional<std::int64_t> id = reading.processlist_id(thread);
    if (id == reading.connection_id) continue;
    const std::string_view type = rows->view(0);
    const std::string_view status = rows->view(5);
    const bool left_behind = is_left_behind(reading, thread, rows->view(4), rows->integer(7));
    insert.row(reading.server_id, left_behind ? std::nullopt : id, thread,
               left_behind ? "detached" : owner_of(reading, thread, status), type, rows->optional_view(1),
               name_of(reading, type, rows->optional_view(2)), rows->view(3), rows->view(4), status, nullptr,
               "metadata_locks", type_is);
    ++count;
  }
  return count;
}

bool reads_lock_table(const Reading& reading) {
  return reading.performance_schema && !reading.is_off(kInstrument) && !reading.is_off(kGlobalInstrumentation);
}

Result<std::int64_t> read_plugin(Reading& reading) {
  Result<Rows> rows = reading.connection.query(plugin_sql(reading));
  if (!rows) return rows.error();
  Insert insert = reading.store.insert("metadata_locks");
  std::int64_t count = 0;
  std::string plugin_type;
  std::string type;
  while (rows->next()) {
    std::optional<std::int64_t> id = rows->integer(0);
    if (id == reading.connection_id) continue;
    if (id == 0) id.reset();  // a background thread
    if (const std::string_view next = rows->view(1); next != plugin_type) {
      plugin_type = next;
      type = object_type_of_plugin(plugin_type);
    }
    std::optional<std::string_view> schema = rows->optional_view(2);
    std::optional<std::string_view> name = rows->optional_view(3);
    // The plugin puts a user lock's name where the schema belongs.
    if (type == "USER LEVEL LOCK") std::swap(schema, name);
    std::string_view mode = rows->view(4);
    if (mode.starts_with("MDL_")) mode.remove_prefix(4);
    const std::optional<double> held_ms = rows->real(5);
    insert.row(reading.server_id, id, nullptr, id ? "session" : "background", type, schema,
               name_of(reading, type, name), mode, nullptr, "GRANTED",
               held_ms ? std::optional(*held_ms / 1000) : std::nullopt, "metadata_lock_info", "current");
    ++count;
  }
  return count;
}

// Where no metadata lock can be seen, IS_USED_LOCK still says who holds a user lock, to everybody. The names are those
// that others wait for now.
void read_awaited_user_locks(Reading& reading) {
  constexpr std::size_t kMostNames = 50;
  std::vector<std::string> names = reading.awaited_user_locks;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() > kMostNames) names.resize(kMostNames);
  if (names.empty()) return;
  std::string sql = "SELECT ";
  for (const std::string& name : names) {
    sql += fmt::format("{}IS_USED_LOCK(_utf8mb4 X'{}')", sql.back() == ' ' ? "" : ", ", as_hex(name));
  }
  Result<Rows> rows = reading.connection.query(sql);
  if (!rows || !rows->next()) return;
  Insert insert = reading.store.insert("metadata_locks");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string type = "USER LEVEL LOCK";
    if (const std::optional<std::int64_t> id = rows->integer(i))
      insert.row(reading.server_id, id, nullptr, "session", type, nullptr, name_of(reading, type, names[i]),
                 reading.version.is_mariadb() ? "SHARED_NO_WRITE" : "EXCLUSIVE", "EXPLICIT", "GRANTED", nullptr,
                 "is_used_lock", "current");
  }
}

// Sessions that lie idle in a transaction, which InnoDB has seen, own a lock of every table they touched; when none
// shows, rows are missing. The seconds keep those out that begin or end while this is read.
std::int64_t transactions_without_lock(const Reading& reading) {
  Query query = reading.store.query(
      "SELECT count(*) FROM (SELECT processlist_id FROM transactions "
      "WHERE server_id = :id AND seen_in <> 'events_transactions_current' AND age_s > 1 AND processlist_id IN "
      "(SELECT processlist_id FROM sessions WHERE server_id = :id AND command = 'Sleep' AND time_s > 1) "
      "EXCEPT SELECT processlist_id FROM metadata_locks WHERE server_id = :id AND lock_status = 'GRANTED')");
  query.bind("id", reading.server_id);
  const Result<bool> found = query.next();
  return found && *found ? query.integer(0).value_or(0) : 0;
}

}  // namespace

bool reads_lock_plugin(const Reading& reading) {
  return reading.version.is_mariadb() && reading.instruments.contains("METADATA_LOCK_INFO") &&
         !reading.is_off("METADATA_LOCK_INFO");
}

Ahead ahead_of_metadata_locks(const Reading& reading) {
  const bool plugin = reads_lock_plugin(reading);
  const bool table = reads_lock_table(reading);
  // Sessions tell who waits for what.
  if (plugin && reading.request.scope == Scope::locks && !reading.waiting_statements) return {{}, false};
  if (!plugin && !table) return {{}, reading.waiting_statements && reading.awaited_user_locks.empty()};
  Ahead ahead;
  if (plugin) ahead.statements.push_back(plugin_sql(reading));
  if (table) ahead.statements.emplace_back(performance_schema_sql(reading));
  return ahead;
}

SourceOutcome collect_metadata_locks(Reading& reading) {
  const bool plugin = reads_lock_plugin(reading);
  const bool table = reads_lock_table(reading);
  std::int64_t count = 0;
  if (plugin) {
    Result<std::int64_t> rows = read_plugin(reading);
    if (!rows) return unavailable_from(rows.error(), reading, "metadata_locks");
    count += *rows;
  }
  if (table) {
    Result<std::int64_t> rows = read_performance_schema(reading);
    if (rows) {
      count += *rows;
    } else if (!plugin) {
      return unavailable_from(rows.error(), reading, "metadata_locks");
    } else if (reading.connection.lost()) {
      const SourceOutcome failed = unavailable_from(rows.error(), reading, "metadata_locks");
      return SourceOutcome::partial(count, failed.reason.value_or(""), failed.remedy.value_or(""));
    }
    if (rows && reading.metadata_locks_lost.value_or(0) > 0) {
      return SourceOutcome::partial(
          count, fmt::format("performance_schema ran out of room for {} metadata locks", *reading.metadata_locks_lost),
          "Start the server with a larger performance_schema_max_metadata_locks");
    }
    if (rows && !reading.metadata_locks_lost) {
      return SourceOutcome::partial(count, "whether performance_schema had room for all of them could not be read",
                                    "Run dbaudit again");
    }
    const bool off_by_default = reading.version.is_mariadb() || !reading.version.min_mysql(8, 0);
    if (rows && !plugin && count == 0 && off_by_default && !reading.instruments.contains(kInstrument)) {
      return SourceOutcome::unavailable(
          fmt::format("no row, and whether instrument '{}' is on could not be read", kInstrument),
          grant_for("metadata_locks", reading.version, reading.account).value_or(""));
    }
    if (rows) {
      SourceOutcome outcome = read_by_thread(reading, count);
      if (outcome.status != "read") return outcome;
      const bool whole = reading.request.scope == Scope::everything;
      const std::int64_t lacking =
          whole && reading.version.is_mariadb() && !plugin ? transactions_without_lock(reading) : 0;
      if (lacking > 0) {
        return SourceOutcome::partial(
            count,
            fmt::format("{} idle {} no lock: locks asked for before the instrument was switched on are not shown",
                        lacking, lacking == 1 ? "transaction shows" : "transactions show"),
            kPluginRemedy);
      }
      if (reading.version.is_mariadb() && !plugin) {
        outcome.reason = "locks asked for before the instrument was switched on are not shown";
      }
      return outcome;
    }
  }
  if (plugin) {
    SourceOutcome outcome = SourceOutcome::read(count);
    outcome.reason = "granted locks only (plugin METADATA_LOCK_INFO); who waits is seen in the process list";
    return outcome;
  }
  read_awaited_user_locks(reading);
  if (!reading.version.is_mariadb()) {
    if (!reading.performance_schema) return performance_schema_off(reading);
    return reading.is_off(kInstrument) ? instrument_off(kInstrument, "setup_instruments")
                                       : instrument_off(kGlobalInstrumentation, "setup_consumers");
  }
  if (reading.plugins_problem) {
    return SourceOutcome::unavailable(
        "whether plugin METADATA_LOCK_INFO is loaded is not known: " + reading.plugins_problem->reason,
        reading.plugins_problem->remedy);
  }
  return SourceOutcome::unavailable(
      reading.performance_schema
          ? fmt::format("{} is off and plugin METADATA_LOCK_INFO is not loaded",
                        reading.is_off(kInstrument) ? fmt::format("instrument '{}'", kInstrument)
                                                    : fmt::format("consumer '{}'", kGlobalInstrumentation))
          : "performance_schema is off and plugin METADATA_LOCK_INFO is not loaded",
      kPluginRemedy);
}

}  // namespace dbaudit

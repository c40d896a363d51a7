#include "facts/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "facts/known_names.h"

namespace dbaudit {
namespace {

const Column kServerId{"server_id", "INTEGER", "the server, see table server"};
const Column kProcesslistId{"processlist_id", "INTEGER", "connection id, what KILL takes"};

void add_wide_columns(std::vector<Column>& columns, std::span<const KnownName> names) {
  columns.reserve(columns.size() + names.size());
  for (const KnownName& known : names) {
    const bool mysql = known.mysql.known;
    const std::string_view where = mysql && known.mariadb.known ? "" : mysql ? "MySQL only" : "MariaDB only";
    columns.push_back({known.name(), "ANY", where});
  }
}

// The wide ones get their other columns below.
std::vector<Table> make_tables() {
  return {
      {"server",
       "server",
       "One row for each server of this run, reachable or not.",
       {{"server_id", "INTEGER", "the key that every other table refers to"},
        {"name", "TEXT", "as declared, or host:port"},
        {"flavor", "TEXT", "mysql or mariadb"},
        {"version", "TEXT", "three numbers, such as 10.11.19"},
        {"version_full", "TEXT", "what SELECT VERSION() said"},
        {"version_comment", "TEXT", "@@version_comment"},
        {"hostname", "TEXT", "@@hostname, the server's own name"},
        {"port", "INTEGER", "@@port"},
        {"role", "TEXT", "primary or replica, as declared; NULL when not declared"},
        {"replica_of", "TEXT", "name of the declared primary"},
        {"group_name", "TEXT", "declared group"},
        {"environment", "TEXT", "declared environment"},
        {"memory_bytes", "INTEGER", "declared memory of the machine"},
        {"service", "TEXT", "declared managed service, one of rules/services.toml"},
        {"service_max_connections", "INTEGER",
         "the max_connections that this service gives an instance of this memory; NULL when one of them is not "
         "declared"},
        {"reachable", "INTEGER", "1 when a connection was made"},
        {"error", "TEXT", "why it could not be reached"},
        {"error_kind", "TEXT",
         "what kind of error it was: unreachable, timeout, refused credentials, ...; NULL when it was reached, or not "
         "done in time"},
        {"door", "TEXT", "how the connection got in: normal, reserved slot, admin port or extra port"},
        {"tls_cipher", "TEXT", "cipher of this connection; empty without TLS"},
        {"account", "TEXT", "CURRENT_USER() of this connection"},
        {"connection_id", "INTEGER", "this connection's own id"},
        {"system_time_zone", "TEXT", "@@system_time_zone"},
        {"lower_case_table_names", "INTEGER", "@@lower_case_table_names: 0 when the case of names counts"},
        {"max_write_lock_count", "INTEGER",
         "@@max_write_lock_count, at most 4294967295 (MariaDB's default; MySQL's is higher)"},
        {"uptime_s", "INTEGER", "seconds since the server started"},
        {"taken_at", "TEXT", "when reading began, UTC, by this machine's clock"},
        {"clock_skew_s", "REAL", "server's clock minus this machine's clock"},
        {"connect_ms", "REAL", "how long connecting took"},
        {"query_ms", "REAL", "how long was waited for the server's answers, all statements together"},
        {"collect_ms", "REAL", "how long everything took, from connecting to storing the last fact"}}},
      {"fact_source",
       "",
       "How reading each source ended. 'Nothing there' and 'not observed' are never confused.",
       {kServerId,
        {"source", "TEXT", "name of the source"},
        {"status", "TEXT", "read, partial or unavailable"},
        {"reason", "TEXT", "why it is not 'read'"},
        {"remedy", "TEXT", "what would make it readable"},
        {"curable", "INTEGER", "0 when no grant and no setting of this server could make it readable"},
        {"rows", "INTEGER", "rows that were read; NULL when unavailable"},
        {"duration_ms", "REAL", "how long the source took"}}},
      {"global_variables",
       "global_variables",
       "One row for each server, one column for each global variable of any supported server. NULL: this server has no "
       "such variable. Numbers are numbers, ON/OFF and enumerations are text.",
       {kServerId}},
      {"global_status",
       "status",
       "One row for each server, one column for each status counter of any supported server. NULL: this server has no "
       "such counter.",
       {kServerId}},
      {"global_status_rate",
       "status",
       "Change of each counter per second between two samples (--interval). No row when one sample was taken.",
       {kServerId}},
      {"variables_info",
       "global_variables",
       "Where each global value comes from. MySQL: performance_schema.variables_info; MariaDB: "
       "information_schema.SYSTEM_VARIABLES.",
       {kServerId,
        {"variable_name", "TEXT", "lower case"},
        {"variable_value", "ANY", "the running global value"},
        {"variable_source", "TEXT",
         "the server's word: COMPILED, EXPLICIT, DYNAMIC, ... or COMPILE-TIME, CONFIG, SQL, ..."},
        {"variable_path", "TEXT", "option file it came from"},
        {"set_time", "TEXT", "MySQL: when it was last SET"},
        {"set_user", "TEXT", "MySQL: who SET it"},
        {"set_host", "TEXT", "MySQL: from where it was SET"},
        {"variable_scope", "TEXT", "GLOBAL, or SESSION when sessions have their own value; NULL when not known"},
        {"default_value", "ANY", "MariaDB: compiled-in default"},
        {"persisted_value", "ANY", "MySQL: value in mysqld-auto.cnf that the next start will use"},
        {"origin_reliable", "INTEGER",
         "0 when any session's SET SESSION may have overwritten source, time and user (MySQL, session scope)"}}},
      {"sessions",
       "sessions",
       "One row for each connection and server thread in the process list.",
       {kServerId,
        kProcesslistId,
        {"thread_id", "INTEGER", "performance_schema's thread id; NULL where it is off or not readable"},
        {"user", "TEXT", "account name"},
        {"host", "TEXT", "client host, with port where the server shows it"},
        {"client_host", "TEXT", "client host without port"},
        {"db", "TEXT", "default database"},
        {"command", "TEXT", "Sleep, Query, Binlog Dump, Daemon, ..."},
        {"time_s", "REAL", "seconds in this command; for Sleep: since the last statement ended"},
        {"state", "TEXT", "what the thread is doing, in the server's words"},
        {"info", "TEXT", "running statement, bounded, without secrets"},
        {"kind", "TEXT", "client, daemon, replication, or self (this connection)"}}},
      {"connection_attributes",
       "connection_attributes",
       "What clients said about themselves when they connected.",
       {kServerId,
        kProcesslistId,
        {"program_name", "TEXT", "program_name"},
        {"client_name", "TEXT", "_client_name: the client library"},
        {"client_version", "TEXT", "_client_version"},
        {"client_pid", "TEXT", "_pid: the client's process id"}}},
      {"statements",
       "statements",
       "The running or last statement of each session (performance_schema).",
       {kServerId,
        kProcesslistId,
        {"thread_id", "INTEGER", "performance_schema's thread id"},
        {"event_id", "INTEGER", "number of the statement within its thread"},
        {"sql_text", "TEXT", "bounded, without secrets"},
        {"running", "INTEGER", "1 while it runs, 0 when it has ended"},
        {"started_s", "REAL", "seconds since it started"},
        {"ended_s", "REAL", "seconds since it ended; NULL while it runs"}}},
      {"transactions",
       "transactions",
       "Open transactions: information_schema.INNODB_TRX, and performance_schema.events_transactions_current for those "
       "that have not touched InnoDB yet.",
       {kServerId,
        {"processlist_id", "INTEGER", "connection id; NULL for prepared XA without a session and background threads"},
        {"trx_id", "TEXT", "InnoDB's id; 0 on MariaDB for every transaction that only read"},
        {"trx_state", "TEXT", "RUNNING, LOCK WAIT, ROLLING BACK, COMMITTING, or ACTIVE"},
        {"age_s", "REAL", "seconds since it began (InnoDB: since its first access to InnoDB)"},
        {"wait_s", "REAL", "seconds in the present lock wait; NULL when not waiting"},
        {"isolation_level", "TEXT", "the server's word"},
        {"access_mode", "TEXT", "READ WRITE or READ ONLY"},
        {"rows_locked", "INTEGER", "InnoDB's estimate"},
        {"rows_modified", "INTEGER", "rows that a rollback would undo"},
        {"tables_locked", "INTEGER", "tables with row locks"},
        {"seen_in", "TEXT", "innodb_trx, events_transactions_current, or both"}}},
      {"metadata_locks",
       "metadata_locks",
       "Metadata locks: performance_schema.metadata_locks, or MariaDB's METADATA_LOCK_INFO plugin (granted locks "
       "only).",
       {kServerId,
        {"processlist_id", "INTEGER", "connection id of the owner; NULL for background threads and detached XA"},
        {"owner_thread_id", "INTEGER", "performance_schema's thread id of the owner"},
        {"owner", "TEXT", "session, background, detached (the thread is gone: MySQL's prepared XA) or unknown"},
        {"object_type", "TEXT", "the server's word"},
        {"object_schema", "TEXT", "database"},
        {"object_name", "TEXT", "table, routine, lock name, ..."},
        {"lock_type", "TEXT", "the server's word, without the plugin's MDL_ prefix"},
        {"lock_duration", "TEXT", "STATEMENT, TRANSACTION or EXPLICIT"},
        {"lock_status", "TEXT", "GRANTED, PENDING, ..."},
        {"held_s", "REAL", "plugin only: seconds since it was granted"},
        {"seen_in", "TEXT", "metadata_locks, metadata_lock_info or is_used_lock"},
        {"lock_type_is", "TEXT", "current, or as_requested where later up- and downgrades are not shown"}}},
      {"table_handles",
       "table_handles",
       "Open tables with their handler-level locks (performance_schema).",
       {kServerId,
        {"processlist_id", "INTEGER", "connection id of the owner"},
        {"owner_thread_id", "INTEGER", "performance_schema's thread id of the owner"},
        {"object_type", "TEXT", "the server's word"},
        {"object_schema", "TEXT", "database"},
        {"object_name", "TEXT", "table"},
        {"internal_lock", "TEXT", "table lock at SQL level"},
        {"external_lock", "TEXT", "table lock at storage engine level"}}},
      {"open_tables",
       "table_handles",
       "Tables that are in use, without saying by whom (SHOW OPEN TABLES; MariaDB without performance_schema). Only "
       "those "
       "on which the account has some privilege.",
       {kServerId,
        {"object_schema", "TEXT", "database"},
        {"object_name", "TEXT", "table"},
        {"in_use", "INTEGER", "how many have it locked or are using it; a transaction that is idle does not count"}}},
      {"row_lock_waits",
       "row_lock_waits",
       "Who waits for whose InnoDB lock.",
       {kServerId,
        {"waiting_processlist_id", "INTEGER", "connection id of the waiter"},
        {"waiting_trx_id", "TEXT", "InnoDB transaction id of the waiter"},
        {"waiting_lock_mode", "TEXT", "what it asked for"},
        {"blocking_processlist_id", "INTEGER",
         "connection id of the blocker; NULL for prepared XA, and on MariaDB for blockers that only read"},
        {"blocking_trx_id", "TEXT", "InnoDB transaction id of the blocker; 0 on MariaDB: one of those that only read"},
        {"blocking_lock_mode", "TEXT", "what it holds"},
        {"blocking_thread_id", "INTEGER", "performance_schema's thread id of the blocker (MySQL)"},
        {"blocking_lock_status", "TEXT", "GRANTED, or WAITING: it is ahead in the queue"},
        {"lock_type", "TEXT", "RECORD or TABLE"},
        {"object_schema", "TEXT", "database"},
        {"object_name", "TEXT", "table"},
        {"index_name", "TEXT", "index of the record"},
        {"is_certain", "INTEGER", "0: another who only reads may be meant, whom MariaDB does not tell from this one"}}},
      {"lock_waits",
       "sessions",
       "Who waits for a lock of any layer: the graph of `dbaudit locks`, worked out from the other tables when they "
       "were "
       "read. Waits for rows are missing where neither transactions nor row_lock_waits was read: a rule says so with "
       "lock_waits in its 'needs'.",
       {kServerId,
        {"processlist_id", "INTEGER", "connection id of the waiter"},
        {"kind", "TEXT", "metadata, row, table, global_read, backup, user or commit"},
        {"object_type", "TEXT", "the server's word"},
        {"object_schema", "TEXT", "database"},
        {"object_name", "TEXT", "table, routine, lock name, ..."},
        {"requested", "TEXT", "lock type that it asks for"},
        {"wait_s", "REAL", "seconds; at most that long unless wait_is_exact"},
        {"wait_is_exact", "INTEGER", "1 for InnoDB's locks, 0 where it is the time of the whole statement"},
        {"blocked_by_count", "INTEGER", "who stands in its way; 0: nobody that is shown"},
        {"root_processlist_id", "INTEGER",
         "the nearest session at the end of the chain; NULL when not known, or prepared XA"},
        {"root_state", "TEXT", "what that root does, as in lock_roots; NULL when no root is known"},
        {"roots", "INTEGER", "how many hold up those who wait for this kind of lock on this object"}}},
      {"lock_roots",
       "sessions",
       "Who waits for nobody and holds others up; with suspect = 1: who may be it where no holder is shown.",
       {kServerId,
        {"processlist_id", "INTEGER", "connection id; NULL for prepared XA without a session"},
        {"xid", "TEXT", "of prepared XA, as XA ROLLBACK takes it"},
        {"state", "TEXT", "idle_in_transaction, running, lock_tables, prepared_xa, ..."},
        {"blocks", "INTEGER", "sessions that wait behind it, directly or not"},
        {"blocks_directly", "INTEGER", "sessions that wait for what it holds"},
        {"certainty", "TEXT", "observed or inferred"},
        {"suspect", "INTEGER", "1: one of those who may hold the lock, most likely first"},
        {"cycle", "INTEGER", "1: part of a deadlock across layers"},
        {"transaction_s", "REAL", "age of its transaction"},
        {"idle_s", "REAL", "seconds since its last statement ended"},
        {"rows_modified", "INTEGER", "rows that ending it would undo"},
        {"remedy", "TEXT", "the statement that ends it"},
        {"reason", "TEXT", "of a suspect: its traces"}}},
      {"prepared_xa",
       "prepared_xa",
       "Prepared XA transactions (XA RECOVER), with or without a session.",
       {kServerId,
        {"format_id", "INTEGER", "formatID of the xid"},
        {"gtrid_length", "INTEGER", "bytes of data that are the global transaction id"},
        {"bqual_length", "INTEGER", "bytes of data that are the branch qualifier"},
        {"xid_data", "TEXT", "global transaction id and branch qualifier"},
        {"xid_sql", "TEXT", "the xid as XA COMMIT and XA ROLLBACK take it"}}},
      {"session_variables",
       "session_variables",
       "Session values of other sessions (MySQL's performance_schema.variables_by_thread; MariaDB has no such table).",
       {kServerId,
        kProcesslistId,
        {"wait_timeout", "INTEGER", "seconds"},
        {"interactive_timeout", "INTEGER", "seconds"},
        {"lock_wait_timeout", "INTEGER", "seconds"},
        {"innodb_lock_wait_timeout", "INTEGER", "seconds"},
        {"autocommit", "TEXT", "ON or OFF"},
        {"transaction_isolation", "TEXT", "the server's word"},
        {"transaction_read_only", "TEXT", "ON or OFF"},
        {"net_read_timeout", "INTEGER", "seconds"},
        {"net_write_timeout", "INTEGER", "seconds"},
        {"max_execution_time", "INTEGER", "milliseconds"}}},
      {"replication",
       "replication",
       "Replication channels of which this server is the replica.",
       {kServerId,
        {"channel_name", "TEXT", "empty for the default channel"},
        {"source_host", "TEXT", "the primary"},
        {"source_port", "INTEGER", "its port"},
        {"io_running", "TEXT", "Yes, No, Connecting, Preparing"},
        {"sql_running", "TEXT", "Yes or No"},
        {"seconds_behind_source", "REAL", "NULL when the server says NULL: not replicating"},
        {"last_io_error", "TEXT", "the server's text"},
        {"last_sql_error", "TEXT", "the server's text"}}},
      {"replicas",
       "replication",
       "Replicas of this server, where they were asked for (--with-replicas): a row for each that has registered, and "
       "for each session to which the binary log is sent.",
       {kServerId,
        {"host", "TEXT", "its name or address; NULL: it does not say (report_host)"},
        {"port", "INTEGER", "its port; NULL: not known"},
        {"seen_in", "TEXT", "registered or sessions"}}},
      {"accounts",
       "accounts",
       "Accounts and their connection limits (mysql.user).",
       {kServerId,
        {"user", "TEXT", "account name"},
        {"host", "TEXT", "host pattern"},
        {"max_user_connections", "INTEGER", "account limit; 0: the global max_user_connections counts"}}},
      {"instruments",
       "instruments",
       "Performance schema instruments and consumers, and plugins, that decide what can be seen.",
       {kServerId,
        {"name", "TEXT", "instrument, consumer or plugin"},
        {"kind", "TEXT", "instrument, consumer or plugin"},
        {"enabled", "TEXT", "YES or NO"}}},
      {"human_client",
       "",
       "Client programs that people type into (rules/human_clients.toml).",
       {{"name", "TEXT", "product"},
        {"attribute", "TEXT", "where it shows: program_name, client_name, or statement (a comment in its statements)"},
        {"pattern", "TEXT", "GLOB pattern, matched in lower case"}}},
      {"pool",
       "",
       "Declared client pools with the facts derived for their library.",
       {{"name", "TEXT", "as declared"},
        {"server_name", "TEXT", "declared server; NULL: the server of this run"},
        {"library", "TEXT", "file name in rules/libraries"},
        {"library_title", "TEXT", "product name"},
        {"library_version", "TEXT", "as declared"},
        {"account_user", "TEXT", "declared account"},
        {"driver", "TEXT", "as declared"},
        {"instances", "INTEGER", "processes that each open the pool, steady state"},
        {"instances_declared", "INTEGER", "0: not declared, counted as 1"},
        {"surge_instances", "INTEGER", "more of them during a deploy"},
        {"terminating", "INTEGER", "old ones that still hold connections"},
        {"blue_green", "INTEGER", "1: both colours at once"},
        {"processes_per_instance", "INTEGER", ""},
        {"threads_per_process", "INTEGER", "NULL when not declared"},
        {"via", "TEXT", "declared proxy pool that it goes through; NULL: straight to the server"},
        {"network_idle_timeout_s", "REAL", "shortest idle limit on the way; NULL when not declared"},
        {"longest_think_time_s", "REAL", "NULL when not declared"},
        {"longest_hold_time_s", "REAL", "NULL when not declared"},
        {"longest_query_s", "REAL", "NULL when not declared"},
        {"rolls_back_on_error", "INTEGER", "1 or 0"},
        {"writes", "INTEGER", "1 when its borrowers write; NULL when not declared"},
        {"reads_own_writes", "INTEGER",
         "1 when its borrowers rely on seeing what the application has just written; NULL when not declared"},
        {"max_connections_per_process", "REAL", "most connections one process opens"},
        {"longest_unchecked_idle_s", "REAL", "longest idle time after which a connection is handed out unchecked"},
        {"longest_unchecked_idle_announced_s", "REAL",
         "the same where the server announces the close with error 4031 (MySQL 8.0.24 on)"},
        {"longest_unchecked_idle_dropped_s", "REAL",
         "the same where the network has forgotten the connection without a word"},
        {"longest_silence_s", "REAL", "longest time a pooled connection says nothing on the wire"},
        {"longest_unchecked_hold_s", "REAL",
         "longest time a borrowed connection lies unused and still goes to the next borrower unchecked"},
        {"longest_unchecked_hold_announced_s", "REAL",
         "the same where the server announces the close with error 4031 (MySQL 8.0.24 on)"},
        {"acquire_timeout_s", "REAL", "how long a borrower waits for a connection"},
        {"max_lifetime_s", "REAL", "age at which the pool replaces a connection"},
        {"validates_on_borrow", "INTEGER", "1 when a connection may be checked before it is handed out"},
        {"validates_on_return", "INTEGER", "1 when a connection may be checked when it is given back"},
        {"discards_broken", "INTEGER", "1 when a connection that the driver saw break is not taken back"},
        {"autocommit", "INTEGER",
         "0 when pool, driver or first statement switches autocommit off; NULL: nobody sets it, the server's holds"},
        {"rolls_back_on_return", "INTEGER", "1 when a transaction that is still open is ended when given back"},
        {"resets_session", "INTEGER",
         "1 when COM_RESET_CONNECTION is sent between borrowers, which takes session settings back"},
        {"keeps_connections", "INTEGER", "0 when a connection is opened for each request"},
        {"connect_timeout_s", "REAL", "how long opening a connection may take"},
        {"socket_timeout_s", "REAL", "how long the driver waits for an answer"},
        {"validation_timeout_s", "REAL", "how long a check may take"},
        {"abandon_timeout_s", "REAL", "a connection that is borrowed for longer is closed by the pool itself"},
        {"tcp_keepalive_s", "REAL",
         "how long a connection is silent before the driver's TCP keep-alive probes it, which keeps it alive for the "
         "network, not for the server; NULL when the driver sets none"},
        {"client_idle_timeout_s", "REAL", "of a proxy: how long it lets its own clients be idle"},
        {"client_transaction_timeout_s", "REAL", "of a proxy: how long it lets its own clients pause in a transaction"},
        {"max_clients", "REAL", "of a proxy: how many clients one process of it accepts"},
        {"clients_keep_connections", "INTEGER",
         "of a proxy: 1 when each client keeps a connection to the server also outside of a transaction"},
        {"interactive", "INTEGER", "1 when its sessions start with interactive_timeout"},
        {"session_wait_timeout_s", "REAL", "wait_timeout that the pool sets for its own sessions; NULL: none"},
        {"session_lock_wait_timeout_s", "REAL", "likewise lock_wait_timeout"},
        {"session_innodb_lock_wait_timeout_s", "REAL", "likewise innodb_lock_wait_timeout"},
        {"session_idle_transaction_timeout_s", "REAL", "likewise MariaDB's idle_transaction_timeout"},
        {"session_idle_write_transaction_timeout_s", "REAL", "likewise"},
        {"session_idle_readonly_transaction_timeout_s", "REAL", "likewise"},
        {"session_unknown", "TEXT",
         "variables that it sets for its own sessions, nobody knows to what (and 'interactive'), with ', ' between "
         "them"},
        {"validation_log", "TEXT", "what the application's log says when a closed connection is noticed"},
        {"dead_log", "TEXT", "what the application sees when it is given a closed connection"},
        {"exhausted_log", "TEXT", "what the application sees when no connection comes free in time"}}},
      {"pool_limits",
       "global_variables",
       "What holds for the sessions of a declared pool on each server that it talks to: worked out from the server's "
       "variables, what the pool sets for its own sessions, and the proxy between them.",
       {{"pool", "TEXT", "name of the pool"},
        kServerId,
        {"idle_limit_s", "REAL",
         "idle time in the pool after which the server (or the proxy before it) closes a connection; NULL: not known"},
        {"idle_limit_by", "TEXT",
         "what sets it: wait_timeout, interactive_timeout, the pool's own statement, ...; or why it is not known"},
        {"transaction_limit_s", "REAL", "the same inside a transaction"},
        {"transaction_limit_by", "TEXT", "likewise"},
        {"lock_wait_timeout_s", "REAL", "how long a statement waits for a metadata lock; NULL: not known"},
        {"lock_wait_timeout_by", "TEXT", "what sets it, or why it is not known"},
        {"innodb_lock_wait_timeout_s", "REAL", "how long a statement waits for a row lock; NULL: not known"},
        {"innodb_lock_wait_timeout_by", "TEXT", "what sets it, or why it is not known"},
        {"autocommit", "INTEGER", "whether its sessions run with autocommit; NULL: not known"},
        {"autocommit_by", "TEXT", "what sets it, or why it is not known"},
        {"announces_close", "INTEGER", "1 when the server says goodbye with error 4031 (MySQL 8.0.24 on)"}}},
      {"expectation",
       "global_variables",
       "Every value of an [expect.ENVIRONMENT] table, for each server of that environment.",
       {{"variable", "TEXT", "global variable"},
        kServerId,
        {"environment", "TEXT", "the table's and the server's environment"},
        {"expected", "ANY", "what must hold, as the server would show it"},
        {"found", "ANY", "the global value; NULL: this server has no such variable, or it was not read"},
        {"holds", "INTEGER", "1 when both are the same; NULL when nothing was found"},
        {"restart", "INTEGER", "1 when a change needs a restart"},
        {"refused", "TEXT", "why this server would never take the value; NULL when it would"},
        {"declared_in", "TEXT", "file and line"}}},
      {"group_setting",
       "global_variables",
       "What the servers of a group with one role and product have as a global variable, for what clients feel.",
       {{"group_name", "TEXT", "as declared"},
        {"role", "TEXT", "as declared; NULL when not declared"},
        {"flavor", "TEXT", "mysql or mariadb"},
        {"variable", "TEXT", "global variable; one character set is not two by its names"},
        {"usual_value", "ANY", "what most of them have; NULL when as many have another one"},
        {"usual_servers", "INTEGER", "how many have it"},
        {"next_servers", "INTEGER", "how many have the value that comes next"},
        {"all_servers", "INTEGER", "of which the value is known"},
        {"told", "TEXT", "the values, and who has them"},
        {"unread_servers", "INTEGER", "members in this run that could not be read"},
        {"unread_names", "TEXT", "some of them"},
        {"left_out_servers", "INTEGER", "members of dbaudit.toml that are not part of this run"}}},
      {"upgrade",
       "server",
       "The next version of a server, where one is declared (upgrade_to).",
       {{"target", "TEXT", "as declared, such as mysql-8.4"},
        kServerId,
        {"series", "TEXT", "its first two numbers, such as 8.4"},
        {"all_known", "INTEGER", "1 when every variable of that version is in upgrade_variable, but those of plugins"},
        {"refused", "TEXT", "why this server cannot be upgraded to it; NULL when it can"},
        {"declared_in", "TEXT", "file and line"}}},
      {"upgrade_variable",
       "server",
       "Variables of that next version, and those that it has no more. What plugins bring is not among them.",
       {{"variable_name", "TEXT", "lower case"},
        kServerId,
        {"there", "INTEGER", "1 when the next version has it, 0 when only this server's version does"},
        {"default_value", "ANY", "what the next version ships with; NULL when the machine decides, or not known"},
        {"default_here", "ANY", "what this server's version ships with; NULL likewise"}}},
      {"pool_setting",
       "",
       "Every setting of every declared pool, with where its value came from.",
       {{"pool", "TEXT", "name of the pool"},
        {"setting", "TEXT", "the library's own key"},
        {"declared", "ANY", "as written; NULL when not declared"},
        {"effective", "ANY", "what the library works with; durations in seconds"},
        {"unit", "TEXT", "seconds, count, boolean or text"},
        {"origin", "TEXT", "declared, default, or the reason why the library changed it"},
        {"declared_in", "TEXT",
         "place of an imported value in the application's own file; NULL when it was not imported"},
        {"rejected", "TEXT", "why the library refuses it; NULL when it does not"},
        {"changed", "TEXT", "what the library makes of a declared value that it changes; NULL when it does not"},
        {"source", "TEXT", "where the library's behaviour was read"}}},
  };
}

std::vector<Table> make_schema() {
  std::vector<Table> tables = make_tables();
  for (Table& table : tables) {
    if (table.name == "global_variables") add_wide_columns(table.columns, known_variables());
    if (table.name == "global_status" || table.name == "global_status_rate")
      add_wide_columns(table.columns, known_status_counters());
  }
  return tables;
}

}  // namespace

const std::vector<Table>& schema() {
  static const std::vector<Table> tables = make_schema();
  return tables;
}

const Table* find_table(std::string_view name) {
  for (const Table& table : schema()) {
    if (table.name == name) return &table;
  }
  return nullptr;
}

bool is_wide(const Table& table) { return table.columns.size() > 60; }

bool has_one_row_a_server(const Table& table) {
  return table.name == "server" || table.name == "global_variables" || table.name == "global_status" ||
         table.name == "global_status_rate";
}

bool is_of_locks(const Table& table) {
  constexpr std::string_view kNames[] = {"server",      "fact_source",    "sessions",       "connection_attributes",
                                         "statements",  "transactions",   "metadata_locks", "table_handles",
                                         "open_tables", "row_lock_waits", "prepared_xa",    "instruments",
                                         "human_client"};
  return std::find(std::begin(kNames), std::end(kNames), table.name) != std::end(kNames);
}

bool is_held(const Table& table) { return table.name == "sessions" || table.name == "transactions"; }

bool is_of_servers(const Table& table) {
  return std::any_of(table.columns.begin(), table.columns.end(),
                     [](const Column& column) { return column.name == kServerId.name; });
}

bool is_compared(const Table& table) {
  return table.name == "server" || table.name == "fact_source" || table.name == "global_variables";
}

std::string create_table_sql(const Table& table) {
  const bool is_keyed = has_one_row_a_server(table);
  std::string sql = "CREATE TABLE \"" + table.name + "\" (";
  for (const Column& column : table.columns) {
    if (&column != &table.columns.front()) sql += ", ";
    sql.append("\"").append(column.name).append("\"");
    if (column.type != "ANY") sql.append(" ").append(column.type);
    if (is_keyed && column.name == kServerId.name) sql += " PRIMARY KEY";
  }
  return sql + ")";
}

const std::vector<std::string>& source_names() {
  static const std::vector<std::string> names{
      "server",      "global_variables",  "status",         "sessions",      "connection_attributes",
      "statements",  "transactions",      "metadata_locks", "table_handles", "row_lock_waits",
      "prepared_xa", "session_variables", "replication",    "accounts",      "instruments"};
  return names;
}

std::string describe_schema(bool all) {
  constexpr std::size_t kShown = 4;
  std::string out = fmt::format("-- fact tables of dbaudit, schema version {}\n", kSchemaVersion);
  for (const Table& table : schema()) {
    out +=
        fmt::format("\n{}{}\n", table.name, table.source.empty() ? "" : fmt::format("   (source: {})", table.source));
    for (const std::string& line : wrap(table.doc, 76)) out += fmt::format("  {}\n", line);
    std::size_t shown = 0;
    for (const Column& column : table.columns) {
      if (is_wide(table) && !all && shown++ == kShown) {
        out += fmt::format("    ... and {} more (dbaudit schema --all)\n", table.columns.size() - kShown);
        break;
      }
      const std::vector<std::string> doc = wrap(column.doc, 36);
      std::string line = fmt::format("    {:<28} {:<8} {}", column.name, column.type, doc.front());
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
      for (std::size_t i = 1; i < doc.size(); ++i) out += fmt::format("{:42}{}\n", "", doc[i]);
    }
  }
  return out;
}

}  // namespace dbaudit

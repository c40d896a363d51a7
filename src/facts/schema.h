// The fact store's tables, described as data: the same source creates them, documents them (`dbaudit schema`) and
// tells which fact source fills each of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

// Raised whenever a table or column changes: a snapshot carries it.
inline constexpr int kSchemaVersion = 6;
// PRAGMA application_id of a snapshot: "dbau".
inline constexpr int kApplicationId = 0x64626175;

struct Column {
  std::string_view name;
  std::string_view type;  // INTEGER, REAL, TEXT, or ANY for values that keep the server's own type
  std::string_view doc;
};

struct Table {
  std::string name;
  // The name under which fact_source reports whether this table could be read; empty for tables that are declared
  // (pools, servers) or kept by dbaudit itself.
  std::string source;
  std::string doc;
  std::vector<Column> columns;
};

const std::vector<Table>& schema();
const Table* find_table(std::string_view name);
// One column for each variable or counter of any server.
bool is_wide(const Table& table);
// server_id is its key: joins on it would copy a row of a thousand columns into an index of their own otherwise.
bool has_one_row_a_server(const Table& table);
// What of a live server says who waits for whom.
bool is_of_locks(const Table& table);
// Of these, what has thousands of rows on a large server and is read as a whole: `dbaudit locks` needs no SQL for it.
bool is_held(const Table& table);
// Rows belong to servers; all others are declared for the whole run.
bool is_of_servers(const Table& table);
// What rules that compare servers may read: little, because a run keeps it of every server until the last one is read.
bool is_compared(const Table& table);

std::string create_table_sql(const Table& table);

// The sources of the public contract, in the order in which reports list them.
const std::vector<std::string>& source_names();

// Tables and columns as `dbaudit schema` prints them. The long lists of global_variables and global_status are cut to
// a few lines unless `all` is asked for.
std::string describe_schema(bool all);

}  // namespace dbaudit

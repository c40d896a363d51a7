// A rule as its file says it. Rules are data: SQL over the fact tables, with documentation and tests inside.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/toml.h"
#include "base/version.h"
#include "facts/value.h"

namespace dbaudit {

enum class Severity { info, warning, error };  // in rising order
std::string to_string(Severity severity);
std::optional<Severity> parse_severity(std::string_view name);

enum class ParameterType {
  duration,  // "5m"; bound as seconds
  count,     // 3; bound as an integer
  ratio,     // 0.8 or "80%"; bound as 0.8
  // For margin_of(:name, value); bound as text.
  duration_margin,  // "10%, at least 5s, at most 30s" or "5s"
  count_margin,     // "10%, at least 5" or 5
};

struct Parameter {
  std::string name;
  ParameterType type = ParameterType::count;
  Value value;       // as bound in SQL
  std::string text;  // as written
  std::string doc;
  bool operator==(const Parameter&) const = default;
};

// A source that no collector reads: whether everybody who waits for a lock was seen.
inline constexpr const char* kLockWaits = "lock_waits";

struct Rule {
  std::string id;
  std::string title;
  std::string category;  // name of the folder it lies in
  Severity severity = Severity::warning;
  std::optional<Severity> forced_severity;  // dbaudit.toml's; wins over the rule's and its rows'
  // Sources without which it cannot judge. "pool": declared pools; kLockWaits.
  std::vector<std::string> needs;
  std::vector<std::string> wants;  // sources that add detail
  std::vector<VersionRange> applies_to;
  std::set<std::string> optional_variables;  // may be missing on some server without making the rule not applicable
  // TABLE or TABLE.COLUMN, of which the statement finds nothing unless one has a row of the server with a value: to see
  // that is cheaper than to prepare and run it. Empty: it is always run.
  std::vector<std::string> only_with;
  std::string sql;
  std::string nothing_to_judge;  // why no row at all means "not applicable"; empty: it means that all is well
  std::string message;
  std::string remedy;
  std::string rationale;
  std::vector<std::string> references;
  std::optional<std::string> hazard;
  // It reads facts of other servers of the run, too; every other rule finds those of its own server only. Of others
  // there is no more than is_compared() tables.
  bool compares_servers = false;
  std::vector<Parameter> parameters;

  std::string file;
  int line = 0;
  int sql_line = 0;
  bool broken = false;               // something is wrong with its file; kept until its statement is checked too
  std::set<std::string> unreadable;  // keys that are missing or wrong, of which nothing more can be said
  bool as_built = false;             // what its file says is, byte for byte, what this program was built with
  std::vector<TomlValue> tests;
  bool operator==(const Rule&) const = default;
};

// Columns of a rule's statement that mean something to the engine; all others are evidence.
//   subject   what was looked at, unique within the rule and server
//   ok        1 pass, 0 fail, NULL unknown
//   severity  of this row, in place of the rule's
//   hazard    of this row, in place of the rule's
//   reason    why ok is NULL
//   curable   where ok is NULL: 0 when no grant and no setting of this server could make it known
//   unknown_remedy   where ok is NULL: what would make it known
//   instead   the rule that reports this subject in place of this one, which therefore passes
bool is_engine_column(std::string_view column);

// Parses one parameter value; nothing, with a problem, when it does not fit the type.
std::optional<Value> parse_parameter(ParameterType type, const TomlValue& written);
std::string_view wanted_form(ParameterType type);  // "a duration such as \"5m\""

enum class RuleTests { leave_out, read };

struct BuiltRule;
struct RuleFile {
  std::string path;
  std::string text;
  const BuiltRule* built = nullptr;  // without tests, its text is byte for byte what this program was built with
};

// Reads the rule files below `paths`: files, or folders, in which every *.toml is a rule but human_clients.toml,
// services.toml and what lies in a folder `libraries` or `defaults`. A path without any rule is a problem. Tests stand
// at the end of a rule file and are most of it, so an audit leaves them out.
std::vector<RuleFile> read_rule_files(const std::vector<std::string>& paths, RuleTests tests, Problems& problems);
// A rule that has problems is `broken`: check_rules says what else is wrong with it and drops it. In order of their
// ids.
std::vector<Rule> parse_rules(const std::vector<RuleFile>& files, Problems& problems);
std::vector<Rule> parse_rules(const std::vector<std::string>& paths, RuleTests tests, Problems& problems);

}  // namespace dbaudit

// What `dbaudit locks` has to say: the graph walked to its roots, as plain data for the reports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/units.h"
#include "facts/store.h"
#include "locks/wait_graph.h"

namespace dbaudit {

struct RootLock {
  LockObject object;
  std::string lock;
};

// Somebody who waits for nobody and blocks somebody; or, as a suspect, who may be it; or a member of a cycle.
struct LockRoot {
  std::size_t node = 0;
  std::string state;       // of the public contract: idle_in_transaction, running, lock_tables, prepared_xa, ...
  std::size_t blocks = 0;  // sessions that go on when this one lets go, as far as it depends on this one
  std::size_t blocks_directly = 0;
  std::optional<std::string> xid;  // of a prepared XA transaction, as XA ROLLBACK takes it
  std::optional<double> transaction_s;
  std::optional<double> idle_s;
  std::optional<std::int64_t> rows_modified;  // what ending it would undo
  std::vector<RootLock> holds;                // on contested objects
  Certainty certainty = Certainty::observed;
  bool cycle = false;
  std::string remedy;                     // a statement; empty: nothing but waiting
  std::optional<std::string> caution;     // why the remedy may not be enough
  std::optional<std::string> prevention;  // the setting that would have ended it
  std::string reason;                     // of a suspect: its traces
  std::size_t one_of = 0;                 // of a suspect: one of so many holds a lock, and which is not told

  // Filled by identify_people.
  std::optional<std::string> program_name;
  std::optional<std::string> human_client;
  std::optional<bool> human;  // nothing: it cannot be told
  std::optional<std::string> last_statement;
};

// How the graph was found, best first.
enum class LockMethod { performance_schema, plugin_and_performance_schema, plugin, process_list };
std::string to_string(LockMethod method);

struct LockReport {
  std::string server_name;
  std::string taken_at;
  std::optional<double> collect_ms;
  LockFacts facts;
  WaitGraph graph;
  LockMethod method = LockMethod::process_list;
  std::optional<std::string> better_view;        // the exact statement that would show more, and what it costs
  std::vector<LockRoot> roots;                   // who blocks most, first
  std::vector<LockRoot> suspects;                // most likely first
  std::size_t unlisted_suspects = 0;             // further ones of whom one holds a row
  std::vector<std::vector<std::size_t>> cycles;  // nodes
  std::string incomplete;                        // why not everybody who waits was seen; empty: everybody was
  double min_wait_s = 0;                         // shorter waits are brief: shown, and nobody's reason to get up
  std::string only_for;                          // what keep_table chose, in words; empty: everything
  std::size_t elsewhere = 0;                     // waits that it left out
  std::size_t perhaps = 0;                       // waits that it kept because for which table is not known
  std::vector<std::size_t> shown;                // indices into graph.waits; all of them, unless keep_table chose
};

// The whole chain: graph, roots, suspects.
LockReport analyse_locks(LockFacts facts);

// Program, person and last statement of the roots and suspects, with the human clients known to `store`.
void identify_people(LockReport& report, Store& store, std::int64_t server_id);

// Roots, cycles and the counts behind them (roots.cpp); ranked guesses for waits that nobody explains (suspects.cpp).
void find_roots(LockReport& report);
void find_suspects(LockReport& report);

// How many go on when these do, themselves included.
std::size_t count_with_those_behind(const WaitGraph& graph, const std::unordered_set<std::size_t>& nodes);

// Everybody at or above these waits: those who wait, those in their way, and so on; with `one_of_several` also those of
// whom only one is in the way.
std::unordered_set<std::size_t> up_from(const WaitGraph& graph, const std::vector<std::size_t>& waits,
                                        bool one_of_several);

// For each node whether it is a root for sure, or waits behind one.
std::vector<bool> behind_known_roots(const LockReport& report);

// State, times, remedy and prevention of a root or suspect, from what is known of its node.
void describe_root(const LockReport& report, LockRoot& root);

// Works the graph out and stores it as tables lock_waits and lock_roots, for rules; nothing when nobody waits.
void store_lock_graph(Store& store, std::int64_t server_id);

// Only waits for one schema (`table` empty) or table, or for who knows which, and the roots behind which they are.
void keep_table(LockReport& report, const std::string& schema, const std::string& table);

bool is_brief(const LockReport& report, const LockWait& wait);
// Waits that are shown and not brief.
std::size_t count_waits(const LockReport& report);
// Of those, the waits behind no root that is known: those of which suspects are the only explanation.
std::size_t count_unexplained(const LockReport& report);

// Where each wait stands when the graph is drawn as trees: under the blocker that is nearest to a root, once. Indexed
// by node: indices into graph.waits, longest wait first. `orphans` are behind nobody that is known.
struct WaitForest {
  std::vector<std::vector<std::size_t>> below;
  std::vector<std::size_t> orphans;
};
WaitForest grow_forest(const LockReport& report);

}  // namespace dbaudit

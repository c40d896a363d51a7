// Whether a person sits at the other end: the session's attributes and statements against rules/human_clients.toml.
#include <fmt/format.h>

#include <unordered_map>

#include "base/text.h"
#include "locks/lock_report.h"

namespace dbaudit {
namespace {

// Only for the few sessions that are named: matching thousands against every pattern would take longer than the rest.
// What is asked of each table is picked first, because SQLite would make an index of all of its rows for one session.
constexpr std::string_view kPeople =
    "WITH ids AS MATERIALIZED (SELECT DISTINCT value AS id FROM json_each(:ids)), "
    "attributes AS MATERIALIZED (SELECT processlist_id, program_name, client_name FROM connection_attributes "
    " WHERE server_id = :id AND processlist_id IN (SELECT id FROM ids)), "
    "said AS MATERIALIZED (SELECT processlist_id, lower(substr(sql_text, 1, 80)) AS text, max(event_id) "
    " FROM statements WHERE server_id = :id AND processlist_id IN (SELECT id FROM ids) GROUP BY processlist_id) "
    "SELECT ids.id, coalesce(a.program_name, a.client_name), a.program_name IS NOT NULL, "
    "a.processlist_id IS NOT NULL, "
    "(SELECT min(h.name) FROM human_client h WHERE CASE h.attribute WHEN 'program_name' THEN lower(a.program_name) "
    " WHEN 'client_name' THEN lower(a.client_name) "
    " WHEN 'statement' THEN (SELECT text FROM said WHERE said.processlist_id = ids.id) END GLOB h.pattern) "
    "FROM ids LEFT JOIN attributes a ON a.processlist_id = ids.id";

}  // namespace

void identify_people(LockReport& report, Store& store, std::int64_t server_id) {
  std::unordered_multimap<std::int64_t, LockRoot*> roots;
  std::vector<std::string> ids;
  for (std::vector<LockRoot>* list : {&report.roots, &report.suspects}) {
    for (LockRoot& root : *list) {
      const LockNode& node = report.graph.nodes[root.node];
      const std::optional<std::int64_t> id = node.connection_id;
      if (!id || !node.session) continue;
      if (report.facts.sessions[*node.session].kind == "replication") root.human = false;
      roots.emplace(*id, &root);
      ids.push_back(std::to_string(*id));
    }
  }
  if (ids.empty()) return;
  // Without the patterns nobody can be told from a program.
  const bool can_tell = store.query("SELECT 1 FROM human_client").next().value();
  Query query = store.query(kPeople);
  query.bind("ids", fmt::format("[{}]", join(ids, ",")));  // bound: a statement has a limit that thousands reach
  query.bind("id", server_id);
  while (query.next().value()) {
    const auto [begin, end] = roots.equal_range(query.integer(0).value_or(0));
    for (auto found = begin; found != end; ++found) {
      LockRoot& root = *found->second;
      const bool named = query.integer(2) == 1;
      root.program_name = query.optional_text(1);
      if (!can_tell) continue;
      if (!is_null(query.value(4))) root.human_client = query.text(4);
      if (root.human_client) {
        root.human = true;
      } else if (named || (query.integer(3) == 1 && root.last_statement)) {
        root.human = false;
      }
      if (!named && root.human_client) root.program_name = root.human_client;
    }
  }
}

}  // namespace dbaudit

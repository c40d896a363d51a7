// Whether a person sits at the other end: the session's attributes and statements against rules/human_clients.toml.
#include <fmt/format.h>

#include <unordered_map>

#include "base/text.h"
#include "locks/lock_report.h"

namespace dbaudit {
namespace {

// Only for the few sessions that are named: matching thousands against every pattern would take longer than the rest.
constexpr std::string_view kPeople =
    "SELECT s.processlist_id, a.program_name, a.client_name, a.processlist_id IS NOT NULL, "
    "(SELECT min(h.name) FROM human_client h WHERE CASE h.attribute WHEN 'program_name' THEN lower(a.program_name) "
    " WHEN 'client_name' THEN lower(a.client_name) "
    " WHEN 'statement' THEN lower(substr((SELECT sql_text FROM statements t WHERE t.server_id = s.server_id "
    "  AND t.processlist_id = s.processlist_id ORDER BY event_id DESC LIMIT 1), 1, 80)) END GLOB h.pattern) "
    "FROM sessions s LEFT JOIN connection_attributes a "
    "ON a.server_id = s.server_id AND a.processlist_id = s.processlist_id "
    "WHERE s.server_id = :id AND s.processlist_id IN ";

}  // namespace

void identify_people(LockReport& report, Store& store, std::int64_t server_id) {
  std::unordered_multimap<std::int64_t, LockRoot*> roots;
  std::vector<std::string> ids;
  for (std::vector<LockRoot>* list : {&report.roots, &report.suspects}) {
    for (LockRoot& root : *list) {
      const std::optional<std::int64_t> id = report.graph.nodes[root.node].connection_id;
      if (!id) continue;
      roots.emplace(*id, &root);
      ids.push_back(std::to_string(*id));
    }
  }
  if (ids.empty()) return;
  // Without the patterns nobody can be told from a program.
  if (!store.query("SELECT 1 FROM human_client").next().value()) return;
  Query query = store.query(fmt::format("{}({})", kPeople, join(ids, ",")));
  query.bind("id", server_id);
  while (query.next().value()) {
    const auto [begin, end] = roots.equal_range(query.integer(0).value_or(0));
    for (auto found = begin; found != end; ++found) {
      LockRoot& root = *found->second;
      const bool named = !is_null(query.value(1));
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

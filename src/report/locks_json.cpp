// The public contract's dbaudit/locks/1.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "report/json_value.h"
#include "report/locks.h"

namespace dbaudit {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostBlockers = 50;

// An object that will have so many members: one that grows copies what it has, with all that is inside.
Json object_of(std::size_t members) {
  Json out = Json::object();
  out.get_ref<Json::object_t&>().reserve(members);
  return out;
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, std::string>) {
    return valid_utf8(*value);
  } else {
    return json_value(*value);
  }
}
Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(valid_utf8(text)); }
Json flag_or_null(const std::optional<bool>& flag) { return flag ? Json(*flag) : Json(nullptr); }

class Writer {
 public:
  explicit Writer(const LockReport& report) : report_(report) {}

  Json run() {
    Json waits = Json::array();
    waits.get_ref<Json::array_t&>().reserve(report_.shown.size());
    for (const std::size_t w : report_.shown) waits.push_back(wait(report_.graph.waits[w]));
    Json cycles = Json::array();
    for (const auto& cycle : report_.cycles) {
      Json ids = Json::array();
      for (const std::size_t node : cycle) ids.push_back(connection_id(node));
      cycles.push_back(std::move(ids));
    }
    const LockFacts& facts = report_.facts;
    Json out = object_of(11);
    out["schema"] = "dbaudit/locks/1";
    out["server"] = {{"name", valid_utf8(report_.server_name)},
                     {"flavor", to_string(facts.version.flavor)},
                     {"version", to_string(facts.version.version)},
                     {"taken_at", report_.taken_at},
                     {"collect_ms", or_null(report_.collect_ms)}};
    out["method"] = to_string(report_.method);
    out["better_view"] = or_null(report_.better_view);
    out["complete"] = report_.complete;
    out["sources"] = sources();
    out["waits"] = std::move(waits);
    out["roots"] = roots(report_.roots, false);
    out["suspects"] = roots(report_.suspects, true);
    out["cycles"] = std::move(cycles);
    if (!report_.only_for.empty()) out["waits_elsewhere"] = report_.elsewhere;
    return out;
  }

 private:
  [[nodiscard]] Json connection_id(std::size_t node) const { return or_null(report_.graph.nodes[node].connection_id); }

  [[nodiscard]] const LockSession* session(std::size_t node) const {
    const auto index = report_.graph.nodes[node].session;
    return index ? &report_.facts.sessions[*index] : nullptr;
  }

  [[nodiscard]] Json sources() const {
    Json out = Json::array();
    for (const SourceStatus& source : report_.facts.sources) {
      out.push_back({{"source", source.source},
                     {"status", source.status},
                     {"rows", or_null(source.rows)},
                     {"reason", or_null(source.reason)},
                     {"remedy", or_null(source.remedy)}});
    }
    return out;
  }

  [[nodiscard]] Json wait(const LockWait& wait) const {
    const LockQueue& queue = report_.graph.queues[wait.queue];
    const LockSession* asking = session(wait.node);
    Json blocked_by = Json::array();
    for (const Blocker* blocker : blockers_of(report_.graph, wait, kMostBlockers)) {
      Json& entry = blocked_by.emplace_back(object_of(5));
      entry["connection_id"] = connection_id(blocker->node);
      entry["lock"] = text_or_null(blocker->lock);
      entry["how"] = to_string(blocker->how);
      entry["certainty"] = to_string(blocker->certainty);
      if (blocker->certainty == Certainty::inferred) entry["inferred_from"] = blocker->inferred_from;
    }
    Json out = object_of(14);  // member by member: for hundreds of waits an initializer list costs milliseconds more
    out["connection_id"] = connection_id(wait.node);
    out["kind"] = to_string(queue.kind);
    out["object_type"] = text_or_null(queue.object.type);
    out["object_schema"] = text_or_null(queue.object.schema);
    out["object_name"] = text_or_null(queue.object.name);
    out["requested"] = text_or_null(queue.requested);
    out["wait_seconds"] = or_null(wait.wait_s);
    out["wait_seconds_is"] = wait.wait_s ? Json(wait.wait_is_exact ? "exact" : "at_most") : Json(nullptr);
    out["brief"] = is_brief(report_, wait);
    out["user"] = asking ? or_null(asking->user) : Json(nullptr);
    out["host"] = asking ? or_null(asking->host) : Json(nullptr);
    out["statement"] = asking ? or_null(asking->info) : Json(nullptr);
    out["blocked_by"] = std::move(blocked_by);
    out["blocked_by_count"] = count_blockers(report_.graph, wait);
    if (queue.one_of_them) out["blocked_by_one_of_them"] = true;
    return out;
  }

  [[nodiscard]] Json roots(const std::vector<LockRoot>& list, bool suspects) const {
    Json out = Json::array();
    for (const LockRoot& root : list) {
      const LockSession* owner = session(root.node);
      Json holds = Json::array();
      for (const RootLock& lock : root.holds) {
        holds.push_back({{"object_type", text_or_null(lock.object.type)},
                         {"object_schema", text_or_null(lock.object.schema)},
                         {"object_name", text_or_null(lock.object.name)},
                         {"lock", text_or_null(lock.lock)}});
      }
      Json entry{{"connection_id", connection_id(root.node)},
                 {"xid", or_null(root.xid)},
                 {"state", root.state},
                 {"user", owner ? or_null(owner->user) : Json(nullptr)},
                 {"host", owner ? or_null(owner->host) : Json(nullptr)},
                 {"program_name", or_null(root.program_name)},
                 {"human", flag_or_null(root.human)},
                 {"blocks", root.blocks},
                 {"blocks_directly", root.blocks_directly},
                 {"transaction_seconds", or_null(root.transaction_s)},
                 {"idle_seconds", or_null(root.idle_s)},
                 {"rows_modified", or_null(root.rows_modified)},
                 {"last_statement", or_null(root.last_statement)},
                 {"holds", std::move(holds)},
                 {"certainty", to_string(root.certainty)},
                 {"cycle", root.cycle},
                 {"remedy", text_or_null(root.remedy)},
                 {"prevention", or_null(root.prevention)}};
      if (suspects || !root.reason.empty()) entry["reason"] = root.reason;
      out.push_back(std::move(entry));
    }
    return out;
  }

  const LockReport& report_;
};

}  // namespace

std::string render_locks_json(const LockReport& report) { return json_text(Writer(report).run()); }

}  // namespace dbaudit

// The public contract's dbaudit/locks/1.
#include "report/json_writer.h"
#include "report/locks.h"

namespace dbaudit {
namespace {

constexpr std::size_t kMostBlockers = 50;
constexpr std::size_t kMostSuspects = 50;

class Writer {
 public:
  explicit Writer(const LockReport& report) : report_(report) {}

  std::string run() {
    json_.object([this] {
      json_.member("schema", "dbaudit/locks/1");
      server();
      json_.member("method", to_string(report_.method));
      json_.member("better_view", report_.better_view);
      json_.member("complete", report_.incomplete.empty());
      sources();
      json_.array("waits", report_.shown, [this](std::size_t w) { wait(report_.graph.waits[w]); });
      roots("roots", report_.roots, false);
      suspects();
      json_.array("cycles", report_.cycles, [this](const std::vector<std::size_t>& cycle) {
        json_.array(cycle, [this](std::size_t node) { json_.value(connection_id(node)); });
      });
      if (report_.only_for.empty()) return;
      json_.member("waits_elsewhere", report_.elsewhere);
      json_.member("waits_of_unknown_object", report_.perhaps);
    });
    return json_.text();
  }

 private:
  [[nodiscard]] const std::optional<std::int64_t>& connection_id(std::size_t node) const {
    return report_.graph.nodes[node].connection_id;
  }

  [[nodiscard]] const LockSession* session(std::size_t node) const {
    const auto index = report_.graph.nodes[node].session;
    return index ? &report_.facts.sessions[*index] : nullptr;
  }

  void server() {
    json_.object("server", [this] {
      json_.member("name", report_.server_name);
      json_.member("flavor", to_string(report_.facts.version.flavor));
      json_.member("version", to_string(report_.facts.version.version));
      json_.member("taken_at", report_.taken_at);
      json_.member("collect_ms", report_.collect_ms);
    });
  }

  void sources() {
    json_.objects("sources", report_.facts.sources, [this](const SourceStatus& source) {
      json_.member("source", source.source);
      json_.member("status", source.status);
      json_.member("rows", source.rows);
      json_.member("reason", source.reason);
      json_.member("remedy", source.remedy);
    });
  }

  void object_members(const LockObject& object) {
    json_.text_or_null("object_type", object.type);
    json_.text_or_null("object_schema", object.schema);
    json_.text_or_null("object_name", object.name);
  }

  void wait(const LockWait& wait) {
    const LockQueue& queue = report_.graph.queues[wait.queue];
    const LockSession* asking = session(wait.node);
    const LockSession nobody;
    if (asking == nullptr) asking = &nobody;
    json_.object([&] {
      json_.member("connection_id", connection_id(wait.node));
      json_.member("kind", to_string(queue.kind));
      object_members(queue.object);
      json_.text_or_null("requested", queue.requested);
      json_.member("wait_seconds", wait.wait_s);
      json_.text_or_null("wait_seconds_is", !wait.wait_s ? "" : wait.wait_is_exact ? "exact" : "at_most");
      json_.member("brief", is_brief(report_, wait));
      json_.member("user", asking->user);
      json_.member("host", asking->host);
      json_.member("statement", asking->info);
      json_.array("blocked_by", blockers_of(report_.graph, wait, kMostBlockers),
                  [this](const Blocker* blocker) { blocked_by(*blocker); });
      json_.member("blocked_by_count", count_blockers(report_.graph, wait));
      if (queue.one_of_them) json_.member("blocked_by_one_of_them", true);
    });
  }

  void blocked_by(const Blocker& blocker) {
    json_.object([&] {
      json_.member("connection_id", connection_id(blocker.node));
      json_.text_or_null("lock", blocker.lock);
      json_.member("how", to_string(blocker.how));
      json_.member("certainty", to_string(blocker.certainty));
      if (blocker.certainty == Certainty::inferred) json_.member("inferred_from", blocker.inferred_from);
    });
  }

  void suspects() {
    std::vector<LockRoot> first = report_.suspects;
    if (first.size() > kMostSuspects) first.resize(kMostSuspects);
    roots("suspects", first, true);
    json_.member("suspects_count", report_.suspects.size() + report_.unlisted_suspects);
  }

  void roots(std::string_view name, const std::vector<LockRoot>& list, bool suspects) {
    json_.objects(name, list, [&](const LockRoot& root) { root_members(root, suspects); });
  }

  void root_members(const LockRoot& root, bool suspects) {
    const LockSession* owner = session(root.node);
    const LockSession nobody;
    if (owner == nullptr) owner = &nobody;
    json_.member("connection_id", connection_id(root.node));
    json_.member("xid", root.xid);
    json_.member("state", root.state);
    json_.member("user", owner->user);
    json_.member("host", owner->host);
    json_.member("program_name", root.program_name);
    json_.member("human", root.human);
    json_.member("blocks", root.blocks);
    json_.member("blocks_directly", root.blocks_directly);
    json_.member("transaction_seconds", root.transaction_s);
    json_.member("idle_seconds", root.idle_s);
    json_.member("rows_modified", root.rows_modified);
    json_.member("last_statement", root.last_statement);
    json_.objects("holds", root.holds, [this](const RootLock& lock) {
      object_members(lock.object);
      json_.text_or_null("lock", lock.lock);
    });
    json_.member("certainty", to_string(root.certainty));
    json_.member("cycle", root.cycle);
    json_.text_or_null("remedy", root.remedy);
    json_.member("caution", root.caution);
    json_.member("prevention", root.prevention);
    if (suspects || !root.reason.empty()) json_.member("reason", root.reason);
  }

  const LockReport& report_;
  JsonWriter json_;
};

}  // namespace

std::string render_locks_json(const LockReport& report) { return Writer(report).run(); }

}  // namespace dbaudit

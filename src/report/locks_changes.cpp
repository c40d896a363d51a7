#include "report/locks_changes.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "base/text.h"
#include "report/locks_words.h"

namespace dbaudit {
namespace {

constexpr std::size_t kNamed = 3;

// Somebody, and what is said of them in this place.
struct Named {
  std::string identity;
  std::string name;
  std::string detail;
};

// The same from one look to the next: connection ids are used once in a server's life, and nodes are numbered anew.
std::string identity_of(const LockNode& node) {
  if (node.connection_id) return fmt::format("connection {}", *node.connection_id);
  if (node.trx_id) return "trx " + *node.trx_id;
  return node.thread_id ? fmt::format("thread {}", *node.thread_id) : "";
}

Named named(const LockReport& report, const LockRoot& root) {
  return {identity_of(report.graph.nodes[root.node]) + (root.xid ? " " + *root.xid : ""),
          LockWords(report).who(root.node) + (root.xid ? " " + bounded(printable(*root.xid), 60) : ""), ""};
}

// The most important first.
std::vector<Named> roots_of(const LockReport& report) {
  std::vector<Named> found;
  found.reserve(report.roots.size());
  for (const LockRoot& root : report.roots) found.push_back(named(report, root));
  return found;
}

// Longest wait first; what each waits for as detail.
std::vector<Named> waiters_of(const LockReport& report) {
  const LockWords words(report);
  std::vector<Named> found;
  found.reserve(report.shown.size());
  for (const std::size_t w : report.shown) {
    const LockWait& wait = report.graph.waits[w];
    const LockNode& node = report.graph.nodes[wait.node];
    const LockQueue& queue = report.graph.queues[wait.queue];
    found.push_back({identity_of(node), node.connection_id ? std::to_string(*node.connection_id) : "?",
                     to_string(queue.kind) + " " + words.object(queue)});
  }
  return found;
}

std::vector<Named> first_suspect_of(const LockReport& report) {
  if (report.suspects.empty()) return {};
  return {named(report, report.suspects.front())};
}

std::vector<std::string> not_among(const std::vector<Named>& from, const std::vector<Named>& without) {
  std::set<std::string> known;
  for (const Named& one : without) known.insert(one.identity);
  std::vector<std::string> names;
  for (const Named& one : from) {
    if (!known.contains(one.identity)) names.push_back(one.name);
  }
  return names;
}

// Who is in both, with another detail.
std::vector<std::string> changed(const std::vector<Named>& before, const std::vector<Named>& now) {
  std::set<std::string> known;
  std::set<std::pair<std::string, std::string>> as_before;
  for (const Named& one : before) {
    known.insert(one.identity);
    as_before.emplace(one.identity, one.detail);
  }
  std::vector<std::string> names;
  for (const Named& one : now) {
    if (known.contains(one.identity) && !as_before.contains({one.identity, one.detail})) names.push_back(one.name);
  }
  return names;
}

}  // namespace

std::string lock_changes(const LockReport& before, const LockReport& now) {
  std::vector<std::string> parts;
  const auto say = [&parts](const std::string& lead, const std::vector<std::string>& names) {
    if (!names.empty()) parts.push_back(lead + some_of(names, kNamed));
  };
  const auto count = [&parts](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) parts.push_back(fmt::format("{} {}: {}", names.size(), what, some_of(names, kNamed)));
  };
  say("new root: ", not_among(roots_of(now), roots_of(before)));
  say("gone: ", not_among(roots_of(before), roots_of(now)));
  const std::vector<Named> old_waiters = waiters_of(before);
  const std::vector<Named> waiters = waiters_of(now);
  count("more wait", not_among(waiters, old_waiters));
  count("no longer wait", not_among(old_waiters, waiters));
  count("wait for something else", changed(old_waiters, waiters));
  say("first suspect: ", not_among(first_suspect_of(now), first_suspect_of(before)));
  if (now.suspects.empty()) say("no longer suspected: ", not_among(first_suspect_of(before), roots_of(now)));
  return parts.empty() ? "nothing has changed" : join(parts, "; ");
}

}  // namespace dbaudit

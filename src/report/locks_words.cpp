#include "report/locks_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"

namespace dbaudit {
namespace {

constexpr std::size_t kNameBytes = 120;
constexpr std::size_t kShownLocks = 3;

std::string shown(const std::string& name) { return bounded(printable(name), kNameBytes); }

std::string name_of(const LockObject& object) {
  std::string name = object.schema;
  if (!object.schema.empty() && !object.name.empty()) name += '.';
  name = shown(name + object.name);
  if (object.type == "TABLE") return name.empty() ? "a table that is not known" : name;
  if (object.type == "GLOBAL") return "the global read lock";
  if (object.type == "COMMIT") return "the commit lock";
  if (object.type == "BACKUP LOCK" || object.type == "BACKUP") return "the backup lock";
  if (object.type == "SCHEMA") return "schema " + name;
  if (object.type == "USER LEVEL LOCK") return name.empty() ? "a user lock" : "user lock '" + name + "'";
  return to_lower(object.type) + (name.empty() ? "" : " " + name);
}

}  // namespace

std::vector<LockFold> bounded_folds(const std::map<std::string, std::size_t>& folded, std::size_t at_most) {
  std::vector<LockFold> folds;
  for (const auto& [object, count] : folded) folds.push_back({object, count});
  if (folds.size() <= at_most + 1) return folds;
  std::stable_sort(folds.begin(), folds.end(), [](const LockFold& a, const LockFold& b) { return a.count > b.count; });
  LockFold rest;
  for (std::size_t i = at_most; i < folds.size(); ++i) rest.count += folds[i].count;
  rest.object = fmt::format("{} {}objects", format_count(static_cast<double>(folds.size() - at_most)),
                            at_most > 0 ? "other " : "");
  folds.resize(at_most);
  folds.push_back(std::move(rest));
  return folds;
}

std::string some_of(std::vector<std::string> names, std::size_t at_most, std::size_t unlisted) {
  const std::size_t cut = names.size() - std::min(names.size(), at_most);
  const std::size_t more = cut + unlisted;
  names.resize(names.size() - cut);
  return join(names, ", ") + (more > 0 ? fmt::format(" and {} more", format_count(static_cast<double>(more))) : "");
}

std::string LockWords::who(std::size_t node) const {
  const LockNode& known = report_.graph.nodes[node];
  if (!known.connection_id) {
    const bool rolls_back = std::any_of(report_.facts.transactions.begin(), report_.facts.transactions.end(),
                                        [&](const LockTransaction& transaction) {
                                          return transaction.rolling_back && transaction.trx_id == known.trx_id;
                                        });
    return rolls_back ? "a transaction that the server rolls back since its restart"
                      : "a prepared XA transaction without a session";
  }
  std::string text = fmt::format("connection {}", *known.connection_id);
  if (!known.session) return text;
  const LockSession& session = report_.facts.sessions[*known.session];
  const std::string host = session.host.value_or("?");
  return text + fmt::format(" ({}{})", shown(session.user.value_or("?")), host.empty() ? "" : "@" + shown(host));
}

std::string LockWords::state(const LockRoot& root) const {
  const auto idle = [&root] { return root.idle_s ? " for " + format_duration(*root.idle_s) : std::string(); };
  if (root.state == "idle_in_transaction") return "idle in a transaction" + idle();
  if (root.state == "running") return "running a statement";
  if (root.state == "waiting") return "waiting in a cycle";
  if (root.state == "lock_tables") return "idle with LOCK TABLES" + idle();
  if (root.state == "global_read_lock") return "idle with FLUSH TABLES WITH READ LOCK" + idle();
  if (root.state == "backup_lock") return "idle with a backup lock" + idle();
  if (root.state == "user_lock") return "idle with GET_LOCK" + idle();
  if (root.state == "prepared_xa") return "prepared and left behind";
  if (root.state == "handler_open") return "idle with an open HANDLER" + idle();
  if (root.state == "rolling_back") return "rolling back";
  if (root.state == "replication") return "a replication thread";
  if (root.state == "idle") return "idle" + idle();
  return "in a state that is not known";
}

std::string LockWords::headline(const LockRoot& root) const {
  std::string text = who(root.node);
  if (root.xid) text += " " + shown(*root.xid);
  text += (root.program_name || root.human == true ? ", " : ": ") + circumstances(root);
  return text;
}

std::string LockWords::circumstances(const LockRoot& root) const {
  std::vector<std::string> client;
  if (root.program_name) client.push_back(shown(*root.program_name));
  if (root.human == true) client.emplace_back("a person");
  std::string text = client.empty() ? state(root) : join(client, ", ") + ": " + state(root);
  if (root.transaction_s && root.state != "prepared_xa")
    text += fmt::format(", transaction {} old", format_duration(*root.transaction_s));
  text += fmt::format(" [{}]", root.reason.empty() ? to_string(root.certainty) : "suspected");
  return text;
}

std::string LockWords::blocks(const LockRoot& root) const {
  return (root.reason.empty() ? "blocks " : "may block ") + counted(root.blocks, "session", "sessions");
}

std::string LockWords::holds(const LockRoot& root) const {
  std::vector<std::string> parts;
  for (const RootLock& lock : root.holds) {
    if (parts.size() == kShownLocks) {
      parts.push_back(fmt::format("and {} more", root.holds.size() - kShownLocks));
      break;
    }
    parts.push_back((lock.lock.empty() ? "a lock" : shown(lock.lock)) + " on " + name_of(lock.object));
  }
  return parts.empty() ? "" : (root.one_of > 0 ? "may hold " : "holds ") + join(parts, ", ");
}

std::string LockWords::object(const LockQueue& queue) const {
  if (queue.kind == WaitKind::row)
    return queue.object.name.empty() ? "an InnoDB lock" : "an InnoDB lock on " + name_of(queue.object);
  if (queue.kind == WaitKind::global_read) return "the global read lock";
  return name_of(queue.object);
}

std::string LockWords::advice(const LockRoot& root) const {
  std::string text;
  if (root.state == "prepared_xa") {
    text = "Ask the transaction manager, or end it: " + root.remedy;
    if (!root.xid && !report_.facts.prepared_xids.empty()) {
      text += ", then XA ROLLBACK or XA COMMIT of one of: ";
      const std::vector<std::string>& xids = report_.facts.prepared_xids;
      text += shown(join(
          {xids.begin(), xids.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(3, xids.size()))}, " | "));
    } else if (root.xid) {
      text += " (or XA COMMIT)";
    }
  } else {
    if (root.state == "rolling_back") return waiting_advice(root);
    const bool person = root.human == true;
    text = fmt::format("{} {}{}, or end it: {}", person ? "Ask the person at" : "Ask the owner of", who(root.node),
                       root.program_name ? fmt::format(" in {}", shown(*root.program_name)) : "", root.remedy);
  }
  const char* undone = !root.rows_modified        ? "what it would undo is not known"
                       : *root.rows_modified == 0 ? "it has changed no row"
                                                  : nullptr;
  text += fmt::format(". {} {}", counted(root.blocks, "session waits", "sessions wait"),
                      root.reason.empty() ? "behind it" : "for what it may hold");
  text += undone != nullptr
              ? fmt::format("; {}", undone)
              : fmt::format("; ending it undoes {}",
                            counted(static_cast<std::size_t>(*root.rows_modified), "changed row", "changed rows"));
  if (root.caution) text += ". " + *root.caution;
  return text;
}

// Who ends already.
std::string LockWords::waiting_advice(const LockRoot& root) const {
  std::string text = who(root.node) + (report_.graph.nodes[root.node].detached ? "" : " is rolling back already");
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  text += ": nothing to kill, wait";
  if (root.rows_modified)
    text += fmt::format(" ({} left to undo)",
                        counted(static_cast<std::size_t>(*root.rows_modified), "changed row", "changed rows"));
  return text + fmt::format(". {} behind it", counted(root.blocks, "session waits", "sessions wait"));
}

std::string LockWords::verdict() const {
  if (report_.perhaps == 0) return judgement();
  return judgement() + fmt::format(" This server does not tell for which table {} of them {}.",
                                   format_count(static_cast<double>(report_.perhaps)),
                                   report_.perhaps == 1 ? "waits" : "wait");
}

std::string LockWords::judgement() const {
  const std::size_t waits = count_waits(report_);
  const std::size_t brief = report_.shown.size() - waits;
  if (report_.shown.empty() && report_.incomplete.empty() && !report_.only_for.empty()) {
    if (report_.elsewhere == 0)
      return fmt::format("Nobody waits for a lock, on {} or elsewhere.", shown(report_.only_for));
    return fmt::format("Nobody waits for a lock on {}; {} elsewhere.", shown(report_.only_for),
                       counted(report_.elsewhere, "session waits", "sessions wait"));
  }
  if (report_.shown.empty()) {
    return report_.incomplete.empty() ? "Nobody waits for a lock."
                                      : fmt::format("Nobody is seen waiting for a lock, but {}.", report_.incomplete);
  }
  std::string text;
  if (waits == 0) {
    text = fmt::format("{} for less than {}.", counted(brief, "session waits", "sessions wait"),
                       format_duration(report_.min_wait_s));
    return text;
  }
  text = counted(waits, "session waits", "sessions wait");
  if (brief > 0) text += fmt::format(" ({} more for less than {})", brief, format_duration(report_.min_wait_s));
  const LockCulprits who_does = culprits();
  const std::string held = !report_.cycles.empty() ? circle() : held_up_by(who_does);
  return text + held + unexplained(who_does) + ".";
}

// Of those who are known.
std::string LockWords::held_up_by(const LockCulprits& culprits) const {
  if (culprits.explained == 0) return "";
  const auto known = static_cast<std::size_t>(std::count_if(culprits.roots.begin(), culprits.roots.end(),
                                                            [](const LockRoot* root) { return root->reason.empty(); }));
  const LockRoot& first = *culprits.roots.front();
  std::string name = who(first.node) + (first.program_name ? " in " + shown(*first.program_name) : "") + ": " +
                     state(first) + (first.certainty == Certainty::inferred ? " (inferred)" : "");
  if (culprits.unexplained == 0) {
    if (known == 1) return "; one holds them up, " + name;
    return fmt::format("; first of all {}; {} up others", name, counted(known - 1, "more holds", "more hold"));
  }
  return fmt::format("; {} up {} of them, {}{}", counted(known, "holds", "hold"),
                     format_count(static_cast<double>(culprits.explained)), known == 1 ? "" : "first of all ", name);
}

std::string LockWords::circle() const {
  const auto in_circle = [](const LockRoot& root) { return root.cycle; };
  const auto member = std::find_if(report_.roots.begin(), report_.roots.end(), in_circle);
  std::string text =
      fmt::format("; {} of them wait for each other in a circle, which no server ends: one KILL is enough",
                  format_count(static_cast<double>(report_.cycles.front().size())));
  if (member != report_.roots.end()) text += fmt::format(", of {} or another of them", who(member->node));
  const auto others =
      static_cast<std::size_t>(std::count_if(report_.roots.begin(), report_.roots.end(),
                                             [](const LockRoot& root) { return !root.cycle && root.reason.empty(); }));
  if (others > 0) text += fmt::format("; {} up others", counted(others, "more holds", "more hold"));
  if (report_.cycles.size() > 1) text += fmt::format("; {} circles in all", report_.cycles.size());
  return text;
}

// Of those who wait for somebody who is not known.
std::string LockWords::unexplained(const LockCulprits& culprits) const {
  if (culprits.unexplained == 0) return "";
  std::string text = culprits.explained == 0     ? "; who holds the lock"
                     : culprits.unexplained == 1 ? "; who holds up the other one"
                                                 : fmt::format("; who holds up the other {}",
                                                               format_count(static_cast<double>(culprits.unexplained)));
  if (!culprits.roots.empty() && !culprits.roots.back()->reason.empty()) {
    const LockRoot& only = *culprits.roots.back();
    return text + fmt::format(" is not shown, but nobody is there except {}: {}", who(only.node), state(only));
  }
  if (culprits.suspects.empty()) return text + " is not known";
  const LockRoot& first = *culprits.suspects.front();
  const bool one_of_them = std::all_of(report_.shown.begin(), report_.shown.end(), [this](std::size_t w) {
    return count_blockers(report_.graph, report_.graph.waits[w]) > 0;
  });
  if (first.one_of > 0 && one_of_them)
    return text + fmt::format(" is not told, one of {} does; the first of them is {}: {}", first.one_of,
                              who(first.node), state(first));
  return text + fmt::format(" is not shown, {} is the likeliest: {}", who(first.node), state(first));
}

LockCulprits LockWords::culprits() const {
  LockCulprits found;
  found.unexplained = count_unexplained(report_);
  found.explained = count_waits(report_) - found.unexplained;
  for (const LockRoot& root : report_.roots) {
    if (root.reason.empty() ? found.explained > 0 : found.unexplained > 0) found.roots.push_back(&root);
  }
  // Whoever is alone there is among the suspects as well.
  std::stable_partition(found.roots.begin(), found.roots.end(),
                        [](const LockRoot* root) { return root->reason.empty(); });
  if (found.unexplained == 0) return found;
  for (const LockRoot& suspect : report_.suspects) {
    const bool named = std::any_of(found.roots.begin(), found.roots.end(), [&](const LockRoot* root) {
      return !root->reason.empty() && root->node == suspect.node;
    });
    if (!named) found.suspects.push_back(&suspect);
  }
  return found;
}

std::string LockWords::suspects_title(const LockCulprits& culprits) {
  if (culprits.roots.empty()) return "Who it may be, likeliest first";
  if (culprits.explained == 0) return "Who else it may be";
  return fmt::format("Who may hold up the other {}, likeliest first",
                     culprits.unexplained == 1 ? "one" : format_count(static_cast<double>(culprits.unexplained)));
}

std::string LockWords::waited(const LockWait& wait) const {
  if (!wait.wait_s) return "";
  return fmt::format("{}{}{}", is_brief(report_, wait) ? "briefly, " : "", wait.wait_is_exact ? "" : "up to ",
                     format_duration(*wait.wait_s));
}

std::string LockWords::wanted(const LockQueue& queue) const {
  return (queue.requested.empty() || queue.kind == WaitKind::row ? "" : shown(queue.requested) + " on ") +
         object(queue);
}

std::string LockWords::in_its_way(const LockWait& wait) const {
  const std::size_t count = count_blockers(report_.graph, wait);
  if (count < 2) return "";
  return report_.graph.queues[wait.queue].one_of_them ? fmt::format("one of {}", count)
                                                      : fmt::format("{} in its way", count);
}

std::string LockWords::statement(const LockWait& wait) const {
  const std::optional<std::size_t> session = report_.graph.nodes[wait.node].session;
  if (!session) return "";
  const std::optional<std::string>& info = report_.facts.sessions[*session].info;
  return info ? bounded(printable(*info), kNameBytes) : "";
}

std::string LockWords::what_blocks(const Blocker& blocker) const {
  std::string text = blocker.lock.empty() ? "" : shown(blocker.lock) + " ";
  text += blocker.how == How::granted ? "held" : "queued ahead";
  return blocker.certainty == Certainty::inferred ? text + " (inferred)" : text;
}

std::string LockWords::wait(const LockWait& wait) const {
  const LockNode& node = report_.graph.nodes[wait.node];
  std::string text = fmt::format("{} ", node.connection_id ? std::to_string(*node.connection_id) : "?");
  if (node.session) text += shown(report_.facts.sessions[*node.session].user.value_or("?")) + " ";
  if (wait.wait_s) text += waited(wait) + " ";
  text += "for " + wanted(report_.graph.queues[wait.queue]);
  if (const std::string others = in_its_way(wait); !others.empty()) text += " (" + others + ")";
  if (const std::string asks = statement(wait); !asks.empty()) text += ": " + asks;
  return text;
}

}  // namespace dbaudit

#include "report/locks_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "base/units.h"
#include "report/locks_words.h"

namespace dbaudit {
namespace {

constexpr std::size_t kNamed = 3;

// Who is at the root, the most important first. Connection ids are used once in a server's life.
std::vector<std::string> names_of(const LockReport& report) {
  const LockWords words(report);
  std::vector<std::string> names;
  for (const LockRoot& root : report.roots)
    names.push_back(words.who(root.node) + (root.xid ? " " + bounded(printable(*root.xid), 60) : ""));
  return names;
}

std::string list(const std::string& lead, const std::vector<std::string>& from,
                 const std::vector<std::string>& without) {
  const std::set<std::string> known(without.begin(), without.end());
  std::vector<std::string> names;
  std::copy_if(from.begin(), from.end(), std::back_inserter(names),
               [&known](const std::string& name) { return !known.contains(name); });
  if (names.empty()) return "";
  const std::size_t more = names.size() - std::min(names.size(), kNamed);
  names.resize(names.size() - more);
  return lead + join(names, ", ") +
         (more > 0 ? fmt::format(" and {} more", format_count(static_cast<double>(more))) : "");
}

}  // namespace

std::string lock_changes(const LockReport& before, const LockReport& now) {
  const std::vector<std::string> old_names = names_of(before);
  const std::vector<std::string> new_names = names_of(now);
  std::vector<std::string> parts{list("new root: ", new_names, old_names), list("gone: ", old_names, new_names)};
  const std::size_t old_waits = before.shown.size();
  const std::size_t new_waits = now.shown.size();
  if (new_waits > old_waits) parts.push_back(fmt::format("{} more wait", new_waits - old_waits));
  if (new_waits < old_waits) parts.push_back(fmt::format("{} fewer wait", old_waits - new_waits));
  std::erase(parts, "");
  return parts.empty() ? "nothing has changed" : join(parts, "; ");
}

}  // namespace dbaudit

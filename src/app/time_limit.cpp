#include "app/time_limit.h"

#include <algorithm>

#include "base/units.h"

namespace dbaudit {

std::optional<Deadline> deadline_from(const std::string& text, Problems& problems) {
  const std::optional<Seconds> limit = parse_duration(text);
  // A day is more than any run takes, and far from what the clock can count.
  if (!limit || *limit <= Seconds{0} || *limit > Seconds{86400}) {
    problems.add("--timeout must be a duration such as 60s, and at most 1d");
    return std::nullopt;
  }
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<Deadline::duration>(*limit);
}

Deadline judging_deadline(Deadline run) {
  return std::max(run, std::chrono::steady_clock::now() + std::chrono::seconds(5));
}

}  // namespace dbaudit

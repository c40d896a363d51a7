#include "app/time_limit.h"

#include <algorithm>

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

std::optional<Seconds> interval_from(const std::string& text, const std::string& timeout, Problems& problems) {
  if (text.empty()) return std::nullopt;
  const std::optional<Seconds> interval = parse_duration(text);
  if (!interval || *interval < Seconds{1}) {
    problems.add("--interval must be a duration such as 10s, and at least 1s");
    return std::nullopt;
  }
  // The second sample would never be taken.
  if (const std::optional<Seconds> limit = parse_duration(timeout); limit && *interval >= *limit)
    problems.add("--interval must be shorter than --timeout, the time for the whole run (" + timeout + ")");
  return interval;
}

Deadline judging_deadline(Deadline run) {
  return std::max(run, std::chrono::steady_clock::now() + std::chrono::seconds(5));
}

}  // namespace dbaudit

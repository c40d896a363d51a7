// Durations and sizes as people write them ("30s", "1h30m", "16GiB") and as reports print them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dbaudit {

using Seconds = std::chrono::duration<double>;

// "250ms", "30s", "5m", "1h30m", "2d"; a bare number is not a duration. Empty result: not one.
std::optional<Seconds> parse_duration(std::string_view text);

// "512", "64K", "16GiB", "1.5G": powers of 1024, as MySQL's own option files count.
std::optional<std::int64_t> parse_size(std::string_view text);

// A margin: a share of something, kept within bounds. "10%, at least 5s, at most 30s"; "5s" and "3" are fixed margins.
// Seconds where durations are meant, plain numbers where counts are.
struct Margin {
  double ratio = 0;
  double at_least = 0;
  double at_most = 0;
  bool in_seconds = false;  // some amount was written as a duration ...
  bool in_counts = false;   // ... or as a plain number; never both
  [[nodiscard]] double of(double base) const;
};
std::optional<Margin> parse_margin(std::string_view text);

// At most two units, the largest that fit: "2 d 3 h", "30 s", "1.5 s", "250 ms"; infinity is "unlimited".
std::string format_duration(double seconds);

// "16.0 GiB", "512 B"; infinity is "unlimited".
std::string format_bytes(double bytes);

// 1234567 -> "1,234,567"; fractions keep two digits; infinity is "unlimited".
std::string format_count(double value);

// "1 session waits", "1,312 sessions wait".
std::string counted(std::size_t number, std::string_view one, std::string_view many);

}  // namespace dbaudit

#include "base/clock.h"

#include <fmt/chrono.h>

namespace dbaudit {

Clock system_clock() {
  return [] { return std::chrono::system_clock::now(); };
}

std::string format_utc(WallTime time) {
  using std::chrono::milliseconds;
  const auto total = std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(time)),
                     total % 1000);
}

double milliseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace dbaudit

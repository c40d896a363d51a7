// The wall clock, as a value that tests can set.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace dbaudit {

using WallTime = std::chrono::system_clock::time_point;
using Clock = std::function<WallTime()>;

Clock system_clock();

// "2026-11-21T22:10:03.120Z"
std::string format_utc(WallTime time);

double milliseconds_since(std::chrono::steady_clock::time_point begin);

}  // namespace dbaudit

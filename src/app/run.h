// The program behind main: arguments in, exit code out.
#pragma once

#include <functional>

namespace dbaudit {

// `meanwhile` is called while the connector is getting ready on a thread of its own, which takes milliseconds.
int run(int argc, const char* const* argv, const std::function<void()>& meanwhile = {});

}  // namespace dbaudit

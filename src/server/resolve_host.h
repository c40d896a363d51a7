// A time limit for name resolution, which the client library does not have (it waits 10 s and more for a dead DNS).
#pragma once

#include <string>

#include "base/result.h"
#include "base/units.h"

namespace dbaudit {

// Fails when `host` cannot be resolved, or not within `limit`. Numeric addresses cost nothing.
Status check_host_resolves(const std::string& host, Seconds limit);

}  // namespace dbaudit

// dbaudit locks --watch: one look after another until the user has seen enough.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "locks/lock_report.h"

namespace dbaudit {

struct Look {
  std::optional<LockReport> report;  // nothing: the server could not be read
  std::string error;                 // and why
  int exit_code = 0;
};

struct WatchRequest {
  std::function<Look()> look;  // runs on a thread of its own, never two at a time
  Seconds interval{2};         // from the end of a look to the next
  bool colour = false;
  Clock clock;
};

// On a terminal looks are drawn in place, on the alternate screen; elsewhere they follow each other. Ends with q, with
// SIGINT, SIGTERM, SIGHUP or SIGQUIT, or when nobody reads any more, and returns the exit code of the last look. A look
// that is still going on then is left behind, and the program ends at once.
int watch(const WatchRequest& request);

}  // namespace dbaudit

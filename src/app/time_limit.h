// --timeout: the time for a whole run.
#pragma once

#include <optional>
#include <string>

#include "base/problems.h"
#include "base/units.h"
#include "server/connection.h"

namespace dbaudit {

// The moment at which a run that begins now must end; nothing, with a problem, when `text` is not a duration above 0.
std::optional<Deadline> deadline_from(const std::string& text, Problems& problems);

// --interval: how far apart two samples of the status counters are taken; nothing when it was not given, or, with a
// problem, when it is too short for a rate or does not fit into `timeout`.
std::optional<Seconds> interval_from(const std::string& text, const std::string& timeout, Problems& problems);

// A server that hangs uses up the whole time; what was read by then is still judged, within a short time of its own.
Deadline judging_deadline(Deadline run);

}  // namespace dbaudit

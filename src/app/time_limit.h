// --timeout: the time for a whole run.
#pragma once

#include <optional>
#include <string>

#include "base/problems.h"
#include "server/connection.h"

namespace dbaudit {

// The moment at which a run that begins now must end; nothing, with a problem, when `text` is not a duration above 0.
std::optional<Deadline> deadline_from(const std::string& text, Problems& problems);

// A server that hangs uses up the whole time; what was read by then is still judged, within a short time of its own.
Deadline judging_deadline(Deadline run);

}  // namespace dbaudit

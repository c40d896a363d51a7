// What is different between two looks at the same server.
#pragma once

#include <string>

#include "locks/lock_report.h"

namespace dbaudit {

// In one line: roots new and gone, more or fewer waits. "nothing has changed" where that is so.
std::string lock_changes(const LockReport& before, const LockReport& now);

}  // namespace dbaudit

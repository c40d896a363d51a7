// What is different between two looks at the same server.
#pragma once

#include <string>

#include "locks/lock_report.h"

namespace dbaudit {

// In one line: roots and waiters new and gone, another first suspect; a few of each are named. "nothing has changed"
// where that is so.
std::string lock_changes(const LockReport& before, const LockReport& now);

}  // namespace dbaudit

// The reports of `dbaudit locks`: functions of a LockReport. No clock, no terminal, no file inside.
#pragma once

#include <string>

#include "locks/lock_report.h"
#include "report/report.h"

namespace dbaudit {

std::string render_locks_text(const LockReport& report, const TextOptions& options);
std::string render_locks_json(const LockReport& report);

}  // namespace dbaudit

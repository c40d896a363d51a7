// The reports of `dbaudit locks`: functions of a LockReport. No clock, no terminal, no file inside.
#pragma once

#include <string>

#include "locks/lock_report.h"
#include "report/report.h"

namespace dbaudit {

std::string render_locks_text(const LockReport& report, const TextOptions& options);
std::string render_locks_json(const LockReport& report);
std::string render_locks_dot(const LockReport& report);   // for Graphviz
std::string render_locks_html(const LockReport& report);  // one file, nothing loaded, no script

}  // namespace dbaudit

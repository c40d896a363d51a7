// `dbaudit plan` for people and for machines (dbaudit/plan/1). Functions of data, like all reports.
#pragma once

#include <string>

#include "report/report.h"
#include "rules/plan.h"

namespace dbaudit {

std::string render_plan_text(const Plan& plan, const TextOptions& options);
std::string render_plan_json(const Plan& plan);

}  // namespace dbaudit

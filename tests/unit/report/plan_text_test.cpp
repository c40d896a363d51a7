#include <doctest/doctest.h>

#include "report/plan.h"

using namespace dbaudit;

TEST_CASE("a plan is verified server by server, by the names that --server takes") {
  Plan plan;
  PlanStep step;
  for (const char* server : {"shop's primary", "shop-2", "10.0.0.5:3306"}) {
    VariableStep variable;
    variable.server = server;
    variable.variable = "wait_timeout";
    variable.declared = std::string(server) != "10.0.0.5:3306";
    step.variables.push_back(variable);
  }
  step.variables.push_back(step.variables[1]);
  step.variables.back().variable = "net_read_timeout";
  plan.steps.push_back(step);
  const std::string text = render_plan_text(plan, {false, false, 200});
  CAPTURE(text);
  CHECK(text.find("   verify\n"
                  "     dbaudit query --server 'shop'\\''s primary' 'SELECT wait_timeout FROM global_variables'\n"
                  "     dbaudit query --server shop-2 'SELECT wait_timeout, net_read_timeout FROM global_variables'\n"
                  "     dbaudit query 'SELECT wait_timeout FROM global_variables'\n") != std::string::npos);
}

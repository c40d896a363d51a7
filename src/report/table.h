// The rows of `dbaudit query` as a table, CSV or JSON.
#pragma once

#include <string>
#include <vector>

#include "facts/value.h"

namespace dbaudit {

struct ResultTable {
  std::vector<std::string> columns;
  std::vector<std::vector<Value>> rows;
};

std::string render_table(const ResultTable& table);  // for people; long cells are cut
// RFC 4180; NULL is an empty field. For a terminal, control characters are shown as escapes.
std::string render_csv(const ResultTable& table, bool for_terminal = false);
std::string render_rows_json(const ResultTable& table);  // an array of objects

}  // namespace dbaudit

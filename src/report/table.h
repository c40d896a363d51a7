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

std::string render_table(const ResultTable& table);      // for people; long cells are cut
std::string render_csv(const ResultTable& table);        // RFC 4180; NULL is an empty field
std::string render_rows_json(const ResultTable& table);  // an array of objects

}  // namespace dbaudit

#include "collect/wide_row.h"

namespace dbaudit {

void insert_wide_row(Store& store, const std::string& table, std::int64_t server_id, std::span<const KnownName> names,
                     const NamedValues& values) {
  std::vector<Value> cells;
  cells.reserve(names.size() + 1);
  cells.emplace_back(server_id);
  for (const KnownName& known : names) {
    const auto found = values.find(std::string(known.name()));
    cells.push_back(found == values.end() ? Value{} : found->second);
  }
  store.insert(table).row(cells);
}

}  // namespace dbaudit

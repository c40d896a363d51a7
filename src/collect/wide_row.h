// Rows of the wide tables (global_variables, global_status): one column for each known name.
#pragma once

#include <span>
#include <string>
#include <unordered_map>

#include "facts/known_names.h"
#include "facts/store.h"

namespace dbaudit {

using NamedValues = std::unordered_map<std::string, Value>;  // lower-case name -> value

void insert_wide_row(Store& store, const std::string& table, std::int64_t server_id, std::span<const KnownName> names,
                     const NamedValues& values);

}  // namespace dbaudit

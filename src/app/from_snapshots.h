// --from: snapshot files in place of servers.
#pragma once

#include <string>
#include <vector>

#include "app/connection_arguments.h"
#include "base/problems.h"
#include "base/result.h"
#include "facts/store.h"

namespace dbaudit {

// Snapshots and a connection exclude each other.
void check_from(const std::vector<std::string>& files, const ConnectionArguments& connection, Problems& problems);

Status add_snapshots(Store& store, const std::vector<std::string>& files);

}  // namespace dbaudit

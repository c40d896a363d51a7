// --from: snapshot files in place of servers.
#pragma once

#include <string>
#include <vector>

#include "app/connection_arguments.h"
#include "app/read_each.h"
#include "base/problems.h"
#include "facts/store.h"

namespace dbaudit {

// Snapshots and a connection, or what only a login needs, exclude each other.
void check_from(const std::vector<std::string>& files, const ConnectionArguments& connection, Problems& problems);

// What several snapshots of one server are. Judged, they would be two servers of one name: a pool would talk to both,
// and their findings would have the same fingerprints. For a query they are a history, told apart by taken_at.
enum class SameServer { refuse, history };

// All that is wrong with any of them goes to `problems`; the store is of no use then.
void add_snapshots(Store& store, const std::vector<std::string>& files, SameServer same_server, Problems& problems);

// Their servers' names, in order, with everything that is wrong with any of the files.
std::vector<std::string> servers_of_snapshots(Store& store, const std::vector<std::string>& files, Problems& problems);
// Hands over the facts of each of these servers, one at a time, as server 1 of `store`. A file that holds others by now
// goes to `problems`.
void each_server_of_snapshots(Store& store, const std::vector<std::string>& files,
                              const std::vector<std::string>& names, const TakeFacts& take, Problems& problems);

}  // namespace dbaudit

#include "app/from_snapshots.h"

namespace dbaudit {

void check_from(const std::vector<std::string>& files, const ConnectionArguments& connection, Problems& problems) {
  const bool connects = !connection.host.empty() || connection.port != 0 || !connection.socket.empty() ||
                        !connection.url.empty() || !connection.servers.empty();
  if (!files.empty() && connects) problems.add("--from reads snapshots; it cannot be combined with a connection");
}

Status add_snapshots(Store& store, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    if (Status added = store.add_snapshot(file); !added) return added;
  }
  return success();
}

}  // namespace dbaudit

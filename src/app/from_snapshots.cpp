#include "app/from_snapshots.h"

#include <fmt/format.h>

#include <map>

#include "base/text.h"

namespace dbaudit {
namespace {

struct Origin {
  std::string file;
  std::string taken_at;
};
using Origins = std::multimap<std::string, Origin>;  // by name of the server

void check_name(const SnapshotServer& server, const std::string& file, SameServer same_server, Origins& seen,
                Problems& problems) {
  const auto [begin, end] = seen.equal_range(server.name);
  for (auto other = begin; other != end; ++other) {
    if (same_server == SameServer::history && other->second.taken_at != server.taken_at) continue;
    problems.add(fmt::format(
        "--from: {} and {} are both of server '{}'{}", other->second.file, file, printable(server.name),
        same_server == SameServer::history
            ? ", of the same moment"
            : "; judge them one at a time, or, if these are two servers, snapshot each under a name of its own "
              "(--server, [[server]] in dbaudit.toml)"));
    break;
  }
  seen.emplace(server.name, Origin{file, server.taken_at});
}

// Somebody put another file there after the servers had been counted.
Status changed(const std::string& file) {
  return Error{ErrorKind::bad_input, fmt::format("snapshot {}: it was replaced while it was being read", file),
               "Run it again"};
}

// `use` gets each file's servers while it is open.
template <typename Use>
void each_snapshot(Store& store, const std::vector<std::string>& files, Problems& problems, const Use& use) {
  for (const std::string& file : files) {
    const Result<std::vector<SnapshotServer>> servers = store.open_snapshot(file);
    if (!servers) {
      problems.add(describe(servers.error()));
      continue;
    }
    if (const Status used = use(file, *servers); !used) problems.add(describe(used.error()));
    store.close_snapshot();
  }
}

}  // namespace

void check_from(const std::vector<std::string>& files, const ConnectionArguments& connection, Problems& problems) {
  if (files.empty()) return;
  const bool connects = !connection.host.empty() || connection.port != 0 || !connection.socket.empty() ||
                        !connection.url.empty() || !connection.servers.empty();
  const bool logs_in = !connection.user.empty() || connection.ask_password || !connection.password_file.empty() ||
                       connection.password_stdin || !connection.defaults_file.empty() ||
                       !connection.defaults_extra_file.empty() || !connection.defaults_group_suffix.empty() ||
                       !connection.ssl_mode.empty() || !connection.ssl_ca.empty() || !connection.ssl_cert.empty() ||
                       !connection.ssl_key.empty() || connection.spare_port != 0;
  if (connection.shard) problems.add("--shard divides the servers of dbaudit.toml; --from reads whole snapshots");
  if (connects) {
    problems.add("--from reads snapshots; it cannot be combined with a connection");
  } else if (logs_in) {
    problems.add(
        "--from reads snapshots and asks no server: user, password, option files, TLS and spare port have no use "
        "there");
  }
}

void add_snapshots(Store& store, const std::vector<std::string>& files, SameServer same_server, Problems& problems) {
  Origins seen;
  each_snapshot(store, files, problems, [&](const std::string& file, const std::vector<SnapshotServer>& servers) {
    for (const SnapshotServer& server : servers) check_name(server, file, same_server, seen, problems);
    return store.add_from_snapshot();
  });
}

std::vector<std::string> servers_of_snapshots(Store& store, const std::vector<std::string>& files, Problems& problems) {
  std::vector<std::string> names;
  Origins seen;
  each_snapshot(store, files, problems, [&](const std::string& file, const std::vector<SnapshotServer>& servers) {
    for (const SnapshotServer& server : servers) {
      check_name(server, file, SameServer::refuse, seen, problems);
      names.push_back(server.name);
    }
    return success();
  });
  return names;
}

void each_server_of_snapshots(Store& store, const std::vector<std::string>& files,
                              const std::vector<std::string>& names, const TakeFacts& take, Problems& problems) {
  std::size_t index = 0;
  each_snapshot(store, files, problems, [&](const std::string& file, const std::vector<SnapshotServer>& servers) {
    for (const SnapshotServer& server : servers) {
      if (index == names.size() || server.name != names[index]) return changed(file);
      store.clear_facts();
      if (Status added = store.add_from_snapshot(server.server_id); !added) return added;
      take(index++, store);
    }
    return success();
  });
  if (problems.empty() && index != names.size()) problems.add(describe(changed(files.back()).error()));
}

}  // namespace dbaudit

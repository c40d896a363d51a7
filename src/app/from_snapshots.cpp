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

void check_names(Store& store, std::int64_t above_id, const std::string& file, SameServer same_server,
                 std::multimap<std::string, Origin>& seen, Problems& problems) {
  Query rows = store.query("SELECT name, taken_at FROM server WHERE server_id > :id ORDER BY server_id");
  rows.bind("id", above_id);
  while (rows.next().value()) {
    const std::string name = rows.text(0);
    const Origin here{file, rows.text(1)};
    const auto [begin, end] = seen.equal_range(name);
    for (auto other = begin; other != end; ++other) {
      if (same_server == SameServer::history && other->second.taken_at != here.taken_at) continue;
      problems.add(fmt::format(
          "--from: {} and {} are both of server '{}'{}", other->second.file, file, printable(name),
          same_server == SameServer::history
              ? ", of the same moment"
              : "; judge them one at a time, or, if these are two servers, snapshot each under a name of its own "
                "(--server, [[server]] in dbaudit.toml)"));
      break;
    }
    seen.emplace(name, here);
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
  if (connects) {
    problems.add("--from reads snapshots; it cannot be combined with a connection");
  } else if (logs_in) {
    problems.add(
        "--from reads snapshots and asks no server: user, password, option files, TLS and spare port have no use "
        "there");
  }
}

void add_snapshots(Store& store, const std::vector<std::string>& files, SameServer same_server, Problems& problems) {
  std::multimap<std::string, Origin> seen;
  for (const std::string& file : files) {
    std::int64_t highest = 0;
    {
      Query id = store.query("SELECT ifnull(max(server_id), 0) FROM server");
      if (id.next().value()) highest = id.integer(0).value_or(0);
    }
    if (const Status added = store.add_snapshot(file); !added) {
      problems.add(describe(added.error()));
      continue;
    }
    check_names(store, highest, file, same_server, seen, problems);
  }
}

}  // namespace dbaudit

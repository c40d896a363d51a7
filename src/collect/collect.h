// Reading one server into the fact store: connect, read every source, record how each ended.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "facts/store.h"
#include "server/connection.h"

namespace dbaudit {

// What people declare about a server; it cannot be read from it.
struct ServerDeclaration {
  std::string name;  // empty: host:port
  std::optional<std::string> role;
  std::optional<std::string> replica_of;
  std::optional<std::string> group;
  std::optional<std::string> environment;
  std::optional<std::int64_t> memory_bytes;
};

// What a command needs of a server.
enum class Scope {
  everything,
  locks,  // who waits for whom, and nothing else: `dbaudit locks`, in the middle of a stall
};

struct CollectRequest {
  ConnectionOptions connection;
  ServerDeclaration declared;
  std::optional<Seconds> sample_interval;  // take the status counters twice, this far apart
  Scope scope = Scope::everything;
  bool redact = false;         // statements without their literals
  bool find_replicas = false;  // ask which replicas it has
  Deadline deadline;
  // Where the connection is kept for the next reading of the same server; null: it is closed. Who comes in through the
  // last door of a full server should not leave it between two looks.
  std::shared_ptr<std::optional<Connection>> kept;
};

// What can be done with the store while the server works out its first answers; nothing where it gives none.
using WhileItAnswers = std::function<void(Store&, const ServerVersion&)>;

// Fills the tables of one server in the store that `store_to_fill` gives, which is called once, when there is a
// connection or none can be had. `meanwhile` may be empty. Failure to connect is a fact too: table server says why, and
// every source is unavailable. Warnings for stderr are returned.
std::vector<std::string> collect_server(const std::function<Store&()>& store_to_fill, std::int64_t server_id,
                                        const CollectRequest& request, const Clock& clock,
                                        const WhileItAnswers& meanwhile = {});

}  // namespace dbaudit

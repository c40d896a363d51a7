// --with-replicas: servers that nobody has declared, found by asking the others.
#pragma once

#include <string>
#include <vector>

#include "collect/collect.h"
#include "facts/store.h"

namespace dbaudit {

// How sure it is that there is a server, and that it is called so: the surest first.
enum class FoundAs {
  declared,    // in dbaudit.toml
  registered,  // it has told its host and port
  session,     // the binary log is sent there, as it is to a backup or a change reader
};

// A server that another one knows of.
struct FoundServer {
  CollectRequest request;
  FoundAs as = FoundAs::registered;
};

// The replicas of the only server of `store`, which `primary` asked for: with its account and its TLS, in its group and
// environment. A replica without report_host is looked for where the binary log is sent to, at the port that it has
// registered, else at the primary's own. `notes` say where that is the primary itself, and what could not be asked.
std::vector<FoundServer> find_replicas(Store& store, const CollectRequest& primary, std::vector<std::string>& notes);

// Tells two servers apart, whatever they are called: MySQL's server_uuid, else host name, port and server_id as the
// server itself says. Empty when that is not known.
std::string identity_of(Store& store);

}  // namespace dbaudit

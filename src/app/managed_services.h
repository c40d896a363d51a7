// Managed services give an instance its max_connections by the size of its memory (rules/services.toml).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/inputs.h"
#include "base/problems.h"
#include "facts/store.h"

namespace dbaudit {

// Another size of a server's memory (--memory [SERVER:]SIZE).
struct MemoryChange {
  std::optional<std::string> server;  // none: every server of the run
  std::int64_t bytes = 0;
};
// Everything wrong goes to `problems`.
std::vector<MemoryChange> parse_memory_changes(const std::vector<std::string>& arguments, Problems& problems);

// Checks that every declared `service` is known.
void check_services(const Inputs& inputs, Store& store, Problems& problems);

// Fills server.service and server.service_max_connections of the declared servers that were read.
void add_services(const Inputs& inputs, Store& store);

// Puts the new sizes in force. A server whose max_connections is about what its service gives for its present memory
// gets what the service gives for the new one, which is said in `notes`.
void apply_memory(const std::vector<MemoryChange>& changes, const Inputs& inputs, Store& store,
                  std::vector<std::string>& notes);

}  // namespace dbaudit

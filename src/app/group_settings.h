// What the servers of a group have in common: for DRF002, once for all of them, because each would ask the same.
#pragma once

#include "config/config.h"
#include "facts/store.h"

namespace dbaudit {

// Fills the table `group_setting` for the servers of `store`; what was in it before is gone. `config` knows members
// that are not part of this run.
void add_group_settings(const Config& config, Store& store);

}  // namespace dbaudit

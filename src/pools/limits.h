// What holds for a pool's sessions: how long they may be idle before somebody closes them, how long they wait for
// locks, and whether they run with autocommit. The fact table `pool_limits`, where the server's variables and what is
// declared about pools meet for the first time.
#pragma once

#include "facts/store.h"

namespace dbaudit {

// One row for each pool and each server that it talks to and whose variables were read, as they are now; what was in
// the table before is gone.
void add_pool_limits(Store& store);

}  // namespace dbaudit

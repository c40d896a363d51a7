// Sessions and locks of stalls, for the tests of the graph and of the reports.
#pragma once

#include <string>

#include "locks/lock_report.h"

namespace dbaudit {

inline constexpr const char* kForTable = "Waiting for table metadata lock";

inline LockSession session(std::int64_t id, const char* command, double time_s, const char* state = nullptr,
                           const char* info = nullptr) {
  LockSession out;
  out.connection_id = id;
  out.user = "app";
  out.host = "h";
  out.database = "shop";
  out.command = command;
  out.time_s = time_s;
  if (state != nullptr) out.state = state;
  if (info != nullptr) out.info = info;
  out.kind = "client";
  return out;
}

inline HeldLock lock(std::int64_t id, const char* type, bool granted, const std::string& name = "orders") {
  HeldLock out;
  out.connection_id = id;
  out.object_type = "TABLE";
  out.schema = "shop";
  out.name = name;
  out.lock_type = type;
  out.granted = granted;
  out.seen_in = "metadata_locks";
  return out;
}

inline LockTransaction transaction(std::int64_t id, double age_s, const std::string& trx_id = "1") {
  LockTransaction out;
  out.connection_id = id;
  out.trx_id = trx_id;
  out.age_s = age_s;
  return out;
}

}  // namespace dbaudit

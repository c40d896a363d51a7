// Error numbers of servers and client libraries, sorted into kinds with a next step.
#pragma once

#include <string>

#include "base/result.h"

namespace dbaudit {

enum class During { connecting, connecting_in_plaintext, reading };

// `doing` says what was tried on what ("connect to shop-primary", "read metadata_locks").
Error server_error(int library_code, const std::string& library_sqlstate, const std::string& message,
                   const std::string& doing, During during);

}  // namespace dbaudit

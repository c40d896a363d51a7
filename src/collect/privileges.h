// What an account needs to be shown each source: one list, behind `dbaudit grants` and behind every remedy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/version.h"

namespace dbaudit {

struct Privilege {
  std::string grant;                 // "PROCESS ON *.*"
  std::vector<std::string> sources;  // the sources that need it
  std::string why;
  bool optional = false;  // a door for emergencies, or of use to a single option
};

// The least that reads everything on this server, in the order in which it is printed.
std::vector<Privilege> needed_privileges(const ServerVersion& server);

// "GRANT PROCESS ON *.* TO 'aud'@'%'", or nothing when reading `source` needs no privilege.
std::optional<std::string> grant_for(const std::string& source, const ServerVersion& server,
                                     const std::string& account);

// What a person writes for an account (aud, aud@10.%, 'aud'@'%'), quoted for a statement; without a host: any. Nothing
// where it cannot be told what is meant, or the quoting would depend on the server's sql_mode (backslashes).
std::optional<std::string> account_as_written(std::string_view text);
// 'aud'@'%' from CURRENT_USER()'s aud@%.
std::string quoted_account(const std::string& current_user);

}  // namespace dbaudit

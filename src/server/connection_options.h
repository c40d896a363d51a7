// How to reach one server: what was asked for on the command line, in a URL, in dbaudit.toml and in option files,
// resolved into one plain struct.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/problems.h"
#include "base/result.h"
#include "base/units.h"
#include "server/option_file.h"

namespace dbaudit {

enum class SslMode { disabled, preferred, required, verify_ca, verify_identity };
std::optional<SslMode> parse_ssl_mode(std::string_view name);  // "VERIFY_IDENTITY", in any case

// Parts that somebody asked for; what is missing comes from the next source.
struct ConnectionRequest {
  std::optional<std::string> host;
  std::optional<int> port;
  std::optional<std::string> socket;
  std::optional<std::string> user;
  std::optional<std::string> password;
  bool ask_password = false;  // in place of a password: an option file has a bare "password"
  std::optional<SslMode> ssl_mode;
  std::optional<std::string> ssl_ca;
  std::optional<std::string> ssl_cert;
  std::optional<std::string> ssl_key;
  std::optional<int> spare_port;  // MySQL's admin_port or MariaDB's extra_port, for when all connections are used up
};

// mysql://user@host:port or unix:///path/to/socket. A password in it is refused: it would stand in the process list.
Result<ConnectionRequest> parse_connection_url(std::string_view url);

// What option files ask for. Unknown keys of [dbaudit] and bad values are problems; [client] is shared with other
// programs, so unknown keys there are none.
ConnectionRequest request_from_option_files(const std::vector<OptionFileEntry>& entries, Problems& problems);

// `first` wins over `second`.
ConnectionRequest merged(ConnectionRequest first, const ConnectionRequest& second);

struct ConnectionOptions {
  std::string name;  // how reports call this server
  std::string host;  // empty when `socket` is used
  int port = 3306;
  std::string socket;  // empty for TCP
  std::string user;
  std::string password;
  SslMode ssl_mode = SslMode::preferred;
  std::string ssl_ca;
  std::string ssl_cert;
  std::string ssl_key;
  std::optional<int> spare_port;
  Seconds connect_timeout{5};  // for resolving the name, for the TCP connection and for the greeting, each
  Seconds read_timeout{20};    // for each answer
};

// Fills in the mysql client's defaults: the user who runs this, localhost by its socket when there is one (unless a
// port was asked for), port 3306. What the client library cannot do (VERIFY_CA) and missing files are problems.
ConnectionOptions resolve(const ConnectionRequest& request, const std::string& name, Problems& problems);

// HOST:PORT, an IPv6 address in brackets.
std::string address_of(const std::string& host, int port);
bool is_loopback(const ConnectionOptions& options);

// "10.0.0.5:3306", or the path of a socket: what makes two servers one.
std::string address_of(const ConnectionOptions& options);

}  // namespace dbaudit

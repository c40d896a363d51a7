#include "server/connection_options.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "base/text.h"

namespace dbaudit {
namespace {

std::optional<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535) return std::nullopt;
  return port;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Error bad_url(const std::string& why) {
  return {ErrorKind::bad_input, "connection URL: " + why, "Write mysql://USER@HOST:PORT or unix:///PATH/TO/SOCKET"};
}

// The places where Debian, Red Hat, Oracle and source builds put the server's socket.
std::string default_socket() {
  constexpr std::array<const char*, 4> kPlaces{"/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock",
                                               "/tmp/mysql.sock", "/run/mysql/mysql.sock"};
  for (const char* place : kPlaces) {
    std::error_code error;
    if (std::filesystem::is_socket(place, error)) return place;
  }
  return "";
}

std::string system_user() {
  const passwd* entry = getpwuid(geteuid());
  return entry == nullptr ? "" : entry->pw_name;
}

std::string first_word(std::string_view key) {
  std::size_t end = 0;
  while (end < key.size() && (is_letter(key[end]) || is_digit(key[end]) || key[end] == '_')) ++end;
  return std::string(key.substr(0, end));
}

void check_file(const std::string& path, std::string_view option, Problems& problems) {
  if (!path.empty() && access(path.c_str(), R_OK) != 0) {
    problems.add(fmt::format("{}: {} cannot be read", option, path));
  }
}

}  // namespace

std::optional<SslMode> parse_ssl_mode(std::string_view name) {
  const std::string lower = to_lower(name);
  if (lower == "disabled") return SslMode::disabled;
  if (lower == "preferred") return SslMode::preferred;
  if (lower == "required") return SslMode::required;
  if (lower == "verify_ca") return SslMode::verify_ca;
  if (lower == "verify_identity") return SslMode::verify_identity;
  return std::nullopt;
}

Result<ConnectionRequest> parse_connection_url(std::string_view url) {
  ConnectionRequest request;
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return bad_url("it has no scheme");
  const std::string_view scheme = url.substr(0, colon);
  std::string_view rest = url.substr(colon + 3);
  const std::size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    if (user.find(':') != std::string_view::npos) {
      return bad_url(
          "it holds a password, which would stand in the process list; use an option file, --password-file or "
          "DBAUDIT_PASSWORD");
    }
    request.user = percent_decoded(user);
    rest.remove_prefix(at + 1);
  }
  if (scheme == "unix") {
    if (rest.empty() || rest.front() != '/') return bad_url("the socket must be an absolute path");
    request.socket = percent_decoded(rest);
    return request;
  }
  if (scheme != "mysql" && scheme != "mariadb") return bad_url(fmt::format("unknown scheme '{}'", scheme));
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    return bad_url("it names a database; dbaudit connects without one, because USE can hang during a stall");
  }
  rest = rest.substr(0, slash);
  std::string_view port;
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad_url("the IPv6 address has no closing ']'");
    request.host = std::string(rest.substr(1, end - 1));
    port = rest.substr(end + 1);
  } else {
    const std::size_t host_end = rest.find(':');
    request.host = percent_decoded(rest.substr(0, host_end));
    if (host_end != std::string_view::npos) port = rest.substr(host_end);
  }
  if (!port.empty()) {
    request.port = parse_port(port.substr(1));
    // Not quoted: of mysql://USER:PASSWORD this would be the password.
    if (port.front() != ':' || !request.port) return bad_url("what follows the host is not a port from 1 to 65535");
  }
  if (request.host->empty()) return bad_url("it names no host");
  return request;
}

ConnectionRequest request_from_option_files(const std::vector<OptionFileEntry>& entries, Problems& problems) {
  ConnectionRequest request;
  const std::vector<std::string> known{"host",      "port",   "socket",   "user",    "password",
                                       "ssl_mode",  "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_server_cert",
                                       "spare_port"};
  for (const OptionFileEntry& entry : entries) {
    // "password x" without '=': what follows the first word may be a secret.
    const std::string word = first_word(entry.key);
    if (word != entry.key) {
      const bool ours = entry.group.rfind("dbaudit", 0) == 0;
      if (ours || std::find(known.begin(), known.end(), word) != known.end()) {
        problems.add(entry.file, entry.line, fmt::format("[{}] {}: there is no '=' behind it", entry.group, word));
      }
      continue;
    }
    const auto bad = [&](std::string_view wanted) {
      problems.add(entry.file, entry.line,
                   fmt::format("[{}] {} = {}: {}", entry.group, entry.key, entry.value, wanted));
    };
    if (entry.key == "host") {
      request.host = entry.value;
    } else if (entry.key == "port" || entry.key == "spare_port") {
      const std::optional<int> port = parse_port(entry.value);
      if (!port) bad("not a port from 1 to 65535");
      (entry.key == "port" ? request.port : request.spare_port) = port;
    } else if (entry.key == "socket") {
      request.socket = entry.value;
    } else if (entry.key == "user") {
      request.user = entry.value;
    } else if (entry.key == "password") {
      // A bare "password" means "ask", as with the mysql client.
      request.password = entry.has_value ? std::optional(entry.value) : std::nullopt;
      request.ask_password = !entry.has_value;
    } else if (entry.key == "ssl_mode") {
      request.ssl_mode = parse_ssl_mode(entry.value);
      if (!request.ssl_mode) bad("must be DISABLED, PREFERRED, REQUIRED or VERIFY_IDENTITY");
    } else if (entry.key == "ssl_verify_server_cert") {
      // MariaDB's name for the same wish; the bare key means yes.
      const std::string value = to_lower(entry.value);
      if (!entry.has_value || value == "1" || value == "on" || value == "true")
        request.ssl_mode = SslMode::verify_identity;
    } else if (entry.key == "ssl_ca") {
      request.ssl_ca = entry.value;
    } else if (entry.key == "ssl_cert") {
      request.ssl_cert = entry.value;
    } else if (entry.key == "ssl_key") {
      request.ssl_key = entry.value;
    } else if (entry.group.rfind("dbaudit", 0) == 0) {
      problems.add(entry.file, entry.line,
                   fmt::format("[{}]: unknown option '{}'{}", entry.group, entry.key, did_you_mean(entry.key, known)));
    }
  }
  return request;
}

ConnectionRequest merged(ConnectionRequest first, const ConnectionRequest& second) {
  // A host on one side and a socket on the other are two different servers: the first source decides.
  if (!first.host && !first.socket) {
    first.host = second.host;
    // A port that somebody asked for means TCP; a socket of a weaker source must not win over it.
    if (!first.port) {
      first.socket = second.socket;
      first.port = second.port;
    }
  } else if (first.host && !first.port) {
    first.port = second.port;
  }
  const auto take = [](auto& mine, const auto& theirs) {
    if (!mine) mine = theirs;
  };
  take(first.user, second.user);
  if (!first.password && !first.ask_password) {
    first.password = second.password;
    first.ask_password = second.ask_password;
  }
  take(first.ssl_mode, second.ssl_mode);
  take(first.ssl_ca, second.ssl_ca);
  take(first.ssl_cert, second.ssl_cert);
  take(first.ssl_key, second.ssl_key);
  take(first.spare_port, second.spare_port);
  return first;
}

ConnectionOptions resolve(const ConnectionRequest& request, const std::string& name, Problems& problems) {
  ConnectionOptions options;
  options.user = request.user.value_or(system_user());
  options.password = request.password.value_or("");
  options.ssl_mode = request.ssl_mode.value_or(SslMode::preferred);
  options.ssl_ca = request.ssl_ca.value_or("");
  options.ssl_cert = request.ssl_cert.value_or("");
  options.ssl_key = request.ssl_key.value_or("");
  options.spare_port = request.spare_port;
  options.port = request.port.value_or(3306);
  const bool local = !request.host || *request.host == "localhost";
  if (request.socket && local) {
    options.socket = *request.socket;
  } else if (local && !request.port) {
    options.socket = default_socket();
  }
  if (options.socket.empty()) options.host = request.host.value_or("localhost");
  options.name = !name.empty()            ? name
                 : options.socket.empty() ? address_of(options.host, options.port)
                                          : options.socket;

  if (options.ssl_mode == SslMode::verify_ca) {
    problems.add(
        fmt::format("{}: --ssl-mode VERIFY_CA: the client library (MariaDB Connector/C) cannot verify the certificate "
                    "without the host name; use VERIFY_IDENTITY, or REQUIRED for encryption only",
                    options.name));
  }
  if (options.ssl_mode == SslMode::verify_identity) {
    if (!options.socket.empty()) {
      problems.add(fmt::format("{}: --ssl-mode VERIFY_IDENTITY needs a host name; a socket has none", options.name));
    }
    // Named explicitly: without it, newer client libraries accept any certificate from 127.0.0.1.
    if (options.ssl_ca.empty()) options.ssl_ca = "/etc/ssl/certs/ca-certificates.crt";
  }
  check_file(options.ssl_ca, "--ssl-ca", problems);
  check_file(options.ssl_cert, "--ssl-cert", problems);
  check_file(options.ssl_key, "--ssl-key", problems);
  return options;
}

std::string address_of(const std::string& host, int port) {
  const bool ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

bool is_loopback(const ConnectionOptions& options) {
  if (!options.socket.empty() || options.host == "localhost") return true;
  in_addr four{};
  if (inet_pton(AF_INET, options.host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24U == 127;
  in6_addr six{};
  return inet_pton(AF_INET6, options.host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

std::string address_of(const ConnectionOptions& options) {
  return options.socket.empty() ? fmt::format("{}:{}", to_lower(options.host), options.port) : options.socket;
}

}  // namespace dbaudit

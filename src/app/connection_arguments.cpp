#include "app/connection_arguments.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "base/text.h"

namespace dbaudit {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): main thread
  return value == nullptr ? "" : value;
}

std::optional<std::string> password_from_file(const std::string& path, Problems& problems) {
  std::ifstream in(path);
  std::string line;
  if (!in || !std::getline(in, line)) {
    problems.add(fmt::format("password file {} cannot be read or is empty", path));
    return std::nullopt;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

// From the terminal itself, so that it works with stdin redirected, and without echo.
std::optional<std::string> password_from_prompt(Problems& problems) {
  std::ifstream in("/dev/tty");
  std::ofstream out("/dev/tty");
  if (!in || !out) {
    problems.add(
        "--password asks on the terminal, and there is none; use --password-file, --password-stdin or "
        "DBAUDIT_PASSWORD");
    return std::nullopt;
  }
  termios before{};
  const bool changed = tcgetattr(STDERR_FILENO, &before) == 0;
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  if (changed) tcsetattr(STDERR_FILENO, TCSAFLUSH, &silent);
  out << "Password: " << std::flush;
  std::string line;
  std::getline(in, line);
  if (changed) tcsetattr(STDERR_FILENO, TCSAFLUSH, &before);
  out << "\n";
  return line;
}

template <typename T>
std::optional<T> given(const T& value, const T& empty = {}) {
  return value == empty ? std::nullopt : std::optional(value);
}

ConnectionRequest from_arguments(const ConnectionArguments& arguments, Problems& problems) {
  ConnectionRequest request;
  request.host = given(arguments.host);
  request.port = given(arguments.port);
  request.user = given(arguments.user);
  request.socket = given(arguments.socket);
  request.ssl_ca = given(arguments.ssl_ca);
  request.ssl_cert = given(arguments.ssl_cert);
  request.ssl_key = given(arguments.ssl_key);
  request.spare_port = given(arguments.spare_port);
  if (!arguments.ssl_mode.empty()) request.ssl_mode = parse_ssl_mode(arguments.ssl_mode);
  if (!arguments.url.empty()) {
    Result<ConnectionRequest> url = parse_connection_url(arguments.url);
    if (url) {
      request = merged(request, *url);
    } else {
      problems.add(describe(url.error()));
    }
  }
  return request;
}

ConnectionRequest from_config(const ServerConfig& server, const std::string& file, Problems& problems) {
  ConnectionRequest request;
  if (server.url) {
    Result<ConnectionRequest> url = parse_connection_url(*server.url);
    if (url) {
      request = *url;
    } else {
      problems.add(file, server.line, fmt::format("[[server]] '{}': {}", server.name, describe(url.error())));
    }
  }
  if (server.ssl_mode) request.ssl_mode = parse_ssl_mode(*server.ssl_mode);
  request.ssl_ca = server.ssl_ca;
  request.ssl_cert = server.ssl_cert;
  request.ssl_key = server.ssl_key;
  request.spare_port = server.spare_port;
  if (server.password_file) request.password = password_from_file(*server.password_file, problems);
  return request;
}

ServerDeclaration declaration(const ServerConfig& server) {
  return {server.name, server.role, server.replica_of, server.group, server.environment, server.memory_bytes};
}

}  // namespace

void ConnectionArguments::add_to(CLI::App& app, bool several) {
  const std::string group = "Connection";
  app.add_option("-h,--host", host, "Server to connect to")->group(group);
  app.add_option("-P,--port", port, "TCP port")->check(CLI::Range(1, 65535))->group(group);
  app.add_option("-u,--user", user, "Account name")->group(group);
  app.add_option("-S,--socket", socket, "Unix socket")->group(group);
  app.add_option("--url", url, "mysql://USER@HOST:PORT or unix:///PATH")->group(group);
  app.add_flag("-p,--password", ask_password, "Ask for the password on the terminal; a value is never taken")
      ->disable_flag_override()  // its error message would repeat the value
      ->group(group);
  app.add_option("--password-file", password_file, "File whose first line is the password")->group(group);
  app.add_flag("--password-stdin", password_stdin, "First line of standard input is the password")->group(group);
  app.add_option("--defaults-file", defaults_file, "The only option file to read")->group(group);
  app.add_option("--defaults-extra-file", defaults_extra_file, "Option file to read as well")->group(group);
  app.add_option("--defaults-group-suffix", defaults_group_suffix, "Also read the groups with this suffix")
      ->group(group);
  app.add_option("--ssl-mode", ssl_mode, "DISABLED, PREFERRED (default), REQUIRED or VERIFY_IDENTITY")
      ->check(CLI::IsMember({"DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"}, CLI::ignore_case))
      ->group(group);
  app.add_option("--ssl-ca", ssl_ca, "Certificates of authorities to trust")->group(group);
  app.add_option("--ssl-cert", ssl_cert, "Client certificate")->group(group);
  app.add_option("--ssl-key", ssl_key, "Key of the client certificate")->group(group);
  app.add_option("--spare-port", spare_port, "admin_port or extra_port, for when all connections are used up")
      ->check(CLI::Range(1, 65535))
      ->group(group);
  CLI::Option* server = app.add_option("--server", servers, "Name of a [[server]] in dbaudit.toml")->group(group);
  if (!several) server->expected(1);
}

std::vector<CollectRequest> resolve_servers(const ConnectionArguments& arguments, const Config& config, bool several,
                                            Problems& problems) {
  const ConnectionRequest command_line = from_arguments(arguments, problems);
  std::optional<std::string> password;
  if (!arguments.password_file.empty()) password = password_from_file(arguments.password_file, problems);
  if (arguments.password_stdin) {
    std::string line;
    std::getline(std::cin, line);
    password = line;
  }
  if (arguments.ask_password) password = password_from_prompt(problems);

  std::vector<const ServerConfig*> chosen;
  std::vector<std::string> names;
  for (const ServerConfig& server : config.servers) names.push_back(server.name);
  for (const std::string& name : arguments.servers) {
    const auto found = std::find_if(config.servers.begin(), config.servers.end(),
                                    [&](const ServerConfig& s) { return s.name == name; });
    if (found == config.servers.end()) {
      problems.add(fmt::format("--server: no [[server]] is named '{}'{}", name, did_you_mean(name, names)));
    } else {
      chosen.push_back(&*found);
    }
  }
  const bool described =
      command_line.host || command_line.socket || command_line.port || !arguments.defaults_file.empty();
  if (arguments.servers.empty() && !described && several) {
    for (const ServerConfig& server : config.servers) chosen.push_back(&server);
  }
  if (chosen.empty() && arguments.servers.empty()) chosen.push_back(nullptr);

  std::vector<CollectRequest> requests;
  for (const ServerConfig* server : chosen) {
    OptionFileChoice files{arguments.defaults_file, arguments.defaults_extra_file, arguments.defaults_group_suffix,
                           environment("HOME")};
    if (server != nullptr && server->option_file) files.defaults_file = *server->option_file;
    if (server != nullptr && server->option_group_suffix) files.group_suffix = *server->option_group_suffix;
    ConnectionRequest request = command_line;
    request.password = password;
    if (server != nullptr) request = merged(request, from_config(*server, config.file, problems));
    request = merged(request, request_from_option_files(client_options(files, problems), problems));
    if (!request.password && !environment("DBAUDIT_PASSWORD").empty())
      request.password = environment("DBAUDIT_PASSWORD");
    CollectRequest out;
    if (server != nullptr) out.declared = declaration(*server);
    out.connection = resolve(request, out.declared.name, problems);
    requests.push_back(std::move(out));
  }
  return requests;
}

}  // namespace dbaudit

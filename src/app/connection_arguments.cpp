#include "app/connection_arguments.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "app/output.h"
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

volatile std::sig_atomic_t interrupted = 0;
void note_signal(int signal) { interrupted = signal; }

// Echo is off and fatal signals only end read() while this lives, so that they leave no silent terminal behind.
class Silence {
 public:
  explicit Silence(int terminal) : terminal_(terminal), silent_(tcgetattr(terminal, &before_) == 0) {
    if (!silent_) return;
    struct sigaction noting {};
    noting.sa_handler = note_signal;  // no SA_RESTART
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &noting, &handlers_[i]);
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(terminal, TCSAFLUSH, &silent);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (!silent_) return;
    tcsetattr(terminal_, TCSAFLUSH, &before_);
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &handlers_[i], nullptr);
  }

 private:
  static constexpr std::array<int, 4> kSignals{SIGINT, SIGTERM, SIGQUIT, SIGHUP};
  int terminal_;
  termios before_{};
  bool silent_;
  std::array<struct sigaction, 4> handlers_{};
};

// From the terminal itself, so that it works with all of stdin, stdout and stderr redirected, and without echo.
std::optional<std::string> password_from_prompt(const std::string& question, Problems& problems) {
  const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (terminal < 0) {
    problems.add(
        "a password is to be asked for on the terminal, and there is none; use --password-file, --password-stdin or "
        "DBAUDIT_PASSWORD");
    return std::nullopt;
  }
  const auto say = [terminal](std::string_view text) {
    return write(terminal, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  std::string line;
  bool ended = false;
  {
    const Silence silence(terminal);
    const bool asked = say(question);
    char c = '\0';
    while (asked && interrupted == 0 && read(terminal, &c, 1) == 1) {
      ended = c == '\n';
      if (ended) break;
      line += c;
    }
    say("\n");
  }
  close(terminal);
  if (interrupted != 0) std::raise(interrupted);
  if (!ended && line.empty()) {
    problems.add("no password was given on the terminal");
    return std::nullopt;
  }
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

// The servers in their order, as if dealt to N players.
std::vector<const ServerConfig*> shard_of(const std::vector<const ServerConfig*>& servers, const std::string& shard,
                                          Problems& problems) {
  std::size_t index = 0;
  std::size_t count = 0;
  const char* const end = shard.data() + shard.size();
  const auto [slash, wrong_index] = std::from_chars(shard.data(), end, index);
  const bool divided = wrong_index == std::errc() && slash != end && *slash == '/';
  const auto [rest, wrong_count] = std::from_chars(divided ? slash + 1 : end, end, count);
  if (!divided || wrong_count != std::errc() || rest != end || index >= count) {
    problems.add(fmt::format("--shard {}: write I/N, such as 0/4 for the first of four", printable(shard)));
    return {};
  }
  std::vector<const ServerConfig*> mine;
  for (std::size_t i = index; i < servers.size(); i += count) mine.push_back(servers[i]);
  if (mine.empty() && !servers.empty())
    problems.add(fmt::format("--shard {}: there are only {} servers to divide", shard, servers.size()));
  return mine;
}

}  // namespace

void ConnectionArguments::add_to(CLI::App& app, bool several) {
  const std::string group = "Connection";
  app.add_option("-h,--host", host, "Server to connect to")
      ->check([](const std::string& text) { return std::string(text.empty() ? "must not be empty" : ""); })
      ->group(group);
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
  if (!several) {
    server->expected(1);
    return;
  }
  app.add_option("--shard", shard, "I/N: of the servers of dbaudit.toml every Nth, from the Ith, which counts from 0")
      ->group(group);
}

std::vector<CollectRequest> resolve_servers(const ConnectionArguments& arguments, const Config& config, bool several,
                                            Problems& problems, std::vector<CollectRequest>* others) {
  const ConnectionRequest command_line = from_arguments(arguments, problems);
  if (!arguments.servers.empty() && (!arguments.host.empty() || !arguments.socket.empty() || !arguments.url.empty())) {
    problems.add("--server names a server of dbaudit.toml; -h, -S and --url name another one");
  }
  if (!arguments.socket.empty() && !arguments.host.empty() && arguments.host != "localhost")
    problems.add("-S is a socket of this machine; it does not go with -h of another one");
  std::optional<std::string> password;
  if (!arguments.password_file.empty()) password = password_from_file(arguments.password_file, problems);
  if (arguments.password_stdin) {
    std::string line;
    if (std::getline(std::cin, line)) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      password = line;
    } else {
      problems.add("--password-stdin: standard input is empty");
    }
  }
  if (arguments.ask_password) password = password_from_prompt("Password: ", problems);

  std::vector<const ServerConfig*> chosen;
  std::vector<std::string> names;
  for (const ServerConfig& server : config.servers) names.push_back(server.name);
  for (std::size_t i = 0; i < arguments.servers.size(); ++i) {
    const std::string& name = arguments.servers[i];
    const auto here = arguments.servers.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(arguments.servers.begin(), here, name) != here) {
      problems.add(fmt::format("--server: '{}' is named twice", name));
      continue;
    }
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
  if (arguments.shard) {
    if (chosen.empty() && arguments.servers.empty())
      problems.add("--shard divides the servers of dbaudit.toml; this run has none of them");
    chosen = shard_of(chosen, *arguments.shard, problems);
  } else if (chosen.empty() && arguments.servers.empty()) {
    chosen.push_back(nullptr);
  }

  const auto resolved = [&](const ServerConfig* server, ConnectionRequest request, bool may_ask, Problems& found) {
    OptionFileChoice files{arguments.defaults_file, arguments.defaults_extra_file, arguments.defaults_group_suffix,
                           environment("HOME")};
    if (server != nullptr && server->option_file) files.defaults_file = *server->option_file;
    if (server != nullptr && server->option_group_suffix) files.group_suffix = *server->option_group_suffix;
    request.password = password;
    if (server != nullptr) request = merged(request, from_config(*server, config.file, found));
    request = merged(request, request_from_option_files(client_options(files, found), found));
    if (!request.password && !request.ask_password && !environment("DBAUDIT_PASSWORD").empty())
      request.password = environment("DBAUDIT_PASSWORD");
    CollectRequest out;
    if (server != nullptr) out.declared = declaration(*server);
    out.connection = resolve(request, out.declared.name, found);
    if (request.ask_password && !may_ask) found.add("its password would have to be asked for");
    if (request.ask_password && may_ask) {
      const std::string question = fmt::format("Password for {}: ", printable(out.connection.name));
      out.connection.password = password_from_prompt(question, found).value_or("");
    }
    return out;
  };
  std::vector<CollectRequest> requests;
  for (const ServerConfig* server : chosen) requests.push_back(resolved(server, command_line, true, problems));
  if (others == nullptr) return requests;
  // The address on the command line is that of another server.
  ConnectionRequest without_address = command_line;
  without_address.host.reset();
  without_address.port.reset();
  without_address.socket.reset();
  for (const ServerConfig& server : config.servers) {
    if (std::find(chosen.begin(), chosen.end(), &server) != chosen.end()) continue;
    // Nobody has asked for it: what is wrong with it is none of this run's until it is found.
    Problems of_other;
    CollectRequest other = resolved(&server, without_address, false, of_other);
    if (of_other.empty()) {
      others->push_back(std::move(other));
    } else {
      write_stderr(fmt::format("{} would not be known again as a replica: {}", server.name, of_other.text()));
    }
  }
  return requests;
}

}  // namespace dbaudit

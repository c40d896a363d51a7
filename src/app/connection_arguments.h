// The CONNECTION arguments of the public contract, and what they, option files and dbaudit.toml add up to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/cli_app.h"
#include "base/problems.h"
#include "collect/collect.h"
#include "config/config.h"

namespace dbaudit {

struct ConnectionArguments {
  std::string host;
  int port = 0;
  std::string user;
  std::string socket;
  std::string url;
  bool ask_password = false;
  std::string password_file;
  bool password_stdin = false;
  std::string defaults_file;
  std::string defaults_extra_file;
  std::string defaults_group_suffix;
  std::string ssl_mode;
  std::string ssl_ca;
  std::string ssl_cert;
  std::string ssl_key;
  int spare_port = 0;
  std::vector<std::string> servers;  // --server NAME of dbaudit.toml
  std::optional<std::string> shard;  // --shard I/N: every Nth of the servers, from the Ith, which counts from 0

  // `several`: whether more than one --server may be given, and --shard.
  void add_to(CLI::App& app, bool several);
};

// The servers to read: those named with --server, else the one that the arguments describe, else all of dbaudit.toml
// (when `several`), else the mysql client's default; of those of dbaudit.toml only the ones of --shard. Problems go to
// `problems`; reads passwords where that was asked. `others`, when given, gets all the rest of dbaudit.toml.
std::vector<CollectRequest> resolve_servers(const ConnectionArguments& arguments, const Config& config, bool several,
                                            Problems& problems, std::vector<CollectRequest>* others = nullptr);

}  // namespace dbaudit

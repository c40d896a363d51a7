// dbaudit.toml: servers, rule switches and parameters. Pools and waivers in it are handed on unparsed to their layers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/problems.h"
#include "base/toml.h"

namespace dbaudit {

struct ServerConfig {
  std::string name;
  std::optional<std::string> url;
  std::optional<std::string> option_file;
  std::optional<std::string> option_group_suffix;
  std::optional<std::string> password_file;
  std::optional<std::string> ssl_mode;
  std::optional<std::string> ssl_ca;
  std::optional<std::string> ssl_cert;
  std::optional<std::string> ssl_key;
  std::optional<int> spare_port;  // admin_port or extra_port
  std::optional<std::string> role;
  std::optional<std::string> replica_of;
  std::optional<std::string> group;
  std::optional<std::string> environment;
  std::optional<std::int64_t> memory_bytes;
  std::optional<std::string> service;     // managed, one of rules/services.toml
  std::optional<std::string> upgrade_to;  // the next version, one of rules/defaults
  int upgrade_to_line = 0;
  TomlMembers parameters;
  int line = 0;
};

// What the servers of a group have in common.
struct GroupConfig {
  std::string name;
  TomlMembers parameters;  // under a server's own
  int line = 0;
};

struct RuleSwitch {
  std::string value;  // "off" or a severity
  int line = 0;
};

// A value that must hold on the servers of an environment: a line of [expect.ENVIRONMENT].
struct Expectation {
  std::string environment;
  std::string variable;  // lower case
  TomlValue value;
};

struct Config {
  std::string file;  // empty when there is none
  TomlMembers parameters;
  std::map<std::string, RuleSwitch> rules;
  std::vector<ServerConfig> servers;
  std::vector<GroupConfig> groups;
  std::vector<TomlValue> pools;
  std::vector<TomlValue> waivers;
  std::vector<Expectation> expectations;
};

// Relative paths in the file are relative to its folder. All problems at once; the result is then incomplete.
Config parse_config(const std::string& path, Problems& problems);

// --config, else ./dbaudit.toml, else dbaudit/dbaudit.toml below $XDG_CONFIG_HOME (~/.config), else "".
std::string find_config(const std::string& given);

}  // namespace dbaudit

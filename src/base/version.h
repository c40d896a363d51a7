// Which server it is: flavour and version as integers, compared part by part (10.11 is newer than 10.2).
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace dbaudit {

enum class Flavor { mysql, mariadb };

std::string to_string(Flavor flavor);     // "mysql", "mariadb": as in JSON
std::string display_name(Flavor flavor);  // "MySQL", "MariaDB": as in sentences
std::optional<Flavor> parse_flavor(std::string_view name);

struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;
  auto operator<=>(const Version&) const = default;
};

// The leading numbers of "10.11.19-MariaDB-0+deb12u1" or "8.4"; nothing when it does not start with a number.
std::optional<Version> parse_version(std::string_view text);
std::string to_string(const Version& version);

struct ServerVersion {
  Flavor flavor = Flavor::mysql;
  Version version;

  [[nodiscard]] bool min_mysql(int major, int minor, int patch = 0) const {
    return flavor == Flavor::mysql && version >= Version{major, minor, patch};
  }
  [[nodiscard]] bool min_mariadb(int major, int minor, int patch = 0) const {
    return flavor == Flavor::mariadb && version >= Version{major, minor, patch};
  }
  [[nodiscard]] bool is_mariadb() const { return flavor == Flavor::mariadb; }
};

// "MariaDB 10.11.19"
std::string to_string(const ServerVersion& server);

// From what SELECT VERSION() says: MariaDB names itself there, and some proxies put "5.5.5-" in front of it.
std::optional<ServerVersion> parse_server_version(std::string_view version_function);

// A condition such as "mysql >= 5.7", "mariadb < 10.6", "mariadb"; several on one flavour are joined with commas:
// "mysql >= 5.7, < 9.0".
struct VersionRange {
  Flavor flavor = Flavor::mysql;
  std::optional<Version> at_least;
  std::optional<Version> below;

  [[nodiscard]] bool contains(const ServerVersion& server) const;
  bool operator==(const VersionRange&) const = default;
};
std::optional<VersionRange> parse_version_range(std::string_view text);

}  // namespace dbaudit

#include "base/version.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace dbaudit {

std::string to_string(Flavor flavor) { return flavor == Flavor::mysql ? "mysql" : "mariadb"; }
std::string display_name(Flavor flavor) { return flavor == Flavor::mysql ? "MySQL" : "MariaDB"; }

std::optional<Flavor> parse_flavor(std::string_view name) {
  if (equals_ignoring_case(name, "mysql")) return Flavor::mysql;
  if (equals_ignoring_case(name, "mariadb")) return Flavor::mariadb;
  return std::nullopt;
}

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  int* const parts[] = {&version.major, &version.minor, &version.patch};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, *parts[i]);
    if (error != std::errc{} || *parts[i] < 0) {
      if (i == 0) return std::nullopt;
      break;
    }
    at = next;
    if (at == end || *at != '.') break;
    ++at;
  }
  return version;
}

std::string to_string(const Version& version) {
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

std::string to_string(const ServerVersion& server) {
  return display_name(server.flavor) + " " + to_string(server.version);
}

std::optional<ServerVersion> parse_server_version(std::string_view version_function) {
  ServerVersion server;
  if (to_lower(version_function).find("mariadb") != std::string::npos) {
    server.flavor = Flavor::mariadb;
    constexpr std::string_view kReplicationPrefix = "5.5.5-";  // MariaDB's own, for old replicas
    if (version_function.substr(0, kReplicationPrefix.size()) == kReplicationPrefix) {
      version_function.remove_prefix(kReplicationPrefix.size());
    }
  }
  const std::optional<Version> version = parse_version(version_function);
  if (!version) return std::nullopt;
  server.version = *version;
  return server;
}

bool VersionRange::contains(const ServerVersion& server) const {
  return server.flavor == flavor && (!at_least || server.version >= *at_least) && (!below || server.version < *below);
}

std::optional<VersionRange> parse_version_range(std::string_view text) {
  text = trimmed(text);
  const std::size_t name_end = text.find_first_of(" <>=");
  const std::optional<Flavor> flavor = parse_flavor(text.substr(0, name_end));
  if (!flavor) return std::nullopt;
  VersionRange range{*flavor, std::nullopt, std::nullopt};
  if (name_end == std::string_view::npos) return range;
  for (const std::string& part : split(text.substr(name_end), ',')) {
    std::string_view condition = trimmed(part);
    std::optional<Version>* bound = nullptr;
    if (condition.substr(0, 2) == ">=") {
      bound = &range.at_least;
      condition.remove_prefix(2);
    } else if (condition.substr(0, 1) == "<" && condition.substr(0, 2) != "<=") {
      bound = &range.below;
      condition.remove_prefix(1);
    }
    if (bound == nullptr || bound->has_value()) return std::nullopt;
    *bound = parse_version(trimmed(condition));
    if (!*bound) return std::nullopt;
  }
  return range;
}

}  // namespace dbaudit

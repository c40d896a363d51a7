#include "pools/import_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/sql_text.h"
#include "base/text.h"
#include "pools/placeholder.h"
#include "pools/session_overrides.h"

namespace dbaudit {
namespace {

constexpr std::array<std::string_view, 8> kOtherDatabases{"postgres", "oracle", "sqlserver", "sqlite",
                                                          "h2:",      "mssql",  "mongodb",   "redis"};

bool is_scheme_char(char c) {
  return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.' || c == ':' || c == '_';
}

// "db", "db:3306", "h1:3306,h2", "[::1]:3306", "${DB_HOST}": everything that is no user and no password.
bool is_host_part(std::string_view text) {
  for (const std::string& host : split(text, ',')) {
    if (placeholder_in(host)) continue;
    const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
      return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    });
    const std::size_t bracket = host.rfind(']');
    const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
    if (!plain) return false;
    if (colon == std::string::npos) continue;
    if (!std::all_of(host.begin() + static_cast<std::ptrdiff_t>(colon) + 1, host.end(), is_digit)) return false;
  }
  return true;
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (c == '%' || c == '&' || c == '+' || c == '#' || c == ' ') {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      encoded += c;
    }
  }
  return encoded;
}

// "key=value" without the literals of a statement that may carry a password, also where they are percent-encoded.
std::string without_secrets_inside(const std::string& option) {
  const std::vector<UrlOption> decoded = url_options("any://?" + option);
  if (decoded.empty()) return option;
  const std::string plain = without_secrets(decoded.front().value);
  return plain == decoded.front().value ? option : option.substr(0, option.find('=') + 1) + percent_encoded(plain);
}

// Options that matter to a pool stay, those that hold secrets go, and of those with placeholders what is known: that
// they are there. Nothing when they are not options.
std::optional<std::string> kept_options(std::string_view text, PublicUrl& out) {
  std::string kept;
  for (const std::string& option : split(text, '&')) {
    if (option.empty()) continue;
    const std::vector<UrlOption> decoded = url_options("any://?" + option);
    const std::string written = option.substr(0, option.find('='));
    const std::string key = decoded.empty() ? written : decoded.front().key;
    if (written.find_first_of("@/?:") != std::string::npos) return std::nullopt;
    const bool user = to_lower(key) == "user" || to_lower(key) == "username";
    if (user || is_secret_key(key)) {
      if (!user) out.dropped.push_back(printable(bounded(key, 60)));
      continue;
    }
    const bool hidden = placeholder_in(option).has_value();
    if (hidden) out.hidden.push_back(printable(bounded(key, 60)));
    const std::string name = placeholder_in(key) ? std::string(kUnknownSetting) : written;
    kept += (kept.empty() ? "?" : "&") +
            (hidden ? name + "=" + std::string(kUnknownSetting) : without_secrets_inside(option));
  }
  return kept;
}

std::string user_in(std::string_view userinfo) {
  const std::string user(userinfo.substr(0, userinfo.find(':')));
  return user.find('%') != std::string::npos || placeholder_in(user) ? "" : user;
}

// user:password@tcp(host:3306)/database?options
std::optional<PublicUrl> go_dsn(std::string_view dsn) {
  PublicUrl out;
  const std::size_t slash = dsn.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view address = dsn.substr(0, slash);
  if (const std::size_t at = address.rfind('@'); at != std::string_view::npos) {
    out.user = user_in(address.substr(0, at));
    address = address.substr(at + 1);
  }
  const std::size_t open = address.find('(');
  if (open == std::string_view::npos || address.back() != ')') return std::nullopt;
  const std::string_view network = address.substr(0, open);
  if (network.empty() || !std::all_of(network.begin(), network.end(), is_scheme_char)) return std::nullopt;
  const std::string_view path = dsn.substr(slash);
  const std::size_t question = std::min(path.find('?'), path.size());
  const std::optional<std::string> options =
      kept_options(question < path.size() ? path.substr(question + 1) : std::string_view{}, out);
  if (!options) return std::nullopt;
  out.is_mysql = true;
  out.text = fmt::format("{}{}{}", address, path.substr(0, question), *options);
  return out;
}

std::string driver_of(const std::string& scheme) {
  if (scheme == "jdbc:mysql" || scheme.starts_with("jdbc:mysql:")) return "mysql-connector-j";
  if (scheme == "jdbc:mariadb" || scheme.starts_with("jdbc:mariadb:")) return "mariadb-java-client";
  const std::size_t plus = scheme.find('+');
  if (plus == std::string::npos) return scheme == "trilogy" ? "trilogy" : "";
  const std::string driver = scheme.substr(plus + 1);
  return driver == "mysqldb" ? "mysqlclient" : driver;
}

bool has_option(const std::string& url, std::initializer_list<std::string_view> names) {
  for (const UrlOption& option : url_options(url)) {
    if (std::find(names.begin(), names.end(), option.key) != names.end()) return true;
  }
  return false;
}

std::string library_of(const PublicUrl& url) {
  if (url.scheme.empty()) return "go_database_sql";
  if (url.scheme == "mysql2" || url.scheme == "trilogy") return "rails";
  if (url.scheme.find('+') != std::string::npos) return "sqlalchemy";
  if (has_option(url.text, {"connection_limit", "pool_timeout", "socket_timeout", "max_idle_connection_lifetime",
                            "max_connection_lifetime", "sslaccept", "schema"}))
    return "prisma6";
  if (has_option(url.text, {"connectionLimit", "waitForConnections", "maxIdle"}))
    return url.scheme == "mariadb" ? "node_mariadb" : "node_mysql2";
  return "";
}

}  // namespace

std::optional<PublicUrl> public_url(std::string_view text) {
  const std::string_view url = trimmed(text);
  if (url.size() > 16'384) return std::nullopt;  // no URL is that long
  const std::size_t separator = url.find("://");
  const bool scheme_first =
      separator != std::string_view::npos && separator > 0 &&
      std::all_of(url.begin(), url.begin() + static_cast<std::ptrdiff_t>(separator), is_scheme_char);
  if (!scheme_first) return go_dsn(url);
  PublicUrl out;
  out.scheme = to_lower(url.substr(0, separator));
  out.is_mysql = out.scheme.find("mysql") != std::string::npos || out.scheme.find("mariadb") != std::string::npos ||
                 out.scheme == "trilogy";
  const std::string_view rest = url.substr(separator + 3);
  const std::size_t question = std::min(rest.find('?'), rest.size());
  std::string_view place = rest.substr(0, question);
  // A '/' in a password should be written %2F, and is not always: no MySQL database has an '@' in its path.
  if (const std::size_t at = place.rfind('@'); at != std::string_view::npos) {
    out.user = user_in(place.substr(0, at));
    place = place.substr(at + 1);
  }
  const std::size_t slash = std::min(place.find('/'), place.size());
  // address=(host=...)(password=...) is a place that can hold anything.
  const bool host_is_kept = is_host_part(place.substr(0, slash));
  if (!host_is_kept && place.find('(') == std::string_view::npos) return std::nullopt;
  const std::optional<std::string> options =
      kept_options(question < rest.size() ? rest.substr(question + 1) : std::string_view{}, out);
  if (!options) return std::nullopt;
  out.text = fmt::format("{}://{}{}{}", url.substr(0, separator), host_is_kept ? place.substr(0, slash) : "",
                         host_is_kept ? place.substr(slash) : "/", *options);
  return out;
}

bool add_url(ImportedPool& pool, const std::string& url, int line, const std::string& file) {
  const std::string plain(trimmed(url));
  const std::string lower = to_lower(plain);
  const std::size_t colon = std::min(lower.find("//"), lower.size());
  for (const std::string_view other : kOtherDatabases) {
    if (lower.substr(0, colon).find(other) != std::string::npos) return false;
  }
  const std::optional<PublicUrl> found = public_url(plain);
  const auto hidden = placeholder_in(plain);
  const std::string origin = origin_of(file, line);
  if (!found) {
    if (!plain.empty()) {
      pool.left_out.push_back({"url", origin,
                               hidden ? *hidden + " hides it, and so the options in it"
                                      : "it cannot be taken apart, so that nothing of a password would be kept"});
      // There is one, and what it says is in force.
      add_key(pool, "url", {std::string(kUnknownSetting), line}, file);
    }
    return true;
  }
  std::string remark;
  if (!found->dropped.empty()) remark = fmt::format("without its {}", join(found->dropped, ", "));
  for (const std::string& option : found->hidden)
    pool.left_out.push_back({"option " + option + " of the URL", origin, "a placeholder hides it"});
  add_key(pool, "url", {found->text, line}, file, remark);
  if (!found->user.empty()) add_key(pool, "user", {found->user, line}, file);
  if (const std::string driver = driver_of(found->scheme); !driver.empty())
    add_key(pool, "driver", {driver, line}, file);
  return true;
}

void add_url_option(ImportedPool& pool, const std::string& key, const std::string& value, int line,
                    const std::string& file) {
  if (is_secret_key(key)) return;
  const std::string origin = origin_of(file, line);
  const auto hidden = placeholder_in(value);
  if (hidden) pool.left_out.push_back({key, origin, *hidden + " hides it"});
  const std::string encoded = hidden ? std::string(kUnknownSetting) : percent_encoded(without_secrets(value));
  auto url =
      std::find_if(pool.keys.begin(), pool.keys.end(), [](const ImportedValue& one) { return one.key == "url"; });
  if (url == pool.keys.end()) {
    add_key(pool, "url", {std::string("jdbc:mysql:///"), line}, file);
    url = pool.keys.end() - 1;
  }
  auto* text = std::get_if<std::string>(&url->value.value);
  if (text == nullptr) return;
  *text += (text->find('?') == std::string::npos ? "?" : "&") + key + "=" + encoded;
  url->remark += fmt::format("{}{} from {}", url->remark.empty() ? "" : ", ", key, origin);
}

void add_property_options(ImportedPool& pool, const std::string& properties, int line, const std::string& file) {
  const std::vector<UrlOption> options = property_options(properties);
  if (options.empty() && placeholder_in(properties)) {  // which options, is hidden as well
    add_url_option(pool, std::string(kUnknownSetting), properties, line, file);
  }
  for (const UrlOption& option : options) {
    if (to_lower(option.key) != "user") add_url_option(pool, option.key, option.value, line, file);
  }
}

bool looks_like_url(std::string_view text) {
  const std::string_view plain = trimmed(text);
  if (plain.empty() || plain.find_first_of("\n\r") != std::string_view::npos) return false;
  const std::size_t separator = plain.find("://");
  if (separator != std::string_view::npos && separator > 0 && separator < 40 &&
      std::all_of(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(separator), is_scheme_char))
    return true;
  return plain.find("@tcp(") != std::string_view::npos || plain.find("@unix(") != std::string_view::npos ||
         plain.starts_with("tcp(") || plain.starts_with("unix(");
}

bool add_url_pool(Imported& imported, const std::string& text, int line, const std::string& file,
                  const std::string& library) {
  const std::optional<PublicUrl> url = public_url(text);
  if (!url && !placeholder_in(text)) return false;
  ImportedPool pool;
  const std::string id = !library.empty() ? library : url ? library_of(*url) : "";
  add_key(pool, "name", {id.empty() ? std::string("pool") : id, 0}, file, "choose a better one");
  if (!id.empty()) add_key(pool, "library", {id, 0}, file, library.empty() ? "by the form of the URL" : "as told");
  const bool ours = add_url(pool, text, line, file);
  if (!ours || (url && !url->is_mysql)) {
    imported.left_out.push_back({"url", origin_of(file, line), "it is not MySQL's or MariaDB's"});
    return true;
  }
  if (id == "rails" && url) {
    // Rails takes the options of a URL for keys of database.yml.
    for (const UrlOption& option : url_options(url->text))
      add_setting(pool, option.key, toml_scalar(option.value, line), file);
  }
  imported.pools.push_back(std::move(pool));
  return true;
}

Imported import_url(std::string_view text, const std::string& file, const std::string& library, Problems& problems) {
  Imported out{"a connection URL", {}, {}};
  int line = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++line;
    const std::string_view one = trimmed(raw);
    if (one.empty() || one[0] == '#') continue;
    if (out.pools.size() > kMostPools || problems.list().size() > 100) break;
    const int place = file.empty() ? 0 : line;
    if (!add_url_pool(out, std::string(one), place, file.empty() ? "the URL" : file, library)) {
      problems.add(file, place,
                   "is no URL that can be taken apart; it should look like "
                   "mysql://user@host:3306/database?option=value, or user@tcp(host:3306)/database for Go");
    }
  }
  if (out.pools.empty() && out.left_out.empty() && problems.empty()) problems.add(file, 0, "holds no URL");
  return out;
}

}  // namespace dbaudit

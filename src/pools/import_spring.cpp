#include "pools/import_spring.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.h"
#include "pools/import_url.h"
#include "pools/library.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

constexpr std::string_view kBoot = "spring.datasource";

// Below which names the pools bind, and what class names tell.
struct PoolKind {
  std::string_view segment;
  std::string_view library;
  std::string_view in_class;
};
constexpr PoolKind kKinds[] = {{"hikari", "hikaricp", "hikari"}, {"tomcat", "tomcat_jdbc", "org.apache.tomcat.jdbc"},
                               {"dbcp2", "dbcp2", "dbcp2"},      {"druid", "druid", "druid"},
                               {"c3p0", "c3p0", "c3p0"},         {"oracleucp", "", "ucp"}};

// Names that only HikariCP has, for data sources below a prefix of the application's own.
const std::set<std::string, std::less<>> kOnlyHikari{
    "jdbcurl",           "maximumpoolsize",   "minimumidle",       "maxlifetime",
    "keepalivetime",     "idletimeout",       "connectiontimeout", "leakdetectionthreshold",
    "connectioninitsql", "validationtimeout", "poolname"};
const std::set<std::string, std::less<>> kOnlyDbcp2{"maxtotal", "maxconnlifetimemillis", "maxwaitmillis",
                                                    "connectioninitsqls"};
// What Boot itself reads directly below spring.datasource.
const std::set<std::string, std::less<>> kBootsOwn{"url",
                                                   "username",
                                                   "password",
                                                   "type",
                                                   "driverclassname",
                                                   "name",
                                                   "jndiname",
                                                   "generateuniquename",
                                                   "platform",
                                                   "schema",
                                                   "data",
                                                   "initialize",
                                                   "initializationmode",
                                                   "separator",
                                                   "classloader",
                                                   "sqlscriptencoding",
                                                   "continueonerror",
                                                   "schemausername",
                                                   "schemapassword",
                                                   "datausername",
                                                   "datapassword",
                                                   "embeddeddatabaseconnection"};
// Pools and connections of somebody else.
bool is_other(const std::vector<std::string>& path) {
  if (path[0] == "logging" || path[0] == "management" || path[0] == "server") return true;
  return std::any_of(path.begin(), path.end(), [](const std::string& name) {
    return name == "flyway" || name == "liquibase" || name == "quartz" || name == "r2dbc";
  });
}

struct Property {
  std::vector<std::string> names;  // as written
  std::vector<std::string> path;   // relaxed
  std::string value;
  int line = 0;
};

std::string joined(const std::vector<std::string>& parts, std::size_t from, std::size_t to) {
  return join({parts.begin() + static_cast<std::ptrdiff_t>(from), parts.begin() + static_cast<std::ptrdiff_t>(to)},
              ".");
}

Property property_of(const DocProperty& written) {
  Property out;
  out.value = std::string(trimmed(written.value));
  out.line = written.line;
  for (std::string name : split(written.key, '.')) {
    if (const std::size_t bracket = name.find('['); bracket != std::string::npos) name.erase(bracket);
    out.path.push_back(relaxed(name));
    out.names.push_back(std::move(name));
  }
  return out;
}

// --- profiles

// "prod", "!dev", "prod & (eu | us)" (Profiles.of of Spring). What cannot be read is not active.
class ProfileExpression {
 public:
  ProfileExpression(std::string_view text, const std::set<std::string>& active) : text_(text), active_(active) {}
  bool holds() { return text_.size() < 1000 && either(0); }

 private:
  void space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool either(int depth) {
    bool result = both(depth);
    while (take('|') || take(',')) result = both(depth) || result;
    return result;
  }
  bool both(int depth) {
    bool result = one(depth);
    while (take('&')) result = one(depth) && result;
    return result;
  }
  bool one(int depth) {
    if (depth > 20) return false;
    if (take('!')) return !one(depth + 1);
    if (take('(')) {
      const bool result = either(depth + 1);
      take(')');
      return result;
    }
    space();
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::string_view("|&,()! ").find(text_[at_]) == std::string_view::npos) ++at_;
    return active_.contains(std::string(text_.substr(begin, at_ - begin)));
  }

  std::string_view text_;
  const std::set<std::string>& active_;
  std::size_t at_ = 0;
};

struct Document {
  std::vector<Property> properties;
  std::string on_profile;  // empty: always
};

Document document_of(const std::vector<DocProperty>& written) {
  Document out;
  for (const DocProperty& one : written) {
    Property property = property_of(one);
    const std::string path = join(property.path, ".");
    if (path == "spring.config.activate.onprofile" || path == "spring.profiles") {
      out.on_profile += (out.on_profile.empty() ? "" : ",") + property.value;
    }
    out.properties.push_back(std::move(property));
  }
  return out;
}

// application-prod.yml is for profile prod.
std::string profile_of(const std::string& file) {
  const std::string stem = std::filesystem::path(file).stem().string();
  for (const std::string_view base : {"application-", "bootstrap-"}) {
    if (stem.starts_with(base)) return stem.substr(base.size());
  }
  return "";
}

std::set<std::string> profiles_in(std::string_view list) {
  std::set<std::string> out;
  for (const std::string& name : split(list, ',')) {
    if (const std::string_view plain = trimmed(name); !plain.empty()) out.insert(std::string(plain));
  }
  return out;
}

std::set<std::string> active_profiles(const std::vector<Document>& documents, const std::string& file,
                                      const ImportRequest& request) {
  if (!request.profile.empty()) return profiles_in(request.profile);
  std::set<std::string> active;
  if (const std::string own = profile_of(file); !own.empty()) active.insert(own);
  for (const Document& document : documents) {
    if (!document.on_profile.empty()) continue;
    for (const Property& property : document.properties) {
      if (join(property.path, ".") == "spring.profiles.active" && !placeholder_in(property.value))
        active.merge(profiles_in(property.value));
    }
  }
  if (active.empty()) active.insert("default");
  return active;
}

// --- data sources

struct DataSource {
  std::string prefix;
  std::map<std::string, std::vector<Property>, std::less<>> sections;  // "hikari" -> what is below it
  std::vector<Property> direct;

  [[nodiscard]] const Property* own(std::string_view name) const {
    for (const Property& property : direct) {
      if (property.path.back() == name) return &property;
    }
    return nullptr;
  }
};

const PoolKind* kind_of(std::string_view segment) {
  for (const PoolKind& kind : kKinds) {
    if (kind.segment == segment) return &kind;
  }
  return nullptr;
}

Property below(const Property& property, std::size_t from) {
  Property out = property;
  out.names.erase(out.names.begin(), out.names.begin() + static_cast<std::ptrdiff_t>(from));
  out.path.erase(out.path.begin(), out.path.begin() + static_cast<std::ptrdiff_t>(from));
  return out;
}

std::vector<DataSource> data_sources(const std::vector<Property>& properties) {
  std::vector<DataSource> found;
  const auto source = [&found](const std::string& prefix) -> DataSource& {
    const auto known =
        std::find_if(found.begin(), found.end(), [&](const DataSource& s) { return s.prefix == prefix; });
    if (known != found.end() || found.size() > kMostPools) return known != found.end() ? *known : found.back();
    found.push_back({prefix, {}, {}});
    return found.back();
  };
  for (const Property& property : properties) {
    const std::vector<std::string>& path = property.path;
    if (path.size() < 2 || path.size() > 50 || is_other(path)) continue;
    std::size_t section = 1;
    while (section + 1 < path.size() && kind_of(path[section]) == nullptr) ++section;
    if (section + 1 < path.size()) {
      source(joined(property.names, 0, section)).sections[path[section]].push_back(below(property, section + 1));
      continue;
    }
    if (path.size() > 3 && path[path.size() - 2] == "datasourceproperties") {
      source(joined(property.names, 0, path.size() - 2)).direct.push_back(below(property, path.size() - 2));
      continue;
    }
    // app.datasource.configuration.maximum-pool-size, as Boot's guide for two data sources has it.
    const bool configuration = path.size() > 2 && path[path.size() - 2] == "configuration";
    const std::size_t end = path.size() - (configuration ? 2 : 1);
    const std::string prefix = joined(property.names, 0, end);
    const std::string& leaf = path.back();
    const bool jdbc = (leaf == "url" || leaf == "jdbcurl") && to_lower(property.value).starts_with("jdbc:");
    if (!jdbc && !kOnlyHikari.contains(leaf) && !kOnlyDbcp2.contains(leaf) && !kBootsOwn.contains(leaf) &&
        relaxed(prefix) != kBoot && prefix.find("datasource") == std::string::npos)
      continue;
    source(prefix).direct.push_back(below(property, path.size() - 1));
  }
  std::erase_if(found, [](const DataSource& one) {
    if (!one.sections.empty()) return false;
    return std::none_of(one.direct.begin(), one.direct.end(), [&](const Property& property) {
      const std::string& name = property.path.back();
      const bool url = name == "url" && (relaxed(one.prefix) == kBoot || to_lower(property.value).starts_with("jdbc:"));
      return url || name == "jdbcurl" || (kOnlyHikari.contains(name) && name != "poolname") ||
             kOnlyDbcp2.contains(name);
    });
  });
  return found;
}

struct Chosen {
  std::string library;
  std::string section;
  std::string remark;
  int line = 0;
};

// Which pool there will be: DataSourceConfiguration.java tries HikariCP, Tomcat, DBCP2 in this order unless a type is
// named; Druid's own starter comes before it.
Chosen chosen_pool(const DataSource& source) {
  if (const Property* type = source.own("type"); type != nullptr) {
    const std::string name = to_lower(type->value);
    for (const PoolKind& kind : kKinds) {
      if (name.find(kind.in_class) != std::string::npos)
        return {std::string(kind.library), std::string(kind.segment), source.prefix + ".type", type->line};
    }
    return {"", "", "", type->line};
  }
  const bool boots = relaxed(source.prefix) == kBoot;
  if (source.sections.contains("druid") && !source.sections.contains("hikari"))
    return {"druid", "druid", boots ? "the druid starter's prefix" : "by the name druid", 0};
  if (boots || source.sections.contains("hikari"))
    return {"hikaricp", "hikari",
            boots ? "Spring Boot's choice while spring.datasource.type is not set" : "by its name", 0};
  if (!source.sections.empty()) {
    const PoolKind* kind = kind_of(source.sections.begin()->first);
    return {std::string(kind->library), std::string(kind->segment), fmt::format("by the name {}", kind->segment), 0};
  }
  const auto any = [&](const std::set<std::string, std::less<>>& names) {
    return std::any_of(source.direct.begin(), source.direct.end(),
                       [&](const Property& property) { return names.contains(property.path.back()); });
  };
  if (any(kOnlyHikari)) return {"hikaricp", "", "by its settings", 0};
  if (any(kOnlyDbcp2)) return {"dbcp2", "", "by its settings", 0};
  return {"hikaricp", "", "Spring Boot's default", 0};
}

// "30s" and "PT30S" bind to java.time.Duration and not to the numbers of milliseconds of these two libraries.
bool has_time_unit(const std::string& value) {
  if (value.size() < 2) return false;
  if (value.starts_with("PT")) return true;
  std::size_t digits = 0;
  while (digits < value.size() && is_digit(value[digits])) ++digits;
  const std::string unit = value.substr(digits);
  return digits > 0 && (unit == "s" || unit == "m" || unit == "ms" || unit == "h" || unit == "d");
}

// hikari.data-source-properties.socketTimeout, or data-source-properties below a prefix.
bool is_driver_option(const Property& property) {
  return property.path.size() == 2 &&
         (property.path.front() == "datasourceproperties" || property.path.front() == "datasource");
}

// tomcat.connection-properties, dbcp2.connection-properties, druid.connect-properties
bool is_property_list(const Property& property) {
  return property.path.size() == 1 &&
         (property.path.front() == "connectionproperties" || property.path.front() == "connectproperties");
}

// After the URL is known: they are options of it.
void add_driver_options(ImportedPool& pool, const std::vector<Property>& properties, const std::string& file) {
  for (const Property& property : properties) {
    if (is_driver_option(property)) add_url_option(pool, property.names.back(), property.value, property.line, file);
  }
}

void add_property_lists(ImportedPool& pool, const std::vector<Property>& properties, const std::string& file) {
  for (const Property& property : properties) {
    if (is_property_list(property)) add_property_options(pool, property.value, property.line, file);
  }
}

void take_setting(ImportedPool& pool, const Property& property, const std::string& library, const std::string& file) {
  const std::string& first = property.path.front();
  if (first == "url" || first == "jdbcurl") {
    add_url(pool, property.value, property.line, file);
  } else if (first == "username" || first == "user") {
    add_text_key(pool, "user", property.value, property.line, file);
  } else if (is_driver_option(property) || is_property_list(property)) {
    return;  // add_driver_options()
  } else if (property.value.empty()) {
    return;
  } else if ((library == "hikaricp" || library == "tomcat_jdbc" || library == "druid") &&
             has_time_unit(property.value)) {
    pool.left_out.push_back({join(property.names, "."), origin_of(file, property.line),
                             fmt::format("'{}' does not bind to a number of milliseconds, so that the application does "
                                         "not start",
                                         property.value)});
  } else {
    add_setting(pool, join(property.names, "."), toml_scalar(property.value, property.line), file);
  }
}

std::string leaf_name(const std::string& prefix) {
  std::vector<std::string> parts = split(prefix, '.');
  while (parts.size() > 1 && (relaxed(parts.back()) == "datasource" || relaxed(parts.back()) == "configuration"))
    parts.pop_back();
  return parts.back();
}

std::string pool_name(const DataSource& source, const std::string& application, bool only) {
  if (only && !application.empty()) return application;
  if (relaxed(source.prefix) == kBoot) return application.empty() ? "application" : application;
  return (application.empty() ? "" : application + "-") + leaf_name(source.prefix);
}

std::optional<ImportedPool> pool_of(const DataSource& source, const std::string& name, int name_line,
                                    const std::string& file, std::vector<LeftOut>& left_out) {
  const Chosen chosen = chosen_pool(source);
  const bool boots = relaxed(source.prefix) == kBoot;
  ImportedPool pool;
  add_key(pool, "name", {name, name_line}, file, name_line > 0 ? "spring.application.name" : source.prefix);
  if (!chosen.library.empty()) {
    add_key(pool, "library", {chosen.library, chosen.line}, file, chosen.remark);
  } else {
    pool.left_out.push_back({source.prefix + ".type", origin_of(file, chosen.line), "dbaudit knows no such pool"});
  }
  const auto section = source.sections.find(chosen.section);
  if (section != source.sections.end()) {
    for (const Property& property : section->second) take_setting(pool, property, chosen.library, file);
  }
  bool ours = true;
  for (const Property& property : source.direct) {
    if (is_driver_option(property)) continue;
    const std::string& key = property.path.back();
    if (key == "url" || key == "jdbcurl") {
      ours = ours && add_url(pool, property.value, property.line, file);
    } else if (boots && !kBootsOwn.contains(key)) {
      pool.left_out.push_back({source.prefix + "." + property.names.back(), origin_of(file, property.line),
                               fmt::format("Spring Boot reads settings of the pool below {}.{}", source.prefix,
                                           chosen.section.empty() ? "hikari" : chosen.section)});
    } else if (!kBootsOwn.contains(key) || key == "username") {
      take_setting(pool, property, chosen.library, file);
    }
  }
  for (const Property& property : source.direct) {
    if (property.path.back() == "driverclassname" && !placeholder_in(property.value)) {
      const std::string driver = to_lower(property.value);
      ours = ours && (driver.find("mysql") != std::string::npos || driver.find("mariadb") != std::string::npos ||
                      driver.find("p6spy") != std::string::npos);
    }
  }
  if (!ours) {
    left_out.push_back({source.prefix, "", "it is not MySQL's or MariaDB's"});
    return std::nullopt;
  }
  if (section != source.sections.end()) {
    add_driver_options(pool, section->second, file);
    add_property_lists(pool, section->second, file);
  }
  add_driver_options(pool, source.direct, file);
  if (!boots) add_property_lists(pool, source.direct, file);
  for (const auto& [other, properties] : source.sections) {
    if (other == chosen.section) continue;
    pool.left_out.push_back({source.prefix + "." + other, origin_of(file, properties.front().line),
                             boots ? fmt::format("Spring Boot makes {} and reads nothing of this{}", chosen.library,
                                                 chosen.line > 0 ? "" : "; it would with spring.datasource.type")
                                   : "it is another pool's"});
  }
  if (chosen.library == "tomcat_jdbc" && boots) {
    ImportedPool boot;
    add_setting(boot, "testOnBorrow", {true, 0}, "Spring Boot");
    boot.settings.front().remark = "sets it unless the file does";
    const bool declared = std::any_of(pool.settings.begin(), pool.settings.end(),
                                      [](const ImportedValue& value) { return relaxed(value.key) == "testonborrow"; });
    if (!declared) pool.settings.push_back(boot.settings.front());
  }
  return pool;
}

Imported pools_of(const std::vector<Property>& all, const std::string& file) {
  // Later ones win; `properties` is in order of the file.
  std::map<std::string, std::size_t> last;
  for (std::size_t i = 0; i < all.size(); ++i) last[join(all[i].path, ".")] = i;
  std::vector<Property> properties;
  std::string application;
  int application_line = 0;
  Imported out{"Spring Boot", {}, {}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string path = join(all[i].path, ".");
    if (last[path] != i) continue;
    properties.push_back(all[i]);
    if (path == "spring.application.name" && !placeholder_in(all[i].value)) {
      application = all[i].value;
      application_line = all[i].line;
    }
    if (path.starts_with("spring.r2dbc.url"))
      out.left_out.push_back({"spring.r2dbc", origin_of(file, all[i].line), "R2DBC pools are not imported"});
  }
  const std::vector<DataSource> sources = data_sources(properties);
  std::set<std::string> names;
  for (const DataSource& source : sources) {
    std::string name = pool_name(source, application, sources.size() == 1);
    if (!names.insert(name).second) names.insert(name = source.prefix);
    const int line = name == application ? application_line : 0;
    if (std::optional<ImportedPool> pool = pool_of(source, name, line, file, out.left_out))
      out.pools.push_back(std::move(*pool));
  }
  return out;
}

Imported import_documents(const std::vector<Document>& documents, const std::string& file, const ImportRequest& request,
                          Problems& problems) {
  const std::set<std::string> active = active_profiles(documents, file, request);
  const std::string own = profile_of(file);
  std::set<std::string> mentioned;
  for (const std::string& one : request.together) mentioned.insert(profile_of(one));
  mentioned.insert(own);
  mentioned.erase("");
  std::vector<Property> properties;
  std::set<std::string> skipped;
  for (const Document& document : documents) {
    if (!document.on_profile.empty()) mentioned.insert(document.on_profile);
    if (document.on_profile.empty() || ProfileExpression(document.on_profile, active).holds()) {
      properties.insert(properties.end(), document.properties.begin(), document.properties.end());
    } else if (!data_sources(document.properties).empty()) {
      skipped.insert(document.on_profile);
    }
  }
  const auto list = [](const std::set<std::string>& names) {
    return printable(bounded(join({names.begin(), names.end()}, "; "), 200));
  };
  if (!request.profile.empty() && !own.empty() && !active.contains(own)) {
    problems.add(file, 0,
                 fmt::format("is for profile '{}', not for '{}'", own, printable(bounded(request.profile, 80))));
  }
  for (const std::string& wanted : request.profile.empty() ? std::set<std::string>{} : active) {
    const bool known = std::any_of(mentioned.begin(), mentioned.end(), [&](const std::string& expression) {
      return expression.find(wanted) != std::string::npos;
    });
    if (!known && wanted != "default") {
      problems.add(file, 0,
                   fmt::format("no part of it is for profile '{}'{}", printable(bounded(wanted, 80)),
                               mentioned.empty() ? "" : "; it has " + list(mentioned)));
    }
  }
  Imported out = pools_of(properties, file);
  if (!skipped.empty()) {
    out.left_out.push_back({"profile " + list(skipped), file,
                            request.profile.empty() ? "a profile chooses it (--profile, import_profile)"
                                                    : "it is not among the profiles asked for"});
  }
  const std::string base = "application" + std::filesystem::path(file).extension().string();
  const bool named_too = std::any_of(request.together.begin(), request.together.end(), [&](const std::string& one) {
    return std::filesystem::path(one).filename() == base;
  });
  if (!own.empty() && !out.pools.empty() && !named_too) {
    out.left_out.push_back(
        {base, "", "Spring reads it under this file; name both if it says something about the pool"});
  }
  return out;
}

void flatten(const DocNode& node, const std::string& prefix, std::vector<DocProperty>& out) {
  if (node.kind == DocNode::Kind::map) {
    for (const DocMember& member : node.members)
      flatten(member.value, prefix.empty() ? member.key : prefix + "." + member.key, out);
  } else if (node.kind == DocNode::Kind::list) {
    for (std::size_t i = 0; i < node.items.size(); ++i) flatten(node.items[i], fmt::format("{}[{}]", prefix, i), out);
  } else {
    out.push_back({prefix, node.text, node.line});
  }
}

// SnakeYAML, as Boot sets it up, takes no second key of the same name in one mapping (OriginTrackedYamlLoader.java:
// setAllowDuplicateKeys(false)).
void refuse_duplicates(const DocNode& node, const std::string& file, Problems& problems) {
  std::set<std::string> known;
  for (const DocMember& member : node.members) {
    if (!known.insert(member.key).second)
      problems.add(file, member.value.line,
                   fmt::format("the key '{}' is there twice: Spring Boot refuses to start with it",
                               printable(bounded(member.key, 80))));
    refuse_duplicates(member.value, file, problems);
  }
  for (const DocNode& item : node.items) refuse_duplicates(item, file, problems);
}

}  // namespace

std::vector<DocProperty> flattened(const DocNode& document) {
  std::vector<DocProperty> out;
  flatten(document, "", out);
  return out;
}

bool looks_like_spring(const std::vector<DocProperty>& properties) {
  std::vector<Property> all;
  for (const DocProperty& property : properties) {
    all.push_back(property_of(property));
    if (all.back().path.front() == "spring") return true;
  }
  return !data_sources(all).empty();
}

Imported import_spring_yaml(std::string_view text, const std::string& file, const ImportRequest& request,
                            Problems& problems) {
  std::vector<Document> documents;
  const std::string plain = without_templates(text);
  for (const DocNode& node : yaml_documents(plain, file, problems)) {
    if (plain == text) refuse_duplicates(node, file, problems);  // a template may choose one of two
    documents.push_back(document_of(flattened(node)));
  }
  return import_documents(documents, file, request, problems);
}

Imported import_spring_properties(std::string_view text, const std::string& file, const ImportRequest& request,
                                  Problems& problems) {
  std::vector<Document> documents;
  for (const std::vector<DocProperty>& properties : properties_documents(text, file, problems))
    documents.push_back(document_of(properties));
  return import_documents(documents, file, request, problems);
}

Imported import_spring_environment(const std::vector<DocProperty>& variables, const std::string& file) {
  std::vector<Property> properties;
  for (const DocProperty& variable : variables) {
    const std::string name = to_lower(variable.key);
    Property property;
    property.value = variable.value;
    property.line = variable.line;
    if (name == "spring_application_name") {
      property.path = {"spring", "application", "name"};
    } else if (name.starts_with("spring_datasource_")) {
      // Dots became '_', and dashes nothing (or '_', in Boot's older form): all but the section is one name.
      std::vector<std::string> rest = split(name.substr(18), '_');
      property.path = {"spring", "datasource"};
      if (rest.size() > 1 && kind_of(rest.front()) != nullptr) {
        property.path.push_back(rest.front());
        rest.erase(rest.begin());
      }
      property.path.push_back(join(rest, ""));
    } else {
      continue;
    }
    property.names = property.path;
    properties.push_back(std::move(property));
  }
  return pools_of(properties, file);
}

}  // namespace dbaudit

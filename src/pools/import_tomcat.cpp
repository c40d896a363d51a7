// Tomcat: https://tomcat.apache.org/tomcat-9.0-doc/jndi-resources-howto.html, jdbc-pool.html; the default factory is
// org.apache.tomcat.dbcp.dbcp2.BasicDataSourceFactory (java/org/apache/naming/factory/Constants.java).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/import_url.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

struct Factory {
  std::string_view in_name;
  std::string_view library;
};
constexpr std::array<Factory, 5> kFactories{{{"org.apache.tomcat.jdbc.pool.", "tomcat_jdbc"},
                                             {"dbcp2.BasicDataSourceFactory", "dbcp2"},
                                             {"com.zaxxer.hikari", "hikaricp"},
                                             {"com.alibaba.druid", "druid"},
                                             {"c3p0", "c3p0"}}};

// Names of DBCP 1 that DBCP 2 warns of and does not use (BasicDataSourceFactory.java, NUPROP_WARNTEXT).
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kNotUsedByDbcp2{
    {{"maxActive", "maxTotal"}, {"maxWait", "maxWaitMillis"}, {"removeAbandoned", "removeAbandonedOnBorrow"}}};

std::string attribute(const XmlElement& element, std::string_view name) {
  for (const DocProperty& one : element.attributes) {
    if (one.key == name) return one.value;
  }
  return "";
}

int line_of(const XmlElement& element, std::string_view name) {
  for (const DocProperty& one : element.attributes) {
    if (one.key == name) return one.line;
  }
  return element.line;
}

// Attributes that describe the resource and not the pool.
bool is_of_resource(const std::string& name) {
  for (const std::string_view one : {"name", "auth", "type", "factory", "scope", "singleton", "closeMethod",
                                     "description", "driverClassName", "username", "url", "jdbcUrl", "user"}) {
    if (name == one) return true;
  }
  return false;
}

void take_library(ImportedPool& pool, const XmlElement& element, const std::string& file) {
  const std::string factory = attribute(element, "factory");
  // c3p0 comes by a factory for any bean: there the type tells.
  const std::string told = factory + " " + attribute(element, "type");
  if (factory.empty() && attribute(element, "type").find("c3p0") == std::string::npos) {
    add_key(pool, "library", {std::string("dbcp2"), element.line}, file, "no factory, so Tomcat makes a DBCP2 pool");
    return;
  }
  for (const Factory& known : kFactories) {
    if (told.find(known.in_name) == std::string::npos) continue;
    add_key(pool, "library", {std::string(known.library), line_of(element, "factory")}, file, "its factory");
    return;
  }
  pool.left_out.push_back({"factory", origin_of(file, line_of(element, "factory")), "dbaudit knows no such factory"});
}

std::optional<ImportedPool> pool_of(const XmlElement& element, const std::string& file,
                                    std::vector<LeftOut>& left_out) {
  ImportedPool pool;
  std::string name = attribute(element, "name");
  if (const std::size_t slash = name.rfind('/'); slash != std::string::npos) name = name.substr(slash + 1);
  if (placeholder_in(name) || name.empty()) name = "datasource";
  add_key(pool, "name", {name, line_of(element, "name")}, file);
  take_library(pool, element, file);
  const std::string driver = to_lower(attribute(element, "driverClassName"));
  bool ours = driver.empty() || placeholder_in(driver) || driver.find("mysql") != std::string::npos ||
              driver.find("mariadb") != std::string::npos || driver.find("p6spy") != std::string::npos;
  for (const char* url : {"url", "jdbcUrl"}) {
    ours = ours && add_url(pool, attribute(element, url), line_of(element, url), file);
  }
  if (!ours) {
    left_out.push_back({name, origin_of(file, element.line), "it is not MySQL's or MariaDB's"});
    return std::nullopt;
  }
  add_text_key(pool, "user", attribute(element, "username"), line_of(element, "username"), file);
  const bool dbcp2 = pool.text_of("library") == "dbcp2";
  for (const DocProperty& one : element.attributes) {
    if (is_of_resource(one.key)) continue;
    if (one.key == "connectionProperties") {
      add_property_options(pool, one.value, one.line, file);
      continue;
    }
    const auto unused = std::find_if(kNotUsedByDbcp2.begin(), kNotUsedByDbcp2.end(),
                                     [&](const auto& entry) { return dbcp2 && entry.first == one.key; });
    if (unused != kNotUsedByDbcp2.end()) {
      pool.left_out.push_back(
          {one.key, origin_of(file, one.line),
           fmt::format("DBCP2 does not use it ({} is its name there), and without "
                       "factory=\"org.apache.tomcat.jdbc.pool.DataSourceFactory\" this is a DBCP2 pool",
                       unused->second)});
      continue;
    }
    add_setting(pool, one.key, toml_scalar(one.value, one.line), file);
  }
  return pool;
}

}  // namespace

Imported import_tomcat(std::string_view text, const std::string& file, Problems& problems) {
  Imported out{"Tomcat", {}, {}};
  for (const XmlElement& element : xml_elements(text, "Resource", file, problems)) {
    const bool data_source = attribute(element, "type").find("DataSource") != std::string::npos ||
                             !attribute(element, "driverClassName").empty() || !attribute(element, "url").empty();
    if (!data_source) continue;
    if (std::optional<ImportedPool> pool = pool_of(element, file, out.left_out)) out.pools.push_back(std::move(*pool));
  }
  return out;
}

}  // namespace dbaudit

// HikariConfig.loadProperties: every key is a property of HikariConfig, dataSource.* goes to the driver.
#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/import_url.h"
#include "pools/placeholder.h"

namespace dbaudit {

Imported import_hikari(std::string_view text, const std::string& file, Problems& problems) {
  Imported out{"HikariCP", {}, {}};
  ImportedPool pool;
  std::string name = std::filesystem::path(file).stem().string();
  int line = 0;
  std::vector<DocProperty> later;
  bool ours = true;
  std::vector<DocProperty> properties;
  for (const std::vector<DocProperty>& document : properties_documents(text, file, problems))
    properties.insert(properties.end(), document.begin(), document.end());
  for (DocProperty& property : properties) {
    // Other frameworks put the same keys below a prefix.
    for (const std::string_view prefix : {"hikari.", "hibernate.hikari."}) {
      if (property.key.starts_with(prefix)) property.key.erase(0, prefix.size());
    }
    if (property.key == "poolName" && !placeholder_in(property.value)) name = property.value, line = property.line;
  }
  add_key(pool, "name", {name, line}, file);
  add_key(pool, "library", {std::string("hikaricp"), 0}, file);
  for (auto property = properties.rbegin(); property != properties.rend(); ++property) {  // later ones win
    if (property->key == "jdbcUrl" || property->key == "dataSource.url") {
      ours = ours && add_url(pool, property->value, property->line, file);
    } else if (property->key == "username" || property->key == "dataSource.user") {
      add_text_key(pool, "user", property->value, property->line, file);
    } else if (property->key.starts_with("dataSource.")) {
      later.push_back(*property);
    } else {
      add_setting(pool, property->key, toml_scalar(property->value, property->line), file);
    }
  }
  for (const DocProperty& property : later) {
    const std::string option = property.key.substr(11);
    if (option == "serverName" || option == "portNumber" || option == "port" || option == "databaseName") continue;
    add_url_option(pool, option, property.value, property.line, file);
  }
  std::sort(pool.settings.begin(), pool.settings.end(),
            [](const ImportedValue& a, const ImportedValue& b) { return a.value.line < b.value.line; });
  if (!ours) {
    out.left_out.push_back({name, file, "it is not MySQL's or MariaDB's"});
  } else if (!properties.empty()) {
    out.pools.push_back(std::move(pool));
  }
  return out;
}

}  // namespace dbaudit

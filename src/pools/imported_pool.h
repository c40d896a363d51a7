// A pool as an application's own configuration file has it: each value with the place where it stands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/toml.h"
#include "pools/document.h"
#include "pools/library.h"
#include "pools/pool.h"

namespace dbaudit {

// More pools than this are no configuration; importers stop there, and import_pools() says so.
inline constexpr std::size_t kMostPools = 500;

struct ImportedValue {
  std::string key;
  TomlValue value;     // its line is that of the file
  std::string origin;  // "application-prod.yml:12", or who else decides ("Spring Boot")
  std::string remark;  // what there is to say about it; may be empty
};

// What was not taken over, so that nobody takes it for not being there.
struct LeftOut {
  std::string what;
  std::string origin;
  std::string why;
};

// "application.yml:12: left out: url: ${DB_URL} hides it"
std::string describe(const LeftOut& left_out);

struct ImportedPool {
  std::vector<ImportedValue> keys;      // of [[pool]]; "name" is always there, "library" where the file tells
  std::vector<ImportedValue> settings;  // of the library, under the names of the file
  std::vector<LeftOut> left_out;

  // The text of a key, else "".
  [[nodiscard]] std::string text_of(std::string_view key) const;
  [[nodiscard]] std::string name() const { return text_of("name"); }
};

// Everything that one file says about pools.
struct Imported {
  std::string format;  // "Spring Boot", for people
  std::vector<ImportedPool> pools;
  std::vector<LeftOut> left_out;  // of no single pool
};

// "application.yml:12"
std::string origin_of(const std::string& file, int line);

// A number or boolean where the text is one, as files without types have them; else text. `yaml_words`: yes, no, on and
// off are booleans too (YAML 1.1, which SnakeYAML and Ruby's Psych read).
TomlValue toml_scalar(const std::string& text, int line, bool yaml_words = false);

// These add nothing where the key is there already: callers begin with what wins.
void add_key(ImportedPool& pool, const std::string& key, TomlValue value, const std::string& file,
             const std::string& remark = "");
// A placeholder becomes kUnknownSetting and a remark; a secret is never taken.
void add_setting(ImportedPool& pool, const std::string& key, const TomlValue& value, const std::string& file);
// A [[pool]] key out of a file's text, where a placeholder is left out and said.
void add_text_key(ImportedPool& pool, const std::string& key, const std::string& text, int line,
                  const std::string& file);

// The pool as `library` understands it: settings under the library's own names, and those that it does not look at
// gone. What it does not know is left out, with the nearest name.
void fit_to_library(ImportedPool& pool, const Library& library);

// The settings with their places, for Pool::imported_settings.
std::vector<DeclaredSetting> declared_settings(const ImportedPool& pool, const std::string& file);

// The [[pool]] table without its settings.
TomlValue pool_table(const ImportedPool& pool);

// [[pool]] tables for people to check and commit; a comment behind each value says where it came from.
std::string toml_text(const Imported& imported, const std::string& file);

}  // namespace dbaudit

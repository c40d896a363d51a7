// Importers: an application's own configuration file becomes declared pools. One file a format (import_*.cpp), each a
// pure function from text to Imported.
//
// What a file leaves open (placeholders, secrets) stays unknown and is said. Passwords are never kept. Files are
// untrusted: size, depth and number of values are bounded (document.h), and nothing that they name is opened.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/problems.h"
#include "pools/imported_pool.h"

namespace dbaudit {

struct ImportRequest {
  std::string format;                 // one of import_formats(); empty: by the file's name and content
  std::string profile;                // Spring: active profiles, "prod,eu"
  std::string environment;            // Rails and Node.js: "production"
  std::string library;                // where the file does not tell
  std::vector<std::string> together;  // all files that are named together with this one: Spring reads them as one
};

// "spring", "tomcat", ... as --format takes them.
std::vector<std::string> import_formats();

// `bytes` is the whole file; `file` its name, for messages and for what it tells about the format
// (application-prod.yml, database.yml); empty for an argument that is a URL. Problems have file and line, as many as
// its parser finds at once.
Imported import_pools(std::string_view bytes, const std::string& file, const ImportRequest& request,
                      Problems& problems);

// How to print the settings of a Django project for `import`; passwords stay there.
std::string django_instructions();

}  // namespace dbaudit

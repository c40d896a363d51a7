// `import = FILE` in a [[pool]] table: what an application's own file says, under what the table itself says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "pools/import.h"

namespace dbaudit {

// What one file says; how it is read is the caller's. Problems are added.
using ImportFile = std::function<Imported(const std::string& path, const ImportRequest& request, Problems& problems)>;

// A table that may have been completed from files. A table that imports nothing comes back as it is.
struct ExpandedTable {
  TomlValue table;
  ImportedPool imported;  // its keys are in `table`, its settings are not
  std::string imported_from;
};

// `import` names one file or a list, where later ones win; relative paths are relative to the folder of `file`.
// `import_profile` is the Spring profile or Rails environment; `import_name` the pool, where a file holds several.
ExpandedTable expand_imports(const TomlValue& table, const std::string& file, const ImportFile& import_file,
                             Problems& problems);

// One of several files that are imported together, without a declaration.
struct ImportedFile {
  std::string path;
  Imported imported;
};

// A Spring application's files (application.yml, application-prod.yml) in one folder are one application: pools of an
// earlier file go under the same pools of a later one, and where both hold one pool, it is the same.
void merge_applications(std::vector<ImportedFile>& files);

}  // namespace dbaudit

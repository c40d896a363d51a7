// Files of applications that pools are imported from: reading them, and what is to be said about them.
#pragma once

#include <string>
#include <vector>

#include "base/problems.h"
#include "pools/import.h"
#include "pools/import_into.h"

namespace dbaudit {

// Reads a file ("-": standard input), or takes the argument itself where it is a URL, and imports it. Reads no more of
// a file than an importer takes.
Imported import_source(const std::string& source, const ImportRequest& request, Problems& problems);

// Several of them, where files of one application are one.
std::vector<ImportedFile> import_sources(const std::vector<std::string>& sources, ImportRequest request,
                                         Problems& problems);

// import_source() for files only: what a declaration names is never standard input.
Imported import_named_file(const std::string& path, const ImportRequest& request, Problems& problems);

// The settings under the library's own names, where the library is known; what is left out is added to `notes`.
void fit_imported(ImportedPool& pool, const std::string& library, const std::vector<std::string>& library_folders,
                  std::vector<std::string>& notes);

}  // namespace dbaudit

#include "app/imports.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/text.h"
#include "pools/import_url.h"

namespace dbaudit {
namespace {

std::string bytes_of(std::istream& in) {
  std::string bytes(kMostDocumentBytes + 1, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

}  // namespace

Imported import_named_file(const std::string& path, const ImportRequest& request, Problems& problems) {
  std::error_code error;
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path, error)) {
    problems.add(path, 0, "cannot be read");
    return {};
  }
  return import_pools(bytes_of(in), path, request, problems);
}

Imported import_source(const std::string& source, const ImportRequest& request, Problems& problems) {
  if (source == "-") return import_pools(bytes_of(std::cin), "standard input", request, problems);
  std::error_code error;
  if (looks_like_url(source) && !std::filesystem::exists(source, error)) {
    ImportRequest as_url = request;
    if (as_url.format.empty()) as_url.format = "url";
    return import_pools(source, "", as_url, problems);
  }
  return import_named_file(source, request, problems);
}

std::vector<ImportedFile> import_sources(const std::vector<std::string>& sources, ImportRequest request,
                                         Problems& problems) {
  request.together = sources;
  std::vector<ImportedFile> files;
  for (const std::string& source : sources) files.push_back({source, import_source(source, request, problems)});
  merge_applications(files);
  return files;
}

void fit_imported(ImportedPool& pool, const std::string& library, const std::vector<std::string>& library_folders,
                  std::vector<std::string>& notes) {
  Problems later;  // an unknown or broken library is a problem of the declaration
  if (!library.empty()) {
    if (const Result<Library> loaded = load_library(library_folders, library, later)) fit_to_library(pool, *loaded);
  }
  for (const LeftOut& left_out : pool.left_out) notes.push_back(describe(left_out));
  for (const ImportedValue& value : pool.settings) {
    const auto* text = value.value.get<std::string>();
    if (text != nullptr && *text == kUnknownSetting)
      notes.push_back(value.origin + ": " + value.key + " is unknown: " + value.remark);
  }
}

}  // namespace dbaudit

#include "pools/import_into.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"

namespace dbaudit {
namespace {

const TomlValue* member(const TomlValue& table, std::string_view key) {
  const auto* members = table.get<TomlMembers>();
  if (members == nullptr) return nullptr;
  for (const auto& [name, value] : *members) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string text_member(const TomlValue& table, std::string_view key) {
  const TomlValue* found = member(table, key);
  const auto* text = found == nullptr ? nullptr : found->get<std::string>();
  return text == nullptr ? "" : *text;
}

// The one pool that is meant: the only one, or the one of this name.
ImportedPool* chosen(Imported& imported, const std::string& name, const std::string& what, const std::string& path,
                     const std::string& file, int line, Problems& problems) {
  std::vector<std::string> names;
  for (ImportedPool& pool : imported.pools) {
    if (pool.name() == name || (name.empty() && imported.pools.size() == 1)) return &pool;
    names.push_back(printable(bounded(pool.name(), 80)));
  }
  // A Deployment or gunicorn.conf.py beside the file that holds several has one, of another name.
  if (imported.pools.size() == 1) return &imported.pools.front();
  if (imported.pools.empty()) {
    std::string why;
    if (!imported.left_out.empty()) why = " (" + printable(bounded(describe(imported.left_out.front()), 200)) + ")";
    problems.add(file, line, fmt::format("{}: {} holds no pool of MySQL or MariaDB{}", what, path, why));
  } else if (name.empty()) {
    problems.add(
        file, line,
        fmt::format("{}: {} holds several pools, choose one with import_name: {}", what, path, join(names, ", ")));
  } else {
    problems.add(file, line,
                 fmt::format("{}: {} holds no pool '{}'{}; it has {}", what, path, printable(bounded(name, 80)),
                             did_you_mean(name, names), join(names, ", ")));
  }
  return nullptr;
}

// Keys and settings of an earlier file go under those of a later one. What stands in no file is only a default.
void put_under(ImportedPool& later, ImportedPool& earlier) {
  for (auto list : {&ImportedPool::keys, &ImportedPool::settings}) {
    for (ImportedValue& value : earlier.*list) {
      std::vector<ImportedValue>& own = later.*list;
      const auto same =
          std::find_if(own.begin(), own.end(), [&](const ImportedValue& known) { return known.key == value.key; });
      if (same == own.end()) {
        own.push_back(std::move(value));
      } else if (same->value.line == 0 && value.value.line > 0) {
        *same = std::move(value);
      }
    }
  }
  later.left_out.insert(later.left_out.begin(), earlier.left_out.begin(), earlier.left_out.end());
}

std::vector<std::string> files_of(const TomlValue& import, const std::string& what, const std::string& file,
                                  Problems& problems) {
  std::vector<std::string> out;
  bool fine = true;
  if (const auto* one = import.get<std::string>()) out.push_back(*one);
  if (const auto* several = import.get<TomlArray>()) {
    for (const TomlValue& item : *several) {
      const auto* text = item.get<std::string>();
      fine = fine && text != nullptr;
      if (text != nullptr) out.push_back(*text);
    }
  }
  if (!fine || out.empty() || std::find(out.begin(), out.end(), "") != out.end()) {
    problems.add(file, import.line, fmt::format("{}: 'import' must be the name of a file, or an array of names", what));
    return {};
  }
  return out;
}

}  // namespace

ExpandedTable expand_imports(const TomlValue& table, const std::string& file, const ImportFile& import_file,
                             Problems& problems) {
  ExpandedTable out{table, {}, {}};
  const TomlValue* import = member(table, "import");
  if (import == nullptr) return out;
  const std::string own_name = text_member(table, "name");
  const std::string what =
      own_name.empty() ? "[[pool]]" : fmt::format("[[pool]] '{}'", printable(bounded(own_name, 80)));
  ImportRequest request;
  request.profile = text_member(table, "import_profile");
  request.environment = request.profile;
  request.library = text_member(table, "library");
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  const std::vector<std::string> names = files_of(*import, what, file, problems);
  request.together = names;
  for (const std::string& name : names) {
    const std::string path = (folder / name).string();
    Imported imported = import_file(path, request, problems);
    if (imported.pools.empty() && imported.left_out.empty()) continue;  // why is among the problems
    ImportedPool* pool = chosen(imported, text_member(table, "import_name"), what, path, file, import->line, problems);
    if (pool == nullptr) continue;
    pool->left_out.insert(pool->left_out.end(), imported.left_out.begin(), imported.left_out.end());
    put_under(*pool, out.imported);
    out.imported = std::move(*pool);
    out.imported_from = path;
  }
  auto* members = std::get_if<TomlMembers>(&out.table.value);
  if (members == nullptr) return out;
  for (const ImportedValue& value : out.imported.keys) {
    if (member(table, value.key) != nullptr) continue;
    members->push_back({value.key, value.value});
    members->back().value.line = import->line;  // lines of messages are those of `file`
  }
  std::sort(members->begin(), members->end(), [](const TomlMember& a, const TomlMember& b) { return a.key < b.key; });
  return out;
}

void merge_applications(std::vector<ImportedFile>& files) {
  const auto of_application = [](const ImportedFile& file) {
    return file.imported.format == "Spring Boot" &&
           std::filesystem::path(file.path).filename().string().starts_with("application");
  };
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::vector<ImportedPool>& earlier = files[i].imported.pools;
    for (std::size_t later = i + 1; later < files.size() && of_application(files[i]); ++later) {
      std::vector<ImportedPool>& pools = files[later].imported.pools;
      if (!of_application(files[later]) ||
          std::filesystem::path(files[i].path).parent_path() != std::filesystem::path(files[later].path).parent_path())
        continue;
      const bool one_each = earlier.size() == 1 && pools.size() == 1;
      std::erase_if(earlier, [&](ImportedPool& pool) {
        const auto same = std::find_if(pools.begin(), pools.end(), [&](const ImportedPool& other) {
          return one_each || other.name() == pool.name();
        });
        if (same == pools.end()) return false;
        put_under(*same, pool);
        return true;
      });
      if (!earlier.empty()) continue;
      std::vector<LeftOut>& left_out = files[later].imported.left_out;
      left_out.insert(left_out.begin(), files[i].imported.left_out.begin(), files[i].imported.left_out.end());
      files[i].imported.left_out.clear();
      break;
    }
  }
  std::erase_if(files, [&](const ImportedFile& file) {
    return of_application(file) && file.imported.pools.empty() && file.imported.left_out.empty();
  });
}

}  // namespace dbaudit

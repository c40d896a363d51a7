// dbaudit pools list | show | import | explain
#include <fmt/format.h>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/imports.h"
#include "app/inputs.h"
#include "app/output.h"
#include "pools/explain.h"
#include "pools/import_url.h"

namespace dbaudit {
namespace {

struct PoolsArguments {
  std::vector<std::string> more;  // --rules
  std::string config;
  PoolSources pools;
  std::string name;
  std::vector<std::string> sources;  // of `import`
  ImportRequest import;
  bool django = false;
};

std::vector<std::string> folders_of(const PoolsArguments& arguments, Problems& problems) {
  std::vector<std::string> folders = arguments.more;
  const std::string shipped = shipped_rules_folder(problems);
  if (!shipped.empty()) folders.insert(folders.begin(), shipped);
  return library_folders(folders);
}

int list(const PoolsArguments& arguments) {
  Problems problems;
  const std::vector<Library> libraries = load_libraries(folders_of(arguments, problems), problems);
  if (!problems.empty()) return report_problems(problems);
  write_stdout(list_libraries(libraries));
  return kExitFine;
}

int show(const PoolsArguments& arguments) {
  Problems problems;
  const Result<Library> library = load_library(folders_of(arguments, problems), arguments.name, problems);
  if (!library) problems.add(describe(library.error()));
  if (!problems.empty()) return report_problems(problems);
  write_stdout(show_library(*library));
  return kExitFine;
}

int explain(const PoolsArguments& arguments) {
  Problems problems;
  Store store;
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  std::vector<std::string> notes;
  const std::vector<Library> libraries =
      load_pools(config, arguments.pools, folders_of(arguments, problems), {}, store, notes, problems);
  if (!problems.empty()) return report_problems(problems);
  for (const std::string& note : notes) write_stderr(note);
  const Result<std::string> text = explain_pool(store, arguments.name, libraries);
  if (!text) return report_error(text.error());
  write_stdout(*text);
  return kExitFine;
}

// [[pool]] tables on stdout; what was left out also on stderr, so that it shows when stdout goes to a file.
int print_imported(const PoolsArguments& arguments) {
  if (arguments.django) {
    write_stdout(django_instructions());
    return kExitFine;
  }
  Problems problems;
  if (arguments.sources.empty()) problems.add("pools import: name a file or a URL");
  const std::vector<std::string> folders = folders_of(arguments, problems);
  std::string text;
  std::vector<std::string> notes;
  for (auto& [source, imported] : import_sources(arguments.sources, arguments.import, problems)) {
    for (const LeftOut& left_out : imported.left_out) notes.push_back(describe(left_out));
    for (ImportedPool& pool : imported.pools) fit_imported(pool, pool.text_of("library"), folders, notes);
    if (!text.empty()) text += "\n";
    text += toml_text(imported, looks_like_url(source) ? "a URL" : source);
  }
  if (!problems.empty()) return report_problems(problems);
  for (const std::string& note : notes) write_stderr(note);
  write_stdout(text);
  return kExitFine;
}

}  // namespace

void add_pools(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("pools", "Pool libraries that dbaudit knows, and declared pools explained");
  command->require_subcommand(1);
  auto arguments = std::make_shared<PoolsArguments>();
  const auto add = [&](const char* name, const char* text, int (*run)(const PoolsArguments&)) {
    CLI::App* child = command->add_subcommand(name, text);
    child->add_option("--rules", arguments->more, "More folders with libraries");
    child->callback([arguments, run, &action] { action = [arguments, run] { return run(*arguments); }; });
    return child;
  };
  add("list", "One line a library", list);
  add("show", "A library's settings, defaults and what it does with them", show)
      ->add_option("library", arguments->name, "Library id")
      ->required();
  CLI::App* importer =
      add("import", "Pools out of an application's own configuration, as [[pool]] tables to check and commit",
          print_imported);
  importer->add_option("source", arguments->sources, "Files, '-' for standard input, or a connection URL");
  importer->add_option("--format", arguments->import.format, "What the file is, where name and content do not tell")
      ->check(CLI::IsMember(import_formats()));
  importer->add_option("--profile", arguments->import.profile, "Active Spring profiles: prod,eu");
  importer->add_option("--environment", arguments->import.environment, "Environment of Rails or Knex (production)");
  importer->add_option("--library", arguments->import.library, "Pool library, where the file does not tell");
  importer->add_flag("--django", arguments->django, "How to print the settings of a Django project for this");
  CLI::App* explainer = add("explain", "Every number derived for a declared pool, and where it came from", explain);
  explainer->add_option("--config", arguments->config, "dbaudit.toml to use");
  explainer->add_option("--pools", arguments->pools.files, "Files with [[pool]] tables");
  explainer->add_option("--import", arguments->pools.imports, "An application's own configuration files");
  explainer->add_option("--import-profile", arguments->pools.import_profile, "Spring profile or Rails environment");
  explainer->add_option("pool", arguments->name, "Name of a declared pool")->required();
}

}  // namespace dbaudit

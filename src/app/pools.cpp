// dbaudit pools list | show | explain
#include <fmt/format.h>

#include "app/command.h"
#include "app/exit_codes.h"
#include "app/inputs.h"
#include "app/output.h"
#include "pools/explain.h"

namespace dbaudit {
namespace {

struct Arguments {
  std::vector<std::string> more;  // --rules
  std::string config;
  std::vector<std::string> pools;
  std::string name;
};

std::vector<std::string> folders_of(const Arguments& arguments, Problems& problems) {
  std::vector<std::string> folders = arguments.more;
  const std::string shipped = shipped_rules_folder(problems);
  if (!shipped.empty()) folders.insert(folders.begin(), shipped);
  return library_folders(folders);
}

int list(const Arguments& arguments) {
  Problems problems;
  const std::vector<Library> libraries = load_libraries(folders_of(arguments, problems), problems);
  if (!problems.empty()) return report_problems(problems);
  write_stdout(list_libraries(libraries));
  return kExitFine;
}

int show(const Arguments& arguments) {
  Problems problems;
  const Result<Library> library = load_library(folders_of(arguments, problems), arguments.name, problems);
  if (!library) problems.add(describe(library.error()));
  if (!problems.empty()) return report_problems(problems);
  write_stdout(show_library(*library));
  return kExitFine;
}

int explain(const Arguments& arguments) {
  Problems problems;
  Store store;
  const std::string config_file = find_config(arguments.config);
  const Config config = config_file.empty() ? Config{} : parse_config(config_file, problems);
  const std::vector<Library> libraries =
      load_pools(config, arguments.pools, folders_of(arguments, problems), {}, store, problems);
  if (!problems.empty()) return report_problems(problems);
  const Result<std::string> text = explain_pool(store, arguments.name, libraries);
  if (!text) return report_error(text.error());
  write_stdout(*text);
  return kExitFine;
}

}  // namespace

void add_pools(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("pools", "Pool libraries that dbaudit knows, and declared pools explained");
  command->require_subcommand(1);
  auto arguments = std::make_shared<Arguments>();
  const auto add = [&](const char* name, const char* text, int (*run)(const Arguments&)) {
    CLI::App* child = command->add_subcommand(name, text);
    child->add_option("--rules", arguments->more, "More folders with libraries");
    child->callback([arguments, run, &action] { action = [arguments, run] { return run(*arguments); }; });
    return child;
  };
  add("list", "One line a library", list);
  add("show", "A library's settings, defaults and what it does with them", show)
      ->add_option("library", arguments->name, "Library id")
      ->required();
  CLI::App* explainer = add("explain", "Every number derived for a declared pool, and where it came from", explain);
  explainer->add_option("--config", arguments->config, "dbaudit.toml to use");
  explainer->add_option("--pools", arguments->pools, "Files with [[pool]] tables");
  explainer->add_option("pool", arguments->name, "Name of a declared pool")->required();
}

}  // namespace dbaudit

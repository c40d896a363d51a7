#include "app/inputs.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "app/imports.h"
#include "base/text.h"
#include "base/toml.h"
#include "pools/declare.h"
#include "pools/derive.h"
#include "pools/library_sql.h"

namespace dbaudit {
namespace {

namespace fs = std::filesystem;

void choose_rules(const InputArguments& arguments, const Config& config, std::vector<Rule>& rules, Problems& problems) {
  const std::size_t problems_before = problems.list().size();
  std::vector<std::string> ids;
  for (const Rule& rule : rules) ids.push_back(rule.id);
  const auto known = [&](const std::string& id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  for (const auto& [option, list] : {std::pair{"--only", &arguments.only}, std::pair{"--skip", &arguments.skip}}) {
    for (const std::string& id : *list) {
      if (!known(id)) problems.add(fmt::format("{}: no rule '{}'{}", option, id, did_you_mean(id, ids)));
    }
  }
  for (const auto& [id, rule_switch] : config.rules) {
    if (!known(id))
      problems.add(config.file, rule_switch.line, fmt::format("[rules]: no rule '{}'{}", id, did_you_mean(id, ids)));
  }
  const auto listed = [](const std::vector<std::string>& list, const std::string& id) {
    return std::find(list.begin(), list.end(), id) != list.end();
  };
  std::erase_if(rules, [&](const Rule& rule) {
    if (!arguments.only.empty()) return !listed(arguments.only, rule.id);
    const auto found = config.rules.find(rule.id);
    return listed(arguments.skip, rule.id) || (found != config.rules.end() && found->second.value == "off");
  });
  // Nothing would be judged, and that must not look like a pass.
  if (rules.empty() && !ids.empty() && problems.list().size() == problems_before)
    problems.add("no rule is left: --skip, and \"off\" under [rules], leave out every one");
  for (Rule& rule : rules) {
    const auto found = config.rules.find(rule.id);
    if (found == config.rules.end()) continue;
    if (const auto severity = parse_severity(found->second.value)) rule.forced_severity = severity;
  }
}

// A pool that goes through a proxy must name a declared one.
void check_via(const Pool& pool, const std::vector<Pool>& pools, Problems& problems) {
  if (!pool.via) return;
  std::vector<std::string> names;
  for (const Pool& other : pools) {
    if (&other != &pool) names.push_back(other.name);
  }
  if (std::find(names.begin(), names.end(), *pool.via) == names.end())
    problems.add(pool.file, pool.line,
                 fmt::format("pool '{}': via = \"{}\" names no other declared pool{}", pool.name, printable(*pool.via),
                             did_you_mean(*pool.via, names)));
}

// The pools of [[pool]] tables, with what their `import` says under them.
std::vector<Pool> expanded_pools(const std::vector<const TomlValue*>& tables, const std::string& file,
                                 const std::vector<std::string>& folders, const std::vector<PoolChange>& changes,
                                 std::vector<std::string>& notes, Problems& problems) {
  std::vector<ExpandedTable> expanded;
  expanded.reserve(tables.size());  // `complete` points into it
  std::vector<PoolTable> complete;
  for (const TomlValue* table : tables) {
    expanded.push_back(expand_imports(*table, file, import_named_file, problems));
    ExpandedTable& one = expanded.back();
    std::string library;
    for (const auto& [key, value] : one.table.get<TomlMembers>() ? *one.table.get<TomlMembers>() : TomlMembers{}) {
      if (key == "library" && value.get<std::string>() != nullptr) library = *value.get<std::string>();
    }
    if (!one.imported_from.empty()) fit_imported(one.imported, library, folders, notes);
    complete.push_back({&one.table, declared_settings(one.imported, one.imported_from)});
  }
  return parse_pools(complete, file, changes, problems);
}

// --import FILE: its pools as if they were declared.
std::vector<Pool> imported_pools(ImportedFile& from, const std::vector<std::string>& folders,
                                 const std::vector<PoolChange>& changes, std::vector<std::string>& notes,
                                 Problems& problems) {
  auto& [file, imported] = from;
  for (const LeftOut& left_out : imported.left_out) notes.push_back(describe(left_out));
  std::vector<TomlValue> tables;
  tables.reserve(imported.pools.size());  // `complete` points into it
  std::vector<PoolTable> complete;
  for (ImportedPool& pool : imported.pools) {
    if (pool.text_of("library").empty()) {
      problems.add(file, 0,
                   fmt::format("pool '{}': the file does not tell which library's it is; declare it as a [[pool]] "
                               "with 'library' and import = \"{}\"",
                               printable(bounded(pool.name(), 80)), file));
      continue;
    }
    fit_imported(pool, pool.text_of("library"), folders, notes);
    tables.push_back(pool_table(pool));
    complete.push_back({&tables.back(), declared_settings(pool, file)});
  }
  return parse_pools(complete, file, changes, problems);
}

// --param NAME=VALUE
TomlMembers parameter_arguments(const std::vector<std::string>& arguments, Problems& problems) {
  TomlMembers members;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      problems.add(fmt::format("--param {}: write NAME=VALUE", argument));
      continue;
    }
    members.push_back({argument.substr(0, equals), TomlValue{argument.substr(equals + 1), 0}});
  }
  return members;
}

// Descriptions of the user's own; the shipped ones are checked when dbaudit is built. A broken one must not wait for
// the first pool that uses it.
void check_libraries(const std::vector<std::string>& folders, Store& store, Problems& problems) {
  for (const Library& library : load_libraries(library_folders(folders), problems))
    static_cast<void>(LibrarySql::compile(store, library, problems));
}

}  // namespace

void InputArguments::add_to(CLI::App& app) {
  const std::string group = "Rules and pools";
  app.add_option("--config", config, "dbaudit.toml to use")->group(group);
  app.add_option("--rules", rules, "More rule files or folders")->group(group);
  app.add_option("--pools", pools, "Files with [[pool]] tables")->group(group);
  app.add_option("--import", imports, "An application's own configuration files, for their pools")->group(group);
  app.add_option("--import-profile", import_profile, "Spring profile or Rails environment in those files")
      ->group(group);
  app.add_option("--only", only, "Only these rules")->group(group);
  app.add_option("--skip", skip, "Not these rules")->group(group);
  app.add_option("--param", parameters, "NAME=VALUE of a rule parameter")->group(group);
}

void load_human_clients(const std::string& folder, Store& store, Problems& problems) {
  const std::string path = (fs::path(folder) / "human_clients.toml").string();
  const std::optional<TomlValue> root = parse_toml_file(path, problems);
  if (!root) return;
  TomlReader reader(*root, path, "human clients", problems);
  Insert insert = store.insert("human_client");
  for (const TomlValue* table : reader.tables("client")) {
    TomlReader client(*table, path, "[[client]]", problems);
    const std::string name = client.required_text("name");
    const std::optional<std::string> attribute =
        client.one_of("attribute", {"program_name", "client_name", "statement"});
    const std::string pattern = client.required_text("pattern");
    client.text("source");
    client.finish();
    if (attribute) insert.row(name, *attribute, to_lower(pattern));
  }
  reader.finish();
}

std::string shipped_rules_folder(Problems& problems) {
  const char* environment = std::getenv("DBAUDIT_RULES");  // NOLINT(concurrency-mt-unsafe): main thread
  if (environment != nullptr && *environment != '\0') return environment;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  // Installed somewhere, installed where it was meant to be, or in build/PRESET of the source tree.
  for (const fs::path& folder : {program.parent_path().parent_path() / "share/dbaudit/rules",
                                 fs::path(DBAUDIT_RULES_DIR), program.parent_path() / "../../rules"}) {
    if (fs::is_directory(folder, error)) return folder.string();
  }
  problems.add(fmt::format("the shipped rules are not in {}; set DBAUDIT_RULES to their folder", DBAUDIT_RULES_DIR));
  return "";
}

std::vector<std::string> library_folders(const std::vector<std::string>& rule_folders) {
  std::vector<std::string> folders;
  for (const std::string& folder : rule_folders) {
    const fs::path libraries = fs::path(folder) / "libraries";
    std::error_code error;
    if (fs::is_directory(libraries, error)) folders.push_back(libraries.string());
  }
  return folders;
}

std::vector<Library> load_pools(const Config& config, const PoolSources& sources,
                                const std::vector<std::string>& folders, const std::vector<PoolChange>& changes,
                                Store& store, std::vector<std::string>& notes, Problems& problems) {
  std::vector<const TomlValue*> tables;
  for (const TomlValue& table : config.pools) tables.push_back(&table);
  std::vector<Pool> pools = expanded_pools(tables, config.file, folders, changes, notes, problems);
  const auto add = [&](std::vector<Pool> more) {
    for (Pool& pool : more) {
      const auto same =
          std::find_if(pools.begin(), pools.end(), [&](const Pool& other) { return other.name == pool.name; });
      if (same != pools.end() && same->file != pool.file)
        problems.add(pool.file, pool.line, fmt::format("pool '{}' is already declared in {}", pool.name, same->file));
      pools.push_back(std::move(pool));
    }
  };
  for (const std::string& file : sources.files) {
    const std::optional<TomlValue> root = parse_toml_file(file, problems);
    if (!root) continue;
    TomlReader reader(*root, file, "pool file", problems);
    add(expanded_pools(reader.tables("pool"), file, folders, changes, notes, problems));
    reader.finish();
  }
  ImportRequest request;
  request.profile = sources.import_profile;
  request.environment = sources.import_profile;
  for (ImportedFile& file : import_sources(sources.imports, request, problems))
    add(imported_pools(file, folders, changes, notes, problems));
  std::vector<std::string> names;
  for (const ServerConfig& server : config.servers) names.push_back(server.name);
  for (const Pool& pool : pools) {
    if (pool.server && !names.empty() && std::find(names.begin(), names.end(), *pool.server) == names.end()) {
      problems.add(pool.file, pool.line,
                   fmt::format("pool '{}': no [[server]] is named '{}'{}", pool.name, *pool.server,
                               did_you_mean(*pool.server, names)));
    }
  }
  for (const Pool& pool : pools) check_via(pool, pools, problems);
  return derive_pools(store, pools, folders, problems);
}

std::vector<std::string> pool_names(Store& store) {
  std::vector<std::string> names;
  Query rows = store.query("SELECT name FROM pool ORDER BY name");
  while (rows.next().value()) names.push_back(rows.text(0));
  return names;
}

namespace {

std::vector<Library> load_declared(const InputArguments& arguments, const Inputs& inputs,
                                   const std::vector<PoolChange>& changes, Store& store,
                                   std::vector<std::string>& notes, Problems& problems) {
  store.begin();
  if (!inputs.rule_folders.empty()) load_human_clients(inputs.rule_folders.front(), store, problems);
  std::vector<Library> libraries =
      load_pools(inputs.config, {arguments.pools, arguments.imports, arguments.import_profile},
                 library_folders(inputs.rule_folders), changes, store, notes, problems);
  store.commit();
  return libraries;
}

// Rules, and what is said of them: switches, waivers, parameters.
std::vector<Rule> load_rules(const InputArguments& arguments, const std::vector<RuleFile>& files,
                             const std::string& of_shipped, Store& store, Inputs& inputs, Problems& problems) {
  std::vector<Rule> rules = parse_rules(files, problems);
  const std::vector<Rule> all = rules;
  choose_rules(arguments, inputs.config, rules, problems);
  // A broken rule of the user's that is left out must not wait for the day when it is needed. The shipped ones are
  // checked when dbaudit is built; to do it again would cost every run with --only 5 ms.
  std::vector<Rule> left_out;
  std::copy_if(all.begin(), all.end(), std::back_inserter(left_out), [&](const Rule& rule) {
    const auto same = [&rule](const Rule& chosen) { return chosen.id == rule.id; };
    return !rule.file.starts_with(of_shipped) && std::none_of(rules.begin(), rules.end(), same);
  });
  check_rules(rules, store, problems);
  check_rules(left_out, store, problems);

  std::vector<std::string> ids;
  for (const Rule& rule : all) ids.push_back(rule.id);
  inputs.waivers = parse_waivers(inputs.config.waivers, inputs.config.file, ids, problems);
  inputs.judge.parameters = parse_overrides(inputs.config.parameters, inputs.config.file, all, problems);
  const ParameterValues command_line =
      parse_overrides(parameter_arguments(arguments.parameters, problems), "--param", all, problems);
  for (const auto& [name, value] : command_line) inputs.judge.parameters[name] = value;
  // Who types --param means this run, whatever the file says of a group or a server.
  const auto overrides = [&](const TomlMembers& written) {
    ParameterValues values = parse_overrides(written, inputs.config.file, all, problems);
    for (const auto& [name, value] : command_line) values[name] = value;
    return values;
  };
  for (const GroupConfig& group : inputs.config.groups)
    inputs.judge.group_parameters[group.name] = overrides(group.parameters);
  for (const ServerConfig& server : inputs.config.servers)
    inputs.judge.server_parameters[server.name] = overrides(server.parameters);
  return rules;
}

}  // namespace

std::vector<Library> load_declared(const InputArguments& arguments, const Inputs& inputs,
                                   const std::vector<PoolChange>& changes, Store& store, Problems& problems) {
  std::vector<std::string> said_before;
  return load_declared(arguments, inputs, changes, store, said_before, problems);
}

InputFiles read_input_files(const InputArguments& arguments, Problems& problems) {
  InputFiles files;
  const std::string config = find_config(arguments.config);
  if (!config.empty()) files.config = parse_config(config, problems);
  files.rule_folders = arguments.rules;
  files.shipped = shipped_rules_folder(problems);
  if (!files.shipped.empty()) files.rule_folders.insert(files.rule_folders.begin(), files.shipped);
  files.rules = read_rule_files(files.rule_folders, RuleTests::leave_out, problems);
  return files;
}

Inputs load_inputs(const InputArguments& arguments, InputFiles files, Store& store, Problems& problems) {
  Inputs inputs;
  inputs.config = std::move(files.config);
  inputs.rule_folders = std::move(files.rule_folders);
  inputs.rules = load_rules(arguments, files.rules, (fs::path(files.shipped) / "").string(), store, inputs, problems);
  check_libraries(arguments.rules, store, problems);
  inputs.libraries = load_declared(arguments, inputs, {}, store, inputs.notes, problems);
  return inputs;
}

}  // namespace dbaudit

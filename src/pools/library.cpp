#include "pools/library.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "base/units.h"

namespace dbaudit {
namespace {

const std::vector<std::string> kTimeUnits{"ms", "s", "m", "h", "d"};
const std::vector<std::string> kTypes{"duration", "count", "number", "bool", "text", "sql", "url", "options"};

// Columns of the fact table `pool` that a description fills.
struct DerivedColumn {
  std::string_view name;
  bool flag;
  bool required;
};
constexpr std::array<DerivedColumn, 27> kDerivedColumns{{
    {"max_connections_per_process", false, true},
    {"longest_unchecked_idle_s", false, true},
    {"longest_silence_s", false, true},
    {"longest_unchecked_hold_s", false, true},
    {"acquire_timeout_s", false, true},
    {"max_lifetime_s", false, true},
    {"validates_on_borrow", true, true},
    {"validates_on_return", true, true},
    {"discards_broken", true, true},
    {"autocommit", true, true},
    {"session_wait_timeout_s", false, false},
    {"interactive", true, false},
    {"longest_unchecked_idle_announced_s", false, false},
    {"longest_unchecked_idle_dropped_s", false, false},
    {"longest_unchecked_hold_announced_s", false, false},
    {"rolls_back_on_return", true, false},
    {"resets_session", true, false},
    {"keeps_connections", true, false},
    {"connect_timeout_s", false, false},
    {"socket_timeout_s", false, false},
    {"validation_timeout_s", false, false},
    {"abandon_timeout_s", false, false},
    {"tcp_keepalive_s", false, false},
    {"client_idle_timeout_s", false, false},
    {"client_transaction_timeout_s", false, false},
    {"max_clients", false, false},
    {"clients_keep_connections", true, false},
}};

double seconds_in(const std::string& unit) { return parse_duration("1" + unit)->count(); }

std::optional<double> whole_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "PT30M", as java.time.Duration and Spring write it (ISO 8601; days are the largest unit that has a fixed length).
std::optional<double> iso_duration(std::string_view text) {
  if (text.size() < 3 || (text[0] != 'P' && text[0] != 'p')) return std::nullopt;
  double seconds = 0;
  bool time = false;
  std::string number;
  for (const char c : text.substr(1)) {
    if (c == 'T' || c == 't') {
      if (time || !number.empty()) return std::nullopt;
      time = true;
    } else if (is_digit(c) || c == '.') {
      number += c;
    } else {
      const std::optional<double> count = whole_number(number);
      const double unit = c == 'D' || c == 'd' ? 86400 : c == 'H' || c == 'h' ? 3600 : c == 'M' || c == 'm' ? 60 : 1;
      if (!count || (unit == 86400) == time || (unit == 1 && c != 'S' && c != 's')) return std::nullopt;
      seconds += *count * unit;
      number.clear();
    }
  }
  return number.empty() ? std::optional<double>(seconds) : std::nullopt;
}

Error wrong(const Setting& setting, const TomlValue& value, std::string_view wanted) {
  std::string found(value.type_name());
  // Never the text of a setting that may hold a password.
  if (const auto* text = value.get<std::string>(); text != nullptr && setting.type < SettingType::text) {
    found = fmt::format("\"{}\"", printable(bounded(*text, 60)));
  }
  return {ErrorKind::bad_input, fmt::format("'{}' must be {}, not {}", setting.name, wanted, found)};
}

Result<Value> boolean_value(const Setting& setting, const TomlValue& value) {
  if (const auto* flag = value.get<bool>()) return Value{std::int64_t{*flag ? 1 : 0}};
  if (const auto* number = value.get<std::int64_t>(); number != nullptr && (*number == 0 || *number == 1)) {
    return Value{*number};
  }
  if (const auto* text = value.get<std::string>()) {
    for (const std::string_view yes : {"true", "1", "on", "yes"}) {
      if (equals_ignoring_case(*text, yes)) return Value{std::int64_t{1}};
    }
    for (const std::string_view no : {"false", "0", "off", "no"}) {
      if (equals_ignoring_case(*text, no)) return Value{std::int64_t{0}};
    }
  }
  return wrong(setting, value, "true or false");
}

Result<Value> number_value(const Setting& setting, const TomlValue& value) {
  std::optional<double> number;
  if (const auto* integer = value.get<std::int64_t>()) number = static_cast<double>(*integer);
  if (const auto* real = value.get<double>()) number = *real;
  if (const auto* text = value.get<std::string>()) number = whole_number(*text);
  if (setting.type == SettingType::duration) {
    if (number) return Value{*number * setting.unit_s};
    if (const auto* text = value.get<std::string>()) {
      if (const std::optional<Seconds> duration = parse_duration(*text)) return Value{duration->count()};
      if (const std::optional<double> seconds = iso_duration(*text)) return Value{*seconds};
    }
    return wrong(setting, value,
                 fmt::format("a duration: a number{} or text with a unit such as \"30s\"",
                             setting.unit_name.empty() ? "" : " of " + setting.unit_name));
  }
  if (setting.type == SettingType::number) {
    if (number) return Value{*number};
    return wrong(setting, value, "a number");
  }
  if (number && *number == std::floor(*number) && std::abs(*number) < 1e15) {
    return Value{static_cast<std::int64_t>(*number)};
  }
  return wrong(setting, value, "a whole number");
}

Result<Value> text_value(const Setting& setting, const TomlValue& value) {
  if (const auto* text = value.get<std::string>()) return Value{*text};
  // pool_reset_on_return = false
  if (const auto* flag = value.get<bool>(); flag != nullptr && setting.type == SettingType::text) {
    return Value{std::string(*flag ? "true" : "false")};
  }
  const auto* items = value.get<TomlArray>();
  const bool list = setting.type == SettingType::sql || setting.type == SettingType::text;
  if (items == nullptr || !list) return wrong(setting, value, "a string");
  std::vector<std::string> parts;
  for (const TomlValue& item : *items) {
    const auto* text = item.get<std::string>();
    if (text == nullptr) return wrong(setting, item, "an array of strings");
    parts.push_back(*text);
  }
  return Value{join(parts, setting.type == SettingType::sql ? "; " : ", ")};
}

// --- reading a description

class DescriptionReader {
 public:
  DescriptionReader(const TomlValue& root, const std::string& file, Problems& problems)
      : root_(root, file, "library", problems), file_(file), problems_(problems) {
    library_.file = file;
  }

  Library run() {
    library_.id = root_.required_text("id");
    const std::string stem = std::filesystem::path(file_).stem().string();
    if (!library_.id.empty() && library_.id != stem) {
      root_.problem("id",
                    fmt::format("'id' is \"{}\", but the file is named {}.toml: they must agree", library_.id, stem));
    }
    library_.title = root_.required_text("title");
    library_.ecosystem = root_.required_text("ecosystem");
    library_.doc = root_.text("doc").value_or("");
    time_unit_ = root_.one_of("time_unit", kTimeUnits).value_or("");
    library_.relaxed_names = root_.boolean("relaxed_names").value_or(false);
    library_.ignored_settings = root_.texts("ignored_settings");
    library_.driver_options = names_below("driver_options");
    library_.session_variables = names_below("session_variables");
    read_settings("settings", false);
    read_settings("behaviour", true);
    check_names();
    for (const TomlValue* table : root_.tables("adjust")) read_adjust(*table);
    read_derive();
    read_logs();
    root_.finish();
    return std::move(library_);
  }

 private:
  std::vector<std::string> names_below(const std::string& key) {
    std::vector<std::string> globs = root_.texts(key);
    for (const std::string& glob : globs) {
      if (!glob.ends_with(".*")) root_.problem(key, fmt::format("'{}' must end in .*: \"{}\" does not", key, glob));
    }
    return globs;
  }

  void read_settings(const std::string& key, bool behaviour) {
    const TomlValue* table = root_.table(key);
    if (table == nullptr) {
      if (!behaviour && !root_.has(key)) root_.problem(key, "it has no [settings.NAME] at all");
      return;
    }
    std::vector<const TomlMembers::value_type*> members;
    for (const auto& member : *table->get<TomlMembers>()) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(),
                     [](const auto* a, const auto* b) { return a->value.line < b->value.line; });
    for (const auto* member : members) {
      library_.settings.push_back(read_setting(member->key, member->value, behaviour));
    }
  }

  Setting read_setting(const std::string& name, const TomlValue& table, bool behaviour) {
    TomlReader reader(table, file_, fmt::format("[{}.{}]", behaviour ? "behaviour" : "settings", name), problems_);
    Setting setting;
    setting.name = name;
    setting.line = reader.line();
    setting.behaviour = behaviour;
    if (!reader.has("type")) reader.problem("type", "'type' is missing: " + join(kTypes, ", "));
    const std::string type = reader.one_of("type", kTypes).value_or("text");
    for (std::size_t i = 0; i < kTypes.size(); ++i) {
      if (kTypes[i] == type) setting.type = static_cast<SettingType>(i);
    }
    read_unit(reader, setting);
    if (!behaviour) {
      setting.aliases = reader.texts("aliases");
      setting.url_option = reader.text("url_option").value_or("");
      read_none(reader, setting);
      if (const std::optional<std::string> absent = reader.one_of("before_since", {"ignored", "rejected"})) {
        setting.ignored_before = *absent == "ignored";
        if (!reader.has("since")) reader.problem("before_since", "'before_since' needs 'since'");
      } else if (reader.has("since")) {
        reader.problem("since", "'since' needs 'before_since': \"ignored\" or \"rejected\" by older versions");
      }
      setting.since = read_version(reader, "since");
    }
    if (const TomlValue* value = reader.value("default")) setting.default_value = read_value(reader, setting, *value);
    setting.default_sql = reader.text("default_sql").value_or("");
    setting.default_sql_line = reader.line_of("default_sql");
    for (const TomlValue* entry : reader.tables("default_by_version")) read_version_default(*entry, setting);
    if (const TomlValue* value = reader.value("default_unknown_version")) {
      setting.unknown_version = read_value(reader, setting, *value);
      if (setting.by_version.empty()) {
        reader.problem("default_unknown_version", "'default_unknown_version' needs 'default_by_version'");
      }
    }
    setting.doc = reader.required_text("doc");
    setting.source = reader.required_text("source");
    reader.finish();
    return setting;
  }

  void read_unit(TomlReader& reader, Setting& setting) {
    const bool has_unit = reader.has("unit");
    const std::string unit = reader.one_of("unit", kTimeUnits).value_or(time_unit_);
    if (setting.type != SettingType::duration) {
      if (has_unit) reader.problem("unit", "'unit' is for settings of type duration only");
      return;
    }
    if (unit.empty()) {
      if (!has_unit) reader.problem("unit", "it is a duration: give it a 'unit', or the library a 'time_unit'");
      return;
    }
    setting.unit_name = unit;
    setting.unit_s = seconds_in(unit);
  }

  static void read_none(TomlReader& reader, Setting& setting) {
    const std::optional<std::string> none = reader.one_of("none", {"unlimited", "not set"});
    if (!none) return;
    setting.none = *none == "unlimited" ? Value{kUnlimited} : Value{};
    if (*none == "unlimited" && setting.type > SettingType::number) {
      reader.problem("none", "only a number or a duration can be unlimited");
    }
  }

  static std::optional<Version> read_version(TomlReader& reader, const std::string& key) {
    const std::optional<std::string> text = reader.text(key);
    if (!text) return std::nullopt;
    const std::optional<Version> version = parse_version(*text);
    if (!version) reader.problem(key, fmt::format("'{}' is \"{}\", not a version such as \"6.2.1\"", key, *text));
    return version;
  }

  static Value read_value(TomlReader& reader, const Setting& setting, const TomlValue& value) {
    const Result<Value> read = setting_value(setting, value);
    if (read) return *read;
    reader.problem("default", read.error().message);
    return {};
  }

  void read_version_default(const TomlValue& table, Setting& setting) {
    TomlReader reader(table, file_, fmt::format("default_by_version of '{}'", setting.name), problems_);
    VersionDefault entry;
    entry.driver = reader.text("driver").value_or("");
    if (!reader.has("since")) reader.problem("since", "'since' is missing");
    entry.since = read_version(reader, "since").value_or(Version{});
    if (const TomlValue* value = reader.value("default")) {
      entry.value = read_value(reader, setting, *value);
    } else {
      reader.problem("default", "'default' is missing");
    }
    reader.finish();
    if (!setting.by_version.empty() && setting.by_version.back().driver == entry.driver &&
        setting.by_version.back().since >= entry.since) {
      reader.problem("since", "the entries must be in ascending order of 'since'");
    }
    setting.by_version.push_back(std::move(entry));
  }

  // No two settings may answer to one name.
  void check_names() {
    std::map<std::string, std::string> owner;
    for (const Setting& setting : library_.settings) {
      std::vector<std::string> names = setting.aliases;
      names.push_back(setting.name);
      for (const std::string& name : names) {
        const std::string key = library_.relaxed_names ? relaxed(name) : name;
        const auto [known, is_new] = owner.emplace(key, setting.name);
        if (!is_new) {
          problems_.add(
              file_, setting.line,
              fmt::format("[settings.{}]: the name '{}' already means '{}'", setting.name, name, known->second));
        }
      }
    }
  }

  void read_adjust(const TomlValue& table) {
    TomlReader reader(table, file_, "[[adjust]]", problems_);
    Adjust adjust;
    const std::string kind = reader.one_of("kind", {"clamp", "special", "reject"}).value_or("");
    if (!reader.has("kind")) reader.problem("kind", "'kind' is missing: clamp, special or reject");
    adjust.kind = kind == "reject" ? AdjustKind::reject : kind == "special" ? AdjustKind::special : AdjustKind::clamp;
    const std::string name = reader.required_text("setting");
    std::vector<std::string> names;
    bool found = false;
    for (std::size_t i = 0; i < library_.settings.size(); ++i) {
      if (library_.settings[i].behaviour) continue;
      names.push_back(library_.settings[i].name);
      if (library_.settings[i].name == name) adjust.setting = i, found = true;
    }
    if (!found && !name.empty()) {
      reader.problem("setting", fmt::format("there is no setting '{}'{}", name, did_you_mean(name, names)));
    }
    adjust.when = reader.required_text("when");
    adjust.when_line = reader.line_of("when");
    if (adjust.kind == AdjustKind::reject) {
      if (reader.has("value")) reader.problem("value", "a rejected setting has no 'value'");
      reader.value("value");
    } else {
      adjust.value = reader.required_text("value");
    }
    adjust.value_line = reader.line_of("value");
    adjust.says = reader.required_text("says");
    reader.finish();
    if (found) library_.adjusts.push_back(std::move(adjust));
  }

  void read_derive() {
    const TomlValue* table = root_.table("derive");
    if (table == nullptr) {
      if (!root_.has("derive")) root_.problem("derive", "it has no [derive.COLUMN] at all");
      return;
    }
    TomlReader reader(*table, file_, "[derive]", problems_);
    for (const DerivedColumn& column : kDerivedColumns) {
      const std::string name(column.name);
      const TomlValue* entry = reader.table(name);
      if (entry == nullptr) {
        if (column.required && !reader.has(name)) {
          reader.problem(name, fmt::format("[derive.{}] is missing; write sql = \"NULL\" when it is unknown", name));
        }
        continue;
      }
      TomlReader inner(*entry, file_, fmt::format("[derive.{}]", name), problems_);
      Derived derived{name, column.flag, inner.required_text("sql"), inner.text("says").value_or(""),
                      inner.line_of("sql")};
      if (column.name == "autocommit") derived.statements_win = inner.boolean("statements_win").value_or(false);
      inner.finish();
      if (!derived.sql.empty()) library_.derived.push_back(std::move(derived));
    }
    reader.finish();
  }

  void read_logs() {
    const TomlValue* table = root_.table("logs");
    if (table == nullptr) return;
    TomlReader reader(*table, file_, "[logs]", problems_);
    library_.validation_log = reader.text("validation").value_or("");
    library_.dead_log = reader.text("dead").value_or("");
    library_.exhausted_log = reader.text("exhausted").value_or("");
    reader.finish();
  }

  TomlReader root_;
  std::string file_;
  Problems& problems_;
  std::string time_unit_;
  Library library_;
};

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

// Paths of *.toml by file name without ending; a name that two folders have is a problem.
std::map<std::string, std::string> description_files(const std::vector<std::string>& folders, Problems& problems) {
  std::map<std::string, std::string> files;
  for (const std::string& folder : folders) {
    std::error_code error;
    std::vector<std::string> paths;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() == ".toml") paths.push_back(it->path().string());
    }
    if (error) problems.add(folder, 0, "cannot be read: " + error.message());
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      const auto [known, is_new] = files.emplace(std::filesystem::path(path).stem().string(), path);
      if (!is_new) problems.add(path, 0, "this library id is described in " + known->second + " already");
    }
  }
  return files;
}

}  // namespace

std::string relaxed(std::string_view name) {
  std::string out;
  for (const char c : to_lower(name)) {
    if (c != '-' && c != '_') out += c;
  }
  return out;
}

std::string_view to_string(SettingType type) {
  switch (type) {
    case SettingType::duration: return "duration";
    case SettingType::count: return "count";
    case SettingType::number: return "number";
    case SettingType::boolean: return "boolean";
    default: return "text";
  }
}

std::vector<std::string> derived_columns() {
  std::vector<std::string> names;
  for (const DerivedColumn& column : kDerivedColumns) names.emplace_back(column.name);
  return names;
}

const Setting* find_setting(const Library& library, std::string_view declared_key) {
  const std::string key = library.relaxed_names ? relaxed(declared_key) : std::string(declared_key);
  const auto answers = [&](const std::string& name) {
    return name == declared_key || (library.relaxed_names && relaxed(name) == key);
  };
  for (const Setting& setting : library.settings) {
    if (setting.behaviour) continue;
    if (answers(setting.name) || std::any_of(setting.aliases.begin(), setting.aliases.end(), answers)) return &setting;
  }
  return nullptr;
}

std::optional<std::string> name_below(const Library& library, const std::vector<std::string>& globs,
                                      std::string_view declared_key) {
  const auto plain = [&](std::string_view name) { return library.relaxed_names ? relaxed(name) : std::string(name); };
  for (const std::string& glob : globs) {
    const std::string prefix = plain(std::string_view(glob).substr(0, glob.size() - 1));
    for (std::size_t dot = declared_key.find('.'); dot != std::string_view::npos;
         dot = declared_key.find('.', dot + 1)) {
      if (plain(declared_key.substr(0, dot + 1)) == prefix && dot + 1 < declared_key.size())
        return std::string(declared_key.substr(dot + 1));
    }
  }
  return std::nullopt;
}

bool ignores_setting(const Library& library, std::string_view declared_key) {
  const auto plain = [&](std::string_view name) { return library.relaxed_names ? relaxed(name) : std::string(name); };
  return std::any_of(library.ignored_settings.begin(), library.ignored_settings.end(),
                     [&](const std::string& ignored) { return matches_glob(plain(ignored), plain(declared_key)); });
}

Result<Value> setting_value(const Setting& setting, const TomlValue& value) {
  if (const auto* text = value.get<std::string>(); text != nullptr && setting.none && *text == "none") {
    return *setting.none;
  }
  switch (setting.type) {
    case SettingType::boolean: return boolean_value(setting, value);
    case SettingType::duration:
    case SettingType::count:
    case SettingType::number: return number_value(setting, value);
    default: return text_value(setting, value);
  }
}

std::optional<Library> parse_library(const TomlValue& root, const std::string& file, Problems& problems) {
  if (root.get<TomlMembers>() == nullptr) return std::nullopt;
  return DescriptionReader(root, file, problems).run();
}

Result<Library> load_library(const std::vector<std::string>& folders, const std::string& id, Problems& problems) {
  // The id comes from a user's file: it must not lead anywhere else.
  const bool plain = !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-';
  });
  std::vector<std::string> found;
  for (const std::string& folder : folders) {
    std::string path = fmt::format("{}/{}.toml", folder, id);
    if (plain && exists(path)) found.push_back(std::move(path));
  }
  if (found.empty()) {
    Problems unused;
    std::vector<std::string> known;
    for (const auto& [name, path] : description_files(folders, unused)) known.push_back(name);
    const std::string near = did_you_mean(id, known);
    return Error{ErrorKind::bad_input, fmt::format("there is no library '{}'{}", printable(bounded(id, 80)), near),
                 near.empty() ? "dbaudit pools list shows the known ones" : ""};
  }
  if (found.size() > 1) problems.add(found[1], 0, "this library id is described in " + found[0] + " already");
  const std::optional<TomlValue> root = parse_toml_file_without_tests(found.front(), problems);
  std::optional<Library> library = root ? parse_library(*root, found.front(), problems) : std::nullopt;
  if (!library) return Error{ErrorKind::bad_input, fmt::format("the description of '{}' cannot be read", id)};
  return std::move(*library);
}

std::vector<Library> load_libraries(const std::vector<std::string>& folders, Problems& problems) {
  std::vector<Library> libraries;
  for (const auto& [id, path] : description_files(folders, problems)) {
    const std::optional<TomlValue> root = parse_toml_file_without_tests(path, problems);
    std::optional<Library> library = root ? parse_library(*root, path, problems) : std::nullopt;
    if (library) libraries.push_back(std::move(*library));
  }
  return libraries;
}

}  // namespace dbaudit

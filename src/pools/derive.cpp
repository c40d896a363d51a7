#include "pools/derive.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/sql_text.h"
#include "base/text.h"
#include "pools/describe_value.h"

namespace dbaudit {
namespace {

// "mariadb-java-client 2.7.6" is a name and a version.
struct Driver {
  std::string name;
  std::optional<Version> version;
};

Driver parse_driver(const std::string& declared) {
  const std::string text(trimmed(std::string_view(declared).substr(0, declared.find('('))));  // "mysql2 3.9 (node 20)"
  const std::size_t space = text.rfind(' ');
  if (space == std::string::npos) return {text, std::nullopt};
  std::string_view number = std::string_view(text).substr(space + 1);
  if (number.starts_with('v')) number.remove_prefix(1);  // Go's "v1.9.0"
  const std::optional<Version> version = parse_version(number);
  return version ? Driver{text.substr(0, space), version} : Driver{text, std::nullopt};
}

struct Default {
  Value value;
  std::string origin;
};

// The default for the declared version. Where none is declared and defaults differ, the description names the one to
// assume: the one that hides no finding.
Default default_for(const Setting& setting, const Pool& pool) {
  const std::string kind = setting.behaviour ? "behaviour" : "default";
  Default found{setting.default_value, kind};
  bool by_version = false;
  const Driver driver = parse_driver(pool.driver.value_or(""));
  for (const VersionDefault& entry : setting.by_version) {
    if (!entry.driver.empty()) {
      if (driver.version && *driver.version >= entry.since && matches_glob(entry.driver, driver.name)) {
        found = {entry.value, fmt::format("{} with {} {}", kind, driver.name, to_string(*driver.version))};
      }
      continue;
    }
    by_version = true;
    if (pool.version && *pool.version >= entry.since) found.value = entry.value;
    if (!pool.version) found.value = entry.value;
  }
  if (!by_version || found.origin != kind) return found;
  if (pool.version) {
    found.origin = fmt::format("{} of version {}", kind, to_string(*pool.version));
  } else if (setting.unknown_version) {
    found = {*setting.unknown_version, kind + " (version not declared, the worst one assumed)"};
  } else {
    found.origin = kind + " (version not declared, newest assumed)";
  }
  return found;
}

class Derivation {
 public:
  Derivation(const Pool& pool, const Library& library, LibrarySql& sql, Problems& problems)
      : pool_(pool), library_(library), sql_(sql), problems_(problems) {}

  DerivedPool run() {
    take_defaults();
    take_declared();
    collect_options();
    take_options();
    take_computed_defaults();
    for (std::size_t i = 0; i < library_.adjusts.size(); ++i) apply(i);
    for (std::size_t i = 0; i < library_.settings.size(); ++i) finish(i);
    out_.derived = sql_.derive(values_, problems_);
    for (const Derived& derived : library_.derived) check_type(derived);
    session_overrides();
    return std::move(out_);
  }

 private:
  void problem(int line, const std::string& message) {
    problems_.add(pool_.file, line, fmt::format("[[pool]] '{}': {}", pool_.name, message));
  }

  void problem_with(const DeclaredSetting& declared, const std::string& message) {
    if (declared.file.empty()) return problem(declared.value.line, message);
    problems_.add(declared.file, declared.value.line, fmt::format("pool '{}': {}", pool_.name, message));
  }

  void take_defaults() {
    for (const Setting& setting : library_.settings) {
      const Default found = default_for(setting, pool_);
      SettingState state;
      state.name = setting.name;
      state.unit = setting.type == SettingType::duration ? "seconds" : std::string(to_string(setting.type));
      state.origin = found.origin;
      state.source = setting.source;
      out_.settings.push_back(std::move(state));
      values_.push_back(found.value);
    }
    values_.emplace_back();
    if (pool_.threads_per_process) values_.back() = *pool_.threads_per_process;
  }

  void take_declared() {
    for (const DeclaredSetting& changed : pool_.changed_settings) take(changed, true);
    for (const DeclaredSetting& declared : pool_.settings) take(declared, false);
    for (const DeclaredSetting& imported : pool_.imported_settings) take_imported(imported);
  }

  // Under what the declaration itself says.
  void take_imported(const DeclaredSetting& imported) {
    const Setting* setting = find_setting(library_, imported.key);
    if (setting == nullptr) return;  // fit_to_library() said so
    const auto index = static_cast<std::size_t>(setting - library_.settings.data());
    SettingState& state = out_.settings[index];
    if (!is_null(state.declared)) return;
    const auto* text = imported.value.get<std::string>();
    if (text != nullptr && *text == kUnknownSetting) {
      take_unknown(index, imported.origin);
    } else {
      take(imported, false);
      if (state.origin == "declared") state.origin = imported.origin;
    }
    state.declared_in = imported.origin;
  }

  void take(const DeclaredSetting& declared, bool change) {
    const Setting* setting = find_setting(library_, declared.key);
    if (setting == nullptr) return unknown(declared);
    const auto index = static_cast<std::size_t>(setting - library_.settings.data());
    SettingState& state = out_.settings[index];
    if (!is_null(state.declared)) {
      if (changed_.contains(index)) return;
      return problem(declared.value.line,
                     fmt::format("'{}' is declared twice, the other time as '{}'", setting->name, declared_as_[index]));
    }
    // Also where somebody committed what `pools import` prints.
    const auto* text = declared.value.get<std::string>();
    const bool unknown_value = text != nullptr && *text == kUnknownSetting;
    const Result<Value> value = unknown_value ? Result<Value>(Value{}) : setting_value(*setting, declared.value);
    if (!value) return problem_with(declared, value.error().message);
    declared_as_[index] = declared.key;
    if (change) changed_.insert(index);
    state.declared = written(declared.value);
    if (unknown_value) return take_unknown(index, "declared as unknown");
    if (setting->since && pool_.version && *pool_.version < *setting->since) {
      return too_new(*setting, state, values_[index]);
    }
    values_[index] = *value;
    state.origin = change ? "proposed" : "declared";
  }

  void take_unknown(std::size_t index, const std::string& origin) {
    out_.settings[index].declared = std::string(kUnknownSetting);
    out_.settings[index].origin = origin;
    values_[index] = {};
    unknown_.insert(index);
  }

  // In the order in which they win: those of the URL, and of MySQL's driver they do (ConnectionUrl.collectProperties),
  // then what is declared beside it.
  void collect_options() {
    const auto add = [&](const UrlOption& option) {
      const auto same = [&](const UrlOption& known) { return equals_ignoring_case(known.key, option.key); };
      if (std::none_of(options_.begin(), options_.end(), same)) options_.push_back(option);
    };
    const UrlOption anything{std::string(kUnknownSetting), std::string(kUnknownSetting)};
    if (pool_.url) url_ = *pool_.url;
    if (url_ == kUnknownSetting) add(anything);
    for (const UrlOption& option : url_options(url_)) add(option);
    for (const SettingType type : {SettingType::url, SettingType::options}) {
      if (type == SettingType::url && pool_.url) continue;
      for (std::size_t i = 0; i < library_.settings.size(); ++i) {
        if (library_.settings[i].type != type) continue;
        if (unknown_.contains(i)) add(anything);
        const auto* text = std::get_if<std::string>(&values_[i]);
        if (text == nullptr) continue;
        if (type == SettingType::url) url_ = *text;
        for (const UrlOption& option : type == SettingType::url ? url_options(*text) : property_options(*text))
          add(option);
      }
    }
    for_each_below(library_.driver_options, [&](const std::string& name, const std::string& value) {
      add({name, value});
    });
  }

  // Declared keys that match one of the globs: what stands for *, and the value. What wins comes first.
  template <typename Use>
  void for_each_below(const std::vector<std::string>& globs, const Use& use) {
    for (const auto* list : {&pool_.changed_settings, &pool_.settings, &pool_.imported_settings}) {
      for (const DeclaredSetting& declared : *list) {
        if (find_setting(library_, declared.key) != nullptr) continue;
        if (const std::optional<std::string> name = name_below(library_, globs, declared.key))
          use(*name, text_of(written(declared.value)));
      }
    }
  }

  // What the driver is told holds unless the setting itself is declared.
  void take_options() {
    for (std::size_t i = 0; i < library_.settings.size(); ++i) {
      const Setting& setting = library_.settings[i];
      SettingState& state = out_.settings[i];
      if (setting.url_option.empty() || !is_null(state.declared)) continue;
      const auto named = [&](std::string_view name) {
        return std::find_if(options_.begin(), options_.end(),
                            [&](const UrlOption& option) { return equals_ignoring_case(option.key, name); });
      };
      const auto option = named(setting.url_option);
      if (option == options_.end()) {
        if (named(kUnknownSetting) != options_.end()) take_unknown(i, "not known: the url is hidden");
        continue;
      }
      if (option->value == kUnknownSetting) {  // a placeholder in an imported URL
        take_unknown(i, "not known in the url");
        continue;
      }
      const Result<Value> value = setting_value(setting, TomlValue{option->value, pool_.url_line});
      if (!value) {
        problem(pool_.url_line, fmt::format("option '{}' in its url: {}", setting.url_option, value.error().message));
        continue;
      }
      state.declared = option->value;
      state.origin = "declared in the url";
      values_[i] = *value;
    }
  }

  void unknown(const DeclaredSetting& declared) {
    if (ignores_setting(library_, declared.key) || name_below(library_, library_.driver_options, declared.key) ||
        name_below(library_, library_.session_variables, declared.key))
      return;
    std::vector<std::string> names;
    for (const Setting& setting : library_.settings) {
      if (setting.behaviour) continue;
      names.push_back(setting.name);
      names.insert(names.end(), setting.aliases.begin(), setting.aliases.end());
    }
    problem(declared.value.line, fmt::format("{} has no setting '{}'{}", library_.title,
                                             printable(bounded(declared.key, 80)), did_you_mean(declared.key, names)));
  }

  // A setting that the declared version does not have yet.
  void too_new(const Setting& setting, SettingState& state, Value& value) {
    const std::string fact =
        fmt::format("{} exists since {} {}", setting.name, library_.title, to_string(*setting.since));
    if (setting.ignored_before) {
      state.origin = fmt::format("{}; {} ignores it", fact, to_string(*pool_.version));
      state.changed = state.origin;
    } else {
      state.rejected = fact;
      state.origin = "declared";
      value = {};
    }
  }

  // As written, for reports; lists become one text.
  static Value written(const TomlValue& value) {
    if (const auto* text = value.get<std::string>()) return *text;
    if (const auto* integer = value.get<std::int64_t>()) return *integer;
    if (const auto* real = value.get<double>()) return *real;
    if (const auto* flag = value.get<bool>()) return std::string(*flag ? "true" : "false");
    std::vector<std::string> parts;
    if (const auto* items = value.get<TomlArray>()) {
      for (const TomlValue& item : *items) {
        if (const auto* text = item.get<std::string>()) parts.push_back(*text);
      }
    }
    return join(parts, "; ");
  }

  // Defaults that follow other settings see what was declared for those.
  void take_computed_defaults() {
    for (std::size_t i = 0; i < library_.settings.size(); ++i) {
      const Setting& setting = library_.settings[i];
      if (setting.default_sql.empty() || !is_null(out_.settings[i].declared)) continue;
      if (const std::optional<Value> value = sql_.default_of(i, values_, problems_)) values_[i] = *value;
      out_.settings[i].origin = "default: " + setting.default_sql;
    }
  }

  void apply(std::size_t index) {
    const Adjust& adjust = library_.adjusts[index];
    const LibrarySql::Outcome outcome = sql_.adjust(index, values_, problems_);
    if (!outcome.applies) return;
    SettingState& state = out_.settings[adjust.setting];
    Value& value = values_[adjust.setting];
    if (state.rejected) return;
    if (adjust.kind == AdjustKind::reject) {
      state.rejected = adjust.says;
      value = {};
      return;
    }
    if (outcome.value == value) return;
    value = outcome.value;
    if (adjust.kind == AdjustKind::special) {
      if (!state.origin.empty() && state.origin.back() == '.') state.origin.pop_back();
      state.origin += "; " + adjust.says;
      return;
    }
    state.origin = adjust.says;
    if (!is_null(state.declared)) state.changed = adjust.says;
  }

  // Statements can carry passwords, URLs usually do. Overrides are read from what was declared, further down.
  void finish(std::size_t index) {
    SettingState& state = out_.settings[index];
    state.effective = values_[index];
    // Only now is it known what the value became: "0" may have been given its meaning after the change.
    if (state.changed) {
      state.changed = fmt::format("{}: {}", describe_value(state.effective, state.unit), *state.changed);
    }
    const SettingType type = library_.settings[index].type;
    for (Value* kept : {&state.declared, &state.effective}) {
      auto* text = std::get_if<std::string>(kept);
      if (text == nullptr || *text == kUnknownSetting) continue;
      if (type == SettingType::url || type == SettingType::options) *text = "(not kept: it may hold a password)";
      if (type == SettingType::sql) *text = without_secrets(*text);
    }
  }

  void check_type(const Derived& derived) {
    const std::size_t index = static_cast<std::size_t>(&derived - library_.derived.data());
    if (index >= out_.derived.size()) return;
    Value& value = out_.derived[index];
    if (is_null(value)) return;
    const std::optional<double> number = number_of(value);
    if (!number) {
      problems_.add(library_.file, derived.line,
                    fmt::format("[derive.{}]: it must be a number, not '{}'", derived.column,
                                printable(bounded(text_of(value), 60))));
      value = {};
    } else if (derived.flag) {
      value = std::int64_t{*number != 0 ? 1 : 0};
    } else {
      value = *number;
    }
  }

  // In the order in which they reach the session: the driver's options, the pool's statements, and then what the
  // library sets by itself, unless its description says that statements come later.
  void session_overrides() {
    const SessionOverrides statements = overrides_in_statements();
    out_.session = combined(driver_options(), statements);
    for (const Derived& derived : library_.derived) {
      const std::optional<std::pair<std::string, SessionOverride>> own = override_by(derived);
      if (!own) {
        // COM_RESET_CONNECTION takes back what was only set for the session.
        if (derived.column == "autocommit" && derived_number("resets_session").value_or(0) != 0)
          out_.session.erase(derived.column);
        continue;
      }
      const bool option = own->first == kInteractive && out_.session.contains(own->first);
      if (!option && !(derived.statements_win && statements.contains(own->first)))
        out_.session[own->first] = own->second;
    }
  }

  // MySQL's JDBC driver switches autocommit on after the session variables of its URL, MariaDB's did so before them up
  // to version 2 (ConnectionImpl.handleAutoCommitDefaults; CONJ-269). Other drivers leave it as the server has it.
  [[nodiscard]] SessionOverrides driver_options() const {
    SessionOverrides options = overrides_in_options(options_);
    const SessionOverrides on{{"autocommit", {SessionOverride::Kind::value, 1}}};
    Driver driver = parse_driver(pool_.driver.value_or(""));
    if (driver.name.empty() && url_.starts_with("jdbc:mysql:")) driver.name = "mysql-connector-j";
    if (driver.name.starts_with("mysql-connector-j")) return combined(options, on);
    if (driver.name == "mariadb-java-client" && driver.version && *driver.version < Version{3, 0, 0})
      return combined(on, options);
    return options;
  }

  [[nodiscard]] std::optional<double> derived_number(std::string_view column) const {
    for (std::size_t i = 0; i < out_.derived.size(); ++i) {
      if (library_.derived[i].column == column) return number_of(out_.derived[i]);
    }
    return std::nullopt;
  }

  // What a derived fact does to the session: nothing where it is NULL, unless that is because a setting is unknown.
  [[nodiscard]] std::optional<std::pair<std::string, SessionOverride>> override_by(const Derived& derived) const {
    const std::string name = derived.column == "session_wait_timeout_s" ? "wait_timeout" : derived.column;
    if (name != "wait_timeout" && name != kInteractive && name != "autocommit") return std::nullopt;
    if (const std::optional<double> number = derived_number(derived.column))
      return std::pair{name, SessionOverride{SessionOverride::Kind::value, *number}};
    if (depends_on_unknown(derived)) return std::pair{name, SessionOverride{}};
    return std::nullopt;
  }

  [[nodiscard]] bool depends_on_unknown(const Derived& derived) const {
    if (unknown_.empty()) return false;
    const std::vector<std::size_t> inputs = names_in(derived.sql, sql_names(library_));
    return std::any_of(inputs.begin(), inputs.end(), [&](std::size_t input) { return unknown_.contains(input); });
  }

  SessionOverrides overrides_in_statements() {
    SessionOverrides found;
    for_each_below(library_.session_variables, [&](const std::string& name, const std::string& value) {
      found.merge(override_of(name, value));  // the first one stays
    });
    for (std::size_t i = 0; i < library_.settings.size(); ++i) {
      if (library_.settings[i].type != SettingType::sql) continue;
      if (unknown_.contains(i)) found = combined(found, unknown_statements());
      const auto* text = std::get_if<std::string>(&values_[i]);
      if (text != nullptr) found = combined(found, overrides_in_sql(*text));
    }
    return found;
  }

  const Pool& pool_;
  const Library& library_;
  LibrarySql& sql_;
  Problems& problems_;
  std::vector<Value> values_;
  std::map<std::size_t, std::string> declared_as_;
  std::set<std::size_t> changed_;  // settings that a proposed change decides
  std::set<std::size_t> unknown_;  // settings whose values are declared to be unknown
  std::string url_;
  std::vector<UrlOption> options_;  // of the driver; {unknown, unknown} where some are hidden
  DerivedPool out_;
};

}  // namespace

DerivedPool derive_pool(const Pool& pool, const Library& library, LibrarySql& sql, Problems& problems) {
  return Derivation(pool, library, sql, problems).run();
}

}  // namespace dbaudit

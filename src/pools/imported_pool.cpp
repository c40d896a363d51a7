#include "pools/imported_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/sql_text.h"
#include "base/text.h"
#include "pools/placeholder.h"
#include "pools/session_overrides.h"

namespace dbaudit {
namespace {

bool has(const std::vector<ImportedValue>& values, std::string_view key) {
  return std::any_of(values.begin(), values.end(), [&](const ImportedValue& value) { return value.key == key; });
}

// --- TOML text

std::string toml_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string toml_key(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-';
  });
  return bare ? key : toml_quoted(key);
}

std::string toml_value(const TomlValue& value) {
  if (const auto* text = value.get<std::string>()) return toml_quoted(*text);
  if (const auto* integer = value.get<std::int64_t>()) return std::to_string(*integer);
  if (const auto* real = value.get<double>()) return fmt::format("{:#}", *real);
  if (const auto* flag = value.get<bool>()) return *flag ? "true" : "false";
  if (const auto* items = value.get<TomlArray>()) {
    std::vector<std::string> parts;
    for (const TomlValue& item : *items) parts.push_back(toml_value(item));
    return "[" + join(parts, ", ") + "]";
  }
  return "\"\"";
}

struct Line {
  std::string code;
  std::string comment;
};

Line value_line(const ImportedValue& value) {
  Line line{toml_key(value.key) + " = " + toml_value(value.value), value.origin};
  if (!value.remark.empty()) line.comment += (line.comment.empty() ? "" : ": ") + value.remark;
  return line;
}

std::string left_out_line(const LeftOut& left_out) { return "# " + printable(bounded(describe(left_out), 300)) + "\n"; }

std::string lines_text(const std::vector<Line>& lines) {
  std::size_t width = 0;
  for (const Line& line : lines) width = std::max(width, std::min<std::size_t>(display_width(line.code), 44));
  std::string out;
  for (const Line& line : lines) {
    const std::size_t used = display_width(line.code);
    out += line.code;
    if (!line.comment.empty()) {
      out += std::string(used < width ? width - used + 2 : 2, ' ') + "# " + printable(bounded(line.comment, 200));
    }
    out += "\n";
  }
  return out;
}

std::string pool_text(const ImportedPool& pool) {
  std::vector<Line> keys;
  for (const ImportedValue& value : pool.keys) keys.push_back(value_line(value));
  if (!has(pool.keys, "library")) {
    keys.insert(keys.begin() + 1, {"# library = \"\"", "not in this file: one of `dbaudit pools list`"});
  }
  std::string out = "[[pool]]\n" + lines_text(keys);
  for (const LeftOut& left_out : pool.left_out) out += left_out_line(left_out);
  if (pool.settings.empty()) return out;
  std::vector<Line> settings;
  for (const ImportedValue& value : pool.settings) settings.push_back(value_line(value));
  return out + "[pool.settings]\n" + lines_text(settings);
}

}  // namespace

std::string ImportedPool::text_of(std::string_view key) const {
  for (const ImportedValue& value : keys) {
    const auto* text = value.value.get<std::string>();
    if (value.key == key && text != nullptr) return *text;
  }
  return "";
}

std::string describe(const LeftOut& left_out) {
  return fmt::format("{}{}left out: {}{}", left_out.origin, left_out.origin.empty() ? "" : ": ",
                     left_out.what.empty() ? "" : left_out.what + ": ", left_out.why);
}

std::string origin_of(const std::string& file, int line) { return line > 0 ? fmt::format("{}:{}", file, line) : file; }

TomlValue toml_scalar(const std::string& text, int line, bool yaml_words) {
  const std::string plain(trimmed(text));
  const std::string lower = to_lower(plain);
  if (lower == "true" || (yaml_words && (lower == "yes" || lower == "on"))) return {true, line};
  if (lower == "false" || (yaml_words && (lower == "no" || lower == "off"))) return {false, line};
  std::int64_t integer = 0;
  double real = 0;
  const char* end = plain.data() + plain.size();
  const char first = plain.empty() ? '\0' : plain[0];
  if (is_digit(first) || first == '-') {  // no infinity and no NaN
    if (const auto read = std::from_chars(plain.data(), end, integer); read.ec == std::errc{} && read.ptr == end)
      return {integer, line};
    if (const auto read = std::from_chars(plain.data(), end, real);
        read.ec == std::errc{} && read.ptr == end && plain.find_first_of("infa") == std::string::npos)
      return {real, line};
  }
  return {text, line};
}

void add_key(ImportedPool& pool, const std::string& key, TomlValue value, const std::string& file,
             const std::string& remark) {
  if (has(pool.keys, key)) return;
  const int line = value.line;
  pool.keys.push_back({key, std::move(value), line > 0 ? origin_of(file, line) : "", remark});
}

void add_text_key(ImportedPool& pool, const std::string& key, const std::string& text, int line,
                  const std::string& file) {
  if (text.empty() || has(pool.keys, key)) return;
  if (const auto hidden = placeholder_in(text)) {
    pool.left_out.push_back({key, origin_of(file, line), *hidden + " hides it"});
  } else {
    add_key(pool, key, {text, line}, file);
  }
}

void add_setting(ImportedPool& pool, const std::string& key, const TomlValue& value, const std::string& file) {
  if (is_secret_key(key) || has(pool.settings, key)) return;
  const std::string origin = origin_of(file, value.line);
  const auto* text = value.get<std::string>();
  const auto hidden = text == nullptr ? std::nullopt : placeholder_in(*text);
  if (text != nullptr && text->find("://") != std::string::npos) {
    pool.left_out.push_back({key, origin, "it is a URL, which may hold a password"});
  } else if (hidden) {
    pool.settings.push_back({key, {std::string(kUnknownSetting), value.line}, origin, *hidden + " hides it"});
  } else {
    pool.settings.push_back({key, value, origin, ""});
  }
}

void fit_to_library(ImportedPool& pool, const Library& library) {
  std::vector<ImportedValue> fitting;
  for (ImportedValue& value : pool.settings) {
    const Setting* setting = find_setting(library, value.key);
    if (setting == nullptr) {
      if (ignores_setting(library, value.key)) continue;
      const std::optional<std::string> variable = name_below(library, library.session_variables, value.key);
      if (variable || name_below(library, library.driver_options, value.key)) {
        if (!variable || !override_of(*variable, "").empty()) fitting.push_back(std::move(value));
        continue;
      }
      std::vector<std::string> names;
      for (const Setting& known : library.settings) {
        if (!known.behaviour) names.push_back(known.name);
      }
      pool.left_out.push_back(
          {value.key, value.origin,
           fmt::format("{} has no setting of this name{}", library.title, did_you_mean(value.key, names))});
      continue;
    }
    const auto* text = value.value.get<std::string>();
    // They are in the key `url`, without what it must not keep.
    if (setting->type == SettingType::url || setting->type == SettingType::options) continue;
    if (text != nullptr && *text == "none" && !setting->none && setting->type != SettingType::text) {
      pool.left_out.push_back({setting->name, value.origin, "it is empty"});
      continue;
    }
    if (text != nullptr && setting->type == SettingType::sql) {
      value.value.value = without_secrets(*text);
    }
    // Text that only looks like a number.
    if (setting->type == SettingType::text || setting->type == SettingType::sql) {
      if (const auto* integer = value.value.get<std::int64_t>()) value.value.value = std::to_string(*integer);
      if (const auto* flag = value.value.get<bool>()) value.value.value = std::string(*flag ? "true" : "false");
    }
    value.key = setting->name;
    if (!has(fitting, value.key)) fitting.push_back(std::move(value));
  }
  pool.settings = std::move(fitting);
}

std::vector<DeclaredSetting> declared_settings(const ImportedPool& pool, const std::string& file) {
  std::vector<DeclaredSetting> out;
  for (const ImportedValue& value : pool.settings) {
    out.push_back({value.key, value.value, file,
                   value.remark.empty() ? value.origin : fmt::format("{}: {}", value.origin, value.remark)});
  }
  return out;
}

TomlValue pool_table(const ImportedPool& pool) {
  TomlMembers members;
  int line = 0;
  for (const ImportedValue& value : pool.keys) {
    members.push_back({value.key, value.value});
    if (value.value.line > 0 && (line == 0 || value.value.line < line)) line = value.value.line;
  }
  std::sort(members.begin(), members.end(), [](const TomlMember& a, const TomlMember& b) { return a.key < b.key; });
  return {std::move(members), line};
}

std::string toml_text(const Imported& imported, const std::string& file) {
  std::string out = printable(fmt::format("# From {} ({}).", bounded(file, 200), imported.format)) + "\n";
  const auto is_unknown = [](const ImportedValue& value) {
    const auto* text = value.value.get<std::string>();
    return text != nullptr && *text == kUnknownSetting;
  };
  const bool unknowns = std::any_of(imported.pools.begin(), imported.pools.end(), [&](const ImportedPool& pool) {
    return std::any_of(pool.settings.begin(), pool.settings.end(), is_unknown);
  });
  if (unknowns) out += "# \"unknown\" is what the file leaves to its deployment: write what is in force there.\n";
  for (const LeftOut& left_out : imported.left_out) out += left_out_line(left_out);
  for (const ImportedPool& pool : imported.pools) out += "\n" + pool_text(pool);
  return out;
}

}  // namespace dbaudit

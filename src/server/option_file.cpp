#include "server/option_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/text.h"

namespace dbaudit {
namespace {

constexpr int kMaxIncludeDepth = 10;  // as in MySQL's mysys/my_default.cc

// Where an unquoted '#' begins a comment: at the start, or after white space.
std::string_view without_comment(std::string_view text) {
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = '\0';
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
      return text.substr(0, i);
    }
  }
  return text;
}

std::string unquoted(std::string_view value) {
  if (value.size() >= 2 && (value.front() == '\'' || value.front() == '"') && value.back() == value.front()) {
    value = value.substr(1, value.size() - 2);
  }
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\' || i + 1 == value.size()) {
      out += value[i];
      continue;
    }
    const char next = value[++i];
    constexpr std::string_view kEscapes = "btnrs\\";
    constexpr std::string_view kMeaning = "\b\t\n\r \\";
    const std::size_t known = kEscapes.find(next);
    if (known == std::string_view::npos) {
      out += '\\';
      out += next;
    } else {
      out += kMeaning[known];
    }
  }
  return out;
}

class Reader {
 public:
  explicit Reader(Problems& problems) : problems_(problems) {}

  void file(const std::string& path, int depth) {
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) != 0) {
      problems_.add(path, 0, "anybody may write to this option file, so it is not read; chmod o-w it");
      return;
    }
    std::ifstream in(path);
    if (!in) {
      problems_.add(path, 0, "the option file cannot be read");
      return;
    }
    std::string group;
    std::string text;
    for (int line = 1; std::getline(in, text); ++line) {
      const std::string_view content = trimmed(text);
      if (content.empty() || content.front() == '#' || content.front() == ';') continue;
      if (content.front() == '!') {
        include(content, path, line, depth);
      } else if (content.front() == '[') {
        const std::size_t end = content.find(']');
        if (end == std::string_view::npos) problems_.add(path, line, "the group name has no closing ']'");
        group = trimmed(content.substr(1, end == std::string_view::npos ? end : end - 1));
      } else if (group.empty()) {
        problems_.add(path, line, "an option stands before the first [group]");
      } else {
        option(group, content, path, line);
      }
    }
  }

  std::vector<OptionFileEntry> entries;

 private:
  void option(const std::string& group, std::string_view content, const std::string& path, int line) {
    content = trimmed(without_comment(content));
    const std::size_t equals = content.find('=');
    OptionFileEntry entry;
    entry.group = group;
    entry.key = trimmed(content.substr(0, equals));
    std::replace(entry.key.begin(), entry.key.end(), '-', '_');
    if (entry.key.rfind("loose_", 0) == 0) entry.key.erase(0, 6);
    entry.has_value = equals != std::string_view::npos;
    if (entry.has_value) entry.value = unquoted(trimmed(content.substr(equals + 1)));
    entry.file = path;
    entry.line = line;
    entries.push_back(std::move(entry));
  }

  void include(std::string_view content, const std::string& path, int line, int depth) {
    const std::size_t space = content.find_first_of(" \t");
    const std::string_view directive = content.substr(0, space);
    const std::filesystem::path target(
        std::string(space == std::string_view::npos ? std::string_view() : trimmed(content.substr(space))));
    if (depth >= kMaxIncludeDepth) {
      problems_.add(path, line, fmt::format("included more than {} deep", kMaxIncludeDepth));
    } else if (directive == "!include" && !target.empty()) {
      file(target.string(), depth + 1);
    } else if (directive == "!includedir" && !target.empty()) {
      std::error_code error;
      std::vector<std::string> found;
      for (const auto& child : std::filesystem::directory_iterator(target, error)) {
        if (child.path().extension() == ".cnf") found.push_back(child.path().string());
      }
      if (error) problems_.add(path, line, fmt::format("{}: {}", target.string(), error.message()));
      std::sort(found.begin(), found.end());
      for (const std::string& child : found) file(child, depth + 1);
    } else {
      problems_.add(path, line, "only '!include FILE' and '!includedir FOLDER' are known");
    }
  }

  Problems& problems_;
};

}  // namespace

std::vector<OptionFileEntry> read_option_file(const std::string& path, Problems& problems) {
  Reader reader(problems);
  reader.file(path, 0);
  return std::move(reader.entries);
}

std::vector<OptionFileEntry> client_options(const OptionFileChoice& choice, Problems& problems) {
  std::vector<std::string> files;
  const auto add_if_there = [&files](const std::string& path) {
    if (std::filesystem::exists(path)) files.push_back(path);
  };
  if (!choice.defaults_file.empty()) {
    files.push_back(choice.defaults_file);
  } else {
    add_if_there("/etc/my.cnf");
    add_if_there("/etc/mysql/my.cnf");
    if (!choice.defaults_extra_file.empty()) files.push_back(choice.defaults_extra_file);
    if (!choice.home.empty()) add_if_there(choice.home + "/.my.cnf");
  }
  std::vector<OptionFileEntry> wanted;
  for (const std::string& path : files) {
    for (OptionFileEntry& entry : read_option_file(path, problems)) {
      for (const std::string_view base : {"client", "dbaudit"}) {
        if (entry.group == base ||
            (!choice.group_suffix.empty() && entry.group == std::string(base) + choice.group_suffix)) {
          wanted.push_back(std::move(entry));
          break;
        }
      }
    }
  }
  return wanted;
}

}  // namespace dbaudit

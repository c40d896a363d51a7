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

// An unquoted '#' begins a comment wherever it stands, as in remove_end_comment() of MySQL's mysys/my_default.cc.
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
    } else if (c == '#') {
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
  Reader(Problems& problems, bool must_be_readable) : problems_(problems), must_be_readable_(must_be_readable) {}

  void file(const std::string& path, int depth) {
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) != 0) {
      problems_.add(path, 0, "anybody may write to this option file, so it is not read; chmod o-w it");
      return;
    }
    std::ifstream in(path);
    if (!in) {
      if (must_be_readable_) problems_.add(path, 0, "the option file cannot be read");
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
      if (error && must_be_readable_)
        problems_.add(path, line, fmt::format("{}: {}", target.string(), error.message()));
      std::sort(found.begin(), found.end());
      for (const std::string& child : found) file(child, depth + 1);
    } else {
      problems_.add(path, line, "only '!include FILE' and '!includedir FOLDER' are known");
    }
  }

  Problems& problems_;
  bool must_be_readable_;
};

}  // namespace

std::vector<OptionFileEntry> read_option_file(const std::string& path, Problems& problems) {
  Reader reader(problems, true);
  reader.file(path, 0);
  return std::move(reader.entries);
}

std::vector<OptionFileEntry> client_options(const OptionFileChoice& choice, Problems& problems) {
  struct File {
    std::string path;
    bool named;  // by the user; the default ones are skipped when they are missing or not for this user's eyes
  };
  std::vector<File> files;
  if (!choice.defaults_file.empty()) {
    files.push_back({choice.defaults_file, true});
  } else {
    files.push_back({"/etc/my.cnf", false});
    files.push_back({"/etc/mysql/my.cnf", false});
    if (!choice.defaults_extra_file.empty()) files.push_back({choice.defaults_extra_file, true});
    if (!choice.home.empty()) files.push_back({choice.home + "/.my.cnf", false});
  }
  std::vector<OptionFileEntry> wanted;
  for (const File& file : files) {
    Reader reader(problems, file.named);
    reader.file(file.path, 0);
    for (OptionFileEntry& entry : reader.entries) {
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

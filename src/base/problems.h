// Problems found in input that people write: config, rules, pools, option files, arguments. They are collected, so
// that everything wrong is reported in one run, each with its place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbaudit {

struct Problem {
  std::string file;  // as the user named it; empty for the command line
  int line = 0;      // 1-based; 0 when the whole file is meant
  std::string message;
};

class Problems {
 public:
  void add(std::string file, int line, std::string message);
  // A problem with the command line.
  void add(std::string message) { add({}, 0, std::move(message)); }

  void add(const Problems& others) { list_.insert(list_.end(), others.list_.begin(), others.list_.end()); }

  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] const std::vector<Problem>& list() const { return list_; }
  // One "file:line: message" a line, in order of file and line.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Problem> list_;
};

// "; did you mean 'x'?" for the candidate that is nearest to `word`, or "" when none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace dbaudit

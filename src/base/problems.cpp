#include "base/problems.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <set>

namespace dbaudit {

void Problems::add(std::string file, int line, std::string message) {
  list_.push_back({std::move(file), line, std::move(message)});
}

std::string Problems::text() const {
  std::vector<Problem> sorted = list_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return a.file != b.file ? a.file < b.file : a.line < b.line;
  });
  std::string out;
  std::set<std::string> said;  // a file that two things need is read twice
  for (const Problem& problem : sorted) {
    if (!problem.file.empty() &&
        !said.insert(problem.file + ":" + std::to_string(problem.line) + ":" + problem.message).second)
      continue;
    if (!problem.file.empty()) {
      out += problem.file;
      if (problem.line > 0) out += ":" + std::to_string(problem.line);
      out += ": ";
    }
    out += problem.message + "\n";
  }
  return out;
}

namespace {

// Letters typed in another case or with another separator count as near.
std::string folded(std::string_view word) {
  std::string out;
  for (const char c : word) {
    out += c == '-' || c == '.' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

// Damerau-Levenshtein distance (adjacent transpositions count once).
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before_previous;
  std::vector<std::size_t> previous(b.size() + 1);
  std::iota(previous.begin(), previous.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> current(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before_previous[j - 2] + 1);
      }
    }
    before_previous = std::move(previous);
    previous = std::move(current);
  }
  return previous[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string wanted = folded(word);
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(wanted, folded(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = &candidate;
    }
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

}  // namespace dbaudit

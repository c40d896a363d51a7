// The SQL expressions of a library description, prepared once and evaluated for every pool that uses the library.
//
// Library files may be a user's own, so their SQL is untrusted: it runs with the fact store's authorizer and work
// limit, and sees nothing but the library's settings and `threads_per_process`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "facts/store.h"
#include "pools/library.h"

namespace dbaudit {

// Names that an expression can use: all settings, behaviours, and last threads_per_process, in this order.
std::vector<std::string> sql_names(const Library& library);

// Which of `names` the expression mentions, as indices.
std::vector<std::size_t> names_in(std::string_view expression, const std::vector<std::string>& names);

class LibrarySql {
 public:
  // Checks every expression; all that is wrong goes to `problems`. The store must outlive the result; the library only
  // this call.
  static LibrarySql compile(Store& store, const Library& library, Problems& problems);

  // `values` holds one value for each of sql_names(). An empty result: the expression could not be evaluated, and why
  // went to `problems`, or it had not compiled.
  std::optional<Value> default_of(std::size_t setting, const std::vector<Value>& values, Problems& problems);

  struct Outcome {
    bool applies = false;
    Value value;
  };
  Outcome adjust(std::size_t index, const std::vector<Value>& values, Problems& problems);

  // One value for each of Library::derived; empty when they could not be evaluated.
  std::vector<Value> derive(const std::vector<Value>& values, Problems& problems);

 private:
  struct Program {
    std::optional<Query> query;
    std::vector<std::size_t> inputs;
    int line = 0;
  };
  bool run(Program& program, const std::vector<Value>& values, Problems& problems);

  std::string file_;
  std::vector<Program> defaults_;  // one a setting, empty when it has no default_sql
  std::vector<Program> adjusts_;
  Program derived_;
  std::size_t derived_count_ = 0;
};

}  // namespace dbaudit

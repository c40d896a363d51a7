#include "pools/library_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/toml.h"
#include "facts/schema.h"
#include "pools/declare.h"
#include "pools/derive.h"

namespace dbaudit {
namespace {

class Case {
 public:
  Case(const Library& library, const std::vector<std::string>& folders, const TomlValue& table)
      : library_(library), folders_(folders), reader_(table, library.file, "[[test]]", problems_) {}

  std::vector<std::string> run() {
    name_ = reader_.required_text("name");
    const TomlValue declared = pool_table(reader_.table("pool"));
    const TomlValue* expected = reader_.table("expect");
    if (expected == nullptr) reader_.problem("expect", "'expect' is missing");
    std::vector<std::string> changed = reader_.texts("changed");
    std::vector<std::string> rejected = reader_.texts("rejected");
    reader_.finish();
    const std::vector<Pool> pools = parse_pools({&declared}, library_.file, {}, problems_);
    derive_pools(store_, pools, folders_, problems_);
    if (problems_.empty() && expected != nullptr) {
      for (const auto& [column, value] : *expected->get<TomlMembers>()) compare(column, value);
      compare_settings("changed", std::move(changed));
      compare_settings("rejected", std::move(rejected));
    }
    for (const Problem& problem : problems_.list()) {
      failures_.push_back(fmt::format("{}:{}: {}", problem.file, problem.line, problem.message));
    }
    return std::move(failures_);
  }

 private:
  TomlValue pool_table(const TomlValue* written) const {
    TomlMembers members;
    if (written != nullptr) members = *written->get<TomlMembers>();
    members.push_back({"library", {library_.id, reader_.line()}});
    members.push_back({"name", {std::string("pool"), reader_.line()}});
    std::sort(members.begin(), members.end(), [](const TomlMember& a, const TomlMember& b) { return a.key < b.key; });
    return {members, reader_.line()};
  }

  void compare(const std::string& column, const TomlValue& wanted) {
    std::vector<std::string> known;
    for (const Column& one : find_table("pool")->columns) known.emplace_back(one.name);
    if (std::find(known.begin(), known.end(), column) == known.end())
      return problems_.add(library_.file, wanted.line,
                           fmt::format("table pool has no column '{}'{}", column, did_you_mean(column, known)));
    Query query = store_.query(fmt::format("SELECT \"{}\" FROM pool", column));
    const Value found = query.next().value() ? query.value(0) : Value{};
    std::optional<double> number;
    if (const auto* integer = wanted.get<std::int64_t>()) number = static_cast<double>(*integer);
    if (const auto* real = wanted.get<double>()) number = *real;
    const auto* text = wanted.get<std::string>();
    const std::optional<double> is = number_of(found);
    const bool same = number ? is && (*is == *number || std::abs(*is - *number) < 1e-9 * std::abs(*number))
                      : text != nullptr && *text == "unknown" ? is_null(found)
                                                              : text != nullptr && text_of(found) == *text;
    if (same) return;
    failed(fmt::format("expected {} {}, got {}", column,
                       number            ? text_of(*number)
                       : text == nullptr ? "?"
                                         : *text,
                       is_null(found) ? "unknown" : text_of(found)));
  }

  void compare_settings(const char* column, std::vector<std::string> wanted) {
    std::vector<std::string> found;
    Query query = store_.query(fmt::format("SELECT setting FROM pool_setting WHERE {} IS NOT NULL", column));
    while (query.next().value()) found.push_back(query.text(0));
    std::sort(found.begin(), found.end());
    std::sort(wanted.begin(), wanted.end());
    if (found != wanted)
      failed(fmt::format("expected {} [{}], got [{}]", column, join(wanted, ", "), join(found, ", ")));
  }

  void failed(const std::string& what) {
    failures_.push_back(
        fmt::format("{}:{}: library {}, test '{}': {}", library_.file, reader_.line(), library_.id, name_, what));
  }

  const Library& library_;
  const std::vector<std::string>& folders_;
  Problems problems_;
  TomlReader reader_;
  Store store_{Tables::without_wide};
  std::string name_;
  std::vector<std::string> failures_;
};

}  // namespace

LibraryTests run_library_tests(const Library& library, const std::vector<std::string>& folders, Problems& problems) {
  LibraryTests tests;
  const std::optional<TomlValue> root = parse_toml_file(library.file, problems);
  if (!root) return tests;
  TomlReader reader(*root, library.file, "library " + library.id, problems);
  for (const TomlValue* table : reader.tables("test")) {
    ++tests.count;
    std::vector<std::string> failures = Case(library, folders, *table).run();
    std::move(failures.begin(), failures.end(), std::back_inserter(tests.failures));
  }
  return tests;
}

}  // namespace dbaudit

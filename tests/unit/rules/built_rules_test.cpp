#include "rules/built_rules.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace dbaudit;

TEST_CASE("shipped rules are, member by member, what parsing their files gives") {
  Problems problems;
  std::vector<RuleFile> files = read_rule_files({DBAUDIT_SOURCE_RULES}, RuleTests::leave_out, problems);
  const std::vector<Rule> built = parse_rules(files, problems);
  CHECK(built.size() == built_rules().size());
  for (RuleFile& file : files) {
    CHECK_MESSAGE(file.built != nullptr, file.path);
    file.built = nullptr;
  }
  std::vector<Rule> parsed = parse_rules(files, problems);
  REQUIRE(problems.text() == "");
  REQUIRE(parsed.size() == built.size());
  for (std::size_t i = 0; i < built.size(); ++i) {
    CHECK(built[i].as_built);
    CHECK(!parsed[i].as_built);
    parsed[i].as_built = true;
    CHECK_MESSAGE(built[i] == parsed[i], built[i].id);
  }
}

TEST_CASE("a rule that differs from what was built by one byte, or is named otherwise, is parsed") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("dbaudit-built-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const BuiltRule& shipped = built_rules().front();
  const auto read = [&](const std::string& name, const std::string& text) {
    const fs::path path = folder / name;
    std::ofstream(path) << text;
    Problems problems;
    std::vector<RuleFile> files = read_rule_files({path.string()}, RuleTests::leave_out, problems);
    REQUIRE(problems.empty());
    return files.front();
  };
  const std::string id(shipped.id);
  const std::string text(shipped.text);
  const RuleFile copy = read(id + "-copy.toml", text + "\n[[test]]\nname = \"whatever\"\n");
  CHECK(copy.built == &shipped);
  CHECK(read("copy.toml", text).built == nullptr);
  const RuleFile mine = read(id + "-mine.toml", "#\n" + text);
  CHECK(mine.built == nullptr);
  Problems problems;
  CHECK(parse_rules({copy}, problems).front().category == folder.filename().string());
  const Rule parsed = parse_rules({mine}, problems).front();
  CHECK(!parsed.as_built);
  CHECK(parsed.line == shipped.make().line + 1);
  CHECK(problems.empty());
  fs::remove_all(folder);
}

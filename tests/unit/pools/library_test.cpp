#include "pools/library.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "pool_fixture.h"
#include "pools/library_sql.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

namespace {

std::string problems_of(const std::string& toml, const std::string& file = "wobble.toml") {
  Problems problems;
  Store store;
  const std::optional<TomlValue> root = parse_toml(toml, file, problems);
  const std::optional<Library> library = root ? parse_library(*root, file, problems) : std::nullopt;
  if (library) LibrarySql::compile(store, *library, problems);
  return problems.text();
}

// A description that is right; tests break one thing each.
constexpr std::string_view kSound = R"(id = "wobble"
title = "Wobble"
ecosystem = "jvm"
time_unit = "ms"
[settings.size]
type = "count"
default = 3
doc = "d"
source = "s"
[settings."idle.limit"]
type = "duration"
default = 1000
doc = "d"
source = "s"
[derive]
max_connections_per_process.sql = "size"
longest_unchecked_idle_s.sql = '"idle.limit"'
longest_silence_s.sql = "9e999"
longest_unchecked_hold_s.sql = "NULL"
acquire_timeout_s.sql = "NULL"
max_lifetime_s.sql = "NULL"
validates_on_borrow.sql = "0"
validates_on_return.sql = "0"
discards_broken.sql = "0"
autocommit.sql = "NULL"
)";

struct TemporaryFolder {
  std::filesystem::path path;
  explicit TemporaryFolder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("dbaudit-" + name + std::to_string(getpid()))) {
    std::filesystem::create_directories(path);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, std::string_view text) const { std::ofstream(path / name) << text; }
};

}  // namespace

TEST_CASE("all shipped libraries are sound") {
  Problems problems;
  Store store;
  const std::vector<Library> libraries = load_libraries({shipped_libraries()}, problems);
  for (const Library& library : libraries) LibrarySql::compile(store, library, problems);
  CHECK(problems.text() == "");
  CHECK(libraries.size() >= 3);
  for (const Library& library : libraries) {
    CAPTURE(library.id);
    CHECK(!library.doc.empty());
    CHECK(!library.dead_log.empty());
  }
}

TEST_CASE("a sound description has no problems") { CHECK(problems_of(std::string(kSound)) == ""); }

TEST_CASE("everything wrong in a description is reported at once, with its line") {
  const std::string text = problems_of(R"toml(id = "wibble"
title = "Wobble"
time_unit = "minutes"
colour = "red"
[settings.size]
type = "counter"
default = "three"
source = "s"
[settings.idle]
type = "duration"
unit = "fortnight"
default = true
doc = "d"
source = "s"
[settings.flag]
type = "bool"
unit = "s"
since = "4.1"
default_by_version = [{ since = "2", default = true }, { since = "1", default = 5 }]
doc = "d"
source = "s"
[[adjust]]
setting = "idlee"
kind = "clam"
when = "1"
value = "1"
says = "x"
[[adjust]]
setting = "idle"
kind = "reject"
when = "idle < size AND idlee > 0"
value = "1"
says = "x"
[[adjust]]
setting = "idle"
kind = "clamp"
when = "idle <"
value = '''
CASE WHEN size > 0
  THEN "sise" END'''
says = "x"
[derive.max_connections_per_process]
sql = "sizes"
[derive.longest_silence]
sql = "1"
[derive.longest_silence_s]
sql = "(SELECT max(instances) FROM pool)"
[derive.longest_unchecked_idle_s]
sql = "1, 2"
)toml");
  INFO(text);
  for (const char* line : {
           "wobble.toml:1: library: 'id' is \"wibble\", but the file is named wobble.toml",
           "library: 'ecosystem' is missing or empty",
           "wobble.toml:3: library: 'time_unit' is \"minutes\", it must be one of ms, s, m, h, d",
           "wobble.toml:4: library: unknown key 'colour'",
           "wobble.toml:6: [settings.size]: 'type' is \"counter\", it must be one of",
           "wobble.toml:5: [settings.size]: 'doc' is missing or empty",
           "wobble.toml:11: [settings.idle]: 'unit' is \"fortnight\"",
           "wobble.toml:12: [settings.idle]: 'idle' must be a duration",
           "wobble.toml:17: [settings.flag]: 'unit' is for settings of type duration only",
           "wobble.toml:18: [settings.flag]: 'since' needs 'before_since'",
           "wobble.toml:19: default_by_version of 'flag': 'flag' must be true or false",
           "wobble.toml:19: default_by_version of 'flag': the entries must be in ascending order",
           "wobble.toml:23: [[adjust]]: there is no setting 'idlee'; did you mean 'idle'?",
           "wobble.toml:24: [[adjust]]: 'kind' is \"clam\", it must be one of clamp, special, reject",
           "wobble.toml:32: [[adjust]]: a rejected setting has no 'value'",
           "wobble.toml:31: [[adjust]] of 'idle': 'when': there is no setting 'idlee'; did you mean 'idle'?",
           "[[adjust]] of 'idle': 'when': ",
           "[[adjust]] of 'idle': 'value' uses the setting 'sise', which does not exist; did you mean 'size'?",
           "wobble.toml:43: [derive]: max_connections_per_process: there is no setting 'sizes'; did you mean 'size'?",
           "wobble.toml:44: [derive]: unknown key 'longest_silence'; did you mean 'longest_silence_s'?",
           "wobble.toml:47: [derive]: longest_silence_s: it may use the settings of this library only",
           "wobble.toml:49: [derive]: longest_unchecked_idle_s: row value misused",
           "[derive.acquire_timeout_s] is missing",
       }) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("SQL of a description can neither write, attach nor loop for ever") {
  const auto with_silence = [](const std::string& sql) {
    std::string toml(kSound);
    toml.replace(toml.find("\"9e999\""), 7, "'''" + sql + "'''");
    return toml;
  };
  CHECK(problems_of(with_silence("1); DELETE FROM pool; SELECT (1")) != "");
  CHECK(problems_of(with_silence("load_extension('x')")) != "");
  CHECK(problems_of(with_silence("1 -- a comment at the end")) == "");
  TemporaryFolder folder("loop");
  folder.write("wobble.toml", with_silence("(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                           "SELECT max(i) FROM n)"));
  Store store;
  Problems problems;
  Pool pool;
  pool.name = "p";
  pool.library = "wobble";
  derive_pools(store, {pool}, {folder.path.string()}, problems);
  INFO(problems.text());
  CHECK(problems.text().find("it loops, or joins too much") != std::string::npos);
}

TEST_CASE("a library id belongs to one file") {
  TemporaryFolder first("first");
  TemporaryFolder second("second");
  first.write("wobble.toml", kSound);
  Problems none;
  CHECK(load_library({first.path.string(), second.path.string()}, "wobble", none).ok());
  CHECK(none.empty());
  second.write("wobble.toml", kSound);
  Problems one;
  CHECK(load_library({first.path.string(), second.path.string()}, "wobble", one).ok());
  CHECK(one.text().find("is described in") != std::string::npos);
  Problems all;
  load_libraries({first.path.string(), second.path.string(), "/nowhere/at/all"}, all);
  CHECK(all.list().size() == 2);
}

TEST_CASE("two settings cannot answer to one name") {
  std::string toml(kSound);
  toml.insert(toml.find("[settings.size]"), "relaxed_names = true\n");
  toml.insert(toml.find("[derive]"), "[settings.Si-ze]\ntype = \"count\"\ndoc = \"d\"\nsource = \"s\"\n");
  CHECK(problems_of(toml).find("already means") != std::string::npos);
}

TEST_CASE("what stands for * in driver_options and session_variables") {
  std::string toml(kSound);
  toml.insert(toml.find("[settings.size]"), "driver_options = [\"dataSource\"]\n");
  CHECK(problems_of(toml) == "wobble.toml:5: library: 'driver_options' must end in .*: \"dataSource\" does not\n");
  Library library;
  const std::vector<std::string> globs{"dataSource.*", "connection.options.*"};
  CHECK(name_below(library, globs, "dataSource.socketTimeout") == "socketTimeout");
  CHECK(name_below(library, globs, "dataSource.a.b") == "a.b");
  CHECK(name_below(library, globs, "connection.options.x") == "x");
  for (const char* other : {"dataSource", "dataSource.", "connection.x", "data-source.x", "x.dataSource.y", ""})
    CHECK(!name_below(library, globs, other));
  library.relaxed_names = true;
  CHECK(name_below(library, globs, "data-source.socketTimeout") == "socketTimeout");
}

TEST_CASE("defaults by driver") {
  TemporaryFolder folder("driver");
  std::string toml(kSound);
  toml.insert(toml.find("[derive]"), R"([behaviour.retries]
type = "bool"
default = false
default_by_version = [{ driver = "go-*", since = "1.9.0", default = true }]
doc = "d"
source = "s"
)");
  toml.replace(toml.find("discards_broken.sql = \"0\""), 25, "discards_broken.sql = \"retries\"");
  folder.write("wobble.toml", toml);
  const struct {
    const char* driver;
    std::int64_t expected;
  } cases[] = {{"go-sql-driver 1.9.0", 1}, {"go-sql-driver 1.5.0", 0}, {"other 2.0", 0}, {"go-sql-driver", 0}};
  for (const auto& c : cases) {
    CAPTURE(c.driver);
    Store store;
    Problems problems;
    Pool pool;
    pool.name = "p";
    pool.library = "wobble";
    pool.driver = c.driver;
    derive_pools(store, {pool}, {folder.path.string()}, problems);
    CHECK(problems.text() == "");
    Query query = store.query("SELECT discards_broken FROM pool");
    CHECK(query.next().value());
    CHECK(query.integer(0) == c.expected);
  }
}

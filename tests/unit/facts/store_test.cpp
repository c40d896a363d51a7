#include "facts/store.h"

#include <doctest/doctest.h>

#include <unistd.h>
#include <chrono>

#include <filesystem>
#include <fstream>
#include <set>

#include "facts/known_names.h"
#include "facts/schema.h"

using namespace dbaudit;

namespace {

std::string refusal(const std::string& sql) {
  Store store;
  SqlCheck check;
  Result<Query> query = store.untrusted_query(sql, {.steps = 1'000'000}, check);
  if (!query) return query.error().message;
  Result<bool> more = true;
  while (more && *more) more = query->next();
  return more ? "" : more.error().message;
}

struct TemporaryFile {
  std::string path =
      (std::filesystem::temp_directory_path() / ("dbaudit-test-" + std::to_string(getpid()) + ".db")).string();
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("other people's SQL may read facts and nothing else") {
  CHECK(refusal("SELECT count(*) FROM sessions") == "");
  CHECK(refusal("WITH x AS (SELECT name FROM server) SELECT count(*) FROM x") == "");
  for (const char* forbidden :
       {"INSERT INTO server (name) VALUES ('x')", "DELETE FROM server", "UPDATE server SET name = 'x'",
        "DROP TABLE server", "ATTACH 'x.db' AS x", "PRAGMA table_info(server)",
        "SELECT * FROM pragma_table_info('server')", "SELECT sql FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_master", "SELECT load_extension('x')", "SELECT randomblob(5)",
        "CREATE VIEW v AS SELECT 1", "BEGIN"}) {
    CAPTURE(forbidden);
    CHECK(refusal(forbidden) != "");
  }
  CHECK(refusal("SELECT 1; SELECT 2") == "one statement only; there is more after its end");
  CHECK(refusal("") == "the statement is empty");
}

TEST_CASE("a statement that never ends is stopped") {
  CHECK(refusal("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
            .find("it loops") != std::string::npos);
}

TEST_CASE("a misspelt column or table is named with the nearest one, and its line") {
  CHECK(refusal("SELECT v.lock_wait_timout FROM global_variables v") ==
        "no such column: v.lock_wait_timout; did you mean 'lock_wait_timeout'?");
  CHECK(refusal("SELECT 1 FROM sesions") == "no such table: sesions; did you mean 'sessions'?");
  Store store;
  SqlCheck check;
  CHECK_FALSE(store.untrusted_query("SELECT name,\n  nme\nFROM server", {.steps = 1000}, check).ok());
  CHECK(check.error_line == 1);
}

TEST_CASE("one costly call of a function is bounded, and so are many") {
  // Twice as long with every step: without a limit, gibibytes.
  const std::string doubling =
      "WITH RECURSIVE t(x) AS (SELECT 'aaaaaaaaaaaaaaaa' UNION ALL SELECT {} FROM t) SELECT count(*) FROM t";
  for (const std::string grow : {"x || x", "replace(x, 'a', 'aa')", "hex(x)", "quote(x || x)"}) {
    CAPTURE(grow);
    std::string sql = doubling;
    sql.replace(sql.find("{}"), 2, grow);
    CHECK(refusal(sql).find("stopped: it makes a text or row longer than 65536 bytes") == 0);
  }
  Store printing;
  SqlCheck no_reads;
  Result<Query> wide =
      printing.untrusted_query("SELECT printf('%*s', 1000000000, '') IS NULL", {.steps = 1000}, no_reads);
  REQUIRE(wide.ok());
  REQUIRE(wide->next().value());
  CHECK(wide->integer(0) == 1);  // printf() gives NULL in place of an error
  const std::string many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) ";
  CHECK(refusal(many + "SELECT length(group_concat('0123456789')) FROM n").find("stopped: it makes a text") == 0);
  CHECK(refusal("SELECT 'x' LIKE printf('%2000s', '')").find("pattern too complex") != std::string::npos);

  // What is allowed for one call costs a moment, and then the clock is looked at.
  for (const std::string slow : {"instr(a, b)", "length(replace(a, b, 'x'))", "a LIKE '%a%a%a%a%a%b'"}) {
    CAPTURE(slow);
    Store store;
    SqlCheck check;
    const auto begin = std::chrono::steady_clock::now();
    Result<Query> query = store.untrusted_query(
        "WITH RECURSIVE t(a, b, n) AS (SELECT printf('%.*c', 30000, 'a'), printf('%.*c', 15000, 'a') || 'b', 1 "
        "UNION ALL SELECT a, b, " +
            slow + " FROM t) SELECT max(n) FROM t",
        {.steps = 1'000'000'000, .time = Seconds{0.2}}, check);
    REQUIRE(query.ok());
    const Result<bool> more = query->next();
    REQUIRE_FALSE(more.ok());
    CHECK(more.error().kind == ErrorKind::timeout);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  }
}

TEST_CASE("what a statement reads is recorded") {
  Store store;
  SqlCheck check;
  REQUIRE(store
              .untrusted_query(
                  "SELECT s.user FROM sessions s JOIN global_variables v USING (server_id) WHERE v.wait_timeout > 5",
                  {.steps = 1000}, check)
              .ok());
  CHECK(check.reads.contains({"sessions", "user"}));
  CHECK(check.reads.contains({"global_variables", "wait_timeout"}));
  CHECK_FALSE(check.reads.contains({"global_variables", "interactive_timeout"}));
}

TEST_CASE("unlimited compares as one expects, unknown stays unknown") {
  Store store;
  Query query =
      store.query("SELECT 9e999 > 31536000, NULL > 5, margin_of('10%, at least 5s', 100), margin_of('nonsense', 1)");
  REQUIRE(query.next().value());
  CHECK(query.integer(0) == 1);
  CHECK(is_null(query.value(1)));
  CHECK(query.real(2) == 10);
  CHECK(is_null(query.value(3)));
}

TEST_CASE("a snapshot brings every fact back, under new server ids") {
  const TemporaryFile file;
  Store store;
  store.insert("server", {"server_id", "name"}).row(1, "one");
  store.insert("sessions", {"server_id", "processlist_id", "info"}).row(1, 7, std::string("caf\xc3\xa9 \0 end", 11));
  store.insert("pool", {"name"}).row("declared, so not a fact");
  REQUIRE(store.write_snapshot(file.path).ok());
  CHECK((std::filesystem::status(file.path).permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));

  Store other;
  other.insert("server", {"server_id", "name"}).row(1, "zero");
  REQUIRE(other.open_snapshot(file.path).ok());
  REQUIRE(other.add_from_snapshot().ok());
  other.close_snapshot();
  Query query = other.query("SELECT v.server_id, v.name, s.info FROM server v JOIN sessions s USING (server_id)");
  REQUIRE(query.next().value());
  CHECK(query.integer(0) == 2);
  CHECK(query.text(1) == "one");
  CHECK(query.text(2) == std::string("caf\xc3\xa9 \0 end", 11));
  Query pools = other.query("SELECT count(*) FROM pool");
  REQUIRE(pools.next().value());
  CHECK(pools.integer(0) == 0);
}

TEST_CASE("a truncated snapshot is refused at every length") {
  const TemporaryFile file;
  Store store;
  REQUIRE(store.write_snapshot(file.path).ok());
  const auto whole = std::filesystem::file_size(file.path);
  for (const std::uintmax_t size : {whole - 1, whole / 2, whole / 10, std::uintmax_t{100}, std::uintmax_t{0}}) {
    CAPTURE(size);
    std::filesystem::resize_file(file.path, size);
    Store reader;
    const auto added = reader.open_snapshot(file.path);
    REQUIRE_FALSE(added.ok());
    CHECK(added.error().kind == ErrorKind::bad_input);
  }
}

TEST_CASE("a snapshot without a proper server is refused: nothing would be judged") {
  const TemporaryFile file;
  const auto refused = [&file](Store& store) {
    REQUIRE(store.write_snapshot(file.path).ok());
    Store reader;
    const auto added = reader.open_snapshot(file.path);
    return added.ok() ? "" : added.error().message;
  };
  Store store;
  CHECK(refused(store).find("it holds no server") != std::string::npos);
  store.insert("server", {"server_id", "name"}).row(1, "one");
  CHECK(refused(store) == "");
  store.insert("server", {"server_id", "name"}).row(0, "two");
  CHECK(refused(store).find("the ids of its servers make no sense") != std::string::npos);
}

TEST_CASE("the instances of a deploy: blue/green or rolling, whichever is more") {
  Store store;
  Query query = store.query(
      "SELECT deploy_instances(6, 2, 1, 0), deploy_instances(4, 1, 1, 1), deploy_instances(1, 1, 1, 1), "
      "deploy_instances(3, NULL, NULL, NULL), deploy_instances(NULL, 1, 1, 1)");
  REQUIRE(query.next().value());
  CHECK(query.real(0) == 9);
  CHECK(query.real(1) == 8);
  CHECK(query.real(2) == 3);
  CHECK(query.real(3) == 3);
  CHECK(is_null(query.value(4)));
}

TEST_CASE("values keep the server's type when nothing is lost") {
  CHECK(std::get<std::int64_t>(value_from_server("28800")) == 28800);
  CHECK(std::get<double>(value_from_server("10.500000")) == 10.5);
  CHECK(std::get<double>(value_from_server("18446744073709551615")) == doctest::Approx(1.8446744e19));
  CHECK(std::get<std::string>(value_from_server("007")) == "007");
  CHECK(std::get<std::string>(value_from_server("10.11.19-MariaDB")) == "10.11.19-MariaDB");
  CHECK(std::get<std::string>(value_from_server("")).empty());
}

TEST_CASE("every table and column is documented and every source exists") {
  const std::set<std::string> sources(source_names().begin(), source_names().end());
  for (const Table& table : schema()) {
    CAPTURE(table.name);
    CHECK_FALSE(table.doc.empty());
    CHECK((table.source.empty() || sources.contains(table.source)));
    std::set<std::string_view> names;
    for (const Column& column : table.columns) CHECK(names.insert(column.name).second);
  }
}

TEST_CASE("the known names are sorted, lower case and belong to somebody") {
  for (const auto names : {known_variables(), known_status_counters()}) {
    CHECK(names.size() > 500);
    for (std::size_t i = 0; i < names.size(); ++i) {
      CHECK((names[i].mysql.known || names[i].mariadb.known));
      if (i > 0) CHECK(names[i - 1].name() < names[i].name());
    }
  }
}

TEST_CASE("held rows come back as they went in, however many, and SQLite knows nothing of them") {
  constexpr std::int64_t kMany = 5000;  // several batches
  Store store(Tables::of_locks);
  store.begin();
  store.write_behind();
  {
    Insert insert = store.insert("transactions");
    for (std::int64_t i = 0; i < kMany; ++i)
      insert.row(1 + i % 2, i, std::to_string(i), nullptr, 0.5, i, nullptr, nullptr, nullptr, nullptr, nullptr, "");
  }
  store.commit();
  const char* const columns[] = {"age_s", "trx_id", "processlist_id", "wait_s", "trx_state", "seen_in"};
  std::optional<HeldRows> rows = store.held_rows("transactions", 2, columns);
  REQUIRE(rows);
  std::int64_t expected = 1;
  for (; rows->next(); expected += 2) {
    CHECK(rows->real(0) == 0.5);
    CHECK(rows->text(1) == std::to_string(expected));
    CHECK(rows->integer(2) == expected);
    CHECK(rows->real(3) == static_cast<double>(expected));
    CHECK_FALSE(rows->optional_text(4));
    CHECK(rows->optional_text(5) == "");
    CHECK_FALSE(rows->integer(1));
  }
  CHECK(expected == kMany + 1);
  CHECK_FALSE(rows->next());
  CHECK_FALSE(store.held_rows("transactions", 3, columns)->next());
  CHECK_THROWS(store.query("SELECT count(*) FROM transactions"));
  CHECK_THROWS(store.insert("transactions", {"server_id", "trx_id"}));
  CHECK_FALSE(store.held_rows("server", 1, {}));
  CHECK_FALSE(Store().held_rows("transactions", 1, columns));
}

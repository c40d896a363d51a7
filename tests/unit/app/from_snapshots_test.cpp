#include "app/from_snapshots.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

using namespace dbaudit;

namespace {

struct SnapshotFile {
  std::string path = (std::filesystem::temp_directory_path() / ("dbaudit-from-" + std::to_string(getpid()))).string();
  ~SnapshotFile() { std::filesystem::remove(path); }

  void write(const std::vector<std::string>& names) const {
    Store store;
    std::int64_t id = 0;
    for (const std::string& name : names)
      store.insert("server", {"server_id", "name", "taken_at"}).row(++id, name, "2026-01-01T00:00:00Z");
    REQUIRE(store.write_snapshot(path).ok());
  }
};

}  // namespace

TEST_CASE("a snapshot that is replaced while it is being read is told, and no server comes that was not counted") {
  const SnapshotFile file;
  file.write({"a", "b"});
  Store store;
  Problems problems;
  const std::vector<std::string> names = servers_of_snapshots(store, {file.path}, problems);
  REQUIRE(names == std::vector<std::string>{"a", "b"});

  const auto read_again = [&](const std::vector<std::string>& by_now) {
    file.write(by_now);
    std::size_t taken = 0;
    Problems found;
    each_server_of_snapshots(
        store, {file.path}, names,
        [&](std::size_t index, Store&) {
          CHECK(index < names.size());
          ++taken;
        },
        found);
    CHECK(taken <= names.size());
    return found.text();
  };
  CHECK(read_again({"a", "b"}).empty());
  for (const std::vector<std::string>& others : {std::vector<std::string>{"a", "b", "c"}, {"a"}, {"a", "c"}, {"x"}}) {
    CAPTURE(others.size());
    CHECK(read_again(others).find(file.path + ": it was replaced while it was being read") != std::string::npos);
  }
}

// Files as they are found in the wild, under import/, against the [[pool]] tables that `pools import` prints of them:
// import/FOLDER/NAME -> golden/import/FOLDER-NAME.toml, with what goes to stderr in front.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../report/golden.h"
#include "pool_fixture.h"
#include "pools/import.h"

using namespace dbaudit;
using namespace dbaudit::pool_tests;

namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

// What `pools import` makes of a file, without reading it.
std::string imported_text(const fs::path& path, const ImportRequest& request) {
  const std::string file = path.filename().string();
  Problems problems;
  Imported imported = import_pools(content(path), file, request, problems);
  if (!problems.empty()) return "problems:\n" + problems.text();
  for (ImportedPool& pool : imported.pools) {
    const Result<Library> library = load_library({shipped_libraries()}, pool.text_of("library"), problems);
    if (library) fit_to_library(pool, *library);
  }
  return toml_text(imported, file);
}

ImportRequest request_for(const std::string& file) {
  ImportRequest request;
  if (file == "profiles.yml") request.profile = "prod";
  if (file == "multi.yml") request.environment = "staging";
  if (file == "jdbc.txt") request.library = "hikaricp";
  return request;
}

}  // namespace

TEST_CASE("importers: every format, as found in the wild") {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(__FILE__).parent_path() / "import")) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  CHECK(files.size() >= 30);
  for (const fs::path& path : files) {
    const std::string file = path.filename().string();
    CAPTURE(file);
    const std::string text = imported_text(path, request_for(file));
    check_golden("import/" + path.parent_path().filename().string() + "-" + file + ".toml", text);
    // No secret of any of these files is ever printed.
    for (const char* secret : {"s3cr3t", "hunter2", "p%40ss", "p@ss", "oops", ":pw@"}) {
      CAPTURE(secret);
      CHECK(text.find(secret) == std::string::npos);
    }
  }
}

TEST_CASE("importers: what is printed is read again without a problem, and is what is judged") {
  for (const char* name : {"spring/application.yml", "tomcat/server.xml", "rails/database.yml", "node/knex.json",
                           "django/databases.json", "kubernetes/deployment.yaml"}) {
    CAPTURE(name);
    const fs::path path = fs::path(__FILE__).parent_path() / "import" / name;
    Declared declared(imported_text(path, {}));
    CHECK(declared.problems.text() == "");
    CHECK(!declared.pools.empty());
  }
}

TEST_CASE("importers: what a placeholder hides is unknown and not at its default") {
  Declared d(imported_text(fs::path(__FILE__).parent_path() / "import/spring/application.yml", {}));
  CHECK(d.problems.text() == "");
  CHECK(is_null(d.setting("maximumPoolSize", "effective")));
  CHECK(d.setting("maximumPoolSize", "declared") == Value{"unknown"});
  CHECK(is_null(d.fact("max_connections_per_process")));
  CHECK(d.number("socket_timeout_s") == 30);
  CHECK(d.number("session_wait_timeout_s") == 1830);
}

// Files that are malformed, hostile or no configuration at all: a clear problem, soon, and no crash.
#include <doctest/doctest.h>

#include <chrono>

#include "pools/import.h"

using namespace dbaudit;

namespace {

// The problems of a file; it must have some, and say so within seconds.
std::string problems_of(const std::string& file, const std::string& text, const std::string& format = "") {
  const auto begun = std::chrono::steady_clock::now();
  Problems problems;
  ImportRequest request;
  request.format = format;
  import_pools(text, file, request, problems);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
  CHECK(!problems.empty());
  for (const Problem& problem : problems.list()) CHECK(problem.file == file);
  return problems.text();
}

bool says(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("malformed files are told with their line") {
  says(problems_of("application.yml", "spring:\n  datasource:\n   url: [1, 2\nx: }\n"),
       "application.yml:4: not valid YAML");
  says(problems_of("application.yml", "a: 1\n\tb: 2\n"), "application.yml:2: not valid YAML");
  says(problems_of("context.xml", "<Context>\n  <Resource name=\"x\n</Context>"), "context.xml:");
  says(problems_of("knex.json", "{\n \"client\": \"mysql2\",\n \"password\": hunter2 }"),
       "knex.json:3: not valid JSON");
  says(problems_of("knex.json", "{\"client\": "), "not valid JSON: it ends too early");
  says(problems_of("knex.json", "[1]"), "must be a JSON object");
  says(problems_of("database.yml", "- 1\n- 2\n"), "holds no database configuration");
  says(problems_of("uwsgi.ini", "[app]\nprocesses = 2\n", "uwsgi"), "no section [uwsgi]");
  says(problems_of("x.bin", "nothing of interest"), "--format says it");
  says(problems_of("deploy.yaml", "apiVersion: v1\nkind: Service\n"), "holds no Deployment");
  says(problems_of("application.yml", ""), "holds no connection pool");
  for (const char* file : {"a.json", "a.xml", "a.yml", "a.properties", "a.ini", "a.env", "a.py"})
    problems_of(file, "}{", file[2] == 'p' && file[3] == 'y' ? "url" : "");
}

TEST_CASE("a problem repeats no secret") {
  CHECK(problems_of("knex.json", "{\"password\": hunter2}").find("hunter2") == std::string::npos);
  CHECK(problems_of("url.txt", "mysql://app:hunter2?x@db/d").find("hunter2") == std::string::npos);
}

TEST_CASE("wrong encodings are named") {
  says(problems_of("application.yml", std::string("\xFF\xFE"
                                                  "a\0:\0",
                                                  6)),
       "UTF-16");
  says(problems_of("application.yml", std::string("a\0:\0 \0", 6)), "UTF-16");
  says(problems_of("application.yml", std::string("abcdefg: 1\nb: \0", 15)), "application.yml:2: holds a NUL byte");
  says(problems_of("application.yml", "a: 1\nb: gr\xF6\xDF\n"), "application.yml:2: is not UTF-8");
  says(problems_of("knex.json", "{\"a\": \"\xF6\"}"), "not UTF-8");
}

TEST_CASE("hostile YAML: aliases that multiply, alias of itself, depth, size") {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  says(problems_of("application.yml", laughs), "more values than any configuration has");
  const std::string long_text = "a: &a " + std::string(100'000, 'x') + "\nb: [" + repeated("*a, ", 1000) + "x]\n";
  says(problems_of("application.yml", long_text), "more values than any configuration has");
  says(problems_of("application.yml", "a: &a\n  b: *a\n"), "application.yml:2: not valid YAML: an alias stands inside");
  says(problems_of("application.yml", "a: &a [*a]\n"), "an alias stands inside");
  says(problems_of("application.yml", "<<: &a {<<: *a}\n"), "an alias stands inside");
  says(problems_of("application.yml", "a: " + std::string(1'000'000, '[')), "not valid YAML");
  says(problems_of("application.yml", repeated("- ", 100'000) + "x"), "not valid YAML");
  says(problems_of("application.yml", "a: " + repeated("{a: ", 100'000)), "not valid YAML");
  says(problems_of("application.yml", repeated("a: b\n", 300'000)), "more values");
  says(problems_of("application.yml", std::string(kMostDocumentBytes + 1, 'x')), "larger than 8 MiB");
  says(problems_of("application.yml", "? [a, b]\n: c\n"), "a key must be text");
}

TEST_CASE("hostile JSON, XML, properties and templates") {
  says(problems_of("a.json", std::string(2'000'000, '[')), "nested too deeply");
  says(problems_of("a.json", "{\"a\": [" + repeated("1,", 200'000) + "1]}"), "more values");
  says(problems_of("a.xml", repeated("<a>", 500'000)), "not valid XML");
  says(problems_of("a.xml", repeated("<a>", 200'000) + repeated("</a>", 200'000)), "more elements");
  says(problems_of("a.properties", repeated("k=v\n", 200'000), "hikari"), "more than 100000 values");
  problems_of("deploy.yaml", repeated("{{ x }}", 300'000), "kubernetes");
  problems_of("deploy.yaml", repeated("{{", 1'000'000), "kubernetes");
  problems_of("database.yml", repeated("<%", 1'000'000) + "%>", "rails");
}

TEST_CASE("XML entities are neither read nor multiplied") {
  const std::string bomb =
      "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c SYSTEM "
      "\"file:///etc/passwd\">]>\n"
      "<Context><Resource name=\"jdbc/x\" type=\"javax.sql.DataSource\" url=\"jdbc:mysql://h/d\" maxTotal=\"&c;\" "
      "maxIdle=\"&b;\"/></Context>";
  Problems problems;
  const Imported imported = import_pools(bomb, "context.xml", {}, problems);
  CHECK(problems.text() == "");
  const std::string text = toml_text(imported, "context.xml");
  CAPTURE(text);
  CHECK(text.find("maxTotal = \"unknown\"") != std::string::npos);
  CHECK(text.find("maxIdle = \"unknown\"") != std::string::npos);
  CHECK(text.find("root:") == std::string::npos);
}

#include <doctest/doctest.h>

#include "pools/import.h"
#include "pools/import_spring.h"

using namespace dbaudit;

namespace {

struct Run {
  Imported imported;
  Problems problems;

  Run(const std::string& file, const std::string& text, const std::string& profile = "") {
    ImportRequest request;
    request.profile = profile;
    imported = import_pools(text, file, request, problems);
  }
  [[nodiscard]] std::string text() const { return problems.text() + toml_text(imported, "x"); }
  [[nodiscard]] bool says(const std::string& part) const { return text().find(part) != std::string::npos; }
};

const std::string kProfiles = R"(spring.datasource.hikari.maximum-pool-size: 5
---
spring.config.activate.on-profile: "prod & !eu"
spring.datasource.hikari.maximum-pool-size: 10
---
spring.config.activate.on-profile: (eu | us) & prod
spring.datasource.hikari.maximum-pool-size: 20
)";

}  // namespace

TEST_CASE("Spring profiles: expressions, active profiles, and what is not there") {
  CHECK(Run("application.yml", kProfiles).says("maximum-pool-size = 5 "));
  CHECK(Run("application.yml", kProfiles).says("a profile chooses it"));
  CHECK(Run("application.yml", kProfiles, "prod").says("maximum-pool-size = 10 "));
  CHECK(Run("application.yml", kProfiles, "prod,eu").says("maximum-pool-size = 20 "));
  CHECK(Run("application.yml", kProfiles, "prdo").says("no part of it is for profile 'prdo'"));
  CHECK(Run("application.yml", "spring.profiles.active: prod\n---\n" + kProfiles).says("maximum-pool-size = 10 "));
  CHECK(Run("application-dev.yml", "spring.datasource.url: jdbc:mysql://h/d", "prod").says("is for profile 'dev'"));
  CHECK(
      Run("application-prod.yml", "spring.datasource.url: jdbc:mysql://h/d").says("application.yml: Spring reads it"));
}

TEST_CASE("Spring: which pool Boot makes") {
  const std::string url = "spring.datasource.url=jdbc:mysql://h/d\n";
  CHECK(Run("application.properties", url).says("library = \"hikaricp\""));
  const Run tomcat("application.properties", url + "spring.datasource.tomcat.max-active=5\n");
  CHECK(tomcat.says("library = \"hikaricp\""));
  CHECK(tomcat.says("spring.datasource.tomcat: Spring Boot makes hikaricp and reads nothing of this"));
  const Run typed("application.properties", url +
                                                "spring.datasource.type=org.apache.commons.dbcp2.BasicDataSource\n"
                                                "spring.datasource.dbcp2.max-total=5\n");
  CHECK(typed.says("library = \"dbcp2\""));
  CHECK(typed.says("max-total = 5"));
  CHECK(Run("application.properties", url + "spring.datasource.max-active=5")
            .says("spring.datasource.max-active: Spring Boot"));
  CHECK(Run("application.properties", "server.tomcat.max-connections=5").says("holds no connection pool"));
}

TEST_CASE("Spring: a duration with a unit binds to no number of milliseconds") {
  const Run run("application.properties",
                "spring.datasource.url=jdbc:mysql://h/d\nspring.datasource.hikari.max-lifetime=30m\n");
  CHECK(run.says("'30m' does not bind"));
  CHECK(!run.says("max-lifetime ="));
}

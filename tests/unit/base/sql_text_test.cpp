#include "base/sql_text.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace dbaudit;

namespace {

std::string words(std::string_view statement) {
  std::string out;
  for (const SqlToken& token : sql_tokens(statement)) out += (out.empty() ? "" : "|") + token.text;
  return out;
}

}  // namespace

TEST_CASE("MySQL's lexical rules") {
  CHECK(words("SELECT 1--é FROM t") == words("SELECT 1 - -é FROM t"));  // no comment without a space
  CHECK(words("SELECT `a``b`.c FROM t -- rest\n WHERE x='it''s' # more\n AND y=\"q\\\"q\"") ==
        "SELECT|a`b|.|c|FROM|t|WHERE|x|=|'it''s'|AND|y|=|\"q\\\"q\"");
  CHECK(words("a--b") == "a|-|-|b");  // no space behind: not a comment
  CHECK(words("/*! STRAIGHT_JOIN */ x /* no */") == "STRAIGHT_JOIN|x");
  CHECK(words("/*!50720 a*/ /*M!100101 b*/") == "a|b");
  CHECK(words("SET @@session.wait_timeout=1.5e-3") == "SET|@@session.wait_timeout|=|1.5e-3");
  CHECK(words("SELECT 1st, 0x1F") == "SELECT|1st|,|0x1F");
  CHECK(words("'cut off") == "'cut off");
  CHECK(words("'ends in backslash\\") == "'ends in backslash\\");
}

TEST_CASE("literals are taken out, comments with them") {
  CHECK(without_literals("UPDATE t SET a = 'x', b=5 /* 'secret' */ WHERE c = \"y\"") ==
        "UPDATE t SET a = ?, b=? WHERE c = ?");
}

TEST_CASE("comments are taken out, and what servers execute in them is not") {
  CHECK(without_comments("/* app */ SELECT 'a /* b */', 1 -- c\n FROM /*!50000 `t` */") ==
        "SELECT 'a /* b */', 1 FROM `t`");
}

TEST_CASE("statements that carry passwords lose their literals, others do not") {
  CHECK(without_secrets("CREATE USER a IDENTIFIED BY 'pw'") == "CREATE USER a IDENTIFIED BY ?");
  CHECK(without_secrets("SET PASSWORD = 'pw'") == "SET PASSWORD = ?");
  CHECK(without_secrets("CHANGE MASTER TO MASTER_PASSWORD='pw'") == "CHANGE MASTER TO MASTER_PASSWORD=?");
  CHECK(without_secrets("SELECT 'x'") == "SELECT 'x'");
}

TEST_CASE("variables that hold secrets, and those whose names only look like it") {
  std::ifstream in(std::string(DBAUDIT_SOURCE_RULES) + "/../src/facts/known_variables.txt");
  REQUIRE(in);
  std::string found;
  int names = 0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    if (!(words >> name) || name[0] == '#') continue;
    ++names;
    if (is_secret_variable(name)) found += name + " ";
  }
  CHECK(names > 500);
  CHECK(found == "report_password wsrep_provider_options wsrep_sst_auth ");
  for (const char* name : {"authentication_ldap_simple_bind_root_pwd", "s3_access_key", "s3_secret_key",
                           "Report_Password", "keyring_encrypted_file_password", "keyring_hashicorp_secret_id",
                           "ssl_passphrase", "file_key_management_filekey"}) {
    CAPTURE(name);
    CHECK(is_secret_variable(name));
  }
}

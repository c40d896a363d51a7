#include "server/errors.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dbaudit;

namespace {

constexpr const char* kState = "HY000";

struct Case {
  int code;
  ErrorKind kind;
  std::string next_step;  // a part of it; empty: there is none
};

Error error_of(int code, During during, const std::string& message = "why", const std::string& sqlstate = kState) {
  return server_error(code, sqlstate, message, "connect to shop", during);
}

void check_all(const std::vector<Case>& cases, During during) {
  for (const Case& one : cases) {
    CAPTURE(one.code);
    const Error error = error_of(one.code, during);
    CHECK(to_string(error.kind) == to_string(one.kind));
    CHECK(error.code == one.code);
    CHECK(error.sqlstate == kState);
    CHECK(error.message == "cannot connect to shop: why");
    CHECK(error.next_step.empty() == one.next_step.empty());
    CAPTURE(error.next_step);
    CHECK(error.next_step.find(one.next_step) != std::string::npos);
  }
}

const std::vector<Case> kWhileConnecting = {
    {2002, ErrorKind::unreachable, "Is the server running"},
    {2003, ErrorKind::unreachable, "Is the server running"},
    {2005, ErrorKind::unreachable, "host name could not be resolved"},
    {1053, ErrorKind::unreachable, "shutting down"},
    {2007, ErrorKind::unreachable, "are host and port right"},
    {2027, ErrorKind::unreachable, "are host and port right"},
    {1040, ErrorKind::too_many_connections, "--spare-port"},
    {1203, ErrorKind::too_many_connections, "its own connection limit"},
    {1226, ErrorKind::too_many_connections, "its own connection limit"},
    {1045, ErrorKind::refused_credentials, "Check user, password and the host"},
    {1698, ErrorKind::refused_credentials, "Check user, password and the host"},
    {1044, ErrorKind::refused_credentials, "may not connect from this host"},
    {1049, ErrorKind::refused_credentials, "may not connect from this host"},
    {1130, ErrorKind::refused_credentials, "may not connect from this host"},
    {1129, ErrorKind::refused_credentials, "FLUSH HOSTS"},
    {1227, ErrorKind::refused_credentials, "SERVICE_CONNECTION_ADMIN"},
    {3032, ErrorKind::refused_credentials, "SET GLOBAL offline_mode = OFF"},
    {3118, ErrorKind::refused_credentials, "ACCOUNT UNLOCK"},
    {4151, ErrorKind::refused_credentials, "ACCOUNT UNLOCK"},
    {1820, ErrorKind::refused_credentials, "password has expired"},
    {1862, ErrorKind::refused_credentials, "password has expired"},
    {1251, ErrorKind::refused_credentials, "does not have"},
    {2058, ErrorKind::refused_credentials, "does not have"},
    {2059, ErrorKind::refused_credentials, "does not have"},
    {2061, ErrorKind::refused_credentials, "--ssl-mode REQUIRED"},
    {5010, ErrorKind::refused_credentials, "--ssl-mode VERIFY_IDENTITY"},
    {3159, ErrorKind::tls, "--ssl-mode REQUIRED"},
    {2026, ErrorKind::tls, "--ssl-ca"},
    {2006, ErrorKind::timeout, "did not answer in time"},
    {2013, ErrorKind::timeout, "did not answer in time"},
    {9999, ErrorKind::other, ""},
};

const std::vector<Case> kWhileReading = {
    {1044, ErrorKind::no_privilege, ""},
    {1142, ErrorKind::no_privilege, ""},
    {1143, ErrorKind::no_privilege, ""},
    {1227, ErrorKind::no_privilege, ""},
    {1356, ErrorKind::no_privilege, ""},
    {1370, ErrorKind::no_privilege, ""},
    {1401, ErrorKind::no_privilege, ""},
    {1054, ErrorKind::no_such_object, ""},
    {1064, ErrorKind::no_such_object, ""},
    {1109, ErrorKind::no_such_object, ""},
    {1146, ErrorKind::no_such_object, ""},
    {1193, ErrorKind::no_such_object, ""},
    {1205, ErrorKind::timeout, "given up"},
    {1317, ErrorKind::timeout, "given up"},
    {1969, ErrorKind::timeout, "given up"},
    {3024, ErrorKind::timeout, "given up"},
    {3854, ErrorKind::unreadable, ""},
    {1053, ErrorKind::lost, "connection broke"},
    {1927, ErrorKind::lost, "connection broke"},
    {2006, ErrorKind::lost, "connection broke"},
    {2013, ErrorKind::lost, "connection broke"},
    {2014, ErrorKind::lost, "connection broke"},
    {2026, ErrorKind::lost, "connection broke"},
    {4031, ErrorKind::lost, "connection broke"},
    {1045, ErrorKind::other, ""},
    {9999, ErrorKind::other, ""},
};

}  // namespace

TEST_CASE("each error while connecting has a kind and a next step") {
  check_all(kWhileConnecting, During::connecting);
  check_all(kWhileConnecting, During::connecting_in_plaintext);
}

TEST_CASE("each error while reading has a kind") { check_all(kWhileReading, During::reading); }

TEST_CASE("only in plaintext may a refused account be one that requires TLS") {
  CHECK(error_of(1045, During::connecting_in_plaintext).next_step.find("--ssl-mode REQUIRED") != std::string::npos);
  CHECK(error_of(1045, During::connecting).next_step.find("TLS") == std::string::npos);
}

TEST_CASE("a missing plugin of the client library is no wrong password") {
  for (const During during : {During::connecting, During::connecting_in_plaintext}) {
    const Error error = error_of(1045, during, "Plugin parsec could not be loaded: no such file", "28000");
    CHECK(error.kind == ErrorKind::refused_credentials);
    CHECK(error.next_step == "The client library lacks the authentication plugin of this account");
    CHECK(error.sqlstate == "28000");
  }
}

TEST_CASE("a TLS handshake without an answer is no wrong certificate") {
  CHECK(error_of(2026, During::connecting, "TLS/SSL error: timed out").kind == ErrorKind::timeout);
}

TEST_CASE("a TLS connection on which nothing comes any more is lost, and is not asked again") {
  CHECK(error_of(2026, During::reading, "TLS/SSL error: Connection timed out (110)").kind == ErrorKind::lost);
}

TEST_CASE("a refusal before TLS is what it wraps") {
  struct Early {
    int code;
    std::string message;
    std::string sqlstate;
    ErrorKind kind;
  };
  for (const Early& one : {Early{1040, "Too many connections", "08004", ErrorKind::too_many_connections},
                           Early{1053, "Server shutdown in progress", "08S01", ErrorKind::unreachable},
                           Early{1129, "Host is blocked", "HY000", ErrorKind::refused_credentials},
                           Early{1130, "Host is not allowed", "HY000", ErrorKind::refused_credentials}}) {
    CAPTURE(one.code);
    const std::string said =
        "Received error packet before completion of TLS handshake. The authenticity of the following error cannot be "
        "verified: " +
        std::to_string(one.code) + " - " + one.message;
    const Error error = error_of(2002, During::connecting, said);
    CHECK(error.code == one.code);
    CHECK(error.sqlstate == one.sqlstate);
    CHECK(error.kind == one.kind);
    CHECK(error.message == "cannot connect to shop: " + one.message);
    CHECK_FALSE(error.next_step.empty());
  }
  const Error garbled = error_of(2002, During::connecting, "it cannot be verified: 12 monkeys");
  CHECK(garbled.code == 2002);
  CHECK(garbled.kind == ErrorKind::unreachable);
}

TEST_CASE("what a server says reaches no terminal as it came, and an empty reason is told") {
  CHECK(error_of(1045, During::connecting, "\x1b[2J").message.find('\x1b') == std::string::npos);
  CHECK(error_of(0, During::reading, "").message == "cannot connect to shop: no reason given");
}

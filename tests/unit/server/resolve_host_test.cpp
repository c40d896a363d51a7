#include "server/resolve_host.h"

#include <doctest/doctest.h>
#include <pthread.h>

using namespace dbaudit;

TEST_CASE("a numeric address needs no time to look up") {
  CHECK(check_host_resolves("127.0.0.1", Seconds{0}).ok());
  CHECK(check_host_resolves("::1", Seconds{0}).ok());
}

TEST_CASE("look-ups that are given up end without harm whenever their answers come") {
  for (int i = 0; i < 20; ++i) {
    const Status status = check_host_resolves("no-such-host.invalid", Seconds{0});
    REQUIRE_FALSE(status.ok());
    // Nearly always the first; an answer may be there at once.
    CHECK((status.error().kind == ErrorKind::timeout || status.error().kind == ErrorKind::unreachable));
    CHECK(status.error().message.find("cannot look up host no-such-host.invalid: ") == 0);
  }
}

TEST_CASE("no thread for a look-up is an error of this host only") {
  pthread_attr_t before;
  REQUIRE(pthread_getattr_default_np(&before) == 0);
  pthread_attr_t huge;
  pthread_attr_init(&huge);
  REQUIRE(pthread_attr_setstacksize(&huge, std::size_t{1} << 60) == 0);  // no address space has room for it
  REQUIRE(pthread_setattr_default_np(&huge) == 0);
  const Status status = check_host_resolves("no-such-host.invalid", Seconds{5});
  pthread_setattr_default_np(&before);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&before);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find("cannot look up host no-such-host.invalid: no thread for it") == 0);
  CHECK(status.error().next_step.find("ulimit -u") != std::string::npos);
}

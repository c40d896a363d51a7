#include "server/resolve_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace dbaudit {
namespace {

// Shared with the thread that looks up, which may be left behind: it finds its memory in place whenever it ends.
struct LookUp {
  std::string host;
  std::mutex mutex;
  std::condition_variable done;
  std::optional<int> code;  // getaddrinfo's; nothing before it returned
};

void look_up(const std::shared_ptr<LookUp>& shared) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(shared->host.c_str(), nullptr, &hints, &found);
  if (code == 0) freeaddrinfo(found);
  const std::lock_guard lock(shared->mutex);
  shared->code = code;
  shared->done.notify_all();
}

}  // namespace

Status check_host_resolves(const std::string& host, Seconds limit) {
  in6_addr numeric{};
  if (inet_pton(AF_INET, host.c_str(), &numeric) == 1 || inet_pton(AF_INET6, host.c_str(), &numeric) == 1)
    return success();

  const auto shared = std::make_shared<LookUp>();
  shared->host = host;
  // getaddrinfo has no time limit, and glibc's getaddrinfo_a keeps threads that sanitizers cannot follow.
  try {
    std::thread(look_up, shared).detach();
  } catch (const std::system_error& error) {
    return Error{ErrorKind::other,
                 fmt::format("cannot look up host {}: no thread for it: {}", host, error.code().message()),
                 "Allow this user more processes (ulimit -u)"};
  }
  std::unique_lock lock(shared->mutex);
  if (!shared->done.wait_for(lock, limit, [&shared] { return shared->code.has_value(); })) {
    return Error{ErrorKind::timeout,
                 fmt::format("cannot look up host {}: no answer in {}", host, format_duration(limit.count())),
                 "Is the name server (DNS) reachable?"};
  }
  if (*shared->code != 0) {
    return Error{ErrorKind::unreachable, fmt::format("cannot look up host {}: {}", host, gai_strerror(*shared->code)),
                 "Check the host name"};
  }
  return success();
}

}  // namespace dbaudit

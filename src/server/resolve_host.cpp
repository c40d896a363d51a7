#include "server/resolve_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

namespace dbaudit {
namespace {

// One look-up. getaddrinfo_a writes into it whenever the answer comes, so an abandoned one must live on.
struct LookUp {
  std::string host;
  addrinfo hints{};
  gaicb request{};
};

void abandon(std::unique_ptr<LookUp> look_up) {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<LookUp>> abandoned;
  const std::lock_guard lock(mutex);
  abandoned.push_back(std::move(look_up));
}

}  // namespace

Status check_host_resolves(const std::string& host, Seconds limit) {
  in6_addr numeric{};
  if (inet_pton(AF_INET, host.c_str(), &numeric) == 1 || inet_pton(AF_INET6, host.c_str(), &numeric) == 1)
    return success();

  auto look_up = std::make_unique<LookUp>();
  look_up->host = host;
  look_up->hints.ai_socktype = SOCK_STREAM;
  look_up->request.ar_name = look_up->host.c_str();
  look_up->request.ar_request = &look_up->hints;
  gaicb* list[] = {&look_up->request};
  if (const int code = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr); code != 0) {
    return Error{ErrorKind::unreachable, fmt::format("cannot look up host {}: {}", host, gai_strerror(code))};
  }
  const double whole = std::floor(limit.count());
  const timespec wait{static_cast<time_t>(whole), static_cast<long>((limit.count() - whole) * 1e9)};
  const gaicb* const waiting[] = {&look_up->request};
  int code = EAI_INTR;
  while (code == EAI_INTR) code = gai_suspend(waiting, 1, &wait);
  code = gai_error(&look_up->request);
  if (code == EAI_INPROGRESS) {
    if (gai_cancel(&look_up->request) != EAI_CANCELED) abandon(std::move(look_up));
    return Error{ErrorKind::timeout,
                 fmt::format("cannot look up host {}: no answer in {}", host, format_duration(limit.count())),
                 "Is the name server (DNS) reachable?"};
  }
  if (code != 0) {
    return Error{ErrorKind::unreachable, fmt::format("cannot look up host {}: {}", host, gai_strerror(code)),
                 "Check the host name"};
  }
  freeaddrinfo(look_up->request.ar_result);
  return success();
}

}  // namespace dbaudit

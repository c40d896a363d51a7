#include "app/collect_all.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "app/output.h"
#include "facts/schema.h"

namespace dbaudit {
namespace {

std::atomic<bool> abandoned{false};

// Beyond the deadline, for a thread whose last read is about to end.
constexpr auto kGrace = std::chrono::seconds(1);
constexpr auto kProgressAfter = std::chrono::seconds(1);

// Shared with the threads, so that one that is left behind finds its memory in place.
struct Work {
  std::vector<CollectRequest> requests;
  Clock clock;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t next = 0;
  std::size_t done = 0;
  std::vector<std::unique_ptr<Store>> stores;  // null until done
  std::vector<std::vector<std::string>> warnings;
};

void collect_some(const std::shared_ptr<Work>& work) {
  while (true) {
    std::size_t mine = 0;
    {
      const std::lock_guard lock(work->mutex);
      if (work->next == work->requests.size()) return;
      mine = work->next++;
    }
    auto store = std::make_unique<Store>();
    std::vector<std::string> warnings = collect_server(*store, 1, work->requests[mine], work->clock);
    const std::lock_guard lock(work->mutex);
    work->stores[mine] = std::move(store);
    work->warnings[mine] = std::move(warnings);
    ++work->done;
    work->changed.notify_all();
  }
}

// The facts about a server that answered nothing in time.
std::unique_ptr<Store> unanswered(const CollectRequest& request, const Clock& clock) {
  auto store = std::make_unique<Store>();
  const std::string reason = "not done when the time for this run (--timeout) was over";
  store->insert("server", {"server_id", "name", "reachable", "error", "role", "taken_at"})
      .row(1, request.connection.name, false, reason, request.declared.role, format_utc(clock()));
  Insert sources = store->insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable"});
  for (const std::string& source : source_names())
    sources.row(1, source, "unavailable", reason, "Give it more time with --timeout", 1);
  return store;
}

void wait_for_all(Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  Deadline deadline = begin;
  for (const CollectRequest& request : work.requests) deadline = std::max(deadline, request.deadline);
  std::unique_lock lock(work.mutex);
  bool shown = false;
  while (work.done < work.requests.size() && std::chrono::steady_clock::now() < deadline + kGrace) {
    work.changed.wait_until(lock, std::min(deadline + kGrace, std::chrono::steady_clock::now() + kProgressAfter));
    if (stderr_is_terminal() && std::chrono::steady_clock::now() - begin >= kProgressAfter) {
      std::fprintf(stderr, "\rreading: %zu of %zu servers done ", work.done, work.requests.size());
      shown = true;
    }
  }
  if (shown) std::fprintf(stderr, "\r\x1b[K");
}

}  // namespace

bool left_threads_behind() { return abandoned; }

Store collect_all(Store declared, const std::vector<CollectRequest>& requests, const Clock& clock) {
  initialise_connector();
  auto work = std::make_shared<Work>();
  work->requests = requests;
  work->clock = clock;
  work->stores.resize(requests.size());
  work->warnings.resize(requests.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < std::min(kThreads, requests.size()); ++i) threads.emplace_back(collect_some, work);
  wait_for_all(*work);

  std::vector<std::unique_ptr<Store>> stores;
  {
    const std::lock_guard lock(work->mutex);
    abandoned = work->done < requests.size();
    work->next = requests.size();
    stores = std::move(work->stores);
    work->stores.clear();
    work->stores.resize(requests.size());
    for (const auto& list : work->warnings) {
      for (const std::string& warning : list) write_stderr("warning: " + warning);
    }
  }
  for (std::thread& thread : threads) {
    if (abandoned) {
      thread.detach();
    } else {
      thread.join();
    }
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!stores[i]) stores[i] = unanswered(requests[i], clock);
  }
  // The first store takes in the rest: for one server, nothing but a few declared rows is copied.
  Store all = std::move(*stores.front());
  for (std::size_t i = 1; i < stores.size(); ++i) all.add_facts(*stores[i]);
  all.add_declarations(declared);
  return all;
}

}  // namespace dbaudit

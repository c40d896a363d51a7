#include "app/collect_all.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <future>
#include <mutex>
#include <thread>

#include "app/output.h"
#include "facts/schema.h"
#include "locks/lock_report.h"

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
  std::promise<std::unique_ptr<Store>> first_store;  // for the first request: it has the declared tables
  std::vector<std::unique_ptr<Store>> stores;        // null until done
  std::vector<std::vector<std::string>> warnings;
  std::exception_ptr failure;  // an internal error on a thread; thrown again on the main thread
};

void collect_some(const std::shared_ptr<Work>& work) {
  while (true) {
    std::size_t mine = 0;
    {
      const std::lock_guard lock(work->mutex);
      if (work->next == work->requests.size()) return;
      mine = work->next++;
    }
    std::unique_ptr<Store> store;
    const auto store_to_fill = [&]() -> Store& {
      store = mine == 0 ? work->first_store.get_future().get() : std::make_unique<Store>();
      return *store;
    };
    std::vector<std::string> warnings;
    std::exception_ptr failure;
    try {
      warnings = collect_server(store_to_fill, 1, work->requests[mine], work->clock);
      if (work->requests[mine].scope == Scope::everything) store_lock_graph(*store, 1);
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(work->mutex);
    if (failure) work->failure = failure;
    work->stores[mine] = std::move(store);
    work->warnings[mine] = std::move(warnings);
    ++work->done;
    work->changed.notify_all();
  }
}

// The facts about a server that answered nothing in time.
void insert_unanswered(Store& store, const CollectRequest& request, const Clock& clock) {
  const std::string reason =
      fmt::format("cannot read {}: not done when the time for this run (--timeout) was over", request.connection.name);
  store.insert("server", {"server_id", "name", "reachable", "error", "role", "taken_at"})
      .row(1, request.connection.name, false, reason, request.declared.role, format_utc(clock()));
  Insert sources = store.insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable"});
  for (const std::string& source : source_names())
    sources.row(1, source, "unavailable", reason, "Give it more time with --timeout", 1);
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

Store collect_all(const StoreFactory& make, const std::vector<CollectRequest>& requests, const Clock& clock) {
  initialise_connector();
  auto work = std::make_shared<Work>();
  work->requests = requests;
  work->clock = clock;
  work->stores.resize(requests.size());
  work->warnings.resize(requests.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < std::min(kThreads, requests.size()); ++i) threads.emplace_back(collect_some, work);
  try {
    work->first_store.set_value(std::make_unique<Store>(make()));
  } catch (...) {
    work->first_store.set_exception(std::current_exception());
  }
  wait_for_all(*work);

  std::vector<std::unique_ptr<Store>> stores(requests.size());
  std::exception_ptr failure;
  bool late = false;
  {
    const std::lock_guard lock(work->mutex);
    late = work->done < requests.size();
    if (late) abandoned = true;  // and so it stays, whatever the next call does
    work->next = requests.size();
    stores.swap(work->stores);
    failure = work->failure;
    for (const auto& list : work->warnings) {
      for (const std::string& warning : list) write_stderr("warning: " + warning);
    }
  }
  for (std::thread& thread : threads) {
    if (late) {
      thread.detach();
    } else {
      thread.join();
    }
  }
  if (failure) std::rethrow_exception(failure);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (stores[i]) continue;
    stores[i] = std::make_unique<Store>(i == 0 ? make() : Store());
    insert_unanswered(*stores[i], requests[i], clock);
  }
  // The first store takes in the others.
  for (std::size_t i = 1; i < stores.size(); ++i) stores.front()->add_facts(*stores[i]);
  return std::move(*stores.front());
}

}  // namespace dbaudit

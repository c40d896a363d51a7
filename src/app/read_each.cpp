#include "app/read_each.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
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
class Work {
 public:
  enum class State { waiting, reading, borrowing, taking, done };
  struct Closed {};  // thrown where a thread has got as far as no further one may

  Work(const std::vector<CollectRequest>& requests, ReadEach how, Clock clock)
      : requests_(requests), clock_(std::move(clock)), how_(std::move(how)), states_(requests.size()) {}

  [[nodiscard]] std::size_t threads() const { return std::min(kThreads, requests_.size()); }

  // What a thread does: one request after the other. It borrows a store when a server has answered, or will not.
  void read_some() {
    while (const std::optional<std::size_t> mine = begin_reading()) {
      std::optional<Lent> lent;
      std::exception_ptr failure;
      std::vector<std::string> warnings;
      CollectRequest request = requests_[*mine];
      const bool ends_here = request.kept == nullptr;
      if (ends_here) request.kept = std::make_shared<std::optional<Connection>>();
      try {
        const auto store_to_fill = [&]() -> Store& { return lent.emplace(borrow(*mine)).store; };
        warnings = collect_server(store_to_fill, 1, request, clock_, meanwhile(*mine));
        if (ends_here && *request.kept && (*request.kept)->idle()) request.kept->reset();
        if (request.scope == Scope::everything) store_lock_graph(lent->store, 1);
        if (begin_taking(*mine)) how_.take(*mine, lent->store);
      } catch (const Closed&) {
        // It stays unanswered.
      } catch (...) {
        failure = std::current_exception();
      }
      end(*mine, std::move(warnings), failure, std::move(lent));
      // What was read is taken by now: this may wait for a statement that was begun when the time was over.
      if (ends_here) request.kept->reset();
      ended();
    }
  }

  // `first`, and copies of it, for as many as are read at a time.
  void hand_out(Store first) {
    const auto give = [this](Store store) {
      const std::lock_guard lock(mutex_);
      free_.push_back({std::move(store)});
      changed_.notify_all();
    };
    for (std::size_t i = 1; i < std::min(kStores, threads()); ++i) {
      Store copy;
      copy.add_declared(first);
      give(std::move(copy));
    }
    give(std::move(first));
  }

  // No thread begins anything more.
  void fail(const std::exception_ptr& failure) {
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    closed_ = true;
    changed_.notify_all();
  }

  // Until everything is done, or the time is over. Returns whether threads are left behind.
  bool wait() {
    const auto begin = std::chrono::steady_clock::now();
    Deadline deadline = begin;
    for (const CollectRequest& request : requests_) deadline = std::max(deadline, request.deadline);
    std::unique_lock lock(mutex_);
    bool shown = false;
    const auto is_over = [&] { return done_ == requests_.size() || (closed_ && count(State::reading) == 0); };
    while (!is_over() && std::chrono::steady_clock::now() < deadline + kGrace) {
      changed_.wait_until(lock, std::min(deadline + kGrace, std::chrono::steady_clock::now() + kProgressAfter));
      if (stderr_is_terminal() && std::chrono::steady_clock::now() - begin >= kProgressAfter) {
        std::fprintf(stderr, "\rreading: %zu of %zu servers done ", done_, requests_.size());
        shown = true;
      }
    }
    closed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return count(State::taking) == 0; });
    changed_.wait_for(lock, kGrace, [&] { return ending_ == 0; });
    if (shown) std::fprintf(stderr, "\r\x1b[K");
    return count(State::reading) > 0 || ending_ > 0;
  }

  // After wait().
  void rethrow_failure() {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }
  std::vector<std::size_t> unanswered() {
    const std::lock_guard lock(mutex_);
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i] != State::done) list.push_back(i);
    }
    return list;
  }

 private:
  struct Lent {
    Store store;
    bool used = false;
  };

  std::size_t count(State state) const {
    return static_cast<std::size_t>(std::count(states_.begin(), states_.end(), state));
  }

  std::optional<std::size_t> begin_reading() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      bool any = false;
      for (std::size_t i = first_waiting_; i < states_.size(); ++i) {
        if (states_[i] != State::waiting) {
          if (i == first_waiting_) ++first_waiting_;
          continue;
        }
        any = true;
        std::size_t& busy = busy_[address_of(requests_[i].connection)];
        if (busy == kThreadsOfAddress) continue;
        ++busy;
        states_[i] = State::reading;
        return i;
      }
      if (!any) return std::nullopt;
      changed_.wait(lock);  // for an address
    }
    return std::nullopt;
  }

  Lent borrow(std::size_t mine) {
    std::unique_lock lock(mutex_);
    states_[mine] = State::borrowing;
    changed_.wait(lock, [this] { return closed_ || !free_.empty(); });
    if (free_.empty()) throw Closed();
    states_[mine] = State::reading;
    Lent lent = std::move(free_.back());
    free_.pop_back();
    lock.unlock();
    if (lent.used) lent.store.clear_facts();
    lent.used = true;
    return lent;
  }

  // Nobody is left behind in it: what it refers to may be gone then.
  WhileItAnswers meanwhile(std::size_t mine) {
    if (!how_.meanwhile) return {};
    return [this, mine](Store& store, const ServerVersion& version) {
      {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        states_[mine] = State::taking;
      }
      how_.meanwhile(store, version);
      const std::lock_guard lock(mutex_);
      states_[mine] = State::reading;
      changed_.notify_all();
    };
  }

  bool begin_taking(std::size_t mine) {
    const std::lock_guard lock(mutex_);
    --busy_[address_of(requests_[mine].connection)];
    changed_.notify_all();
    if (closed_) return false;
    states_[mine] = State::taking;
    return true;
  }

  void end(std::size_t mine, std::vector<std::string> warnings, const std::exception_ptr& failure,
           std::optional<Lent> lent) {
    const std::lock_guard lock(mutex_);
    if (lent) free_.push_back(std::move(*lent));
    ++ending_;
    if (states_[mine] == State::taking) {
      states_[mine] = State::done;
      ++done_;
      for (const std::string& warning : warnings) write_stderr("warning: " + warning);
    } else {
      states_[mine] = State::waiting;
    }
    if (failure) {
      failure_ = failure;
      closed_ = true;
    }
    changed_.notify_all();
  }

  void ended() {
    const std::lock_guard lock(mutex_);
    --ending_;
    changed_.notify_all();
  }

  const std::vector<CollectRequest> requests_;
  const Clock clock_;
  const ReadEach how_;

  std::mutex mutex_;  // of everything below
  std::condition_variable changed_;
  std::vector<State> states_;
  std::size_t first_waiting_ = 0;  // all before it have begun
  std::size_t done_ = 0;
  std::map<std::string, std::size_t> busy_;  // connections by address
  std::vector<Lent> free_;                   // stores that nobody fills now
  std::size_t ending_ = 0;                   // threads whose connection ends
  bool closed_ = false;
  std::exception_ptr failure_;  // an internal error on a thread; thrown again on the main thread
};

// The facts about a server that answered nothing in time.
void insert_unanswered(Store& store, const CollectRequest& request, const Clock& clock) {
  const std::string reason =
      fmt::format("cannot read {}: not done when the time for this run (--timeout) was over", request.connection.name);
  const ServerDeclaration& declared = request.declared;
  store
      .insert("server", {"server_id", "name", "reachable", "error", "role", "replica_of", "group_name", "environment",
                         "memory_bytes", "taken_at"})
      .row(1, request.connection.name, false, reason, declared.role, declared.replica_of, declared.group,
           declared.environment, declared.memory_bytes, format_utc(clock()));
  Insert sources = store.insert("fact_source", {"server_id", "source", "status", "reason", "remedy", "curable"});
  for (const std::string& source : source_names())
    sources.row(1, source, "unavailable", reason, "Give it more time with --timeout", 1);
}

// As many as there is work for, or as the system allows.
std::vector<std::thread> start_threads(const std::shared_ptr<Work>& work) {
  std::vector<std::thread> threads;
  threads.reserve(work->threads());
  try {
    while (threads.size() < work->threads()) threads.emplace_back([work] { work->read_some(); });
  } catch (const std::system_error& error) {
    if (threads.empty())
      throw std::runtime_error(
          fmt::format("cannot start a thread to read servers: {}; allow this user more processes (ulimit -u)",
                      error.code().message()));
  }
  return threads;
}

}  // namespace

bool left_threads_behind() { return abandoned || Connection::left_threads_behind(); }

void read_each(const std::vector<CollectRequest>& requests, const ReadEach& how, const Clock& clock) {
  initialise_connector();
  const auto work = std::make_shared<Work>(requests, how, clock);
  std::vector<std::thread> threads = start_threads(work);
  try {
    work->hand_out(how.make());
  } catch (...) {
    work->fail(std::current_exception());
  }
  const bool late = work->wait();
  if (late) abandoned = true;  // and so it stays, whatever the next call does
  for (std::thread& thread : threads) {
    if (late) {
      thread.detach();
    } else {
      thread.join();
    }
  }
  work->rethrow_failure();
  std::optional<Store> store;
  for (const std::size_t index : work->unanswered()) {
    if (store) {
      store->clear_facts();
    } else {
      store = how.make();
    }
    insert_unanswered(*store, requests[index], clock);
    how.take(index, *store);
  }
}

Store collect_all(const StoreFactory& make, const std::vector<CollectRequest>& requests, const Clock& clock) {
  if (requests.size() == 1) {
    std::optional<Store> only;
    read_each(requests, {make, [&only](std::size_t, Store& store) { only = std::move(store); }}, clock);
    return std::move(*only);
  }
  Store all = make();
  std::mutex mutex;
  const auto take = [&](std::size_t index, Store& store) {
    const std::lock_guard lock(mutex);
    all.add_facts(store, static_cast<std::int64_t>(index) + 1);
  };
  read_each(requests, {[] { return Store(); }, take}, clock);
  return all;
}

}  // namespace dbaudit

#include "app/judge_each.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>

#include "app/from_snapshots.h"
#include "app/group_settings.h"
#include "app/output.h"
#include "app/read_each.h"
#include "app/replicas.h"
#include "app/time_limit.h"

namespace dbaudit {
namespace {

// Of the only server of `store`.
struct Taken {
  std::string at;
  ServerTimes times;
};
Taken taken(Store& store) {
  Query row = store.query("SELECT name, taken_at, connect_ms, query_ms, collect_ms FROM server");
  static_cast<void>(row.next().value());
  Taken taken{.at = row.text(1), .times = {.server = row.text(0)}};
  taken.times.connect_ms = row.real(2).value_or(0);
  taken.times.read_ms = row.real(3).value_or(0);
  taken.times.store_ms = row.real(4).value_or(0) - taken.times.connect_ms - taken.times.read_ms;
  return taken;
}

// Why what was looked for where a binary log is sent to is no replica; no row where it may be one: who refuses the
// account is a server, and one whose replication could not be read may be anything. A member of a cluster, and a reader
// of the primary's own storage, have no channel.
constexpr std::string_view kIsNoReplica =
    "SELECT s.error FROM server s WHERE NOT s.reachable AND s.error_kind IN ('unreachable', 'timeout', 'connection "
    "lost') "
    "UNION ALL SELECT 'the server there has no replication channel' FROM server s "
    "JOIN fact_source f ON f.source = 'replication' AND f.status = 'read' JOIN global_variables g "
    "WHERE s.reachable AND NOT EXISTS (SELECT 1 FROM replication) AND coalesce(g.wsrep_on, 'OFF') <> 'ON' "
    "AND coalesce(g.group_replication_group_name, '') = '' AND coalesce(g.innodb_read_only, 'OFF') <> 'ON'";

class Audit {
 public:
  Audit(const JudgedFacts& facts, const TakeResults& take, AuditTimes& times)
      : inputs_(facts.inputs),
        run_(facts.deadline),
        take_(take),
        times_(times),
        alone_(facts.server_names.size() == 1 && (facts.servers.empty() || !facts.servers.front().find_replicas)) {
    parts_.resize(facts.server_names.size());
    said_.resize(parts_.size());
    for (const CollectRequest& declared : facts.others) declared_.emplace(address_of(declared.connection), declared);
  }

  // Of an only server, before it is judged, on the thread that reads it.
  void prepare(Store& store, const ServerVersion& version) {
    const auto begin = std::chrono::steady_clock::now();
    prepare_rules(inputs_.rules, store, version);
    prepare_ms_ = milliseconds_since(begin);
  }

  // May be called for several servers at once, as the next one.
  void judge_chosen(std::size_t index, Store& store, const CollectRequest& request) {
    Said said = said_by(store, request);
    AuditResult part = judged(index, store);
    const std::lock_guard lock(mutex_);
    take_(part);
    parts_[index] = std::move(part);
    said_[index] = std::move(said);
  }

  // Where a pool names no server, it is that of the run, and not one that was found on the way.
  void judge_found(std::size_t index, Store& store, const FoundServer& found) {
    if (is_no_replica(store, found)) return;
    Query bound = store.query("UPDATE pool SET server_name = :first WHERE server_name IS NULL");
    bound.bind("first", parts_.front().servers.front().name);
    static_cast<void>(bound.next().value());
    Said said = said_by(store, found.request);
    AuditResult part = judged(index, store);
    const std::lock_guard lock(mutex_);
    parts_[index] = std::move(part);
    said_[index] = std::move(said);
  }

  // After a round, in the order of its servers, whoever was done first: reports must not depend on that.
  void settle_chosen(const std::vector<CollectRequest>& requests) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      addresses_.insert(address_of(requests[i].connection));
      if (!said_[i].identity.empty()) identities_.emplace(said_[i].identity, requests[i].connection.name);
      std::move(said_[i].replicas.begin(), said_[i].replicas.end(), std::back_inserter(found_));
    }
  }
  void settle_found(const std::vector<FoundServer>& found) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      AuditResult& part = parts_[parts_.size() - found.size() + i];
      Said& said = said_[parts_.size() - found.size() + i];
      if (part.servers.empty()) {  // no replica, unless one registers from there
        addresses_.erase(address_of(found[i].request.connection));
        no_replicas_.insert(address_of(found[i].request.connection));
        continue;
      }
      const std::string& name = found[i].request.connection.name;
      if (!said.identity.empty()) {
        const auto [known, is_new] = identities_.emplace(said.identity, name);
        if (!is_new) {
          write_stderr(fmt::format("{} is {}, which this run has read already", name, known->second));
          part = {};
          continue;
        }
      }
      take_(part);
      std::move(said.replicas.begin(), said.replicas.end(), std::back_inserter(found_));
    }
  }

  // Those that are not part of this run yet, as they are declared where they are; the surest first.
  std::vector<FoundServer> take_found() {
    for (FoundServer& found : found_) {
      const auto declared = declared_.find(address_of(found.request.connection));
      if (declared != declared_.end()) found = {declared->second, FoundAs::declared};
    }
    std::stable_sort(found_.begin(), found_.end(), [](const FoundServer& a, const FoundServer& b) {
      return std::tie(a.as, a.request.connection.name) < std::tie(b.as, b.request.connection.name);
    });
    std::vector<FoundServer> fresh;
    for (FoundServer& found : found_) {
      const std::string address = address_of(found.request.connection);
      if (found.as == FoundAs::session && no_replicas_.contains(address)) continue;
      if (addresses_.insert(address).second) fresh.push_back(std::move(found));
    }
    found_.clear();
    parts_.resize(parts_.size() + fresh.size());
    said_.resize(parts_.size());
    return fresh;
  }

  AuditResult finish() {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (compared_ && parts_[i].servers.empty()) compared_->remove_facts(static_cast<std::int64_t>(i) + 1);
    }
    if (compared_) compare();
    AuditResult audit;
    for (AuditResult& part : parts_) {
      if (part.servers.empty()) continue;
      if (audit.taken_at.empty() || part.taken_at < audit.taken_at) audit.taken_at = part.taken_at;
      std::move(part.servers.begin(), part.servers.end(), std::back_inserter(audit.servers));
      std::move(part.results.begin(), part.results.end(), std::back_inserter(audit.results));
    }
    return audit;
  }

 private:
  // A server, of itself and of others; nothing where that is not asked.
  struct Said {
    std::string identity;
    std::vector<FoundServer> replicas;
  };

  static bool is_no_replica(Store& store, const FoundServer& found) {
    if (found.as != FoundAs::session) return false;
    Query row = store.query(kIsNoReplica);
    if (!row.next().value() || std::chrono::steady_clock::now() >= found.request.deadline) return false;
    const ConnectionOptions& to = found.request.connection;
    write_stderr(
        fmt::format("a reader of the binary log of {} on {} is no replica that answers at {}: {}; one that "
                    "listens elsewhere would have to say where (report_host, report_port)",
                    found.request.declared.replica_of.value_or(""), to.host, to.name, row.text(0)));
    return true;
  }

  static Said said_by(Store& store, const CollectRequest& request) {
    if (!request.find_replicas) return {};
    std::vector<std::string> notes;
    Said said{identity_of(store), find_replicas(store, request, notes)};
    for (const std::string& note : notes) write_stderr(note);
    return said;
  }

  AuditResult judged(std::size_t index, Store& store) {
    work_out(inputs_, store);
    AuditResult part;
    part.servers = audited_servers(store);
    AuditedServer& server = part.servers.front();
    Taken of = taken(store);
    part.taken_at = std::move(of.at);
    const auto begin = std::chrono::steady_clock::now();
    Timings timings;
    part.results = judge_server(inputs_.rules, alone_ ? Which::all : Which::of_one_server, store, server,
                                request_for(server.name), &timings);
    const double prepare_ms = index == 0 ? prepare_ms_ : 0;
    of.times.store_ms -= prepare_ms;
    of.times.judge_ms = milliseconds_since(begin) + prepare_ms;
    server.server_id = static_cast<std::int64_t>(index) + 1;

    const std::lock_guard lock(mutex_);
    if (!alone_ && std::any_of(inputs_.rules.begin(), inputs_.rules.end(),
                               [](const Rule& rule) { return rule.compares_servers; })) {
      if (!compared_) compared_.emplace();
      compared_->add_compared_facts(store, server.server_id);
    }
    times_.servers.push_back(std::move(of.times));
    for (const auto& [rule, ms] : timings) times_.rules[rule] += ms;
    return part;
  }

  [[nodiscard]] JudgeRequest request_for(const std::string& server) const {
    JudgeRequest request;
    request.parameters = inputs_.judge.parameters;
    request.group_parameters = inputs_.judge.group_parameters;
    if (const auto own = inputs_.judge.server_parameters.find(server); own != inputs_.judge.server_parameters.end())
      request.server_parameters.insert(*own);
    request.deadline = judging_deadline(run_);
    return request;
  }

  void compare() {
    add_group_settings(inputs_.config, *compared_);
    const std::vector<Rule>& rules = inputs_.rules;
    std::map<std::string, std::size_t> place;
    for (const Rule& rule : rules) place.emplace(rule.id, place.size());
    for (const AuditedServer& server : audited_servers(*compared_)) {
      AuditResult part;
      part.results = judge_server(rules, Which::comparing, *compared_, server, request_for(server.name), &times_.rules);
      take_(part);
      std::vector<RuleResult>& results = parts_[static_cast<std::size_t>(server.server_id) - 1].results;
      const auto middle = static_cast<std::ptrdiff_t>(results.size());
      std::move(part.results.begin(), part.results.end(), std::back_inserter(results));
      std::inplace_merge(results.begin(), results.begin() + middle, results.end(),
                         [&](const RuleResult& a, const RuleResult& b) { return place.at(a.rule) < place.at(b.rule); });
    }
  }

  const Inputs& inputs_;
  Deadline run_;
  const TakeResults& take_;
  AuditTimes& times_;
  double prepare_ms_ = 0;           // of the first server, where it is the only one that was chosen
  bool alone_;                      // no other server can come
  std::mutex mutex_;                // of everything above that is changed, and below
  std::vector<AuditResult> parts_;  // by server; empty: no replica, or one that is here under another name
  std::vector<Said> said_;          // by server
  std::optional<Store> compared_;
  std::map<std::string, CollectRequest> declared_;  // by address: those of dbaudit.toml that were not chosen
  std::set<std::string> addresses_;
  std::set<std::string> no_replicas_;              // addresses where only a reader of the binary log was
  std::map<std::string, std::string> identities_;  // name by identity
  std::vector<FoundServer> found_;
};

std::vector<CollectRequest> requests_of(const std::vector<FoundServer>& found) {
  std::vector<CollectRequest> requests;
  for (const FoundServer& one : found) requests.push_back(one.request);
  return requests;
}

}  // namespace

AuditResult judge_each(const JudgingArguments& arguments, JudgedFacts& facts, const TakeResults& take,
                       AuditTimes& times, Problems& problems) {
  if (!arguments.from.empty()) {
    facts.server_names = servers_of_snapshots(facts.store, arguments.from, problems);
    check_pool_servers(facts, arguments, problems);
    if (!problems.empty()) return {};
  }
  Audit audit(facts, take, times);
  if (!arguments.from.empty()) {
    const CollectRequest none;
    const TakeFacts judge = [&](std::size_t index, Store& store) { audit.judge_chosen(index, store, none); };
    each_server_of_snapshots(facts.store, arguments.from, facts.server_names, judge, problems);
    return problems.empty() ? audit.finish() : AuditResult{};
  }
  const StoreFactory make = declared_stores(arguments, facts);
  const TakeFacts judge = [&](std::size_t index, Store& store) {
    audit.judge_chosen(index, store, facts.servers[index]);
  };
  // Of many servers there are always others to be read meanwhile.
  const bool many = facts.servers.size() > 1;
  const auto prepare = [&](Store& store, const ServerVersion& version) { audit.prepare(store, version); };
  read_each(facts.servers, {make, judge, many ? WhileItAnswers{} : prepare}, system_clock());
  audit.settle_chosen(facts.servers);
  std::size_t before = facts.servers.size();
  for (std::vector<FoundServer> found = audit.take_found(); !found.empty(); found = audit.take_found()) {
    const TakeFacts judge_found = [&](std::size_t index, Store& store) {
      audit.judge_found(before + index, store, found[index]);
    };
    read_each(requests_of(found), {make, judge_found}, system_clock());
    audit.settle_found(found);
    before += found.size();
  }
  return audit.finish();
}

}  // namespace dbaudit

#include "app/judged_facts.h"

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>

#include "app/assumed_servers.h"
#include "app/expectations.h"
#include "app/from_snapshots.h"
#include "app/group_settings.h"
#include "app/managed_services.h"
#include "app/output.h"
#include "app/read_each.h"
#include "app/time_limit.h"
#include "app/upgrades.h"
#include "base/text.h"
#include "base/toml.h"
#include "pools/limits.h"
#include "report/report.h"

namespace dbaudit {

void check_pool_servers(JudgedFacts& facts, const JudgingArguments& arguments, Problems& problems) {
  const std::vector<std::string>& names = facts.server_names;
  const bool by_name = !arguments.connection.servers.empty() || arguments.connection.shard || !arguments.from.empty();
  Query pools = facts.store.query("SELECT name, server_name FROM pool ORDER BY name");
  while (pools.next().value()) {
    const std::string pool = pools.text(0);
    const std::string server = pools.text(1);
    if (is_null(pools.value(1))) {
      if (names.size() > 1)
        problems.add(
            fmt::format("pool '{}' names no server, and this run has {}; write server = \"...\"", pool, names.size()));
      continue;
    }
    if (std::find(names.begin(), names.end(), server) != names.end()) continue;
    const std::vector<ServerConfig>& known = facts.inputs.config.servers;
    const bool declared =
        std::any_of(known.begin(), known.end(), [&](const ServerConfig& one) { return one.name == server; });
    if (declared && by_name) {
      write_stderr(fmt::format("pool {} talks to server {}, which this run was not told to read{}", pool, server,
                               arguments.with_replicas ? ", unless it is found as a replica" : ""));
    } else {
      problems.add(fmt::format(
          "pool '{}' talks to server '{}', which is not part of this run ({}); use --server, or leave out 'server'",
          pool, server, join(names, ", ")));
    }
  }
}

void JudgingArguments::add_to(CLI::App& app) {
  connection.add_to(app, true);
  inputs.add_to(app);
  app.add_option("--from", from, "Snapshot files in place of servers");
  app.add_option("--interval", interval, "Read status counters twice, this far apart, for rates");
  app.add_option("--timeout", timeout, "Time for the whole run")->capture_default_str();
}

void JudgingArguments::add_assume_to(CLI::App& app) {
  app.add_option("--assume", assume, "No server: the shipped defaults of a version, such as mysql-8.4 or mariadb-11.8");
}

void JudgingArguments::add_with_replicas_to(CLI::App& app) {
  app.add_flag("--with-replicas", with_replicas, "Also the replicas that the servers know of, with the same account");
}

void ReportArguments::add_to(CLI::App& app, const std::vector<std::string>& formats) {
  app.add_option("--format", format, join(formats, ", "))->check(CLI::IsMember(formats));
  app.add_option("--fail-on", fail_on, "Lowest severity that makes the exit code 1")
      ->check(CLI::IsMember({"error", "warning", "info"}));
  app.add_flag("--allow-unknown", allow_unknown, "Rules that could not be judged do not make the exit code 3");
  app.add_option("--color", colour, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("-v,--verbose", verbose, "List passes and rules that do not apply as well");
}

void ReportArguments::add_baseline_to(CLI::App& app) {
  app.add_option("--baseline", baseline, "A file of findings that are known and do not count");
}

void ReportArguments::add_update_baseline_to(CLI::App& app) {
  app.add_flag("--update-baseline", update_baseline,
               "Take out of the baseline what is gone; make the file of all that is found where there is none");
}

JudgedFacts load_judged_facts(const JudgingArguments& arguments, Problems& problems) {
  // A store is made in milliseconds, and files are read in as many.
  std::future<Store> made = std::async(std::launch::async | std::launch::deferred, [] { return Store(); });
  InputFiles files = read_input_files(arguments.inputs, problems);
  JudgedFacts facts{.store = made.get()};
  facts.inputs = load_inputs(arguments.inputs, std::move(files), facts.store, problems);
  check_services(facts.inputs, facts.store, problems);
  check_expectations(facts.inputs.config, problems);
  check_upgrades(facts.inputs, problems);
  for (const std::string& note : facts.inputs.notes) write_stderr(note);
  const std::optional<Deadline> deadline = deadline_from(arguments.timeout, problems);
  facts.deadline = deadline.value_or(Deadline::max());
  check_from(arguments.from, arguments.connection, problems);
  const bool live = arguments.from.empty() && arguments.assume.empty();
  if (!live && !arguments.interval.empty())
    problems.add("--interval needs a server; a snapshot is one sample, and a default is none");
  if (!live && arguments.with_replicas) problems.add("--with-replicas asks servers; snapshots have none to ask");
  if (!arguments.assume.empty()) {
    facts.server_names = check_assumed(arguments, facts.inputs, problems);
  } else if (live) {
    facts.servers = resolve_servers(arguments.connection, facts.inputs.config, true, problems,
                                    arguments.with_replicas ? &facts.others : nullptr);
    const std::optional<Seconds> interval = interval_from(arguments.interval, arguments.timeout, problems);
    for (std::vector<CollectRequest>* requests : {&facts.servers, &facts.others}) {
      for (CollectRequest& request : *requests) {
        request.deadline = facts.deadline;
        request.sample_interval = interval;
        request.find_replicas = arguments.with_replicas;
      }
    }
    for (const CollectRequest& request : facts.servers) facts.server_names.push_back(request.connection.name);
  }
  if (arguments.from.empty()) check_pool_servers(facts, arguments, problems);
  return facts;
}

StoreFactory declared_stores(const JudgingArguments& arguments, JudgedFacts& facts) {
  const auto loaded = std::make_shared<std::optional<Store>>(std::move(facts.store));
  return [&arguments, &inputs = facts.inputs, loaded] {
    if (*loaded) {
      Store store = std::move(**loaded);
      loaded->reset();
      return store;
    }
    Store store;
    Problems none;  // loaded before without any
    load_declared(arguments.inputs, inputs, {}, store, none);
    return store;
  };
}

void work_out(const Inputs& inputs, Store& store) {
  add_services(inputs, store);
  add_pool_limits(store);
  add_expectations(inputs.config, store);
  add_group_settings(inputs.config, store);
  add_upgrades(inputs, store);
}

Status read_judged_facts(const JudgingArguments& arguments, JudgedFacts& facts, Problems& problems) {
  if (!arguments.assume.empty()) {
    add_assumed(arguments, facts.inputs, facts.store, problems);
  } else if (arguments.from.empty()) {
    facts.store = collect_all(declared_stores(arguments, facts), facts.servers, system_clock());
  } else {
    add_snapshots(facts.store, arguments.from, SameServer::refuse, problems);
    if (!problems.empty()) return success();
    for (const AuditedServer& server : audited_servers(facts.store)) facts.server_names.push_back(server.name);
    check_pool_servers(facts, arguments, problems);
  }
  work_out(facts.inputs, facts.store);
  facts.inputs.judge.deadline = judging_deadline(facts.deadline);
  return success();
}

void check_moved_pools(const JudgedFacts& facts, const std::vector<PoolChange>& changes, Store& wanted,
                       Problems& problems) {
  for (const PoolChange& change : changes) {
    if (change.key != "server") continue;
    Query pool = wanted.query("SELECT server_name FROM pool WHERE name = :name");
    pool.bind("name", change.pool);
    if (!pool.next().value()) continue;
    const std::string server = pool.text(0);
    const std::vector<std::string>& names = facts.server_names;
    if (std::find(names.begin(), names.end(), server) == names.end())
      problems.add(fmt::format("--set pool.{}.server: '{}' is not part of this run ({}){}", printable(change.pool),
                               printable(server), join(names, ", "), did_you_mean(server, names)));
  }
}

std::optional<std::vector<BaselineEntry>> load_baseline(const ReportArguments& arguments, Problems& problems) {
  if (arguments.baseline.empty()) {
    if (arguments.update_baseline) problems.add("--update-baseline needs --baseline FILE");
    return std::nullopt;
  }
  std::error_code error;
  if (arguments.update_baseline) {
    const std::filesystem::path folder = std::filesystem::path(arguments.baseline).parent_path();
    if (access(folder.empty() ? "." : folder.c_str(), W_OK) != 0)
      problems.add(fmt::format("--update-baseline: cannot write into the folder of {}", arguments.baseline));
  }
  if (!std::filesystem::exists(arguments.baseline, error)) {
    if (!arguments.update_baseline)
      problems.add(fmt::format("--baseline: there is no {}; --update-baseline makes it of what is found now",
                               arguments.baseline));
    return std::nullopt;
  }
  const std::optional<std::string> text = read_file(arguments.baseline, problems);
  if (!text) return std::nullopt;
  return parse_baseline(*text, arguments.baseline, problems);
}

void mark_accepted(AuditResult& audit, const Inputs& inputs, const ReportArguments& arguments,
                   const std::optional<std::vector<BaselineEntry>>& baseline, const Clock& clock) {
  mark_waived(audit, inputs.waivers, std::chrono::floor<std::chrono::days>(clock()));
  if (!arguments.baseline.empty()) mark_known(audit, baseline.value_or(std::vector<BaselineEntry>()));
}

void find_unused_waivers(AuditResult& audit, const Inputs& inputs) {
  std::vector<std::string> declared;
  for (const ServerConfig& server : inputs.config.servers) declared.push_back(server.name);
  audit.unused_waivers = unused_waivers(audit, inputs.waivers, declared);
}

Status update_baseline(AuditResult& audit, const ReportArguments& arguments,
                       const std::optional<std::vector<BaselineEntry>>& baseline) {
  if (!arguments.update_baseline) return success();
  for (const AuditedServer& server : audit.servers) {
    // It would lack what is found there, and later runs add nothing.
    if (!baseline && !server.reachable)
      return Error{ErrorKind::other,
                   fmt::format("{}: not made, because {} was not read", arguments.baseline, server.name),
                   "Make it when every server can be read"};
  }
  const std::vector<BaselineEntry> kept = baseline ? pruned_baseline(*baseline, audit) : baseline_of(audit);
  if (Status written = replace_file(arguments.baseline, render_baseline(kept)); !written) return written;
  if (!baseline) mark_known(audit, kept);
  write_stderr(baseline ? fmt::format("{}: {} of {} findings are gone, and taken out", arguments.baseline,
                                      baseline->size() - kept.size(), baseline->size())
                        : fmt::format("{}: made, with {} findings", arguments.baseline, kept.size()));
  return success();
}

std::string render(const AuditResult& audit, const ReportArguments& arguments) {
  const Colour colour = arguments.colour == "always"  ? Colour::always
                        : arguments.colour == "never" ? Colour::never
                                                      : Colour::automatic;
  return arguments.format == "json" ? render_json(audit)
                                    : render_text(audit, {use_colour(colour), arguments.verbose, terminal_width()});
}

}  // namespace dbaudit

#include "app/apply_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/server_options.h"
#include "base/text.h"
#include "facts/known_names.h"

namespace dbaudit {
namespace {

struct Server {
  std::int64_t id;
  std::string name;
  ServerVersion version;
  bool assumed;
};

std::vector<Server> servers_of(Store& store) {
  std::vector<Server> servers;
  Query rows =
      store.query("SELECT server_id, name, flavor, version, door FROM server WHERE reachable = 1 ORDER BY server_id");
  while (rows.next().value()) {
    servers.push_back(
        {rows.integer(0).value_or(0),
         rows.text(1),
         {parse_flavor(rows.text(2)).value_or(Flavor::mysql), parse_version(rows.text(3)).value_or(Version{})},
         rows.text(4) == "assumed"});
  }
  return servers;
}

// A cell of global_variables; nothing when the server's variables were not read.
std::optional<Value> value_now(Store& store, const Server& server, const std::string& variable) {
  Query row = store.query(fmt::format("SELECT \"{}\" FROM global_variables WHERE server_id = :id", variable));
  row.bind("id", server.id);
  return row.next().value() ? std::optional(row.value(0)) : std::nullopt;
}

void write_value(Store& store, const Server& server, const std::string& variable, const Value& value) {
  for (const std::string& sql :
       {fmt::format("UPDATE global_variables SET \"{}\" = :value WHERE server_id = :id", variable),
        fmt::format("UPDATE variables_info SET variable_value = :value WHERE server_id = :id AND variable_name = '{}'",
                    variable)}) {
    Query row = store.query(sql);
    row.bind("value", value);
    row.bind("id", server.id);
    static_cast<void>(row.next().value());
  }
}

// Where the value comes from after a start, in the server's own words; what was SET before that is history.
void write_source(Store& store, const Server& server, const std::string& variable, std::string_view mysql,
                  std::string_view mariadb) {
  Query row = store.query(
      "UPDATE variables_info SET variable_source = :source WHERE server_id = :id AND variable_name = :name");
  row.bind("source", std::string(server.version.is_mariadb() ? mariadb : mysql));
  row.bind("id", server.id);
  row.bind("name", variable);
  static_cast<void>(row.next().value());
}

// The value in mysqld-auto.cnf, which is read after every option file (MySQL reference manual, "Persisted System
// Variables").
std::optional<Value> persisted_value(Store& store, const Server& server, const std::string& variable) {
  Query row = store.query(
      "SELECT persisted_value FROM variables_info WHERE server_id = :id AND variable_name = :name AND "
      "persisted_value IS NOT NULL");
  row.bind("id", server.id);
  row.bind("name", variable);
  return row.next().value() ? std::optional(row.value(0)) : std::nullopt;
}

// Puts changes in force on one server.
class Application {
 public:
  Application(const Server& server, Store& store, std::vector<std::string>& notes, Problems& problems)
      : server_(server), store_(store), notes_(notes), problems_(problems) {}

  void apply(const VariableChange& change) {
    if (change.group.empty()) {
      set(change);
    } else if (reads_group(change.group, server_.version)) {
      start_with(change);
    }
  }

  // What the next start takes for values that were only SET, where no option file and no --set decides.
  void lose_what_was_set(const ShippedDefaults& shipped) {
    Query rows = store_.query(
        "SELECT variable_name, variable_value, default_value, persisted_value, origin_reliable FROM variables_info "
        "WHERE server_id = :id AND variable_source IN ('SQL', 'DYNAMIC') ORDER BY variable_name");
    rows.bind("id", server_.id);
    std::vector<Lost> lost;
    std::optional<std::vector<std::pair<std::string, Value>>> defaults;
    while (rows.next().value()) {
      Lost one{rows.text(0), rows.value(1), is_null(rows.value(3)) ? rows.value(2) : rows.value(3),
               !is_null(rows.value(3))};
      if (decided_.contains(one.variable) || known_variable(one.variable) == nullptr) continue;
      // State that the server keeps itself.
      if (one.variable.starts_with("gtid_") || (server_.version.is_mariadb() && is_null(one.next))) continue;
      if (is_null(one.next)) {
        if (!defaults) defaults = shipped(server_.version);
        for (const auto& [name, value] : *defaults) {
          if (name == one.variable) one.next = value;
        }
      }
      if (same(one.next, one.now)) continue;
      // The trace that a SET GLOBAL leaves may be a SET SESSION's; an option file that stays may have the value.
      if (rows.integer(4).value_or(1) == 0 && !one.persisted) {
        if (is_null(one.next)) continue;
        one.next = {};
      }
      lost.push_back(std::move(one));
    }
    for (const Lost& one : lost) {
      write_value(store_, server_, one.variable, one.next);
      if (!is_null(one.next))
        write_source(store_, server_, one.variable, one.persisted ? "PERSISTED" : "COMPILED", "COMPILE-TIME");
      notes_.push_back(is_null(one.next)
                           ? fmt::format("{}: {} is {}; it was SET, and what it is after that start is not known",
                                         server_.name, one.variable, text_of(one.now))
                           : fmt::format("{}: {} = {} was SET and is lost at that start, which takes {}", server_.name,
                                         one.variable, text_of(one.now), text_of(one.next)));
    }
  }

 private:
  struct Lost {
    std::string variable;
    Value now;
    Value next;
    bool persisted = false;
  };

  // MySQL writes 10 as 10.000000 where a fraction is possible.
  static bool same(const Value& a, const Value& b) {
    const std::optional<double> number = number_of(a);
    return a == b || (number && number == number_of(b));
  }

  void problem(const VariableChange& change, const std::string& what) {
    problems_.add(fmt::format("{}: {}", change.where, what));
  }

  // Of an assumed server not every default is known.
  [[nodiscard]] bool has(const std::string& variable, const Value& now) const {
    const KnownName* known = known_variable(variable);
    return !is_null(now) || (server_.assumed && known != nullptr && known->in(server_.version.flavor).known);
  }

  [[nodiscard]] const KnownIn& facts(const std::string& variable) const {
    return known_variable(variable)->in(server_.version.flavor);
  }

  void set(const VariableChange& change) {
    const std::optional<Value> now = value_now(store_, server_, change.variable);
    if (!now) return;  // its variables were not read: every rule about them is unknown
    if (change.taken) return put(change.variable, *change.taken);
    if (!has(change.variable, *now))
      return problem(change, fmt::format("{} ({}) has no variable {}", server_.name, described(), change.variable));
    take(change, change.variable, value_from_set(facts(change.variable), *now, change.value));
  }

  void start_with(const VariableChange& change) {
    const MeantOption meant = meant_option(change.variable, server_.version);
    if (!meant.problem.empty())
      return problem(change, fmt::format("{} ({}) would not start with '{}': {}{}", server_.name, described(),
                                         printable(change.variable), meant.problem,
                                         did_you_mean(change.variable, variable_names())));
    // A file is often shared by servers of both kinds, in loose_ options or groups of their own.
    if (meant.name.empty() || known_variable(meant.name) == nullptr) return;
    const std::optional<Value> now = value_now(store_, server_, meant.name);
    if (!now || !has(meant.name, *now)) return;
    if (meant.modifier == OptionModifier::maximum) return cap(change, meant.name, *now);
    Result<TakenValue> taken =
        value_from_option(facts(meant.name), *now, option_value(change, meant), server_.version.flavor);
    if (taken) {
      const std::optional<Value> persisted = persisted_value(store_, server_, meant.name);
      if (persisted && text_of(*persisted) != text_of(taken->value)) {
        notes_.push_back(
            fmt::format("{}: {} stays {} on {}: it is persisted there, which wins over option files "
                        "(RESET PERSIST {})",
                        change.where, meant.name, text_of(*persisted), server_.name, meant.name));
        return;
      }
    }
    if (meant.modifier == OptionModifier::none && meant.name != change.variable)
      notes_.push_back(
          fmt::format("{}: {} takes '{}' for {}", change.where, server_.name, printable(change.variable), meant.name));
    take(change, meant.name, taken);
    write_source(store_, server_, meant.name, "EXPLICIT", "CONFIG");
  }

  // "skip-name-resolve" and "enable-x" say ON or OFF by their name, and the other way round where they are 0.
  static std::string option_value(const VariableChange& change, const MeantOption& meant) {
    if (meant.name == "log_bin" && meant.modifier == OptionModifier::none)
      return "ON";  // the option takes a file name, the variable has none
    if (meant.modifier == OptionModifier::none) return change.has_value ? change.value : "ON";
    const bool on = (meant.modifier == OptionModifier::on) != (change.has_value && change.value == "0");
    return on ? "ON" : "OFF";
  }

  // What a session may SET at most. MySQL moves the global value below it, MariaDB does not (measured).
  void cap(const VariableChange& change, const std::string& variable, const Value& now) {
    const Result<TakenValue> most = value_from_option(facts(variable), now, change.value, server_.version.flavor);
    if (!most) return take(change, variable, most);
    const std::optional<double> limit = number_of(most->value);
    const std::optional<double> value = number_of(now);
    const bool moves = server_.version.flavor == Flavor::mysql && limit && value && *value > *limit;
    if (moves) put(variable, most->value);
    notes_.push_back(fmt::format("{}: it limits what a session of {} may SET; the global {} {} {}", change.where,
                                 server_.name, variable, moves ? "becomes" : "stays",
                                 text_of(moves ? most->value : now)));
  }

  void take(const VariableChange& change, const std::string& variable, const Result<TakenValue>& taken) {
    if (!taken)
      return problem(change, fmt::format("{} is {} on {}, not '{}'", variable, taken.error().message, server_.name,
                                         printable(bounded(change.value, 60))));
    if (!taken->adjusted.empty())
      notes_.push_back(fmt::format("{}: {} = {} becomes {} on {}: {}", change.where, variable,
                                   printable(bounded(change.value, 60)), text_of(taken->value), server_.name,
                                   taken->adjusted));
    put(variable, taken->value);
  }

  void put(const std::string& variable, const Value& value) {
    write_value(store_, server_, variable, value);
    decided_.insert(variable);
  }

  [[nodiscard]] std::string described() const { return to_string(server_.version); }

  const Server& server_;
  Store& store_;
  std::vector<std::string>& notes_;
  Problems& problems_;
  std::set<std::string> decided_;
};

}  // namespace

void check_server_names(const Proposal& proposal, const std::vector<std::string>& names, Problems& problems) {
  const auto check = [&](const std::string& where, const std::optional<std::string>& server) {
    if (server && std::find(names.begin(), names.end(), *server) == names.end())
      problems.add(fmt::format("{}: no server of this run is named '{}'{}", where, printable(*server),
                               did_you_mean(*server, names)));
  };
  for (const VariableChange& change : proposal.variables) check(change.where, change.server);
  for (const MemoryChange& change : proposal.memory) check("--memory", change.server);
}

void apply_variables(const Proposal& proposal, const ShippedDefaults& shipped, Store& store,
                     std::vector<std::string>& notes, Problems& problems) {
  const std::vector<Server> servers = servers_of(store);
  for (const VariableChange& change : proposal.variables) {
    const auto meant = [&change](const Server& server) { return change.server == server.name; };
    if (change.server && std::none_of(servers.begin(), servers.end(), meant))
      notes.push_back(fmt::format("{}: {} was not read; what {} would do there is not known", change.where,
                                  printable(*change.server), printable(change.variable)));
  }
  for (const Server& server : servers) {
    Application application(server, store, notes, problems);
    for (const VariableChange& change : proposal.variables) {
      if (!change.server || *change.server == server.name) application.apply(change);
    }
    if (proposal.starts) application.lose_what_was_set(shipped);
  }
}

}  // namespace dbaudit

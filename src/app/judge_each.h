// An audit, server by server: each is judged on the thread that read it, and its facts are gone when the next one
// comes, so that thousands need no more memory than a few. Only what rules compare is kept of all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/judged_facts.h"
#include "rules/engine.h"

namespace dbaudit {

struct ServerTimes {
  std::string server;
  double connect_ms = 0;
  double read_ms = 0;   // waiting for answers
  double store_ms = 0;  // the rest of collecting
  double judge_ms = 0;
};

struct AuditTimes {
  Timings rules;
  std::vector<ServerTimes> servers;
};

// Gets a server and its results as soon as it is judged (one that was found on the way when all that were found with it
// are), one server at a time; in the end, where there are several, the
// results of rules that compare them. What it leaves of them is what judge_each returns.
using TakeResults = std::function<void(AuditResult& part)>;

// Reads and judges the servers or snapshots of `arguments`. What is wrong only now (a snapshot, a pool of a server that
// is in none) is in `problems`. In order of the servers and rules, whoever is done first.
AuditResult judge_each(const JudgingArguments& arguments, JudgedFacts& facts, const TakeResults& take,
                       AuditTimes& times, Problems& problems);

}  // namespace dbaudit

// What an audit found: the results of all rules on all servers, as plain data for the reports.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "facts/store.h"
#include "facts/value.h"
#include "rules/rule.h"

namespace dbaudit {

enum class Outcome { pass, fail, unknown, not_applicable, waived };
std::string to_string(Outcome outcome);

// Against the state without a proposed change.
enum class Change { same, introduced, fixed };
std::string to_string(Change change);

// The waiver that a failure has.
struct WaivedBy {
  std::string reason;
  std::string owner;
  std::string until;     // "2027-01-31"
  bool expired = false;  // then the failure counts all the same
};

struct RuleResult {
  std::string rule;
  std::string category;
  std::string title;
  Severity severity = Severity::warning;
  Outcome outcome = Outcome::pass;
  std::string server;
  std::string subject;
  std::string message;  // failures only
  std::string why;      // failures only: the first sentence of the rule's rationale
  std::string remedy;   // of a failure; of an unknown: what would make it known
  std::vector<std::pair<std::string, Value>> evidence;
  std::optional<std::string> reason;  // why unknown or not applicable
  bool curable = true;                // unknown only: false when nothing on this server could cure it
  std::optional<std::string> hazard;
  std::string fingerprint;
  std::optional<std::string> instead;  // the rule that reports this subject in place of this one
  std::optional<Change> change;        // of `check` only
  std::optional<WaivedBy> waiver;
  std::optional<bool> known;  // of failures, with a baseline only: it is in there, and does not count
};

struct UnusedWaiver {
  std::string rule;
  std::string server;
  std::string subject;
  std::string reason;
  std::string owner;
  std::string until;
  std::string file;
  int line = 0;
};

struct SourceState {
  std::string source;
  std::string status;
  std::optional<std::string> reason;
  std::optional<std::string> remedy;
  bool curable = true;
  std::optional<std::int64_t> rows;
};

struct AuditedServer {
  std::int64_t server_id = 0;
  std::string name;
  std::optional<std::string> group;
  std::optional<ServerVersion> version;
  bool reachable = false;
  std::optional<std::string> error;
  std::optional<std::string> door;
  std::vector<SourceState> sources;
  // The source that rules call "lock_waits": read where everybody who waits was seen, or partial. `sources` tells of
  // the process list; it shows all waits but those for a row, which InnoDB's transactions show or its lock waits.
  SourceState lock_waits;
};

struct Summary {
  int pass = 0;
  int errors = 0;
  int warnings = 0;
  int infos = 0;
  int unknown = 0;
  int not_applicable = 0;
  int waived = 0;
  std::optional<int> known;  // failures that are in the baseline; they are counted above, too
};

struct AuditResult {
  std::string taken_at;
  std::vector<AuditedServer> servers;
  std::vector<RuleResult> results;
  std::vector<UnusedWaiver> unused_waivers;
};

Summary summarise(const AuditResult& audit);

struct Verdict {
  Severity fail_on = Severity::error;
  bool allow_unknown = false;
  bool only_new = false;  // what was there before the proposed change does not count
};
// 0, 1 or 3 of the public contract.
int exit_code(const AuditResult& audit, const Verdict& verdict);

// The servers of a store with the state of their sources.
std::vector<AuditedServer> audited_servers(Store& store);

// Stable over runs: from rule, server and subject.
std::string fingerprint(const std::string& rule, const std::string& server, const std::string& subject);

}  // namespace dbaudit

// Reports are functions of data: an audit in, text out. No clock, no terminal, no file inside.
#pragma once

#include <string>

#include "rules/result.h"

namespace dbaudit {

struct TextOptions {
  bool colour = false;
  bool verbose = false;  // passes and rules that do not apply, too
  std::size_t width = 80;
};

// For people: failures, most severe first, then what is not known and why, then one line that counts everything.
std::string render_text(const AuditResult& audit, const TextOptions& options);

// The public contract's dbaudit/audit/1.
std::string render_json(const AuditResult& audit);
// The same as lines, of which each is an object with a "type": the servers and results of a part of an audit as soon
// as they are there, and in the end its unused waivers and the summary.
std::string render_json_lines(const AuditResult& part);
std::string render_json_summary(const AuditResult& audit);

}  // namespace dbaudit

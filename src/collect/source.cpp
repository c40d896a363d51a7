#include "collect/source.h"

#include <fmt/format.h>

#include "base/sql_text.h"
#include "base/text.h"
#include "collect/privileges.h"

namespace dbaudit {

std::optional<std::int64_t> Reading::processlist_id(std::optional<std::int64_t> thread_id) const {
  if (!thread_id) return std::nullopt;
  const auto found = processlist_of_thread.find(*thread_id);
  if (found == processlist_of_thread.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Reading::statement_text(const std::optional<std::string>& text) const {
  if (!text) return std::nullopt;
  constexpr std::size_t kCutInCharacter = 4;
  // What the server has cut must go on looking cut.
  const bool shortened =
      text->size() > kStatementBytes && text->size() + kCutInCharacter <= std::size_t{kWaitingStatementBytes};
  const std::string whole = shortened ? without_comments(*text) : *text;
  return bounded(request.redact ? without_literals(whole) : without_secrets(whole), kStatementBytes);
}

bool Reading::is_off(const std::string& instrument) const {
  const auto found = instruments.find(instrument);
  return found != instruments.end() && found->second != "YES";
}

SourceOutcome unavailable_from(const Error& error, const Reading& reading, const std::string& source) {
  Error plain = error;
  plain.next_step.clear();
  const std::string reason = describe(plain);
  switch (error.kind) {
    case ErrorKind::no_privilege:
      return SourceOutcome::unavailable(reason, grant_for(source, reading.version, reading.account).value_or(""));
    case ErrorKind::no_such_object: {
      // A missing table cannot be cured; an unknown column, variable or word is a mistake of ours.
      constexpr int kUnknownTable = 1109;
      constexpr int kNoSuchTable = 1146;
      if (error.code != kUnknownTable && error.code != kNoSuchTable) {
        return SourceOutcome::unavailable(
            reason, fmt::format("{} does not understand a statement of dbaudit; please report this as a defect",
                                to_string(reading.version)));
      }
      SourceOutcome outcome = SourceOutcome::impossible(reason);
      outcome.reason = fmt::format("{} does not have it: {}", to_string(reading.version), reason);
      return outcome;
    }
    case ErrorKind::unreadable:
      return SourceOutcome::unavailable(reason,
                                        "A running statement holds a character that the server cannot convert (MySQL "
                                        "error 3854); try again when it has ended");
    default: return SourceOutcome::unavailable(reason, error.next_step);
  }
}

SourceOutcome performance_schema_off(const Reading& reading) {
  return SourceOutcome::unavailable(
      fmt::format("performance_schema is off on this {}", display_name(reading.version.flavor)),
      "Start the server with performance_schema=ON");
}

SourceOutcome instrument_off(const std::string& instrument, const std::string& table) {
  const bool consumer = table == "setup_consumers";
  return SourceOutcome::unavailable(
      fmt::format("{} '{}' is off", consumer ? "consumer" : "instrument", instrument),
      fmt::format("UPDATE performance_schema.{} SET ENABLED='YES' WHERE NAME='{}'", table, instrument));
}

SourceOutcome read_by_thread(const Reading& reading, std::int64_t rows) {
  if (!reading.thread_ids_problem) return SourceOutcome::read(rows);
  return SourceOutcome::partial(rows, reading.thread_ids_problem->reason, reading.thread_ids_problem->remedy);
}

}  // namespace dbaudit

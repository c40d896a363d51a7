// Where text goes: findings to stdout, everything else to stderr.
#pragma once

#include <string>

#include "base/problems.h"
#include "base/result.h"

namespace dbaudit {

// A reader that closed the pipe early (head, less) is not an error.
void write_stdout(const std::string& text);
// One line, "dbaudit: ..."; control characters are shown, not sent.
void write_stderr(const std::string& line);

// The whole file or, on an error, what was there before.
Status replace_file(const std::string& path, const std::string& text);

// Prints them and returns kExitBadInput.
int report_problems(const Problems& problems);
// Prints it and returns the exit code for its kind.
int report_error(const Error& error);

enum class Colour { automatic, always, never };
bool use_colour(Colour wish);  // on stdout; NO_COLOR is honoured
bool stdout_is_terminal();
bool stderr_is_terminal();
std::size_t terminal_width();  // of stdout; 80 when it is no terminal

}  // namespace dbaudit

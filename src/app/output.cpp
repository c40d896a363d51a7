#include "app/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>

#include "app/exit_codes.h"
#include "base/text.h"

namespace dbaudit {

void write_stdout(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  // A reader that has gone away is no error; half a report on a full disk must not look like a whole one.
  if (!written && errno != EPIPE)
    throw std::system_error(errno, std::generic_category(), "cannot write to standard output");
}

void write_stderr(const std::string& line) {
  const std::string text = "dbaudit: " + printable(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

Status replace_file(const std::string& name, const std::string& text) {
  std::error_code missing;
  const std::filesystem::path there = std::filesystem::canonical(name, missing);  // behind a symbolic link
  const std::string path = missing ? name : there.string();
  const auto failed = [&path] {
    return Error{ErrorKind::io, fmt::format("cannot write {}: {}", path, std::generic_category().message(errno))};
  };
  const std::string partial = path + ".partial";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(partial.c_str(), "wb"), std::fclose);
  if (!file) return failed();
  const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                       std::fflush(file.get()) == 0 && std::rename(partial.c_str(), path.c_str()) == 0;
  if (written) return success();
  const Error error = failed();
  std::remove(partial.c_str());
  return error;
}

int report_problems(const Problems& problems) {
  for (const std::string& line : split(trimmed(problems.text()), '\n')) write_stderr(line);
  return kExitBadInput;
}

int report_error(const Error& error) {
  write_stderr(describe(error));
  return error.kind == ErrorKind::bad_input ? kExitBadInput : kExitIncomplete;
}

bool use_colour(Colour wish) {
  if (wish != Colour::automatic) return wish == Colour::always;
  const char* no_colour = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): main thread
  return isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

bool stdout_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return std::clamp<std::size_t>(size.ws_col, 60, 120);
}

}  // namespace dbaudit

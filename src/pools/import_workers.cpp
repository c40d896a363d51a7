// How many processes and threads an application server starts.
//
// gunicorn: config.py (workers: WEB_CONCURRENCY or 1, threads: 1; settings of a configuration file and of the command
// line); uWSGI: options processes, workers, threads; Puma: -w, -t min:max; uvicorn: --workers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "pools/import_formats.h"
#include "pools/placeholder.h"

namespace dbaudit {
namespace {

constexpr std::string_view kProcesses = "processes_per_instance";
constexpr std::string_view kThreads = "threads_per_process";

std::optional<std::int64_t> count_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1 || number > 1'000'000) return std::nullopt;
  return number;
}

// A count where the text is one; else it is left out, and said why.
void take_count(ImportedPool& pool, std::string_view key, const std::string& text, int line, const std::string& file) {
  if (const std::optional<std::int64_t> count = count_in(text)) {
    add_key(pool, std::string(key), {*count, line}, file);
    return;
  }
  const auto hidden = placeholder_in(text);
  pool.left_out.push_back(
      {std::string(key), origin_of(file, line),
       hidden ? *hidden + " hides it" : "it is no plain number, but " + printable(bounded(text, 80))});
}

void add_default(ImportedPool& pool, std::string_view key, std::string_view server) {
  const std::string name(key);
  for (const LeftOut& left_out : pool.left_out) {
    if (left_out.what == name) return;  // there is a value, and nobody knows it
  }
  add_key(pool, name, {std::int64_t{1}, 0}, "", fmt::format("default of {}", server));
}

bool is_asynchronous(std::string_view worker_class) {
  return worker_class.find("gevent") != std::string_view::npos ||
         worker_class.find("eventlet") != std::string_view::npos;
}

// Greenlets are threads to the application: each can hold a connection.
void take_greenlets(ImportedPool& pool, const std::string& connections, int line, const std::string& file) {
  if (!connections.empty()) return take_count(pool, kThreads, connections, line, file);
  add_key(pool, std::string(kThreads), {std::int64_t{1000}, 0}, "",
          "default of worker_connections: each greenlet can hold a connection");
}

// "--workers=4", "--workers 4", "-w 4", "-w4": the value, and how many words it took; 0: another option.
struct OptionValue {
  std::string value;
  std::size_t words = 0;
};

OptionValue option_value(const std::vector<std::string>& words, std::size_t at, std::string_view long_name,
                         std::string_view short_name) {
  const std::string& word = words[at];
  const std::string next = at + 1 < words.size() ? words[at + 1] : "";
  if (word == long_name || (!short_name.empty() && word == short_name)) return {next, 2};
  if (word.starts_with(std::string(long_name) + "=")) return {word.substr(long_name.size() + 1), 1};
  if (!short_name.empty() && word.starts_with(short_name) && !word.starts_with("--"))
    return {word.substr(short_name.size()), 1};
  return {};
}

struct ServerOptions {
  std::string_view program;
  std::string_view processes;
  std::string_view processes_also;
  std::string_view processes_short;
  std::string_view threads;
  std::string_view threads_short;
};
constexpr ServerOptions kServers[] = {
    {"gunicorn", "--workers", "--workers", "-w", "--threads", ""},
    {"uwsgi", "--processes", "--workers", "-p", "--threads", ""},
    {"uvicorn", "--workers", "--workers", "", "", ""},
    {"puma", "--workers", "--workers", "-w", "--threads", "-t"},
};

std::string program_of(std::string_view word) {
  return std::string(word.substr(word.rfind('/') == std::string_view::npos ? 0 : word.rfind('/') + 1));
}

struct Assignment {
  std::string value;
  int line = 0;
  bool conditional = false;
};

bool is_literal(std::string_view text) {
  return count_in(text).has_value() ||
         (text.size() > 1 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0]);
}

std::string without_quotes(const std::string& text) {
  return text.size() > 1 && (text[0] == '"' || text[0] == '\'') ? text.substr(1, text.size() - 2) : text;
}

// `name = value` of Python, as far as one line tells.
std::optional<Assignment> assignment_of(const std::string& text, std::string_view name) {
  std::optional<Assignment> last;
  int line = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++line;
    const std::string_view plain = trimmed(raw);
    if (!plain.starts_with(name)) continue;
    const std::string_view rest = trimmed(plain.substr(name.size()));
    if (rest.size() < 2 || rest[0] != '=' || rest[1] == '=') continue;
    std::string value(trimmed(rest.substr(1)));
    if (const std::size_t comment = value.find(" #"); comment != std::string::npos)
      value = std::string(trimmed(std::string_view(value).substr(0, comment)));
    last = {value, line, raw[0] == ' ' || raw[0] == '\t'};
  }
  return last;
}

}  // namespace

void add_workers(ImportedPool& pool, const std::vector<std::string>& words, int line, const std::string& file) {
  std::size_t at = 0;
  const ServerOptions* server = nullptr;
  for (; at < words.size() && server == nullptr; ++at) {
    for (const ServerOptions& known : kServers) {
      if (program_of(words[at]) == known.program) server = &known;
    }
  }
  if (server == nullptr) return;
  bool other_file = false;
  std::string worker_class;
  std::string connections;
  for (; at < words.size();) {
    OptionValue found = option_value(words, at, server->processes, server->processes_short);
    if (found.words == 0) found = option_value(words, at, server->processes_also, "");
    if (found.words > 0) {
      take_count(pool, kProcesses, found.value, line, file);
    } else if (!server->threads.empty() &&
               (found = option_value(words, at, server->threads, server->threads_short)).words > 0) {
      // Puma's "min:max".
      take_count(pool, kThreads, found.value.substr(found.value.find(':') + 1), line, file);
    } else if ((found = option_value(words, at, "--worker-class", "-k")).words > 0) {
      worker_class = found.value;
    } else if ((found = option_value(words, at, "--worker-connections", "")).words > 0) {
      connections = found.value;
    } else if ((found = option_value(words, at, "--config", "-c")).words > 0 || words[at] == "--ini" ||
               words[at].ends_with(".ini")) {
      other_file = true;
      found.words = std::max<std::size_t>(found.words, 1);
    }
    at += std::max<std::size_t>(found.words, 1);
  }
  if (is_asynchronous(worker_class)) take_greenlets(pool, connections, line, file);
  if (other_file) {
    pool.left_out.push_back(
        {"workers", origin_of(file, line), "a configuration file of the server says more; import it as well"});
  } else if (server->program == "gunicorn" || server->program == "uwsgi") {
    add_default(pool, kProcesses, server->program);
    add_default(pool, kThreads, server->program);
  }
}

Imported import_gunicorn(std::string_view text, const std::string& file, const ImportRequest& request, Problems&) {
  Imported out{"gunicorn", {}, {}};
  ImportedPool pool;
  add_key(pool, "name", {std::string("gunicorn"), 0}, file, "choose a better one");
  if (!request.library.empty()) add_key(pool, "library", {request.library, 0}, file, "as told");
  const std::string whole(text);
  const auto usable = [&](std::string_view name, std::string_view key) -> std::optional<Assignment> {
    std::optional<Assignment> found = assignment_of(whole, name);
    if (!found || (!found->conditional && is_literal(found->value))) return found;
    pool.left_out.push_back({std::string(key), origin_of(file, found->line),
                             found->conditional ? "it depends on a condition"
                                                : "it is an expression: " + printable(bounded(found->value, 80))});
    return std::nullopt;
  };
  if (const auto workers = usable("workers", kProcesses))
    take_count(pool, kProcesses, without_quotes(workers->value), workers->line, file);
  const std::optional<Assignment> worker_class = usable("worker_class", "worker_class");
  const std::optional<Assignment> connections = usable("worker_connections", "worker_connections");
  if (worker_class && is_asynchronous(worker_class->value)) {
    take_greenlets(pool, connections ? connections->value : "", connections ? connections->line : 0, file);
  } else if (const auto threads = usable("threads", kThreads)) {
    take_count(pool, kThreads, without_quotes(threads->value), threads->line, file);
  }
  add_default(pool, kThreads, "gunicorn");
  out.pools.push_back(std::move(pool));
  return out;
}

Imported import_uwsgi(std::string_view text, const std::string& file, const ImportRequest& request,
                      Problems& problems) {
  Imported out{"uWSGI", {}, {}};
  ImportedPool pool;
  add_key(pool, "name", {std::string("uwsgi"), 0}, file, "choose a better one");
  if (!request.library.empty()) add_key(pool, "library", {request.library, 0}, file, "as told");
  bool inside = false;
  bool any = false;
  int line = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++line;
    const std::string_view plain = trimmed(raw);
    if (plain.empty() || plain[0] == '#' || plain[0] == ';') continue;
    if (plain[0] == '[') {
      inside = plain == "[uwsgi]";
      any = any || inside;
      continue;
    }
    const std::size_t equals = plain.find('=');
    if (!inside || equals == std::string_view::npos || pool.left_out.size() > 100) continue;
    const std::string_view key = trimmed(plain.substr(0, equals));
    const std::string value(trimmed(plain.substr(equals + 1)));
    if (key == "processes" || key == "workers" || key == "p") take_count(pool, kProcesses, value, line, file);
    if (key == "threads") take_count(pool, kThreads, value, line, file);
    if (key == "gevent") take_greenlets(pool, value, line, file);
  }
  if (!any) {
    problems.add(file, 0, "has no section [uwsgi]");
    return out;
  }
  add_default(pool, kProcesses, "uWSGI");
  add_default(pool, kThreads, "uWSGI");
  out.pools.push_back(std::move(pool));
  return out;
}

}  // namespace dbaudit

#include "app/watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>
#include <thread>

#include "app/exit_codes.h"
#include "app/output.h"
#include "base/text.h"
#include "report/locks.h"
#include "report/locks_changes.h"

namespace dbaudit {
namespace {

constexpr char kStop = 's';
constexpr char kDone = 'd';

// Where signals and finished looks are heard of. A signal handler may do little but write into it.
std::array<int, 2> wakeups{-1, -1};

void wake(char what) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(wakeups[1], &what, 1);
  errno = saved;
}

void on_signal(int /*number*/) { wake(kStop); }

// Signals are heard of for as long as this lives.
class Signals {
 public:
  Signals() {
    if (pipe2(wakeups.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
    for (std::size_t i = 0; i < kNumbers.size(); ++i) {
      struct sigaction action {};
      action.sa_handler = on_signal;
      action.sa_flags = SA_RESTART;
      sigaction(kNumbers[i], &action, &before_[i]);
    }
  }
  ~Signals() {
    for (std::size_t i = 0; i < kNumbers.size(); ++i) sigaction(kNumbers[i], &before_[i], nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  static constexpr std::array kNumbers{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  std::array<struct sigaction, kNumbers.size()> before_{};
};

// False when nobody reads any more.
bool put(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(STDOUT_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && (errno == EPIPE || errno == EIO)) return false;
    if (written < 0) throw std::system_error(errno, std::generic_category(), "cannot write to standard output");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// The alternate screen without a cursor, and keys that arrive one by one; all as it was when this ends.
class Screen {
 public:
  Screen() {
    if (tcgetattr(STDIN_FILENO, &before_) == 0) {
      termios keys = before_;
      keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      keys.c_cc[VMIN] = 1;
      keys.c_cc[VTIME] = 0;
      // Whoever is stopped cannot give the screen back.
      keys.c_cc[VSUSP] = _POSIX_VDISABLE;
      keys_ = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
    }
    put("\x1b[?1049h\x1b[?25l\x1b[?7l");
  }
  ~Screen() {
    try {
      put("\x1b[?7h\x1b[?25h\x1b[?1049l");
    } catch (const std::exception&) {  // a terminal that is gone needs nothing back
    }
    if (keys_) tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  [[nodiscard]] bool keys() const { return keys_; }

  // As many lines as there is room for.
  static bool draw(const std::string& text) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size.ws_row = 24;
    std::string out = "\x1b[H";
    int row = 1;
    for (const std::string& line : split(trimmed(text), '\n')) {
      if (row > 1) out += "\r\n";
      out += line + "\x1b[K";
      if (++row > size.ws_row) break;
    }
    return put(out + "\x1b[0m\x1b[J");
  }

 private:
  termios before_{};
  bool keys_ = false;
};

class Watch {
 public:
  explicit Watch(const WatchRequest& request) : request_(request), on_terminal_(stdout_is_terminal()) {}

  int run() {
    const Signals signals;
    // What the first look has to say on stderr, say about TLS, stays to be read above.
    bool go_on = look();
    std::optional<Screen> screen;
    if (go_on && on_terminal_) {
      screen.emplace();
      keys_ = screen->keys();
    }
    while (go_on && show()) {
      go_on = pause(request_.interval) && look();
    }
    screen.reset();
    if (looking_) {
      std::fflush(nullptr);
      std::_Exit(exit_code_);
    }
    if (failure_) std::rethrow_exception(failure_);
    return exit_code_;
  }

 private:
  // Whether to go on.
  bool look() {
    looking_ = true;
    // One that is left behind writes into this object; run() then ends the program without giving it up.
    std::thread thread([this] {
      try {
        latest_ = request_.look();
      } catch (...) {
        failure_ = std::current_exception();
      }
      wake(kDone);
    });
    const bool done = wait(std::nullopt) == kDone;
    if (!done) {
      thread.detach();
      return false;
    }
    thread.join();
    looking_ = false;
    if (failure_) return false;
    exit_code_ = latest_.exit_code;
    time_ = format_utc(request_.clock());
    return true;
  }

  bool pause(Seconds length) { return wait(length) != kStop; }

  // Until somebody wants to stop, a look is done, or the time is over (0).
  char wait(std::optional<Seconds> length) {
    using std::chrono::steady_clock;
    const auto end =
        steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(length.value_or(Seconds{0}));
    while (true) {
      int rest = -1;
      if (length) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now()).count();
        if (left <= 0) return 0;
        rest = static_cast<int>(left);
      }
      std::array<pollfd, 2> from{pollfd{wakeups[0], POLLIN, 0}, pollfd{keys_ ? STDIN_FILENO : -1, POLLIN, 0}};
      if (poll(from.data(), from.size(), rest) <= 0) continue;
      char what = 0;
      if (from[0].revents != 0 && read(wakeups[0], &what, 1) == 1) return what;
      if (from[1].revents != 0) {
        char key = 0;
        if (read(STDIN_FILENO, &key, 1) != 1) keys_ = false;
        if (key == 'q' || key == 'Q') return kStop;
      }
    }
  }

  // Whether anybody reads it.
  bool show() {
    const std::string when = fmt::format("Every {}, last look {}", format_duration(request_.interval.count()), time_);
    std::string text = when + (keys_ ? ", q ends it\n" : "\n");
    if (!latest_.report) {
      if (failing_since_.empty()) failing_since_ = time_;
      text += paragraph(fmt::format("THIS LOOK FAILED, as all since {}, the next one follows: {}", failing_since_,
                                    printable(latest_.error)));
      if (shown_) text += "What was seen before:\n\n" + render(*shown_);
    } else {
      text += paragraph(shown_ ? "Since then: " + lock_changes(*shown_, *latest_.report) : "The first look") + "\n" +
              render(*latest_.report);
      shown_ = std::move(latest_.report);
      failing_since_.clear();
    }
    return on_terminal_ ? Screen::draw(text) : put(text + "\n");
  }

  static std::string paragraph(const std::string& text) { return join(wrap(text, terminal_width()), "\n") + "\n"; }

  [[nodiscard]] std::string render(const LockReport& report) const {
    return render_locks_text(report, {request_.colour, false, terminal_width()});
  }

  const WatchRequest& request_;
  bool on_terminal_;
  bool keys_ = false;  // whether keys can be read
  bool looking_ = false;
  Look latest_;                      // the looking thread's while looking_
  std::exception_ptr failure_;       // likewise
  std::optional<LockReport> shown_;  // the last one that succeeded
  std::string time_;
  std::string failing_since_;  // the first of the looks that failed in a row; empty: the last one did not
  int exit_code_ = kExitIncomplete;
};

}  // namespace

int watch(const WatchRequest& request) { return Watch(request).run(); }

}  // namespace dbaudit

#include "server/connection.h"

#if __has_include(<mysql/jdbc.h>)
#include <mysql/jdbc.h>
#else
#include <cppconn/connection.h>
#include <cppconn/datatype.h>
#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <cppconn/version_info.h>
#endif

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/text.h"
#include "server/errors.h"
#include "server/resolve_host.h"

namespace dbaudit {
namespace {

// What the TLS options of Connector/C++ do depends on the library below it (measured). Oracle's own has OPT_SSL_MODE.
// Debian's is built with libmariadb: sslEnforce offers TLS, sslVerify demands it with chain and host name.
// Ubuntu 24.04's is 1.1.12 with libmysqlclient: it offers TLS by itself, takes both keys for CONNECT_TIMEOUT, and
// checks no host name.
enum class ClientLibrary { oracle, libmariadb, old_libmysqlclient };
#if defined(MYSQL_CONCPP_VERSION_MAJOR)
constexpr ClientLibrary kLibrary = ClientLibrary::oracle;
#elif defined(MYCPPCONN_MARIADB_BUILD)
constexpr ClientLibrary kLibrary = ClientLibrary::libmariadb;
#else
constexpr ClientLibrary kLibrary = ClientLibrary::old_libmysqlclient;
#endif

// The guards of the session. One statement for both families: each skips the other's comment. lock_wait_timeout ends
// everything that would queue behind a metadata lock; both statement limits are MySQL's (milliseconds) and MariaDB's
// (seconds). time_zone: innodb_trx.trx_started is in the server's own zone.
constexpr std::string_view kSessionGuards =
    "SET NAMES utf8mb4, SESSION lock_wait_timeout=1, SESSION time_zone='SYSTEM'"
    " /*!50708 , SESSION max_execution_time=10000 */ /*!50720 , SESSION transaction_read_only=1 */"
    " /*M!100101 , SESSION tx_read_only=1, SESSION max_statement_time=10 */";

constexpr std::string_view kCipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";

// With all connections used up, every refused client holds the reserved slot for an instant. Few tries, because the
// server counts each that it refuses, and CAP003 reports that.
constexpr std::array<std::chrono::milliseconds, 4> kRefusedPauses{
    std::chrono::milliseconds(50), std::chrono::milliseconds(150), std::chrono::milliseconds(400),
    std::chrono::milliseconds(900)};

// What the client library reads as an option file, for as long as it connects. In memory: it holds the password.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text) : descriptor_(memfd_create("dbaudit", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
    path_ = fmt::format("/proc/self/fd/{}", descriptor_);
    if (access(path_.c_str(), R_OK) != 0) path_.clear();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }  // empty when it could not be made

 private:
  int descriptor_;
  std::string path_;
};

// The library's parser (libmariadb/ma_default.c) takes a line of 4094 bytes.
constexpr std::size_t kLongestQuotedPassword = 4080;

std::string quoted_for_option_file(std::string_view value) {
  std::string quoted = "\"";
  for (const char c : value) {
    switch (c) {
      case '\n': quoted += "\\n"; break;
      case '\r': quoted += "\\r"; break;
      case '\\':
      case '"': quoted += '\\'; [[fallthrough]];
      default: quoted += c;
    }
  }
  return quoted + "\"";
}

// Without a verified peer, anybody in between may ask for the password in the clear, and the client library would
// hand it over; and no server may make "dialog" ask questions on the terminal. An option file is the only way to tell
// the library which plugins it may use. One that it cannot open it skips without a word, for want of open files say:
// so the password is in there as well, and nowhere else.
std::string client_options(const ConnectionOptions& options) {
  std::string text =
      "[client]\n"
      "restricted-auth=mysql_native_password,caching_sha2_password,client_ed25519,parsec,auth_gssapi_client";
  if (options.ssl_mode == SslMode::verify_identity) text += ",sha256_password,mysql_clear_password";
  if (!options.password.empty()) text += "\npassword=" + quoted_for_option_file(options.password);
  return text + "\n";
}

sql::Driver* driver() {
  static sql::Driver* const instance = ::get_driver_instance();
  return instance;
}

int whole_seconds(Seconds time) { return std::max(1, static_cast<int>(std::ceil(time.count()))); }

// A socket cannot be listened to, so TLS is offered there only when it was asked for by name.
bool offers_tls(const ConnectionOptions& options) {
  return options.ssl_mode != SslMode::disabled && (options.socket.empty() || options.ssl_mode != SslMode::preferred);
}

Error to_error(const sql::SQLException& exception, const std::string& doing, During during) {
  return server_error(exception.getErrorCode(), exception.getSQLState(), exception.what(), doing, during);
}

// `file`: path of what libmariadb reads besides.
sql::ConnectOptionsMap connect_options(const ConnectionOptions& options, int port, Seconds time_left,
                                       const std::string& file) {
  sql::ConnectOptionsMap map;
  if (options.socket.empty() || port != options.port) {
    const std::string host = options.host.empty() ? "127.0.0.1" : options.host;
    const bool ipv6 = host.find(':') != std::string::npos;
    map["hostName"] = sql::SQLString(fmt::format("tcp://{}:{}", ipv6 ? "[" + host + "]" : host, port));
  } else {
    map["socket"] = sql::SQLString(options.socket);
  }
  map["userName"] = sql::SQLString(options.user);
  if (kLibrary != ClientLibrary::libmariadb) map["password"] = sql::SQLString(options.password);
  const int connect = whole_seconds(std::min(options.connect_timeout, time_left));
  map["OPT_CONNECT_TIMEOUT"] = connect;
  map["OPT_READ_TIMEOUT"] = whole_seconds(std::min(options.read_timeout, time_left));
  map["OPT_WRITE_TIMEOUT"] = connect;
  map["OPT_CHARSET_NAME"] = sql::SQLString("utf8mb4");
  map["OPT_LOCAL_INFILE"] = 0;
  std::map<sql::SQLString, sql::SQLString> attributes{{"program_name", "dbaudit"},
                                                      {"program_version", DBAUDIT_VERSION}};
  map["OPT_CONNECT_ATTR_ADD"] = attributes;
  map["postInit"] = sql::SQLString(std::string(kSessionGuards));

  const bool verify = options.ssl_mode == SslMode::verify_identity;
  const bool offer = offers_tls(options);
  if constexpr (kLibrary == ClientLibrary::oracle) {
    map["OPT_SSL_MODE"] = verify ? 5 : !offer ? 1 : options.ssl_mode == SslMode::required ? 3 : 2;
    map["OPT_GET_SERVER_PUBLIC_KEY"] = true;
  } else if constexpr (kLibrary == ClientLibrary::libmariadb) {
    if (offer) map["sslEnforce"] = true;
    if (verify) map["sslVerify"] = true;
    map["readDefaultFile"] = sql::SQLString(file);
    map["readDefaultGroup"] = sql::SQLString("client");
  }
  if (offer && !options.ssl_ca.empty()) map["sslCA"] = sql::SQLString(options.ssl_ca);
  if (offer && !options.ssl_cert.empty()) map["sslCert"] = sql::SQLString(options.ssl_cert);
  if (offer && !options.ssl_key.empty()) map["sslKey"] = sql::SQLString(options.ssl_key);
  return map;
}

Seconds until(Deadline deadline) {
  return std::max(Seconds{0}, std::chrono::duration_cast<Seconds>(deadline - std::chrono::steady_clock::now()));
}

Result<std::unique_ptr<sql::Connection>> connect_once(const ConnectionOptions& options, int port, Deadline deadline) {
  const std::string doing = "connect to " + options.name;
  const Seconds left = until(deadline);
  if (left <= Seconds{0}) {
    return Error{ErrorKind::timeout, fmt::format("cannot {}: the time for this run (--timeout) is over", doing)};
  }
  if (kLibrary == ClientLibrary::old_libmysqlclient && options.ssl_mode == SslMode::verify_identity) {
    return Error{ErrorKind::tls,
                 fmt::format("cannot {}: this build of Connector/C++ cannot verify who the server is", doing),
                 "Use a dbaudit that was built on Debian, or --ssl-mode REQUIRED for encryption only"};
  }
  std::optional<MemoryFile> file;
  if constexpr (kLibrary == ClientLibrary::libmariadb) {
    if (quoted_for_option_file(options.password).size() > kLongestQuotedPassword) {
      return Error{ErrorKind::refused_credentials,
                   fmt::format("cannot {}: the password is longer than the client library can read", doing),
                   "Use one of at most 4000 bytes"};
    }
    file.emplace(client_options(options));
    if (file->path().empty()) {
      return Error{ErrorKind::other,
                   fmt::format("cannot {}: without a file in memory (memfd_create, /proc) the client library cannot be "
                               "kept from sending the password in the clear",
                               doing),
                   "Mount /proc and allow more open files"};
    }
  }
  const auto started = std::chrono::steady_clock::now();
  try {
    sql::ConnectOptionsMap map = connect_options(options, port, left, file ? file->path() : "");
    return std::unique_ptr<sql::Connection>(driver()->connect(map));
  } catch (const sql::SQLException& exception) {
    Error error =
        to_error(exception, doing, offers_tls(options) ? During::connecting : During::connecting_in_plaintext);
    if (file && error.code == 1045 && !options.password.empty() &&
        error.message.find("using password: NO") != std::string::npos) {
      error.next_step +=
          "; where all of that is right, the client library could not open the file with the password, "
          "for want of open files";
    }
    // The library says "unreachable" and "lost" for a server that simply never answers.
    const Seconds taken = std::chrono::steady_clock::now() - started;
    if ((error.kind == ErrorKind::unreachable || error.kind == ErrorKind::lost) &&
        taken >= std::min(options.connect_timeout, left) - Seconds{0.1}) {
      error.kind = ErrorKind::timeout;
      error.next_step = fmt::format("No answer in {}", format_duration(taken.count()));
    }
    return error;
  }
}

}  // namespace

void initialise_connector() {
  driver();  // the last to read the environment, where another thread has begun it
  // An empty password would make the library look for one in MYSQL_PWD.
  unsetenv("MYSQL_PWD");  // NOLINT(concurrency-mt-unsafe): called on the main thread before others connect
}

std::future<void> begin_to_initialise_connector() {
  return std::async(std::launch::async | std::launch::deferred, [] { driver(); });  // later, where no thread can be had
}

// --- Rows

namespace {
// Connector/C++ counts columns from 1.
std::uint32_t position(std::size_t column) { return static_cast<std::uint32_t>(column) + 1; }

// DECIMAL is read as text, because the connector's integer getters clamp it without a word.
template <typename Number>
std::optional<Number> parse_number(std::optional<std::string_view> text) {
  Number number{};
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end == text->data()) return std::nullopt;
  return number;
}
}  // namespace

struct Rows::Impl {
  std::unique_ptr<sql::Statement> statement;
  std::unique_ptr<sql::ResultSet> result;
  std::vector<std::string> cells;  // of the row that is being read, as far as it was asked for
  enum class Kind { other, whole, unsigned_whole };
  std::vector<Kind> kinds;  // by column

  void describe_columns() {
    sql::ResultSetMetaData* columns = result->getMetaData();
    cells.resize(columns->getColumnCount());
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const int type = columns->getColumnType(position(i));
      const bool whole = type == sql::DataType::TINYINT || type == sql::DataType::SMALLINT ||
                         type == sql::DataType::MEDIUMINT || type == sql::DataType::INTEGER ||
                         type == sql::DataType::BIGINT;
      kinds.push_back(!whole ? Kind::other : columns->isSigned(position(i)) ? Kind::whole : Kind::unsigned_whole);
    }
  }

  // As it came from the server; nothing for NULL.
  std::optional<std::string_view> bytes(std::size_t column) {
    sql::SQLString text = result->getString(position(column));
    std::string& cell = cells.at(column);
    text->swap(cell);
    if (cell.empty() && result->wasNull()) return std::nullopt;
    return cell;
  }
};

Rows::Rows(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

bool Rows::next() { return impl_->result->next(); }
void Rows::rewind() { impl_->result->beforeFirst(); }
std::size_t Rows::size() const { return impl_->result->rowsCount(); }
std::size_t Rows::columns() const { return impl_->result->getMetaData()->getColumnCount(); }

std::string Rows::column_name(std::size_t column) const {
  return impl_->result->getMetaData()->getColumnLabel(position(column));
}

std::optional<std::size_t> Rows::find_column(std::string_view name) const {
  for (std::size_t i = 0; i < columns(); ++i) {
    if (equals_ignoring_case(column_name(i), name)) return i;
  }
  return std::nullopt;
}

bool Rows::is_null(std::size_t column) const { return impl_->result->isNull(position(column)); }

std::optional<std::string_view> Rows::optional_view(std::size_t column) const {
  const std::optional<std::string_view> bytes = impl_->bytes(column);
  if (!bytes || is_valid_utf8(*bytes)) return bytes;
  std::string& cell = impl_->cells[column];
  cell = valid_utf8(*bytes);
  return cell;
}

std::string_view Rows::view(std::size_t column) const { return optional_view(column).value_or(""); }

std::string Rows::text(std::size_t column) const { return std::string(view(column)); }

std::optional<std::string> Rows::optional_text(std::size_t column) const {
  const std::optional<std::string_view> found = optional_view(column);
  return found ? std::optional(std::string(*found)) : std::nullopt;
}

std::optional<std::int64_t> Rows::integer(std::size_t column) const {
  // Cheaper than the text, of which the connector makes a copy.
  if (const Impl::Kind kind = impl_->kinds.at(column); kind != Impl::Kind::other) {
    const std::int64_t number = impl_->result->getInt64(position(column));
    if (number == 0 && impl_->result->wasNull()) return std::nullopt;
    // BIGINT UNSIGNED beyond the largest arrives as a negative number.
    if (number < 0 && kind == Impl::Kind::unsigned_whole) return std::nullopt;
    return number;
  }
  return parse_number<std::int64_t>(impl_->bytes(column));
}

std::optional<double> Rows::real(std::size_t column) const { return parse_number<double>(impl_->bytes(column)); }

// --- Connection

struct Connection::Impl : std::enable_shared_from_this<Impl> {
  std::unique_ptr<sql::Connection> connection;
  std::string name;
  std::string door;
  std::string cipher;
  std::vector<std::string> warnings;
  Seconds read_timeout{0};
  bool lost = false;
  Seconds query_time{0};

  // What query() is expected to be asked for, in that order; of the thread that owns the connection. The worker alone
  // uses the server's connection while one of them has no answer; rows that have arrived do not need it.
  struct Begun {
    std::string sql;
    std::future<Result<Rows>> answer;
  };
  std::deque<Begun> begun;
  Deadline deadline;
  bool given_up = false;  // at the deadline; the worker may still be waiting, and sends nothing more

  std::mutex mutex;  // of what follows
  std::condition_variable changed;
  std::deque<std::packaged_task<Result<Rows>()>> to_do;
  bool closing = false;
  std::thread worker;

  Result<Rows> run(std::string_view sql);
  Result<Rows> answer_to(std::string_view sql);
  void begin(std::string sql);
  bool forget();
  Error time_is_over();
  void work();
  void close();
};

namespace {
std::atomic<bool> left_behind{false};
}

Connection::Connection(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&& other) noexcept {
  if (this != &other) {
    end();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
Connection::~Connection() { end(); }

void Connection::end() {
  if (!impl_) return;
  impl_->close();
  if (impl_->worker.joinable()) {
    if (impl_->given_up) {
      left_behind = true;
      impl_->worker.detach();
    } else {
      impl_->worker.join();
    }
  }
  impl_.reset();
}

bool Connection::left_threads_behind() { return left_behind; }

bool Connection::lost() const { return impl_->lost; }
bool Connection::idle() const { return impl_->begun.empty(); }
Seconds Connection::query_time() const { return impl_->query_time; }
const std::string& Connection::door() const { return impl_->door; }
const std::string& Connection::tls_cipher() const { return impl_->cipher; }
const std::vector<std::string>& Connection::warnings() const { return impl_->warnings; }

Result<Rows> Connection::query(std::string_view sql) {
  const auto started = std::chrono::steady_clock::now();
  Result<Rows> rows = impl_->answer_to(sql);
  if (!rows && rows.error().kind == ErrorKind::lost) impl_->lost = true;
  impl_->query_time += std::chrono::steady_clock::now() - started;
  return rows;
}

void Connection::end_by(Deadline deadline) { impl_->deadline = deadline; }

void Connection::begin(std::string sql) {
  if (!impl_->lost) impl_->begin(std::move(sql));
}

Result<Rows> Connection::Impl::answer_to(std::string_view sql) {
  if (given_up) return time_is_over();
  auto found = std::find_if(begun.begin(), begun.end(), [sql](const Begun& one) { return one.sql == sql; });
  if (found == begun.end()) {
    if (!forget()) return time_is_over();
    begin(std::string(sql));
    if (begun.empty()) return run(sql);
    found = begun.begin();
  }
  std::future<Result<Rows>> answer = std::move(found->answer);
  begun.erase(begun.begin(), found + 1);  // nobody asks for those before it: something failed
  if (answer.wait_until(deadline) != std::future_status::ready) return time_is_over();
  return answer.get();
}

Error Connection::Impl::time_is_over() {
  given_up = true;
  {
    const std::lock_guard lock(mutex);
    to_do.clear();
  }
  begun.clear();
  return {ErrorKind::lost, fmt::format("cannot read from {}: no answer when the time for this run was over", name),
          "Give it more time with --timeout"};
}

void Connection::Impl::begin(std::string sql) {
  if (!worker.joinable()) {
    try {
      worker = std::thread([mine = shared_from_this()] { mine->work(); });
    } catch (const std::system_error&) {
      return;  // without a thread it is asked when its turn comes
    }
  }
  std::packaged_task<Result<Rows>()> task([this, sql] { return run(sql); });
  begun.push_back({std::move(sql), task.get_future()});
  const std::lock_guard lock(mutex);
  to_do.push_back(std::move(task));
  changed.notify_one();
}

// Afterwards nobody uses the connection; false: somebody still does, and the time is over.
bool Connection::Impl::forget() {
  {
    const std::lock_guard lock(mutex);
    to_do.clear();
  }
  for (const Begun& one : begun) {  // for the one that is at work
    if (one.answer.wait_until(deadline) != std::future_status::ready) return false;
  }
  begun.clear();
  return true;
}

void Connection::Impl::work() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return closing || !to_do.empty(); });
    if (closing) return;
    std::packaged_task<Result<Rows>()> task = std::move(to_do.front());
    to_do.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

// The worker ends when it has its answer.
void Connection::Impl::close() {
  const std::lock_guard lock(mutex);
  closing = true;
  changed.notify_one();
}

Result<Rows> Connection::Impl::run(std::string_view sql) {
  const auto started = std::chrono::steady_clock::now();
  try {
    auto rows = std::make_unique<Rows::Impl>();
    rows->statement.reset(connection->createStatement());
    rows->result.reset(rows->statement->executeQuery(sql::SQLString(sql.data(), sql.size())));
    rows->describe_columns();
    return Rows(std::move(rows));
  } catch (const sql::SQLException& exception) {
    Error error = to_error(exception, "read from " + name, During::reading);
    const Seconds taken = std::chrono::steady_clock::now() - started;
    if (error.kind == ErrorKind::lost && taken >= read_timeout - Seconds{0.1}) {
      error.next_step = fmt::format("No answer in {}", format_duration(taken.count()));
    }
    return error;
  }
}

Result<Connection> Connection::open(const ConnectionOptions& options, Deadline deadline) {
  if (options.socket.empty()) {
    const Status resolved = check_host_resolves(options.host, std::min(options.connect_timeout, until(deadline)));
    if (!resolved) return resolved.error();
  }
  auto impl = std::make_shared<Impl>();
  impl->name = options.name;
  impl->door = options.socket.empty() ? "normal port" : "socket";
  impl->read_timeout = std::min(options.read_timeout, until(deadline));
  impl->deadline = deadline;

  auto connected = connect_once(options, options.port, deadline);
  for (const std::chrono::milliseconds pause : kRefusedPauses) {
    if (connected || connected.error().code != 1040 || std::chrono::steady_clock::now() + pause >= deadline) break;
    std::this_thread::sleep_for(pause);
    auto again = connect_once(options, options.port, deadline);
    // "Too many connections" says more than "the time is over".
    if (!again && again.error().kind == ErrorKind::timeout) break;
    connected = std::move(again);
  }
  if (!connected && connected.error().code == 1040 && options.spare_port) {
    auto spare = connect_once(options, *options.spare_port, deadline);
    if (!spare) {
      Error both = spare.error();
      both.message = fmt::format("{}; the spare port {} did not help: {}", connected.error().message,
                                 *options.spare_port, both.message);
      return both;
    }
    connected = std::move(spare);
    impl->door = fmt::format("spare port {}", *options.spare_port);
  }
  if (!connected) return connected.error();
  impl->connection = std::move(*connected);

  Connection connection(std::move(impl));
  Result<Rows> cipher = connection.query(kCipher);
  if (!cipher) return cipher.error();
  if (cipher->next()) connection.impl_->cipher = cipher->text(1);
  if (connection.impl_->cipher.empty()) {
    if (options.ssl_mode == SslMode::required || options.ssl_mode == SslMode::verify_identity) {
      return Error{ErrorKind::tls,
                   fmt::format("cannot connect to {}: TLS was asked for and the server gave none", options.name),
                   "Give the server a certificate, or use --ssl-mode PREFERRED"};
    }
    if (!is_loopback(options)) {
      connection.impl_->warnings.push_back(
          fmt::format("the connection to {} is not encrypted; --ssl-mode REQUIRED refuses that", options.name));
    }
  }
  return connection;
}

}  // namespace dbaudit

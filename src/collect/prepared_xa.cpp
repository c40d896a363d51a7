// Prepared XA transactions; they hold their locks even when the session that prepared them is gone.
//
// Xids are bytes. MySQL writes them as one hexadecimal number, MariaDB as the literals that XA ROLLBACK takes; both are
// turned into bytes here and into literals again, readable ones where the bytes are.
#include <fmt/format.h>

#include <algorithm>

#include "base/sql_text.h"
#include "base/text.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kRecoverMysql = "XA RECOVER CONVERT XID";
constexpr std::string_view kRecoverMariadb = "XA RECOVER FORMAT='SQL'";
constexpr std::size_t kXidBytes = 128;  // gtrid and bqual are at most 64 bytes each

std::string from_hexadecimal(std::string_view digits) {
  const auto value = [](char c) { return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1]));
  return bytes;
}

// MySQL: 0x677427. MariaDB: 'gt\'r','bq',7 or X'6774',X'6271',7.
std::string bytes_of(std::string_view data) {
  if (data.starts_with("0x")) return from_hexadecimal(data.substr(2));
  std::string bytes;
  bool hexadecimal = false;
  for (const SqlToken& token : sql_tokens(data)) {
    if (token.kind == SqlTokenKind::string) {
      const std::string text = unquoted(token.text);
      bytes += hexadecimal ? from_hexadecimal(text) : text;
    }
    hexadecimal = equals_ignoring_case(token.text, "X");
  }
  return bytes;
}

std::string literal_of(std::string_view bytes) {
  const bool readable =
      std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c <= '~' && c != '\'' && c != '\\'; });
  if (readable) return fmt::format("'{}'", bytes);
  std::string out = "X'";
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out + "'";
}

std::string_view recover_sql(const Reading& reading) {
  return reading.version.is_mariadb() ? kRecoverMariadb : kRecoverMysql;
}

}  // namespace

Ahead ahead_of_prepared_xa(const Reading& reading) { return {{std::string(recover_sql(reading))}}; }

SourceOutcome collect_prepared_xa(Reading& reading) {
  Result<Rows> rows = reading.connection.query(recover_sql(reading));
  if (!rows) return unavailable_from(rows.error(), reading, "prepared_xa");
  Insert insert = reading.store.insert("prepared_xa");
  std::int64_t count = 0;
  while (rows->next()) {
    const std::string bytes = bytes_of(rows->view(3));
    const auto gtrid = static_cast<std::size_t>(std::max<std::int64_t>(0, rows->integer(1).value_or(0)));
    const std::string_view all = bytes;
    const std::string xid = fmt::format("{},{},{}", literal_of(all.substr(0, gtrid)),
                                        literal_of(all.substr(std::min(gtrid, all.size()))), rows->view(0));
    insert.row(reading.server_id, rows->integer(0), rows->integer(1), rows->integer(2),
               bounded(valid_utf8(bytes), kXidBytes), xid);
    ++count;
  }
  return SourceOutcome::read(count);
}

}  // namespace dbaudit

// Accounts and their connection limits. Three columns of mysql.user, so that no password hash is ever asked for; the
// session's lock_wait_timeout of one second bounds it while somebody alters accounts.
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kAccounts = "SELECT User, Host, max_user_connections FROM mysql.user";

}  // namespace

Ahead ahead_of_accounts(const Reading& /*reading*/) { return {{std::string(kAccounts)}}; }

SourceOutcome collect_accounts(Reading& reading) {
  Result<Rows> rows = reading.connection.query(kAccounts);
  if (!rows) return unavailable_from(rows.error(), reading, "accounts");
  Insert insert = reading.store.insert("accounts");
  std::int64_t count = 0;
  while (rows->next()) {
    insert.row(reading.server_id, rows->text(0), rows->text(1), rows->integer(2));
    ++count;
  }
  return SourceOutcome::read(count);
}

}  // namespace dbaudit

// Prepared XA transactions; they hold their locks even when the session that prepared them is gone.
#include "base/text.h"
#include "collect/source.h"

namespace dbaudit {
namespace {

constexpr std::string_view kRecover = "XA RECOVER";
constexpr std::size_t kXidBytes = 128;  // gtrid and bqual are at most 64 bytes each

}  // namespace

SourceOutcome collect_prepared_xa(Reading& reading) {
  Result<Rows> rows = reading.connection.query(kRecover);
  if (!rows) return unavailable_from(rows.error(), reading, "prepared_xa");
  Insert insert = reading.store.insert("prepared_xa");
  std::int64_t count = 0;
  while (rows->next()) {
    insert.row(reading.server_id, rows->integer(0), rows->integer(1), rows->integer(2),
               bounded(rows->text(3), kXidBytes));
    ++count;
  }
  return SourceOutcome::read(count);
}

}  // namespace dbaudit

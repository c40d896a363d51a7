#include "locks/statement_locks.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "base/text.h"

namespace dbaudit {
namespace {

// "TABLE shop.t SHARED_READ, ..." without what may be a stored function, unless asked for.
std::string wanted(std::string_view statement, bool functions = false) {
  std::vector<std::string> parts;
  for (const WantedLock& lock : wanted_locks(statement, "shop")) {
    if (lock.object_type == "FUNCTION" && !functions) continue;
    parts.push_back(fmt::format("{} {}{}{} {}{}", lock.object_type, lock.schema,
                                lock.schema.empty() || lock.name.empty() ? "" : ".", lock.name, lock.lock_type,
                                lock.upgraded_to.empty() ? "" : " > " + lock.upgraded_to));
  }
  return join(parts, ", ");
}

TEST_CASE("reading") {
  CHECK(wanted("SELECT * FROM t") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("select * from db.t as a, u b join v on a.i = v.i where a.x in (select y from w)") ==
        "TABLE db.t SHARED_READ, TABLE shop.u SHARED_READ, TABLE shop.v SHARED_READ, TABLE shop.w SHARED_READ");
  CHECK(wanted("SELECT * FROM t WHERE i = 1 FOR UPDATE") == "TABLE shop.t SHARED_WRITE");
  CHECK(wanted("SELECT * FROM t LOCK IN SHARE MODE") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("(SELECT 1 FROM t) UNION (SELECT 1 FROM u)") == "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("SELECT * FROM t FORCE INDEX (a, b), u") == "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("SELECT * FROM (SELECT * FROM t) x STRAIGHT_JOIN u") ==
        "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("EXPLAIN SELECT * FROM t") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("SELECT 1") == "");
  CHECK(wanted("") == "");
}

TEST_CASE("FROM is not always followed by a table") {
  CHECK(wanted("SELECT EXTRACT(YEAR FROM created), TRIM(BOTH 'x' FROM name) FROM t") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("SELECT a IS DISTINCT FROM b FROM t") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("WITH x AS (SELECT * FROM t), y (a) AS (SELECT * FROM x) SELECT * FROM y JOIN u") ==
        "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("SELECT 'from a', \"from b\" /* from c */ -- from d\n FROM t # from e") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("SELECT /*!50000 * FROM t */") == "TABLE shop.t SHARED_READ");
}

TEST_CASE("names") {
  CHECK(wanted("SELECT * FROM `we``ird t`.`a.b`") == "TABLE we`ird t.a.b SHARED_READ");
  CHECK(wanted("SELECT * FROM `select`") == "TABLE shop.select SHARED_READ");
  CHECK(wanted("SELECT * FROM 주문목록") == "TABLE shop.주문목록 SHARED_READ");
  CHECK(wanted("SELECT * FROM 1st") == "TABLE shop.1st SHARED_READ");
}

TEST_CASE("writing") {
  CHECK(wanted("INSERT IGNORE INTO t (a) VALUES (1)") == "TABLE shop.t SHARED_WRITE");
  CHECK(wanted("INSERT INTO t SELECT * FROM u") == "TABLE shop.t SHARED_WRITE, TABLE shop.u SHARED_READ");
  CHECK(wanted("INSERT INTO t SELECT * FROM t") == "TABLE shop.t SHARED_WRITE");
  CHECK(wanted("REPLACE t VALUES (1)") == "TABLE shop.t SHARED_WRITE");
  CHECK(wanted("UPDATE t SET v = (SELECT max(i) FROM u) WHERE i = 1") ==
        "TABLE shop.t SHARED_WRITE, TABLE shop.u SHARED_READ");
  CHECK(wanted("UPDATE t JOIN u ON t.i = u.i SET t.v = 1") == "TABLE shop.t SHARED_WRITE, TABLE shop.u SHARED_WRITE");
  CHECK(wanted("DELETE FROM t WHERE i IN (SELECT i FROM u)") == "TABLE shop.t SHARED_WRITE, TABLE shop.u SHARED_READ");
  CHECK(wanted("DELETE a FROM t a JOIN u") == "TABLE shop.t SHARED_WRITE, TABLE shop.u SHARED_WRITE");
  CHECK(wanted("LOAD DATA LOCAL INFILE 'f' INTO TABLE t FIELDS TERMINATED BY ','") == "TABLE shop.t SHARED_WRITE");
}

TEST_CASE("definitions") {
  CHECK(wanted("ALTER TABLE t ADD COLUMN x INT") == "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE");
  CHECK(wanted("ALTER TABLE t RENAME TO db.u") == "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE, TABLE db.u EXCLUSIVE");
  CHECK(wanted("ALTER TABLE t RENAME COLUMN a TO b") == "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE");
  CHECK(wanted("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p (i)") ==
        "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE, TABLE shop.p SHARED_UPGRADABLE");
  CHECK(wanted("CREATE UNIQUE INDEX i ON t (a)") == "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE");
  CHECK(wanted("DROP INDEX i ON t") == "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE");
  CHECK(wanted("DROP TRIGGER IF EXISTS db.x") == "TRIGGER db.x EXCLUSIVE");
  CHECK(wanted("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1") ==
        "TRIGGER shop.x EXCLUSIVE, TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE");
  CHECK(wanted("CREATE TABLE IF NOT EXISTS t AS SELECT * FROM u") ==
        "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE, TABLE shop.u SHARED_READ");
  CHECK(wanted("CREATE TABLE t LIKE u") == "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE, TABLE shop.u SHARED_READ");
  CHECK(wanted("CREATE TEMPORARY TABLE t (i INT)") == "");
  CHECK(wanted("CREATE TEMPORARY TABLE t AS SELECT * FROM u") == "TABLE shop.u SHARED_READ");
  CHECK(wanted("CREATE TEMPORARY TABLE t LIKE u") == "TABLE shop.u SHARED_READ");
  CHECK(wanted("DROP TABLE IF EXISTS t, db.u") == "TABLE shop.t EXCLUSIVE, TABLE db.u EXCLUSIVE");
  CHECK(wanted("RENAME TABLE t TO u, v TO w") ==
        "TABLE shop.t EXCLUSIVE, TABLE shop.u EXCLUSIVE, TABLE shop.v EXCLUSIVE, TABLE shop.w EXCLUSIVE");
  CHECK(wanted("TRUNCATE t") == "TABLE shop.t EXCLUSIVE");
  CHECK(wanted("DROP DATABASE IF EXISTS db") == "SCHEMA db EXCLUSIVE");
  CHECK(wanted("CREATE VIEW v AS SELECT * FROM t") == "TABLE shop.v EXCLUSIVE, TABLE shop.t SHARED_READ");
  CHECK(wanted("DROP PROCEDURE db.p") == "PROCEDURE db.p EXCLUSIVE");
  CHECK(wanted("OPTIMIZE TABLE t, u") ==
        "TABLE shop.t SHARED_UPGRADABLE > EXCLUSIVE, TABLE shop.u SHARED_UPGRADABLE > EXCLUSIVE");
}

TEST_CASE("locks by name") {
  CHECK(wanted("LOCK TABLES t READ, u AS x WRITE") ==
        "TABLE shop.t SHARED_READ > SHARED_READ_ONLY, TABLE shop.u SHARED_NO_READ_WRITE");
  CHECK(wanted("FLUSH TABLES WITH READ LOCK") == "BACKUP  BACKUP_FTWRL1");
  CHECK(wanted("FLUSH TABLES t, u") == "TABLE shop.t EXCLUSIVE, TABLE shop.u EXCLUSIVE");
  CHECK(wanted("FLUSH TABLES t WITH READ LOCK") == "TABLE shop.t SHARED_NO_WRITE");
  CHECK(wanted("SET GLOBAL read_only = 1") == "BACKUP  BACKUP_FTWRL1");
  CHECK(wanted("SET @@GLOBAL.read_only = ON") == "BACKUP  BACKUP_FTWRL1");
  CHECK(wanted("SET GLOBAL max_connections = 9, SESSION read_only_x = 'GLOBAL read_only'") == "");
  CHECK(wanted("BACKUP STAGE BLOCK_DDL") == "BACKUP  BACKUP_WAIT_DDL");
  CHECK(wanted("LOCK INSTANCE FOR BACKUP") == "BACKUP LOCK  SHARED");
  CHECK(wanted("SELECT GET_LOCK('de''ploy', 10)") == "USER LEVEL LOCK de'ploy EXCLUSIVE");
  CHECK(wanted("SELECT f(1) FROM t", true) == "TABLE shop.t SHARED_READ, FUNCTION shop.f SHARED");
  CHECK(wanted("SHOW COLUMNS FROM t") == "TABLE shop.t SHARED_HIGH_PRIO");
}

TEST_CASE("names in double quotes, where a name belongs") {
  CHECK(wanted("TRUNCATE TABLE \"db\".\"t\"") == "TABLE db.t EXCLUSIVE");
  CHECK(wanted("SELECT * FROM \"a\"\"b\" JOIN \"u\" ON 1") == "TABLE shop.a\"b SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("SELECT \"from\" FROM t WHERE a = \"x\"") == "TABLE shop.t SHARED_READ");
}

TEST_CASE("joins in parentheses") {
  CHECK(wanted("SELECT * FROM t NATURAL JOIN (u)") == "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("SELECT * FROM (t JOIN u ON 1) LEFT JOIN (v JOIN w ON 2) ON 3") ==
        "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ, TABLE shop.v SHARED_READ, TABLE shop.w SHARED_READ");
  CHECK(wanted("SELECT * FROM t JOIN (SELECT * FROM u) x") == "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
  CHECK(wanted("SELECT * FROM {OJ t LEFT JOIN u ON 1}") == "TABLE shop.t SHARED_READ, TABLE shop.u SHARED_READ");
}

TEST_CASE("what MariaDB alone has") {
  CHECK(wanted("SET STATEMENT max_statement_time = 5, sort_buffer_size = 9 FOR TRUNCATE t") ==
        "TABLE shop.t EXCLUSIVE");
  CHECK(wanted("SET STATEMENT max_statement_time = 5 FOR SELECT * FROM t") == "TABLE shop.t SHARED_READ");
  CHECK(wanted("SELECT NEXTVAL(s), LASTVAL(db.s)") == "TABLE shop.s SHARED_WRITE, TABLE db.s SHARED_READ");
  CHECK(wanted("SELECT NEXT VALUE FOR s") == "TABLE shop.s SHARED_WRITE");
  CHECK(wanted("CREATE USER x@y").find("TABLE mysql.global_priv SHARED_WRITE") == 0);
  CHECK(wanted("DROP ROLE IF EXISTS x") == wanted("CREATE USER x@y"));
  CHECK(wanted("GRANT SELECT ON shop.* TO x") == wanted("CREATE USER x@y"));
  CHECK(wanted("SET PASSWORD = PASSWORD('x')") == wanted("CREATE USER x@y"));
}

TEST_CASE("tables that a statement does not name") {
  const auto hidden = [](std::string_view statement) {
    const HiddenLocks found = hidden_locks(statement, "shop");
    return join({found.types.begin(), found.types.end()}, " ") + (found.schema.empty() ? "" : " in " + found.schema);
  };
  CHECK(hidden("SELECT f()") == "SHARED_READ SHARED_WRITE");
  CHECK(hidden("CALL p()") == "SHARED_READ SHARED_WRITE");
  CHECK(hidden("INSERT INTO t VALUES (1)") == "SHARED_WRITE SHARED_READ");
  CHECK(hidden("LOCK TABLES v WRITE") == "SHARED_NO_READ_WRITE");
  CHECK(hidden("LOCK TABLES v READ") == "SHARED_READ");
  CHECK(hidden("DROP TRIGGER IF EXISTS db.x") == "SHARED_NO_WRITE in db");
  CHECK(hidden("ALTER TABLE t ADD x INT") == "");
}

TEST_CASE("whatever the text, it ends and reads no byte too many") {
  const std::string_view statements[] = {
      "ALTER TABLE t RENAME TO u",
      "UPDATE t JOIN u ON t.i = u.i SET a = (SELECT 1 FROM v) WHERE x IN (1, 'a')",
      "CREATE TABLE t LIKE u",
      "RENAME TABLE a TO b, c TO d",
      "LOCK TABLES a READ, b WRITE",
      "INSERT INTO `a`.`b` (x) SELECT EXTRACT(DAY FROM d) FROM (SELECT 1 FROM c) e",
      "WITH a (b) AS (SELECT 1) SELECT * FROM a JOIN b USING (c) PARTITION (p) FOR UPDATE",
      "BACKUP STAGE START",
      "DROP INDEX i ON t",
      "CREATE TRIGGER x ON t",
      "FLUSH TABLES a WITH READ LOCK",
      "SELECT GET_LOCK('a', 1)",
      "SET STATEMENT a = 1 FOR SELECT NEXTVAL(s), NEXT VALUE FOR s",
      "SET @@global.read_only = 1",
      "DROP TRIGGER IF EXISTS a.b",
      "CREATE TEMPORARY TABLE \"a\" LIKE \"b\".\"c\"",
      "SELECT * FROM {OJ a JOIN (b)}",
      "LOAD DATA INFILE 'f' INTO TABLE t"};
  for (const std::string_view statement : statements) {
    for (std::size_t size = 0; size <= statement.size(); ++size) {
      const std::string cut(statement.substr(0, size));
      CHECK_NOTHROW(static_cast<void>(wanted_locks(cut, "shop")));
      CHECK_NOTHROW(static_cast<void>(hidden_locks(cut, "shop")));
      CHECK_NOTHROW(static_cast<void>(wanted_locks("((( " + cut + " ,,, (", "")));
    }
  }
}

}  // namespace
}  // namespace dbaudit

/* load PORT SESSIONS TABLES [WAITERS]: SESSIONS idle sessions, each with an open transaction that holds the metadata
 * locks of TABLES tables; with WAITERS also an ALTER that waits for the first table, and so many SELECTs behind it.
 * Prints "ready" when the server has it all, and ends when stdin does. Logs in as root without a password. */
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "connect.h"

static char statement[1024];

static const char *text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(statement, sizeof statement, format, arguments);
    va_end(arguments);
    return statement;
}

static void fail(MYSQL *session, const char *sql)
{
    fprintf(stderr, "load: %s: %s\n", sql, mysql_error(session));
    exit(1);
}

static void run(MYSQL *session, const char *sql)
{
    if (mysql_query(session, sql))
        fail(session, sql);
    mysql_free_result(mysql_store_result(session));
}

/* Sends without waiting for the answer, which won't come. */
static MYSQL *send_waiter(unsigned port, const char *sql)
{
    MYSQL *session = connect_or_exit(port, "root", NULL, "load-waiter");
    if (mysql_send_query(session, sql, strlen(sql)))
        fail(session, sql);
    return session;
}

/* Waiters queue in the order in which the server reads them: the next step needs this one to be there. */
static void await_waiters(MYSQL *admin, long count)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    for (int tries = 0; tries < 3000; tries++, nanosleep(&pause, NULL)) {
        if (mysql_query(admin, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock%'"))
            fail(admin, "counting the waiters");
        MYSQL_RES *result = mysql_store_result(admin);
        const long seen = atol(mysql_fetch_row(result)[0]);
        mysql_free_result(result);
        if (seen >= count)
            return;
    }
    fprintf(stderr, "load: %ld waiters never came to wait\n", count);
    exit(1);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: load PORT SESSIONS TABLES [WAITERS]\n");
        return 2;
    }
    const unsigned port = (unsigned)atoi(argv[1]);
    const int sessions = atoi(argv[2]), tables = atoi(argv[3]), waiters = argc > 4 ? atoi(argv[4]) : 0;
    raise_descriptor_limit();

    MYSQL *admin = connect_or_exit(port, "root", NULL, "load");
    run(admin, "CREATE DATABASE IF NOT EXISTS load_test");
    for (int n = 0; n < tables; n++)
        run(admin, text("CREATE TABLE IF NOT EXISTS load_test.t%d (id INT PRIMARY KEY) ENGINE=InnoDB", n));

    for (int i = 0; i < sessions; i++) {
        MYSQL *session = connect_or_exit(port, "root", NULL, "load");
        run(session, "BEGIN");
        for (int n = 0; n < tables; n++)
            run(session, text("SELECT * FROM load_test.t%d", n));
    }
    if (waiters) {
        send_waiter(port, "ALTER TABLE load_test.t0 ADD COLUMN later INT");
        await_waiters(admin, 1);
        for (int i = 0; i < waiters; i++)
            send_waiter(port, "SELECT * FROM load_test.t0");
        await_waiters(admin, 1 + waiters);
    }

    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0; /* the sockets close with the process, and with them the sessions */
}

/* A plain TCP connection, for what is measured and for what loads the server. */
#ifndef DBAUDIT_BENCH_CONNECT_H
#define DBAUDIT_BENCH_CONNECT_H

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program when it can't: half a load or half a measurement is worth nothing. */
static MYSQL* connect_or_exit(unsigned port, const char* user, const char* password, const char* program) {
  MYSQL* session = mysql_init(NULL);
  my_bool off = 0;
  mysql_optionsv(session, MYSQL_OPT_SSL_ENFORCE, &off);
  /* Since 3.4 the library insists on TLS unless told that it needn't verify. */
  mysql_optionsv(session, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
  mysql_optionsv(session, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", program);
  if (!mysql_real_connect(session, "127.0.0.1", user, password, NULL, port, NULL, 0)) {
    fprintf(stderr, "%s: cannot connect: %s\n", program, mysql_error(session));
    exit(1);
  }
  return session;
}

#endif

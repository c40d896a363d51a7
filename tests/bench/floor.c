/* floor PORT USER FILE: the least time that a client needs for the statements in FILE, which NUL bytes separate.
 * It fetches and forgets every row. The password comes from DBAUDIT_PASSWORD. Server errors are part of
 * the conversation (a privilege that the account lacks): they are counted, not fatal. */
#include <string.h>

#include "connect.h"

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    if (!file || fseek(file, 0, SEEK_END) || !(text = malloc((*size = (size_t)ftell(file)) + 1))) {
        perror(path);
        exit(1);
    }
    rewind(file);
    *size = fread(text, 1, *size, file);
    text[*size] = '\0';
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: floor PORT USER FILE\n");
        return 2;
    }
    size_t size = 0;
    char *text = read_file(argv[3], &size);
    MYSQL *session = connect_or_exit((unsigned)atoi(argv[1]), argv[2], getenv("DBAUDIT_PASSWORD"), "floor");
    unsigned long statements = 0, errors = 0, rows = 0;
    for (char *at = text; at < text + size; at += strlen(at) + 1) {
        statements++;
        if (mysql_real_query(session, at, strlen(at))) {
            errors++;
            continue;
        }
        MYSQL_RES *result = mysql_use_result(session);
        if (!result)
            continue;
        while (mysql_fetch_row(result))
            rows++;
        errors += mysql_errno(session) != 0;
        mysql_free_result(result);
    }
    mysql_close(session);
    free(text);
    printf("%lu statements, %lu rows, %lu errors\n", statements, rows, errors);
    return 0;
}

#!/usr/bin/env python3
"""Prints the defaults that a server ships with, as rules/defaults/*.toml have them.

    mysqld --no-defaults --verbose --help 2>/dev/null | docker/read_defaults.py mysql 9.7.4 >rules/defaults/mysql-9.7.toml

Left out is what the machine decides (paths, host names, sizes that the server computes when it starts) and what has no
value: dbaudit then says that it does not know.
"""
import pathlib
import re
import sys

COMPUTED = {  # from cores, memory, file limits or max_connections at start
    "back_log", "host_cache_size", "innodb_buffer_pool_chunk_size", "innodb_buffer_pool_instances",
    "innodb_log_writer_threads", "innodb_open_files", "innodb_page_cleaners", "innodb_parallel_read_threads",
    "innodb_purge_threads", "innodb_read_io_threads", "innodb_redo_log_capacity", "max_digest_length", "open_files_limit",
    "port", "server_id", "server_uuid", "table_definition_cache", "table_open_cache", "thread_cache_size",
    "thread_pool_size", "mysqlx_port",
}
MACHINE = re.compile(r"(_dir|_file|_path|dir|socket|hostname|_address|_index|_host|log_error|log_basename|relay_log|tmpdir)$")


def toml(value):
    if value in ("TRUE", "FALSE"):
        return '"ON"' if value == "TRUE" else '"OFF"'
    if re.fullmatch(r"-?\d{1,18}", value):
        return value
    if re.fullmatch(r"-?\d+\.\d+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    flavor, version = sys.argv[1:3]
    root = pathlib.Path(__file__).parent.parent
    known = {line.split()[0] for line in (root / "src/facts/known_variables.txt").read_text().splitlines()
             if line and not line.startswith("#") and flavor in line}
    print(f"# Shipped defaults of {'MySQL' if flavor == 'mysql' else 'MariaDB'} {version}.")
    print(f'flavor = "{flavor}"\nversion = "{version}"')
    print('source = "printed by the server itself: --no-defaults --verbose --help"\n\n[variables]')
    lines = sys.stdin.read().split("------------- ")[-1].splitlines()
    rows = {}
    for line in lines[1:]:
        found = re.fullmatch(r"([a-z][a-z0-9-]*)\s+(.*)", line)
        if not found:
            break
        name, value = found[1].replace("-", "_"), found[2].strip()
        if name == "log_bin":  # the option takes a file name, the variable is ON or OFF
            value = "FALSE" if value == "(No default value)" else "TRUE"
        if name in known and name not in COMPUTED and not MACHINE.search(name) and value != "(No default value)" \
                and "/" not in value:
            rows[name] = value
    for name in sorted(rows):
        print(f"{name} = {toml(rows[name])}")


main()

#!/usr/bin/env python3
"""What a server says of its variables, as the files of this repository have it.

The defaults that it ships with, for rules/defaults:

    mysql -NBe "SHOW GLOBAL VARIABLES" >names
    mysqld --no-defaults --verbose --help 2>/dev/null | docker/read_defaults.py mysql 9.7.4 names >rules/defaults/mysql-9.7.toml

What the machine decides (paths, host names, sizes that the server computes when it starts) and what has no value is named
only, in without_default: dbaudit then says that it does not know. So is what the running server has and no option file
can set. Together they are all variables of a server without plugins, by which a variable is known to be gone.

Scopes, types and ranges, into src/facts/known_variables.txt; of several servers only what they agree on:

    mysql -NB -e "SELECT VARIABLE_NAME, VARIABLE_SCOPE, DATA_TYPE, MIN_VALUE, MAX_VALUE
        FROM performance_schema.variables_metadata" | docker/read_defaults.py --ranges mysql
    mariadb -NB -e "SELECT LOWER(VARIABLE_NAME), VARIABLE_SCOPE, VARIABLE_TYPE, NUMERIC_MIN_VALUE, NUMERIC_MAX_VALUE
        FROM information_schema.SYSTEM_VARIABLES" | docker/read_defaults.py --ranges mariadb

Options that are no variables, for src/facts/known_options.txt, where flavours stand in one line:

    mariadbd --no-defaults --verbose --help 2>/dev/null | docker/read_defaults.py --options mariadb
"""
import pathlib
import re
import struct
import sys
import textwrap

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
    return toml_text(value)


def toml_text(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


ROOT = pathlib.Path(__file__).parent.parent
VARIABLES = ROOT / "src/facts/known_variables.txt"


def known(flavor):
    lines = VARIABLES.read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#") and flavor in line}


def printed_by_help():
    """Name and value of each option, in the order of the table that --verbose --help ends with."""
    for line in sys.stdin.read().split("------------- ")[-1].splitlines()[1:]:
        found = re.fullmatch(r"([a-z][a-z0-9-]*)\s+(.*)", line)
        if not found:
            return
        yield found[1].replace("-", "_"), found[2].strip()


def defaults(flavor, version, names_file):
    print(f"# Shipped defaults of {'MySQL' if flavor == 'mysql' else 'MariaDB'} {version}.")
    print(f'flavor = "{flavor}"\nversion = "{version}"')
    print('source = "printed by the server itself: --no-defaults --verbose --help"')
    names = known(flavor)
    running = {line.split("\t")[0].lower() for line in pathlib.Path(names_file).read_text().splitlines()}
    rows, options = {}, set()
    for name, value in printed_by_help():
        options.add(name)
        if name == "log_bin":  # the option takes a file name, the variable is ON or OFF
            value = "FALSE" if value == "(No default value)" else "TRUE"
        if name == "log_error_verbosity" and flavor == "mysql":  # --help makes the server quiet: 1
            value = "2"
        if name == "lower_case_table_names":  # MySQL prints 2 before it has looked at the file system; Linux's gives 0
            value = "0"
        if name in names and name not in COMPUTED and not MACHINE.search(name) and value != "(No default value)" \
                and "/" not in value:
            rows[name] = value
    others = sorted((running | options & names) - rows.keys())
    print(textwrap.fill(f'without_default = [{", ".join(map(toml_text, others))}]', 120, break_long_words=False))
    print("\n[variables]")
    for name in sorted(rows):
        print(f"{name} = {toml(rows[name])}")


def options(flavor):
    described = re.findall(r"^  (?:-., )?--([A-Za-z][\w-]*)", sys.stdin.read(), re.MULTILINE)
    for name in sorted({name.lower().replace("-", "_") for name in described} - known(flavor)):
        print(name, flavor)


def type_of(kind, least, most):
    if kind.upper() == "BOOLEAN":
        return ":boolean"
    if kind == "Numeric":  # MySQL shows the bits of a double; what is no such bits lost its fraction
        if int(most) < 1 << 52:
            return ""
        most = struct.unpack("<d", struct.pack("<Q", int(most)))[0]
        return f":real={int(least)}..{int(most)}" if most < 1e18 else ""
    if kind == "DOUBLE":
        return f":real={least}..{most}"
    if kind == "Integer" or "INT" in kind:
        return f":integer={least}..{most}" if int(most) > int(least) else ""
    return ""


def ranges(flavor):
    found = {}
    for row in sys.stdin.read().splitlines():
        name, scope, kind, least, most = row.split("\t")
        found.setdefault(name, set()).add((":session" if scope == "SESSION" else "", type_of(kind, least, most)))

    def words(line):
        name = line.split()[0]
        facts = found.get(name)
        if not facts or line.startswith("#"):
            return line
        agreed = [of_all.pop() if len(of_all) == 1 else "" for of_all in map(set, zip(*facts))]
        kept = lambda word: "".join(":" + part for part in word.split(":")[1:] if part in ("restart", "early"))
        return re.sub(rf"(?<= ){flavor}(:\S+)?", lambda word: flavor + kept(word[0]) + "".join(agreed), line)

    VARIABLES.write_text("".join(words(line) + "\n" for line in VARIABLES.read_text().splitlines()))


if sys.argv[1] == "--ranges":
    ranges(sys.argv[2])
elif sys.argv[1] == "--options":
    options(sys.argv[2])
else:
    defaults(*sys.argv[1:4])

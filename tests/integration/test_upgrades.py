"""upgrade_to: what the next version of a server has no more, and what it ships with another value of."""

import json
import re
import shutil
import tomllib

import pytest

from reports import results
from test_harmless import grants_of

RULES = ("VER002", "VER003")


def declare(dbaudit, server, upgrade_to):
    """dbaudit.toml with the server as "shop"; nothing declared when `upgrade_to` is None."""
    next_version = f'upgrade_to = "{upgrade_to}"\n' if upgrade_to else ""
    (dbaudit.home / "dbaudit.toml").write_text(f'[[server]]\nname = "shop"\nurl = "mysql://aud@127.0.0.1:{server.port}"\n{next_version}')


def judged(dbaudit, rule, *args, command="audit"):
    report = dbaudit(command, "--format", "json", "--only", rule, *args).json()
    return {one["subject"]: one for one in results(report, rule)}


def outcomes(found):
    return {subject: one["outcome"] for subject, one in found.items()}


def failing(found):
    return {subject for subject, one in found.items() if one["outcome"] == "fail"}


def names_of(server):
    return {row[0].lower() for row in server.admin("SHOW GLOBAL VARIABLES")}


def version_file(rules_folder, kind):
    """Name -> default of every variable of a version whose list is complete; None where there is no such list."""
    path = rules_folder / "defaults" / f"{kind}.toml"
    known = tomllib.loads(path.read_text()) if path.exists() else {}
    return dict.fromkeys(known["without_default"]) | known["variables"] if "without_default" in known else None


def toml(value):
    return json.dumps(value) if isinstance(value, str) else value


@pytest.fixture
def next_version(server, dbaudit, rules_folder, tmp_path):
    """The name of a version that nobody has made yet, 99.1: without max_connect_errors, and with another
    net_write_timeout."""
    variables = version_file(rules_folder, server.kind)
    if variables is None:
        pytest.skip(f"rules/defaults HAS NO LIST OF ALL VARIABLES OF {server.kind}")
    variables["net_write_timeout"] += 1
    del variables["max_connect_errors"]
    others = [name for name, value in variables.items() if value is None]
    known = [f"{name} = {toml(value)}" for name, value in variables.items() if value is not None]
    lines = [f'flavor = "{server.flavor}"', 'version = "99.1.0"', 'source = "this test"', f"without_default = {others}", "[variables]", *known]
    dbaudit.rules = tmp_path / "rules"
    shutil.copytree(rules_folder, dbaudit.rules)
    (dbaudit.rules / "defaults" / f"{server.flavor}-99.1.toml").write_text("\n".join(lines))
    return f"{server.flavor}-99.1"


def test_nothing_is_said_unless_a_next_version_is_declared(server, dbaudit):
    server.account("aud", grants_of(server))
    declare(dbaudit, server, None)
    for rule in RULES:
        found = judged(dbaudit, rule)
        assert [(one["outcome"], one["reason"]) for one in found.values()] == [("not_applicable", "no next version is declared for this server (upgrade_to)")]


def test_what_is_no_upgrade_is_unknown(server, dbaudit):
    """To the other product, and to an older version: MySQL 9.7 and MariaDB 11.8 are the newest that are known."""
    server.account("aud", grants_of(server))
    product = {"mysql": "MySQL", "mariadb": "MariaDB"}
    older, other = ("mysql-8.0", "mariadb-11.8") if server.flavor == "mysql" else ("mariadb-10.11", "mysql-8.4")
    if server.version[:2] < (8, 1):
        older = None
    for target, why in ((other, "and it is "), (older, f"it is not newer than this server, {product[server.flavor]} {'.'.join(map(str, server.version))}")):
        if target is None or (target == "mariadb-10.11" and server.version[:2] < (10, 11)):
            continue
        declare(dbaudit, server, target)
        for rule in RULES:
            run = dbaudit("audit", "--format", "json", "--only", rule, "--fail-on", "info")
            assert run.code == 0, run  # no grant could change it
            (one,) = results(run.json(), rule)
            assert (one["subject"], one["outcome"], one["curable"]) == (target, "unknown", False) and why in one["reason"], one


def test_bad_next_versions_are_told_at_once(server, dbaudit):
    """With their lines and the nearest name, and nothing is sent to any server."""
    lines = [f'[[server]]\nname = "{name}"\nurl = "mysql://aud@127.0.0.1:{server.port}"\nupgrade_to = {target}' for name, target in (("a", '"mysql-8.5"'), ("b", '""'), ("c", "8.4"), ("d", '"../defaults/mysql-8.4"'))]
    (dbaudit.home / "dbaudit.toml").write_text("\n".join(lines))
    for command in ("audit", "check", "plan"):
        change = ["--set", "wait_timeout=600"] if command != "audit" else []
        run = dbaudit(command, *change)
        assert run.code == 2 and run.out == "", run
        assert re.search(r"dbaudit.toml:4: \[\[server\]\] 'a': upgrade_to: the defaults of 'mysql-8.5' are not known; did you mean 'mysql-8.\d'\?; known are mariadb-10.11, ", run.err), run
        assert re.search(r"dbaudit.toml:8: .*'b': upgrade_to: the defaults of '' are not known", run.err)
        assert re.search(r"dbaudit.toml:12: .*'upgrade_to' must be a string", run.err)
        assert re.search(r"dbaudit.toml:16: .*'d': upgrade_to: the defaults of '../defaults/mysql-8.4' are not known", run.err)


@pytest.mark.fires("VER002", "VER003")
def test_a_next_version_and_its_remedies(server, start_server, dbaudit, next_version):
    """What is gone fails until its option is, what changes until it is stated: on a real server that is started anew."""
    # net_read_timeout does not change, and sort_buffer_size is nobody's business.
    own = start_server(server.kind, "--max-connect-errors=123", "--sort-buffer-size=65536")
    own.account("aud", grants_of(own))
    declare(dbaudit, own, next_version)
    found = judged(dbaudit, "VER002")
    assert outcomes(found) == {"max_connect_errors": "fail", next_version: "pass"}
    gone = found["max_connect_errors"]
    assert gone["severity"] == "warning" and "max_connect_errors = 123 is set in the command line" in gone["message"]
    (removed,) = re.findall(r"take (--[a-z-]+) off the command line", gone["remedy"])
    assert removed == "--max-connect-errors"
    found = judged(dbaudit, "VER003")
    assert failing(found) == {"net_write_timeout"} and set(outcomes(found).values()) == {"fail", "pass"}, outcomes(found)
    changes = found["net_write_timeout"]
    assert changes["severity"] == "info" and "net_write_timeout is 60 because nothing says otherwise" in changes["message"]

    # The same from a snapshot, and before a change that does not touch it.
    snapshot = dbaudit.home / "shop.db"
    assert dbaudit("snapshot", "--server", "shop", "-o", snapshot).code in (0, 3)  # MariaDB hides session variables
    for rule, subject in (("VER002", "max_connect_errors"), ("VER003", "net_write_timeout")):
        assert failing(judged(dbaudit, rule, "--from", snapshot)) == {subject}
        assert judged(dbaudit, rule, "--set", "wait_timeout=600", command="check")[subject]["change"] == "same"

    if own.flavor == "mysql":
        own.admin(re.search(r"SET PERSIST_ONLY \w+ = \d+", changes["remedy"])[0])
        assert not failing(judged(dbaudit, "VER003"))
    stated = re.search(r"(\w+ = \d+) under \[mysqld\] in an option file", changes["remedy"])[1]
    mended = start_server(server.kind, "--sort-buffer-size=65536", "--" + stated.replace(" ", ""))
    mended.account("aud", grants_of(mended))
    declare(dbaudit, mended, next_version)
    assert outcomes(judged(dbaudit, "VER002")) == {next_version: "pass"}
    assert not failing(judged(dbaudit, "VER003"))


def test_what_was_set_while_it_runs(server, dbaudit, next_version):
    """A persisted variable is passed over by the new server; a SET hides what the option file says."""
    server.account("aud", grants_of(server))
    declare(dbaudit, server, next_version)
    if server.flavor == "mysql":
        server.admin("SET PERSIST_ONLY max_connect_errors = 123")
        try:
            found = judged(dbaudit, "VER002")
            assert outcomes(found) == {"max_connect_errors": "fail", next_version: "pass"} and found["max_connect_errors"]["severity"] == "info"
            server.admin(re.search(r"RESET PERSIST \w+", found["max_connect_errors"]["remedy"])[0])
            assert outcomes(judged(dbaudit, "VER002")) == {next_version: "pass"}
        finally:
            server.admin("RESET PERSIST IF EXISTS max_connect_errors")
    server.set_global(max_connect_errors=124, net_write_timeout=70)
    found = judged(dbaudit, "VER002")
    assert outcomes(found) == {"max_connect_errors": "unknown", next_version: "pass"} and not found["max_connect_errors"]["curable"]
    found = judged(dbaudit, "VER003")
    assert found["net_write_timeout"]["outcome"] == "unknown" and "somebody has SET it" in found["net_write_timeout"]["reason"]


def test_variables_of_a_version_are_all_known(server, rules_folder):
    """By what is not in such a list a variable is said to be gone. Plugins are loaded on none of these servers."""
    known = version_file(rules_folder, server.kind)
    if known is None:
        pytest.skip(f"rules/defaults HAS NO LIST OF ALL VARIABLES OF {server.kind}")
    here = names_of(server)
    assert here <= known.keys(), here - known.keys()
    # What the list has besides can be written into an option file under that name, and is another name at run time.
    assert known.keys() - here <= {"transaction_isolation", "transaction_read_only", "binlog_row_event_max_size"}, known.keys() - here
    assert not here & removed_until(rules_folder, server)


def removed_until(rules_folder, server):
    """What VER002 says that this server does not have any more."""
    sql = tomllib.loads(next(rules_folder.glob("versions/VER002-*.toml")).read_text())["sql"]
    listed = re.findall(r"\('(mysql|mariadb)', '(\w+)', '([\d.]+)', [01],", sql)
    assert len(listed) > 60
    series = lambda text: tuple(map(int, text.split(".")))  # noqa: E731
    return {name for flavor, name, removed_in in listed if flavor == server.flavor and series(removed_in) <= server.version[:2]}


GONE = {  # what MariaDB 11.8 has no more -> whether it starts with it all the same
    "max_tmp_tables": False, "old_alter_table": False, "debug_no_thread_alarm": False, "innodb_change_buffer_max_size": False,
    "innodb_defragment": True, "innodb_defragment_fill_factor": True, "innodb_defragment_fill_factor_n_recs": True,
    "innodb_defragment_frequency": True, "innodb_defragment_n_pages": True, "innodb_defragment_stats_accuracy": True,
    "innodb_change_buffering": True, "date_format": True, "datetime_format": True, "time_format": True,
    "wsrep_causal_reads": True, "wsrep_load_data_splitting": True,
}  # fmt: skip
VALUES = {"old_alter_table": "COPY", "innodb_change_buffering": "all", "date_format": "%Y-%m-%d", "datetime_format": "%Y-%m-%d %H:%i:%s", "time_format": "%H:%i:%s",
          "innodb_defragment_n_pages": 8, "innodb_defragment_fill_factor_n_recs": 21, "innodb_defragment_fill_factor": 0.8}  # fmt: skip


def option(name):
    return f"--{name.replace('_', '-')}={VALUES.get(name, 1)}"


def test_mariadb_10_11_to_11_8(start_server, dbaudit, rules_folder):
    """Two real versions: what the rule says of the next one is what the next one does."""
    old = start_server("mariadb-10.11", *map(option, GONE))
    old.account("aud", grants_of(old))
    declare(dbaudit, old, "mariadb-11.8")
    found = judged(dbaudit, "VER002")
    assert failing(found) == GONE.keys()
    for name, starts in GONE.items():
        assert found[name]["severity"] == ("info" if starts else "warning"), found[name]
        assert ("it starts, and does nothing with it" if starts else "it does not start with it") in found[name]["message"]
        if not starts:
            with pytest.raises(RuntimeError, match=f"unknown variable '{option(name).removeprefix('--')}'"):
                start_server("mariadb-11.8", option(name))
    new = start_server("mariadb-11.8", *[option(name) for name, starts in GONE.items() if starts])
    # All that is gone is either in the rule's list, with what the new version does about it, or proved by the two lists.
    assert names_of(old) - names_of(new) <= removed_until(rules_folder, new)

    assert names_of(old) - names_of(new) == set(GONE)

    changes = judged(dbaudit, "VER003")
    assert failing(changes) == {"innodb_snapshot_isolation"}
    unknown = {subject for subject, one in changes.items() if one["outcome"] == "unknown"}
    assert unknown == {"character_set_server", "collation_server"}, "what the server never tells the origin of"
    shown = lambda server, name: server.admin(f"SHOW GLOBAL VARIABLES LIKE '{name}'")[0][1]  # noqa: E731
    for name in failing(changes) | unknown:
        seen = changes[name]["evidence"]
        assert [seen["value"], seen["next_value"]] == [shown(old, name), shown(new, name)]

    # The remedies: without those options, and with what was at its default stated.
    removed = [re.findall(r"take (--[a-z-]+) off", found[name]["remedy"])[0] for name in GONE]
    stated = [re.search(r"(\w+) = (\w+) under \[mysqld\]", changes[name]["remedy"]).groups() for name in sorted(failing(changes) | unknown)]
    options = [one for one in map(option, GONE) if one.split("=")[0] not in removed] + [f"--{name.replace('_', '-')}={value}" for name, value in stated]
    mended = start_server("mariadb-10.11", *options)
    mended.account("aud", grants_of(mended))
    declare(dbaudit, mended, "mariadb-11.8")
    assert outcomes(judged(dbaudit, "VER002")) == {"mariadb-11.8": "pass"}
    assert not failing(judged(dbaudit, "VER003"))
    # And the new version takes these options, and is as the old one was.
    upgraded = start_server("mariadb-11.8", *options)
    assert len(stated) == 3 and all(shown(upgraded, name) == value for name, value in stated)


def test_mysql_9_7_refuses_what_is_listed(start_server, rules_folder):
    """Of MySQL's lists only the newest version can be asked here: it takes none of those names in an option file."""
    server = start_server("mysql-9.7")
    for name in sorted(removed_until(rules_folder, server))[:3] + ["innodb_log_file_size", "replica_parallel_type"]:
        with pytest.raises(RuntimeError, match=f"unknown variable '{name}=1'"):
            start_server("mysql-9.7", f"--{name}=1")

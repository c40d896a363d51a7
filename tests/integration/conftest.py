"""The integration suite: the binary against real servers.

  DBAUDIT=build/release/dbaudit /usr/bin/python3 -m pytest tests/integration [--server mysql-9.7]

DBAUDIT                the binary under test
DBAUDIT_RULES          its rules; the source tree's, if unset
DBAUDIT_TEST_SERVERS   name=mysql://root:pw@127.0.0.1:3306,...   these servers in place of the built-in ones
"""

import os
import pathlib
import signal

import pytest

import fired
import servers
from accuracy import ACCURACY
from runner import Dbaudit


def pytest_addoption(parser):
    parser.addoption(
        "--server", choices=[*servers.variant_names(), "none"],
        help="only tests of this server variant; 'none': only tests that run on no variant; -m 'not starts_server': of those, what needs no server",
    )


def pytest_configure(config):
    # ctest and CI end a run with SIGTERM: that too must stop the servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.launcher = servers.Launcher()
    config.add_cleanup(config.launcher.close)


def pytest_generate_tests(metafunc):
    if "running_server" in metafunc.fixturenames:
        only = metafunc.config.getoption("--server")
        names = [name for name in servers.variant_names() if only in (None, name)]
        metafunc.parametrize("running_server", names, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)  # -m comes after it
def pytest_collection_modifyitems(config, items):
    only = config.getoption("--server")
    for item in items:
        if "launcher" in item.fixturenames:
            item.add_marker("starts_server")

    def wanted(item):
        on_variant = "running_server" in item.fixturenames
        chosen = item.get_closest_marker("variants")
        if on_variant and chosen and not servers.external_servers() and item.callspec.params["running_server"] not in chosen.args:
            return False
        return only is None or on_variant == (only != "none")

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = filter(wanted, items)


# --- servers


@pytest.fixture(scope="session")
def launcher(request):
    """Whoever starts servers does it through this: that is how those tests are told that need none."""
    return request.config.launcher


@pytest.fixture(scope="session")
def running_server(request, launcher):
    server = launcher.variant(request.param)
    yield server
    if server.own:
        launcher.stop(server)
    else:
        server.close()


@pytest.fixture
def server(running_server):
    """Each server variant in turn, clean."""
    yield running_server
    running_server.reset()


@pytest.fixture
def start_server(launcher):
    """start_server(kind, *options): a server of the test's own."""
    started = []

    def start(kind, *options):
        if servers.external_servers():
            pytest.skip(f"NEEDS A {kind} OF ITS OWN, started with {' '.join(options) or 'defaults'}")
        started.append(launcher.start(kind, kind, *options))
        return started[-1]

    yield start
    for one in started:
        launcher.stop(one)


# --- the binary


@pytest.fixture
def rules_folder():
    return pathlib.Path(os.environ.get("DBAUDIT_RULES") or servers.SOURCE / "rules").resolve()


@pytest.fixture
def dbaudit(rules_folder, tmp_path):
    """dbaudit(*args, server=None, user='aud', password='pw', env=None, input=None, timeout=60) -> .code .out .err .json()"""
    if not os.environ.get("DBAUDIT"):
        pytest.fail("the environment variable DBAUDIT must name the binary under test")
    home = tmp_path / "home"
    home.mkdir()
    return Dbaudit(pathlib.Path(os.environ["DBAUDIT"]).resolve(), rules_folder, home)


# --- @pytest.mark.fires: a promise that is kept


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    outcome = yield
    outcome.get_result()
    markers = list(pyfuncitem.iter_markers("fires"))
    if markers:
        server = pyfuncitem.funcargs.get("server")
        fired.check(markers, {server.name, server.flavor} if server else set(), pyfuncitem.funcargs["dbaudit"].runs)


# --- how right `dbaudit locks` was


def accuracy_summary(terminalreporter):
    if not ACCURACY.scores:
        return
    terminalreporter.section("locks: edges right of those there are")
    for line in ACCURACY.text():
        terminalreporter.write_line(line)


# --- a skipped test is a hole: nobody may overlook it


def pytest_terminal_summary(terminalreporter):
    accuracy_summary(terminalreporter)
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.write_line(f"{report.nodeid}: {reason}".upper())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and not servers.external_servers() and exitstatus == 0:
        reporter.write_line("\nWith the built-in servers nothing may be skipped.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

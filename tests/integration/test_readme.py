"""Every command of the README does what it says: the `sh` blocks are run, line by line, on a real server."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def home(server, tmp_path):
    """A home folder whose .my.cnf names the server, as the README assumes, and the README's own pools.toml."""
    server.account("reader", "ALL ON *.*")
    (tmp_path / ".my.cnf").write_text(f"[dbaudit]\nhost=127.0.0.1\nport={server.port}\nuser=reader\npassword=pw\n")
    (tmp_path / "pools.toml").write_text(next(block for block in blocks("toml") if "[[pool]]" in block))
    return tmp_path


def test_every_command_of_the_readme_works(home, dbaudit):
    environment = dbaudit.environment(extra={"HOME": home, "DBAUDIT_PASSWORD": None})
    environment["PATH"] = f"{pathlib.Path(dbaudit.binary).resolve().parent}:{environment['PATH']}"
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        run = subprocess.run(command, shell=True, cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False)
        # 1 and 3 are answers: a finding, or something that this server does not show.
        assert run.returncode in (0, 1, 3), f"{command}\n{run.stdout}\n{run.stderr}"
        assert run.stdout or "snapshot" in command, command


def test_the_configuration_of_the_readme_is_well_formed(dbaudit, tmp_path):
    config = next(block for block in blocks("toml") if "[[server]]" in block)
    (tmp_path / "password").write_text("pw\n")
    (tmp_path / "dbaudit.toml").write_text(config.replace("/etc/dbaudit/password", str(tmp_path / "password")).replace("10.0.0.5:3306", "127.0.0.1:1"))
    run = dbaudit("audit", "--config", tmp_path / "dbaudit.toml")
    assert run.code == 3, run  # understood, and nobody answers there


def test_the_two_commands_are_there_and_the_test_command_runs_the_demo():
    for script in ("docker/demo.sh", "tests/run.sh"):
        assert script in README
        assert (ROOT / script).stat().st_mode & 0o111
    assert "docker/demo.sh" in (ROOT / "tests/run.sh").read_text()

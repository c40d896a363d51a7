"""TLS that was asked for is proved or refused; where it comes from, options and passwords included."""

import re
import shutil
import subprocess

import pytest

import servers


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True)


def authority(folder, name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=test authority {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=folder)


def certificate(folder, name, ca, alternative_names):
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=folder)
    (folder / f"{name}.ext").write_text(f"subjectAltName={alternative_names}\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem", cwd=folder)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    if servers.external_servers():
        pytest.skip("NEEDS SERVERS OF ITS OWN, with certificates of its own")
    folder = tmp_path_factory.mktemp("certificates")
    authority(folder, "ca")
    authority(folder, "other-ca")
    certificate(folder, "good", "ca", "IP:127.0.0.1,DNS:localhost")
    certificate(folder, "wrong-host", "ca", "DNS:db.example.com")
    return folder


class TlsServer:
    """A server whose certificate can be changed while it runs."""

    def __init__(self, launcher, kind, certificates):
        self.certificates = certificates
        if kind.startswith("mysql"):
            self.server = launcher.start("tls", kind)
            self.folder = self.server.datadir
        else:
            # It is the host's own, so it sees the host's files; as another user.
            self.folder = launcher.folder / "tls"
            self.folder.mkdir(parents=True, exist_ok=True)
            self.place("good")
            self.server = launcher.start("tls", kind, *(f"--ssl-{what}={self.folder}/tls-{what}.pem" for what in ("ca", "cert", "key")))
        self.server.account("aud", ["PROCESS ON *.*"])

    def place(self, name):
        for source, what in (("ca.pem", "ca"), (f"{name}.pem", "cert"), (f"{name}.key", "key")):
            target = self.folder / f"tls-{what}.pem"
            shutil.copyfile(self.certificates / source, target)
            target.chmod(0o644)

    def use(self, name):
        self.place(name)
        if self.server.flavor == "mysql":
            for what in ("ca", "cert", "key"):
                self.server.admin(f"SET GLOBAL ssl_{what} = 'tls-{what}.pem'")
            self.server.admin("ALTER INSTANCE RELOAD TLS")
        else:
            self.server.admin("FLUSH SSL")
        return self.server


@pytest.fixture(scope="module", params=["mysql-9.7", "mariadb-10.11"])
def tls(request, launcher, certificates):
    one = TlsServer(launcher, request.param, certificates)
    yield one
    launcher.stop(one.server)


@pytest.fixture(scope="module")
def plain(launcher):
    """MariaDB 10.11 has no TLS unless it is given a certificate."""
    if servers.external_servers():
        pytest.skip("NEEDS A SERVER OF ITS OWN, without TLS")
    server = launcher.start("plain", "mariadb-10.11")
    server.account("aud", ["PROCESS ON *.*"])
    yield server
    launcher.stop(server)


WHO = "SELECT account, tls_cipher, door, port FROM server WHERE reachable"


@pytest.fixture
def ask(dbaudit):
    """ask(server, *args): (cipher, None) or (None, what was said), never anything else."""

    def run(server, *args, **options):
        done = dbaudit("query", "--format", "json", WHO, *args, server=server, **options)
        rows = done.json()
        assert done.code == (0 if rows else 3), done
        return (rows[0]["tls_cipher"], done.err) if rows else (None, done.err)

    return run


# --- the modes


@pytest.mark.parametrize("mode, answer", [("DISABLED", ""), ("PREFERRED", ""), (None, ""), ("REQUIRED", None), ("VERIFY_IDENTITY", None)])
def test_server_without_tls(plain, ask, certificates, mode, answer):
    arguments = ["--ssl-mode", mode, "--ssl-ca", certificates / "ca.pem"] if mode else []
    cipher, said = ask(plain, *arguments)
    assert cipher == answer
    assert answer is not None or "TLS" in said or "SSL" in said


@pytest.mark.parametrize("certificate, mode, ca, encrypted", [
    ("good", "DISABLED", None, False),
    ("good", None, None, True),
    ("good", "PREFERRED", None, True),
    ("good", "REQUIRED", None, True),
    ("good", "required", None, True),
    ("good", "VERIFY_IDENTITY", "ca", True),
    ("good", "VERIFY_IDENTITY", "other-ca", None),
    ("good", "VERIFY_IDENTITY", None, None),
    ("wrong-host", "REQUIRED", None, True),
    ("wrong-host", "VERIFY_IDENTITY", "ca", None),
])  # fmt: skip
def test_server_with_tls(tls, ask, certificates, certificate, mode, ca, encrypted):
    server = tls.use(certificate)
    arguments = (["--ssl-mode", mode] if mode else []) + (["--ssl-ca", certificates / f"{ca}.pem"] if ca else [])
    cipher, said = ask(server, *arguments)
    if encrypted is None:
        assert cipher is None and "--ssl-ca" in said
    else:
        assert bool(cipher) == encrypted and cipher is not None


def test_localhost_is_verified_by_its_name(tls, ask, certificates):
    server = tls.use("good")
    assert ask(None, "-h", "localhost", "-P", server.port, "-u", "aud", "--ssl-mode", "VERIFY_IDENTITY", "--ssl-ca", certificates / "ca.pem")[0]


def test_what_the_library_cannot_do_is_refused_before_connecting(plain, dbaudit):
    run = dbaudit("audit", "--ssl-mode", "VERIFY_CA", server=plain)
    assert run.code == 2 and "VERIFY_IDENTITY" in run.err
    run = dbaudit("audit", "--ssl-mode", "VERIFY_IDENTITY", "-S", plain.socket, "-u", "aud")
    assert run.code == 2 and "socket" in run.err


def test_plaintext_beyond_loopback_is_warned_of(plain, ask):
    loopback_in_disguise = ["-h", "2130706433", "-P", plain.port, "-u", "aud"]
    assert "is not encrypted" in ask(None, *loopback_in_disguise)[1]
    assert "is not encrypted" not in ask(plain)[1]


def test_account_that_requires_tls_says_what_to_do(tls, dbaudit):
    server = tls.use("good")
    server.admin("ALTER USER 'aud'@'%' REQUIRE SSL")
    try:
        run = dbaudit("query", WHO, "--ssl-mode", "DISABLED", server=server)
        assert run.code == 3 and re.search(r"\b1045\b.* requires TLS .* --ssl-mode REQUIRED", " ".join(run.err.split())), run
        assert dbaudit("query", WHO, server=server).code == 0
    finally:
        server.admin("ALTER USER 'aud'@'%' REQUIRE NONE")


def test_ssl_mode_in_an_option_file_counts(plain, dbaudit):
    (dbaudit.home / ".my.cnf").write_text("[client]\nssl-mode = REQUIRED\n")
    assert dbaudit("query", WHO, server=plain).code == 3
    (dbaudit.home / ".my.cnf").write_text("[client]\nssl-verify-server-cert\n")
    assert dbaudit("query", WHO, server=plain).code in (2, 3)
    assert dbaudit("query", WHO, "--ssl-mode", "DISABLED", server=plain).code == 0


# --- option files


@pytest.fixture
def option_file(dbaudit):
    def write(text, name=".my.cnf", mode=0o600):
        (dbaudit.home / name).write_text(text)
        (dbaudit.home / name).chmod(mode)
        return dbaudit.home / name

    return write


@pytest.fixture
def account_of(dbaudit):
    """account_of(*args): who the server says this is; nothing comes from the environment."""

    def run(*args, env=None, **options):
        done = dbaudit("query", "--format", "json", WHO, *args, password="", env=env, **options)
        return done.json()[0]["account"] if done.code == 0 else done

    return run


def test_home_option_file(plain, option_file, account_of):
    option_file(f"[client]\nuser = aud\npassword = pw\nhost = 127.0.0.1\nport = {plain.port}\n")
    assert account_of() == "aud@%"


def test_dbaudit_group_wins_over_client_and_the_suffix_over_both(plain, option_file, account_of):
    plain.account("second", password="pw2")
    option_file(f"[dbaudit]\nuser = aud\npassword = pw\n[client]\nuser = root\nhost = 127.0.0.1\nport = {plain.port}\n[dbaudit_two]\nuser=second\npassword='pw2'\n")
    assert account_of("--defaults-group-suffix", "_two") == "second@%"


def test_socket_in_an_option_file(plain, option_file, dbaudit):
    option_file(f"[client]\nuser = root\nsocket = {plain.socket}\n")
    rows = dbaudit("query", "--format", "json", WHO, password="").json()
    assert rows[0]["door"] == "socket" and rows[0]["account"] == "root@localhost"


def test_command_line_wins_over_option_files(plain, option_file, account_of):
    option_file("[client]\nuser = nobody\npassword = pw\nport = 1\nhost = db.invalid\n")
    assert account_of(server=plain) == "aud@%"


def test_defaults_file_is_the_only_one_and_extra_one_more(plain, option_file, account_of):
    option_file(f"[client]\nhost = 127.0.0.1\nport = {plain.port}\nuser = aud\n")
    extra = option_file("[client]\npassword = pw\n", "extra.cnf")
    assert account_of("--defaults-extra-file", extra) == "aud@%"
    assert account_of("--defaults-file", extra, "--timeout", "2s") != "aud@%"


def test_included_files_and_folders(plain, option_file, dbaudit, account_of):
    (dbaudit.home / "conf.d").mkdir()
    option_file("[client]\npassword = 'p\\w' # not read\n", "conf.d/ignored.txt")
    option_file("[client]\npassword = \"pw\" # the real one\n", "conf.d/a.cnf")
    option_file("[client]\nuser=aud\n", "user.cnf")
    option_file(f"!includedir {dbaudit.home}/conf.d\n!include {dbaudit.home}/user.cnf\n")
    assert account_of("-h", "127.0.0.1", "-P", plain.port) == "aud@%"


def test_file_that_anybody_may_write_is_refused(plain, option_file, account_of):
    option_file("[client]\npassword = pw\n", mode=0o666)
    run = account_of(server=plain)
    assert run.code == 2 and "chmod o-w" in run.err


@pytest.mark.parametrize("password", ["with space", "hash#tag", " # ", "back\\slash", "quote'\"s", "ünï🙂", "semi;colon=equals", "tab\tbed"])
def test_passwords_of_every_kind_come_out_of_an_option_file(plain, option_file, account_of, password):
    plain.adopt_account("odd")
    plain.admin("CREATE USER 'odd'@'%%' IDENTIFIED BY %s", (password,))
    written = password.replace("\\", "\\\\")
    quote = '"' if "'" in password and '"' not in password else "'"
    option_file(f"[client]\nuser = odd\npassword = {quote}{written}{quote}\n")
    assert account_of("-h", "127.0.0.1", "-P", plain.port) == "odd@%"


# --- passwords and URLs


def test_password_file_stdin_and_environment(plain, dbaudit, account_of):
    (dbaudit.home / "secret").write_text("pw\nnot this\n")
    assert account_of("--password-file", "secret", server=plain) == "aud@%"
    (dbaudit.home / "secret").write_text("pw\r\n")
    assert account_of("--password-file", "secret", server=plain) == "aud@%"
    assert account_of("--password-stdin", server=plain, input="pw\n") == "aud@%"
    assert account_of("--password-stdin", server=plain, input="pw") == "aud@%"
    assert account_of(server=plain, env={"DBAUDIT_PASSWORD": "pw"}) == "aud@%"


def test_passwords_meant_for_others_are_not_used(plain, account_of):
    run = account_of(server=plain, env={"MYSQL_PWD": "pw"})
    assert run.code == 3 and "Check user, password" in run.err.replace("\n", " ")


def test_password_prompt_needs_a_terminal(plain, account_of):
    run = account_of("-p", server=plain, input="pw\n")
    assert run.code == 2 and "--password-stdin" in run.err


def test_bare_password_in_an_option_file_asks(plain, option_file, account_of):
    env = {"DBAUDIT_PASSWORD": "pw"}  # weaker than an option file, as MYSQL_PWD is for the mysql client
    option_file("[client]\npassword\n")
    run = account_of(server=plain, env=env, input="pw\n")
    assert run.code == 2 and "there is none; use --password-file" in run.err, run
    assert account_of("--password-stdin", server=plain, input="pw\n") == "aud@%"
    option_file("[client]\npassword\n[dbaudit]\npassword = pw\n")
    assert account_of(server=plain) == "aud@%"
    option_file("[client]\npassword = pw\n[dbaudit]\npassword\n")
    assert account_of(server=plain).code == 2


def test_urls(plain, dbaudit, account_of):
    env = {"DBAUDIT_PASSWORD": "pw"}
    assert account_of("--url", f"mysql://aud@127.0.0.1:{plain.port}", env=env) == "aud@%"
    assert account_of("--url", f"mysql://%61ud@localhost:{plain.port}/", env=env) == "aud@%"
    assert account_of("--url", f"unix://root@{plain.socket}") == "root@localhost"
    for url in (f"mysql://aud:pw@127.0.0.1:{plain.port}", f"mysql://aud:@127.0.0.1:{plain.port}"):
        run = account_of("--url", url)
        assert run.code == 2 and "password" in run.err and ":pw@" not in run.err


def test_url_and_password_file_of_a_declared_server(plain, dbaudit, account_of):
    (dbaudit.home / "secret").write_text("pw\n")
    (dbaudit.home / "dbaudit.toml").write_text(
        f'[[server]]\nname = "shop"\nurl = "mysql://aud@127.0.0.1:{plain.port}"\npassword_file = "secret"\nrole = "primary"\nmemory = "16GiB"\n'
    )
    assert account_of("--server", "shop") == "aud@%"
    row = dbaudit("query", "--format", "json", "SELECT name, role, memory_bytes FROM server", password="").json()[0]
    assert row == {"name": "shop", "role": "primary", "memory_bytes": 16 << 30}

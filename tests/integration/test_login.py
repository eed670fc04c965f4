"""What a database server is told of the password before anybody knows who it is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from checks.contract import CheckError
from tests.support.authority import Authority
from tests.support.impostor import SALT, Wants, impostor
from tests.support.servers import HOST, Server
from worker.config import DatabaseSettings, StateSettings
from worker.sources import Database
from worker.state import State

PASSWORD = "S3cret-of-the-auditor"
BY_ANOTHER_NAME = "127.1"
"""This machine, by a name of which nobody can tell that: it stands for any other machine."""

SENT_AS_IT_IS = [
    Wants(switches=[b"mysql_clear_password\0"]),
    Wants(plugin="mysql_clear_password", switches=[b"mysql_clear_password\0"]),
    Wants(plugin="caching_sha2_password", switches=[b"mysql_clear_password\0"]),
    Wants(plugin="caching_sha2_password", switches=[b"dialog\0\x04Password: "]),
    Wants(plugin="dialog", switches=[b"dialog\0\x05Password: "]),
    Wants(switches=[b"dialog\0\x02Password: "], version="5.5.5-10.11.6-MariaDB"),
    Wants(switches=[b"mysql_old_password\0" + SALT[:8]]),
    Wants(plugin="authentication_ldap_simple", switches=[b"mysql_clear_password\0"]),
    Wants(switches=[b"some_plugin_of_tomorrow\0" + SALT + b"\0"]),
    Wants(switches=[b"\0"]),
    Wants(switches=[b"\xff\xfe\0" + SALT]),
    Wants(switches=[b""]),
    Wants(switches=[b"mysql_native_password\0" + SALT + b"\0", b"mysql_clear_password\0"]),
]
"""Requests for the password, or for what is as good as that."""

BY_SHA2 = [
    Wants(plugin="caching_sha2_password", full=True),
    Wants(plugin="sha256_password", full=True),
    Wants(switches=[b"caching_sha2_password\0" + SALT + b"\0"], full=True),
    Wants(plugin="sha256_password", switches=[b"sha256_password\0" + SALT + b"\0"], full=True),
]
"""Requests that a server of MySQL may make."""


def wanting(wants: Wants) -> str:
    return f"{wants.plugin}-{b''.join(wants.switches)[:24]!r}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("impostor")


def url_of(port: int, host: str = HOST) -> str:
    url = URL.create("mysql", "auditor", PASSWORD, host, port, "ledger")
    return url.render_as_string(hide_password=False)


def refusals(port: int, host: str = HOST, **tls: Any) -> Iterator[str]:
    """Why neither an audit nor a state gets a connection there."""
    with closing(Database("ledger", DatabaseSettings(url=url_of(port, host), **tls))) as database:
        with pytest.raises(CheckError) as caught:
            database.identify()
        yield str(caught.value)
    with closing(State(StateSettings(url=url_of(port, host), **tls))) as state:
        assert state.failure
        yield state.failure


def is_told(heard: bytearray) -> bool:
    return PASSWORD.encode() in heard


@pytest.mark.parametrize("wants", SENT_AS_IT_IS, ids=wanting)
@pytest.mark.parametrize("tls", ["disabled", "required"])
def test_nobody_unverified_is_told_the_password(
    wants: Wants, tls: str, certificate: tuple[Path, Path]
) -> None:
    """Neither in plain text nor by TLS to anybody: one error, from which no password can be had."""
    with impostor(wants, certificate if tls == "required" else None) as made:
        said = [*refusals(made.port, tls=tls)]
    assert made.visits == 2
    assert not is_told(made.heard)
    assert not any(PASSWORD in each for each in said)
    names = b"".join(wants.switches).partition(b"\0")[0].decode("ascii", "replace")
    if "clear" in names or "dialog" in names or "old" in names:
        assert all(names in each and 'tls = "verify-identity"' in each for each in said)


@pytest.mark.parametrize("wants", BY_SHA2, ids=wanting)
def test_the_password_for_sha2_is_not_sent_by_an_unverified_key(wants: Wants) -> None:
    """In plain text to another machine there is no way for it: whoever answers chose the key."""
    with impostor(wants) as made:
        said = [*refusals(made.port, BY_ANOTHER_NAME, tls="disabled")]
    assert made.visits == 2
    assert not is_told(made.heard)
    assert all("a key that nobody has verified" in each for each in said)


def test_a_certificate_that_anybody_can_have_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, certificate: tuple[Path, Path]
) -> None:
    """`verify-ca` with the authorities of the system takes any host's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    wants = Wants(switches=[b"mysql_clear_password\0"])
    with impostor(wants, certificate) as made:
        said = [*refusals(made.port, tls="verify-ca")]
        assert not is_told(made.heard)
        assert all("mysql_clear_password" in each for each in said)
        [*refusals(made.port, tls="verify-identity")]  # the host is in that certificate
        assert is_told(made.heard)


@pytest.mark.parametrize("wants", [SENT_AS_IT_IS[0], SENT_AS_IT_IS[4], BY_SHA2[0]], ids=wanting)
@pytest.mark.parametrize("tls", ["verify-ca", "verify-identity"])
def test_a_verified_server_may_ask(
    wants: Wants, tls: str, authority: Authority, certificate: tuple[Path, Path]
) -> None:
    """Accounts of PAM and LDAP log in so, at a server whose certificate was verified."""
    with impostor(wants, certificate) as made:
        said = [*refusals(made.port, tls=tls, ca_file=authority.certificate)]
    assert is_told(made.heard)
    assert all("Access denied" in each for each in said)


def test_a_stranger_s_certificate_gets_nothing(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """Whose certificate is not of the authority that is trusted is not even told the account."""
    other = Authority(tmp_path, "other").certificate
    with impostor(SENT_AS_IT_IS[0], certificate) as made:
        said = [*refusals(made.port, tls="verify-ca", ca_file=other)]
    assert b"auditor" not in made.heard
    assert all("no TLS connection" in each for each in said)


def test_real_accounts_log_in(server: Server) -> None:
    """With every way of logging in that the servers have for a password, in the modes they may."""
    plugins = {
        "mariadb": ["mysql_native_password"],
        "mysql": ["caching_sha2_password", "sha256_password"],
    }[server.flavour]
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT plugin_name FROM information_schema.plugins")
        known = {row[0] for row in cursor.fetchall()}
        for plugin in known & {*plugins}:
            cursor.execute("DROP USER IF EXISTS auditor@'%'")
            by = "IDENTIFIED VIA" if server.flavour == "mariadb" else "IDENTIFIED WITH"
            told = f"USING PASSWORD('{PASSWORD}')" if "VIA" in by else f"BY '{PASSWORD}'"
            cursor.execute(f"CREATE USER auditor@'%' {by} {plugin} {told}")
            cursor.execute("GRANT SELECT ON mysql.* TO auditor@'%'")
            url = url_of(server.port).replace("/ledger", "/mysql")
            for tls in ("disabled", "required") if server.flavour == "mysql" else ("disabled",):
                with closing(Database("ledger", DatabaseSettings(url=url, tls=tls))) as database:
                    assert database.identify().user == "auditor@%"
                if "caching" in plugin:
                    cursor.execute("FLUSH PRIVILEGES")  # it asks for the password again
        cursor.execute("DROP USER auditor@'%'")

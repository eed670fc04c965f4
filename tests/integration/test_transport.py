"""TLS to real servers: what each setting lets pass, and what it refuses in clear words."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pydantic import ValidationError

from checks.contract import CheckError
from tests.conftest import _require
from tests.support.authority import DAY, Authority
from tests.support.patience import join, wait_until
from tests.support.servers import HOST, Farm, Flavour, Server
from worker.client import mysql
from worker.config import DatabaseSettings, StateSettings
from worker.config.tls import is_loopback
from worker.model.server import Identity
from worker.sources import Database
from worker.state import State

CANARY = "c4nary-p4ssword"
RELOAD = {"mariadb": "FLUSH SSL", "mysql": "ALTER INSTANCE RELOAD TLS"}


def _has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


HAS_IPV6 = _has_ipv6()


@dataclass
class Secure:
    """A server with TLS, and the authority that signed its certificate."""

    server: Server
    authority: Authority
    stranger: Authority

    def show(self, hosts: tuple[str, ...] = (HOST,), *, expired: bool = False) -> None:
        """Let the server show another certificate from now on."""
        # MySQL takes no certificate that has expired; but it may do so while it is shown.
        lasts = timedelta(seconds=2) if expired else DAY
        self.authority.issue("server", hosts, lasts)
        over = datetime.now(UTC) + lasts
        run(self.server, RELOAD[self.server.flavour])
        if expired:
            wait_until(lambda: datetime.now(UTC) > over, 5, "the certificate expires")

    def settings(self, **given: Any) -> DatabaseSettings:
        """Settings of its database `mysql`, as root."""
        url = self.server.url("mysql").render_as_string(hide_password=False)
        return DatabaseSettings(**{"url": url, **given})


def run(server: Server, *statements: str) -> None:
    """Run statements as root."""
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


@pytest.fixture(scope="module")
def secure(
    flavour: Flavour, server_farm: Farm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secure]:
    """Each flavour in turn, started with a certificate for 127.0.0.1."""
    _require(flavour)
    folder = tmp_path_factory.mktemp("authority")
    authority = Authority(folder)
    certificate, key = authority.issue("server")
    server = server_farm.start(
        flavour,
        *(["--bind-address=127.0.0.1,::1"] if HAS_IPV6 else []),
        *(f"--ssl-ca={authority.certificate}", f"--ssl-cert={certificate}", f"--ssl-key={key}"),
    )
    run(
        server,
        "CREATE USER shown@'%' REQUIRE X509",
        "GRANT SELECT ON mysql.* TO shown@'%'",
        f"CREATE USER rotated@'%' IDENTIFIED BY '{CANARY}'",
        "GRANT SELECT ON mysql.* TO rotated@'%'",
    )
    yield Secure(server, authority, Authority(folder, "stranger"))
    server_farm.discard(server)


def identified(settings: DatabaseSettings) -> Identity:
    """Who the server is; raises CheckError."""
    database = Database("ledger", settings)
    try:
        return database.identify()
    finally:
        database.close()


def refusal(settings: DatabaseSettings) -> CheckError:
    """Why no connection is had."""
    with pytest.raises(CheckError) as caught:
        identified(settings)
    return caught.value


@pytest.mark.parametrize("mode", ["required", "verify-ca", "verify-identity"])
def test_every_mode_encrypts_and_says_so(secure: Secure, mode: str) -> None:
    """With a right certificate each mode but `disabled` gives the protocol and cipher in use."""
    secure.show()
    ca = {} if mode == "required" else {"ca_file": secure.authority.certificate}
    found = identified(secure.settings(tls=mode, **ca))
    assert found.tls in ("TLSv1.2", "TLSv1.3")
    assert "AES" in found.cipher or "CHACHA" in found.cipher


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
def test_an_address_of_ipv6(secure: Secure) -> None:
    """The host may be one, in brackets: audited, kept state on, and its certificate verified."""
    url = f"mysql://rotated:{CANARY}@[::1]:{secure.server.port}/mysql"
    secure.show((HOST, "::1"))
    plain = identified(DatabaseSettings(url=url))
    assert (plain.host, plain.port, plain.tls) == ("::1", secure.server.port, "")
    trusted: dict[str, Any] = {"tls": "verify-identity"}
    trusted["ca_file"] = secure.authority.certificate
    assert identified(DatabaseSettings(url=url, **trusted)).tls.startswith("TLSv1.")
    with closing(State(StateSettings(url=url, **trusted))) as state:
        assert "denied" in (state.failure or "")  # it is reached, and may only read there
    secure.show((HOST,))
    assert "IP address mismatch" in str(refusal(DatabaseSettings(url=url, **trusted)))


def test_disabled_is_plain_text(secure: Secure) -> None:
    """`disabled`, the default for this machine itself, encrypts nothing though the server could."""
    for settings in (secure.settings(), secure.settings(tls="disabled")):
        found = identified(settings)
        assert (found.tls, found.cipher) == ("", "")


@pytest.mark.parametrize(
    ("hosts", "expired", "required", "ca", "identity"),
    [
        ((HOST,), False, None, None, None),
        (("elsewhere.example",), False, None, None, "IP address mismatch"),
        ((HOST,), True, None, "certificate has expired", "certificate has expired"),
    ],
    ids=["right", "another host's", "expired"],
)
def test_what_each_mode_verifies(  # noqa: PLR0917 - cases
    secure: Secure,
    hosts: tuple[str, ...],
    expired: bool,  # noqa: FBT001 - a case
    required: str | None,
    ca: str | None,
    identity: str | None,
) -> None:
    """`required` verifies nothing, `verify-ca` chain and dates, `verify-identity` the host too."""
    secure.show(hosts, expired=expired)
    trusted = {"ca_file": secure.authority.certificate}
    for mode, words, more in (
        ("required", required, {}),
        ("verify-ca", ca, trusted),
        ("verify-identity", identity, trusted),
    ):
        settings = secure.settings(tls=mode, **more)
        if words is None:
            assert identified(settings).tls
        else:
            error = refusal(settings)
            assert words in str(error)
            assert error.permanent


def test_a_strangers_authority_is_refused(secure: Secure) -> None:
    """A certificate that another authority signed, or none that the system knows, is refused."""
    secure.show()
    for mode in ("verify-ca", "verify-identity"):
        for ca in ({"ca_file": secure.stranger.certificate}, {}):
            error = refusal(secure.settings(tls=mode, **ca))
            assert "no TLS connection: " in str(error)
            assert "certificate" in str(error)
            assert error.permanent


def test_a_client_shows_its_certificate(secure: Secure) -> None:
    """An account that requires X509 is had with the client's certificate, and not without."""
    secure.show()
    certificate, key = secure.authority.issue("client", ())
    url = secure.server.url("mysql", user="shown").render_as_string(hide_password=False)
    shown = secure.settings(url=url, tls="required", certificate_file=certificate, key_file=key)
    assert identified(shown).user == "shown@%"
    error = refusal(secure.settings(url=url, tls="required"))
    assert "Access denied" in str(error)


def test_a_server_without_tls_is_refused(
    secure: Secure, throwaway_server: Callable[..., Server]
) -> None:
    """Where TLS is asked for, a server that offers none gives a permanent error with the remedy."""
    server, settings = secure.server, secure.settings(tls="required")
    if server.flavour == "mysql":
        run(server, "SET GLOBAL tls_version = ''", f"{RELOAD['mysql']} NO ROLLBACK ON ERROR")
    else:
        # From MariaDB 11.4 on a server has TLS unless it is told otherwise.
        plain = throwaway_server("mariadb", "--skip-ssl")
        url = plain.url("mysql").render_as_string()
        settings = secure.settings(url=url, tls="required")
    try:
        error = refusal(settings)
        assert "the server offers no TLS" in str(error)
        assert 'tls = "disabled"' in str(error)
        assert error.permanent
        state = State(StateSettings(url=settings.url, tls="required"))
        assert "the server offers no TLS" in str(state.failure)
        state.close()
    finally:
        if server.flavour == "mysql":
            run(
                server,
                "SET GLOBAL tls_version = 'TLSv1.2,TLSv1.3'",
                "ALTER INSTANCE RELOAD TLS",
            )


def test_a_connection_without_a_cipher_is_refused(secure: Secure) -> None:
    """A driver that falls back to plain text silently is found out by asking the server."""
    settings = secure.settings(tls="required")

    def careless(url: Any, _tls: object) -> Any:
        return pymysql.connect(host=url.host, port=url.port, user="root", ssl_disabled=True)

    with pytest.raises(mysql.TransportError, match="no cipher although"):
        mysql.connect(settings, careless)


@contextmanager
def listening(port: int) -> Iterator[tuple[int, bytearray]]:
    """A relay to a port, and all that clients and server said through it."""
    heard = bytearray()
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server((HOST, 0)) as relay:

        def carry(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while part := source.recv(65536):
                    heard.extend(part)
                    target.sendall(part)
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    inside, _ = relay.accept()
                    outside = socket.create_connection((HOST, port))
                    for pair in ((inside, outside), (outside, inside)):
                        threads.append(threading.Thread(target=carry, args=pair, daemon=True))
                        threads[-1].start()
                    sockets.extend((inside, outside))

        threading.Thread(target=accept, daemon=True).start()
        yield relay.getsockname()[1], heard
        relay.shutdown(socket.SHUT_RDWR)
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            join(thread, 5)
        for each in sockets:
            each.close()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
def test_nobody_on_the_way_can_read(secure: Secure) -> None:
    """With `required` neither account nor query passes the wire in plain text; else both do."""
    secure.show()
    for mode, readable in (("required", False), ("disabled", True)):
        with listening(secure.server.port) as (port, heard):
            url = f"mysql://root@{HOST}:{port}/mysql"
            assert identified(secure.settings(url=url, tls=mode)).user.startswith("root@")
            assert (b"root" in heard) is readable
            assert (b"START TRANSACTION" in heard) is readable


def test_the_state_is_kept_over_tls(secure: Secure) -> None:
    """`[state]` on MySQL knows the same settings, and the server says that it is encrypted."""
    secure.show()
    name = secure.server.create_database()
    url = secure.server.url(name).render_as_string()
    settings = StateSettings(url=url, tls="verify-identity", ca_file=secure.authority.certificate)
    state = State(settings)
    assert state.failure is None
    with state._engine.connect() as connection:
        row = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").one()
    assert row[1]
    state.close()
    wrong = State(StateSettings(url=url, tls="verify-ca", ca_file=secure.stranger.certificate))
    assert "no TLS connection: " in str(wrong.failure)
    wrong.close()


def test_a_refused_login_is_tried_with_the_file_read_anew(secure: Secure, tmp_path: Path) -> None:
    """A password that was rotated while a login was under way costs one retry, and no error."""
    file = tmp_path / "password"
    file.write_text("of yesterday")
    url = secure.server.url("mysql", user="rotated").render_as_string()
    settings = secure.settings(url=url, password_file=file)
    tried: list[str] = []

    def login(url: Any, options: dict[str, Any]) -> Any:
        tried.append(url.password)
        try:
            return pymysql.connect(
                host=HOST,
                port=url.port,
                user="rotated",
                password=url.password,
                **options,
            )
        finally:
            file.write_text(f"{CANARY}\n")

    mysql.connect(settings, login).close()
    assert tried == ["of yesterday", CANARY]


# --- Mistakes -------------------------------------------------------------------------------------

REMOTE = "mysql://u@db.example/ledger"


def mistake(model: type[DatabaseSettings | StateSettings] = DatabaseSettings, **given: Any) -> str:
    """What is wrong with these settings."""
    with pytest.raises(ValidationError) as caught:
        model(**given)
    (error,) = caught.value.errors()
    return str(error["msg"]).removeprefix("Value error, ")


def test_only_this_machine_itself_is_trusted_unasked() -> None:
    """The default is `disabled` for loopback addresses and `required` for every other host."""
    for host in ("localhost", "127.0.0.1", "127.8.9.1", "::1", None):
        assert is_loopback(host)
    for host in ("10.0.0.1", "db", "localhost.example", "127.0.0.1.example", "::"):
        assert not is_loopback(host)
    assert DatabaseSettings(url=REMOTE).tls_mode == "required"
    assert DatabaseSettings(url=REMOTE, tls="disabled").tls_mode == "disabled"
    assert StateSettings(url="mariadb://u@db.example/state").tls_mode == "required"


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """Files that verify nothing, halves of pairs, what is no PEM, and TLS for a file."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("client")
    other = authority.issue("other")[1]
    ca, gone = authority.certificate, tmp_path / "gone"
    empty = tmp_path / "empty"
    empty.touch()
    both: dict[str, Any] = {"certificate_file": certificate, "key_file": key}
    assert "ca_file verifies nothing with" in mistake(url=REMOTE, ca_file=ca)
    assert "ca_file verifies nothing with" in mistake(url=REMOTE, tls="required", ca_file=ca)
    assert mistake(url=REMOTE, tls="verify-ca", ca_file=gone) == (
        f"ca_file {gone} cannot be read: No such file or directory"
    )
    assert "cannot be used" in mistake(url=REMOTE, tls="verify-ca", ca_file=empty)
    needed = "certificate_file and key_file are needed together"
    assert mistake(url=REMOTE, certificate_file=certificate) == needed
    assert mistake(url=REMOTE, key_file=key) == needed
    assert "is of no use" in mistake(url=REMOTE, tls="disabled", **both)
    unlike = mistake(url=REMOTE, certificate_file=certificate, key_file=other)
    assert "not of one pair" in unlike
    assert (
        mistake(url="sqlite:///x.db", tls="required") == "tls is for mysql:// and mariadb:// URLs"
    )
    assert "verify-identity" in mistake(url=REMOTE, tls="prefer")
    assert "options of TLS in the URL" in mistake(StateSettings, url=f"{REMOTE}?ssl_ca=x")
    assert DatabaseSettings(url=REMOTE, **both).tls_mode == "required"


def test_a_file_that_moves_elsewhere_is_refused(tmp_path: Path) -> None:
    """`url_file` may bring another account while the worker runs, and no other database."""
    file = tmp_path / "url"
    file.write_text("mysql://u:one@db.example/ledger")
    settings = DatabaseSettings(url_file=file)
    file.write_text("mysql://v:two@db.example/ledger\n")
    fresh = settings.fresh()
    assert (fresh.username, fresh.password) == ("v", "two")
    file.write_text("mysql://v:two@db.example/state")
    with pytest.raises(ValueError, match="names another place") as caught:
        settings.fresh()
    assert "two" not in str(caught.value)
    file.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        settings.fresh()

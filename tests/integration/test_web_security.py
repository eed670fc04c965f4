"""TLS and users of a real worker's HTTP side: who gets in, what is told, and what may change."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from sqlite3 import connect
from typing import Any

import bcrypt
import httpx
import pytest

from tests.support import asking
from tests.support.authority import Authority
from tests.support.patience import join, patience, wait_until
from tests.support.prometheus import prometheus
from tests.support.workers import RECONCILER, Worker
from worker.config import HttpSettings
from worker.config.web_config import WebFile, WebFileError
from worker.web import Web
from worker.web import login as login_module

USER, PASSWORD = "scraper", "correct h0rse — ü"
COST = 5
CONFIG = """
http.port = 0
http.web_config_file = "web/web.yml"
log.format = "json"
schedule.every = "1s"
[databases.ledger]
url = "sqlite:///ledger.db"
[tables.orders]
primary_key = "id"
"""
TLS = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
"""
MUTUAL = f"""{TLS}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: authority.pem
"""


def hashed(password: str, cost: int = COST) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def users(**passwords: str) -> str:
    """The section of users."""
    lines = [f"  {user}: {hashed(password)}\n" for user, password in passwords.items()]
    return "basic_auth_users:\n" + "".join(lines)


class Site:
    """A worker behind a web configuration file."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder / "web"
        self.folder.mkdir()
        self.file = self.folder / "web.yml"
        self.authority = Authority(self.folder)
        self.authority.issue("server")
        self.file.write_text(text)
        with closing(connect(folder / "ledger.db")) as ledger:
            ledger.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        self.worker = Worker(folder, CONFIG)

    def client(self, *, shown: bool = False, **given: Any) -> httpx.Client:
        """Trusts the site's authority; `shown` brings a certificate of its own."""
        tls = ssl.create_default_context(cafile=self.authority.certificate)
        if shown:
            tls.load_cert_chain(*self.authority.issue("client", ()))
        address = self.worker.address
        options = {"base_url": address, "trust_env": False, "timeout": patience(5)}
        return httpx.Client(verify=tls, **options, **given)

    def status(self, path: str, user: str = USER, password: str = PASSWORD) -> int:
        """The status of an answer over a connection of its own."""
        with self.client() as client:
            auth = httpx.BasicAuth(user.encode(), password.encode())
            return client.get(path, auth=auth).status_code

    def await_event(self, name: str, number: int = 1) -> str:
        """Wait until it was logged so often; the line as text."""
        wait_until(lambda: len(self.worker.events(name)) >= number, 10, name)
        return str(self.worker.events(name)[-1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    """`site(text)` starts a worker with this web configuration."""
    with ExitStack() as ends:

        def start(text: str) -> Site:
            made = Site(tmp_path, text)
            ends.callback(made.worker.process.wait)
            ends.callback(made.worker.process.kill)
            return made

        yield start


def test_users_are_asked_who_they_are(site: Callable[[str], Site]) -> None:
    """With TLS and users only health is open; certificates and users change without a restart."""
    it = site(TLS + users(**{USER: PASSWORD}))
    assert it.worker.address.startswith("https://")
    with it.client() as nobody:
        for path in ("/livez", "/readyz"):
            assert nobody.get(path).status_code in (200, 503)
        for path in ("/metrics", "/", "/api/v1/status", "/page.css", "/no-such", "/livez/"):
            refused = nobody.get(path)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"].startswith('Basic realm="reconciler"')
    assert it.status("/metrics") == 200
    assert it.status("/") == 200
    for user, password in ((USER, "wrong"), ("nobody", PASSWORD), (USER, ""), (USER, "x" * 100)):
        assert it.status("/metrics", user, password) == 401
    for header in ("Basic", "Basic !!!", "Bearer x", "Basic " + "QQ=="):
        with it.client(headers={"Authorization": header}) as odd:
            assert odd.get("/metrics").status_code == 401

    # Another user, another certificate: of another authority.
    it.file.write_text(TLS + users(other="n3w"))
    it.await_event("web_config_reloaded")
    assert it.status("/metrics", "other", "n3w") == 200
    assert it.status("/metrics") == 401
    it.authority = Authority(it.folder, "second")
    it.authority.issue("server")
    wait_until(
        lambda: len(it.worker.events("web_config_reloaded")) > 1, 10, "the new certificate is read"
    )
    assert it.status("/metrics", "other", "n3w") == 200

    # What cannot be used changes nothing, and is said.
    for number, (broken, words) in enumerate(
        [
            (TLS + users(other="n3w") + "no_such: 1\n", "no_such: unknown key"),
            ("", "TLS is switched on or off by a restart only"),
            (TLS, "the last user is removed by a restart only"),
        ],
        1,
    ):
        it.file.write_text(broken)
        assert words in it.await_event("web_config_refused", number)
        with it.client(auth=("other", "n3w")) as client:
            failed = "reconciler_web_config_last_reload_successful 0.0"
            assert failed in client.get("/metrics").text
    it.file.write_text(TLS + users(other="l4st"))
    it.await_event("web_config_reloaded", 3)
    assert it.status("/metrics", "other", "l4st") == 200
    for secret in ("$2b$", PASSWORD, "n3w", "l4st"):
        assert secret not in it.worker.text


def test_clients_show_their_certificates(site: Callable[[str], Site]) -> None:
    """With RequireAndVerifyClientCert nobody gets in who shows none that the authority signed."""
    it = site(MUTUAL)
    with it.client(shown=True) as known:
        assert known.get("/metrics").status_code == 200
    with it.client() as unknown, pytest.raises(httpx.HTTPError):
        unknown.get("/metrics")
    own, it.authority = it.authority, Authority(it.folder, "stranger")
    tls = ssl.create_default_context(cafile=own.certificate)
    tls.load_cert_chain(*it.authority.issue("impostor", ()))
    with (
        httpx.Client(verify=tls, trust_env=False, timeout=patience(5)) as impostor,
        pytest.raises(httpx.HTTPError),
    ):
        impostor.get(f"{it.worker.address}/metrics")
    with pytest.raises(httpx.HTTPError):
        httpx.get(
            it.worker.address.replace("https:", "http:") + "/livez",
            trust_env=False,
            timeout=patience(5),
        )
    assert it.worker.events("library_message") == []


def test_prometheus_scrapes_it(site: Callable[[str], Site], tmp_path: Path) -> None:
    """A real Prometheus with CA and password file gets the metrics."""
    it = site(TLS + users(**{USER: PASSWORD}))
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    job = {
        "scheme": "https",
        "tls_config": {"ca_file": str(it.authority.certificate)},
        "basic_auth": {"username": USER, "password_file": str(password)},
    }
    port = int(it.worker.address.rpartition(":")[2])
    with prometheus(scraped=port, job=job) as server:
        wait_until(lambda: server.value("reconciler_up") == 1, 15, "it is scraped")


# --- Within the process ---------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A server with TLS and a user, whose handshakes may last a second."""
    Authority(tmp_path).issue("server")
    (tmp_path / "web.yml").write_text(
        TLS + users(**{USER: PASSWORD}) + "http_server_config: {headers: {X-Frame-Options: deny}}\n"
    )
    served = Web(
        HttpSettings(port=0, web_config_file=tmp_path / "web.yml"),
        lambda *_: (b"metrics", "text/plain"),
        lambda: (True, "alive"),
        lambda: (True, "ready"),
    )
    served.start()
    yield served
    served.stop()


def trusting(web: Web) -> httpx.Client:
    ca = web._security._path.with_name("authority.pem")  # type: ignore[union-attr]
    tls = ssl.create_default_context(cafile=ca)
    return httpx.Client(verify=tls, base_url=web.address, trust_env=False, timeout=patience(10))


def half_open(web: Web) -> socket.socket:
    """A connection that says nothing of TLS."""
    return socket.create_connection(web._socket.getsockname(), timeout=patience(5))


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(100) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_handshakes_are_bounded_in_time(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins no handshake is closed after the time-out of requests."""
    monkeypatch.setattr("worker.web.protocol.REQUEST_TIMEOUT", 1)
    begun = time.monotonic()
    with half_open(web) as idle:
        wait_until(lambda: is_closed(idle), 5, "it is closed")
        assert time.monotonic() - begun > 0.5


def test_handshakes_are_bounded_in_number(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many handshakes at once the oldest is ended, and others are still served."""
    web._connections.most = 20
    monkeypatch.setattr("worker.web.protocol.REQUEST_TIMEOUT", 3600)
    with ExitStack() as opened, trusting(web) as client:
        idle = [opened.enter_context(half_open(web)) for _ in range(60)]
        assert client.get("/livez").text == "alive\n"
        wait_until(lambda: sum(map(is_closed, idle)) >= 40, 5, "the oldest are closed")
        assert not is_closed(idle[-1])


def test_a_right_password_is_computed_once(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bcrypt costs the first request only; and headers of the file are on every answer."""
    computed: list[bytes] = []
    real = login_module._fits

    def counted(password: bytes, known: bytes) -> bool:
        computed.append(password)
        return real(password, known)

    monkeypatch.setattr(login_module, "_fits", counted)
    with trusting(web) as client:
        for _ in range(3):
            answer = client.get("/metrics", auth=(USER.encode(), PASSWORD.encode()))
            assert answer.status_code == 200
            assert answer.headers["X-Frame-Options"] == "deny"
        assert client.get("/metrics").headers["X-Frame-Options"] == "deny"
        assert len(computed) == 1
        for _ in range(2):
            assert client.get("/metrics", auth=("nobody", "x")).status_code == 401
        assert len(computed) == 3


def test_a_flood_of_wrong_passwords_starves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While logins queue for bcrypt, health and those already known are answered."""
    monkeypatch.setattr("worker.web.login_queue.EACH", 4)
    may_end, real = threading.Event(), login_module._fits

    def endless(password: bytes, known: bytes) -> bool:
        if password != PASSWORD.encode():
            may_end.wait(patience(60))
        return real(password, known)

    monkeypatch.setattr(login_module, "_fits", endless)
    (tmp_path / "web.yml").write_text(users(**{USER: PASSWORD}))
    settings = HttpSettings(port=0, web_config_file=tmp_path / "web.yml")
    served = Web(settings, lambda *_: (b"m", "text/plain"), lambda: (True, ""), lambda: (True, ""))
    served.start()
    statuses: list[int] = []

    def guess(number: int) -> None:
        answer = asking.get(f"{served.address}/metrics", auth=(USER, f"guess {number}"))
        statuses.append(answer.status_code)

    right = (USER.encode(), PASSWORD.encode())
    with asking.client(base_url=served.address) as client:
        assert client.get("/metrics", auth=right).status_code == 200
        guesses = [threading.Thread(target=guess, args=[number]) for number in range(12)]
        for each in guesses:
            each.start()
        wait_until(lambda: 503 in statuses, 20, "too many wait")
        assert client.get("/livez").status_code == 200
        assert client.get("/metrics", auth=right).status_code == 200
        assert set(statuses) == {503}
        may_end.set()
        for each in guesses:
            join(each, 20)
    served.stop()
    assert set(statuses) == {401, 503}


def test_it_ends_well_while_passwords_are_computed(tmp_path: Path) -> None:
    """SIGTERM in the midst of bcrypt: exit code 0, in time, and nothing is logged as a fault."""
    with connect(tmp_path / "ledger.db") as ledger:
        ledger.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    (tmp_path / "web").mkdir()
    section = f"basic_auth_users:\n  {USER}: {hashed(PASSWORD, 14)}\n"
    (tmp_path / "web" / "web.yml").write_text(section)
    worker = Worker(tmp_path, CONFIG)
    over = threading.Event()

    def guess(number: int) -> None:
        with asking.client(base_url=worker.address, timeout=patience(60)) as client:
            while not over.is_set():
                with suppress(httpx.HTTPError):
                    client.get("/metrics", auth=(USER, f"guess {number}"))

    guesses = [threading.Thread(target=guess, args=[number]) for number in range(6)]
    for each in guesses:
        each.start()
    try:
        wait_until(lambda: _busy(worker), 20, "a password is being computed")
        assert worker.end(9) == 0
    finally:
        over.set()
        for each in guesses:
            join(each, 20)
    assert worker.events("worker_stopped")
    assert not worker.events("library_message")
    assert "Traceback" not in worker.text


def _busy(worker: Worker) -> bool:
    """Whether it has computed for a second more than a start takes, at a hundred ticks each."""
    ticks = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()[11]
    return int(ticks) > 350


def mistake(folder: Path, text: str) -> str:
    """What is wrong with a file."""
    path = folder / "web.yml"
    path.write_text(text)
    with pytest.raises(WebFileError) as caught:
        WebFile.read(path)
    return str(caught.value).removeprefix(f"file {path}: ")


def test_mistakes_are_told_with_their_place(tmp_path: Path) -> None:
    """Unknown keys, weak choices, halves of pairs and broken YAML; no hash is repeated."""
    authority = Authority(tmp_path)
    authority.issue("server")
    authority.issue("other")
    cases = {
        "nonsense: 1": "nonsense: unknown key",
        "- 1": "Input should be a valid dictionary",
        "a: [": "not YAML (line 1: ",
        "basic_auth_users: {a: x, a: y}": "not YAML (line 1: a key is there twice)",
        "basic_auth_users: {a: s3cret}": "basic_auth_users.a: not a bcrypt hash",
        f"basic_auth_users: {{a: $2b$20${'x' * 53}}}": "basic_auth_users.a: a cost over 16",
        "tls_server_config: {cert_file: x}": "tls_server_config.key_file: is missing",
        f"{TLS}  min_version: TLS10": "tls_server_config.min_version: ",
        f"{TLS}  min_version: TLS13\n  max_version: TLS12": "min_version is over max_version",
        f"{TLS}  client_auth_type: RequireAnyClientCert": "tls_server_config.client_auth_type: ",
        f"{TLS}  client_ca_file: x": "client_ca_file and a client_auth_type that verifies go",
        f"{TLS}  cipher_suites: [RC4]": "tls_server_config.cipher_suites.0: not a cipher suite",
        TLS.replace("server.key", "other.key"): "not of one pair",
        TLS.replace("server.key", "gone.key"): "cannot be read: No such file",
        "http_server_config: {headers: {X-O: x}}": "http_server_config.headers.X-O: unknown",
        "a: &a [1]\nb: {<<: *a}": "not YAML",
    }
    for text, words in cases.items():
        told = mistake(tmp_path, text)
        assert words in told, text
        assert "s3cret" not in told


def test_what_exporters_understand_is_taken(tmp_path: Path) -> None:
    """A file with every supported key makes a context of those versions and suites."""
    Authority(tmp_path).issue("server")
    (tmp_path / "web.yml").write_text(
        f"{MUTUAL}  min_version: TLS12\n  max_version: TLS12\n  prefer_server_cipher_suites: true\n"
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,"
        " TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]\n"
        "http_server_config:\n  http2: true\n  headers:\n    Strict-Transport-Security: max-age=1\n"
        + users(a="b")
    )
    read = WebFile.read(tmp_path / "web.yml")
    assert read.context
    assert read.context.maximum_version is ssl.TLSVersion.TLSv1_2
    assert read.context.verify_mode is ssl.CERT_REQUIRED
    names = [each["name"] for each in read.context.get_ciphers()]
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in names
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" not in names
    assert read.headers == {"Strict-Transport-Security": "max-age=1"}


def test_a_broken_file_is_told_by_config_check(tmp_path: Path) -> None:
    """The worker's own configuration is refused with the file, the key and exit code 2."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "web.yml").write_text("tls_server_config: {}")
    (tmp_path / "config.toml").write_text(CONFIG)
    command = [str(RECONCILER), "config", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "http.web_config_file: file web/web.yml: tls_server_config.cert_file" in done.stderr

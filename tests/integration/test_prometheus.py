"""Queries of a real Prometheus: answers, refusals, credentials, TLS, and their end in time."""

import gzip
import logging
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from checks.contract import CheckError, RunStopped
from checks.ports import Answer
from tests.support.monitoring import PASSWORD, USER
from tests.support.patience import no_hang, patience, wait_until
from tests.support.prometheus import PrometheusServer, prometheus, serving
from tests.support.servers import HOST, _free_port
from worker.client.exchange import LARGEST
from worker.config import PrometheusSettings
from worker.sources.prometheus import MOST_SERIES, Prometheus

Ask = Callable[..., Prometheus]

PAST = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECRET = "s3cr3t-t0ken"


@pytest.fixture(scope="module")
def server() -> Iterator[PrometheusServer]:
    """A Prometheus behind a path, with samples of the past and nothing to scrape."""
    with prometheus(_load) as running:
        yield running


@pytest.fixture(scope="module")
def secure() -> Iterator[PrometheusServer]:
    """A Prometheus that wants TLS, a client's certificate and a password."""
    with prometheus(secure=True) as running:
        yield running


@pytest.fixture
def source() -> Iterator[Ask]:
    """`source(url, …)` is a Prometheus as the worker knows it; closed after the test."""
    made: list[Prometheus] = []

    def make(url: str, **settings: Any) -> Prometheus:
        fields = {"time_limit": timedelta(minutes=2), **settings}
        made.append(Prometheus("main", PrometheusSettings(url=url, **fields)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def trusted(secure: PrometheusServer, tmp_path: Path) -> dict[str, Any]:
    """The settings that `secure` wants."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return {
        "username": USER,
        "password_file": tmp_path / "password",
        "ca_file": secure.folder / "server.pem",
        "certificate_file": secure.folder / "client.pem",
        "key_file": secure.folder / "client.key",
    }


def _load(server: PrometheusServer) -> None:
    many = {f'many{{n="{n}"}}': 1.0 for n in range(MOST_SERIES + 1)}
    server.load({**many, 'stock{shelf="a"}': 3.5, 'stock{shelf="b"}': -2}, PAST)


def refused(source: Prometheus, promql: str = "1") -> CheckError:
    """The error of a query."""
    with pytest.raises(CheckError) as raised:
        source.query(promql)
    assert str(raised.value).startswith("prometheus main: ")
    return raised.value


def answers(source: Prometheus) -> bool:
    try:
        source.query("1")
    except CheckError:
        return False
    return True


# --- Answers --------------------------------------------------------------------------------------


def test_a_vector_is_its_series(server: PrometheusServer, source: Ask) -> None:
    """Each series comes with its labels and its number, at the time that was asked for."""
    answer = source(server.url).query("stock", PAST)
    assert sorted(answer.series, key=lambda each: each[1]) == [
        ({"__name__": "stock", "shelf": "b"}, -2.0),
        ({"__name__": "stock", "shelf": "a"}, 3.5),
    ]
    assert answer.notes == ()


def test_without_a_time_the_present_is_asked(server: PrometheusServer, source: Ask) -> None:
    """What was known in the past only is not known now, which is an answer and no error."""
    assert source(f"{server.url}/").query("stock") == Answer(())


def test_a_scalar_is_one_series_without_labels(server: PrometheusServer, source: Ask) -> None:
    """A number alone is an answer, too, and the time of the server is asked for at a moment."""
    assert source(server.url).query("time()", PAST).series == (({}, PAST.timestamp()),)


@pytest.mark.parametrize("bad", ["vector(0) / 0", "vector(1) / 0", "vector(-1) / 0"])
def test_what_is_no_number_is_left_out_and_told(
    bad: str, server: PrometheusServer, source: Ask
) -> None:
    """A series that is NaN or infinite is missing from the answer, and a note says so."""
    promql = f'label_replace({bad}, "of", "bad", "", "") or vector(1)'
    answer = source(server.url).query(promql)
    assert answer == Answer((({}, 1.0),), ("1 series are NaN or infinite and left out",))


def test_a_query_larger_than_a_url_may_be_is_asked(server: PrometheusServer, source: Ask) -> None:
    """An expression of 100 kB reaches the server."""
    assert source(server.url).query(f"1 # {'x' * 100_000}").series == (({}, 1.0),)


def test_a_warning_of_the_server_is_a_note(source: Ask) -> None:
    """That the server could not read all its data is told beside the answer."""
    with prometheus(remote_read=f"http://{HOST}:{_free_port()}/read") as partial:
        (note,) = source(partial.url).query("up").notes
    assert "remote_read" in note


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promql", "text"),
    [
        ("sum(", "cannot evaluate the expression (status 400): bad_data: "),
        ("stock * on() stock", "cannot evaluate the expression (status 422): execution: "),
        ("stock[5m]", "the expression gives a matrix, not a vector"),
        ('"text"', "the expression gives a string, not a vector"),
        ("many", f"{MOST_SERIES + 1} series are more than {MOST_SERIES}"),
    ],
)
def test_a_wrong_expression_stays_wrong(
    promql: str, text: str, server: PrometheusServer, source: Ask
) -> None:
    """The server's own words say what is wrong, and asking again will not help."""
    with pytest.raises(CheckError, match=r"prometheus main: ") as raised:
        source(server.url).query(promql, PAST)
    assert text in str(raised.value)
    assert raised.value.permanent
    assert len(str(raised.value)) < 400


def test_a_path_without_the_api_is_told(server: PrometheusServer, source: Ask) -> None:
    """A URL that leads beside the API is told from a server that fails."""
    error = refused(source(f"{server.url}/elsewhere"))
    assert "has no Prometheus API at this URL (status 404)" in str(error)
    assert error.permanent


def test_a_server_that_is_gone_comes_back(source: Ask) -> None:
    """A server that is down is an error that passes: the next query after its start is answered."""
    with prometheus() as mortal:
        asked = source(mortal.url)
        assert answers(asked)
        mortal.stop()
        error = refused(asked)
        assert "cannot be reached: Connection refused" in str(error)
        assert not error.permanent
        mortal.start()
        assert answers(asked)


def test_an_unknown_host_is_told(source: Ask) -> None:
    """A name that nobody has is an error that passes: a resolver may be down."""
    error = refused(source("http://nobody.invalid"))
    assert "cannot be reached: " in str(error)
    assert not error.permanent


# --- Time -----------------------------------------------------------------------------------------


def test_a_frozen_server_is_waited_for_as_long_as_configured(source: Ask) -> None:
    """A server that takes connections and never answers costs the time limit and no more."""
    with prometheus() as frozen:
        asked = source(frozen.url, time_limit=timedelta(seconds=1))
        frozen.pause()
        with no_hang(2):
            error = refused(asked)
        frozen.resume()
        assert "no whole answer within the time limit of 1 s" in str(error)
        assert not error.permanent
        wait_until(lambda: answers(asked), 20, "the server answers again")


def test_a_query_that_takes_too_long_is_stopped(server: PrometheusServer, source: Ask) -> None:
    """An expensive expression ends with the time limit, on either side."""
    expensive = "count_over_time(vector(1)[20000s:1ms])"
    with no_hang(4):
        error = refused(source(server.url, time_limit=timedelta(seconds=1)), expensive)
    assert not error.permanent


def test_closing_ends_what_runs_and_all_that_follows(source: Ask) -> None:
    """A query that hangs ends at once when the worker stops, and no other begins."""
    with prometheus() as frozen, ThreadPoolExecutor(1) as pool:
        asked = source(frozen.url)
        frozen.pause()
        query = pool.submit(asked.query, "1")
        wait_until(lambda: bool(asked._active), 10, "the query runs")
        with no_hang(2):
            asked.close()
            assert isinstance(query.exception(patience(2)), RunStopped)
        with pytest.raises(RunStopped):
            asked.query("1")


# --- Credentials ----------------------------------------------------------------------------------


def test_tls_certificate_and_password(
    secure: PrometheusServer, source: Ask, trusted: dict[str, Any]
) -> None:
    """With the authority, a certificate and a password a closed server answers."""
    assert source(secure.url, **trusted).query("1").series == (({}, 1.0),)


def test_a_rotated_password_is_read(
    secure: PrometheusServer, source: Ask, trusted: dict[str, Any]
) -> None:
    """A wrong password is refused, and a right one in the same file is taken without a restart."""
    trusted["password_file"].write_text(SECRET)
    asked = source(secure.url, **trusted)
    error = refused(asked)
    assert "refuses the credentials (status 401)" in str(error)
    assert error.permanent
    assert SECRET not in str(error)
    trusted["password_file"].write_text(PASSWORD)
    assert answers(asked)


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (("ca_file",), "no TLS connection: self-signed certificate"),
        (("certificate_file", "key_file"), "no TLS connection: .* alert .*certificate"),
        (("username", "password_file"), "refuses the credentials .status 401."),
    ],
)
def test_without_one_of_them_it_does_not(
    missing: tuple[str, ...],
    text: str,
    secure: PrometheusServer,
    source: Ask,
    trusted: dict[str, Any],
) -> None:
    """Each missing part is told from the others, and waits for somebody to mend it."""
    given = {name: value for name, value in trusted.items() if name not in missing}
    error = refused(source(secure.url, **given))
    assert re.search(text, str(error))
    assert error.permanent


def test_a_certificate_for_another_host_is_refused(
    secure: PrometheusServer, source: Ask, trusted: dict[str, Any]
) -> None:
    """A trusted certificate counts for its own host alone."""
    error = refused(source(secure.url.replace(HOST, "localhost"), **trusted))
    assert "no TLS connection: Hostname mismatch" in str(error)
    assert error.permanent


@pytest.mark.parametrize(
    ("field", "content", "text"),
    [
        ("password_file", b"", "is empty"),
        ("password_file", b"\xff", "cannot be read: not UTF-8"),
        ("password_file", None, "cannot be read: No such file"),
        ("ca_file", SECRET.encode(), "holds no certificate"),
        ("ca_file", None, "cannot be read: No such file"),
        ("certificate_file", SECRET.encode(), "holds no certificate"),
        ("key_file", SECRET.encode(), "its key_file does not fit"),
        ("key_file", None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_became_unusable_is_named(
    field: str,
    content: bytes | None,
    text: str,
    *,
    source: Ask,
    secure: PrometheusServer,
    trusted: dict[str, Any],
    tmp_path: Path,
) -> None:
    """What went wrong with a file is told with its name and never with what it holds."""
    path = tmp_path / "rotated"
    path.write_bytes(trusted[field].read_bytes())
    asked = source(secure.url, **{**trusted, field: path})
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    error = refused(asked)
    named = trusted["certificate_file"] if field == "key_file" else path
    assert f"{named}" in str(error)
    assert text in str(error)
    assert error.permanent
    assert SECRET not in str(error)


def test_an_encrypted_key_is_refused(
    secure: PrometheusServer, source: Ask, trusted: dict[str, Any], tmp_path: Path
) -> None:
    """Nobody is asked for the password of a key, which a service could not be told."""
    command = ["openssl", "pkey", "-aes128", "-passout", "pass:made-up"]
    files = ("-in", str(trusted["key_file"]), "-out", str(tmp_path / "key"))
    subprocess.run([*command, *files], check=True)
    error = refused(source(secure.url, **{**trusted, "key_file": tmp_path / "key"}))
    assert "or its key_file does not fit or is encrypted" in str(error)
    assert error.permanent


def test_tls_of_a_server_without_is_told(server: PrometheusServer, source: Ask) -> None:
    """An https URL of a server that speaks plain HTTP is an error that stays."""
    error = refused(source(server.url.replace("http:", "https:")))
    assert "no TLS connection: " in str(error)
    assert error.permanent


# --- What only others do --------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    """What stands in front of a Prometheus and does one thing by the first part of the path."""

    protocol_version = "HTTP/1.1"
    authorization: str | None = None
    form: Mapping[str, list[str]] | None = None

    def do_POST(self) -> None:
        """Remember what was asked and by whom, and do it."""
        Proxy.authorization = self.headers.get("Authorization")
        Proxy.form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        getattr(self, f"_on_{self.path.split('/')[1]}")()

    def _on_html(self) -> None:
        self._reply(200, f"<html>{SECRET}</html>".encode())

    def _on_busy(self) -> None:
        self._reply(503, f"<html>{SECRET}</html>".encode())

    def _on_throttled(self) -> None:
        self._reply(429, b"")

    def _on_forbidden(self) -> None:
        self._reply(403, f'{{"error": "{SECRET}"}}'.encode())

    def _on_redirect(self) -> None:
        self._reply(302, b"", Location=f"/html?{SECRET}")

    def _on_packed(self) -> None:
        self._reply(200, gzip.compress(b'{"status": "success"}'), **{"Content-Encoding": "gzip"})

    def _on_half(self) -> None:
        self._reply(200, b'{"status": "suc', **{"Content-Length": "500"})
        self.close_connection = True

    def _on_garbage(self) -> None:
        self.wfile.write(f"{SECRET}\r\n\r\n".encode())
        self.close_connection = True

    def _on_endless(self) -> None:
        self._reply(200, b"", **{"Content-Length": str(1 << 40)})
        while True:
            self.wfile.write(b" " * 65536)

    def _on_drip(self) -> None:
        self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ")

    def _on_drip_headers(self) -> None:
        self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")

    def _on_unusual(self) -> None:
        self._reply(200, bytes.fromhex(self.path.split("/")[2]))

    def _drip(self, head: bytes, rest: bytes) -> None:
        self.wfile.write(head)
        while True:
            self.wfile.write(rest)
            time.sleep(0.05)

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        """Let clients go away when they like."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Nothing: the test tells what matters."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """Its URL."""
    with serving(Proxy) as port:
        yield f"http://{HOST}:{port}"


@pytest.mark.parametrize(
    ("path", "text", "permanent"),
    [
        ("html", "its answer is not that of a Prometheus", False),
        ("throttled", "is asked too often (status 429)", False),
        ("busy", "does not answer the question (status 503)", False),
        ("forbidden", "does not let these credentials ask (status 403)", True),
        ("redirect", "answers by a redirect, which is not followed (status 302)", True),
        ("packed", "its answer is compressed", False),
        ("half", "its answer breaks off or is not HTTP", False),
        ("garbage", "its answer breaks off or is not HTTP", False),
        ("endless", f"its answer is larger than {LARGEST} bytes", True),
    ],
)
def test_what_is_no_answer_is_no_answer(
    path: str, text: str, *, permanent: bool, proxy: str, source: Ask
) -> None:
    """A proxy's own pages are errors that repeat nothing of them."""
    error = refused(source(f"{proxy}/{path}"))
    assert str(error).startswith(f"prometheus main: {text}")
    assert error.permanent is permanent
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"data": {"resultType": "vector", "result": []}}',
        '{"status": "success"}',
        '{"status": "success", "data": []}',
        '{"status": "success", "data": {"resultType": "vector", "result": {}}}',
        '{"status": "success", "data": {"resultType": "vector", "result": [1]}}',
        '{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}',
        '{"status": "success", "data": {"resultType": "scalar", "result": [1, "one"]}}',
        '{"status": "success", "data": {"resultType": "scalar", "result": [1, 1]}}',
    ],
)
def test_json_that_is_not_the_apis_is_no_answer(body: str, proxy: str, source: Ask) -> None:
    """Nothing is read into a document of another form."""
    error = refused(source(f"{proxy}/unusual/{body.encode().hex()}"))
    assert str(error) == "prometheus main: its answer is not that of a Prometheus"


@pytest.mark.parametrize(
    ("body", "text", "permanent"),
    [
        ('{"status": "error", "errorType": "timeout", "error": "late"}', "timeout: late", False),
        ('{"status": "error", "errorType": "execution", "error": "no"}', "execution: no", True),
        (
            '{"status": "success", "data": {"resultType": "vector", "result": [{"histogram": 1}]}}',
            "the expression gives histograms, not numbers",
            True,
        ),
    ],
)
def test_an_error_behind_a_status_of_200_is_one(
    body: str, text: str, *, permanent: bool, proxy: str, source: Ask
) -> None:
    """What a proxy turns into 200 stays an error, as does a histogram of a newer server."""
    error = refused(source(f"{proxy}/unusual/{body.encode().hex()}"))
    assert text in str(error)
    assert error.permanent is permanent


def test_hints_of_a_newer_server_are_notes(proxy: str, source: Ask) -> None:
    """Warnings and hints are passed on, cut to a length that a person reads."""
    body = (
        '{"status": "success", "data": {"resultType": "vector", "result": []},'
        f' "warnings": ["{"w" * 500}"], "infos": ["PromQL info: odd"]}}'
    )
    answer = source(f"{proxy}/unusual/{body.encode().hex()}").query("1")
    assert answer == Answer((), ("w" * 300, "PromQL info: odd"))


@pytest.mark.parametrize("part", ["drip", "drip_headers"])
def test_an_answer_that_drips_is_cut(part: str, proxy: str, source: Ask) -> None:
    """A byte now and then does not keep a query alive, nor the thread that reads it."""
    with no_hang(2):
        error = refused(source(f"{proxy}/{part}", time_limit=timedelta(seconds=1)))
    assert "no whole answer within the time limit of 1 s" in str(error)
    wait_until(lambda: "http" not in {each.name for each in threading.enumerate()}, 5, "it ends")


def test_the_server_is_told_the_time_limit(proxy: str, source: Ask) -> None:
    """It can stop by itself what nobody waits for any longer."""
    refused(source(f"{proxy}/html", time_limit=timedelta(seconds=7)), 'up{a="ü&b"}')
    assert Proxy.form == {"query": ['up{a="ü&b"}'], "timeout": ["7"]}


def test_a_bearer_token_is_sent_and_rotated(proxy: str, source: Ask, tmp_path: Path) -> None:
    """The token that the file holds at the time of the query is the one that is sent."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    asked = source(f"{proxy}/html", bearer_file=tmp_path / "token")
    refused(asked)
    assert Proxy.authorization == f"Bearer {SECRET}"
    (tmp_path / "token").write_text("another")
    refused(asked)
    assert Proxy.authorization == "Bearer another"


@pytest.mark.parametrize("token", [f"{SECRET}\nX-Injected: 1", f"{SECRET} é", f"{SECRET} 2"])
def test_what_is_no_token_is_not_sent(token: str, proxy: str, source: Ask, tmp_path: Path) -> None:
    """A file of more than one word is refused by its name, and nothing of it is told."""
    (tmp_path / "token").write_text(token, encoding="utf-8")
    error = refused(source(f"{proxy}/html", bearer_file=tmp_path / "token"))
    text = f"prometheus main: bearer_file {tmp_path / 'token'} holds no token"
    assert str(error) == text
    assert error.permanent


def test_no_proxy_of_the_environment_is_asked(
    server: PrometheusServer, source: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that names a proxy leads no query, and no password, astray."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{_free_port()}")
    assert answers(source(server.url))


def test_no_secret_is_logged(
    secure: PrometheusServer,
    source: Ask,
    trusted: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not even where libraries log all they do."""
    with caplog.at_level(logging.DEBUG):
        source(secure.url, **trusted).query("1")
    assert PASSWORD not in caplog.text
    assert "Basic " not in caplog.text


# --- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"url": f"http://{SECRET}@host"}, "credentials in the URL"),
        ({"url": f"http://user:{SECRET}@host"}, "credentials in the URL"),
        ({"url": f"ftp://{SECRET}"}, "not http:// or https:// and a host"),
        ({"url": f"http:///{SECRET}"}, "not http:// or https:// and a host"),
        ({"url": SECRET}, "not http:// or https:// and a host"),
        ({"url": f"http://host:{SECRET}"}, "not a URL such as"),
        ({"url": f"http://host/?token={SECRET}"}, "without ? and #"),
        ({"url": f"http://host/#{SECRET}"}, "without ? and #"),
        ({"username": SECRET}, "username and password_file are needed together"),
        ({"password_file": "/dev/null"}, "username and password_file are needed together"),
        ({"username": "a:b", "password_file": "/dev/null"}, "pattern"),
        (
            {"username": "a", "password_file": "/dev/null", "bearer_file": "/dev/null"},
            "either bearer_file or username and password_file",
        ),
        ({"certificate_file": "/dev/null"}, "certificate_file and key_file are needed together"),
        ({"key_file": "/dev/null"}, "certificate_file and key_file are needed together"),
        ({"ca_file": "/dev/null"}, "need an https:// URL"),
        ({"bearer_file": "/nowhere"}, "file /nowhere cannot be read"),
        ({"verify": False}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], text: str) -> None:
    """Each mistake has its own words, in which nothing of a URL is repeated."""
    with pytest.raises(ValidationError) as raised:
        PrometheusSettings.model_validate({"url": "http://host", **settings})
    (error,) = raised.value.errors(include_input=False, include_url=False)
    assert text in error["msg"]
    assert SECRET not in error["msg"]

"""Alerts reach a real Alertmanager, whatever becomes of it meanwhile, and exactly once."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog
from pydantic import ValidationError
from sqlalchemy import make_url
from structlog.testing import capture_logs

from checks.contract import Check, Finding
from checks.kinds.non_negative import NonNegative
from checks.types import Severity
from tests.support.alertmanager import AlertmanagerServer, Receiver, alertmanager, receiver
from tests.support.monitoring import PASSWORD, USER
from tests.support.patience import no_hang, wait_until
from tests.support.prometheus import prometheus, serving
from tests.support.servers import HOST
from tests.support.states import CHECK, run_of
from worker.alerts.alertmanager import BATCH, Push
from worker.alerts.answers import NOBODY, problem
from worker.alerts.payload import Drafts
from worker.config import AlertmanagerSettings, AlertsSettings, Settings
from worker.model.alert import Draft, StoredAlert
from worker.model.finding import StoredFinding
from worker.model.steady_clock import STEADY
from worker.state import State
from worker.state.outbox import Policy
from worker.text.redact import Mask

SOON = AlertsSettings(
    push=(Severity.CRITICAL,),
    resend_every=timedelta(seconds=0.5),
    expire_after=timedelta(minutes=10),
    resolved_for=timedelta(seconds=2),
)


def check(number: int) -> Check:
    """One of many checks."""
    return CHECK.model_copy(update={"name": f"check_{number}"})


class Telling:
    """A policy that sends every check's alert; some with a label that no Alertmanager takes."""

    def __init__(self, *alertmanagers: str, bad: Collection[str] = ()) -> None:
        self.alertmanagers: Collection[str] = alertmanagers
        self._bad = bad

    def draft(self, check: Check, confirmed: int, told: Iterable[StoredFinding]) -> Draft | None:
        """Named by the check."""
        _ = told
        wrong = {"": "x"} if check.name in self._bad else {}  # newer ones take any other name
        return Draft({"alertname": check.name, **wrong}, {"count": str(confirmed)})


class Desk:
    """A state, and whoever sends its alerts."""

    def __init__(self, folder: Path) -> None:
        self.state = State(make_url(f"sqlite:///{folder}/state.db"))
        self.said: list[tuple[str, str, int]] = []
        self.pushes: list[Push] = []

    def send_to(
        self,
        urls: dict[str, str],
        *,
        bad: Collection[str] = (),
        policy: Policy | None = None,
        **settings: Any,
    ) -> None:
        """Send to these from now on; each check's alert, unless a policy says otherwise."""
        self.state.adopt_policy(policy or Telling(*urls, bad=bad), [])
        limit = {"time_limit": "60s"} | settings
        for name, url in urls.items():
            each = AlertmanagerSettings.model_validate({"url": url, **limit})
            push = Push(name, each, SOON, self.state, lambda *said: self.said.append(said))
            self.pushes.append(push)
            push.start()

    def see(self, *keys: int, of: Check = CHECK) -> None:
        """A run sees these violations."""
        self.state.record(run_of(*keys, check=of))
        for push in self.pushes:
            push.wake()

    def outcomes(self) -> set[str]:
        """How requests ended so far."""
        return {outcome for _, outcome, _ in self.said}

    def pending(self, name: str = "main") -> int:
        """How many alerts wait."""
        return len(self.state.pending_alerts(name))

    def wait_until_taken(self, name: str = "main") -> None:
        """Wait until nothing waits."""
        wait_until(lambda: self.pending(name) == 0, 10, "everything is taken")

    def stop(self) -> None:
        """End the threads."""
        for push in self.pushes:
            push.stop()
        self.pushes.clear()


@pytest.fixture(scope="module")
def person() -> Iterator[Receiver]:
    """Who is paged."""
    with receiver() as person:
        yield person


@pytest.fixture(scope="module")
def shared(person: Receiver) -> Iterator[AlertmanagerServer]:
    """An Alertmanager that nobody maltreats."""
    with alertmanager(receiver=person.url) as server:
        yield server


@pytest.fixture
def own(person: Receiver) -> Iterator[AlertmanagerServer]:
    """An Alertmanager that a test may maltreat."""
    person.forget()
    with alertmanager(receiver=person.url) as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Whoever sends alerts, with a state of its own."""
    desk = Desk(tmp_path)
    with closing(desk.state):
        yield desk
        desk.stop()


def assert_told(person: Receiver, name: str, *statuses: str) -> None:
    """Wait until the person was told so much of an alert, and assert that it is just that."""
    person.wait(name, statuses[-1])
    assert person.statuses(name) == list(statuses)


def test_an_alert_comes_once_and_goes(
    desk: Desk, shared: AlertmanagerServer, person: Receiver
) -> None:
    """However often it is seen and said again, a person is told twice: of its begin and its end."""
    one = check(1)
    desk.send_to({"main": shared.url})
    desk.see(7, of=one)
    assert_told(person, one.name, "firing")
    before = shared.metric("alerts_received_total", status="firing")
    wait_until(
        lambda: shared.metric("alerts_received_total", status="firing") > before + 2,
        10,
        "it is said again and again",
    )
    desk.see(of=one)
    assert_told(person, one.name, "firing", "resolved")
    wait_until(lambda: not desk.state.alerts_for("main"), 10, "the outbox is empty")
    assert person.statuses(one.name) == ["firing", "resolved"]
    assert desk.outcomes() == {"accepted"}


def test_new_contents_page_nobody_anew(
    desk: Desk, shared: AlertmanagerServer, person: Receiver
) -> None:
    """A second finding of a check changes what the alert says, and is no second page."""
    two = check(2)
    desk.send_to({"main": shared.url})
    desk.see(7, of=two)
    assert_told(person, two.name, "firing")
    wait_until(lambda: bool(desk.said), 10, "all is said of the first")
    with capture_logs() as logged:
        desk.see(7, 8, of=two)
        desk.wait_until_taken()
        before = len(desk.said)
        wait_until(lambda: len(desk.said) > before, 10, "it is said again")
    assert logged == []
    wait_until(
        lambda: [each["annotations"]["count"] for each in shared.alerts(two.name)] == ["2"],
        10,
        "its contents are new",
    )
    desk.see(of=two)
    assert_told(person, two.name, "firing", "resolved")


HOSTILE = (
    "<script>alert(1)</script> {{ .Labels }} \u202e\x00\n\x1b[31m'; DROP TABLE orders -- 🎲" * 9
)


def test_hostile_contents_arrive_as_texts(
    desk: Desk, shared: AlertmanagerServer, person: Receiver
) -> None:
    """Whatever a key holds, the alert is taken and told, without a character that commands."""
    hostile = NonNegative(
        name="hostile",
        table="balances",
        primary_key="code",
        columns=("amount",),
        severity=Severity.CRITICAL,
    )
    settings = Settings.model_validate(
        {
            "databases": {"ledger": {"url": "sqlite:///ledger.db"}},
            "alertmanagers": {"main": {"url": shared.url}},
            "alerts": {"push": ["critical"]},
        }
    )
    desk.send_to({"main": shared.url})
    desk.state.adopt_policy(Drafts(settings, "http://page.example", Mask()), [hostile])
    desk.state.record(run_of(Finding({"code": HOSTILE}, HOSTILE), check=hostile))
    for push in desk.pushes:
        push.wake()
    told = person.wait("ReconcilerNegativeAmount", "firing", check="hostile")
    assert "<script>" in told.annotations["summary"]
    assert not set("\u202e\x00\x1b") & set("".join(told.annotations.values()))
    assert json.loads(told.annotations["keys"]) == [{"code": HOSTILE}]


def test_an_alert_outlives_its_worker(desk: Desk, shared: AlertmanagerServer) -> None:
    """It ends long after the worker may have come back, so that a restart resolves nothing."""
    three = check(3)
    desk.send_to({"main": shared.url})
    desk.see(7, of=three)
    desk.wait_until_taken()
    (held,) = shared.alerts(three.name)
    ends = datetime.fromisoformat(held["endsAt"])
    assert ends - datetime.now(UTC) > timedelta(minutes=9)


def test_a_restarted_worker_pages_nobody_anew(
    desk: Desk, tmp_path: Path, shared: AlertmanagerServer, person: Receiver
) -> None:
    """A new process says the same alert again, and ends what was mended meanwhile."""
    four = check(4)
    desk.send_to({"main": shared.url})
    desk.see(7, of=four)
    assert_told(person, four.name, "firing")
    desk.stop()
    again = Desk(tmp_path)
    with closing(again.state):
        again.send_to({"main": shared.url})
        wait_until(lambda: bool(again.said), 10, "the new process says it again")
        again.see(of=four)
        assert_told(person, four.name, "firing", "resolved")
        again.stop()


def test_what_waits_for_an_alertmanager_is_not_lost(
    desk: Desk, own: AlertmanagerServer, person: Receiver
) -> None:
    """While it is down alerts wait; when it is back it is told what is still true."""
    own.stop()
    desk.send_to({"main": own.url})
    with capture_logs() as logged:
        desk.see(1)
        desk.see(2, of=check(5))
        wait_until(lambda: "failed" in desk.outcomes(), 10, "it cannot be reached")
        assert desk.pending() == 2
        desk.see(of=check(5))  # mended before anybody could be told
        own.start()
        assert_told(person, CHECK.name, "firing")
        desk.wait_until_taken()
        wait_until(
            lambda: [each["event"] for each in logged][-1] == "alert_delivery_recovered",
            10,
            "that is logged",
        )
    assert person.statuses(check(5).name) == []
    told = [(each["event"], each.get("check"), each.get("status")) for each in logged]
    assert told == [
        ("alert_delivery_failed", None, None),
        ("alert_delivered", CHECK.name, "firing"),
        ("alert_delivered", check(5).name, "resolved"),  # it may have been taken unheard
        ("alert_delivery_recovered", None, None),
    ]


def test_a_restarted_alertmanager_pages_nobody_anew(
    desk: Desk, own: AlertmanagerServer, person: Receiver
) -> None:
    """It forgets what is active, and remembers whom it told."""
    desk.send_to({"main": own.url})
    desk.see(1)
    assert_told(person, CHECK.name, "firing")
    own.wait_until_settled(rounds=1)  # it notes whom it told only after it has told them
    own.stop()
    own.start()
    own.wait_for_alert(CHECK.name)
    desk.see()
    assert_told(person, CHECK.name, "firing", "resolved")


def test_an_alertmanager_that_lost_everything_learns_it_again(
    desk: Desk, own: AlertmanagerServer, person: Receiver
) -> None:
    """After a crash and a lost disk it holds the alert again, by itself."""
    desk.send_to({"main": own.url})
    desk.see(1)
    assert_told(person, CHECK.name, "firing")
    own.kill()
    shutil.rmtree(own.folder / "data")
    own.start()
    own.wait_for_alert(CHECK.name)


def test_a_frozen_alertmanager_delays_nobody_else(
    desk: Desk, own: AlertmanagerServer, shared: AlertmanagerServer, person: Receiver
) -> None:
    """Each has a thread of its own, and a request ends when its time is up."""
    six = check(6)
    own.pause()
    desk.send_to({"frozen": own.url, "main": shared.url}, time_limit="1s")
    desk.see(1, of=six)
    assert_told(person, six.name, "firing")
    wait_until(lambda: ("frozen", "failed", 1) in desk.said, 10, "its time is up")
    assert desk.pending("frozen") == 1
    own.resume()
    desk.wait_until_taken("frozen")


def test_the_worker_ends_while_an_alertmanager_is_frozen(
    desk: Desk, own: AlertmanagerServer
) -> None:
    """Nobody waits for an answer that may never come."""
    own.pause()
    desk.send_to({"main": own.url}, time_limit="1h")
    desk.see(1)
    wait_until(lambda: desk.pushes[0]._exchange is not None, 10, "it asks")
    with no_hang(2):
        desk.stop()
    assert desk.pending() == 1


def test_one_bad_alert_holds_up_no_other(
    desk: Desk, own: AlertmanagerServer, person: Receiver
) -> None:
    """The good ones of a batch are taken; the bad one waits, and is told of once."""
    with capture_logs() as logged:
        own.stop()
        desk.send_to({"main": own.url}, bad=["check_2"])
        for number in range(5):
            desk.see(1, of=check(number))
        wait_until(lambda: ("main", "failed", 5) in desk.said, 10, "all wait for one request")
        own.start()
        for number in (0, 1, 3, 4):
            assert_told(person, f"check_{number}", "firing")
        wait_until(lambda: sum(o == "refused" for _, o, _ in desk.said) > 1, 10, "it is retried")
        assert desk.pending() == 1
    (refusal,) = (each for each in logged if each["event"] == "alert_refused")
    assert refusal == {
        "event": "alert_refused",
        "log_level": "warning",
        "alertmanager": "main",
        "check": "check_2",
        "alert": "check_2",
        "status": 400,
    }


def test_a_mass_of_alerts_goes_in_few_requests(desk: Desk, own: AlertmanagerServer) -> None:
    """After an outage there is one alert for each check, and a request for each batch of them."""
    own.stop()
    desk.send_to({"main": own.url})
    for number in range(120):
        desk.state.record(run_of(1, check=check(number)))
    own.start()
    desk.wait_until_taken()
    accepted = [number for _, outcome, number in desk.said if outcome == "accepted"]
    assert max(accepted) == BATCH
    assert len(own.alerts()) == 120


def test_it_shows_who_it_is(person: Receiver, desk: Desk, tmp_path: Path) -> None:
    """TLS with a client's certificate, and a password, as the exporters' web file asks for."""
    person.forget()
    with alertmanager(receiver=person.url, secure=True) as server:
        folder = server.folder
        (tmp_path / "password").write_text(PASSWORD)
        desk.send_to(
            {"main": server.url},
            username=USER,
            password_file=tmp_path / "password",
            ca_file=folder / "server.pem",
            certificate_file=folder / "client.pem",
            key_file=folder / "client.key",
        )
        desk.see(1)
        assert_told(person, CHECK.name, "firing")


def test_a_password_that_is_rotated_is_read_again(
    person: Receiver, desk: Desk, tmp_path: Path
) -> None:
    """A wrong password delays alerts until the file holds the right one."""
    person.forget()
    with alertmanager(receiver=person.url, secure=True) as server:
        folder = server.folder
        secret = tmp_path / "password"
        secret.write_text("yesterday's")
        with capture_logs() as logged:
            desk.send_to(
                {"main": server.url},
                username=USER,
                password_file=secret,
                ca_file=folder / "server.pem",
                certificate_file=folder / "client.pem",
                key_file=folder / "client.key",
            )
            desk.see(1)
            wait_until(lambda: "failed" in desk.outcomes(), 10, "the password is wrong")
            secret.write_text(PASSWORD)
            assert_told(person, CHECK.name, "firing")
        assert logged[0]["error"].startswith("answered with status 401: it asks for credentials")
        assert "yesterday" not in json.dumps(logged, default=str)


Answering = Callable[[BaseHTTPRequestHandler], None]


def _status(status: int) -> Answering:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "6")
        handler.send_header("Location", "http://127.0.0.1:1/")
        handler.end_headers()
        handler.wfile.write(b"canary")

    return answer


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_status(500), "answered with status 500"),
        (_status(503), "answered with status 503"),
        (_status(404), "answered with status 404"),
        (_status(302), "answered with status 302"),
        (_hang_up, "its answer breaks off or is not HTTP"),
    ],
    ids=["500", "503", "404", "redirect", "hangs up"],
)
def test_a_gateway_that_fails_loses_nothing(desk: Desk, answer: Answering, error: str) -> None:
    """What stands before an Alertmanager may fail in any way: alerts wait, with few tries."""
    tries: list[float] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            tries.append(time.monotonic())
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Nothing: the test tells what matters."""

    with serving(Gateway) as port, capture_logs() as logged:
        desk.send_to({"main": f"http://{HOST}:{port}"})
        desk.see(1)
        for _ in range(50):  # whatever happens meanwhile is no reason to ask more often
            desk.see(1)
        wait_until(lambda: len(tries) >= 3, 20, "it is tried again")
        desk.stop()
    assert desk.pending() == 1
    assert desk.outcomes() == {"failed"}
    assert tries[2] - tries[0] > 2 * 0.75 * SOON.resend_every.total_seconds() * 0.9
    assert [each["error"].partition(": ")[0] for each in logged] == [error]


def test_a_fault_of_our_own_ends_no_paging(
    desk: Desk, shared: AlertmanagerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody thought of is told by its type, and tried again."""
    calls: list[str] = []
    state = desk.state
    told = state.alerts_for

    def failing(name: str) -> list[StoredAlert]:
        calls.append(name)
        if len(calls) < 3:
            raise KeyError("canary")
        return told(name)

    with capture_logs() as logged:
        monkeypatch.setattr(state, "alerts_for", failing)
        desk.send_to({"main": shared.url})
        desk.see(1, of=check(7))
        desk.wait_until_taken()
    assert logged[0]["error"] == "fault in the worker: KeyError"
    assert "canary" not in json.dumps(logged, default=str)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Events go nowhere but to the test that captures them."""
    with ExitStack() as stack:
        root = logging.getLogger()
        before = root.handlers[:]
        root.handlers = [logging.NullHandler()]
        stack.callback(lambda: setattr(root, "handlers", before))
        stack.callback(structlog.reset_defaults)
        yield


class WrongClock:
    """The clock of the worker's machine, which others do not share."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr(STEADY, "now", self._now)
        monkeypatch.setattr(STEADY, "seconds", lambda: self._now().timestamp())

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)


SECONDS, MINUTES, DAYS = 7.0, 600.0, 40 * 86400.0


@pytest.mark.parametrize("seed", range(3))
def test_a_clock_that_is_set_loses_no_alert_and_no_end(
    seed: int,
    desk: Desk,
    clocked: AlertmanagerServer,
    person: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set forth and back at any moment, by seconds or by days: each is told once, and its end."""
    random = Random(seed)  # noqa: S311 - to be repeated
    clock = WrongClock(monkeypatch)
    steps = [0.0, *(sign * each for each in (SECONDS, MINUTES, DAYS) for sign in (1, -1))]
    desk.send_to({"main": clocked.url})
    expected: dict[str, list[str]] = {}
    for number in range(8):
        one = check(1000 * (seed + 1) + number + 100 * clocked.newer)
        for keys, status in (((1,), "firing"), ((), "resolved")):
            clock.ahead = random.choice(steps)
            desk.see(*keys, of=one)
            clock.ahead = random.choice(steps)
            person.wait(one.name, status)
            desk.wait_until_taken()
        expected[one.name] = ["firing", "resolved"]
    assert {name: person.statuses(name) for name in expected} == expected
    assert "refused" not in desk.outcomes()
    assert not [each for each in clocked.alerts() if each["labels"]["alertname"] in expected]


@pytest.fixture(scope="module")
def clocked(person: Receiver, newer: bool) -> Iterator[AlertmanagerServer]:  # noqa: FBT001
    """An Alertmanager of either version, whose clock is right."""
    with alertmanager(receiver=person.url, newer=newer) as server:
        yield server


def test_what_is_refused_is_given_up(desk: Desk, shared: AlertmanagerServer) -> None:
    """An end that is never taken waits for `resolved_for`; what fires is tried on, and counted."""
    fires, ends = check(501), check(502)
    with capture_logs() as logged:
        desk.send_to({"main": shared.url}, bad=[fires.name, ends.name])
        desk.see(1, of=fires)
        desk.see(1, of=ends)
        desk.see(of=ends)
        desk.wait_until_taken()
        assert desk.pushes[0].refused == 1
        assert [each.check for each in desk.state.alerts_for("main")] == [fires.name]
        tried = len(desk.said)
        wait_until(lambda: len(desk.said) > tried, 10, "it is tried again")
        desk.see(of=fires)
        wait_until(lambda: not desk.state.alerts_for("main"), 10, "nothing is left")
    given_up = [each for each in logged if each["event"] == "alert_given_up"]
    assert {(each["check"], each["status"]) for each in given_up} >= {
        (fires.name, "firing"),
        (ends.name, "resolved"),
    }
    assert desk.outcomes() == {"refused", "given_up"}


@pytest.mark.parametrize("path", ["/api", "/wrong", "/#/alerts", "/api/v2", "/api/v1/alerts"])
def test_a_url_that_leads_elsewhere_is_told(shared: AlertmanagerServer, path: str) -> None:
    """Where the configuration does not refuse it, asking who answers does."""
    given = {"url": shared.url + path}
    if path in ("/api", "/wrong"):
        assert NOBODY in (problem(AlertmanagerSettings.model_validate(given)) or "")
        return
    with pytest.raises(ValidationError, match=r"ends before /api/|up to a path only"):
        AlertmanagerSettings.model_validate(given)


@pytest.mark.parametrize("newer_too", [False, True])
def test_an_alertmanager_is_known(request: pytest.FixtureRequest, newer_too: bool) -> None:  # noqa: FBT001
    """With a slash or without, behind a prefix, of any version; what is none is said to be none."""
    if newer_too:
        request.getfixturevalue("newer_only")
    for server in (alertmanager(newer=newer_too), alertmanager(newer=newer_too, prefix="/am")):
        with server as running:
            for end in ("", "/"):
                settings = AlertmanagerSettings.model_validate({"url": running.url + end})
                assert problem(settings) is None
            if "/am" in running.url:
                bare = running.url.removesuffix("/am")
                assert NOBODY in (problem(AlertmanagerSettings(url=bare)) or "")
    with prometheus(newer=newer_too) as other:
        assert NOBODY in (problem(AlertmanagerSettings(url=other.url)) or "")


def test_two_systems_are_two_alerts(
    tmp_path: Path, shared: AlertmanagerServer, person: Receiver
) -> None:
    """What ends on staging ends nothing of production, though check, table and rows are alike."""
    both = check(77)
    desks = []
    with ExitStack() as stack:
        for environment in ("staging", "production"):
            (tmp_path / environment).mkdir()
            desk = Desk(tmp_path / environment)
            stack.enter_context(closing(desk.state))
            stack.callback(desk.stop)
            settings = Settings.model_validate(
                {
                    "databases": {"ledger": {"url": "sqlite:///l.db", "environment": environment}},
                    "alertmanagers": {"main": {"url": shared.url}},
                    "alerts": {"push": ["warning"]},
                }
            )
            desk.send_to({"main": shared.url}, policy=Drafts(settings, "http://x", Mask()))
            desk.see(7, of=both)
            desks.append(desk)
        name = both.card.alert.name
        for environment in ("staging", "production"):
            person.wait(name, "firing", environment=environment, check=both.name)
        staging, production = desks
        staging.see(of=both)
        person.wait(name, "resolved", environment="staging", check=both.name)
        before = len(production.said)
        wait_until(lambda: len(production.said) > before + 1, 10, "it is said again")
        told = [
            each.status for each in person.told(name, check=both.name, environment="production")
        ]
        assert told == ["firing"]
        (left,) = [each for each in shared.alerts(name) if each["labels"]["check"] == both.name]
        assert left["labels"]["environment"] == "production"
        assert left["annotations"]["summary"].startswith("production: ")

"""`idempotency_requests`: what the table of idempotent requests shows of the application."""

from datetime import UTC, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from checks import snapshot
from checks.contract import CheckError, Result, Window
from checks.kinds.idempotency_requests import check as idempotency_requests
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from tests.support.runs import NOON, set_clock

REQUESTS = (
    "CREATE TABLE t (id bigint PRIMARY KEY, idempotency_key varchar(100), api_path varchar(200),"
    " request_hash varchar(64), status varchar(20), created_at {type}, user_id int, tries int)"
)
COLUMNS = "id, idempotency_key, api_path, request_hash, status, created_at, user_id, tries"
ZONE = ZoneInfo("Asia/Shanghai")
DRAW, SELL = "/api/v4/lottery/draw", "/api/v4/market/list"


def ago(seconds: float) -> str:
    """How a DATETIME column in Shanghai holds the moment so many seconds before noon."""
    moment = (NOON - timedelta(seconds=seconds)).astimezone(ZONE)
    return moment.replace(tzinfo=None).isoformat(" ")


class Requests:
    """A table of requests, written row by row."""

    def __init__(self, ledger: Ledger, type_name: str = "datetime") -> None:
        self.ledger = ledger
        self._number = 0
        ledger.sql(REQUESTS.format(type=type_name))

    def add(
        self,
        status: str | None,
        age: float | None = 60,
        path: str | None = DRAW,
        *,
        times: int = 1,
        key: str | None = "-",
        request: str | None = "h",
        user: int = 1,
        tries: int | None = 0,
    ) -> None:
        """Write some rows of one sort; `age` is in seconds, and each key is a new one."""
        rows = []
        for _ in range(times):
            self._number += 1
            own = f"key-{self._number}" if key == "-" else key
            at = None if age is None else ago(age)
            rows.append((self._number, own, path, request, status, at, user, tries))
        self.ledger.insert("t", COLUMNS, rows)


@pytest.fixture
def requests(ledger: Ledger) -> Requests:
    """An empty table of requests."""
    return Requests(ledger)


def run(requests: Requests, **fields: object) -> Result:
    declared = check("idempotency_requests", "t", primary_key="id", **fields)
    with set_clock():
        return declared.run(requests.ledger.sources, Window(zone=ZONE))


def problems(result: Result) -> list[tuple[object, object]]:
    """What is wrong, and with which path."""
    return [(each["problem"], each.get("path")) for each in keys(result)]


def test_requests_are_counted_by_status(requests: Requests) -> None:
    """All rows are counted, of whatever age; what is no declared status is another."""
    requests.add("completed", 600_000, times=3)
    requests.add("failed", times=2, tries=3)
    requests.add("processing", 90)
    requests.add("processing", 30, tries=None)
    requests.add("lost")
    requests.add(None)
    result = run(requests, retries="tries")
    assert (result.examined, result.violations, result.complete) == (9, 0, True)
    assert result.measures == {
        "retries": 6,
        "status.processing": 2,
        "status.completed": 3,
        "status.failed": 2,
        "status.other": 2,
        "oldest_processing_seconds": 90,
        "window.requests": 6,
        "window.failed": 2,
    }


def test_a_status_may_be_called_other(requests: Requests) -> None:
    """A declared status of that name is counted together with what is no declared one."""
    requests.add("completed", times=2)
    requests.add("other", times=3)
    requests.add("lost")
    statuses = ["processing", "completed", "failed", "other"]
    measures = run(requests, statuses=statuses).measures
    assert (measures["status.completed"], measures["status.other"]) == (2, 4)


def test_an_empty_table_says_zero(requests: Requests) -> None:
    """Each status is told as 0; nothing has an age."""
    result = run(requests, statuses=["open", "bad"], processing="open", failed="bad")
    assert result.measures == {
        "status.open": 0,
        "status.bad": 0,
        "status.other": 0,
        "window.requests": 0,
        "window.failed": 0,
    }


@on_any
@pytest.mark.parametrize(
    ("failed", "completed", "is_wrong"),
    [(5, 15, True), (4, 16, False), (19, 0, False), (20, 0, True), (4, 15, False)],
)
def test_too_many_failures_of_a_path_are_found(
    requests: Requests, failed: int, completed: int, *, is_wrong: bool
) -> None:
    """More than the share of at least so many requests, and not one less."""
    requests.add("failed", times=failed)
    requests.add("completed", times=completed)
    requests.add("completed", path=SELL, times=100)
    result = run(requests, most_failed="20%", minimum=20)
    assert problems(result) == ([("failures", DRAW)] if is_wrong else [])
    if (failed, completed) == (5, 15):
        assert messages(result) == [f"t: 5 of 20 requests of {DRAW} failed in 3600 s"]
        assert result.findings[0].evidence == {
            "requests": 20,
            "failed": 5,
            "most_failed": "20%",
            "window_seconds": 3600,
        }
        assert result.findings[0].magnitude == 25


def test_only_the_window_is_judged(requests: Requests) -> None:
    """Old requests, ones without a time, and ones of a far future do not count."""
    requests.add("failed", 3601, times=30)
    requests.add("failed", None, times=30)
    requests.add("failed", -3601, times=30)
    requests.add("completed", 3599, times=10)
    requests.add("failed", 0, times=10)
    result = run(requests, most_failed=0.5)
    assert (result.violations, result.measures["window.requests"]) == (0, 20)
    assert run(requests, most_failed=0.5, window="2h").violations == 1


@on_any
def test_numbers_in_paths_are_one_path(requests: Requests) -> None:
    """Ids and tokens of a path do not split it, and appear nowhere."""
    requests.add("failed", path="/api/v4/orders/17/pay?token=s3cret", times=10)
    requests.add("failed", path="/api/v4/orders/50f654f6-152f-4411-8bbd-59d68331fcd6/pay", times=10)
    requests.add("failed", path=None, times=20)
    result = run(requests)
    assert problems(result) == [("failures", "(none)"), ("failures", "/api/v4/orders/{id}/pay")]
    assert "s3cret" not in repr(result)


def test_slow_handlers_are_found_where_asked(requests: Requests) -> None:
    """Rows that are processed for too long, by path; not asked unless a limit is stated."""
    requests.add("processing", 61, times=2)
    requests.add("processing", 300)
    requests.add("processing", 59)
    requests.add("processing", None, path=SELL)
    requests.add("completed", 300, path=SELL)
    assert run(requests).violations == 0
    result = run(requests, processing_limit="60s")
    assert problems(result) == [("slow_handler", DRAW), ("slow_handler", SELL)]
    assert [each.evidence for each in result.findings] == [
        {"requests": 3, "oldest_seconds": 300, "processing_limit_seconds": 60},
        {"requests": 1, "oldest_seconds": None, "processing_limit_seconds": 60},
    ]
    assert messages(result)[0] == f"t: 3 requests of {DRAW} processing for over 60 s"


def test_a_key_of_two_requests_is_found(requests: Requests) -> None:
    """Rows of one key with another payload or path are two requests; the key is not shown."""
    requests.add("completed", key="secret-a", request="h1")
    requests.add("completed", key="secret-a", request="h2")
    requests.add("completed", key="secret-b", path=DRAW)
    requests.add("completed", key="secret-b", path=SELL)
    requests.add("failed", key="retried", times=3)
    requests.add("failed", key=None, request="h1")
    requests.add("failed", key=None, request="h2")
    result = run(requests)
    digests = [sha256(key.encode()).hexdigest()[:16] for key in ("secret-a", "secret-b")]
    assert keys(result) == [{"problem": "key_reuse", "key_sha256": each} for each in digests]
    assert messages(result)[0] == f"t: 2 rows of key {digests[0]}… are not one request"
    assert (result.violations, result.findings[0].evidence) == (2, {"rows": 2})
    assert "secret" not in repr(result)


def test_a_key_may_be_each_client_s_own(requests: Requests) -> None:
    """Within `scope` a key is one request's; two clients may use the same."""
    for user in (1, 2):
        requests.add("completed", key="k", request=f"h{user}", user=user)
    requests.add("completed", key="k", request="h3", user=2)
    assert run(requests).findings[0].evidence == {"rows": 3}
    digest = sha256(b"k").hexdigest()[:16]
    assert keys(run(requests, scope=["user_id"])) == [
        {"problem": "key_reuse", "key_sha256": digest, "user_id": 2}
    ]


@on_servers
def test_a_key_is_what_the_database_takes_for_one(requests: Requests) -> None:
    """Two spellings that the column's collation takes for one key are one, always named alike."""
    requests.ledger.sql(
        "ALTER TABLE t MODIFY idempotency_key varchar(100) COLLATE utf8mb4_unicode_ci"
    )
    for key, request in (("k", "h1"), ("K", "h2")):
        requests.add("completed", key=key, request=request)
    assert keys(run(requests))[0]["key_sha256"] == sha256(b"K").hexdigest()[:16]


@on_any
def test_the_sample_is_bounded_and_the_count_exact(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many keys the first are shown, and all are counted."""
    monkeypatch.setattr(idempotency_requests, "SAMPLE", 3)
    monkeypatch.setattr(snapshot, "SAMPLE", 3)
    for number in range(5):
        requests.add("completed", key=f"k{number}", request="h1")
        requests.add("completed", key=f"k{number}", request="h2")
    requests.add("failed", times=30)
    result = run(requests)
    assert (result.violations, len(result.findings)) == (6, 3)


@on_any
def test_paths_without_number_are_told_to_be_left_out(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More paths than are taken apart make a note; the most asked for are judged."""
    monkeypatch.setattr(idempotency_requests, "MOST_PATHS", 1)
    requests.add("failed", times=21)
    requests.add("failed", path=SELL, times=20)
    result = run(requests)
    assert problems(result) == [("failures", DRAW)]
    assert result.notes == ("over 1 different paths: the rest is not told by path",)


@on_servers
def test_timestamp_is_of_no_zone(ledger: Ledger) -> None:
    """A TIMESTAMP column is a moment, whatever zone DATETIME columns are in."""
    requests = Requests(ledger, "timestamp NULL")
    ledger.sql("SET time_zone = '+00:00'")
    requests.add("processing", None)
    at = (NOON - timedelta(seconds=75)).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    ledger.sql(f"UPDATE t SET created_at = '{at}'", "SET time_zone = DEFAULT")
    assert run(requests).measures["oldest_processing_seconds"] == 75


@pytest.mark.parametrize("type_name", ["bigint", "varchar(30)"])
def test_what_is_no_time_cannot_be_answered(ledger: Ledger, type_name: str) -> None:
    """A column of seconds or text is refused."""
    requests = Requests(ledger, type_name)
    with pytest.raises(CheckError, match=r"created_at is .*, and tells no time") as caught:
        run(requests)
    assert caught.value.permanent


@on_servers
def test_a_status_that_never_is_is_told(ledger: Ledger) -> None:
    """A status that the column's ENUM does not know is a complaint."""
    requests = Requests(ledger)
    ledger.sql("ALTER TABLE t MODIFY status enum('processing', 'done', 'failed')")
    declared = check("idempotency_requests", "t", primary_key="id")
    with requests.ledger.sources.snapshot("ledger") as connection:
        assert list(declared.complaints(connection)) == [
            "statuses: status is enum('processing','done','failed'), never 'completed'"
        ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"failed": "error"}, "failed: error is none of statuses"),
        ({"processing": "open"}, "processing: open is none of statuses"),
        ({"statuses": ["processing", "failed", "failed"]}, "a status stands twice"),
        ({"most_failed": "0%"}, "a share is above 0 and at most all"),
        ({"most_failed": "120%"}, "a share is above 0 and at most all"),
        ({"most_failed": True}, "a share is above 0 and at most all"),
        ({"minimum": 0}, "minimum"),
    ],
)
def test_fields_that_mean_nothing_are_refused(fields: dict[str, object], message: str) -> None:
    """Statuses are known and told once, and a share is a share."""
    with pytest.raises(ValidationError, match=message):
        check("idempotency_requests", "t", primary_key="id", **fields)


def test_the_statuses_are_rows_of_the_schema(requests: Requests) -> None:
    """A missing column is a permanent error."""
    with pytest.raises(CheckError, match="table t has no column digest") as caught:
        run(requests, hash="digest")
    assert caught.value.permanent

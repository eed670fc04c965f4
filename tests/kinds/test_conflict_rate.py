"""How often requests conflict, read from real log files."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from checks.contract import CheckError, Result
from checks.kinds.conflict_rate import exported
from checks.registry import any_check
from tests.support.applications import DRAW, Application
from tests.support.exported import traffic_of


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    return Application.writing(tmp_path / "access.log", monkeypatch)


def requests(result: Result) -> dict[tuple[str, str], float]:
    """The totals of each route."""
    return {route: seen.requests for route, seen in traffic_of(result).totals.items()}


def test_a_quiet_log_passes_and_its_requests_are_counted_once(app: Application) -> None:
    app.asked(50)
    app.asked(1, 409, "DUPLICATE_ENTRY")
    first = app.run()
    assert (first.violations, first.examined, requests(first)) == (0, 51, {(DRAW, "POST"): 51})
    assert traffic_of(first).totals[DRAW, "POST"].conflicts == {"DUPLICATE_ENTRY": 1}
    second = app.run()
    assert (second.examined, requests(second)) == (0, {(DRAW, "POST"): 51})


def test_the_newest_request_is_told_for_logs_that_fall_silent(app: Application) -> None:
    def newest() -> list[float]:
        found = (e for e in app.run().samples if e.family is exported.NEWEST)
        return [each.number for each in found]

    assert newest() == []
    app.asked(3)
    at = app.at.timestamp()
    for _ in range(3):
        assert newest() == [at]
        app.at += timedelta(hours=5)
        app.wrote('{"level":"info","text":"statement exported"}')


def test_an_empty_log_passes(app: Application) -> None:
    result = app.run()
    assert (result.violations, result.examined) == (0, 0)


def test_a_storm_comes_and_goes(app: Application) -> None:
    app.asked(200)
    assert app.problems() == []
    app.asked(30, 409, "REQUEST_PROCESSING", idempotency_key="again", client="one")
    (storm,) = app.run().findings
    assert storm.key["problem"] == "retry_storm"
    assert storm.magnitude == 30
    app.at += timedelta(minutes=4)
    assert app.problems() == ["retry_storm"]
    app.at += timedelta(minutes=4)
    assert app.problems() == []


def test_the_finding_of_a_storm_is_the_same_in_every_run_and_names_nobody(
    app: Application,
) -> None:
    keys = []
    for _ in range(3):
        app.asked(30, 409, idempotency_key="key-of-a-person", client="name-of-a-person")
        result = app.run()
        keys += [dict(finding.key) for finding in result.findings]
        told = f"{result.findings} {result.notes} {json.dumps(app.cursor)}"
        assert "of-a-person" not in told
    assert keys[0] == keys[1] == keys[2]
    assert len(str(keys[0]["key"])) == 12


def test_keys_are_shown_where_that_is_wanted(app: Application) -> None:
    app.check = {"identities": "plain"}
    app.asked(30, 409, idempotency_key="key-of-a-person")
    assert app.run().findings[0].key["key"] == "key-of-a-person"


def test_a_given_secret_makes_hashes_that_others_can_make(app: Application) -> None:
    secret = app.log.with_name("secret")
    secret.write_text("s3\n")
    app.check = {"hash_secret_file": str(secret)}
    app.asked(30, 409, idempotency_key="key-of-a-person")
    assert app.run().findings[0].key["key"] == "19776726d9c6"
    secret.unlink()
    with pytest.raises(CheckError, match=r"hash_secret_file .* cannot be read"):
        app.run()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("REQUEST_PROCESSING", "slow_handler"),
        ("CONCURRENT_CONFLICT", "plain_race"),
        ("IDEMPOTENCY_KEY_CONFLICT", "key_reuse"),
        (None, "conflicts"),
    ],
)
def test_many_conflicts_of_many_clients_are_told_by_their_codes(
    app: Application, code: str | None, problem: str
) -> None:
    app.asked(100)
    app.asked(40, 409, code)
    assert app.problems() == [problem]


OWN_CODES = {"key_reuse": ["KEY_USED_BEFORE", "KeyMismatch"], "plain_race": ["stock-gone"]}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("KEY_USED_BEFORE", "key_reuse"),
        ("KeyMismatch", "key_reuse"),
        ("stock-gone", "plain_race"),
        ("REPLAY_DETECTED", "replay"),
        ("DUPLICATE_ENTRY", "conflicts"),
        ("BUSY_HOUR", "conflicts"),
    ],
)
def test_an_application_has_codes_of_its_own(app: Application, code: str, problem: str) -> None:
    app.check = {"codes": OWN_CODES}
    app.asked(100)
    app.asked(40, 409, code)
    result = app.run()
    (found,) = result.findings
    assert found.key["problem"] == problem
    assert found.evidence[code] == 40
    assert f"most with {code}" in found.message
    assert traffic_of(result).totals[DRAW, "POST"].conflicts == {code: 40}
    assert {row.fields["codes"][code] for row in result.details} == {40}
    declared = {
        each.labels[-1]
        for each in result.samples
        if each.family is exported.CONFLICTS and not each.number
    }
    assert {"KEY_USED_BEFORE", "KeyMismatch", "stock-gone"} - {code} <= declared
    assert "IDEMPOTENCY_KEY_CONFLICT" not in declared


def test_reused_keys_are_told_by_codes_of_ones_own(app: Application) -> None:
    app.check = {"codes": OWN_CODES}
    app.asked(1000)
    app.asked(3, 422, "KEY_USED_BEFORE")
    app.asked(3, 409, "KeyMismatch")
    app.asked(9, 422, "IDEMPOTENCY_KEY_CONFLICT")
    assert app.problems() == ["key_reuse"]


def test_codes_that_nobody_declared_are_told_by_name_and_are_not_many(app: Application) -> None:
    app.asked(2000)
    for number in range(30):
        app.asked(1, 409, f"REASON_{chr(65 + number % 26)}{number // 26}")
    result = app.run()
    codes = traffic_of(result).totals[DRAW, "POST"].conflicts
    assert (len(codes), codes["REASON_A0"], codes["other"]) == (21, 1, 10)
    assert result.notes == ("over 20 codes that nobody declared: the rest of them is `other`",)
    app.asked(1, 409, "REASON_A0")
    app.asked(1, 409, "REASON_Z9")
    codes = traffic_of(app.run()).totals[DRAW, "POST"].conflicts
    assert (len(codes), codes["REASON_A0"], codes["other"]) == (21, 2, 11)


def test_reused_keys_are_told_by_422_too(app: Application) -> None:
    app.asked(1000)
    app.asked(25, 422, client="clumsy")  # a form that was filled in badly
    app.asked(4, 422, "IDEMPOTENCY_KEY_CONFLICT")
    assert app.problems() == []
    app.asked(1, 422, "IDEMPOTENCY_KEY_CONFLICT")
    assert app.problems() == ["key_reuse"]


def test_writes_without_key_and_undeclared_writes_are_told_where_interfaces_are(
    app: Application,
) -> None:
    app.asked(3, idempotency_key="")
    app.asked(3, path="/api/v4/gift", idempotency_key=None)
    app.asked(3, path="/api/v4/gift", method="GET")
    assert app.problems() == []
    app.check = {"interfaces": [{"method": "POST", "route": DRAW, "key": "required"}]}
    told = [(each.key["problem"], each.key["route"]) for each in app.run().findings]
    assert told == [("undeclared", "/api/v4/gift"), ("without_key", DRAW)]


def test_a_change_of_limits_or_routes_counts_nothing_twice(app: Application) -> None:
    app.asked(30)
    before = app.run()
    app.check = {"limit": "1%", "short": "10m", "routes": ["/api/v4/{what}/draw"]}
    app.asked(5)
    after = app.run()
    assert (sum(requests(before).values()), sum(requests(after).values())) == (30, 35)


def test_a_log_whose_fields_are_named_otherwise_cannot_be_told_and_loses_nothing(
    app: Application,
) -> None:
    with app.log.open("ab") as log:
        log.writelines(
            orjson.dumps({"verb": "GET", "url": "/a", "answer": 409, "t": app.at.isoformat()})
            + b"\n"
            for _ in range(100)
        )
    for _ in range(2):
        with pytest.raises(CheckError) as refused:
            app.run()
        assert str(refused.value) == (
            "none of the latest 100 lines of app is a request: 100 without a method, path and"
            " status where it has them. Does line_format fit? Lines that a container engine or a"
            " collector wraps need line_format.wrapped"
        )
    app.check = {"routes": ["/a"]}
    fields = {"method": "verb", "path": "url", "status": "answer", "time": "t"}
    app.settings = {"line_format": {"fields": fields}}
    assert requests(app.run()) == {("/a", "GET"): 100}


def test_what_is_behind_is_said_and_judged_as_of_where_reading_is(app: Application) -> None:
    app.settings = {"time_limit": timedelta(microseconds=1)}
    app.at -= timedelta(hours=3)
    app.asked(60, 409, "REQUEST_PROCESSING", idempotency_key="again")
    app.asked(14_000)
    app.at += timedelta(hours=3)
    first = app.run()
    behind = traffic_of(first).behind_bytes
    assert behind
    assert f"{behind} bytes of the log are not yet read" in first.notes
    assert [each.key["problem"] for each in first.findings] == ["retry_storm"]
    while traffic_of(last := app.run()).behind_bytes:
        pass
    assert requests(last) == {(DRAW, "POST"): 14_060}
    # The end of it was old, too; from the next run on it is now.
    assert app.problems() == []


@pytest.mark.parametrize("what", ["nothing", "folder", "fifo"])
def test_what_is_no_log_cannot_be_told(app: Application, what: str) -> None:
    app.log.unlink()
    if what == "folder":
        app.log.mkdir()
    if what == "fifo":
        os.mkfifo(app.log)
    with pytest.raises(CheckError, match="access log app"):
        app.run()


def test_hostile_lines_become_no_route_and_no_method(app: Application) -> None:
    hostile = [
        '/"} 1\n# HELP',
        "/" + "x" * 5000,
        "/../../etc/passwd",
        "/\u202e",
        "//evil.example/a",
    ]
    for path in hostile:
        app.asked(1, path=path, method="G" * 1000)
        app.asked(1, path=path, method="GET")
        app.asked(1, 404, path=path)
    assert requests(app.run()) == {("other", name): 5 for name in ("OTHER", "GET", "POST")}


def test_hundreds_of_routes_are_a_hundred(app: Application) -> None:
    for number in range(300):
        name = "".join(chr(97 + int(digit)) for digit in str(number))
        app.asked(1, path=f"/{name}{'/x' * (number % 40)}")
    totals = requests(app.run())
    assert len(totals) <= 101
    assert sum(totals.values()) == 300


def test_names_of_users_are_no_routes(app: Application) -> None:
    for number in range(50):
        name = "".join(chr(97 + int(digit)) for digit in str(number))
        app.asked(2, path=f"/users/{name}/orders")
    app.asked(1, path="/vouchers/XKQWPLMZRT/redeem")
    totals = requests(app.run())
    assert len(totals) == 10
    assert totals["/users/{id}/orders", "POST"] == 84
    assert totals["/vouchers/{id}/redeem", "POST"] == 1


def test_interfaces_that_differ_in_the_names_of_placeholders_are_one_route(
    app: Application,
) -> None:
    required = {"key": "required"}
    app.check = {
        "interfaces": [
            {"method": "POST", "route": "/orders/{id}", **required},
            {"method": "DELETE", "route": "/orders/{order_id}", **required},
        ]
    }
    app.asked(1, path="/orders/7", method="DELETE", idempotency_key="")
    app.asked(9, 404, path="/orders/7", method="PUT")  # a stranger's, that nothing answers
    told = [(each.key["problem"], each.key["method"]) for each in app.run().findings]
    assert told == [("without_key", "DELETE")]


def test_lines_that_come_late_are_judged_as_of_their_own_time_and_said_to_be_late(
    app: Application,
) -> None:
    app.asked(200)
    app.run()
    app.at -= timedelta(hours=8)  # a log in another zone than the configuration says
    app.asked(200)
    app.asked(40, 409, idempotency_key="again")
    app.at += timedelta(hours=8)
    result = app.run()
    assert [each.key["problem"] for each in result.findings] == ["retry_storm"]
    assert result.notes == ("the newest line is 28800 s old as it is read: is timezone right?",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"long": "9m"}, "long is less than twice as long as short"),
        ({"short": "4s"}, "short is less than 5s"),
        ({"long": "2d"}, "long is over 1d"),
        ({"routes": ["orders/{id"]}, "a route begins with /"),
        ({"limit": "0%"}, "a share is above 0"),
        ({"queries": {"requests": "up", "conflicts": "up"}}, "lacks {window}"),
        ({"table": "orders!"}, "table"),
        ({"codes": {"replay": ["A"], "plain_race": ["A"]}}, "A stands for more than one problem"),
        ({"codes": {"weather": ["A"]}}, "codes"),
        ({"prometheus": "main"}, "queries says what prometheus is asked, and is missing"),
        ({"codes": {"replay": ["a b"]}}, "codes"),
        ({"source": None}, "source"),
    ],
)
def test_a_check_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    given = {"kind": "conflict_rate", "name": "c", "source": "app", **settings}
    with pytest.raises(ValidationError, match=message):
        any_check.validate_python(given)

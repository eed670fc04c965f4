"""The JSON API: the same facts as the pages, by names that stay."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import CHECKOUT, states
from tests.support.site import (
    HOSTILE,
    KEYS,
    ROWS,
    TRAFFIC,
    USERS,
    Site,
    found,
    hostile,
    serving,
    traffic,
    whole,
)
from worker.model.run import Run
from worker.status import AlertmanagerStatus, ShownFinding
from worker.status.as_json import finding_as_json, run_as_json
from worker.web import api


def answer(site: Site, path: str) -> Any:
    got = site.get(f"/api/v1/{path}")
    assert got.status_code == 200
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "no-store"
    return json.loads(got.text)


def test_status(site: Site) -> None:
    """The verdict, with the numbers behind it, and what the worker reaches."""
    site.see(KEYS, found(1))
    site.fail(ROWS)
    told = answer(site, "status")
    assert told["status"] == "fail"
    assert told["verdict"] == (
        "1 check sees violations: 1 critical; 1 cannot tell; 1 has not run yet"
    )
    assert told["checks"] == {
        "total": 3,
        "fail": 1,
        "error": 1,
        "late": 0,
        "waiting": 1,
        "pass": 0,
    }
    assert told["findings"] == {"confirmed": 1, "open": 0, "acknowledged": 0}
    (database,) = told["databases"]
    assert (database["reachable"], database["may_write"]) == (True, False)
    assert told["state"] == {"kept": True, "error": None}
    assert told["alertmanagers"] == []


def test_checks_have_the_names_of_the_command_line(site: Site) -> None:
    """Where `check --format json` has a field, this one has it, with the same value."""
    site.see(KEYS, found(1))
    run: Run = site.known.latest["orders.key"]
    (each, other, _) = answer(site, "checks")["checks"]
    expected = run_as_json(run)
    del expected["findings"]
    assert {name: each[name] for name in expected} == expected
    assert (other["status"], other["outcome"], other["violations"]) == ("waiting", None, None)


def test_check(site: Site) -> None:
    """A check has its findings as the command line lists them, masked, and its runs."""
    site.fail(KEYS)
    site.see(KEYS, found(1, "ABC"), violations=3)
    told = answer(site, "checks/orders.key")
    (stored,) = states.rows(site.url).values()
    (finding,) = told["findings"]
    assert finding | {"key": 0, "message": 0} == finding_as_json(ShownFinding.of(stored, KEYS)) | {
        "key": 0,
        "message": 0,
    }
    assert finding["key"] == {"id": 1, "k": "ABC", "user_id": site.known.mask.value(4711)}
    assert (told["listed"], told["not_listed"]) == (1, 2)
    assert [each["outcome"] for each in told["runs"]] == ["fail", "error"]
    assert told["fields"] == {"primary_key": "id", "columns": ["k"]}
    assert told["look"].startswith("SELECT")
    assert told["alert"] == "ReconcilerDuplicates"


def test_findings_by_page(site: Site) -> None:
    """The worst severity comes first; pages cover all findings once; filters narrow."""
    site.see(KEYS, *(found(number) for number in range(30)))
    site.see(ROWS, *(found(number) for number in range(30, 70)))
    site.see(USERS, *(found(number) for number in range(70, 80)), violations=12)
    got: list[Any] = []
    while part := answer(site, f"findings?limit=7&offset={len(got)}")["findings"]:
        got += part
    assert [each["check"] for each in got] == (
        ["orders.key"] * 30 + ["orders.rows"] * 40 + ["users.rows"] * 10
    )
    assert {each["key"]["id"] for each in got} == set(range(80))
    assert answer(site, "findings")["total"] == 80
    assert answer(site, "findings")["not_listed"] == {"users.rows": 2}
    assert answer(site, "findings?check=orders.*&check=users.rows")["total"] == 80
    assert answer(site, "findings?severity=critical")["total"] == 30
    assert answer(site, "findings?state=resolved")["total"] == 0
    site.see(ROWS)
    assert answer(site, "findings?state=resolved&state=confirmed&check=orders.rows")["total"] == 40


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("state=closed", "state: closed is none of open, confirmed, acknowledged, resolved"),
        ("severity=", "severity:  is none of"),
        (
            "check=order.key",
            "check: no check is named order.key; the nearest existing name is orders.key",
        ),
        ("limit=0", "limit: 0 is no whole number from 1 to 1000"),
        ("limit=1001", "limit: 1001 is no whole number"),
        ("limit=1e3", "limit: 1e3 is no whole number"),
        ("limit=%D9%A1", "limit: \u0661 is no whole number"),
        ("offset=-1", "offset: -1 is no whole number"),
        ("offset=" + "9" * 5000, "offset: 999"),
        ("stat=open", "stat: no such parameter; the nearest existing name is state"),
    ],
)
def test_bad_parameters(site: Site, query: str, error: str) -> None:
    """A parameter that cannot be taken is named, with what is wrong about it."""
    got = site.get(f"/api/v1/findings?{query}")
    assert got.status_code == 400
    assert got.json()["error"].startswith(error)


@pytest.mark.parametrize("path", ["checks/nothing", "nothing", "", "status/", "checks/a%2fb"])
def test_unknown(site: Site, path: str) -> None:
    """An unknown name or address is 404, as JSON, too."""
    got = site.get(f"/api/v1/{path}")
    assert got.status_code == 404
    assert list(got.json()) == ["error"]


def test_hostile_rows(site: Site) -> None:
    """Whatever stands in rows comes out as valid JSON, whole, and no browser takes it for HTML."""
    site.see(KEYS, *(hostile(number, each) for number, each in enumerate(HOSTILE)))
    site.fail(ROWS, whole("".join(HOSTILE)))
    got = site.get("/api/v1/findings")
    assert got.headers["x-content-type-options"] == "nosniff"
    told = {each["key"]["id"]: each["message"] for each in got.json()["findings"]}
    assert told == {number: whole(each) for number, each in enumerate(HOSTILE)}
    assert "checks" in answer(site, "checks")


def test_traffic(tmp_path: Path) -> None:
    """The latest conflicts, by window, route and code."""
    with serving(tmp_path, (TRAFFIC,)) as site:
        site.take(TRAFFIC, traffic())
        first, *_ = answer(site, "checks/app.conflicts")["traffic"]
    assert first == {
        "window": "short",
        "route": "/orders/{id}",
        "method": "POST",
        "requests": 200,
        "conflicts": 32,
        "ratio": 0.16,
        "codes": {"REQUEST_PROCESSING": 30, "other": 2},
    }


def test_only_reading(site: Site) -> None:
    """Nothing can be changed."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert site._client.request(method, "/api/v1/findings").status_code == 405
    assert api.USUAL <= api.MOST


DOCS = CHECKOUT / "docs" / "reference" / "status-page.md"
FREE = {"key", "evidence", "fields", "measures", "codes", "not_listed"}
"""Fields below which names come from the configuration or the database."""


def names(content: Any) -> set[str]:
    """Every name of a field in it."""
    if isinstance(content, list):
        return set().union(*map(names, content))
    if not isinstance(content, dict):
        return set()
    below = (names(value) for name, value in content.items() if name not in FREE)
    return set(content).union(*below)


def test_every_field_is_documented(tmp_path: Path) -> None:
    """Each name that any answer has is on the page about it, in code type."""
    documented = set(re.findall(r"`([a-z_]+)`", DOCS.read_text(encoding="utf-8")))
    with serving(tmp_path, (KEYS, TRAFFIC)) as site:
        site.see(KEYS, found(1))
        states.acknowledge(site.url, 1)
        site.see(KEYS, found(1))
        site.take(TRAFFIC, traffic())
        site.change(alertmanagers=(AlertmanagerStatus("am", 1, 1.0),))
        for path in (
            *("status", "checks", "checks/orders.key", "checks/app.conflicts", "findings"),
        ):
            assert names(answer(site, path)) - documented == set(), path

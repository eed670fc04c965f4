"""JSON for programs, under `/api/v1/`: the names mean what they mean on the command line."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any, TypeVar

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from checks.contract import Check
from checks.sql.catalog import nearest
from checks.types import Severity
from worker import status
from worker.model.finding import FindingState
from worker.model.run import StoredRun
from worker.state import State, queries, runs
from worker.state.queries import UNRESOLVED
from worker.status import CheckStatus, Detail, Known, Status
from worker.status.as_json import finding_as_json, utc
from worker.text.encode import dump
from worker.text.fields import fields
from worker.text.wildcards import LONGEST, matches
from worker.web.server import Page

Json = dict[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)

MOST, USUAL = 1000, 100
"""Findings of one answer: the most, and as many as there are when nobody says how many."""

MOST_PARAMETERS = 100
"""Parameters of one request, repeated ones counted."""

_NUMBER = re.compile("[0-9]{1,18}")
_PARAMETERS = ("check", "state", "severity", "limit", "offset")


class Api:
    """What is known, as JSON."""

    def __init__(self, known: Callable[[], Known], state: State) -> None:
        self._known, self._state = known, state

    @property
    def pages(self) -> Mapping[str, Page]:
        """Every address, with what is answered there."""
        return {
            "/api/v1/status": lambda _request: _answer(self._status()),
            "/api/v1/checks": lambda _request: _answer(self._checks()),
            "/api/v1/checks/{name}": self._check,
            "/api/v1/findings": self._findings,
            "/api/{rest:path}": self._unknown,
        }

    def _status(self) -> Json:
        overview = status.overview(self._known(), self._state)
        known, numbers, counts = overview.known, overview.numbers, overview.counts
        return {
            "status": overview.status,
            "verdict": overview.verdict,
            "at": overview.at.isoformat(),
            "version": version("reconciler"),
            "checks": {
                "total": len(overview.checks),
                **{each.value: numbers.get(each, 0) for each in Status},
            },
            "findings": {each.value: counts.get(each, 0) for each in UNRESOLVED},
            "databases": [_database(each) for each in known.databases],
            "state": {"kept": overview.state_failure is None, "error": overview.state_failure},
            "alertmanagers": [
                {
                    "name": each.name,
                    "pending": each.pending,
                    "pending_seconds": round(each.pending_seconds, 3),
                }
                for each in known.alertmanagers
            ],
            "paused": [
                {"reason": each.reason, "why": each.why, "seconds": round(each.seconds, 3)}
                for each in known.pauses
            ],
            "complaint": known.complaint,
        }

    def _checks(self) -> Json:
        overview = status.overview(self._known(), self._state)
        return {"at": overview.at.isoformat(), "checks": [_summary(c) for c in overview.checks]}

    def _check(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = status.detail(self._known(), self._state, name, USUAL)
        if found is None:
            return _refused(404, f"no check is named {name}")
        return _answer(_detail(found))

    def _findings(self, request: Request) -> Response:
        known = self._known()
        try:
            wanted = _Wanted.of(request.query_params.multi_items(), known.checks)
        except ValueError as error:
            return _refused(400, str(error))
        return _answer(self._state.read(lambda memory: _page(memory, known, wanted)))

    def _unknown(self, _request: Request) -> Response:
        return _refused(
            404, "nothing is at this address; the addresses are in docs/reference/status-page.md"
        )


class _Wanted:
    """Which findings are asked for."""

    def __init__(self) -> None:
        self.checks: list[str] = []
        self.states: list[FindingState] = []
        self.severities: list[Severity] = []
        self.limit, self.offset = USUAL, 0

    @classmethod
    def of(cls, given: Iterable[tuple[str, str]], checks: Sequence[Check]) -> "_Wanted":
        """Raises ValueError, which names the parameter."""
        wanted, known = cls(), [each.name for each in checks]
        for number, (name, value) in enumerate(given):
            if number >= MOST_PARAMETERS:
                raise ValueError(f"more than {MOST_PARAMETERS} parameters")
            match name:
                case "check":
                    if len(value) > LONGEST:
                        raise ValueError(f"{name}: longer than {LONGEST} characters")
                    if not any(matches(each, value) for each in known):
                        hint = nearest(value, known)
                        raise ValueError(f"check: no check is named {value}{hint}")
                    wanted.checks.append(value)
                case "state":
                    wanted.states.append(_choice(name, value, FindingState))
                case "severity":
                    wanted.severities.append(_choice(name, value, Severity))
                case "limit":
                    wanted.limit = _number(name, value, 1, MOST)
                case "offset":
                    wanted.offset = _number(name, value, 0, 10**9)
                case _:
                    hint = nearest(name[:LONGEST], _PARAMETERS)
                    raise ValueError(f"{name}: no such parameter{hint}")
        return wanted

    def takes(self, name: str, severity: Severity | None) -> bool:
        """Whether findings of this check are among them."""
        named = not self.checks or any(matches(name, each) for each in self.checks)
        return named and (not self.severities or severity in self.severities)


def _page(memory: Connection, known: Known, wanted: _Wanted) -> Json:
    states = wanted.states or list(UNRESOLVED)
    severities = {each.name: each.severity for each in known.checks}
    order = [*Severity, None]
    numbers = sorted(
        (
            (name, number)
            for name, number in queries.listed(memory, states).items()
            if wanted.takes(name, severities.get(name))
        ),
        key=lambda each: (order.index(severities.get(each[0])), each[0]),
    )
    found = queries.page_of(memory, numbers, states, wanted.limit, wanted.offset)
    unlisted = runs.unlisted(memory)
    return {
        "findings": [finding_as_json(each) for each in status.shown(known, found)],
        "total": sum(number for _, number in numbers),
        "limit": wanted.limit,
        "offset": wanted.offset,
        "not_listed": {name: unlisted[name] for name, _ in numbers if unlisted.get(name)},
    }


def _choice(name: str, value: str, kind: type[Choice]) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}: {value} is none of {', '.join(kind)}") from None


def _number(name: str, value: str, least: int, most: int) -> int:
    number = int(value) if _NUMBER.fullmatch(value) else -1
    if not least <= number <= most:
        raise ValueError(f"{name}: {value} is no whole number from {least} to {most}")
    return number


def _database(each: status.DatabaseStatus) -> Json:
    known = each.identity
    return {
        "name": each.name,
        "environment": each.environment,
        "reachable": None if known is None and each.error is None else each.error is None,
        "error": each.error,
        "busy": list(each.busy),
        "server": known and f"{known.server} {known.version}",
        "host": known and known.host,
        "port": known and known.port,
        "schema": known and known.schema,
        "user": known and known.user,
        "may_write": known and bool(known.writable),
        "privileges_beyond_reading": list(known.writable) if known else [],
    }


def _summary(each: CheckStatus) -> Json:
    check, run, latest = each.check, each.run, each.latest
    result = latest and latest.result
    return {
        "name": check.name,
        "kind": check.kind,
        "source": check.source_name,
        "database": check.database,
        "table": check.table,
        "severity": check.severity,
        "status": each.status,
        "outcome": run and run.outcome,
        "scope": run and run.scope,
        "examined": run and run.examined,
        "estimated": result and result.estimated,
        "excluded": dict(result.excluded) if result else {},
        "leaves_out": [*check.excluded, *check.leaves_out],
        "violations": run and run.violations,
        "seconds": round(run.seconds, 4) if run else None,
        "error": run and run.error,
        "permanent": latest and latest.permanent,
        "measures": dict(result.measures) if result else {},
        "notes": list(result.notes) if result else [],
        "counts": {state.value: each.counts.get(state, 0) for state in UNRESOLVED},
        "started_at": run and utc(run.started_at),
        "answered_at": _moment(each.answered_at),
        "next_run": _moment(each.next_run),
        "interval_seconds": each.interval.total_seconds(),
        "alert": check.card.alert.name,
    }


def _detail(found: Detail) -> Json:
    return {
        **_summary(found.summary),
        "at": found.at.isoformat(),
        "rule": found.summary.check.rule,
        "fields": dict(fields(found.summary.check)),
        "look": found.look,
        "findings": [finding_as_json(each) for each in found.findings],
        "listed": found.listed,
        "not_listed": found.unlisted,
        "resolved": [finding_as_json(each) for each in found.resolved],
        "runs": [_run(each) for each in found.runs],
        "traffic": [dict(each.fields) for each in found.details],
    }


def _run(run: StoredRun) -> Json:
    return {
        "started_at": utc(run.started_at),
        "seconds": round(run.seconds, 4),
        "outcome": run.outcome,
        "scope": run.scope,
        "examined": run.examined,
        "violations": run.violations,
        "error": run.error,
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _answer(content: Collection[Any], code: int = 200) -> Response:
    return Response(dump(content) + "\n", code, media_type="application/json")


def _refused(code: int, error: str) -> Response:
    return _answer({"error": error}, code)

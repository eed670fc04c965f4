"""A Prometheus server, asked over its HTTP API."""

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from checks.contract import CheckError, RunStopped
from checks.ports import Answer
from worker.client.credentials import credentials, tls
from worker.client.exchange import Exchange, Reply
from worker.config import PrometheusSettings

MOST_SERIES = 10_000
"""Series of an answer. More of them are an error."""

LONGEST_TEXT = 300
"""Characters of the server's own words that are repeated."""

MOST_NOTES = 10

Series = tuple[Mapping[str, str], float]

FORM = "application/x-www-form-urlencoded"
_OK = 200
_PASSING = {408, 425, 429}
"""Refusals of a request that may be granted later as it is."""
_MEANING = {
    400: "cannot evaluate the expression",
    401: "refuses the credentials",
    403: "does not let these credentials ask",
    404: "has no Prometheus API at this URL",
    422: "cannot evaluate the expression",
    429: "is asked too often",
}
_ABOUT_EXPRESSIONS = {"bad_data", "execution"}


class Prometheus:
    """See `checks.ports.Prometheus`. Each query reads credentials and certificates anew."""

    def __init__(self, name: str, settings: PrometheusSettings) -> None:
        self.name = name
        self._settings = settings
        self._active: set[Exchange] = set()
        self._lock = threading.Lock()
        self._closing = False

    def query(self, promql: str, at: datetime | None = None) -> Answer:
        """See `checks.ports.Prometheus`. `at` carries its zone."""
        limit = self._settings.time_limit.total_seconds()
        form = {"query": promql, "timeout": f"{limit:g}"}
        if at:
            form["time"] = f"{at.timestamp():.3f}"
        try:
            with self._exchange(form) as exchange:
                return _answer(exchange.reply(limit))
        except RunStopped:
            raise
        except CheckError as error:
            message = f"prometheus {self.name}: {error}"
            raise CheckError(message, permanent=error.permanent) from None

    def close(self) -> None:
        """Stop what is running, and ask nothing more."""
        with self._lock:
            self._closing = True
            active = list(self._active)
        for each in active:
            each.end(_stopping())

    @contextmanager
    def _exchange(self, form: Mapping[str, str]) -> Iterator[Exchange]:
        url = self._settings.url.rstrip("/") + "/api/v1/query"
        headers = credentials(self._settings) | {"Content-Type": FORM}
        exchange = Exchange(url, urlencode(form).encode(), headers, tls(self._settings))
        with self._lock:
            if self._closing:
                raise _stopping()
            self._active.add(exchange)
        try:
            yield exchange
        finally:
            with self._lock:
                self._active.discard(exchange)


def _stopping() -> RunStopped:
    return RunStopped("the worker is stopping")


# --- What comes back ------------------------------------------------------------------------------


def _answer(reply: Reply) -> Answer:
    document = _document(reply.body)
    if reply.status != _OK or document.get("status") == "error":
        raise _refusal(reply.status, document)
    if document.get("status") != "success":
        raise CheckError("its answer is not that of a Prometheus")
    everything = _series(document.get("data"))
    if len(everything) > MOST_SERIES:
        message = f"{len(everything)} series are more than {MOST_SERIES}: sum by fewer labels"
        raise CheckError(message, permanent=True)
    series = tuple(each for each in everything if math.isfinite(each[1]))
    left_out = len(everything) - len(series)
    notes = [f"{left_out} series are NaN or infinite and left out"] if left_out else []
    return Answer(series, (*notes, *_remarks(document)))


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(status: int, document: Mapping[str, Any]) -> CheckError:
    """Why there is no answer; only what has the form of Prometheus's own errors is repeated."""
    sort, text = document.get("errorType"), document.get("error")
    own = isinstance(sort, str) and isinstance(text, str)
    told = f": {sort}: {text}"[:LONGEST_TEXT] if own else ""
    if status == _OK:
        return CheckError(f"cannot answer{told}", permanent=sort in _ABOUT_EXPRESSIONS)
    if 300 <= status < 400:  # noqa: PLR2004
        meaning = "answers by a redirect, which is not followed"
    else:
        meaning = _MEANING.get(status, "does not answer the question")
    permanent = 300 <= status < 500 and status not in _PASSING  # noqa: PLR2004
    return CheckError(f"{meaning} (status {status}){told}", permanent=permanent)


def _series(data: Any) -> list[Series]:
    match data:
        case {"resultType": "vector", "result": list(result)}:
            return [_one(each) for each in result]
        case {"resultType": "scalar", "result": [_, str(value)]}:
            return [({}, _number(value))]
        case {"resultType": "matrix" | "string" | "streams" as sort}:
            raise CheckError(f"the expression gives a {sort}, not a vector", permanent=True)
    raise CheckError("its answer is not that of a Prometheus")


def _one(sample: Any) -> Series:
    match sample:
        case {"metric": dict(labels), "value": [_, str(value)]}:
            return {str(name): str(label) for name, label in labels.items()}, _number(value)
        case {"histogram": _}:
            raise CheckError("the expression gives histograms, not numbers", permanent=True)
    raise CheckError("its answer is not that of a Prometheus")


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise CheckError("its answer is not that of a Prometheus") from None


def _remarks(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The server's warnings and hints."""
    listed = (document.get("warnings"), document.get("infos"))
    every = [each for some in listed if isinstance(some, list) for each in some]
    return tuple(str(each)[:LONGEST_TEXT] for each in every[:MOST_NOTES])

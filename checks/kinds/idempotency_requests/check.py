"""`idempotency_requests`: what the table of idempotent requests shows of the application."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, select

from checks.card import Card, Family, Sample, Words
from checks.contract import EVERYTHING, SAMPLE, Finding, Result, Window
from checks.http_log.routes import template
from checks.kinds.idempotency_requests.inspection import NO_PATH, SHOWN_DIGEST, RequestTable, look
from checks.ports import Sources
from checks.snapshot import DatabaseCheck, Snapshot
from checks.sql import catalog
from checks.sql.functions import one_of, shown
from checks.sql.inspection import Keys
from checks.sql.statements import counted
from checks.sql.timestamps import TimeColumn
from checks.sql.values import scalar
from checks.types import Duration, Identifier, PrimaryKey, Ratio, Slug, duration_text, key_columns

MOST_PATHS = 50_000
"""Different paths that one question takes apart; the rest, the least asked for, is left out."""

Row = ColumnElement[Any]

REQUESTS = Family(
    name="reconciler_idempotency_requests",
    type="gauge",
    help="Stored requests by status at the latest count.",
    labels=("status",),
    meaning="rows of the table of requests by status, from `idempotency_requests`",
)


@dataclass(slots=True)
class _Seen:
    """What a run reads, and what it has seen so far."""

    snapshot: Snapshot
    rows: FromClause
    findings: list[Finding] = field(default_factory=list)
    measures: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class IdempotencyRequests(DatabaseCheck):
    """Whether handlers of idempotent requests end, mostly well, and no key means two requests.

    Conflicts leave no row in the table: `conflict_rate` sees them.
    """

    card: ClassVar[Card] = Card(
        violation="a path with slow handlers or too many failures; a key of two requests",
        title=Words(en="idempotent requests", zh="幂等请求"),
        families=(REQUESTS,),
    )

    kind: Literal["idempotency_requests"] = "idempotency_requests"
    primary_key: PrimaryKey | None = None
    key: Identifier = "idempotency_key"
    scope: tuple[Identifier, ...] = ()
    """Columns within which a key is one client's own, such as `user_id`; keys are everybody's
    unless stated."""
    path: Identifier = "api_path"
    hash: Identifier = "request_hash"
    status: Identifier = "status"
    written_at: TimeColumn = TimeColumn("created_at")
    """When a request came in."""
    retries: Identifier | None = None
    """The column that counts how often a request was tried again."""
    statuses: tuple[Slug, ...] = ("processing", "completed", "failed")
    processing: Slug = "processing"
    failed: Slug = "failed"
    window: Duration = timedelta(hours=1)
    """The latest requests, of which the share of failed ones is told."""
    minimum: int = Field(default=20, ge=1)
    """Requests of a path in the window, below which their share tells nothing."""
    most_failed: Ratio = 0.2
    """The highest share of failed requests."""
    processing_limit: Duration | None = None
    """The longest that a request may be processed; only measured unless stated."""

    @model_validator(mode="after")
    def _knows_its_statuses(self) -> Self:
        if len(set(self.statuses)) < len(self.statuses):
            raise ValueError("a status stands twice in statuses")
        for name in ("processing", "failed"):
            if getattr(self, name) not in self.statuses:
                raise ValueError(f"{name}: {getattr(self, name)} is none of statuses")
        return self

    @property
    def rule(self) -> str | None:
        """The highest share of failed requests."""
        minutes = self.window.total_seconds() / 60
        return f"{self.most_failed:.4g} of a path's requests in {minutes:g} min failed at most"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Paths with few requests, and what is not asked."""
        span = duration_text(self.window)
        found = [
            f"failures of a path with fewer than {self.minimum} requests in {span}",
            "keys that are NULL",
            "requests refused with 409: they leave no row, and `conflict_rate` counts them",
        ]
        if self.processing_limit is None:
            found.append("how long requests are processed: no `processing_limit` is declared")
        return tuple(found)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that the table is read by."""
        own = (self.key, self.path, self.hash, self.status, self.written_at)
        more = filter(None, (self.retries,))
        return {
            self.table: tuple(
                dict.fromkeys((*key_columns(self.primary_key), *own, *self.scope, *more))
            )
        }

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A column that holds no time, and statuses that no row ever has."""
        yield from super().complaints(connection)
        described = catalog.columns(connection, self.table)[self.status]
        for status in self.statuses if described.members else ():
            if not described.may_be(status):
                yield f"statuses: {self.status} is {described.type}, never {status!r}"

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """A column that holds no time."""
        if complaint := snapshot.time_complaint(self.table, self.written_at):
            yield complaint

    def look(self, keys: Keys = ()) -> str | None:
        """The requests of some paths or of reused keys; without keys how many there are."""
        return look(self._requests, keys)

    @property
    def _requests(self) -> RequestTable:
        return RequestTable(
            table=self.table,
            primary_key=key_columns(self.primary_key),
            key=self.key,
            scope=self.scope,
            path=self.path,
            hash=self.hash,
            status=self.status,
            written_at=self.written_at,
            failed=self.failed,
            processing=self.processing,
            relations=self.relations,
        )

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Look at the whole table: it holds some days' requests."""
        with self.snapshot(sources, window) as snapshot:
            _ = snapshot.now  # before the rows are read
            seen = _Seen(snapshot, self.rows_of(self.table, self.needs[self.table]))
            examined = self._count(seen)
            self._judge_processing(seen)
            self._judge_window(seen)
            further = self._find_reuse(seen)
        return Result(
            examined,
            len(seen.findings) + further,
            tuple(seen.findings[:SAMPLE]),
            seen.measures,
            tuple(seen.notes),
            samples=tuple(seen.samples),
        )

    def _count(self, seen: _Seen) -> int:
        """Rows by status, and retries; the rows in all."""
        column = seen.rows.c[self.status]
        columns: list[Row] = [func.count(), *(counted(column == s, s) for s in self.statuses)]
        if self.retries:
            columns.append(func.coalesce(func.sum(seen.rows.c[self.retries]), 0))
        total, *counts = seen.snapshot.connection.execute(select(*columns)).one()
        if self.retries:
            seen.measures["retries"] = int(counts.pop())
        named = dict(zip(self.statuses, map(int, counts), strict=True))
        named["other"] = named.get("other", 0) + int(total) - sum(named.values())
        seen.measures |= {f"status.{status}": count for status, count in named.items()}
        seen.samples = [Sample(REQUESTS, (status,), count) for status, count in named.items()]
        return int(total)

    def _judge_processing(self, seen: _Seen) -> None:
        time: Row = seen.rows.c[self.written_at]
        passing = seen.rows.c[self.status] == self.processing
        oldest = seen.snapshot.connection.scalar(select(func.min(time)).where(passing))
        if (seconds := self._age(oldest, seen)) is not None:
            seen.measures["oldest_processing_seconds"] = max(seconds, 0)
        if self.processing_limit is None:
            return
        late = seen.snapshot.longer_ago(
            seen.rows, self.table, self.written_at, self.processing_limit
        )
        counts = (func.count(), func.count(), func.min(time))
        for path, (number, _, first) in self._by_path(and_(passing, late), counts, seen):
            seen.findings.append(self._slow(path, number, self._age(first, seen)))

    def _slow(self, path: str, number: int, seconds: int | None) -> Finding:
        limit = int((self.processing_limit or timedelta()).total_seconds())
        return Finding(
            {"problem": "slow_handler", "path": path},
            f"{self.table}: {number} requests of {path} {self.processing} for over {limit} s",
            {"requests": number, "oldest_seconds": seconds, "processing_limit_seconds": limit},
            number,
        )

    def _judge_window(self, seen: _Seen) -> None:
        time: Row = seen.rows.c[self.written_at]
        # A request that claims to come from a far future would stay in the window for ever.
        recent = seen.snapshot.is_recent(seen.rows, self.table, self.written_at, self.window)
        failed = counted(seen.rows.c[self.status] == self.failed, "failed")
        totals = [0, 0]
        for path, (number, bad, _) in self._by_path(
            recent, (func.count(), failed, func.min(time)), seen
        ):
            totals = [totals[0] + number, totals[1] + bad]
            if number >= self.minimum and bad > self.most_failed * number:
                seen.findings.append(self._failing(path, number, bad))
        seen.measures |= {"window.requests": totals[0], "window.failed": totals[1]}

    def _failing(self, path: str, number: int, bad: int) -> Finding:
        seconds = int(self.window.total_seconds())
        return Finding(
            {"problem": "failures", "path": path},
            f"{self.table}: {bad} of {number} requests of {path} {self.failed} in {seconds} s",
            {
                "requests": number,
                "failed": bad,
                "most_failed": f"{100 * self.most_failed:.4g}%",
                "window_seconds": seconds,
            },
            100 * bad // number,
        )

    def _by_path(
        self, where: ColumnElement[bool], counts: tuple[Row, Row, Row], seen: _Seen
    ) -> list[tuple[str, tuple[int, int, Any]]]:
        """Two counts and the earliest time of each path, of which numbers and tokens are cut."""
        path: Row = seen.rows.c[self.path]
        told_path = shown(path, self._described(self.path, seen))
        most = select(told_path, *counts).where(where).group_by(path)
        statement = most.order_by(func.count().desc(), path).limit(MOST_PATHS + 1)
        found = seen.snapshot.connection.execute(statement).all()
        if len(found) > MOST_PATHS:
            seen.notes.append(f"over {MOST_PATHS} different paths: the rest is not told by path")
        told: dict[str, tuple[int, int, Any]] = {}
        for value, one, other, first in found[:MOST_PATHS]:
            route = NO_PATH if value is None else template(str(scalar(value)).split("?")[0])
            before = told.get(route, (0, 0, None))
            times = [each for each in (before[2], first) if each is not None]
            told[route] = (before[0] + int(one), before[1] + int(other), min(times, default=None))
        return sorted(told.items())

    def _find_reuse(self, seen: _Seen) -> int:
        """Find keys of several rows that are not one request, along an index on the key.

        Returns how many there are beyond those that become findings.
        """
        rows, snapshot = seen.rows, seen.snapshot
        columns: list[Row] = [rows.c[self.key], *(rows.c[name] for name in self.scope)]
        repeated = select(*columns).where(columns[0].is_not(None)).group_by(*columns)
        repeated = repeated.having(func.count() > 1)
        if not snapshot.connection.execute(repeated.limit(1)).first():
            return 0
        # Of the spellings that the database takes for one key, always the same.
        described = self._described(self.key, seen)
        named = shown(one_of(columns[0], described), described).label("key")
        scope = (shown(rows.c[name], self._described(name, seen)) for name in self.scope)
        reused = repeated.having(self._requests.differ(rows)).with_only_columns(
            named, *scope, func.count().label("rows")
        )
        found, number = snapshot.sampled(reused.order_by(named))
        seen.findings += [self._reused(*row) for row in found]
        return number - len(found)

    def _described(self, name: str, seen: _Seen) -> catalog.Column:
        return seen.snapshot.described(self.table, name)

    def _reused(self, key: bytes | str, *rest: Any) -> Finding:
        whole = key if isinstance(key, bytes) else key.encode()
        digest = hashlib.sha256(whole).hexdigest()[:SHOWN_DIGEST]
        number = int(rest[-1])
        owner = {name: scalar(value) for name, value in zip(self.scope, rest, strict=False)}
        return Finding(
            {"problem": "key_reuse", "key_sha256": digest, **owner},
            f"{self.table}: {number} rows of key {digest}… are not one request",
            {"rows": number},
            number - 1,
        )

    def _age(self, value: object, seen: _Seen) -> int | None:
        return seen.snapshot.seconds_since(value, self.table, self.written_at)

"""`conflict_rate`: how often HTTP requests are answered 409, on which routes, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from checks.card import Card, Words
from checks.contract import (
    EVERYTHING,
    SAMPLE,
    Check,
    CheckError,
    Finding,
    Kept,
    Result,
    Window,
)
from checks.http_log.counts import Route
from checks.http_log.request import LACKING
from checks.http_log.routes import Routes, shape
from checks.keys.interfaces import Interface
from checks.keys.interfaces import Route as RouteTemplate
from checks.kinds.conflict_rate.asked import Asked, Question, asked, together
from checks.kinds.conflict_rate.codes import Code, Codes, Problem, causes
from checks.kinds.conflict_rate.coverage import (
    BLIND,
    DONE,
    ENOUGH,
    MISSING,
    REASONS,
    REQUESTS,
)
from checks.kinds.conflict_rate.exported import ALERT, DETAILS, FAMILIES, Traffic, details, samples
from checks.kinds.conflict_rate.promql import Queries
from checks.kinds.conflict_rate.readers import Readers
from checks.kinds.conflict_rate.tally import LATE, Spans, Tally
from checks.kinds.conflict_rate.thresholds import (
    Limits,
    Observed,
    breaches,
    findings,
    still_known,
)
from checks.ports import Sources, SourceType
from checks.types import Duration, Ratio, Slug, duration_text


class ConflictRate(Check):
    """Whether requests conflict no more often than they may, route by route."""

    reads: ClassVar[str] = "source"
    follows: ClassVar[bool] = True

    card: ClassVar[Card] = Card(
        violation="a route, key or client with too many conflicts; a write against the key"
        " standard",
        title=Words(en="conflicts of requests", zh="请求冲突率"),
        alert=ALERT,
        families=FAMILIES,
        details=DETAILS,
    )

    kind: Literal["conflict_rate"] = "conflict_rate"
    database: Literal[""] = ""
    table: Literal[""] = ""
    confirmations: int = Field(default=2, ge=1, le=100)
    source: Slug
    """The name of an access log or a Prometheus server of the configuration."""
    optional: bool = Field(default=False, repr=False)
    """Whether there is no such check while no source has that name."""
    queries: Queries | None = None
    """What a Prometheus server is asked."""
    prometheus: Slug | None = Field(default=None, repr=False)
    """A Prometheus server whose counts are added to those of the log."""
    routes: tuple[RouteTemplate, ...] = ()
    """Templates, `/orders/{id}`, beside those of `interfaces`."""
    learn_routes: bool = True
    most_routes: int = Field(default=100, ge=1, le=1000)
    short: Duration = timedelta(minutes=5)
    long: Duration = timedelta(hours=1)
    minimum: int = Field(default=20, ge=1)
    limit: Ratio = 0.05
    long_limit: Ratio = 0.02
    times_usual: float | None = Field(default=5.0, gt=1)
    storm: int = Field(default=20, ge=2)
    reused_keys: int = Field(default=5, ge=1)
    identities: Literal["hashed", "plain"] = "hashed"
    hash_secret_file: Path | None = None
    """A secret with which keys and clients are hashed; without it the worker makes one."""
    interfaces: tuple[Interface, ...] = ()
    codes: Mapping[Problem, tuple[Code, ...]] = Field(default={}, repr=False)
    """The application's codes of each problem, in place of those of the audited application."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.long < 2 * self.short:
            raise ValueError("long is less than twice as long as short")
        if self.short < timedelta(seconds=5):
            raise ValueError("short is less than 5s")
        if self.long > timedelta(days=1):
            raise ValueError("long is over 1d, and what is usual is told by a week")
        if self.prometheus and not self.queries:
            raise ValueError("queries says what prometheus is asked, and is missing")
        stated = Counter(code for codes in self.codes.values() for code in codes)
        if twice := [code for code, number in stated.items() if number > 1]:
            raise ValueError(f"codes: {twice[0]} stands for more than one problem, or twice")
        return self

    @property
    def source_type(self) -> SourceType:
        """A Prometheus server where it says what to ask, else an access log."""
        is_asked = self.queries is not None and self.prometheus is None
        return SourceType.PROMETHEUS if is_asked else SourceType.ACCESS_LOG

    @property
    def added_sources(self) -> Mapping[SourceType, str]:
        """A Prometheus server beside the log."""
        return {SourceType.PROMETHEUS: self.prometheus} if self.prometheus else {}

    @property
    def waits_for_source(self) -> bool:
        """As it is configured."""
        return self.optional

    def unfit_source(self, found: SourceType) -> str | None:
        """Whether `queries` is missing, or too much."""
        return {
            SourceType.ACCESS_LOG: f"{self.source} is an access log, and is not asked:"
            " queries is for a Prometheus server",
            SourceType.PROMETHEUS: f"{self.source} is a Prometheus server:"
            " queries says what it is asked, and is missing",
        }.get(found)

    @property
    def cursor_owner(self) -> str:
        """The source: other limits or routes are no reason to count anything twice."""
        return f"{self.kind} of {self.source}"

    @property
    def rule(self) -> str:
        """The limits."""
        short, long = (int(each.total_seconds()) for each in (self.short, self.long))
        return f"409 in {self.limit:.3g} of {short} s, {self.long_limit:.3g} of {long} s at most"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Routes with few requests."""
        spans = f"{duration_text(self.short)} or {duration_text(self.long)}"
        return (f"the ratio of a route with fewer than {self.minimum} requests in {spans}",)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """No table."""
        return {}

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Read on where the run before stopped, or ask the server; and judge every route."""
        if self.source_type is SourceType.PROMETHEUS:
            return self._of_prometheus(sources, window)
        return self._of_log(sources, window)

    def begin(self, left: Mapping[str, Any]) -> tuple[Tally, Routes]:
        """What counts, and what tells routes apart; `left` is the cursor of the run before."""
        spans = Spans(*(int(each.total_seconds()) for each in (self.short, self.long)))
        codes = self._codes(left.get("codes", ()))
        plain = self.identities == "plain"
        tally = Tally(spans, left.get("tally"), self._secret(), plain=plain, codes=codes)
        declared, learnt = self._declared().values(), left.get("routes", ())
        return tally, Routes(declared, learnt, learns=self.learn_routes, most=self.most_routes)

    def _codes(self, learnt: Iterable[str] = ()) -> Codes:
        """What tells codes apart: those of problems and of interfaces are declared."""
        declared = (code for each in self.interfaces for code in each.conflicts)
        return Codes(causes(self.codes), declared, learnt)

    def _declared(self) -> Mapping[tuple[str, ...], str]:
        """The declared routes; of those that differ in names of placeholders only, the first."""
        found: dict[tuple[str, ...], str] = {}
        for route in (*(each.route for each in self.interfaces), *self.routes):
            found.setdefault(shape(route), route)
        return found

    def _of_log(self, sources: Sources, window: Window) -> Result:
        log = sources.access_log(self.source)
        left: Mapping[str, Any] = window.cursor or {}
        tally, routes = self.begin(left)
        place, behind, examined, notes = left.get("place"), 0, 0, list[str]()
        readers, missing = Readers(log.format, window.zone, left.get("readers", {})), 0.0
        for block in log.blocks(place):
            batch = readers.read(block)
            now = _now()
            tally.add(block, batch, routes, now)
            place, behind, missing = block.place, block.behind, block.missing
            examined += batch.lines
            notes += [block.note] if block.note else []
        now = _now()
        at = tally.moment(now, behind)
        traffic, partly = self._traffic(tally, at, behind), list(tally.read.notes(at))
        if missing:
            traffic = replace(traffic, blind={**traffic.blind, MISSING: missing})
        tally.read.prove(at)
        cursor = {
            "place": place,
            "readers": readers.left(place),
            "tally": tally.left(),
            "routes": list(routes.learnt),
            "codes": list(tally.codes.learnt),
        }
        kept = Kept(cursor, tuple(samples(self.source, traffic.of_no_verdict)))
        if missing >= BLIND:
            raise CheckError("; ".join(notes), kept=kept)
        self._assure(tally, at, kept)
        more = self._added(sources, tally.codes, kept)
        traffic = replace(
            traffic,
            windows={w: together(c, more.windows.get(w, {})) for w, c in traffic.windows.items()},
            unknown={**traffic.unknown, **more.unknown},
            blind={**traffic.blind, **more.blind},
        )
        if behind > LATE:
            notes.append(f"{behind} bytes of the log are not yet read")
        elif at < now:
            notes.append(f"the newest line is {now - at} s old as it is read: is timezone right?")
        notes += [*partly, *more.notes, *_told(traffic.unknown), *tally.codes.notes()]
        found = self._judged(tally, at, more, frozenset(traffic.unknown))
        if traffic.unknown:
            found += still_known(window.known, found)
        return Result(
            examined,
            len(found),
            tuple(found[:SAMPLE]),
            notes=tuple(notes),
            cursor=cursor,
            **self._exported(traffic),
        )

    def _traffic(self, tally: Tally, at: int, behind: int) -> Traffic:
        """What was seen up to a moment, and what is not known of it."""
        unknown: dict[str, str] = {}
        for window in ("short", "long"):
            seen, coverage = tally.read.seen(window, at), tally.read.coverage(window, at)
            if seen[REQUESTS] >= self.minimum and not seen[DONE]:
                unknown[window] = f"no answer below 400 among {seen[REQUESTS]} requests"
            elif coverage.is_blind:
                unknown[window] = f"{coverage.told} could not be read"
        judged = tally.read.judged(at)
        return Traffic(
            tally.totals,
            {"short": tally.short.until(at), "long": tally.long.until(at)},
            tally.lines,
            behind,
            tally.newest,
            {reason: judged.share(reason) for reason in REASONS},
            tally.codes.known,
            unknown,
        )

    def _judged(self, tally: Tally, at: int, more: Asked, unknown: frozenset[str]) -> list[Finding]:
        short, long, week = (each.until(at) for each in (tally.short, tally.long, tally.usual))
        before = {route: seen.less(long[route]) for route, seen in week.items() if route in long}
        past = tally.past.of_storms(at, self.storm // 2)
        observed = Observed(
            together(short, more.windows.get("short", {})),
            together(long, more.windows.get("long", {})),
            together(week | before, more.usual),
            tally.repeats.until(at),
            past,
            unknown,
        )
        names = self._declared()
        declared: dict[Route, bool] = {
            (names[shape(each.route)], each.method): each.key == "required"
            for each in self.interfaces
        }
        return [*findings(observed, self._limits()), *breaches(long, week, declared)]

    def _of_prometheus(self, sources: Sources, window: Window) -> Result:
        codes = self._codes()
        told = self._asked(sources, self.source, codes)
        observed = Observed(
            told.windows["short"],
            told.windows["long"],
            told.usual,
            unknown=frozenset(told.unknown),
        )
        found = list(findings(observed, self._limits()))
        if told.unknown:
            found += still_known(window.known, found)
        traffic = Traffic(
            windows=told.windows, blind=told.blind, codes=codes.known, unknown=told.unknown
        )
        return Result(
            round(sum(seen.requests for seen in told.windows["long"].values())),
            len(found),
            tuple(found[:SAMPLE]),
            notes=(*told.notes, *_told(told.unknown), *codes.notes()),
            **self._exported(traffic),
        )

    def _asked(self, sources: Sources, name: str, codes: Codes) -> Asked:
        assert self.queries  # noqa: S101 - asked for only where there are some
        usual = self.times_usual is not None
        spans = (self.short, self.long, usual, self.minimum, self.most_routes)
        question = Question(self.source, self.queries, *spans)
        return asked(sources.prometheus(name), question, codes)

    def _added(self, sources: Sources, codes: Codes, kept: Kept) -> Asked:
        """What a Prometheus server counts beside the log; the log's place is kept without it."""
        if self.prometheus is None:
            return Asked()
        try:
            return self._asked(sources, self.prometheus, codes)
        except CheckError as error:
            both = (*kept.samples, *(error.kept.samples if error.kept else ()))
            message, permanent = str(error), error.permanent
            raise CheckError(message, permanent=permanent, kept=Kept(kept.cursor, both)) from None

    def _exported(self, traffic: Traffic) -> dict[str, Any]:
        lengths = {"short": self.short, "long": self.long}
        return {
            "samples": tuple(samples(self.source, traffic)),
            "details": details(traffic, lengths),
        }

    def _limits(self) -> Limits:
        return Limits(
            self.minimum,
            self.limit,
            self.long_limit,
            self.times_usual,
            self.storm,
            self.reused_keys,
            causes(self.codes),
        )

    def _assure(self, tally: Tally, at: int, kept: Kept) -> None:
        """Raise CheckError where lines are read wrongly: none ever was a request, or many are lost.

        Lines of which none ever was a request are read once more by the next run: whoever mends
        the configuration loses none of them.
        """
        if not tally.totals and tally.lines["read"] >= ENOUGH:
            raise CheckError(
                f"none of the latest {tally.lines['read']} lines of {self.source} is a request:"
                f" {_lacking(tally.lines)}. Does line_format fit? Lines that a container engine or"
                " a collector wraps need line_format.wrapped"
            )
        if (coverage := tally.read.judged(at)).is_blind:
            raise CheckError(
                f"{coverage.told} of {self.source} could not be read as requests with a time,"
                f" and from {100 * BLIND:g} % on nothing can be told: does line_format fit?",
                kept=kept,
            )

    def _secret(self) -> str | None:
        if self.hash_secret_file is None:
            return None
        try:
            secret = self.hash_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise CheckError(f"hash_secret_file {self.hash_secret_file} cannot be read") from None
        if not secret:
            raise CheckError(f"hash_secret_file {self.hash_secret_file} is empty")
        return secret


def _told(unknown: Mapping[str, str]) -> Iterator[str]:
    return (f"ratios of the {window} window are unknown: {why}" for window, why in unknown.items())


def _lacking(lines: Mapping[str, int]) -> str:
    """What lines lack, with the number of each."""
    counts = ((lines.get(fault, 0), words) for fault, words in LACKING.items())
    return ", ".join(f"{number} {words}" for number, words in counts if number)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())

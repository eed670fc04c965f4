"""How much of a log's requests was read, and what that allows to say."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checks.http_log.doubts import Doubt

ENOUGH = 100
"""Lines without which no share is judged: two of three are no tenth of anything."""

NOTED, BLIND = 0.01, 0.1
"""The shares of lines that should have been requests, and could not be read as such, from which on
a run says so, and from which on it cannot tell."""

HOUR, HOURS = 3600, 24
"""Where a long window has too few lines, the latest hours are taken, of a day at most."""

REQUESTS, DONE, TOO_LONG = "requests", "done", "too_long"
"""Lines read as requests; of them those answered below 400; lines that are not read at all."""

REASONS = (Doubt.UNREADABLE.value, Doubt.NO_REQUEST.value, Doubt.WITHOUT_TIME.value)
"""Why lines do not tell what they should; as metrics name it."""

MISSING = "missing"
"""Why whole parts of a source do not tell anything: targets that are down."""


@dataclass(slots=True)
class Slots:
    """Lines by what they are, in slots of `width` seconds."""

    width: int
    slots: int
    counts: dict[int, Counter[str]] = field(default_factory=dict)

    def add(self, second: int, what: str, number: int, now: int) -> None:
        """Count lines of a moment, if that is no longer ago than is kept."""
        slot = second // self.width
        if slot > now // self.width - self.slots:
            self.counts.setdefault(slot, Counter())[what] += number

    def forget(self, now: int) -> None:
        """Drop what is too old."""
        oldest = now // self.width - self.slots
        for slot in [each for each in self.counts if each <= oldest]:
            del self.counts[slot]

    def back(self, now: int) -> Iterator[Counter[str]]:
        """The sums of the latest slot, of the latest two, and so on; nothing where none is kept."""
        last, total = now // self.width, Counter[str]()
        for slot in sorted(self.counts, reverse=True):
            if last - self.slots < slot <= last:
                total = total + self.counts[slot]
                yield total

    def until(self, now: int) -> Counter[str]:
        """The sums of all slots that are kept, up to a moment."""
        total = Counter[str]()
        for total in self.back(now):  # noqa: B007 - the last one is that of all
            pass
        return total


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of a log from before, and from its configuration."""

    is_proven: bool = False
    """Whether it was read well once: text that looks like nothing that is known is then a message
    of the application."""
    has_times: bool = False
    """Whether a line ever had a time that could be read."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the lines of a span come to."""

    lines: int
    """Requests, and the lines that should have been: the whole of all shares."""
    counts: Mapping[str, int]
    """Of them, by reason, those that do not tell what they should."""
    other: int = 0
    """Lines beside them that may be anything."""

    @classmethod
    def of(cls, seen: Mapping[str, int], trust: Trust) -> "Coverage":
        """Count what is to be judged of the lines of a span."""
        text = max(0, seen.get(Doubt.TEXT, 0) - seen.get(Doubt.INDENTED, 0))
        anything = text + seen.get(TOO_LONG, 0)
        missing = seen.get(Doubt.NO_TIME, 0) if trust.has_times else 0
        counts = {
            Doubt.UNREADABLE.value: seen.get(Doubt.UNREADABLE, 0),
            Doubt.NO_REQUEST.value: seen.get(Doubt.NO_REQUEST, 0),
            Doubt.WITHOUT_TIME.value: seen.get(Doubt.WITHOUT_TIME, 0) + missing,
        }
        if not trust.is_proven:
            counts[Doubt.UNREADABLE.value] += anything
            anything = 0
        lost = counts[Doubt.UNREADABLE.value] + counts[Doubt.NO_REQUEST.value]
        return cls(seen.get(REQUESTS, 0) + lost, counts, anything)

    @property
    def lost(self) -> int:
        """Lines that should have been requests and were not read as such."""
        return sum(self.counts[reason] for reason in REASONS[:2])

    @property
    def is_enough(self) -> bool:
        """Whether there are lines enough to judge their shares."""
        return self.lines >= ENOUGH

    def share(self, reason: str) -> float:
        """The part of lines that do not tell what they should, for this reason; 0 of none."""
        return self.counts[reason] / self.lines if self.lines else 0.0

    @property
    def worst(self) -> float:
        """The greater of the shares of lines that are lost and of requests without a time."""
        if not self.lines:
            return 0.0
        return max(self.lost, self.counts[Doubt.WITHOUT_TIME.value]) / self.lines

    @property
    def is_blind(self) -> bool:
        """Whether so much is missing that nothing can be told."""
        return self.is_enough and self.worst >= BLIND

    @property
    def told(self) -> str:
        """What is missing, in words: numbers only, as lines hold what customers sent."""
        parts = [f"{self.counts[reason]} {reason}" for reason in REASONS if self.counts[reason]]
        return f"{100 * self.worst:.3g} % of {self.lines} lines ({', '.join(parts)})"

    def notes(self) -> Iterator[str]:
        """What a run says of it that can tell."""
        few = not self.is_enough and self.lost * 2 >= self.lines > 0
        if few or (self.is_enough and self.worst >= NOTED):
            judged = "" if self.is_enough else f"; too few to judge: {ENOUGH} are needed"
            yield f"read in part: {self.told} could not be read as requests with a time{judged}"
        if self.other and self.other >= NOTED * (self.lines + self.other):
            yield f"{self.other} lines beside the requests are taken for messages"


class Lines:
    """The lines of a log in the spans that verdicts are about, over runs and restarts."""

    def __init__(self, widths: Mapping[str, tuple[int, int]], left: Mapping[str, Any]) -> None:
        """`widths` are those of the slots of each window, with their number."""
        self._spans = {name: Slots(*each) for name, each in widths.items()}
        self._hours = Slots(HOUR, HOURS + 1)
        self._every = Counter[str]()
        self.trust = Trust(bool(left.get("proven")), bool(left.get("timed")))
        for name, slots in self._all():
            kept = left.get(name)
            if kept and kept["width"] == slots.width:
                slots.counts = {int(slot): Counter(each) for slot, each in kept["counts"].items()}

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        kept = {
            name: {
                "width": slots.width,
                "counts": {str(slot): dict(each) for slot, each in slots.counts.items()},
            }
            for name, slots in self._all()
        }
        return {**kept, "proven": self.trust.is_proven, "timed": self.trust.has_times}

    def add(self, second: int, what: str, number: int, now: int) -> None:
        """Count lines of a moment."""
        self._every[what] += number
        for _, slots in self._all():
            slots.add(second, what, number, now)

    def forget(self, now: int) -> None:
        """Drop what no verdict can need any more."""
        for _, slots in self._all():
            slots.forget(now)

    def seen(self, window: str, at: int) -> Counter[str]:
        """The lines of a window up to a moment."""
        return self._spans[window].until(at)

    def coverage(self, window: str, at: int) -> Coverage:
        """What the lines of a window come to."""
        return Coverage.of(self.seen(window, at), self.trust)

    def judged(self, at: int) -> Coverage:
        """What the latest lines come to: of the shortest span that has enough of them.

        Of fewer in the long window, and some of them lost, that of the latest hours, of a day at
        most.
        """
        for window in self._spans:
            found = self.coverage(window, at)
            if found.is_enough:
                return found
        # Lines that are all read well need no more of them; some that are lost are seen among
        # those of hours before.
        if found.worst:
            for each in self._hours.back(at):
                found = Coverage.of(each, self.trust)
                if found.is_enough:
                    break
        return found

    def notes(self, at: int) -> Iterator[str]:
        """What a run says of the latest lines, if it can tell."""
        yield from self.judged(at).notes()
        if not self.trust.has_times and self._hours.until(at)[Doubt.NO_TIME]:
            yield "no line tells its time: each counts as of when it is read"

    @property
    def of_all(self) -> Coverage:
        """What all lines come to that were counted here, however old."""
        return Coverage.of(self._every, self.trust)

    def prove(self, at: int) -> None:
        """Remember that the log is read well, if it is: other text is then no fault of reading."""
        found = self.judged(at)
        if found.is_enough and not found.is_blind:
            self.trust = Trust(is_proven=True, has_times=self.trust.has_times)

    def has_times(self) -> None:
        """Remember that a line had a time that could be read."""
        self.trust = Trust(self.trust.is_proven, has_times=True)

    def _all(self) -> Iterator[tuple[str, Slots]]:
        yield from (*self._spans.items(), ("hours", self._hours))

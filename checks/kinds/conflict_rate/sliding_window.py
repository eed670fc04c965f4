"""Counts of a sliding span of time, kept slot by slot."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from checks.http_log.counts import Route, Seen


@dataclass(slots=True)
class Ring:
    """Counts by slots of `width` seconds, the latest of them.

    A span is told with the slot in which it begins, and so up to one width longer.
    """

    width: int
    slots: int
    counts: dict[int, dict[Route, Seen]] = field(default_factory=dict)

    def slot(self, second: int) -> int:
        """The slot of a moment."""
        return second // self.width

    def add(self, second: int, route: Route, seen: Seen, now: int) -> None:
        """Count what was seen at a moment, if that is no longer ago than is kept."""
        slot = self.slot(second)
        if slot > self.slot(now) - self.slots:
            self.counts.setdefault(slot, {}).setdefault(route, Seen()).add(seen)

    def forget(self, now: int) -> None:
        """Drop what is too old."""
        oldest = self.slot(now) - self.slots
        for slot in [each for each in self.counts if each <= oldest]:
            del self.counts[slot]

    def until(self, now: int) -> dict[Route, Seen]:
        """The sums of all slots that are kept, up to a moment."""
        sums: dict[Route, Seen] = defaultdict(Seen)
        last = self.slot(now)
        for slot, counts in self.counts.items():
            if last - self.slots < slot <= last:
                for route, seen in counts.items():
                    sums[route].add(seen)
        return dict(sums)

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        counts = {str(slot): listed(each) for slot, each in self.counts.items()}
        return {"width": self.width, "counts": counts}

    def restore(self, left: dict[str, Any] | None) -> None:
        """Take over what an earlier run left, unless its slots were of another width."""
        if left and left["width"] == self.width:
            self.counts = {int(slot): restored(each) for slot, each in left["counts"].items()}


def listed(counts: dict[Route, Seen]) -> list[list[Any]]:
    """Counts as JSON takes them."""
    return [
        [*route, seen.requests, seen.conflicts, seen.refusals, seen.without_key, seen.answered]
        for route, seen in counts.items()
    ]


def restored(rows: list[list[Any]]) -> dict[Route, Seen]:
    """Counts from JSON."""
    return {(row[0], row[1]): Seen(*row[2:]) for row in rows}


def without(one: dict[Route, Seen], other: dict[Route, Seen]) -> Iterator[tuple[Route, Seen]]:
    """What the one counts beyond the other."""
    nothing = Seen()
    for route, seen in one.items():
        yield route, seen.less(other.get(route, nothing))

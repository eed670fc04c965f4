"""Cron lines, as crontab means them: the one place that reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

FIELDS = 5

_LONGEST_STEPS = {"minute": 59, "hour": 23, "day of month": 30, "month": 11, "day of week": 7}
"""The fields in their order, and the longest step within each."""

_RANGE_TO_SUNDAY = re.compile(r"(?<!\b0)(?<!\bsun)-(?:0|sun)\b", re.IGNORECASE)
_STEP_WITHOUT_END = re.compile(r"(?<![-\w])(\w+)/")


@dataclass(frozen=True, slots=True)
class CronLine:
    """A cron line of five fields, such as `0 3 * * *`.

    Raises ValueError that names the field that is wrong, or when the line never comes due.
    """

    text: str

    def __post_init__(self) -> None:
        fields = self.text.split()
        if len(fields) != FIELDS:
            raise ValueError("not a cron line of five fields, such as 0 2 * * 0")
        for place, name in enumerate(_LONGEST_STEPS):
            _require(name, fields[place], ["*"] * place, ["*"] * (FIELDS - 1 - place))
        try:
            next(_simulation(self.text, datetime.now(UTC)))
        except (CronSimError, StopIteration):
            raise ValueError("this cron line names a time that never comes") from None

    def __str__(self) -> str:
        return self.text

    @property
    def restricts_both_days(self) -> bool:
        """Whether it restricts the day of the month and the day of the week: one is enough."""
        _, _, day, _, weekday = self.text.split()
        return not day.startswith("*") and not weekday.startswith("*")

    def times(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        """The times that it names on the clocks of a zone, later than `after`, in UTC.

        Ends when fifty years name none.
        """
        begin = after.astimezone(UTC)
        for local in _simulation(self.text, begin.astimezone(zone)):
            # In the second of two equal hours, the line may name a time in the first.
            if (at := local.astimezone(UTC)) > begin:
                yield at

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first of these times, or None."""
        return next(self.times(after, zone), None)


def _require(name: str, field: str, before: list[str], behind: list[str]) -> None:
    """Raise ValueError unless a field means something by itself."""
    try:
        _simulation(" ".join((*before, field, *behind)), datetime.now(UTC))
    except (CronSimError, ValueError):
        raise ValueError(f"bad {name} in this cron line: {field}") from None
    longest = _LONGEST_STEPS[name]
    if any(int(step) > longest for step in re.findall(r"/(\d+)", field)):
        raise ValueError(f"the {name} of this cron line steps over its end: {field}")


def _simulation(line: str, moment: datetime) -> CronSim:
    *fields, weekdays = line.split()
    return CronSim(" ".join((*fields, _sunday_last(weekdays))), moment)


def _sunday_last(weekdays: str) -> str:
    """`sat-sun` is `sat-7`; `1/2` counts to Saturday, as `*/2` does."""
    return _STEP_WITHOUT_END.sub(r"\1-6/", _RANGE_TO_SUNDAY.sub("-7", weekdays))

"""Cron lines as crontab means them: five fields, and Sunday is 0 or 7."""

from datetime import tzinfo

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = 5


def cron(line: str, zone: tzinfo) -> CronTrigger:
    """The times that a cron line names. Raises ValueError for what is none."""
    fields = line.split()
    if len(fields) != _FIELDS:
        raise ValueError("a cron line has five fields")
    # APScheduler counts days of the week from Monday, and so would run a day late.
    fields[-1] = ",".join(_days(part) for part in fields[-1].lower().split(","))
    return CronTrigger.from_crontab(" ".join(fields), timezone=zone)


def _days(part: str) -> str:
    """One part of the field of the day of the week, by names: `1-5`, `*/2`, `sun`, `7`."""
    if part == "*":
        return part
    span, _, step = part.partition("/")
    first, _, last = ("0-6" if span == "*" else span).partition("-")
    begin, end = _number(first), _number(last or ("6" if step else first))
    if end < begin and end == 0:
        end = len(_DAYS)  # sat-sun
    if end < begin or (step and (not step.isdecimal() or int(step) == 0)):
        raise ValueError("not a day of the week")
    days = range(begin, end + 1, int(step or 1))
    return ",".join(_DAYS[day % len(_DAYS)] for day in days)


def _number(day: str) -> int:
    """The number of a day; 7 is Sunday, too, and stays 7 where a range ends on it."""
    if day in _DAYS:
        return _DAYS.index(day)
    if day.isdecimal() and int(day) <= len(_DAYS):
        return int(day)
    raise ValueError("not a day of the week")

"""Log events on their way: written together with the changes that they tell of.

A row stays until its line was written. It is removed along with whatever is written next, so a run
that changes nothing costs nothing; one that was told already may be told once more after a kill, by
the same id.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, insert, select

from worker.model.log_event import LogEvent
from worker.state.schema import BATCH, untold
from worker.text.encode import restore, store


def put(connection: Connection, events: Iterable[LogEvent]) -> None:
    """Keep events that are to be told."""
    rows = [{"event_id": each.id, "event": _encoded(each)} for each in events]
    if rows:
        connection.execute(insert(untold), rows)


def waiting(connection: Connection) -> list[LogEvent]:
    """All that no line has told, as far as it is known, in order."""
    return [
        _event(text) for text in connection.scalars(select(untold.c.event).order_by(untold.c.id))
    ]


def drop(connection: Connection, told: Collection[str]) -> None:
    """Forget events, by their ids, that were told."""
    ids = sorted(told)
    for first in range(0, len(ids), BATCH):
        chosen = untold.c.event_id.in_(ids[first : first + BATCH])
        connection.execute(delete(untold).where(chosen))


def _encoded(event: LogEvent) -> str:
    rest = (event.key, event.message, event.evidence)
    return store([event.id, event.name, event.level, event.fields, *rest])


def _event(text: str) -> LogEvent:
    return LogEvent(*restore(text))

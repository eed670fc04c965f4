"""Where a log goes on: which file a place is in, and which one comes after it.

Whatever these functions return is open and belongs to the caller. All of them raise OSError, and
MovingError when files are being renamed at this very moment.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from errno import EINVAL
from typing import NamedTuple

from worker.config import AccessLogSettings
from worker.sources.log_tail.file import Content, Identity, NotRegularError
from worker.sources.log_tail.position import REMEMBERED, Place, Reading, ReplacedError
from worker.sources.log_tail.rotated_files import (
    MovingError,
    Sibling,
    done_with,
    sibling,
    siblings,
    unread,
)

TRUNCATED = "the log was truncated: lines written after the last look and before that may be lost"
GONE = "the file that was read last cannot be found: lines written to it since may be lost"


class Successor(NamedTuple):
    """A file to be read after another one."""

    content: Content
    place: Place
    """Its beginning."""
    rotated: int
    """Bytes of the files that come after it and before the live one."""
    note: str | None = None


def beginning(settings: AccessLogSettings) -> Reading:
    """Where a log begins of which nothing was read: its live file only."""
    with ExitStack() as opened:
        live = _live(settings)
        opened.callback(live.close)
        if settings.begin == "end":
            reading = Reading.at_end(live, settings.longest_line)
        else:
            reading = Reading(live, Place(live.identity))
        # What was rotated out before is not to be read, even if it is compressed only now.
        known = (*done_with(_beside(settings)[-REMEMBERED:]),)
        reading.place = replace(reading.place, done=known)
        opened.pop_all()
        return reading


def found(settings: AccessLogSettings, place: Place) -> Reading | None:
    """The file that a place is in, whatever it is called by now; None when it is gone."""
    for content in _candidates(settings, place):
        if reading := at(content, place):
            return reading
    return None


def at(content: Content, place: Place) -> Reading | None:
    """Go on in a file; None, and the file closed, when it is not what was read."""
    try:
        return Reading(content, place)
    except ReplacedError:
        content.close()
        return None
    except OSError:
        content.close()
        raise


def after(settings: AccessLogSettings, place: Place, current: Reading | None) -> Successor | None:
    """What comes after a file that is read to its end; None while there is nothing.

    `current` is that file if it is still open; else it is finished.
    """
    with ExitStack() as opened:
        live = _live(settings)
        opened.callback(live.close)
        if _is_the_same(live, place, current):
            return None
        done = (*place.done, *([current.as_done(settings.longest_line)] if current else []))
        others = {live.identity, place.identity} if current else {live.identity}
        newer = [*unread(_beside(settings, place), place.time, done, others)]
        if not newer and not live.measured():
            return None
        opened.pop_all()
        return _oldest(newer, live, place)


def after_loss(settings: AccessLogSettings, place: Place) -> Successor:
    """Where to go on when the file of a place is gone, and what to say about it."""
    with ExitStack() as opened:
        live = _live(settings)
        opened.callback(live.close)
        beside = _beside(settings, place)
        newer = [*unread(beside, place.time + 1, place.done, {live.identity})]
        newer = [each for each in newer if not _begins_like(each, place)]
        opened.pop_all()
        note = TRUNCATED if live.identity == place.identity else GONE
        return _oldest(newer, live, place)._replace(note=note)


def at_start(settings: AccessLogSettings, place: Place) -> Successor | None:
    """Where to go on when nothing was read of a file: it is among those that are not read.

    Its identity says nothing: it may have been compressed and deleted, and have come back.
    """
    successor = after(settings, place, None)
    if not successor or successor.content.identity == place.identity:
        return successor
    is_live = successor.content.identity == Identity.of(settings.path.stat())
    return successor._replace(note=GONE if is_live else None)


def rotated_bytes(settings: AccessLogSettings, reading: Reading) -> int:
    """Bytes of the files that come after one and before the live one; 0 when it is live."""
    try:
        live = Identity.of(settings.path.stat())
        if live == reading.place.identity:
            return 0
        beside = _beside(settings, reading.place)
        others = {live, reading.place.identity}
        return sum(
            each.size for each in unread(beside, reading.place.time, reading.place.done, others)
        )
    except (FileNotFoundError, MovingError):
        return 0


def _beside(settings: AccessLogSettings, place: Place | None = None) -> list[Sibling]:
    return siblings(settings.path, settings.rotated, place.path if place else "")


def _oldest(newer: list[Sibling], live: Content, place: Place) -> Successor:
    if not newer:
        begin = Place(live.identity, time=live.status().st_mtime_ns, done=place.done)
        return Successor(live, begin, 0)
    live.close()
    first, *later = newer
    begin = Place(first.identity, time=first.time, done=place.done)
    return Successor(first.open(), begin, sum(each.size for each in later))


def _live(settings: AccessLogSettings) -> Content:
    try:
        content = Content.open(settings.path)
    except FileNotFoundError:
        # Between two steps of a rotation there is no file of that name.
        if _beside(settings):
            raise MovingError from None
        raise
    if content.compressed:
        content.close()
        raise NotRegularError(EINVAL, "it is compressed, which only a rotated file may be")
    return content


def _is_the_same(live: Content, place: Place, current: Reading | None) -> bool:
    if live.identity != place.identity or current:
        return live.identity == place.identity
    try:
        # The identity of a file that is finished and deleted may have come back as another one.
        return bool(place.offset) and bool(Reading(live, place))
    except ReplacedError:
        return False


def _candidates(settings: AccessLogSettings, place: Place) -> Iterator[Content]:
    """Files that may be the one of a place: those of its identity, then those that begin like it.

    Devices change their numbers when a machine starts anew, and copies have another identity.
    """
    live = sibling(settings.path)
    files = [*_beside(settings, place), *([live] if live else [])][::-1]
    for each in files:
        if each.identity == place.identity:
            yield each.open()
    for each in files:
        if each.identity != place.identity and _begins_like(each, place):
            yield each.open()


def _begins_like(sibling: Sibling, place: Place) -> bool:
    content = sibling.open()
    try:
        return place.begins(content)
    finally:
        content.close()

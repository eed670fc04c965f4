"""An access log, followed as it grows and rotates."""

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from checks.contract import CheckError, RunStopped
from checks.http_log.formats import LineFormat
from checks.ports import Block, Cursor
from worker.config import AccessLogSettings
from worker.sources.log_tail import rotation
from worker.sources.log_tail.file import Content, Foreign, NotRegularError
from worker.sources.log_tail.position import Place, Reading, ReplacedError
from worker.sources.log_tail.tail import BLOCK, Follower

GONE = "is gone: lines written to it since the last look may be lost"


class AccessLog:
    """See `checks.ports.AccessLog`.

    Between two runs the file that was read last stays open: its lines are not lost even if it is
    rotated and deleted meanwhile. Several threads may read at the same time.
    """

    def __init__(self, name: str, settings: AccessLogSettings) -> None:
        self.name = name
        self._settings = settings
        self._held: Content | None = None
        self._lock = threading.Lock()
        self._closing = False

    @property
    def format(self) -> LineFormat:
        """See `checks.ports.AccessLog`."""
        return self._settings.line_format

    def blocks(self, place: Cursor | None) -> Iterator[Block]:
        """See `checks.ports.AccessLog`."""
        if place is not None and "files" in place:  # of a log that had several
            place = place["files"].get(str(self._settings.path), {}).get("place")
        end = time.monotonic() + self._settings.time_limit.total_seconds()

        def is_over() -> bool:
            self._refuse_when_closing()
            return time.monotonic() >= end

        self._refuse_when_closing()
        follower = Follower(self._settings, self._exchange(None))
        try:
            with _explained(f"access log {self.name}", self._settings.path):
                after = None if place is None else Place.of(place)
                yield from follower.blocks(after, is_over)
        except _StaleError:
            follower.close()
            raise
        finally:
            if superfluous := self._exchange(follower.release()):
                superfluous.close()

    def rest(self, place: Cursor) -> Iterator[Block]:
        """What is left, after a place, of a file that is gone and was held open.

        The last line counts even without a line feed. Raises CheckError where it was not held.
        """
        after, held, longest = Place.of(place), self._exchange(None), self._settings.longest_line
        path = self._settings.path
        with _explained(f"access log {self.name}", path):
            reading = rotation.at(held, after) if held else None
            if reading is None:
                raise CheckError(f"access log {self.name}: {path} {GONE}")
            with closing(reading.content):
                yield from _to_the_end(reading, longest)
                if reading.content.status().st_nlink:  # it was rotated: another one is gone
                    raise CheckError(f"access log {self.name}: {path} {GONE}")

    def close(self) -> None:
        """Let go of the file, and stop the runs along it."""
        self._closing = True
        if held := self._exchange(None):
            held.close()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise RunStopped("the worker is stopping")

    def _exchange(self, content: Content | None) -> Content | None:
        """Hold another file; the one that was held before, or must not be held, is handed over."""
        with self._lock:
            if self._closing and content:
                return content
            before, self._held = self._held, content
            return before


class _StaleError(CheckError):
    """A network file system has forgotten an open file: it must be opened anew."""


def read_file(path: Path, settings: AccessLogSettings) -> Iterator[Block]:
    """Read one file from its start to its end, plain or compressed, whatever its name.

    The last line counts even without a line feed. Raises CheckError.
    """
    longest = settings.longest_line
    with _explained("file", path), closing(Content.open(path)) as content:
        if isinstance(content, Foreign):
            raise NotRegularError(errno.EINVAL, f"it {content.damage}")
        yield from _to_the_end(Reading(content, Place(content.identity)), longest)


def _to_the_end(reading: Reading, longest: int) -> Iterator[Block]:
    is_last = False
    while not is_last:
        text, dropped, is_last = reading.next(max(BLOCK, longest + 1), longest)
        if text or dropped:
            yield _block(reading, text, dropped)
    last = reading.finish(longest) or b""
    if last or reading.content.damage:
        yield _block(reading, last, 0)


def _block(reading: Reading, text: bytes, dropped: int) -> Block:
    damage = reading.content.damage if reading.place.finished else None
    return Block(
        text,
        reading.place.as_cursor(),
        reading.content.left(reading.place.offset),
        {"too_long": dropped} if dropped else {},
        f"the file {damage}: the rest of it is lost" if damage else None,
    )


@contextmanager
def _explained(what: str, path: Path) -> Iterator[None]:
    """Tell what is wrong with a file as a CheckError."""
    try:
        yield
    except OSError as error:
        kind = _StaleError if error.errno == errno.ESTALE else CheckError
        reason = error.strerror or type(error).__name__
        raise kind(f"{what} cannot be read: {reason} ({path})") from None
    except ReplacedError:
        raise CheckError(f"{what} cannot be read: it changed meanwhile ({path})") from None

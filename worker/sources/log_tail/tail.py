"""One run along a log: from a place on, over rotations, to the end of what is written."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from checks.ports import Block
from worker.config import AccessLogSettings
from worker.sources.log_tail import rotation
from worker.sources.log_tail.file import Content, Identity, lost
from worker.sources.log_tail.position import Place, Reading, ReplacedError
from worker.sources.log_tail.rotated_files import MovingError

BLOCK = 1 << 20
"""Bytes of a block, about; more only where lines may be longer."""

QUIET = 5.0
"""Seconds without a write after which a rotated file counts as finished."""

PATIENCE = 60.0
"""Seconds after which a rotated file is left although it is still written to."""

STILL_WRITTEN = "a rotated file is still written to: what is added from now on is not read"


class Follower:
    """A run along a log. It owns the files that it opens, until `release` or `close`.

    A file that was rotated out is left when all of it is read, nothing was written to it for
    `QUIET` seconds and there is something newer to read: applications go on writing to it until
    they reopen the log. Then come the files rotated since, in the order in which they were last
    written to, and then the live one.
    """

    def __init__(self, settings: AccessLogSettings, held: Content | None) -> None:
        """`held` is what the run before released."""
        self._settings = settings
        self._longest = settings.longest_line
        self._held = held
        self._now: Reading | None = None
        self._next: rotation.Successor | None = None
        self._rotated = 0
        self._dropped = 0
        self._notes: list[str] = []
        self._said = False
        self._must_say = False

    def blocks(self, place: Place | None, is_over: Callable[[], bool]) -> Iterator[Block]:
        """The blocks after a place, until it is over. Raises OSError."""
        with suppress(MovingError):
            self._start(place)
            while self._now:
                try:
                    text, is_last = self._read(self._now)
                    if text:
                        yield self._block(self._now, text)
                    if is_over() or (is_last and not self._choose_next(self._now)):
                        break
                    if self._next and (last := self._finish(self._now)):
                        yield last
                except ReplacedError:
                    self._drop_next()
                    self._find(self._now.place)
                    continue
                self._turn()
        yield from self._remarks()

    def release(self) -> Content | None:
        """The file with which the next run will most likely go on; the others are closed."""
        now, self._now = self._now, None
        if not now:
            held, self._held = self._held, None
            return held
        self.close()
        return now.content

    def close(self) -> None:
        """Let go of all files."""
        opened = (self._held, self._now and self._now.content, self._next and self._next.content)
        self._held = self._now = self._next = None
        for each in opened:
            if each:
                each.close()

    # Reading

    def _read(self, now: Reading) -> tuple[bytes, bool]:
        text, dropped, is_last = now.next(max(BLOCK, self._longest + 1), self._longest)
        self._dropped += dropped
        return text, is_last

    def _finish(self, now: Reading) -> Block | None:
        """The last block of a file. When the file has grown there is no next one any more."""
        last = now.finish(self._longest)
        if last is None:
            self._drop_next()
            return None
        if now.content.damage:
            self._notes.append(lost(now.content))
        return self._block(now, last) if last or self._notes else None

    def _block(self, now: Reading, text: bytes) -> Block:
        block = Block(
            text,
            now.place.as_cursor(),
            self._behind(now),
            {"too_long": self._dropped} if self._dropped else {},
            "; ".join(self._notes) or None,
        )
        self._dropped, self._notes = 0, []
        self._said, self._must_say = True, False
        return block

    def _remarks(self) -> Iterator[Block]:
        """What is to be told though there are no lines to tell it with."""
        if not self._now:
            return
        untold = self._dropped or self._notes or self._must_say or self._now.place.skipping
        if untold or (not self._said and self._behind(self._now)):
            yield self._block(self._now, b"")

    def _behind(self, now: Reading) -> int:
        left = now.content.left(now.place.offset)
        try:
            live = self._settings.path.stat()
        except FileNotFoundError:
            return left + self._rotated
        if Identity.of(live) == now.place.identity:
            return left
        return left + self._rotated + live.st_size

    # From file to file

    def _start(self, place: Place | None) -> None:
        if place is None:
            self._now = rotation.beginning(self._settings)
            self._must_say = True  # the file may be rotated before it holds a line
        elif not place.finished:
            self._find(place)
        elif successor := rotation.after(self._settings, place, None):
            self._next = successor
            self._turn()

    def _find(self, place: Place) -> None:
        held, self._held = self._now.content if self._now else self._held, None
        self._now = None
        if held and held.identity != place.identity:
            held.close()
            held = None
        self._now = rotation.at(held, place) if held else None
        if not self._now and not place.offset:
            self._next = rotation.at_start(self._settings, place)
            self._turn()
            return
        self._now = self._now or rotation.found(self._settings, place)
        if self._now:
            self._rotated = rotation.rotated_bytes(self._settings, self._now)
            return
        self._next = rotation.after_loss(self._settings, place)
        self._turn()

    def _choose_next(self, now: Reading) -> bool:
        """Whether the file is done with and there is another one."""
        self._next = rotation.after(self._settings, now.place, now)
        if self._next and not self._is_quiet(now.content):
            self._rotated = self._next.rotated
            self._drop_next()
        return self._next is not None

    def _is_quiet(self, content: Content) -> bool:
        if content.compressed or time.time() - content.status().st_mtime >= QUIET:
            return True
        if content.rotated_since is None:
            content.rotated_since = time.monotonic()
        if time.monotonic() - content.rotated_since < PATIENCE:
            return False
        self._notes.append(STILL_WRITTEN)
        return True

    def _turn(self) -> None:
        """Turn to the next file, where one was chosen."""
        if not self._next:
            return
        if self._now:
            self._now.content.close()
        chosen, self._next = self._next, None
        done = self._now.place.done if self._now else chosen.place.done
        self._now, self._rotated = None, chosen.rotated
        self._notes += [chosen.note] if chosen.note else []
        self._now = rotation.at(chosen.content, replace(chosen.place, done=done))

    def _drop_next(self) -> None:
        if self._next:
            self._next.content.close()
            self._next = None

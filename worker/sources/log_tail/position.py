"""How far a log was read, and by what its files are known again."""

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from checks.ports import Cursor
from worker.sources.log_tail.file import KEPT, Content, Identity
from worker.sources.log_tail.lines import cut

REMEMBERED = 16
"""Rotated files that are known not to be read again."""

_GZIP_COUNTS_TO = 1 << 32


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _last(content: Content, offset: int) -> bytes:
    """The last bytes before an offset."""
    begin = max(0, offset - KEPT)
    return content.read(begin, offset - begin)


class Done(NamedTuple):
    """A file that is not to be read again, however it is called, copied or compressed."""

    inode: int
    size: int
    """Bytes of its content; -1 where nobody knows, and only its inode tells."""
    head: str
    """The digest of its first bytes."""
    tail: str
    """The digest of its last bytes."""

    @classmethod
    def of(cls, content: Content) -> "Done":
        """A file as it is."""
        size = -1 if content.size is None else content.size
        head = content.read(0, KEPT)
        # The last bytes of a compressed file are not to be had without reading all of it.
        tail = b"" if content.compressed else _last(content, size)
        return cls(content.identity.inode, size, _digest(head), _digest(tail))

    def is_(self, content: Content) -> bool:
        """Whether it is this file: the same bytes, in the same inode or nothing after them."""
        read = KEPT if self.size < 0 else min(self.size, KEPT)
        if _digest(content.read(0, read)) != self.head:
            return False
        is_moved = content.identity.inode == self.inode
        if not is_moved and (self.size < 0 or (content.measured() - self.size) % _GZIP_COUNTS_TO):
            return False
        return content.compressed or _digest(_last(content, self.size)) == self.tail


@dataclass(frozen=True, slots=True)
class Place:
    """How far a log was read. A file is told by its identity and by what was read of it."""

    identity: Identity
    offset: int = 0
    head: str = ""
    """The digest of the first bytes, up to `offset`."""
    tail: str = ""
    """The digest of the last bytes before `offset`."""
    time: int = 0
    """When the file was last written, in ns since 1970: files rotated later are newer."""
    skipping: bool = False
    """Whether `offset` is inside a line that is too long."""
    finished: bool = False
    """Whether nothing more is to be read of this file."""
    done: tuple[Done, ...] = ()
    """Files that are not to be read again, the latest last."""
    path: str = ""
    """Where the file was when it was opened, whatever links led there."""

    def as_cursor(self) -> Cursor:
        """The place as a JSON object."""
        return asdict(self) | {
            "identity": [*self.identity],
            "done": [[*each] for each in self.done],
        }

    @classmethod
    def of(cls, cursor: Cursor) -> "Place":
        """The place of a JSON object that `as_cursor` made."""
        done = tuple(Done(*each) for each in cursor["done"])
        return cls(**{**cursor, "identity": Identity(*cursor["identity"]), "done": done})

    def begins(self, content: Content) -> bool:
        """Whether a file begins like the one that was read; false when nothing was read of it."""
        read = min(self.offset, KEPT)
        return read > 0 and _digest(content.read(0, read)) == self.head


class ReplacedError(Exception):
    """The file no longer holds what was read of it: it was truncated, and has perhaps grown."""


class Reading:
    """One file that is being read."""

    def __init__(self, content: Content, place: Place) -> None:
        """Raises ReplacedError when the content is not what was read up to the place."""
        self.content = content
        self.place = replace(place, identity=content.identity, path=content.path)
        self._head = content.read(0, min(place.offset, KEPT))
        if place.offset and _digest(self._head) != place.head:
            raise ReplacedError
        self._tail = _last(content, place.offset)
        if place.offset and _digest(self._tail) != place.tail:
            raise ReplacedError
        self._keep_time()

    @classmethod
    def at_end(cls, content: Content, longest: int) -> "Reading":
        """Begin where the last whole line ends."""
        size = content.measured()
        last = content.read(max(0, size - longest - 1), longest + 1)
        rest = len(last) - last.rfind(b"\n") - 1
        # Without a line feed the end is inside a line: one that is too long, or the first.
        skipping = rest > longest
        offset = size if skipping else size - rest
        head = content.read(0, min(offset, KEPT))
        tail = _digest(_last(content, offset))
        place = Place(content.identity, offset, _digest(head), tail, skipping=skipping)
        return cls(content, place)

    def next(self, size: int, longest: int) -> tuple[bytes, int, bool]:
        """Whole lines of the next bytes, how many were too long, and whether they are the last.

        Raises ReplacedError.
        """
        data = self._read(size)
        got = cut(data, longest, skipping=self.place.skipping)
        self._pass(data[: got.used], skipping=got.skipping)
        return got.text, got.dropped, len(data) < size

    def finish(self, longest: int) -> bytes | None:
        """The last line of a file that is not written any more, though it has no line feed.

        None when there are whole lines all the same. Raises ReplacedError.
        """
        rest = self._rest(longest)
        if b"\n" in rest:
            return None
        done = self.as_done(longest)
        self._pass(rest, skipping=False)
        latest = (*self.place.done, *([done] if done.size or self.content.damage else []))
        self.place = replace(self.place, finished=True, done=latest[-REMEMBERED:])
        last = rest.lstrip(b"\0")
        return last + b"\n" if last and not self.content.damage else b""

    def as_done(self, longest: int) -> Done:
        """What this file will be known by if it is left as it is."""
        rest = self._rest(longest)
        return Done(
            self.place.identity.inode,
            self.place.offset + len(rest),
            _digest((self._head + rest)[:KEPT]),
            _digest((self._tail + rest)[-KEPT:]),
        )

    def _rest(self, longest: int) -> bytes:
        return b"" if self.place.skipping else self._read(longest)

    def _read(self, size: int) -> bytes:
        # Together with what is before it, which tells when the file was truncated and grew again.
        before = len(self._tail)
        data = self.content.read(self.place.offset - before, before + size)
        if data[:before] != self._tail:
            raise ReplacedError
        self._keep_time()
        return data[before:]

    def _keep_time(self) -> None:
        # What compresses a file may give it a time of its own, later than those of newer files.
        if not self.content.compressed:
            self.place = replace(self.place, time=self.content.status().st_mtime_ns)

    def _pass(self, data: bytes, *, skipping: bool) -> None:
        self._head = (self._head + data[:KEPT])[:KEPT]
        self._tail = (self._tail + data[-KEPT:])[-KEPT:]
        self.place = replace(
            self.place,
            offset=self.place.offset + len(data),
            head=_digest(self._head),
            tail=_digest(self._tail),
            skipping=skipping,
        )

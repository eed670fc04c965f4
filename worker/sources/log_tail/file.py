"""What a file of a log holds, plain or compressed, read at any offset."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from worker.sources.log_tail.compression import (
    LOOKED_AT,
    DamagedError,
    Decoder,
    Gzip,
    decoder_of,
    unread_format,
)

STEP = 1 << 15
"""Compressed bytes that are read at a time."""

PIECE = 1 << 18
"""Bytes that are decompressed at a time."""

KEPT = 1024
"""Bytes before what was asked for last that can be asked for again at no cost."""

_MOST_MEASURED = 256
_measured: dict[tuple[int, ...], int] = {}
"""The size of the content of files, by identity, time and size."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegularError(OSError):
    """There is something that is no file to be read; opening it could wait forever."""


class Identity(NamedTuple):
    """Which file it is, whatever its name. A deleted file's identity may come back as another."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The identity of a file by its status."""
        return cls(status.st_dev, status.st_ino)


def _refuse_irregular(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise NotRegularError(errno.EINVAL, f"it is {_KINDS.get(kind, 'no file')}")


class Content:
    """An open file as it is."""

    compressed = False
    damage: str | None = None
    """What is wrong with a compressed file, once reading has come there."""
    rotated_since: float | None = None
    """From when on it is known to be rotated out, by the monotonic clock."""
    path = ""
    """Where it was when it was opened, whatever links led there."""

    def __init__(self, descriptor: int) -> None:
        """The descriptor belongs to this object from here on."""
        self._descriptor = descriptor
        self.identity = Identity.of(self.status())

    @staticmethod
    def open(path: Path) -> "Content":
        """Open a regular file, plain or compressed. Raises OSError; never waits."""
        _refuse_irregular(path.stat())
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _refuse_irregular(os.fstat(descriptor))
            content = _content(descriptor, os.pread(descriptor, LOOKED_AT, 0))
        except BaseException:
            os.close(descriptor)
            raise
        content.path = os.path.realpath(path)
        return content

    def status(self) -> os.stat_result:
        """The file's status at present."""
        return os.fstat(self._descriptor)

    @property
    def size(self) -> int | None:
        """Bytes of the content; None where the file does not tell."""
        return self.status().st_size

    def measured(self) -> int:
        """Bytes of the content."""
        return self.status().st_size

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on; fewer only where the content ends."""
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size and (more := self._more(data, offset, size)):
            data += more
        return data

    def left(self, offset: int) -> int:
        """Bytes of the file that come after an offset of the content."""
        return max(0, self.status().st_size - offset)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _more(self, data: bytes, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size - len(data), offset + len(data))


def _content(descriptor: int, begins: bytes) -> Content:
    if make := decoder_of(begins):
        return Compressed(descriptor, make)
    if name := unread_format(begins):
        return Foreign(descriptor, name)
    return Content(descriptor)


class Compressed(Content):
    """An open file that gzip, bzip2, xz or zstd made. Offsets are those of the content.

    Reading goes forwards; to go back is to begin anew. Memory is bounded whatever the file holds.
    """

    compressed = True

    def __init__(self, descriptor: int, make: Callable[[], Decoder]) -> None:
        """`make` makes what decompresses a member of it."""
        super().__init__(descriptor)
        self._make = make
        self._first = b""
        self._rewind()

    @property
    def size(self) -> int | None:
        """Bytes of the content, modulo 4 GiB, where the file itself tells: one of gzip does."""
        if self._make is not Gzip:
            return None
        end = self.status().st_size
        return int.from_bytes(os.pread(self._descriptor, 4, max(0, end - 4)), "little")

    def measured(self) -> int:
        """See `Content.measured`. Where the file does not tell, all of it is decompressed once."""
        if (told := self.size) is not None:
            return told
        status = self.status()
        known = (*self.identity, status.st_mtime_ns, status.st_size)
        if known not in _measured:
            while len(_measured) >= _MOST_MEASURED:
                _measured.pop(next(iter(_measured)), None)
            _measured[known] = self._count()
        return _measured[known]

    def read(self, offset: int, size: int) -> bytes:
        """See `Content.read`."""
        if offset + size <= len(self._first):
            return self._first[offset : offset + size]
        if offset < self._start:
            self._rewind()
        self._forget(offset - KEPT)
        while not self._over and self._start + len(self._window) < offset + size:
            self._window += self._next()
            self._forget(offset - KEPT)
        begin = offset - self._start
        return self._window[begin : begin + size]

    def left(self, offset: int) -> int:
        """Compressed bytes not yet read, or decompressed ones of the last piece."""
        decompressed = self._start + len(self._window) - offset
        return max(0, self.status().st_size - self._position, decompressed)

    def _count(self) -> int:
        """The bytes of the content, by another reader of the same file, which is left alone."""
        other = Compressed(os.dup(self._descriptor), self._make)
        try:
            number = 0
            while not other._over:
                number += len(other._next())
            return number
        finally:
            other.close()

    def _rewind(self) -> None:
        self.damage = None
        self._over = False
        self._position = 0
        self._raw = b""
        self._decoder: Decoder | None = None
        self._start = 0
        self._window = b""

    def _forget(self, offset: int) -> None:
        passed = min(offset - self._start, len(self._window))
        if passed > 0:
            self._first = self._first or self._window[:KEPT]
            self._start += passed
            self._window = self._window[passed:]

    def _next(self) -> bytes:
        if not self._raw and not (self._decoder and self._decoder.has_more):
            self._raw = os.pread(self._descriptor, STEP, self._position)
            self._position += len(self._raw)
            if not self._raw:
                return self._end()
        if self._decoder is None:
            if self._position > len(self._raw):
                self._raw = self._raw.lstrip(b"\0")  # padding between members, or after the last
            if not self._raw:
                return b""
            self._decoder = self._make()
        return self._decompress(self._decoder)

    def _decompress(self, decoder: Decoder) -> bytes:
        try:
            piece, self._raw = decoder.feed(self._raw, PIECE)
        except DamagedError as error:
            self._over, self.damage = True, "is damaged"
            return error.salvaged
        if decoder.is_over:
            self._decoder = None
        return piece

    def _end(self) -> bytes:
        self._over = True
        if self._decoder is None:
            return b""
        self.damage = "ends too early"
        return self._decoder.flush()


class Foreign(Content):
    """An open file of a compression that is not read here: it has no content, and says so."""

    compressed = True

    def __init__(self, descriptor: int, name: str) -> None:
        """`name` is what made it."""
        super().__init__(descriptor)
        self.made_by = name
        self.damage = f"was made by {name}, which is not read here"

    @property
    def size(self) -> int | None:
        """See `Content.size`."""
        return None

    def measured(self) -> int:
        """See `Content.measured`."""
        return 0

    def read(self, offset: int, size: int) -> bytes:  # noqa: ARG002 - there is nothing
        """See `Content.read`."""
        return b""

    def left(self, offset: int) -> int:  # noqa: ARG002 - there is nothing
        """See `Content.left`."""
        return 0


def lost(content: Content) -> str:
    """What to say of a compressed file that could not be read, or not to its end."""
    if isinstance(content, Foreign):
        return f"{Path(content.path).name} {content.damage}: what was not read before is lost"
    return f"a compressed file {content.damage}: the rest of it is lost"

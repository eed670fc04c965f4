"""What a file of a log holds, plain or compressed by gzip, read at any offset."""

import errno
import os
import stat
import zlib
from pathlib import Path
from typing import NamedTuple, Self

STEP = 1 << 15
"""Compressed bytes that are read at a time."""

PIECE = 1 << 18
"""Bytes that are decompressed at a time."""

KEPT = 1024
"""Bytes before what was asked for last that can be asked for again at no cost."""

_MAGIC = b"\x1f\x8b\x08"
_GZIP = 16 + zlib.MAX_WBITS
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
            begins = os.pread(descriptor, len(_MAGIC), 0)
            content = Compressed(descriptor) if begins == _MAGIC else Content(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        content.path = os.path.realpath(path)
        return content

    def status(self) -> os.stat_result:
        """The file's status at present."""
        return os.fstat(self._descriptor)

    @property
    def size(self) -> int:
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
        return max(0, self.size - offset)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _more(self, data: bytes, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size - len(data), offset + len(data))


class Compressed(Content):
    """An open file that gzip made. Offsets are those of the decompressed content.

    Reading goes forwards; to go back is to begin anew. Memory is bounded whatever the file holds.
    """

    compressed = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._first = b""
        self._rewind()

    @property
    def size(self) -> int:
        """Bytes of the content, modulo 4 GiB, as the file itself tells."""
        end = self.status().st_size
        return int.from_bytes(os.pread(self._descriptor, 4, max(0, end - 4)), "little")

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

    def _rewind(self) -> None:
        self.damage = None
        self._over = False
        self._position = 0
        self._raw = b""
        self._decoder: zlib._Decompress | None = None
        self._start = 0
        self._window = b""

    def _forget(self, offset: int) -> None:
        passed = min(offset - self._start, len(self._window))
        if passed > 0:
            self._first = self._first or self._window[:KEPT]
            self._start += passed
            self._window = self._window[passed:]

    def _next(self) -> bytes:
        if not self._raw:
            self._raw = os.pread(self._descriptor, STEP, self._position)
            self._position += len(self._raw)
        if not self._raw:
            return self._end()
        if self._decoder is None:
            if self._start or self._window:
                self._raw = self._raw.lstrip(b"\0")  # padding between members, or after the last
            if not self._raw:
                return b""
            self._decoder = zlib.decompressobj(_GZIP)
        return self._decompress(self._decoder)

    def _decompress(self, decoder: "zlib._Decompress") -> bytes:
        before = decoder.copy()
        try:
            piece = decoder.decompress(self._raw, PIECE)
        except zlib.error:
            self._over, self.damage = True, "is damaged"
            return _salvaged(before, self._raw)
        self._raw = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        self._decoder = None if decoder.eof else decoder
        return piece

    def _end(self) -> bytes:
        self._over = True
        if self._decoder is None:
            return b""
        self.damage = "ends too early"
        return self._decoder.flush()


def _salvaged(decoder: "zlib._Decompress", raw: bytes) -> bytes:
    """What can be had of a piece up to its damage."""
    pieces = []
    try:
        for each in range(len(raw)):
            pieces.append(decoder.decompress(raw[each : each + 1]))  # noqa: PERF401 - kept on error
    except zlib.error:
        pass
    return b"".join(pieces)

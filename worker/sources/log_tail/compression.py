"""What compressed a file, known by how it begins, and the content piece by piece."""

import bz2
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd as zstd  # noqa: PLC0414 - for the tests, too
else:
    from backports import zstd as zstd  # noqa: PLC0414

LOOKED_AT = 10
"""Bytes by which a compressed file is known."""

_GZIP = 16 + zlib.MAX_WBITS

_MOST_MEMORY = 128 << 20
"""Bytes that a file may ask for to be decompressed: `xz -9` needs 65 MiB."""


class DamagedError(Exception):
    """The compressed bytes are not what they should be."""

    def __init__(self, salvaged: bytes = b"") -> None:
        super().__init__()
        self.salvaged = salvaged
        """The content up to the damage, as far as it can be had."""


class Decoder(Protocol):
    """One member of a compressed file; a file may have several, one after the other."""

    @property
    def is_over(self) -> bool:
        """Whether the member has ended."""

    @property
    def has_more(self) -> bool:
        """Whether there is more content without any further bytes."""

    def feed(self, raw: bytes, most: int) -> tuple[bytes, bytes]:
        """At most so many bytes of content, and what is left of the compressed bytes.

        Raises DamagedError.
        """

    def flush(self) -> bytes:
        """What is still held back of a member that ends too early."""


class Gzip:
    """See `Decoder`."""

    has_more = False

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP)

    @property
    def is_over(self) -> bool:
        """See `Decoder`."""
        return self._zlib.eof

    def feed(self, raw: bytes, most: int) -> tuple[bytes, bytes]:
        """See `Decoder`."""
        before = self._zlib.copy()
        try:
            piece = self._zlib.decompress(raw, most)
        except zlib.error:
            raise DamagedError(_salvaged(before, raw)) from None
        return piece, self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail

    def flush(self) -> bytes:
        """See `Decoder`."""
        return self._zlib.flush()


def _salvaged(decoder: "zlib._Decompress", raw: bytes) -> bytes:
    """What can be had of a piece up to its damage."""
    pieces = []
    try:
        for each in range(len(raw)):
            pieces.append(decoder.decompress(raw[each : each + 1]))  # noqa: PERF401 - kept on error
    except zlib.error:
        pass
    return b"".join(pieces)


class _Library(Protocol):
    """What the standard library has for all the others."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Buffered:
    """See `Decoder`: one that keeps the compressed bytes for which there was no room."""

    def __init__(self, library: _Library) -> None:
        self._library = library

    @property
    def is_over(self) -> bool:
        """See `Decoder`."""
        return self._library.eof

    @property
    def has_more(self) -> bool:
        """See `Decoder`."""
        return not self._library.needs_input and not self._library.eof

    def feed(self, raw: bytes, most: int) -> tuple[bytes, bytes]:
        """See `Decoder`."""
        try:
            piece = self._library.decompress(raw, most)
        except (OSError, EOFError, ValueError, MemoryError, lzma.LZMAError, zstd.ZstdError):
            raise DamagedError from None
        return piece, self._library.unused_data if self._library.eof else b""

    def flush(self) -> bytes:
        """See `Decoder`."""
        return b""


def _lzma() -> Decoder:
    return Buffered(lzma.LZMADecompressor(memlimit=_MOST_MEMORY))


_READ: Mapping[bytes, Callable[[], Decoder]] = {
    rb"\x1f\x8b\x08": Gzip,
    rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)": lambda: Buffered(bz2.BZ2Decompressor()),
    rb"\xfd7zXZ\x00": _lzma,
    rb"\x5d\x00\x00": _lzma,
    rb"(?:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)": lambda: Buffered(zstd.ZstdDecompressor()),
}
_UNREAD: Mapping[bytes, str] = {
    rb"\x04\x22\x4d\x18": "lz4",
    rb"\x1f[\x9d\xa0]": "compress",
    rb"\x89LZO": "lzop",
    rb"LZIP\x01": "lzip",
    rb"PK\x03\x04": "zip",
    rb"7z\xbc\xaf\x27\x1c": "7z",
    rb"\xff\x06\x00\x00sNaPpY": "snappy",
}


def decoder_of(begins: bytes) -> Callable[[], Decoder] | None:
    """What makes decoders for a file that begins so; None of one that is not compressed."""
    return next((make for magic, make in _READ.items() if re.match(magic, begins, re.DOTALL)), None)


def unread_format(begins: bytes) -> str | None:
    """The name of what compressed a file that begins so, if that is not read here."""
    return next((name for magic, name in _UNREAD.items() if re.match(magic, begins)), None)

"""Whole lines out of bytes, without those that are too long."""

import re
from typing import NamedTuple

_NULLS = re.compile(rb"\n\0+")
_ZEROS = bytes(1 << 12)


class Cut(NamedTuple):
    """What the next bytes of a log give."""

    text: bytes
    """Whole lines, each with its line feed."""
    used: int
    """Bytes that are done with."""
    dropped: int
    """Lines found to be too long."""
    skipping: bool
    """Whether the bytes end inside a line that is too long."""


def cut(data: bytes, longest: int, *, skipping: bool) -> Cut:
    """Cut bytes into whole lines; an unfinished line is left, unless it is too long already.

    `skipping` says that they begin inside a line that is too long; else they begin with a line.
    NULs with which a line begins are none of its bytes, however many there are: a program that did
    not open its log for appending leaves a hole there when the log is truncated. Progress is
    certain when there are more than `longest` bytes.
    """
    begin = 0
    if skipping:
        begin = data.find(b"\n") + 1
        if not begin:
            return Cut(b"", len(data), 0, skipping=True)
    begin = _after_nulls(data, begin)
    end = data.rfind(b"\n") + 1
    if end > begin:
        text, dropped = _without_long(_without_nulls(data[begin:end]), longest)
        return Cut(text, _after_nulls(data, end), dropped, skipping=False)
    if len(data) - begin > longest:
        return Cut(b"", len(data), 1, skipping=True)
    return Cut(b"", begin, 0, skipping=False)


def _after_nulls(data: bytes, begin: int) -> int:
    while data.startswith(_ZEROS, begin):
        begin += len(_ZEROS)
    rest = data[begin : begin + len(_ZEROS)]
    return begin + len(rest) - len(rest.lstrip(b"\0"))


def _without_nulls(text: bytes) -> bytes:
    return _NULLS.sub(b"\n", text) if b"\n\0" in text else text


def _without_long(text: bytes, longest: int) -> tuple[bytes, int]:
    lines = text.split(b"\n")
    if max(map(len, lines)) <= longest:
        return text, 0
    short = [line for line in lines if len(line) <= longest]
    return b"\n".join(short), len(lines) - len(short)

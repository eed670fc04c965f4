"""Whole lines out of bytes, without those that are too long."""

from typing import NamedTuple


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

    `skipping` says that they begin inside a line that is too long. Progress is certain when there
    are more than `longest` bytes.
    """
    begin = 0
    if skipping:
        begin = data.find(b"\n") + 1
        if not begin:
            return Cut(b"", len(data), 0, skipping=True)
    end = data.rfind(b"\n") + 1
    if end > begin:
        text, dropped = _without_long(data[begin:end], longest)
        return Cut(text, end, dropped, skipping=False)
    if len(data) - begin > longest:
        return Cut(b"", len(data), 1, skipping=True)
    return Cut(b"", begin, 0, skipping=False)


def _without_long(text: bytes, longest: int) -> tuple[bytes, int]:
    lines = text.split(b"\n")
    if max(map(len, lines)) <= longest:
        return text, 0
    short = [line for line in lines if len(line) <= longest]
    return b"\n".join(short), len(lines) - len(short)

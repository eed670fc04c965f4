"""The files beside a log: what it was called, copied or compressed to."""

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from worker.sources.log_tail.file import Content, Identity
from worker.sources.log_tail.position import Done

_LARGEST_NUMBER = 9999
"""Rotated files that count are numbered up to here; what is larger is a date."""


class MovingError(Exception):
    """Files are being renamed at this very moment: look again later."""


class Sibling(NamedTuple):
    """A file beside the log."""

    path: Path
    identity: Identity
    time: int
    """When it was last written, in ns since 1970."""
    size: int

    @property
    def age(self) -> tuple[int, int]:
        """Sorts the oldest first: by time, then by number (downwards) or date (upwards)."""
        numbers = re.findall(r"\d+", self.path.name)
        number = int(numbers[-1]) if numbers else 0
        return self.time, -number if number <= _LARGEST_NUMBER else number

    def open(self) -> Content:
        """Open it. Raises OSError, and MovingError when it has gone or is another file by now."""
        try:
            content = Content.open(self.path)
        except FileNotFoundError:
            raise MovingError from None
        if content.identity != self.identity:
            content.close()
            raise MovingError
        return content


def sibling(path: Path) -> Sibling | None:
    """The regular file of a name; None when there is none. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Sibling(path, Identity.of(status), status.st_mtime_ns, status.st_size)


def siblings(path: Path, patterns: Collection[str]) -> list[Sibling]:
    """The regular files beside a log that are named as it is when rotated, the oldest first.

    Raises OSError, and MovingError while they are being renamed: one could have been overlooked.
    """
    found = _listed(path, patterns)
    if [each[:2] for each in found] != [each[:2] for each in _listed(path, patterns)]:
        raise MovingError
    paths = {each.path for each in found}
    unique = {each.identity: each for each in found if not _is_being_made(each.path, paths)}
    return sorted(unique.values(), key=lambda each: each.age)


def unread(
    found: Collection[Sibling], time: int, done: Collection[Done], others: Collection[Identity]
) -> Iterator[Sibling]:
    """Those last written at a time or later, neither done with nor among some others."""
    for each in found:
        if each.time >= time and each.identity not in others and _has_news(each, done):
            yield each


def done_with(found: Collection[Sibling]) -> Iterator[Done]:
    """What the files that can be read are known by."""
    for each in found:
        try:
            content = each.open()
        except (OSError, MovingError):
            continue
        try:
            if content.size:
                yield Done.of(content)
        finally:
            content.close()


def _listed(path: Path, patterns: Collection[str]) -> list[Sibling]:
    wanted = patterns or [glob.escape(path.name) + end for end in (".*", "-*")]
    found = []
    with os.scandir(path.parent) as entries:
        for entry in entries:
            named = any(fnmatch.fnmatchcase(entry.name, each) for each in wanted)
            if named and entry.name != path.name and (one := sibling(Path(entry.path))):
                found.append(one)
    return sorted(found)


def _is_being_made(path: Path, others: Collection[Path]) -> bool:
    """Whether it is compressed, perhaps not to its end, from a file that is still there."""
    return bool(path.suffix) and path.with_suffix("") in others and not path.suffix[1:].isdigit()


def _has_news(one: Sibling, done: Collection[Done]) -> bool:
    content = one.open()
    try:
        return content.read(0, 1) != b"" and not any(each.is_(content) for each in done)
    finally:
        content.close()

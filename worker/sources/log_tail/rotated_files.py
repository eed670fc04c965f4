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

_MOST_LINKS = 40
"""As Linux follows."""

_DATE = re.compile(r"(?:19|20)\d\d[-_.]?\d\d[-_.]?\d\d(?:[-_.T]?\d\d(?:[-_.:]?\d\d){0,2})?(?!\d)")


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


def siblings(path: Path, patterns: Collection[str], last: str = "") -> list[Sibling]:
    """The regular files beside a log that are named as it is when rotated, the oldest first.

    Where the log is a link, they are also sought beside what it leads to, and beside the file that
    was read last: that link may lead elsewhere by now. Raises OSError, and MovingError while they
    are being renamed: one could have been overlooked.
    """
    found = _listed(path, patterns, last)
    if [each[:2] for each in found] != [each[:2] for each in _listed(path, patterns, last)]:
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
            if content.read(0, 1) or content.damage:
                yield Done.of(content)
        finally:
            content.close()


def _listed(path: Path, patterns: Collection[str], last: str) -> list[Sibling]:
    named = _links(path)
    others = [Path(last)] if last and Path(last) not in named else []
    found: dict[Path, Sibling] = {}
    for base in (*named, *others):
        wanted = patterns or [glob.escape(base.name) + end for end in (".*", "-*")]
        names = [re.compile(fnmatch.translate(each)) for each in wanted]
        if len(named) > 1 and not patterns:
            names.append(_alike(base.name))
        found |= {each.path: each for each in _in_folder(base, names, is_own=base == path)}
    if others and (one := sibling(others[0])):
        found[one.path] = one
    return sorted(each for each in found.values() if each.path not in named)


def _in_folder(
    base: Path, names: Collection[re.Pattern[str]], *, is_own: bool
) -> Iterator[Sibling]:
    try:
        entries = os.scandir(base.parent)
    except (FileNotFoundError, NotADirectoryError):
        if is_own:
            raise
        return  # a link that leads nowhere, or a folder that was removed together with its files
    with entries:
        for entry in entries:
            is_named = any(each.fullmatch(entry.name) for each in names)
            if is_named and (one := sibling(Path(entry.path))):
                yield one


def _links(path: Path) -> list[Path]:
    """A path, and each that a link of the one before leads to."""
    found = [path]
    try:
        while found[-1].is_symlink() and len(found) < _MOST_LINKS:
            found.append(found[-1].parent / found[-1].readlink())
    except FileNotFoundError:
        raise MovingError from None
    return found


def _alike(name: str) -> re.Pattern[str]:
    """The names that a link may have led to before, or may lead to next: of another day or number.

    `access-2026-11-30.log` is followed by `access-2026-12-01.log`, and `0.log` by `1.log`.
    """
    stem = re.match(r"\d+(?=\.)", name)
    parts = [name[: stem.end()], name[stem.end() :]] if stem else _DATE.split(name)
    between = r"\d+" if stem else _DATE.pattern
    if stem:
        parts[0] = ""
    return re.compile(between.join(re.escape(each) for each in parts) + r"(?:[.-].*)?")


def _is_being_made(path: Path, others: Collection[Path]) -> bool:
    """Whether it is compressed, perhaps not to its end, from a file that is still there."""
    return bool(path.suffix) and path.with_suffix("") in others and not path.suffix[1:].isdigit()


def _has_news(one: Sibling, done: Collection[Done]) -> bool:
    content = one.open()
    try:
        has_any = bool(content.read(0, 1) or content.damage)
        return has_any and not any(each.is_(content) for each in done)
    finally:
        content.close()

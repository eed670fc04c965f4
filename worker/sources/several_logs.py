"""Several files that are one log: one of each pod, or of each replica."""

import fnmatch
import glob
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks.contract import CheckError, RunStopped
from checks.http_log.formats import LineFormat
from checks.ports import Block, Cursor
from worker.config import AccessLogSettings
from worker.sources.access_log import AccessLog

MOST_FILES = 200
"""Files of one log. Each of them stays open between two runs."""

ABSENT = 60.0
"""Seconds after which a file that is not there any more is gone: rotation takes a moment."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the configured names lead to."""

    files: tuple[Path, ...]
    missing: tuple[str, ...]
    """Names of which there is no file."""
    notes: tuple[str, ...]


class SeveralLogs:
    """See `checks.ports.AccessLog`. The files come and go; each is followed by itself.

    A place holds that of each file. A file that was not there when the log was first read is read
    from its start. One that is gone is read to its end as far as it is still open.
    """

    def __init__(self, name: str, settings: AccessLogSettings) -> None:
        self.name = name
        self._settings = settings
        self._logs: dict[str, AccessLog] = {}
        self._lock = threading.Lock()
        self._closing = False

    @property
    def format(self) -> LineFormat:
        """See `checks.ports.AccessLog`."""
        return self._settings.line_format

    def blocks(self, place: Cursor | None) -> Iterator[Block]:
        """See `checks.ports.AccessLog`. The last block tells what of the log is missing."""
        run = _Run(_files_of(place, self._settings))
        found = self._found()
        is_first = place is None
        parts = {
            str(path): self._log(path, is_first).blocks(run.place(str(path)))
            for path in found.files
        }
        parts |= self._absent(run, parts)
        while parts:
            for path, blocks in list(parts.items()):
                try:
                    yield run.taken(path, next(blocks))
                except StopIteration:
                    del parts[path]
                except RunStopped:
                    raise
                except CheckError as error:
                    del parts[path]
                    run.failed(path, str(error), was_found=Path(path) in found.files)
        yield run.end(self.name, found)

    def close(self) -> None:
        """Let go of all files, and stop the runs along them."""
        with self._lock:
            self._closing = True
            logs = list(self._logs.values())
        for each in logs:
            each.close()

    def _absent(self, run: "_Run", found: Mapping[str, Any]) -> dict[str, Iterator[Block]]:
        """What is left of files that are not there any more."""
        rest: dict[str, Iterator[Block]] = {}
        for path in run.absent(found):
            place = run.place(path)
            if place is not None and run.is_gone(path):
                rest[path] = self._log(Path(path), is_first=False).rest(place)
                self._logs.pop(path, None)
                run.forget(path)
        return rest

    def _log(self, path: Path, is_first: bool) -> AccessLog:  # noqa: FBT001
        known = self._logs.get(str(path))
        if known:
            return known
        begin = self._settings.begin if is_first else "start"
        changes = {"path": path, "also": (), "begin": begin}
        made = AccessLog(self.name, self._settings.model_copy(update=changes))
        with self._lock:
            if self._closing:
                raise RunStopped("the worker is stopping")
            self._logs[str(path)] = made
        return made

    def _found(self) -> _Found:
        named: dict[Path, None] = {}
        missing: list[str] = []
        for pattern in self._settings.patterns:
            paths = _matching(pattern)
            if not paths:
                missing.append(pattern)
            named |= dict.fromkeys(paths)
        files, notes = _each_once(_without_rotated(named, self._settings.rotated))
        if len(files) > MOST_FILES:
            message = f"access log {self.name}: {len(files)} files are more than {MOST_FILES}"
            raise CheckError(message, permanent=True)
        return _Found(tuple(files), tuple(missing), tuple(notes))


class _Run:
    """What a run along several files comes to."""

    def __init__(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        self._files: dict[str, dict[str, Any]] = {path: dict(each) for path, each in files.items()}
        self._behind: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._gone: list[str] = []

    def place(self, path: str) -> Cursor | None:
        """Where a file is read on."""
        return self._files.get(path, {}).get("place")

    def absent(self, found: Mapping[str, Any]) -> list[str]:
        """The files that were read and are not there now, with since when that is."""
        for path, each in self._files.items():
            if path in found:
                each.pop("absent", None)
            else:
                each.setdefault("absent", time.time())
        return [path for path in self._files if path not in found]

    def is_gone(self, path: str) -> bool:
        """Whether a file is away for so long that it does not come back."""
        return bool(abs(time.time() - self._files[path]["absent"]) >= ABSENT)

    def forget(self, path: str) -> None:
        """A file of which the rest is read now."""
        del self._files[path]
        self._gone.append(path)

    def taken(self, path: str, block: Block) -> Block:
        """A block of a file as one of the whole log."""
        if path not in self._gone:
            self._files[path] = {"place": block.place}
        self._behind[path] = block.behind
        return self._whole(block.text, block.dropped, block.note, path)

    def failed(self, path: str, why: str, *, was_found: bool) -> None:
        """A file that cannot be read."""
        if was_found or path in self._gone:
            self._failed[path] = why

    def end(self, name: str, found: _Found) -> Block:
        """What is to be told of the whole. Raises CheckError where nothing can be read."""
        unread = {path: why for path, why in self._failed.items() if path not in self._gone}
        number = len(found.files) + len(found.missing)
        lost = len(unread) + len(found.missing)
        if lost == number:
            told = next(iter(unread.values()), f"no file is named {', '.join(found.missing)}")
            raise CheckError(told if unread else f"access log {name} cannot be read: {told}")
        notes = [*found.notes, *(self._failed[path] for path in self._gone if path in self._failed)]
        if lost:
            reasons = (*unread.values(), *(f"no file is named {each}" for each in found.missing))
            notes.append(f"{lost} of {number} files are missing: {'; '.join(reasons)}")
        missing = lost / number
        return self._whole(b"", {}, "; ".join(notes) or None, "", missing)

    def _whole(
        self,
        text: bytes,
        dropped: Mapping[str, int],
        note: str | None,
        origin: str,
        missing: float = 0.0,
    ) -> Block:
        place = {"files": {path: dict(each) for path, each in self._files.items()}}
        behind = sum(self._behind.values())
        return Block(text, place, behind, dropped, note, origin=origin, missing=missing)


def _files_of(place: Cursor | None, settings: AccessLogSettings) -> Mapping[str, Any]:
    """The places of the files; of a log that was one file, that one's."""
    if place is None:
        return {}
    if "files" in place:
        files: Mapping[str, Any] = place["files"]
        return files
    path = str(settings.path)
    return {path if settings.path.exists() else place.get("path", path): {"place": place}}


def _matching(pattern: str) -> list[Path]:
    """The files of a name; one that is there just so is no pattern."""
    if Path(pattern).exists():
        return [Path(pattern)]
    return [Path(each) for each in sorted(_named(pattern)) if Path(each).is_file()]


def _named(pattern: str) -> list[str]:
    return glob.glob(pattern)  # noqa: PTH207 - a pattern of its own, absolute or not


def _without_rotated(paths: Iterable[Path], rotated: tuple[str, ...]) -> list[Path]:
    """The files that are not rotated ones of another: these are read along with it."""
    every = list(paths)

    def is_rotated(path: Path) -> bool:
        return any(
            path.parent == other.parent
            and any(
                fnmatch.fnmatchcase(path.name, each)
                for each in rotated or (f"{glob.escape(other.name)}[.-]*",)
            )
            for other in every
            if other != path
        )

    return [path for path in every if not is_rotated(path)]


def _each_once(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The files, each by its first name, and notes on those that have several."""
    known: dict[tuple[int, int], Path] = {}
    files: list[Path] = []
    notes: list[str] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            files.append(path)  # which is told when it is read
            continue
        first = known.setdefault((status.st_dev, status.st_ino), path)
        if first is path:
            files.append(path)
        else:
            notes.append(f"{path} is the file {first}, and is read once")
    return files, notes

"""An access log, followed as it grows and rotates: every line once, in order, or it is said."""

import bz2
import errno
import gzip
import json
import lzma
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.contract import CheckError, RunStopped
from checks.ports import Block, Cursor
from tests.support import ENDS_WITH_US
from tests.support.examples import examples
from tests.support.patience import wait_until
from worker.config import AccessLogSettings
from worker.sources import access_log
from worker.sources.access_log import AccessLog, read_file
from worker.sources.log_tail import file as content
from worker.sources.log_tail import rotated_files, rotation, tail
from worker.sources.log_tail.compression import zstd
from worker.sources.log_tail.lines import cut

NAME = "access.log"


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are a quarter as large as they are, so that the logs of tests have several."""
    for module in (tail, access_log):
        monkeypatch.setattr(module, "BLOCK", 1 << 18)


@pytest.fixture(autouse=True)
def _quiet_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a rotated file to be quiet, unless it says so."""
    monkeypatch.setattr(tail, "QUIET", 0.0)


@dataclass
class Reader:
    """A worker that follows a log and keeps its place."""

    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    place: Cursor | None = None
    text: bytes = b""
    notes: list[str] = field(default_factory=list)
    dropped: int = 0
    log: AccessLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = AccessLog("web", AccessLogSettings(path=self.path, **self.options))

    def take(self, block: Block) -> None:
        """Keep what a block holds."""
        self.place = json.loads(json.dumps(block.place))
        self.text += block.text
        self.notes += [block.note] if block.note else []
        self.dropped += block.dropped.get("too_long", 0)

    def read(self) -> bytes:
        """Read to the end; gives what is new."""
        before = len(self.text)
        for block in self.log.blocks(self.place):
            self.take(block)
        return self.text[before:]

    def restart(self) -> None:
        """Begin a new process, as far as the log knows."""
        self.log.close()
        self.__post_init__()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a log that does not exist yet."""
    return tmp_path / NAME


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    """A reader of that log."""
    reader = Reader(path)
    yield reader
    reader.log.close()


def write(path: Path, text: bytes) -> None:
    """Append to a log."""
    with path.open("ab") as log:
        log.write(text)


_numbers = count()


def lines(number: int) -> bytes:
    """Lines, none of which was ever written before."""
    return b"".join(b"line %d\n" % next(_numbers) for _ in range(number))


def shift(path: Path, *, deleted_after: int = 99) -> None:
    """Rename what was rotated before, as logrotate does: `.1` becomes `.2`."""
    for number in range(20, 0, -1):
        for end in ("", *COMPRESSED):
            old = path.with_name(f"{path.name}.{number}{end}")
            if old.exists():
                old.rename(path.with_name(f"{path.name}.{number + 1}{end}"))
                if number >= deleted_after:
                    path.with_name(f"{path.name}.{number + 1}{end}").unlink()


def rename(path: Path, *, create: bool = True) -> Path:
    """Rotate a log by renaming it."""
    shift(path)
    rotated = path.with_name(f"{path.name}.1")
    path.rename(rotated)
    if create:
        path.touch()
    return rotated


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda text: lzma.compress(text, lzma.FORMAT_ALONE),
    ".zst": zstd.compress,
}


def compress(path: Path, *, keeps_time: bool = True, ending: str = ".gz") -> Path:
    """Replace a file by its compressed form; `gzip` keeps its time, other programs do not."""
    status = path.stat()
    compressed = path.with_name(path.name + ending)
    compressed.write_bytes(COMPRESSED[ending](path.read_bytes()))
    if keeps_time:
        os.utime(compressed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()
    return compressed


def copy_and_truncate(path: Path) -> Path:
    """Rotate a log by copying it."""
    shift(path)
    copy = path.with_name(f"{path.name}.1")
    shutil.copyfile(path, copy)
    os.truncate(path, 0)
    return copy


# Growth


def test_lines_are_read_once(path: Path, reader: Reader) -> None:
    """What was read is not read again; what is added is read next."""
    write(path, b"a\nb\n")
    assert reader.read() == b"a\nb\n"
    assert reader.read() == b""
    write(path, b"c\n")
    assert reader.read() == b"c\n"
    assert list(reader.log.blocks(reader.place)) == []


@pytest.mark.parametrize("restart", [False, True])
def test_an_unfinished_line_is_left(path: Path, reader: Reader, restart: bool) -> None:  # noqa: FBT001
    """The end of the log without a line feed is read once it has one."""
    write(path, b"a\nhalf")
    assert reader.read() == b"a\n"
    if restart:
        reader.restart()
    assert reader.read() == b""
    write(path, b" a line\n")
    assert reader.read() == b"half a line\n"


def test_blocks_are_of_bounded_size_and_tell_what_is_left(path: Path, reader: Reader) -> None:
    """A long log comes in blocks of a size at most, each of which says what comes after it."""
    text = lines(100_000)
    write(path, text)
    blocks = list(reader.log.blocks(None))
    assert b"".join(block.text for block in blocks) == text
    assert max(len(block.text) for block in blocks) <= 1 << 18
    assert all(block.text.endswith(b"\n") for block in blocks)
    read = 0
    for block in blocks:
        read += len(block.text)
        assert block.behind == len(text) - read


def test_bytes_are_left_as_they_are(path: Path, reader: Reader) -> None:
    """Whatever bytes somebody wrote come out, carriage returns included, and NULs inside a line."""
    text = bytes(range(1, 256)).replace(b"\n", b"\0") + b"\r\n\n\xff\xfe\0\n"
    write(path, text)
    assert reader.read() == text


def test_a_run_ends_in_time(path: Path) -> None:
    """When the time is up the run ends, tells what is left, and the next one goes on."""
    text = lines(60_000)
    write(path, text)
    reader = Reader(path, {"time_limit": timedelta(microseconds=1)})
    runs = 0
    while len(reader.text) < len(text):
        (block,) = reader.log.blocks(reader.place)
        reader.take(block)
        assert block.behind == len(text) - len(reader.text)
        runs += 1
    assert reader.text == text
    assert runs > 1
    reader.log.close()


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_not_consumed_is_read_again(path: Path, reader: Reader, restart: bool) -> None:  # noqa: FBT001
    """A place that was not kept does not count, in the same process and in the next."""
    text = lines(60_000)
    write(path, text)
    blocks = reader.log.blocks(None)
    reader.take(next(blocks))
    next(blocks)
    del blocks
    if restart:
        reader.restart()
    reader.read()
    assert reader.text == text


# The beginning


def test_by_default_the_live_file_is_read_from_its_start(path: Path, reader: Reader) -> None:
    """Without a place the live file is read, and none that was rotated out."""
    write(path.with_name(f"{NAME}.1"), b"old\n")
    write(path, b"a\n")
    assert reader.read() == b"a\n"


@pytest.mark.parametrize(
    ("written", "rest"), [(b"a\nb\n", b""), (b"a\nhal", b"half\n"), (b"", b"")]
)
def test_to_begin_at_the_end(path: Path, written: bytes, rest: bytes) -> None:
    """`begin = "end"` begins where the last whole line ends, also while nothing comes."""
    reader = Reader(path, {"begin": "end"})
    write(path, written)
    assert reader.read() == reader.read() == b""
    write(path, b"f\nnew\n" if rest else b"new\n")
    assert reader.read() == rest + b"new\n"
    reader.log.close()


def test_to_begin_inside_a_line_that_is_too_long(path: Path) -> None:
    """When the log ends inside a line that is too long, reading begins after it."""
    reader = Reader(path, {"begin": "end", "longest_line": 256})
    write(path, b"a\n" + b"x" * 1000)
    reader.read()
    write(path, b"x\nnew\n")
    assert reader.read() == b"new\n"
    reader.log.close()


def test_rotation_before_the_first_line_was_read(path: Path, reader: Reader) -> None:
    """A log that was empty when it was first looked at is read from there, rotated or not."""
    path.touch()
    assert reader.read() == b""
    write(path, b"a\n")
    rename(path)
    reader.restart()
    write(path, b"b\n")
    assert reader.read() == b"a\nb\n"


def test_what_was_rotated_before_the_beginning_is_never_read(path: Path, reader: Reader) -> None:
    """A file from before the beginning is not read even if it is compressed only later."""
    old = path.with_name(f"{NAME}.1")
    write(old, b"old\n")
    write(path, b"a\n")
    assert reader.read() == b"a\n"
    compress(old, keeps_time=False)
    rename(path)
    write(path, b"b\n")
    assert reader.read() == b"b\n"


# Rotation


@pytest.mark.parametrize("restart", [False, True])
def test_a_renamed_file_is_read_to_its_end(path: Path, reader: Reader, restart: bool) -> None:  # noqa: FBT001
    """What is written to the old file, before the rename and after it, comes before the new one."""
    write(path, b"a\n")
    reader.read()
    write(path, b"b\n")
    old = rename(path)
    write(old, b"c\n")
    if restart:
        reader.restart()
    assert reader.read() == b"b\nc\n"
    write(old, b"d\n")  # the new file is still empty: the application has not reopened the log
    assert reader.read() == b"d\n"
    write(path, b"e\n")
    assert reader.read() == b"e\n"
    assert reader.notes == []


def test_a_rotated_file_is_left_when_it_is_quiet(
    path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the old file is written to the new one waits, and what waits there is told."""
    monkeypatch.setattr(tail, "QUIET", 3600.0)
    write(path, b"a\n")
    reader.read()
    old = rename(path)
    write(path, b"new\n")
    (block,) = reader.log.blocks(reader.place)
    assert (block.text, block.behind) == (b"", 4)
    write(old, b"b\n")
    assert reader.read() == b"b\n"
    os.utime(old, (0, time.time() - 3601))
    assert reader.read() == b"new\n"
    assert reader.notes == []


def test_a_rotated_file_that_is_never_quiet_is_left_at_last(
    path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that never reopens the log does not keep the new file from being read: a note."""
    monkeypatch.setattr(tail, "QUIET", 3600.0)
    write(path, b"a\n")
    reader.read()
    old = rename(path)
    write(path, b"new\n")
    assert reader.read() == b""
    monkeypatch.setattr(tail, "PATIENCE", 0.0)
    assert reader.read() == b"new\n"
    assert reader.notes == [tail.STILL_WRITTEN]
    write(old, b"late\n")
    rename(path)
    write(path, b"newer\n")
    assert reader.read() == b"newer\n"


def test_the_last_line_of_a_rotated_file_counts(path: Path, reader: Reader) -> None:
    """Without a line feed it is a line once the file is finished, and only then."""
    write(path, b"a\nlast")
    rename(path)
    reader.place = None
    path.unlink()
    path.with_name(f"{NAME}.1").rename(path)
    assert reader.read() == b"a\n"
    rename(path)
    assert reader.read() == b""
    write(path, b"b\n")
    assert reader.read() == b"last\nb\n"
    reader.restart()
    assert reader.read() == b""


@pytest.mark.parametrize("restart", [False, True])
def test_an_old_file_that_was_deleted(path: Path, reader: Reader, restart: bool) -> None:  # noqa: FBT001
    """It is read to its end through the open descriptor; after a restart its loss is told."""
    write(path, b"a\n")
    reader.read()
    write(path, b"b\n")
    rename(path).unlink()
    write(path, b"c\n")
    if restart:
        reader.restart()
    assert reader.read() == (b"c\n" if restart else b"b\nc\n")
    assert len(reader.notes) == restart
    assert reader.read() == b""
    assert len(reader.notes) == restart


NAMINGS: dict[str, Callable[[int], str]] = {
    "numbers": lambda age: f"{NAME}.{age}",
    "dates": lambda age: f"{NAME}-202601{30 - age}",
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("kind", ["plain", "compressed", "of one time", "compressed, of one time"])
@pytest.mark.parametrize("naming", NAMINGS)
def test_several_rotations_meanwhile(
    path: Path,
    reader: Reader,
    naming: str,
    kind: str,
    restart: bool,  # noqa: FBT001
) -> None:
    """Files that were rotated while nobody looked are read in order, compressed or not."""
    compressed, same_time = "compressed" in kind, "one time" in kind
    written = lines(3)
    write(path, written)
    os.utime(path, (0, time.time() - 3600))
    reader.read()
    now = time.time_ns() - 10**9
    for age in range(12, 0, -1):
        text = lines(3)
        write(path, text)
        written += text
        old = path.with_name(NAMINGS[naming](age))
        path.rename(old)
        os.utime(old, ns=(0, now if same_time else now - age * 1000))
        if compressed:
            compress(old)
    write(path, b"live\n")
    if restart:
        reader.restart()
    blocks = list(reader.log.blocks(reader.place))
    for block in blocks:
        reader.take(block)
    assert reader.text == written + b"live\n"
    assert blocks[-1].behind == 0
    if not compressed:
        left = [sum(len(later.text) for later in blocks[i + 1 :]) for i in range(len(blocks))]
        assert [block.behind for block in blocks] == left
    assert reader.notes == []


@pytest.mark.parametrize("keeps_time", [False, True])
def test_a_file_compressed_after_it_was_read_is_not_read_again(
    path: Path,
    reader: Reader,
    keeps_time: bool,  # noqa: FBT001
) -> None:
    """Compressing one rotation later (`delaycompress`), or at once, repeats nothing."""
    written = b""
    for _ in range(5):
        text = lines(3)
        written += text
        write(path, text)
        reader.read()
        if (older := path.with_name(f"{NAME}.1")).exists():
            compress(older, keeps_time=keeps_time)
        rename(path)
        reader.read()
        reader.restart()
    assert reader.text == written
    assert reader.notes == []


@pytest.mark.parametrize("compressed", [False, True])
def test_files_that_begin_alike_are_told_apart(
    path: Path,
    reader: Reader,
    compressed: bool,  # noqa: FBT001
) -> None:
    """A file that begins like one that was read is read all the same, compressed or not."""
    path.touch()
    reader.read()
    written = b""
    for number in range(3):
        for more in range(2):  # two rotations for each look
            write(path, text := b"# fields: time status\n" * 100 + lines(3 + 2 * number + more))
            written += text
            if compressed:
                compress(rename(path))
            else:
                rename(path)
        reader.restart()
        reader.read()
    write(path, b"live\n")
    reader.read()
    assert reader.text == written + b"live\n"
    assert reader.notes == []


def test_the_time_of_compression_is_no_time_of_writing(path: Path, reader: Reader) -> None:
    """A file compressed later than newer ones were written hides none of them."""
    now = time.time()
    write(path, b"a\n")
    os.utime(path, (0, now - 50))
    reader.read()
    write(path, b"b\n")
    first = rename(path)
    write(path, b"c\n")
    os.utime(path, (0, now - 40))
    rename(path)
    compressed = compress(first.with_name(f"{NAME}.2"))
    os.utime(compressed, (0, now - 20))
    write(path, b"d\n")
    reader.restart()
    assert reader.read() == b"b\nc\nd\n"


def test_a_shorter_copy_is_not_read_from_its_start(path: Path, reader: Reader) -> None:
    """What is left of the lost file is not taken for a newer one: nothing is read twice."""
    text = lines(500)
    write(path, text)
    reader.read()
    reader.restart()
    rename(path).unlink()
    path.with_name(f"{NAME}.1.gz").write_bytes(gzip.compress(text[:3000]))
    os.utime(path.with_name(f"{NAME}.1.gz"), (0, time.time() + 10))
    write(path, b"new\n")
    assert reader.read() == b"new\n"
    assert len(reader.notes) == 1


def test_an_empty_file_is_not_known_by_its_inode(path: Path, reader: Reader) -> None:
    """When nothing was read of a file, a newer one with its inode hides nothing."""
    path.touch()
    reader.read()
    reader.restart()
    write(path, b"a\n")
    compress(rename(path))
    write(path, b"b\n")
    assert reader.place
    status = path.stat()
    reader.place = {**reader.place, "identity": [status.st_dev, status.st_ino]}
    assert reader.read() == b"a\nb\n"


def test_a_folder_that_changes_while_it_is_listed(
    path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is renamed while the folder is listed is not overlooked: the next run looks."""
    write(path, b"a\n")
    reader.read()
    rename(path)
    write(path, b"b\n")
    rename(path)
    write(path, b"c\n")
    listed = rotated_files._listed
    with monkeypatch.context() as busy:
        cut = iter([0, 1] * 9)
        busy.setattr(rotated_files, "_listed", lambda *given: listed(*given)[next(cut) :])
        assert reader.read() == b""
    assert reader.read() == b"b\nc\n"


def test_a_compressed_file_is_gone_on_with_inside(path: Path, reader: Reader) -> None:
    """After a restart reading goes on in the middle of what was compressed meanwhile, any name."""
    text = lines(100_000)
    write(path, text)
    reader.take(next(reader.log.blocks(None)))
    assert len(reader.text) < len(text)
    reader.restart()
    compressed = compress(rename(path), keeps_time=False)
    compressed.rename(path.with_name(f"{NAME}-old"))
    write(path, b"new\n")
    reader.read()
    assert reader.text == text + b"new\n"
    assert reader.notes == []


def test_a_file_that_is_being_compressed_is_read_as_it_was(path: Path, reader: Reader) -> None:
    """Half of a compressed file beside its original is no loss, and nothing is read twice."""
    write(path, b"a\n")
    reader.read()
    write(path, b"b\n")
    first = rename(path)
    write(path, text := lines(1000))
    second = rename(path)
    write(path, b"c\n")
    for old in (first.with_name(f"{NAME}.2"), second):
        old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes())[:-20])
    reader.restart()
    assert reader.read() == b"b\n" + text + b"c\n"
    assert reader.notes == []


def test_names_can_be_given(tmp_path: Path) -> None:
    """`rotated` names the files that the log has once it is rotated; no others are looked at."""
    log = tmp_path / NAME
    reader = Reader(log, {"rotated": ["old-*"]})
    write(log, b"a\n")
    reader.read()
    log.rename(tmp_path / "old-1")
    write(log, b"b\n")
    log.rename(tmp_path / "old-2")
    write(tmp_path / f"{NAME}.notes", b"no log\n")
    write(log, b"c\n")
    reader.restart()
    assert reader.read() == b"b\nc\n"
    reader.log.close()


def test_a_rotation_that_is_under_way(path: Path, reader: Reader) -> None:
    """While there is no file of that name, but rotated ones, the next run is to look again."""
    write(path, b"a\n")
    old = rename(path, create=False)
    assert reader.read() == b""  # without a place
    old.rename(path)
    assert reader.read() == b"a\n"
    write(path, b"b\n")
    rename(path, create=False)
    reader.restart()
    assert reader.read() == b"b\n"
    assert reader.read() == b""
    write(path, b"c\n")
    assert reader.read() == b"c\n"


@pytest.mark.parametrize("restart", [False, True])
def test_a_link_that_points_elsewhere_is_a_rotation(tmp_path: Path, restart: bool) -> None:  # noqa: FBT001
    """A symbolic link to the live file may change its target."""
    link = tmp_path / "current"
    write(tmp_path / "app-1.log", b"a\n")
    link.symlink_to("app-1.log")
    reader = Reader(link, {"rotated": ["app-*.log"]})
    assert reader.read() == b"a\n"
    write(tmp_path / "app-1.log", b"b\n")
    write(tmp_path / "app-2.log", b"c\n")
    link.unlink()
    link.symlink_to("app-2.log")
    if restart:
        reader.restart()
    assert reader.read() == b"b\nc\n"
    assert reader.notes == []
    reader.log.close()


LINKS: dict[str, Callable[[Path, Path], list[tuple[Path, Path | str]]]] = {
    "absolute": lambda link, log: [(link, log)],
    "relative": lambda link, log: [(link, os.path.relpath(log, link.parent))],
    "over another one": lambda link, log: [(link.with_name("hop"), log), (link, "hop")],
    "of a folder": lambda link, log: [
        (link.with_name("pod"), log.parent),
        (link, f"pod/{log.name}"),
    ],
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("way", LINKS)
@pytest.mark.parametrize("ending", [".20260501-090000", ".1", "-20260501.gz", ".20260501-0900.gz"])
def test_what_a_link_leads_to_is_rotated_there(
    tmp_path: Path,
    way: str,
    ending: str,
    restart: bool,  # noqa: FBT001
) -> None:
    """Rotated files are beside the file, as where a container engine keeps it; none is lost."""
    folder, link = tmp_path / "pods" / "app_7", tmp_path / "containers" / "app.log"
    folder.mkdir(parents=True)
    link.parent.mkdir()
    log = folder / "0.log"
    write(log, b"a\n")
    for each, target in LINKS[way](link, log):
        each.symlink_to(target)
    reader = Reader(link)
    assert reader.read() == b"a\n"
    write(log, b"b\n")
    if restart:
        reader.restart()
    rotated = folder / f"0.log{ending.removesuffix('.gz')}"
    log.rename(rotated)
    os.utime(rotated, (0, time.time() - 10))
    if ending.endswith(".gz"):
        compress(rotated)
    write(log, b"c\n")
    assert reader.read() == b"b\nc\n"
    assert reader.notes == []
    reader.log.close()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        lambda day: f"access-2026-11-{day:02}.log",
        lambda day: f"access.log.202611{day:02}",
        lambda day: f"202611{day:02}_120000-access.log",
        lambda day: f"{day}.log",
    ],
    ids=["dash", "end", "start", "number"],
)
def test_a_link_to_the_file_of_each_day(
    tmp_path: Path,
    name: Callable[[int], str],
    compressed: bool,  # noqa: FBT001
    restart: bool,  # noqa: FBT001
) -> None:
    """The link leads to a new file each day; the days between are read, and the rest of the old."""
    folder, link = tmp_path / "logs", tmp_path / "current"
    folder.mkdir()
    written, now = b"", time.time() - 100
    reader = Reader(link)
    for day in range(1, 8):
        written += (text := lines(2))
        log = folder / name(day)
        write(log, text)
        if day > 1 and day != 5:
            written += (more := lines(2))
            write(log, more)
        os.utime(log, (0, now + day))
        link.unlink(missing_ok=True)
        link.symlink_to(log)
        if day in (1, 4, 7):
            reader.read()
            assert reader.text == written
        elif compressed:
            compress(log)
        if restart:
            reader.restart()
        write(folder / "other.log", b"not of this log\n")
        write(folder / "access-node2.log", b"not of this log\n")
    assert reader.notes == []
    reader.log.close()


def test_the_folder_of_the_file_before_may_be_gone(tmp_path: Path) -> None:
    """With it all that was not read yet is lost, which is said; the new file is read."""
    link = tmp_path / "app.log"
    for pod in ("a", "b"):
        (tmp_path / pod).mkdir()
        write(tmp_path / pod / "0.log", pod.encode() + b"\n")
    link.symlink_to("a/0.log")
    reader = Reader(link)
    assert reader.read() == b"a\n"
    reader.restart()
    shutil.rmtree(tmp_path / "a")
    link.unlink()
    link.symlink_to("b/0.log")
    assert reader.read() == b"b\n"
    assert reader.notes == [rotation.GONE]
    reader.log.close()


def test_after_a_loss_what_is_newer_is_read(path: Path, reader: Reader) -> None:
    """When the file of the place is gone, reading goes on with the oldest newer one: a note."""
    now = time.time()
    write(path, b"a\n")
    os.utime(path, (0, now - 50))
    reader.read()
    reader.restart()
    path.unlink()
    for number, text in enumerate((b"c\n", b"b\n", b"old\n"), 1):
        rotated = path.with_name(f"{NAME}.{number}")
        write(rotated, text)
        os.utime(rotated, (0, now - 20 * number))
    write(path, b"d\n")
    assert reader.read() == b"b\nc\nd\n"
    assert len(reader.notes) == 1
    assert "cannot be found" in reader.notes[0]
    assert reader.read() == b""


# Truncation


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("size", [0, 1, 10, 1000])
def test_a_truncated_file_is_read_from_its_start(
    path: Path,
    reader: Reader,
    size: int,
    restart: bool,  # noqa: FBT001
) -> None:
    """Truncation is noticed even if the file has grown beyond the place meanwhile: a note."""
    write(path, lines(10))
    reader.read()
    os.truncate(path, 0)
    text = lines(size)
    write(path, text)
    if restart:
        reader.restart()
    assert reader.read() == text
    assert len(reader.notes) == 1
    assert "truncated" in reader.notes[0]
    assert reader.read() == b""
    assert len(reader.notes) == 1


def test_truncation_is_noticed_behind_a_banner(path: Path, reader: Reader) -> None:
    """A file that begins as it began before is told apart by what comes before the place."""
    banner = b"# fields: time status\n" * 100
    write(path, banner + lines(10))
    reader.read()
    os.truncate(path, 0)
    text = banner + lines(20)
    write(path, text)
    assert reader.read() == text
    assert len(reader.notes) == 1


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("zeros", [1, 1023, 1025, 300, 70_000, 1 << 18, (1 << 18) + 1, 1_000_000])
def test_zeros_after_truncation_lose_no_line(
    path: Path,
    zeros: int,
    restart: bool,  # noqa: FBT001
) -> None:
    """A program that does not append goes on behind a hole, whose length no limit is for."""
    reader = Reader(path, {"longest_line": 256})
    for _ in range(3):
        write(path, before := lines(30))
        assert reader.read() == before
        copy_and_truncate(path)
        if restart:
            reader.restart()
            reader.read()
        os.truncate(path, zeros)
        assert reader.read() == b""
        write(path, after := b"x" * 250 + b"\n" + lines(2))
        assert reader.read() == after
    assert (reader.dropped, reader.notes) == (0, [rotation.TRUNCATED] * len(reader.notes))
    reader.log.close()


@given(
    st.lists(
        st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=40), st.integers(0, 3)),
        max_size=12,
    ),
    st.integers(41, 200),
)
def test_zeros_before_lines_are_no_part_of_them(
    parts: list[tuple[int, bytes, int]], size: int
) -> None:
    """Wherever a read ends, in a hole or in a line, and however many zeros there are."""
    log, expected = b"", b""
    for zeros, line, feeds in parts:
        text = line.replace(b"\n", b"").lstrip(b"\0") + b"\n" * feeds
        log += b"\0" * (zeros if log[-1:] in (b"", b"\n") else 0) + text
        expected += text
    read, begin = b"", 0
    while begin < len(log):
        got = cut(log[begin : begin + size], 600, skipping=False)
        read, begin = read + got.text, begin + got.used
        size += 0 if got.used else 40
        if size > len(log) * 2 + 41:
            break
    assert read == as_read(expected[: expected.rfind(b"\n") + 1])


@pytest.mark.parametrize("how", ["grown", "shorter"])
def test_truncation_while_it_is_read(path: Path, reader: Reader, how: str) -> None:
    """A file that is truncated between two blocks is noticed at the next one."""
    write(path, lines(60_000))
    blocks = reader.log.blocks(None)
    next(blocks)
    os.truncate(path, 0)
    text = lines(60_000 if how == "grown" else 3)
    write(path, text)
    rest = list(blocks)
    assert b"".join(block.text for block in rest) == text
    assert [block.note is not None for block in rest] == [True] + [False] * (len(rest) - 1)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_was_copied_before_truncation_is_read_from_the_copy(
    path: Path,
    reader: Reader,
    compressed: bool,  # noqa: FBT001
    restart: bool,  # noqa: FBT001
) -> None:
    """`copytruncate`: the lines after the last look are in the copy, and so nothing is lost."""
    written = b""
    for _ in range(3):
        text = lines(100)
        write(path, text)
        reader.read()
        more = lines(100)
        write(path, more)
        written += text + more
        copy = copy_and_truncate(path)
        if compressed:
            compress(copy)
        if restart:
            reader.restart()
    write(path, b"new\n")
    reader.read()
    assert reader.text == written + b"new\n"
    assert reader.notes == []


def test_an_inode_that_is_used_again(path: Path, reader: Reader) -> None:
    """Another file with the inode of the one that was read is not gone on with."""
    write(path, text := lines(10))
    reader.read()
    reader.restart()
    # The same file with other contents is what a file system that reuses inodes at once shows.
    path.write_bytes(other := lines(50))
    assert reader.read() == other
    assert text not in reader.text[len(text) :]


def test_a_place_outlives_a_change_of_device_and_inode(path: Path, reader: Reader) -> None:
    """A log that was moved to another file system, or whose device was renumbered, goes on."""
    write(path, b"a\n")
    reader.read()
    reader.restart()
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.rename(path)
    write(path, b"b\n")
    assert reader.read() == b"b\n"
    assert reader.notes == []


# Lines that are too long


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("length", [256, 257, 300_000, 1_000_000])
def test_long_lines_are_dropped_and_counted(path: Path, length: int, restart: bool) -> None:  # noqa: FBT001
    """A line of `longest_line` bytes is read, a longer one counted, wherever a run ends in it."""
    reader = Reader(path, {"longest_line": 256})
    line = b"x" * length
    write(path, b"a\n" + line[:1000])
    reader.read()
    if restart:
        reader.restart()
    write(path, line[1000:2000])
    reader.read()
    write(path, line[2000:] + b"\nb\n" + line + b"\n" + line + b"\nc\n")
    reader.read()
    kept = line + b"\n" if length == 256 else b""
    assert reader.text == b"a\n" + kept + b"b\n" + kept * 2 + b"c\n"
    assert reader.dropped == (0 if length == 256 else 3)
    reader.log.close()


def test_a_run_may_end_inside_a_long_line(path: Path) -> None:
    """A long line needs several runs, each of which goes on where the one before ended."""
    reader = Reader(path, {"time_limit": timedelta(microseconds=1)})
    write(path, b"x" * (3 << 20) + b"\nb\n")
    runs = 0
    while not reader.text:
        reader.restart()
        reader.read()
        runs += 1
    assert (reader.text, reader.dropped) == (b"b\n", 1)
    assert runs > 5
    reader.log.close()


def test_a_long_line_ends_with_its_file(path: Path) -> None:
    """The end of a rotated file is the end of a line that is too long."""
    reader = Reader(path, {"longest_line": 256})
    write(path, b"a\n" + b"x" * 1000)
    reader.read()
    rename(path)
    write(path, b"b\n")
    assert reader.read() == b"b\n"
    assert reader.dropped == 1
    reader.log.close()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("begin", [b"x", b""], ids=["a line", "a hole"])
def test_memory_does_not_grow_with_a_line(path: Path, compressed: bool, begin: bytes) -> None:  # noqa: FBT001
    """A line of a gigabyte takes no more memory than any other, and neither does a hole."""
    if compressed:
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(begin)
            for _ in range(256 if begin else 64):
                file.write(bytes(1 << 20))
    else:
        path.write_bytes(begin)
        os.truncate(path, 1 << 30 if begin else 1 << 27)  # a hole: as many NULs
    write(path, gzip.compress(b"\nb\n") if compressed else b"\nb\n")
    options = AccessLogSettings(path=path)
    tracemalloc.start()
    try:
        blocks = [*read_file(path, options)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert b"".join(block.text for block in blocks) == (b"b\n" if begin else b"\nb\n")
    assert sum(block.dropped.get("too_long", 0) for block in blocks) == len(begin)
    assert peak < 4 << 20


# What cannot be read


def make_pipe(path: Path) -> None:
    """A pipe that nobody writes to: to open it would be to wait."""
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    """A socket."""
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("has_place", [False, True])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "it is a directory"),
        (make_pipe, "it is a pipe"),
        (make_socket, "it is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.parent.rename(f"{path.parent}-gone"), "No such file or directory"),
        (lambda _path: None, "No such file or directory"),
        (lambda path: path.write_bytes(gzip.compress(b"a\n")), "it is compressed"),
    ],
)
def test_what_is_no_log_is_an_error(
    path: Path,
    reader: Reader,
    make: Callable[[Path], None],
    reason: str,
    has_place: bool,  # noqa: FBT001
) -> None:
    """It is told by the name of the log, never waited for; once there is a log again it goes on."""
    if has_place:
        write(path, b"a\n")
        reader.read()
        reader.restart()
        path.rename(kept := path.parent.with_name("kept"))
    make(path)
    with pytest.raises(
        CheckError, match=rf"^access log web cannot be read: {reason}.*\("
    ) as raised:
        reader.read()
    assert not raised.value.permanent
    if has_place:
        path.parent.mkdir(exist_ok=True)
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        kept.rename(path)
        write(path, b"b\n")
        assert reader.read() == b"b\n"
        assert reader.notes == []


@contextmanager
def nobody(path: Path) -> Iterator[None]:
    """Be somebody who may not read a file."""
    mode = path.stat().st_mode
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(mode)


def test_no_permission_loses_nothing(path: Path, reader: Reader) -> None:
    """A log that must not be read is an error that says so; once it may be, reading goes on."""
    write(path, b"a\n")
    reader.read()
    write(path, b"b\n")
    reader.restart()
    with nobody(path), pytest.raises(CheckError, match="web cannot be read: Permission denied"):
        reader.read()
    assert reader.read() == b"b\n"


def test_a_rotated_file_without_permission_loses_nothing(path: Path, reader: Reader) -> None:
    """A file of the sequence that must not be read is an error, not a gap."""
    write(path, b"a\n")
    reader.read()
    rename(path)
    write(path, b"b\n")
    hidden = rename(path)
    write(path, b"c\n")
    with nobody(hidden), pytest.raises(CheckError, match="Permission denied"):
        reader.read()
    assert reader.read() == b"b\nc\n"


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE])
def test_an_error_in_the_middle_loses_nothing(
    path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """A disk or a network file system that fails is an error; then reading goes on in place."""
    text = lines(60_000)
    write(path, text)
    blocks = reader.log.blocks(None)
    reader.take(next(blocks))
    with monkeypatch.context() as broken:
        broken.setattr(os, "pread", failing(error))
        with pytest.raises(CheckError, match=os.strerror(error)) as raised:
            next(blocks)
    assert not raised.value.permanent
    assert (reader.log._held is None) == (error == errno.ESTALE)
    reader.read()
    assert reader.text == text


def failing(error: int) -> Callable[..., bytes]:
    """A system call that fails, as no file system here can be made to."""

    def call(*_arguments: object) -> bytes:
        raise OSError(error, os.strerror(error))

    return call


# Compressed files


def random_lines(number: int) -> bytes:
    """Lines that hardly compress."""
    rng = random.Random(7)  # noqa: S311 - nothing here is secret
    return b"".join(b"%x\n" % rng.getrandbits(400) for _ in range(number))


@pytest.mark.parametrize("how", ["cut", "overwritten", "garbage after it", "wrong sum"])
def test_a_damaged_file_is_read_as_far_as_it_goes(path: Path, reader: Reader, how: str) -> None:
    """What can be had of a damaged file is read, the damage is told, and reading goes on."""
    write(path, b"a\n")
    reader.read()
    rename(path)
    text = random_lines(20_000)
    write(path, text)
    compressed = compress(rename(path))
    data = bytearray(compressed.read_bytes())
    status = compressed.stat()
    middle = len(data) // 2
    if how == "cut":
        del data[middle:]
    elif how == "overwritten":
        data[middle : middle + 100] = b"\xff" * 100
    elif how == "garbage after it":
        data += b"garbage"
    else:
        data[-8] ^= 1
    compressed.write_bytes(data)
    os.utime(compressed, ns=(status.st_atime_ns, status.st_mtime_ns))
    write(path, b"new\n")
    got = reader.read().removesuffix(b"new\n")
    assert got.endswith(b"\n")
    assert text.startswith(got) or how == "overwritten"
    is_whole = how in ("garbage after it", "wrong sum")
    assert len(got) == len(text) if is_whole else len(got) > 0.45 * len(text)
    assert got[: len(text) * 45 // 100] == text[: len(text) * 45 // 100]
    assert len(reader.notes) == 1
    assert "compressed file" in reader.notes[0]
    reader.restart()
    assert reader.read() == b""
    assert len(reader.notes) == 1


@pytest.mark.parametrize("compressed", [False, True])
def test_one_file_on_demand(path: Path, compressed: bool) -> None:  # noqa: FBT001
    """`read_file` reads one file, plain or compressed in several members, from start to end."""
    text = lines(60_000) + b"x" * 300 + b"\nlast"
    parts = (text[:1000], text[1000:])
    path.write_bytes(b"".join(map(gzip.compress, parts)) + bytes(512) if compressed else text)
    blocks = list(read_file(path, AccessLogSettings(path=Path("elsewhere"), longest_line=256)))
    assert b"".join(block.text for block in blocks) == text[:-305] + b"last\n"
    assert sum(block.dropped.get("too_long", 0) for block in blocks) == 1
    assert [block.note for block in blocks] == [None] * len(blocks)
    assert max(len(block.text) for block in blocks) <= 1 << 18
    assert blocks[-1].behind == 0


def test_one_file_that_is_not_there(path: Path) -> None:
    """`read_file` tells which file cannot be read, and why."""
    with pytest.raises(CheckError, match="No such file or directory"):
        list(read_file(path, AccessLogSettings(path=path)))


def test_a_compressed_file_is_not_begun_anew_at_every_run(path: Path) -> None:
    """Runs that end in the middle of a compressed file do not decompress it from its start."""
    reader = Reader(path, {"time_limit": timedelta(microseconds=1)})
    write(path, b"a\n")
    reader.read()
    write(path, text := lines(400_000))
    compress(rename(path))
    reader.restart()
    reader.read()
    rewound = reader.log._held
    assert isinstance(rewound, content.Compressed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content.Compressed, "_rewind", lambda _self: pytest.fail("begun anew"))
        while len(reader.text) < len(text) // 2:
            reader.read()
    reader.log.close()


# Other compressions

each_ending = pytest.mark.parametrize("ending", COMPRESSED)


@each_ending
@pytest.mark.parametrize("members", [1, 3])
def test_any_common_compression_is_read(path: Path, ending: str, members: int) -> None:
    """Whatever the name is, in one member or several, as programs that run in parallel write."""
    text = [lines(40_000) for _ in range(members)]
    path.write_bytes(b"".join(map(COMPRESSED[ending], text)))
    read = [*read_file(path, AccessLogSettings(path=path))]
    assert b"".join(block.text for block in read) == b"".join(text)
    assert {block.note for block in read} == {None}


@each_ending
@pytest.mark.parametrize("restart", [False, True])
def test_a_file_of_any_compression_is_read_once(
    path: Path,
    reader: Reader,
    ending: str,
    restart: bool,  # noqa: FBT001
) -> None:
    """Compressed at once, it is read to its end; compressed after it was read, not again."""
    written = b""
    for _ in range(4):
        write(path, text := lines(30))
        reader.read()
        write(path, more := lines(30))
        compress(rename(path), ending=ending)
        if restart:
            reader.restart()
        write(path, new := lines(3))
        written += text + more + new
        reader.read()
        assert reader.text == written
        compress(rename(path), ending=ending, keeps_time=False)
        if restart:
            reader.restart()
        reader.read()
    assert reader.text == written
    assert reader.notes == []


@each_ending
@pytest.mark.parametrize("cut_off", [False, True])
def test_damage_of_any_compression_is_said(path: Path, ending: str, cut_off: bool) -> None:  # noqa: FBT001
    text = b"".join(b"%d %d\n" % (each, each * 7919) for each in range(50_000))
    data = bytearray(COMPRESSED[ending](text))
    half = len(data) // 2
    path.write_bytes(data[:half] if cut_off else data[:half] + bytes(64) + data[half + 64 :])
    read = [*read_file(path, AccessLogSettings(path=path))]
    found = b"".join(block.text for block in read)
    assert found != text
    notes = [block.note for block in read if block.note]
    # The last bytes of a block of xz or bzip2 that is damaged may be those of no line.
    assert len(notes) == 1
    assert ("ends too early" in notes[0]) if cut_off else ("damaged" in notes[0])


@each_ending
def test_memory_does_not_grow_with_a_compressed_hole(path: Path, ending: str) -> None:
    """Megabytes of the same in a few bytes are never in memory at a time."""
    path.write_bytes(COMPRESSED[ending](bytes(24 << 20) + b"\nb\n"))
    tracemalloc.start()
    try:
        found = b"".join(block.text for block in read_file(path, AccessLogSettings(path=path)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == b"\nb\n"
    assert peak < 12 << 20  # of which a dictionary of xz takes 8


FOREIGN = {
    "lz4": b"\x04\x22\x4d\x18\x64\x40\xa7",
    "compress": b"\x1f\x9d\x90",
    "zip": b"PK\x03\x04\x14\0",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "lzip": b"LZIP\x01",
}


@pytest.mark.parametrize("made_by", FOREIGN)
def test_a_compression_that_is_not_read_is_named(path: Path, reader: Reader, made_by: str) -> None:
    """It is never read as text; a note says which file, once, and reading goes on."""
    write(path, b"a\n")
    reader.read()
    rotated = rename(path)
    foreign = rotated.with_name(f"{NAME}.1.x")
    foreign.write_bytes(FOREIGN[made_by] + lines(300))
    rotated.unlink()
    os.utime(foreign, (0, time.time() + 1))
    for more in (b"b\n", b"c\n"):
        write(path, more)
        os.utime(path, (0, time.time() + 2))
        reader.restart()
        assert reader.read() == more
    note = f"{NAME}.1.x was made by {made_by}, which is not read here"
    assert reader.notes == [f"{rotation.GONE}; {note}: what was not read before is lost"]
    with pytest.raises(CheckError, match=f"was made by {made_by}, which is not read here"):
        [*read_file(foreign, AccessLogSettings(path=path))]


# Descriptors


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_do_not_pile_up(path: Path) -> None:
    """One file is open between runs, none after `close`, over any number of rotations."""
    before = descriptors()
    reader = Reader(path)
    written = b""
    for number in range(200):
        written += (text := lines(2))
        write(path, text)
        blocks = reader.log.blocks(reader.place)
        if number % 3:
            next(blocks, None)
        else:
            reader.read()
        del blocks
        old = [rename, copy_and_truncate][number % 2](path)
        if number % 5 == 0:
            compress(old)
        assert descriptors() <= before + 1
    reader.read()
    write(path, b"end\n")
    reader.read()
    assert reader.text == written + b"end\n"
    reader.log.close()
    assert descriptors() == before


def test_close_stops_a_run(path: Path, reader: Reader) -> None:
    """A run goes no further once the log is closed, and leaves nothing open."""
    before = descriptors()
    write(path, lines(60_000))
    blocks = reader.log.blocks(None)
    next(blocks)
    reader.log.close()
    with pytest.raises(RunStopped):
        next(blocks)
    assert descriptors() == before
    with pytest.raises(RunStopped):
        next(reader.log.blocks(None))


def test_two_runs_at_a_time(path: Path, reader: Reader) -> None:
    """Two checks read the same log, each at its own pace, and neither disturbs the other."""
    before = descriptors()
    text = lines(60_000)
    write(path, text)
    both = [reader.log.blocks(None), reader.log.blocks(None)]
    read = [b"", b""]
    for _ in range(10):
        for which in (0, 1):
            if block := next(both[which], None):
                read[which] += block.text
    assert read == [text, text]
    del both
    assert descriptors() == before + 1


# Everything at once

ACTIONS = (
    "write",
    "write",
    "write",
    "read",
    "read",
    "read some",
    "restart",
    "rename",
    "compress at once",
    "compress later",
    "copytruncate",
    "truncate without appending",
    "delete",
)


def as_read(data: bytes) -> bytes:
    """What is read of what was written: lines do not begin with NULs."""
    return re.sub(rb"(?m)^\0+", b"", data)


@dataclass
class World:
    """A log, its writer and its reader."""

    reader: Reader
    keeps_time: bool
    """Whether what compresses a file leaves it its time."""
    ending: str
    """Of what compresses files."""
    data: bytes = b""
    """What was written, all of it."""

    @property
    def path(self) -> Path:
        """The log, wherever a link leads."""
        return Path(os.path.realpath(self.reader.path))

    def do(self, action: str, chunk: bytes) -> None:
        """One thing that happens."""
        getattr(self, action.replace(" ", "_"))(chunk)

    def write(self, chunk: bytes) -> None:
        """Write some bytes, which need not be whole lines."""
        write(self.path, chunk)
        self.data += chunk

    def read(self, _chunk: bytes) -> None:
        """Read until nothing is left."""
        self.reader.read()

    def read_some(self, chunk: bytes) -> None:
        """Take some blocks, and let one more come that is not taken."""
        blocks = self.reader.log.blocks(self.reader.place)
        for _ in range(len(chunk) % 3):
            if block := next(blocks, None):
                self.reader.take(block)
        next(blocks, None)

    def restart(self, _chunk: bytes) -> None:
        """A new process."""
        self.reader.restart()

    def rename(self, chunk: bytes) -> None:
        """Rotate by renaming; the application still writes a little to the old file."""
        self._end_line()
        late = rename(self.path)
        write(late, text := chunk.replace(b"\n", b"") + b" late\n")
        self.data += text

    def compress_at_once(self, chunk: bytes) -> None:
        """Rotate by renaming and compress what was rotated."""
        self.rename(chunk)
        compress(self.path.with_name(f"{NAME}.1"), keeps_time=True, ending=self.ending)

    def compress_later(self, chunk: bytes) -> None:
        """Rotate by renaming and compress what was rotated the last time."""
        older = self.path.with_name(f"{NAME}.1")
        if not self.keeps_time:
            self._read_all()
        self.rename(chunk)
        if (older := self.path.with_name(f"{NAME}.2")).exists():
            compress(older, keeps_time=self.keeps_time, ending=self.ending)

    def copytruncate(self, _chunk: bytes) -> None:
        """Rotate by copying, when everything was read."""
        self._read_all()
        copy_and_truncate(self.path)

    def truncate_without_appending(self, chunk: bytes) -> None:
        """Rotate by copying; the application goes on where it was: zeros come first."""
        self._read_all()
        size = self.path.stat().st_size
        copy_and_truncate(self.path)
        if len(chunk) % 2:
            self.reader.read()
        os.truncate(self.path, size)
        self._end_line()

    def delete(self, _chunk: bytes) -> None:
        """Delete what was rotated, when everything was read and the reader has come to the last."""
        self._read_all()
        for old in self.path.parent.glob(f"{NAME}.*"):
            old.unlink()

    def _end_line(self) -> None:
        self.write(b" end\n" + lines(1))

    def _read_all(self) -> None:
        self._end_line()
        self.reader.read()
        assert self.reader.text == as_read(self.data)


CHUNKS = st.one_of(st.text("ab\n", max_size=20).map(str.encode), st.binary(max_size=50)).filter(
    lambda chunk: not chunk.startswith(b"\x1f\x8b")  # a log that begins so passes for compressed
)
SIZES = st.one_of(st.just(0), st.integers(0, 40_000))
"""How many lines come with a chunk; 256 KiB are some 20,000."""


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(st.tuples(st.sampled_from(ACTIONS), CHUNKS, SIZES), max_size=25),
    keeps_time=st.booleans(),
    linked=st.booleans(),
    ending=st.sampled_from([*COMPRESSED]),
)
def test_whatever_happens_every_line_is_read_once(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, bytes, int]],
    keeps_time: bool,  # noqa: FBT001
    linked: bool,  # noqa: FBT001
    ending: str,
) -> None:
    """However a log is written, rotated and read, what is read is what was written, in order."""
    path = tmp_path_factory.mktemp("log") / NAME
    if linked:
        (path.parent / "pod").mkdir()
        path.with_name("link").symlink_to(f"pod/{NAME}")
        path.symlink_to("link")
    path.touch()
    world = World(Reader(path), keeps_time, ending)
    world.reader.read()
    try:
        for action, chunk, size in steps:
            if action == "write":
                world.write(lines(size))
            world.do(action, chunk)
            assert as_read(world.data).startswith(world.reader.text), action
        world.write(b" end\n")
        world.reader.read()
        assert world.reader.text == as_read(world.data)
        assert (world.reader.notes, world.reader.dropped) == ([], 0)
    finally:
        world.reader.log.close()
        shutil.rmtree(path.parent)


# Killed

FOLLOW = """
import json, sqlite3, sys, time
from datetime import timedelta
from pathlib import Path
from worker.config import AccessLogSettings
from worker.sources.access_log import AccessLog
from worker.sources.log_tail import tail
tail.QUIET = 0.3
state = sqlite3.connect(sys.argv[2], isolation_level=None, timeout=60)
settings = AccessLogSettings(path=Path(sys.argv[1]), time_limit=timedelta(seconds=0.2))
log = AccessLog("web", settings)
while True:
    row = state.execute("SELECT place FROM place").fetchone()
    for block in log.blocks(row and json.loads(row[0])):
        assert not block.note, block.note
        state.execute("BEGIN IMMEDIATE")
        lines = [(line,) for line in block.text.splitlines()]
        state.executemany("INSERT INTO lines (line) VALUES (?)", lines)
        state.execute("REPLACE INTO place (id, place) VALUES (1, ?)", (json.dumps(block.place),))
        state.execute("COMMIT")
    time.sleep(0.01)
"""
"""A process that keeps the lines of a log and its place in one transaction."""

WRITE = """
import gzip, os, random, sys, time
from pathlib import Path
path, seed, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
rng, number, rotations = random.Random(seed), 0, 0
end = time.monotonic() + seconds
while time.monotonic() < end:
    late = os.open(path, os.O_WRONLY | os.O_APPEND)
    for _ in range(rng.randrange(1, 30)):
        numbers = range(number, number + 50)
        line = b"".join(b"%d %s\\n" % (each, b"x" * rng.randrange(200)) for each in numbers)
        number += 50
        cut = rng.randrange(len(line))
        os.write(late, line[:cut])
        os.write(late, line[cut:])
        time.sleep(rng.random() * 0.02)
    for age in range(rotations, 0, -1):
        for suffix in ("", ".gz"):
            old = Path(f"{path}.{age}{suffix}")
            if old.exists():
                old.rename(f"{path}.{age + 1}{suffix}")
    path.rename(f"{path}.1")
    time.sleep(rng.random() * 0.02)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    for _ in range(3):
        os.write(late, b"%d late\\n" % number)
        number += 1
        time.sleep(rng.random() * 0.02)
    os.close(late)
    rotations += 1
    if Path(f"{path}.2").exists():
        status = os.stat(f"{path}.2")
        Path(f"{path}.2.gz").write_bytes(gzip.compress(Path(f"{path}.2").read_bytes()))
        os.utime(f"{path}.2.gz", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.unlink(f"{path}.2")
print(number)
"""
"""A process that numbers its lines and rotates the log; it compresses one rotation later."""


def kept(state: Path) -> list[int]:
    """The numbers of the lines that the killed processes kept."""
    with closing(sqlite3.connect(state, timeout=60)) as connection:
        rows = connection.execute("SELECT line FROM lines ORDER BY rowid").fetchall()
    return [int(line.split()[0]) for (line,) in rows]


def has_place(state: Path) -> bool:
    """Whether the place was kept once."""
    with closing(sqlite3.connect(state, timeout=60)) as connection:
        return connection.execute("SELECT 1 FROM place").fetchone() is not None


@pytest.mark.slow
def test_kills_lose_no_line_and_repeat_none(path: Path) -> None:
    """Killed at any moment while the log grows and rotates, every line is kept exactly once."""
    seed = os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6)))
    print(f"\nKILL_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    rng = random.Random(seed)  # noqa: S311 - nothing here is secret
    state = path.with_name("state.db")
    with closing(sqlite3.connect(state)) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE lines (line BLOB)")
        made.execute("CREATE TABLE place (id INTEGER PRIMARY KEY, place TEXT)")
    path.touch()
    with following(path, state):
        wait_until(lambda: has_place(state), 60, "the first place")
    seconds = os.environ.get("KILL_SECONDS", "8")
    writer = subprocess.Popen(
        [*ENDS_WITH_US, sys.executable, "-c", WRITE, path, seed, seconds], stdout=subprocess.PIPE
    )
    kills = 0
    while writer.poll() is None:
        with following(path, state) as process:
            time.sleep(rng.uniform(0.2, 1.5))  # a random moment is what is wanted
            assert process.poll() is None
        kills += 1
    written = int(writer.communicate()[0])
    with following(path, state) as process:
        wait_until(lambda: bool(process.poll()) or len(kept(state)) >= written, 60, "all lines")
    assert kept(state) == [*range(written)]
    assert kills > 2


@contextmanager
def following(path: Path, state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that follows a log and is killed at the end."""
    process = subprocess.Popen([*ENDS_WITH_US, sys.executable, "-c", FOLLOW, path, state])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

"""Keeps the file of a SQLite state to its owner: it holds evidence and the key of the masks.

SQLite makes the files beside it (`-wal`, `-shm`, `-journal`) with the rights of the file itself.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o600

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SIBLINGS = ("", "-wal", "-shm", "-journal")


def make(path: Path) -> None:
    """Make it, empty, for its owner alone, whatever the umask is, unless it is there already.

    Where that cannot be done, SQLite will say so.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
        try:
            os.fchmod(descriptor, OWNER_ONLY)  # a umask may have taken more than that
        finally:
            os.close(descriptor)


def narrow(path: Path) -> list[str]:
    """Take the rights of others from a state that is there; what is to be said of it."""
    said = []
    for each in (path.with_name(path.name + suffix) for suffix in _SIBLINGS):
        try:
            mode = each.lstat().st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode) or not mode & _OTHERS:
            continue
        try:
            each.chmod(mode & ~_OTHERS & 0o777)
            said.append(f"{each}: was open to others ({mode & 0o777:04o})")
        except OSError as error:
            said.append(f"{each}: is open to others ({mode & 0o777:04o}): {error.strerror}")
    return said

"""Who may read the state: its owner, whatever the umask, and whatever was there before."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from worker.state import State, StateError
from worker.state.store import visit

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def masked(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def opened(path: Path) -> State:
    return State(URL.create("sqlite", database=str(path)))


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077, 0o277])
def test_a_new_state_is_its_owner_s(tmp_path: Path, umask: int) -> None:
    """The file and what SQLite puts beside it are 0600, whatever the umask."""
    with masked(umask):
        state = opened(tmp_path / "state.db")
        assert state.failure is None
        with closing(sqlite3.connect(tmp_path / "state.db")) as reader:
            reader.execute("SELECT count(*) FROM sqlite_master").fetchall()
            found = modes(tmp_path)
        state.close()
    assert set(found) == {"state.db", "state.db-wal", "state.db-shm"}
    assert set(found.values()) == {0o600}
    assert state.narrowed == []


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o604, 0o755])
def test_a_state_that_others_can_read_is_narrowed_and_said(tmp_path: Path, mode: int) -> None:
    """A state of an earlier version, its siblings included, and nothing in it is lost."""
    path = tmp_path / "state.db"
    opened(path).close()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    state = opened(path)
    assert state.failure is None
    assert len(state.narrowed) == 3
    assert all(f"{mode:04o}" in each for each in state.narrowed)
    assert not [name for name, each in modes(tmp_path).items() if each & OTHERS]
    secret = state.masking_secret
    state.close()
    again = opened(path)
    assert (again.narrowed, again.masking_secret) == ([], secret)
    again.close()


def test_a_damaged_state_that_is_set_aside_is_private(tmp_path: Path) -> None:
    """What is kept of it is read by its owner only, and so is the new one."""
    path = tmp_path / "state.db"
    path.write_bytes(b"no database at all" * 100)
    path.chmod(0o644)
    state = opened(path)
    state.close()
    assert state.set_aside
    assert set(modes(tmp_path).values()) == {0o600}


def test_a_state_that_is_deleted_comes_back_private(tmp_path: Path) -> None:
    """The file that a running worker makes anew is 0600, too."""
    path = tmp_path / "state.db"
    with masked(0o000):
        state = opened(path)
        path.unlink()
        state.keep_lease()
        assert modes(tmp_path)["state.db"] == 0o600
        state.close()


def test_a_visit_makes_nothing(tmp_path: Path) -> None:
    """A command that looks into a state that is not there leaves no file."""
    with pytest.raises(StateError), visit(URL.create("sqlite", database=str(tmp_path / "no.db"))):
        pass
    assert list(tmp_path.iterdir()) == []

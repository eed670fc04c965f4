"""What differs between database servers, and who a server is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import URL, Connection

from worker.model.server import Load


@dataclass(frozen=True, slots=True)
class Explained:
    """What a driver error means."""

    message: str
    """Holds no row data and no password."""
    permanent: bool = False
    """Whether asking again cannot help until somebody changes something."""
    unreachable: bool = False
    """Whether the server takes no connection at present, so that the next one may be spared."""
    overrun: bool = False
    """Whether the time limit stopped it."""
    passing: bool = False
    """Whether it is likely over by now: a table was altered, for example."""


class Server(Protocol):
    """What differs between servers. A driver connection (DBAPI) is passed as `raw`."""

    url: URL

    def connect(self) -> object:
        """Open a driver connection, bounded in time, ready for snapshots."""

    def begin(self, connection: Connection) -> str | None:
        """Open a consistent, read-only snapshot; say why it is none, or None when it is one."""

    def unbounded_reads(self, raw: object, *, allowed: bool) -> None:
        """Let a read last as long as a query may, or only as long as connecting may."""

    def stop_query(self, raw: object) -> None:
        """Stop what a connection is running on the server; called from another thread."""

    def abandon(self, raw: object) -> None:
        """Make what waits for an answer on a connection fail; called from another thread."""

    def close(self) -> None:
        """Abandon every connection there is, those being opened too, and refuse further ones."""

    def identity(self, connection: Connection) -> Mapping[str, object]:
        """The fields of `Identity` that the server knows."""

    def load(self, connection: Connection, wanted: Collection[str]) -> Load:
        """How busy the server is, of what is wanted."""

    def explain(self, error: BaseException | None) -> Explained:
        """What a driver error means, without row data."""

"""Who a database server is, and how busy."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server a database's connections really speak to."""

    database: str
    environment: str
    host: str
    port: int
    schema: str
    user: str
    server: str
    """`MySQL`, `MariaDB` or `SQLite`."""
    version: str
    time_zone: str
    """The server's own zone; the worker's connections are pinned to UTC."""
    writable: tuple[str, ...]
    """Privileges of the account beyond reading; should be empty."""
    tls: str = ""
    """The protocol that the connections are encrypted by, such as `TLSv1.3`; empty for none."""
    cipher: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which system something is about, as configured: what tells alerts of two systems apart."""

    environment: str
    database: str
    """The name of the audited database in the configuration."""
    instance: str
    """Where that database is: host, port and schema, or a file."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a server is; the names are those of the limits (`BackOff`)."""

    values: Mapping[str, float]
    """What could be seen and applies: lag is that of a replica that replicates, in seconds."""
    unseen: Mapping[str, str]
    """What the account may not see, and why."""

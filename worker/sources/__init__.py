"""The audited databases: read-only snapshots that end in time, whatever the server does."""

from worker.sources.database import Database, Databases
from worker.sources.server import Identity

__all__ = ["Database", "Databases", "Identity"]

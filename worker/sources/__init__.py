"""What is audited: databases, access logs and Prometheus servers, each read within bounds."""

from worker.sources.database import Database
from worker.sources.opened import Sources
from worker.sources.server import Identity

__all__ = ["Database", "Identity", "Sources"]

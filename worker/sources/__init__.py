"""What is audited: databases, access logs and Prometheus servers, each read within bounds."""

from worker.sources.database import Database
from worker.sources.registry import Sources

__all__ = ["Database", "Sources"]

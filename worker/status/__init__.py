"""What is known at one moment of every check, for pages and programs."""

from worker.status.build import (
    LATE_AFTER,
    LATE_INTERVALS,
    abridged,
    detail,
    overview,
    shown,
)
from worker.status.model import (
    AlertmanagerStatus,
    CheckStatus,
    DatabaseStatus,
    Detail,
    Known,
    Overview,
    ShownFinding,
    Standby,
    Status,
)

__all__ = [
    "LATE_AFTER",
    "LATE_INTERVALS",
    "AlertmanagerStatus",
    "CheckStatus",
    "DatabaseStatus",
    "Detail",
    "Known",
    "Overview",
    "ShownFinding",
    "Standby",
    "Status",
    "abridged",
    "detail",
    "overview",
    "shown",
]

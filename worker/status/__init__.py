"""What is known at one moment of every check, for pages and programs."""

from worker.status.model import (
    LATE_AFTER,
    LATE_INTERVALS,
    AlertmanagerStatus,
    CheckStatus,
    DatabaseStatus,
    Detail,
    Known,
    Overview,
    Standby,
    Status,
    abridged,
    detail,
    overview,
    shown,
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
    "Standby",
    "Status",
    "abridged",
    "detail",
    "overview",
    "shown",
]

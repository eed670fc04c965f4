"""One configuration at work: its sources, its schedule, its alerts, and the runs of its checks."""

from worker.session.services import Services
from worker.session.session import Session

__all__ = ["Services", "Session"]

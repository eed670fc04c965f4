"""Access logs for tests of the shipped configuration, which reads one."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from checks.http_log.request import Batch, Request

_QUIET = tempfile.TemporaryDirectory(prefix="quiet-")


def quiet(folder: Path | None = None) -> dict[str, str]:
    """The environment in which the log of the application is one without any request."""
    log = Path(folder or _QUIET.name, "quiet-access.log")
    log.touch()
    return {"RECONCILER_ACCESS_LOGS__APP__PATH": str(log)}


def sampling(*more: str) -> str:
    """A configuration that samples `access.log` every second and asks nothing else.

    The ledger beside it is `ledger.db`. Further lines are those of the check.
    """
    return "\n".join((_SAMPLING, *more, ""))


_SAMPLING = """
schedule.every = "1s"
http.port = 0
log.format = "json"
[databases.ledger]
url = "sqlite:///ledger.db"
[access_logs.app]
path = "access.log"
time_limit = "1s"
[[checks]]
name = "app.conflict_rate"
kind = "conflict_rate"
source = "app\""""


@dataclass(frozen=True, slots=True)
class Whole:
    """What a batch told, with names."""

    requests: list[Request]
    lines: int
    faults: Counter[str]


def whole(batch: Batch) -> Whole:
    """Have all requests of a batch; the rest of it is known only then."""
    requests = [Request(*each) for each in batch.requests]
    return Whole(requests, batch.lines, batch.faults)

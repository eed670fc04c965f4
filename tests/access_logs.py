"""Access logs for tests of the shipped configuration, which reads one."""

import tempfile
from pathlib import Path

_QUIET = tempfile.TemporaryDirectory(prefix="quiet-")


def quiet(folder: Path | None = None) -> dict[str, str]:
    """The environment in which the log of the application is one without any request."""
    log = Path(folder or _QUIET.name, "quiet-access.log")
    log.touch()
    return {"RECONCILER_ACCESS_LOGS__APP__PATH": str(log)}

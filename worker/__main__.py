"""Where the command `reconciler` begins."""

import os
import sys
import threading

from worker.importing import imported


def main() -> None:
    """Import the command line and run it."""
    try:
        imported("worker.cli.main").app()
    except SystemExit as end:
        _leave(end)
        raise


def _leave(end: SystemExit) -> None:
    """End at once where threads are left that nobody waits for.

    Python would end them wherever they are. In the midst of native code, such as that of bcrypt,
    which cannot be interrupted either, that aborts the process.
    """
    if threading.active_count() > 1 and isinstance(end.code, int | None):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)


if __name__ == "__main__":
    main()

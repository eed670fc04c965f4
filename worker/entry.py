"""Where the command `reconciler` begins."""

from worker.importing import imported


def main() -> None:
    """Import the command line and run it."""
    imported("worker.cli").app()

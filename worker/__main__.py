"""Where the command `reconciler` begins."""

from worker.importing import imported


def main() -> None:
    """Import the command line and run it."""
    imported("worker.cli.main").app()


if __name__ == "__main__":
    main()

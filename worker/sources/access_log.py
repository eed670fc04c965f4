"""An access log, followed as it grows and rotates."""

from collections.abc import Iterator

from checks.base import Block, Cursor
from checks.traffic.formats import LineFormat
from worker.settings import AccessLogSettings


class AccessLog:
    """See `checks.base.AccessLog`."""

    def __init__(self, name: str, settings: AccessLogSettings) -> None:
        self.name = name
        self._settings = settings

    @property
    def format(self) -> LineFormat:
        """See `checks.base.AccessLog`."""
        return self._settings.line_format

    def blocks(self, place: Cursor | None) -> Iterator[Block]:
        """See `checks.base.AccessLog`."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""

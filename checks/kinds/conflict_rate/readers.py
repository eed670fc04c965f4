"""What reads the lines of a log of one file, or of several."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from checks.ports import Block, LineReader, Lines


class Readers:
    """What reads the lines of each file of a log."""

    def __init__(self, of: Lines, zone: tzinfo, left: Mapping[str, Any]) -> None:
        """`left` is what the run before left of each."""
        self._of, self._zone, self._left = of, zone, left
        self._readers: dict[str, LineReader] = {}

    def read(self, block: Block) -> Any:
        """What the lines of a block tell."""
        if block.origin not in self._readers:
            left = self._left.get(block.origin)
            self._readers[block.origin] = self._of.reader(self._zone, left)
        return self._readers[block.origin](block.text)

    def left(self, place: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """For the next run, as JSON takes it, of the files that the place knows."""
        read = {origin: reader.left() for origin, reader in self._readers.items()}
        known = {"", *(place or {}).get("files", ())}
        return {
            name: left for name, left in {**self._left, **read}.items() if left and name in known
        }

"""What Linux tells of a process: memory, threads, open descriptors."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_FIELD = r"^{}:\s+(\d+)"


@dataclass(frozen=True)
class Usage:
    """What a process holds at one moment."""

    resident_mb: float
    peak_mb: float
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read it from /proc."""
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")

        def field(name: str) -> int:
            found = re.search(_FIELD.format(name), text, re.MULTILINE)
            assert found
            return int(found[1])

        return cls(
            field("VmRSS") / 1024,
            field("VmHWM") / 1024,
            field("Threads"),
            len([*Path(f"/proc/{pid}/fd").iterdir()]),
        )


def slope(points: list[tuple[float, float]]) -> float:
    """The slope of the straight line that fits best through points (least squares)."""
    number = len(points)
    mean_x = sum(x for x, _ in points) / number
    mean_y = sum(y for _, y in points) / number
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread

"""Alerts that the worker sends itself: what they say, and what of it is to be sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

OF_ORIGIN = frozenset({"environment", "database", "instance"})
"""Labels that say which system an alert is about; those of earlier versions have none of them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an alert says."""

    labels: Mapping[str, str]
    """Its identity: the same as long as the check and its configuration are the same."""
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """What one Alertmanager is to know of one alert. Moments are Unix times, in seconds."""

    id: str
    check: str
    """The check's name."""
    alertmanager: str
    encoded_labels: str
    encoded_annotations: str
    starts_at: float
    ends_at: float | None
    """None while it fires."""
    changed_at: float
    """Later with each change, whatever becomes of the clock."""
    taken_at: float | None
    """When the Alertmanager took this; None while it waits."""
    waits_since: float | None
    """Since when nothing of it was taken, however often it changed; None where all was."""

    @property
    def draft(self) -> Draft:
        """What it says; decoded anew each time."""
        return Draft(json.loads(self.encoded_labels), json.loads(self.encoded_annotations))

    @property
    def version(self) -> tuple[str, float]:
        """Which alert it is, as it is: another one as soon as it changes."""
        return self.id, self.changed_at

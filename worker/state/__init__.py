"""Runs, findings and cursors, kept so that a restart forgets nothing."""

from worker.state.acknowledgements import Acknowledgement, UnknownFindingError
from worker.state.lease import Lease, LeaseLostError, host_of
from worker.state.schema import NoStateError, StateError
from worker.state.store import State, visit

__all__ = [
    "Acknowledgement",
    "Lease",
    "LeaseLostError",
    "NoStateError",
    "State",
    "StateError",
    "UnknownFindingError",
    "host_of",
    "visit",
]

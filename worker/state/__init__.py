"""Runs, findings and cursors, kept so that a restart forgets nothing."""

from worker.state.changes import Change, Transition, finding_id
from worker.state.decisions import Acknowledgement, UnknownFindingError
from worker.state.lease import Lease, LeaseLostError, host_of
from worker.state.record import Counts, LastRun
from worker.state.store import State, visit
from worker.state.tables import FindingState, NoStateError, StateError

__all__ = [
    "Acknowledgement",
    "Change",
    "Counts",
    "FindingState",
    "LastRun",
    "Lease",
    "LeaseLostError",
    "NoStateError",
    "State",
    "StateError",
    "Transition",
    "UnknownFindingError",
    "finding_id",
    "host_of",
    "visit",
]

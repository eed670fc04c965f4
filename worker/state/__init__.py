"""Runs, findings and cursors, kept so that a restart forgets nothing."""

from worker.state.acknowledgements import Acknowledgement, UnknownFindingError
from worker.state.changes import Change, Transition, finding_id
from worker.state.lease import Lease, LeaseLostError, host_of
from worker.state.runs import Counts, LastRun
from worker.state.schema import FindingState, NoStateError, StateError
from worker.state.store import State, visit

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

"""Runs and findings, kept so that a restart forgets nothing."""

from worker.state.record import Change, LastRun, Transition, finding_id
from worker.state.store import State
from worker.state.tables import FindingState, StateError

__all__ = [
    "Change",
    "FindingState",
    "LastRun",
    "State",
    "StateError",
    "Transition",
    "finding_id",
]

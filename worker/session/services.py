"""What a process has once, whatever configuration it works by."""

from dataclasses import dataclass

from worker.scheduling.pauses import Pauses
from worker.state import State
from worker.state.leader_election import LeaderElection
from worker.telemetry.edge_log import EdgeLog
from worker.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Services:
    """Every session of the process uses these, one session after the other."""

    state: State
    election: LeaderElection
    metrics: Metrics
    edges: EdgeLog
    pauses: Pauses
    address: str
    """The address that the web server is bound to, `http://host:port`."""

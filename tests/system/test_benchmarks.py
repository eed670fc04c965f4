"""The benchmark: its ledger is consistent, and it measures every line of its table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import access_log, neighbours, run, usual
from tests.support import SHIPPED
from tests.support.servers import Farm, Server
from worker import config


@pytest.mark.slow
def test_a_small_benchmark_finishes(
    throwaway_server: Callable[..., Server],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every check passes on the generated ledger, and each line of the table is there."""
    monkeypatch.setattr(run, "NEWS_TURNS", 1)
    server = throwaway_server("mariadb")
    lines = list(run.measure(server, rows=20_000, turns=1, watch=3))
    assert "checks finds fault with 20,000 ledger rows" in capsys.readouterr().out
    questions = [line.question.partition(";")[0] for line in lines]
    for wanted in (*usual.PAIRS, *(f"incremental {kind}" for kind in run.FOLLOWING)):
        assert wanted in questions


def test_a_benchmark_of_a_log_counts_every_line(tmp_path: Path) -> None:
    """Each way reads all of the lines, and they are those of the generator."""
    log = tmp_path / "access.log"
    access_log.write(log, 3000)
    ways = (access_log.ours, access_log.standard, access_log.plain)
    assert [way(log) for way in ways] == [3000] * 3


@pytest.mark.slow
def test_a_frozen_neighbour_is_measured(server_farm: Farm) -> None:
    """Each line compares a worker with one whose other database does not answer."""
    outcome = neighbours.measure(server_farm, "mariadb", seconds=2)
    for phase in (outcome.well, outcome.frozen):
        assert len(phase.gaps) >= 2
        assert 0 < phase.median <= max(phase.gaps)
        assert phase.end > 0
    names = [line.partition("  ")[0] for line in str(outcome).splitlines()]
    assert names == ["median gap", "longest gap", "end after SIGTERM"]


def test_every_pair_has_its_usual_sql() -> None:
    """The benchmark measures each reference and each posting of `config.toml`."""
    checks = config.load(SHIPPED, {}).checks
    assert set(usual.PAIRS) == {c.name for c in checks if c.kind in ("reference", "posting")}

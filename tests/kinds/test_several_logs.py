"""One log a pod: files that come and go and add up to one check."""

import random
from pathlib import Path
from typing import Any

import pytest

from checks.contract import CheckError, Result
from checks.kinds.conflict_rate import exported
from tests.support.applications import DRAW, Application
from tests.support.exported import traffic_of
from worker.config import AccessLogSettings
from worker.sources import several_logs
from worker.sources.log_tail import tail


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    """An application with a log for each pod, all of which are read."""
    made = Application.writing(tmp_path / "pod-a.log", monkeypatch)
    made.path = str(tmp_path / "pod-*.log")
    monkeypatch.setattr(several_logs, "ABSENT", 0.0)
    monkeypatch.setattr(tail, "QUIET", 0.0)
    return made


def pod(app: Application, name: str) -> Application:
    """A pod of it."""
    return Application(app.log.with_name(f"pod-{name}.log"), app.at)


def total(result: Result) -> float:
    return sum(seen.requests for seen in traffic_of(result).totals.values())


def missing(samples: Any) -> list[float]:
    found = [each for each in samples if each.family is exported.BLIND]
    return [each.number for each in found if each.labels[-1] == "missing"]


def test_files_of_one_name_add_up(pods: Application) -> None:
    pods.asked(100)
    pod(pods, "b").asked(80)
    pod(pods, "b").asked(30, 409, "CONCURRENT_CONFLICT")
    result = pods.run()
    assert (result.examined, total(result), result.notes) == (210, 210, ())
    (found,) = result.findings
    assert (found.key["problem"], found.evidence["requests"]) == ("plain_race", 210)
    pod(pods, "a").asked(5)
    pod(pods, "c").asked(7)
    result = pods.run()
    assert (result.examined, total(result)) == (12, 222)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_counted_twice_whatever_comes_and_goes(
    pods: Application, seed: int
) -> None:
    """Pods write, start, end and rotate their logs between runs; those that end are read out."""
    rng, names, written = random.Random(seed), ["a"], 0  # noqa: S311 - a test's own dice
    with pods.opened() as run:
        for step in range(25):
            for name in names:
                number = rng.randrange(4)
                pod(pods, name).asked(number)
                written += number
            run()
            match rng.randrange(4):
                case 0 if len(names) > 1:
                    name = names.pop(rng.randrange(len(names)))
                    pod(pods, name).asked(1)
                    run()
                    pod(pods, name).asked(2)
                    written += 3
                    pod(pods, name).log.unlink()
                case 1:
                    names.append(f"{chr(98 + step % 24)}{step}")
                    pod(pods, names[-1]).asked(1)
                    written += 1
                case 2:
                    log = pod(pods, rng.choice(names)).log
                    log.rename(log.with_name(f"{log.name}.{step + 1}"))
                    log.touch()
        run()
        assert total(run()) == written


def test_a_list_of_names_is_read_like_a_pattern(pods: Application) -> None:
    other = Application(pods.log.with_name("edge.log"), pods.at)
    other.asked(3)
    pods.asked(4)
    pods.path = [str(pods.log), str(other.log)]
    assert total(pods.run()) == 7


def test_one_file_that_becomes_several_is_read_on_and_back(pods: Application) -> None:
    several, pods.path = pods.path, str(pods.log)
    pods.asked(10)
    assert total(pods.run()) == 10
    pods.path = several
    pod(pods, "b").asked(5)
    assert total(pods.run()) == 15
    pods.path = str(pods.log)
    pods.asked(2)
    assert total(pods.run()) == 17


@pytest.mark.parametrize(("files", "outcome"), [(1, "error"), (8, "error"), (20, "note")])
def test_a_file_that_is_not_there_is_a_part_that_is_not_seen(
    pods: Application, files: int, outcome: str
) -> None:
    names = [pod(pods, f"{number}").log for number in range(files)]
    for name in names:
        name.touch()
    pods.path = [*map(str, names), str(pods.log.with_name("nothing.log"))]
    share = 1 / (files + 1)
    if outcome == "error":
        with pytest.raises(
            CheckError, match=rf"1 of {files + 1} files are missing: .*nothing"
        ) as e:
            pods.run()
        assert e.value.kept
        assert missing(e.value.kept.samples) == [pytest.approx(share)]
    else:
        result = pods.run()
        assert "1 of 21 files are missing" in result.notes[0]
        assert missing(result.samples) == [pytest.approx(share)]


def test_no_file_at_all_cannot_be_told(pods: Application) -> None:
    pods.log.unlink()
    with pytest.raises(CheckError, match=r"access log app cannot be read: no file is named .*pod"):
        pods.run()


def test_a_file_that_has_two_names_is_read_once_and_that_is_said(pods: Application) -> None:
    pods.asked(4)
    pods.log.with_name("pod-b.log").symlink_to(pods.log)
    result = pods.run()
    assert total(result) == 4
    assert "pod-b.log is the file" in result.notes[0]


def test_rotated_files_are_no_logs_of_their_own(pods: Application) -> None:
    pods.path = str(pods.log.with_name("pod-*"))
    pods.asked(4)
    pods.run()
    pods.log.rename(pods.log.with_name("pod-a.log.1"))
    pods.asked(3)
    assert total(pods.run()) == 7


def test_a_file_that_was_deleted_while_nobody_read_is_said(pods: Application) -> None:
    pods.asked(4)
    pod(pods, "b").asked(4)
    pods.run()
    pod(pods, "b").log.unlink()
    result = pods.run()
    assert (
        "pod-b.log is gone: lines written to it since the last look may be lost"
        in (result.notes[0])
    )
    assert pods.run().notes == ()


def test_a_file_that_was_rotated_and_deleted_unseen_is_said(pods: Application) -> None:
    pods.asked(4)
    pod(pods, "b").asked(4)
    with pods.opened() as run:
        run()
        log = pod(pods, "b").log
        log.rename(log.with_name("pod-b.log.1"))
        pod(pods, "b").asked(2)
        log.unlink()
        assert "lines written to it since the last look may be lost" in run().notes[0]


def test_a_record_in_pieces_stays_in_its_file(pods: Application) -> None:
    """A line without an end waits for the rest of it, whatever other files hold."""
    start = b'{"time":"2026-01-05T12:00:00Z","method":"POST",'
    with pods.log.open("ab") as log:
        log.write(start)
    pod(pods, "b").asked(3)
    pods.run()
    pods.wrote(f'"path":"{DRAW}","status":201}}')
    result = pods.run()
    assert (total(result), traffic_of(result).lines["read"]) == (4, 4)


def test_a_name_with_wildcards_of_its_own_is_that_file(tmp_path: Path) -> None:
    odd = tmp_path / "app[1].log"
    odd.touch()
    assert not AccessLogSettings(path=odd).is_several
    assert AccessLogSettings(path=tmp_path / "app*.log").is_several

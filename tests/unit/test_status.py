"""The verdict: what could not be told, is late or has not run is never shown as fine."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from checks.contract import Check, Result
from tests.support import states
from tests.support.site import KEYS, ROWS, USERS, Site, found, serving
from worker import status
from worker.model.finding import FindingState
from worker.status import Overview, Status


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as served:
        yield served


def overview(site: Site) -> Overview:
    return status.overview(site.known, site.state)


def verdict(site: Site) -> str:
    return overview(site).verdict


def statuses(site: Site) -> list[Status]:
    return [each.status for each in overview(site).checks]


def all_pass(site: Site, *checks: Check) -> None:
    for check in checks or (KEYS, ROWS, USERS):
        site.see(check)


def test_nothing_has_run(site: Site) -> None:
    """Before the first runs nobody claims that anything passes."""
    assert verdict(site) == "3 checks have not run yet"
    assert overview(site).status is Status.WAITING
    site.see(KEYS)
    assert verdict(site) == "2 checks have not run yet; 1 passes"


def test_everything_passes(site: Site) -> None:
    """Only when every check passes is that the verdict."""
    all_pass(site)
    assert (verdict(site), overview(site).status) == ("All 3 checks pass", Status.PASS)
    assert not overview(site).counts


def test_the_only_check(tmp_path: Path) -> None:
    """One check is spoken of as one."""
    with serving(tmp_path, (KEYS,)) as site:
        site.see(KEYS)
        assert verdict(site) == "The only check passes"


def test_violations_by_severity(site: Site) -> None:
    """Violations come first, with their severities; the rest is told after them."""
    all_pass(site, USERS)
    site.see(KEYS, found(1))
    site.see(ROWS, found(2))
    assert verdict(site) == "2 checks see violations: 1 critical, 1 warning; 1 passes"
    assert overview(site).status is Status.FAIL


def test_could_not_tell(site: Site) -> None:
    """A check without an answer is no check that passes, and its findings are not forgotten."""
    all_pass(site)
    site.see(KEYS, found(1))
    for check in (KEYS, ROWS, USERS):
        site.fail(check)
    assert verdict(site) == "3 checks cannot tell (1 of them with known violations)"
    assert overview(site).status is Status.ERROR
    assert overview(site).counts == {FindingState.CONFIRMED: 1}
    assert overview(site).examples["orders.key"].key["id"] == 1


def test_an_old_answer_is_late(site: Site) -> None:
    """A pass of long ago says nothing of the present: neither after a pause nor after a restart."""
    all_pass(site, KEYS, ROWS)
    allowed = max(status.LATE_INTERVALS * timedelta(seconds=30), status.LATE_AFTER)
    site.take(USERS, Result(1, 0), ago=allowed - timedelta(seconds=5))
    assert verdict(site) == "All 3 checks pass"
    site.take(USERS, Result(1, 0), ago=allowed + timedelta(seconds=5))
    assert statuses(site) == [Status.PASS, Status.PASS, Status.LATE]
    assert verdict(site) == "1 check is late; 2 pass"


def test_acknowledged_violations(site: Site) -> None:
    """What somebody answers for is told apart, and is still no pass."""
    all_pass(site)
    site.see(KEYS, found(1), found(2))
    states.acknowledge(site.url, 1)
    site.see(KEYS, found(1), found(2))
    assert verdict(site) == "1 check sees violations: 1 critical; 2 pass"
    states.acknowledge(site.url, 2)
    site.see(KEYS, found(1), found(2))
    assert verdict(site) == "1 check sees acknowledged violations only; 2 pass"
    assert overview(site).status is Status.FAIL


def test_more_than_is_listed(site: Site) -> None:
    """Violations beyond the findings keep their exact number."""
    site.see(KEYS, found(1), violations=5000)
    (each, *_) = overview(site).checks
    assert (each.violations, each.counts) == (5000, {FindingState.CONFIRMED: 5000})


def test_a_check_that_is_not_configured(site: Site) -> None:
    """Nobody knows anything of a check that there is not."""
    assert status.detail(site.known, site.state, "nothing", 10) is None


def test_detail_is_bounded(site: Site) -> None:
    """The confirmed findings come first, no more than asked for, and the rest is counted."""
    site.see(KEYS, *(found(number) for number in range(300)))
    states.acknowledge(site.url, *range(150))
    site.see(KEYS, *(found(number) for number in range(300)))
    detail = status.detail(site.known, site.state, "orders.key", 160)
    assert detail is not None
    assert [each.stored.state for each in detail.findings] == ["confirmed"] * 150 + [
        "acknowledged"
    ] * 10
    assert (detail.listed, detail.unlisted, len(detail.runs)) == (300, 0, 2)

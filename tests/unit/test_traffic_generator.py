"""The made-up traffic that other tests stand on: readers make of each line what it says it is."""

from collections import Counter
from datetime import timedelta
from itertools import islice, pairwise

import pytest

from checks.http_log.request import FAULTS, Request
from checks.http_log.routes import Routes
from tests.support.access_logs import whole
from tests.support.traffic import CODES, INCIDENTS, READS, START, STRANGE, WRITES, Truth, day, truth
from tests.support.traffic_lines import FORMATS, Expected, Shape

SHAPES = pytest.mark.parametrize("shape", FORMATS)


def told(request: Request) -> Expected:
    second, method, path, status, code, key, client = request
    return Expected(second, method, path, "", status, code, key, client)


@SHAPES
def test_a_reader_reads_each_line_as_it_is(shape: Shape) -> None:
    """What is said of a line is what the reader makes of it, junk and all."""
    read = FORMATS[shape].reader()
    for text, expected, fault, beside in day(1, 8000, shape, junk=0.3):
        if fault == "too_long":  # is never read
            continue
        batch = whole(read(text + b"\n"))
        if expected is None:
            assert (batch.requests, batch.lines) == ([], int(fault != "empty")), text
            assert batch.faults == Counter([fault] if fault != "empty" else []), text
        else:
            assert [told(each) for each in batch.requests] == [
                expected._replace(route="", incident=None)
            ], text
            lacks = [beside] if beside else []
            assert batch.faults == Counter(
                [*lacks, *(["without_time"] if expected.second is None else [])]
            )


@SHAPES
def test_the_whole_is_the_sum_of_its_lines(shape: Shape) -> None:
    """All lines read at once, on the routes that there are, come to the truth."""
    lines = [line for line in day(2, 8000, shape) if line.fault != "too_long"]
    expected = truth(lines)
    batch = whole(FORMATS[shape].reader()(b"".join(line.text + b"\n" for line in lines)))
    routes = Routes([route for _, route in WRITES + READS], (), learns=False, most=50)
    found = Counter(
        (routes.of(each.path, each.method, each.status), each.method) for each in batch.requests
    )
    assert found == expected.requests
    assert (batch.lines, batch.faults) == (expected.lines, expected.faults)


@SHAPES
def test_a_day_follows_from_its_seed(shape: Shape) -> None:
    """The same seed gives the same day, in the order of its times, and another one another."""
    first, again, other = ([*day(seed, 3000, shape)] for seed in (1, 1, 2))
    assert first == again != other
    seconds = [line.expected.second for line in first if line.expected and line.expected.second]
    assert all(one <= next_one for one, next_one in pairwise(seconds))
    begin = int(START.timestamp())
    assert begin <= seconds[0]
    assert begin + timedelta(hours=23).total_seconds() < seconds[-1] < begin + 86_400


def test_a_day_has_everything() -> None:
    """Each route, code, refusal, junk and incident comes; the incidents are most of the trouble."""
    lines = [*day(3, 30_000)]
    found = truth(lines)
    assert {(method, route) for route, method in found.requests} >= {*WRITES, *READS}
    assert {code for _, _, code in found.conflicts} == {*CODES, STRANGE, "other"}
    assert {status for _, _, status in found.refusals} == {"400", "422"}
    assert set(found.faults) == {"too_long", *FAULTS} - {"unanswered"}
    assert found.without_key.total() > 50
    beside = found.faults["without_time"] + found.faults["without_method"]
    assert found.requests.total() + found.faults.total() - beside == found.lines
    assert found.lines + sum(line.fault == "empty" for line in lines) == 30_000
    incidents = Counter(line.expected.incident for line in lines if line.expected)
    assert incidents.keys() == {None, *(name for name, _, _ in INCIDENTS)}
    assert found.by_key.most_common(2)[0][1] > 500 > 10 * found.by_key.most_common(2)[1][1]
    assert found.by_client.most_common(2)[1][1] > 300


def test_each_route_is_answered_before_anything_goes_wrong() -> None:
    """The first lines are answers 200, one of each route."""
    first = [line.expected for line in islice(day(4, 5000), len(WRITES + READS))]
    assert [(e.method, e.route, e.status) for e in first if e] == [
        (*p, 200) for p in WRITES + READS
    ]


def test_nothing_comes_to_nothing() -> None:
    """The truth of no lines is empty."""
    assert truth([]) == Truth()

"""What strangers ask: in no order, without number, and compressed or in part where they wish."""

import gc
import gzip
import http.client
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from checks.kinds.duplicates.check import Duplicates
from checks.kinds.row_count import RowCount
from tests.support import asking
from tests.support.patience import patience
from tests.support.site import Site
from worker.config import HttpSettings
from worker.telemetry.metrics import Metrics
from worker.web import Web
from worker.web.encoding import WORTH_IT, accepts_gzip

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def test_what_clients_send_is_not_kept(site: Site) -> None:
    """Memory stays level, whatever number of different patterns, paths and parameters come."""
    place = httpx.URL(site.address)
    client = http.client.HTTPConnection(place.host, place.port or 0, timeout=patience(30))

    def ask(turn: int) -> None:
        wild = "*".join(f"{turn}x{part}" for part in range(2000))
        for path in (
            f"/api/v1/findings?check={wild[:14_000]}",
            f"/api/v1/findings?check=*{turn}*{wild[:200]}",
            f"/api/v1/findings?check=*&check=[{turn}-z]*{wild[:100]}",
            f"/api/v1/findings?{wild[:14_000]}=1",
            f"/api/v1/findings?state={wild[:14_000]}",
            f"/api/v1/checks/{turn}{wild[:14_000]}",
            f"/checks/{turn}{wild[:14_000]}",
            f"/runbooks/{turn}{wild[:14_000]}",
            f"/{turn}{wild[:14_000]}",
            f"/metrics?name[]={turn}{wild[:14_000]}",
            f"/icon-{turn}{wild[:5_000]}.svg",
        ):
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            assert answer.status in (200, 400, 404)

    for turn in range(5):
        ask(turn)
    gc.collect()
    tracemalloc.start()
    try:
        for turn in range(5, 15):
            ask(turn)
        gc.collect()
        begun, _ = tracemalloc.get_traced_memory()
        for turn in range(15, 55):
            ask(turn)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        client.close()
    assert kept - begun < 200_000  # a single pattern compiled and kept is as much


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("check=" + "*a" * 200, "check: longer than 256 characters"),
        ("&".join(["check=*"] * 101), "more than 100 parameters"),
    ],
)
def test_long_questions_are_refused(site: Site, query: str, error: str) -> None:
    """A pattern beyond the length of names is refused before anything is done with it."""
    got = site.get(f"/api/v1/findings?{query}")
    assert (got.status_code, got.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("GZIP ; q=0.5", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("br, deflate", False),
        ("gzip;q=much", False),
    ],
)
def test_who_takes_gzip(header: str, takes: bool) -> None:  # noqa: FBT001 - the table's
    """By name or by a star, unless the quality is nought."""
    assert accepts_gzip(header) is takes


@given(st.text())
def test_any_accept_encoding_is_read(header: str) -> None:
    """Nonsense is no fault."""
    accepts_gzip(header)


@pytest.fixture
def web() -> Iterator[Web]:
    """A server with the metrics of two checks."""
    metrics = Metrics()
    checks = (
        Duplicates(name="t.key", table="t", primary_key="id", columns=("k",)),
        RowCount(name="t.rows", table="t"),
    )
    metrics.plan(checks, {each.name: timedelta(minutes=1) for each in checks}, {})
    served = Web(HttpSettings(port=0), metrics.render, lambda: (True, ""), lambda: (True, ""))
    served.start()
    yield served
    served.stop()


def scraped(web: Web, query: str = "", **headers: str) -> httpx.Response:
    given = {"Accept-Encoding": "identity", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return asking.get(f"{web.address}/metrics{query}", headers=given)


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_metrics_are_compressed_for_who_asks(web: Web, accept: str) -> None:
    """The same bytes in a fraction of the room, and caches are told; others get them plain."""
    plain = scraped(web, Accept=accept)
    packed = scraped(web, Accept=accept, Accept_Encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert packed.num_bytes_downloaded * 3 < len(plain.content)
    assert packed.text.splitlines()[0] == plain.text.splitlines()[0]
    assert int(packed.headers["content-length"]) == packed.num_bytes_downloaded


def test_small_answers_are_sent_as_they_are(web: Web) -> None:
    """What is hardly a packet is not worth it."""
    answer = scraped(web, "?name[]=reconciler_up", Accept_Encoding="gzip")
    assert len(answer.content) < WORTH_IT
    assert "content-encoding" not in answer.headers


def test_pages_are_compressed_too(site: Site) -> None:
    """Pages and JSON of some size are, as browsers ask."""
    asked = {"Accept-Encoding": "gzip"}
    answer = asking.get(site.address + "/page.css", headers=asked)
    assert answer.headers["content-encoding"] == "gzip"
    with httpx.stream("GET", site.address + "/page.css", headers=asked, timeout=30) as raw:
        packed = b"".join(raw.iter_raw())
    assert gzip.decompress(packed) == answer.content


FAMILIES = ("reconciler_up", "reconciler_check_runs", "reconciler_check_run_duration_seconds")
SERIES = ("reconciler_check_runs_total", "reconciler_check_run_duration_seconds_count")


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
@pytest.mark.parametrize(
    "names", [FAMILIES[:1], FAMILIES, SERIES, (*FAMILIES[:1], *SERIES[1:]), ("no_such",)]
)
def test_metrics_of_some_names(web: Web, accept: str, names: tuple[str, ...]) -> None:
    """`name[]`, repeated, leaves only the metrics that are named, or a series of which is."""
    parse = openmetrics_families if accept == OPENMETRICS else text_string_to_metric_families
    whole = scraped(web, Accept=accept).text
    part = scraped(web, "?" + "&".join(f"name[]={each}" for each in names), Accept=accept)
    assert part.status_code == 200
    wanted = {
        (sample.name, *sorted(sample.labels.items()))
        for family in parse(whole)
        if {family.name.removesuffix("_total"), *(each.name for each in family.samples)} & {*names}
        for sample in family.samples
    }
    got = {
        (sample.name, *sorted(sample.labels.items()))
        for family in parse(part.text)
        for sample in family.samples
    }
    assert got == wanted
    assert bool(got) is (names != ("no_such",))
    if accept == OPENMETRICS:
        assert part.text.endswith("# EOF\n")

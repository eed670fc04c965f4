"""The pages: what they tell, whatever is in the database, and what they never tell."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from checks.contract import Finding, Result
from tests.support import states
from tests.support.site import (
    HOSTILE,
    IDENTITY,
    KEYS,
    ROWS,
    TRAFFIC,
    USERS,
    Site,
    found,
    hostile,
    serving,
    traffic,
    whole,
)
from worker.status import AlertmanagerStatus, DatabaseStatus
from worker.text.printable import visible
from worker.web import runbooks
from worker.web.pages import FINDINGS_SHOWN, _environment


class Text(HTMLParser):
    """What a page shows, without its markup; and the elements it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; only words within a line stand close together."""
        self.elements.add(tag)
        if tag not in ("wbr", "span", "code", "strong", "a", "time"):
            self.words.append(" ")
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All of it, with single spaces."""
        return re.sub(r"\s+", " ", "".join(self.words))


def text(site: Site, path: str = "/") -> str:
    answer = site.get(path)
    assert answer.status_code == 200
    return Text(answer.text).text


def test_overview(site: Site) -> None:
    """The verdict is the heading; then the worker, the problems, and all checks by table."""
    site.see(KEYS, found(1, "ABC"))
    site.see(ROWS)
    site.fail(USERS, "database ledger: away")
    shown = text(site)
    order = [
        "✗ 1 check sees violations: 1 critical; 1 cannot tell; 1 passes.",
        "Database ledger reachable MariaDB 10.11 at db.example:3306, shop auditor@%, may only read",
        "Needs attention",
        "orders.key duplicates · critical row 1: ABC",
        "✗ violations",
        "users.rows row_count · warning database ledger: away",
        "All checks by table",
        "orders ✗ 1 with violations ✓ 1 pass",
        "users ? 1 cannot tell",
    ]
    places = [re.sub(r"\s+", " ", shown).find(each) for each in order]
    assert -1 not in places, [each for each, place in zip(order, places, strict=True) if place < 0]
    assert places == sorted(places)


def test_what_the_worker_says_of_itself(site: Site) -> None:
    """A database that is away, an account that may write, and alerts that wait are all said."""
    away = DatabaseStatus("other", "test", "connection refused", None)
    unasked = DatabaseStatus("third", "test", None, None)
    identity = type(IDENTITY)(
        **{n: getattr(IDENTITY, n) for n in IDENTITY.__slots__} | {"writable": ("INSERT", "DROP")}
    )
    writes = DatabaseStatus("ledger", "test", None, identity)
    waiting = AlertmanagerStatus("am", 3, 125.0)
    site.change(databases=(writes, away, unasked), alertmanagers=(waiting,), complaint="it is late")
    shown = text(site)
    for said in (
        "Database other cannot be reached connection refused",
        "Database third not asked yet",
        "The account may write auditor@%: INSERT, DROP",
        "Alertmanager am 3 alerts not delivered for 2 min",
        "Worker should be restarted it is late",
        "State kept",
    ):
        assert said in shown
    site.state.failure = "disk full"
    assert "State kept in memory only disk full" in text(site)


def test_check(site: Site) -> None:
    """A check tells what it asks, what it found, how to go on, and what its runs were."""
    site.see(KEYS, found(1, "ABC"), found(2, "DEF"))
    states.acknowledge(site.url, 2)
    site.fail(KEYS, "lock wait")
    site.see(KEYS, found(1, "ABC"), found(2, "DEF"), violations=1500)
    shown = text(site, "/checks/orders.key")
    known = states.rows(site.url)
    for said in (
        "orders.key ✗ 1,500 violations · critical · answered",
        "1,498 more violations are counted and not listed.",
        "row 1: ABC",
        f"confirmed · {known[1].id[:12]} · seen 2 times",
        "Acknowledged by ann until",
        "known; ticket 7",
        f"reconciler findings show {known[1].id[:12]}",
        "SELECT",
        "? cannot tell",
        "lock wait",
        'columns ["k"]',
    ):
        assert said in shown
    assert "/runbooks/ReconcilerDuplicates" in site.get("/checks/orders.key").text


def test_personal_values_are_masked(site: Site) -> None:
    """Values of personal columns show as a hash, in keys, evidence, messages and SQL."""
    site.see(KEYS, found(1, "ABC", mobile="13812345678"))
    for path in ("/", "/checks/orders.key"):
        html = site.get(path).text
        assert "4711" not in html
        assert "13812345678" not in html
    assert site.known.mask.value(4711) in text(site, "/checks/orders.key")


def test_personal_keys_are_in_no_sql(tmp_path: Path) -> None:
    """SQL names the keys of the findings, but not where a key is personal."""
    by_user = KEYS.model_copy(update={"name": "orders.user", "columns": ("user_id",)})
    with serving(tmp_path, (KEYS, by_user)) as site:
        site.see(KEYS, Finding({"k": "ABC"}, "twice"))
        site.see(by_user, Finding({"user_id": 4711}, "twice"))
        assert "'ABC'" in text(site, "/checks/orders.key")
        shown = text(site, "/checks/orders.user")
    assert "SELECT `user_id`" in shown
    assert "4711" not in shown


def test_whatever_a_template_prints_is_inert() -> None:
    """Also what no filter has looked at is escaped, and made visible."""
    template = _environment().from_string("<p title='{{ x }}'>{{ x }}</p>")
    assert template.render(x="'<b>\u202e") == (
        "<p title='&#39;&lt;b&gt;«U+202E»'>&#39;&lt;b&gt;«U+202E»</p>"
    )


def test_hostile_rows(site: Site) -> None:
    """Whatever stands in rows and errors is text: it makes no element, link or attribute."""
    site.see(KEYS, *(hostile(number, each) for number, each in enumerate(HOSTILE)))
    for each in HOSTILE:
        site.fail(ROWS, whole(each))
    usual = site.get("/checks/users.rows")
    expected = Text(usual.text).elements | {"article", "h3", "h4", "section", "table", "details"}
    expected |= {"thead", "tbody", "tr", "th", "td", "summary", "strong", "pre", "time"}
    for path in ("/", "/checks/orders.key", "/checks/orders.rows"):
        shown = Text(site.get(path).text)
        assert shown.elements <= expected | {"wbr"}
        assert not [each for each in shown.links if "script" in each or each == "x"]
        assert not re.search("[\u202e\x00\x1b\ud800]", shown.text)
    shown = Text(site.get("/checks/orders.key").text)
    for each in HOSTILE[:8]:
        assert re.sub(r"\s+", " ", visible(each)) in shown.text
    assert "(10,000 characters)" in shown.text


def test_traffic(tmp_path: Path) -> None:
    """The check of conflicts tells the latest windows by route and code, while it can tell."""
    with serving(tmp_path, (TRAFFIC,)) as site:
        site.take(TRAFFIC, traffic())
        shown = text(site, "/checks/app.conflicts")
        row = "POST /orders/{id} short, 5m 200 32 16.00 % REQUEST_PROCESSING 30, other 2"
        assert row in shown
        assert "POST /users long, 1h 1,000 0 0.00 %" in shown
        site.fail(TRAFFIC)
        assert "the latest run could not tell" in text(site, "/checks/app.conflicts")


def test_bounded(site: Site) -> None:
    """Of a thousand findings a hundred are shown, and the page says how many there are."""
    site.see(KEYS, *(found(number) for number in range(1000)))
    html = site.get("/checks/orders.key").text
    assert html.count("<article") == FINDINGS_SHOWN
    assert "100 of 1,000 shown" in Text(html).text


def test_resolved(site: Site) -> None:
    """What was mended lately is still there to be looked up."""
    site.see(KEYS, found(1, "ABC"))
    site.see(KEYS)
    shown = text(site, "/checks/orders.key")
    assert "None is known." in shown
    assert "Lately resolved (1)" in shown


def test_no_answer_is_not_fine(site: Site) -> None:
    """Where there is no answer, no page says that nothing is wrong."""
    site.fail(KEYS, "no such column: k")
    shown = text(site, "/checks/orders.key")
    assert "It could not tell: no such column: k" in shown
    assert "None is known; that says nothing" in shown


@pytest.mark.parametrize(
    "path",
    [
        *("/checks/nothing", "/checks/<script>", "/checks/..%2f..%2fetc", "/checks/", "/checks"),
        *("/runbooks/nothing", "/runbooks/..%2fweb%2fpages", "/runbooks/../web/page.css"),
        *("/runbooks/__init__", "/runbooks/ReconcilerDuplicates.md", "/icon-x.svg", "/page.css/"),
        *("/home.html.j2", "/runbooks/%00", "/runbooks/ReconcilerDuplicates%0a"),
    ],
)
def test_unknown(site: Site, path: str) -> None:
    """What there is not is 404, and nobody leaves the folders of pages and runbooks."""
    answer = site.get(path)
    assert answer.status_code == 404
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/checks/orders.key", "/runbooks/", "/page.css", "/icon-fail.svg"]
)
def test_headers(site: Site, path: str) -> None:
    """Pages forbid scripts, frames, forms and caching; HEAD answers like GET; nothing is posted."""
    answer, head = site.get(path), site._client.head(path)
    policy = answer.headers["content-security-policy"]
    for part in ("default-src 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "script" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert (head.status_code, head.content) == (200, b"")
    assert site._client.post(path).status_code == 405
    assert not Text(answer.text).elements & {"script", "form", "input", "button", "iframe", "style"}


def test_links_are_relative(site: Site) -> None:
    """Pages work behind a proxy that serves them below a path of its own; and every link works."""
    site.see(KEYS, found(1))
    for path in ("/", "/checks/orders.key", "/runbooks/", "/runbooks"):
        for link in Text(site.get(path).text).links:
            assert not link.startswith(("/", "http"))
            if link.startswith("#") or (link.startswith("../runbooks/R") and not runbooks.titles()):
                continue
            assert site.get(str(site.get(path).url.join(link))).status_code == 200, (path, link)


def test_every_runbook_is_a_page(site: Site) -> None:
    """Each Markdown file of `worker/runbooks` is listed and rendered, with one main heading."""
    listed = text(site, "/runbooks/")
    for name, title in runbooks.titles().items():
        assert name in listed
        html = site.get(f"/runbooks/{name}").text
        assert html.count("<h1") == 1
        assert visible(title.replace("`", "")) in Text(html).text


def test_html_in_a_runbook_is_text() -> None:
    """A runbook can make no element of its own, and its wide parts scroll by keyboard."""
    source = (
        "# T\n\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) ![b](x)\n\n    SELECT '<b>'\n"
    )
    html = runbooks._parser().render(source)
    shown = Text(html)
    assert shown.elements == {"h1", "p", "pre", "code", "a"}
    assert shown.links == []
    assert "<script>alert(1)</script>" in shown.text
    assert 'tabindex="0"' in html


def test_late_and_waiting(site: Site) -> None:
    """A check that is late, or has not run, is among what needs attention."""
    site.take(KEYS, Result(1, 0), ago=timedelta(hours=1))
    site.see(ROWS)
    shown = text(site)
    assert "! 1 check is late; 1 has not run yet; 1 passes." in shown
    assert (
        shown.index("orders.key") < shown.index("users.rows") < shown.index("All checks by table")
    )
    assert "never" in shown


def test_finding_without_evidence(site: Site) -> None:
    """NULL and the empty string are told apart."""
    site.see(KEYS, Finding({"a": None, "b": ""}, "no values"))
    assert "a NULL b ''" in text(site, "/checks/orders.key")

"""The text formats of web servers: all their fields, in their order, or nothing."""

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.formats import LineFormat
from checks.http_log.request import Request
from tests.support.access_logs import Whole, whole

NOON = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())
TIME = "[05/Jan/2026:12:00:00 +0000]"
REST = f'{TIME} "POST /orders?x=1 HTTP/1.1" 409 52'
AGENT = '"-" "Mozilla/5.0 (K\\xC3\\xB6ln) \\"x\\""'

FORMATS = ("combined", "common", "vhost_combined")


def read(line: str, form: str = "combined") -> Whole:
    return whole(LineFormat(format=form).reader()(line.encode() + b"\n"))  # type: ignore[arg-type]


CLIENTS = ["10.0.0.7", "::1", "2001:db8::7", "pc7.shop.example", "unix:", "localhost"]
IDENTS = ["-", "frank", "ident_7", "a-b"]
USERS = ["-", "frank", "j.doe@shop.example", "x[1]", '""', "", r"\x22q\x22", r"a\"b"]
ENDS = ["", f" {AGENT}", f" {AGENT} 0.012", f' {AGENT} "10.0.0.1, 10.0.0.2" 12 -', ' "-" "cut of']


@pytest.mark.parametrize("form", FORMATS)
def test_a_line_with_all_its_fields_is_read(form: str) -> None:
    for client, ident, user, end in product(CLIENTS, IDENTS, USERS, ENDS):
        line = f"{client} {ident} {user} {REST}{end}"
        for host in ("shop.example:443 ", "shop.example ") if form == "vhost_combined" else ("",):
            batch = read(host + line, form)
            assert batch.requests == [Request(NOON, "POST", "/orders", 409, client=client)], line
            assert not batch.faults


@pytest.mark.parametrize("user", ["John Doe", "van der Berg", r"J\xC3\xBCrgen [x] M", "a  b"])
def test_a_user_may_have_blanks(user: str) -> None:
    assert read(f"10.0.0.7 - {user} {REST}").requests[0].client == "10.0.0.7"


def test_the_first_of_a_list_of_addresses_is_the_client() -> None:
    for client in ("10.0.0.7, 10.1.0.1", '"10.0.0.7, 10.1.0.1"', "10.0.0.7,10.1.0.1"):
        assert read(f"{client} - - {REST}").requests[0].client == "10.0.0.7"


HOSTS = ["cards.example:8443", "cards.example", "10.9.0.1", "localhost", "[::1]:80", "-"]


@pytest.mark.parametrize("form", ["combined", "common"])
def test_a_field_more_before_the_client_is_another_format(form: str) -> None:
    """Else a host's name would be the client, and all clients one."""
    for host, client in product(HOSTS, ["10.0.0.7", "2001:db8::7", "pc7.shop.example"]):
        for between in (" ", " - "):
            for user in ("- -", "- frank", "-"):
                line = f"{host}{between}{client} {user} {REST}"
                batch = read(line, form)
                assert (batch.requests, dict(batch.faults)) == ([], {"unreadable": 1}), line


def test_a_line_without_the_host_is_none_of_vhost_combined() -> None:
    batch = read(f"10.0.0.7 - - {REST}", "vhost_combined")
    assert (batch.requests, dict(batch.faults)) == ([], {"unreadable": 1})


@pytest.mark.parametrize(
    "line",
    [
        f'10.0.0.7 - - {TIME} "GET / HTTP/1.1" 0.003 409 52',
        f'10.0.0.7 - - {TIME} "GET / HTTP/1.1" 123 409 52',
        f'10.0.0.7 - - {TIME} "GET / HTTP/1.1" 4090 52',
        f'10.0.0.7 - - {TIME} shop.example "GET / HTTP/1.1" 409 52',
        f'10.0.0.7 - - {TIME} "GET /a"b HTTP/1.1" 409 52',
        '10.0.0.7 - - [2026-01-05T12:00:00Z] "GET / HTTP/1.1" 409 52',
        '10.0.0.7 - - 05/Jan/2026:12:00:00 +0000 "GET / HTTP/1.1" 409 52',
        f"10.0.0.7 - - {TIME} GET / HTTP/1.1 409 52",
        f'10.0.0.7 {TIME} "GET / HTTP/1.1" 409 52',
    ],
)
def test_other_fields_are_another_format(line: str) -> None:
    batch = read(line)
    assert (batch.requests, dict(batch.faults)) == ([], {"unreadable": 1})


@pytest.mark.parametrize("status", ["-", "000"])
def test_a_request_without_an_answer_is_none_that_counts(status: str) -> None:
    batch = read(f'10.0.0.7 - - {TIME} "GET / HTTP/1.1" {status} 0')
    assert (batch.requests, dict(batch.faults)) == ([], {"unanswered": 1})


@given(st.text(st.characters(codec="ascii", exclude_characters='\n"\\'), max_size=60))
def test_a_stranger_cannot_write_another_line_into_the_user(user: str) -> None:
    """Who logs in chooses the user; time, request and status are still the server's."""
    forged = f"{user} [01/Jan/2020:00:00:00 +0000] GET /forged HTTP/1.1 200 5"
    for request in read(f"10.0.0.7 - {forged} {REST} {AGENT}").requests:
        assert request == Request(NOON, "POST", "/orders", 409, client="10.0.0.7")


def test_hostile_lines_take_no_time() -> None:
    """However long a line is, reading it is a matter of its length."""
    for part in ("- ", '\\"', "[05/Jan/2026", "a, ", ' [05/Jan/2026:12:00:00 +0000] "', "\\x22 - "):
        assert read(part * (60_000 // len(part))).faults == {"unreadable": 1}

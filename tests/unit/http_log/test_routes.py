"""Which route a path is on."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.counts import OTHER
from checks.http_log.routes import Routes, template


def routes(*declared: str, learns: bool = True, most: int = 100, learnt: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return Routes(declared, learnt, learns=learns, most=most)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/api/v4/lottery/draw", "/api/v4/lottery/draw"),
        ("/api/v4/orders/", "/api/v4/orders"),
        ("/api/v4/orders/17", "/api/v4/orders/{id}"),
        ("/orders/9f1c2b3a-0d4e-4f5a-8b6c-7d8e9f0a1b2c/lines/3", "/orders/{id}/lines/{id}"),
        ("/files/deadbeefcafe", "/files/{id}"),
        ("/files/DEADBEEF", "/files/{id}"),
        ("/u/alice@example.com", "/u/{id}"),
        ("/u/%E5%BC%A0", "/u/{id}"),
        ("/u/\u5f20\u4e09", "/u/{id}"),
        ("/k/lottery_draw_3_1_1767528930000", "/k/{id}"),
        ("/k/a1b2c3", "/k/{id}"),
        ("/a/" + "x" * 33, "/a/{id}"),
        ('/a/"}\n', "/a/{id}"),
        ("/a/../b", "/a/{id}/b"),
        ("/market/sign-in.do", "/market/sign-in.do"),
        ("/" + "/".join("abcdefghijk"), OTHER),
    ],
)
def test_a_template_keeps_names_and_leaves_out_data(path: str, route: str) -> None:
    assert template(path) == route


@given(st.text())
def test_a_template_never_holds_what_no_name_holds(path: str) -> None:
    allowed = {*string.ascii_letters, *string.digits, *"/{}_.-"}
    assert set(template(f"/a/{path}")) <= allowed
    assert len(template(path)) <= 120


@given(st.uuids(), st.integers(min_value=0), st.binary(min_size=4, max_size=16))
def test_ids_of_every_sort_fall_together(uuid: object, number: int, raw: bytes) -> None:
    assert {template(f"/a/{each}/b") for each in (uuid, number, raw.hex())} == {"/a/{id}/b"}


def test_declared_routes_go_before_learnt_ones_and_fixed_parts_before_placeholders() -> None:
    known = routes("/orders/{order}", "/orders/mine", "/{any}/mine")
    assert known.of("/orders/17", "POST", 200) == "/orders/{order}"
    assert known.of("/orders/anything", "POST", 404) == "/orders/{order}"
    assert known.of("/orders/mine/", "POST", 200) == "/orders/mine"
    assert known.of("/shops/mine", "POST", 200) == "/{any}/mine"
    assert known.of("/orders//", "POST", 200) == "/orders"
    assert known.of("/shops/yours", "POST", 200) == "/shops/yours"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 500, 502, 999])
def test_a_path_that_no_route_answers_teaches_none(status: int) -> None:
    known = routes()
    assert [known.of("/wp-admin/setup.php", "POST", status) for _ in range(3)] == [OTHER] * 3
    assert not known.learnt


@pytest.mark.parametrize("status", [200, 201, 204, 409, 422])
def test_an_answer_of_a_real_route_teaches_it(status: int) -> None:
    known = routes()
    assert known.of("/orders/17", "POST", 404) == OTHER
    assert known.of("/orders/17", "POST", status) == "/orders/{id}"
    assert known.of("/orders/18", "POST", 404) == "/orders/{id}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "OTHER"])
def test_only_a_write_teaches_a_route(method: str) -> None:
    """A page that answers any path with 200 would else make a label of whatever is asked."""
    known = routes()
    assert known.of("/orders/17", method, 200) == OTHER
    known.of("/orders/17", "POST", 201)
    assert known.of("/orders/18", method, 200) == "/orders/{id}"


def test_nothing_is_learnt_where_that_is_not_wanted() -> None:
    known = routes("/orders/{id}", learns=False)
    assert (known.of("/orders/1", "POST", 200), known.of("/shops/1", "POST", 200)) == (
        "/orders/{id}",
        OTHER,
    )


def test_beyond_the_most_routes_everything_is_other() -> None:
    known = routes("/declared", most=3)
    told = [known.of(f"/{name}", "POST", 200) for name in "abcdef"]
    assert told == ["/a", "/b", OTHER, OTHER, OTHER, OTHER]
    assert known.of("/declared", "POST", 200) == "/declared"


def test_what_was_learnt_before_is_known_again() -> None:
    before = routes(most=2)
    before.of("/a", "POST", 200)
    after = routes(most=2, learnt=tuple(before.learnt))
    assert [after.of(path, "POST", 404) for path in ("/a", "/b")] == ["/a", OTHER]


def test_a_flood_of_paths_takes_no_memory() -> None:
    known = routes(most=5)
    for number in range(120_000):
        known.of(f"/a{'x' * (number % 20)}/{number}", "POST", 200)
    for number in range(30_000):
        name = "".join(chr(97 + int(digit)) for digit in str(number))
        known.of(f"/{name}", "POST", 200)
    assert max(len(known._known), len(known._words)) <= 10_001
    assert len(known.learnt) == 5

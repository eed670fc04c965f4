"""`[[interfaces]]`: what an interface is, what is refused, and which checks follow."""

from datetime import datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from checks.declared.key_standard import Place, key_checks, mistakes
from checks.declared.table import TableFacts
from checks.keys.interfaces import CONFLICTS, Interface
from checks.kinds.key_format import KeyFormat
from checks.sql.timestamps import TimeColumn

BASE = {"method": "POST", "route": "/orders", "key": "required"}
SINCE = datetime.fromisoformat("2026-01-02T20:24:20+08:00")
TABLES = {
    "orders": TableFacts(primary_key="id", cursor=TimeColumn("id"), written_at=TimeColumn("at")),
    "plain": TableFacts(primary_key="id"),
    "gone": TableFacts(retired=True),
}


def interface(**fields: object) -> Interface:
    """An interface made the way the configuration makes it."""
    return TypeAdapter(Interface).validate_python(BASE | fields)


def interfaces(*given: dict[str, Any]) -> list[Interface]:
    """Several, each on a route of its own unless it states one."""
    return [interface(**({"route": f"/r{n}"} | each)) for n, each in enumerate(given)]


def test_an_interface_is_told_by_method_and_shape() -> None:
    """Names of placeholders do not tell routes apart; fixed text does."""
    one, other = interface(route="/a/{id}/b"), interface(route="/a/{order}/b")
    assert one.shape == other.shape != interface(route="/a/{id}/c").shape
    assert one.shape != interface(route="/a/{id}/b", method="PUT").shape
    assert (one.name, dict(one.conflicts)) == ("POST /a/{id}/b", dict(CONFLICTS))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "GET"}, "'POST', 'PUT', 'PATCH' or 'DELETE'"),
        ({"key": "yes"}, "'required', 'optional' or 'derived'"),
        ({"route": "orders"}, "a route begins with /"),
        ({"route": "/orders/"}, "a route is made of whole segments"),
        ({"route": "/orders//x"}, "a route is made of whole segments"),
        ({"route": "/orders/x{id}"}, "a route is made of whole segments"),
        ({"route": "/orders?x=1"}, "a route is made of whole segments"),
        ({"format": "{integer}"}, r"format\.0[\s\S]*no placeholder"),
        ({"format": []}, "format"),
        ({"table": "t", "ledger_keys": ["x"]}, r"ledger_keys\.0[\s\S]*names no column"),
        ({"ledger_keys": ["x_{id}"]}, "ledger_keys needs table"),
        ({"when": "a = 1"}, "when needs table"),
        ({"column": "k"}, "column needs table"),
        ({"table": "t", "when": "SLEEP(9)"}, "not allowed in a condition"),
        ({"conflicts": {"x y": {"meaning": "m", "client": "stop"}}}, "conflicts"),
        ({"conflicts": {"X": {"meaning": "m", "client": "later"}}}, "'same_key', 'new_key' or"),
        ({"conflicts": {"X": {"status": 200, "meaning": "m", "client": "stop"}}}, "status"),
        ({"formats": "{int}"}, "formats"),
    ],
)
def test_what_is_no_interface_is_refused(fields: dict[str, object], message: str) -> None:
    """Each mistake is told where it is."""
    with pytest.raises(ValidationError, match=message):
        interface(**fields)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([{"route": "/a/{x}"}, {"route": "/a/{y}"}], [(1, "route")]),
        ([{"route": "/a/{x}"}, {"route": "/a/b"}], []),
        ([{"table": "order"}], [(0, "table")]),
        ([{"table": "gone"}], [(0, "table")]),
        ([{"table": "orders"}, {"table": "orders", "when": "a = 1"}], [(1, "when")]),
        ([{"table": "orders"}, {"table": "orders", "column": "k", "when": "a = 1"}], []),
        ([{"table": "plain", "format": "{int}", "since": SINCE}], [(0, "since")]),
    ],
)
def test_mistakes_between_interfaces_are_told(
    given: list[dict[str, Any]], told: list[tuple[int, str]]
) -> None:
    """Routes that nothing tells apart, tables that are not there, rules at odds: each is told."""
    found = list(mistakes(interfaces(*given), TABLES))
    assert [(each.number, each.field) for each in found] == told


def test_a_mistake_names_what_it_is_at_odds_with() -> None:
    """The message names the other interface, and the nearest table."""
    (same,) = mistakes(interfaces({"route": "/a/{x}"}, {"route": "/a/{y}"}), TABLES)
    assert same.message == "takes the same requests as interfaces[0], POST /a/{x}"
    (unknown,) = mistakes(interfaces({"table": "order"}), TABLES)
    assert unknown.message == ("order is not among [tables]; the nearest existing name is orders")


def derived(*given: dict[str, Any]) -> list[tuple[int, KeyFormat]]:
    """The checks that follow, each with the number of its first interface."""
    found = []
    places = {name: (Place("ledger", name, None),) for name in TABLES}
    for number, check in key_checks(interfaces(*given), TABLES, places):
        assert isinstance(check, KeyFormat)
        found.append((number, check))
    return found


def test_one_check_follows_for_each_key_column() -> None:
    """The rules of all interfaces that write to a column are alternatives."""
    found = derived(
        {"format": "{uuid}"},
        {"table": "orders", "format": ["a_{int}", "{uuid}"], "when": "source = 'app'"},
        {"table": "plain", "column": "k", "format": "{int}"},
        {"table": "orders", "format": ["{uuid}", "b_{int}"], "when": "source = 'app'"},
    )
    assert [(n, c.name, c.database) for n, c in found] == [
        (1, "orders.key_format.idempotency_key", "ledger"),
        (2, "plain.key_format.k", "ledger"),
    ]
    orders = found[0][1]
    assert [each.source for each in orders.patterns] == ["a_{int}", "{uuid}", "b_{int}"]
    assert (orders.primary_key, orders.cursor, orders.written_at) == ("id", "id", "at")
    assert orders.when
    assert orders.when.source == "source = 'app'"


def test_no_check_follows_where_any_key_is_right() -> None:
    """One interface without a rule writes keys that no rule can judge."""
    assert derived({"table": "orders", "format": "{uuid}"}, {"table": "orders"}) == []

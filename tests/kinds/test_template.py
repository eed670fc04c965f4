"""Templates of derived keys: what one is, the key it gives a row, and how a key is read back."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from checks.keys.template import Template, as_number
from checks.sql.statements import rows_of
from tests.support.ledgers import Ledger

BRACE = "a brace encloses one column name: {lottery_session_id}"
NONE = "the template names no column: {lottery_session_id}"
TWICE = "a column stands twice in the template"
APART = "between two columns there must be text that keeps them apart"
LOWEST, HIGHEST = -(2**63), 2**63 - 1


@pytest.mark.parametrize(
    ("source", "columns", "fixed"),
    [
        ("{a}", ("a",), 0),
        ("lottery_consume:{lottery_session_id}", ("lottery_session_id",), 16),
        ("lottery_reward:{lottery_session_id}:{prize_id}", ("lottery_session_id", "prize_id"), 16),
        ("{key}:settle_buyer", ("key",), 13),
        ("市场_{_x}-{b$1}/{C}!", ("_x", "b$1", "C"), 6),
        ("{a} {b}", ("a", "b"), 1),
        ("{a b}:{1a}:{积分}", ("a b", "1a", "积分"), 2),
    ],
)
def test_template_is_text_and_columns(source: str, columns: tuple[str, ...], fixed: int) -> None:
    """A template knows its columns in order and how long its fixed text is, in characters."""
    template = Template(source)
    assert (template.source, template.columns, template.fixed_length) == (source, columns, fixed)
    assert repr(template) == f"Template({source!r})"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", NONE),
        ("lottery_consume:", NONE),
        ("{}", BRACE),
        ("{a", BRACE),
        ("a}", BRACE),
        ("{a}}", BRACE),
        ("{{a}}", BRACE),
        ("{a.b}", BRACE),
        ("{a }", "'a ' is no name that a server takes: it ends with a space"),
        ("{a}:{a}", TWICE),
        ("{a}{b}", APART),
        ("x{a}:{b}{c}y", APART),
    ],
)
def test_what_is_no_template_is_refused(source: str, message: str) -> None:
    """Stray braces, no column, a column twice, or two columns that nothing keeps apart."""
    with pytest.raises(ValueError, match=r".") as caught:
        Template(source)
    assert str(caught.value) == message


FIXED = st.sampled_from(["", "k", "lottery_reward:", "100%", "%s", ":name", "it's ", "\\", "券_"])
SEPARATORS = st.sampled_from([":", "_", "::", "x:", "_x_", "x", "%", "\\", "'", "券", ":a:", " "])
TEXTS = st.one_of(
    st.text(":_x%\\' a:券\U0001f600é\n0-", max_size=12),
    st.sampled_from(["x" * 200, ":" * 200, "券:" * 100, "1", "-1", "None"]),
)
WHOLE = st.one_of(st.integers(-20, 20), st.sampled_from([LOWEST, HIGHEST]))


@st.composite
def templates(draw: st.DrawFn) -> Template:
    """Templates of one to three columns, a text first."""
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    pieces = "".join(f"{draw(SEPARATORS) if n else ''}{{{name}}}" for n, name in enumerate(names))
    return Template(f"{draw(FIXED)}{pieces}{draw(FIXED)}")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(template=templates(), rows=st.lists(st.tuples(TEXTS, WHOLE, WHOLE), min_size=1, max_size=12))
def test_key_is_derived_and_read_back(
    ledger: Ledger, template: Template, rows: list[tuple[str, int, int]]
) -> None:
    """A row's key is the template filled in, and from the key the row's values are read again."""
    for (found, *parts), row in zip(_select(ledger, template, rows), rows, strict=True):
        values: dict[str, object] = dict(zip("abc", row, strict=True))
        assert found == _filled(template, values)
        expected = [str(values[name]) for name in template.columns]
        assert parts[: len(expected)] == expected
        assert parts[len(expected) :] == [values[name] for name in template.columns[1:]]


def test_first_column_may_hold_the_separator(ledger: Ledger) -> None:
    """A session id with colons in it is read back whole; the whole number follows the last one."""
    template = Template("lottery_reward:{a}:{b}")
    ((key, *parts),) = _select(ledger, template, [("s:1:22:", -333, 0)])
    assert key == "lottery_reward:s:1:22::-333"
    assert parts == ["s:1:22:", "-333", -333]


@pytest.mark.parametrize("template", ["{a}", "{a}:{b}", "k:{b}:{a}", "{b}:"])
def test_key_without_one_of_its_values_is_null(ledger: Ledger, template: str) -> None:
    """A row with NULL in one of the template's columns has no key."""
    ((key, *_),) = _select(ledger, Template(template), [(None, None, 1)])
    assert key is None


@pytest.mark.parametrize("key", ["", "k", "k:", "x" * 99, ":", "k:a", "k:a:b:c:d", "券"])
def test_key_of_another_form_is_read_without_error(ledger: Ledger, key: str) -> None:
    """Whatever is put into a key column, to read it back raises no error."""
    ledger.sql("CREATE TABLE t (k varchar(100))")
    ledger.insert("t", "k", [(key,)])
    rows = rows_of("t", ["k"])
    parts = Template("lottery_reward:{a}::{b}-{c}!").read(rows.c["k"])
    with ledger.sources.snapshot("ledger") as connection:
        (row,) = connection.execute(select(*parts, as_number(parts[2]))).all()
    assert len(row) == 4


def _select(
    ledger: Ledger, template: Template, values: Sequence[tuple[object, object, object]]
) -> list[list[object]]:
    """Of each row its key, what is read out of that, and that as numbers but for the first."""
    ledger.sql(
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(200), b bigint, c bigint)",
    )
    ledger.insert("t", "id, a, b, c", [(n, *row) for n, row in enumerate(values)])
    rows = rows_of("t", ("id", "a", "b", "c"))
    key = template.on(rows)
    parts = template.read(key)
    statement = select(key, *parts, *map(as_number, parts[1:])).order_by(rows.c["id"])
    with ledger.sources.snapshot("ledger") as connection:
        return [list(row) for row in connection.execute(statement)]


def _filled(template: Template, values: dict[str, object]) -> str:
    key = template.source
    for name in template.columns:  # what is filled in holds no braces
        key = key.replace(f"{{{name}}}", str(values[name]))
    return key

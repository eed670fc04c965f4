"""Input of any size and depth: one clear error with its place, and never anything else."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import config
from worker.config import bounds, loader

BASE = """
[databases.ledger]
url = "sqlite:///ledger.db"
[tables.orders]
primary_key = "id"
columns = { id = "integer" }
"""
MANY = 6000
HOSTILE = {
    "open": "(" * MANY,
    "nested": "(" * MANY + "a" + ")" * MANY,
    "brackets": "[" * MANY,
    "braces": "{a}" * MANY,
    "selects": "SELECT * FROM (" * (MANY // 4),
    "unions": " UNION ALL ".join(["SELECT id FROM orders"] * (MANY // 8)),
    "calls": "ABS(" * MANY,
    "cases": "CASE WHEN a = 1 THEN " * MANY,
    "signs": "- " * MANY + "a",
    "stars": "*" * MANY,
    "alternatives": "(a|" * MANY,
    "quotes": "'" * MANY,
    "long": "a" * (bounds.LONGEST_TEXT + 1),
    "NUL": "a\\u0000b",
    "words": "not " * MANY,
}
PLACES = {
    "condition": "checks = [{ name = 'x.y', kind = 'condition', table = 'o', condition = %s }]",
    "amount": "checks = [{ name = 'x.y', kind = 'non_negative', table = 'o', amounts = [%s] }]",
    "query": "checks = [{ name = 'x.y', kind = 'query', message = 'm', select = %s }]",
    "template": "checks = [{ name = 'x.y', kind = 'posting', table = 'orders', ledger_key = %s }]",
    "when": "tables.carts = { primary_key = 'id', when = %s }",
    "relation": "relations.r = { primary_key = ['id'], select = %s }",
    "column": "tables.carts = { primary_key = 'id', columns = { id = %s } }",
    "table": "tables.%s = { primary_key = 'id' }",
    "database": "databases.other = { url = %s }",
    "schedule": "schedule.every = %s",
    "cron": "maintenance = [{ cron = %s, lasts = '1h' }]",
    "zone": "timezone = %s",
    "pattern": "overrides = [{ check = %s, every = '1m' }]",
    "log": "access_logs.a = { path = 'x', rotated = [%s] }",
    "server": "prometheus.p = { url = %s }",
    "unknown": "nonsense = %s",
}


def refused(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The mistakes that are found; none of a configuration that is taken."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    try:
        config.load(path, environment or {})
    except config.ConfigError as error:
        if len(str(error)) > 1 << 20:
            pytest.fail("an error of more than a megabyte")
        return [str(each) for each in error.problems]
    return []


@pytest.mark.parametrize("place", PLACES)
def test_texts_of_any_shape_are_taken_or_refused(place: str, tmp_path: Path) -> None:
    """Whatever stands in a field, the answer is a configuration or mistakes with their places."""
    for name, text in HOSTILE.items():
        told = refused(tmp_path, PLACES[place].replace("%s", f'"{text}"') + BASE)
        assert all(": " in each or name == "long" for each in told), told
        if name == "long" and place != "table":
            assert any("longer than 100000 characters" in each for each in told)


DEEP = 3000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 100_000, "not TOML: nested too deeply"),
        ("a = " + "[" * 25 + "]" * 25, "nested deeper than 20 tables and lists"),
        ("a = " + "{a = " * 25 + "1" + "}" * 25, "nested deeper than 20 tables and lists"),
        (".".join(["a"] * DEEP) + " = 1", "nested deeper than 20 tables and lists"),
        ("[" + ".".join(["a"] * DEEP) + "]", "nested deeper than 20 tables and lists"),
        ("a = " + "9" * 100_000, "not TOML: "),
        ("a = -" + "9" * 5_000, "not TOML: "),
        ("a = 0x" + "f" * 5_000, "a: "),
        ("k" * 1001 + " = 1", "a key longer than 1000 characters"),
        ("a = [" + "1," * 100_001 + "]", "has more than 100000 values"),
        ("# " + "x" * (4 << 20), "is larger than 4194304 bytes"),
        ("\n".join(f"key{number} = 1" for number in range(1000)), "and 801 more"),
    ],
    ids=lambda each: each[:12],
)
def test_documents_of_any_shape_are_refused(text: str, told: str, tmp_path: Path) -> None:
    """Depth, size and number are bounded before anything is interpreted; the message is short."""
    found = refused(tmp_path, text + "\n")
    assert any(told in each for each in found), found[:3]
    assert len(found) <= loader.MOST_PROBLEMS + 1


@pytest.mark.parametrize("section", ["TABLES", "DATABASES", "NONSENSE", "SCHEDULE"])
def test_variables_are_bounded_too(section: str, tmp_path: Path) -> None:
    """Neither depth nor length of what the environment says gets through."""
    deep = {f"RECONCILER_{section}__" + "__".join(["A"] * DEEP): "1"}
    assert refused(tmp_path, BASE, deep)
    long = {f"RECONCILER_{section}__LEDGER": "x" * 130_000}
    assert refused(tmp_path, BASE, long)


def test_a_secret_file_without_end_is_refused(tmp_path: Path) -> None:
    """A device or a log in the place of a password is not read whole."""
    text = '[databases.l]\nurl = "mysql://u@h/d"\npassword_file = "/dev/zero"\n'
    assert any("larger than 65536 bytes" in each for each in refused(tmp_path, text))


VALUES = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_what_is_small_is_within_bounds(document: dict[str, object]) -> None:
    """Documents of the usual depth and size have no excess."""
    assert not [said for _, said in bounds.excesses(document) if "deeper" not in said]


def test_the_shipped_configuration_is_far_within_bounds() -> None:
    """It uses a small part of what is allowed."""
    shipped = Path(__file__).parents[2] / "config.toml"
    text = shipped.read_text(encoding="utf-8")
    assert len(text) * 20 < bounds.LARGEST_FILE
    assert list(bounds.excesses(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("name = 'a.b'\nkind = 'rows'", 'checks[1].kind of "a.b": '),
        ("name = 'a.b'\nkind = 'condition'\nseverty = 1", 'checks[1].severty of "a.b": '),
        ("name = 'a\\u202eb'\nkind = 'rows'".replace("'a", '"a').replace("b'", 'b"'), "«U+202E»"),
        ("name = 5\nkind = 'rows'", "checks[1].kind: "),
        ("kind = 'rows'", "checks[1].kind: "),
    ],
)
def test_a_mistake_names_its_check(entry: str, told: str, tmp_path: Path) -> None:
    """Nobody counts the entries of a list: the error for people has the check's own name."""
    first = "[[checks]]\nname = 't.rows'\nkind = 'row_count'\ntable = 't'\n"
    path = tmp_path / "config.toml"
    path.write_text(f"{BASE}{first}[[checks]]\n{entry}\n", encoding="utf-8")
    with pytest.raises(config.ConfigError) as caught:
        config.load(path, {})
    assert told in str(caught.value)

"""Facts of a table, and the checks that follow from them."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from checks.declared.table import TableFacts
from checks.kinds.blank import Blank
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.tables import Tables


def names(**facts: object) -> list[str]:
    stated = TableFacts.model_validate({"primary_key": "id"} | facts)
    return [check.name for check in stated.checks("t", "ledger")]


def test_every_table_must_exist_and_is_counted() -> None:
    """A table of which nothing else is stated is looked for and its rows are counted."""
    assert names() == ["t.tables", "t.row_count"]


def test_each_fact_gives_its_checks() -> None:
    """Columns, keys and amounts each give their checks, named after table, kind and columns."""
    found = names(
        columns={"k": "varchar(100) not null"},
        retired_columns=["old"],
        keys=[{"columns": ["k"]}, {"columns": ["a", "k"], "nulls": "distinct"}],
        non_negative=["free"],
    )
    assert found == [
        "t.tables",
        "t.columns",
        "t.unique_index.k",
        "t.duplicates.k",
        "t.unique_index.a.k",
        "t.duplicates.a.k",
        "t.blank.k",
        "t.non_negative",
        "t.row_count",
    ]


def test_retired_table_must_be_gone_and_nothing_more() -> None:
    """Of a retired table only its absence is asked."""
    (check,) = TableFacts.model_validate({"retired": True}).checks("t", "ledger")
    assert isinstance(check, Tables)
    assert check.retired


@pytest.mark.parametrize(
    ("declared", "blank"),
    [
        ("varchar(100) NOT NULL", True),
        ("text  not  null", True),
        ("varchar(100)", False),
        ("varchar(100) null", False),
        ("bigint not null", False),
    ],
)
def test_only_filled_text_keys_are_searched_for_blanks(declared: str, *, blank: bool) -> None:
    """A key column is searched for blanks when it holds text and is declared NOT NULL."""
    found = names(columns={"k": declared}, keys=[{"columns": ["k"]}])
    assert ("t.blank.k" in found) is blank


def test_column_of_two_keys_is_searched_once() -> None:
    """A column in two keys gives one search for blanks."""
    keys = [{"columns": ["k"]}, {"columns": ["a", "k"]}]
    assert names(columns={"k": "text not null"}, keys=keys).count("t.blank.k") == 1


def test_checks_know_what_the_facts_say() -> None:
    """Database, primary key and the meaning of NULL reach the checks."""
    facts = {
        "primary_key": "pk",
        "columns": {"k": "varchar(9) not null"},
        "keys": [{"columns": ["k"], "nulls": "distinct"}],
    }
    checks = list(TableFacts.model_validate(facts).checks("t", "other"))
    assert {check.database for check in checks} == {"other"}
    (duplicates,) = (each for each in checks if isinstance(each, Duplicates))
    assert (duplicates.primary_key, duplicates.nulls) == ("pk", "distinct")
    (blank,) = (each for each in checks if isinstance(each, Blank))
    assert blank.primary_key == "pk"


def test_names_are_all_columns_that_are_said_to_exist() -> None:
    """Every column that a fact names must exist, a retired one must not."""
    facts = TableFacts.model_validate(
        {
            "primary_key": "id",
            "cursor": "seq",
            "written_at": "at",
            "pending": "state = 'draft' AND id > 0",
            "columns": {"k": "int"},
            "retired_columns": ["old"],
            "keys": [{"columns": ["a", "b"]}],
            "non_negative": ["free"],
        }
    )
    assert facts.names == {"id", "seq", "at", "state", "k", "a", "b", "free"}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"retired": True, "keys": []}, "a retired table has no other facts, but states ['keys']"),
        ({"primary_key": "id", "colums": {}}, "Extra inputs are not permitted"),
        ({"primary_key": "a-b "}, "'a-b ' is no name that a server takes: it ends with a space"),
        ({"primary_key": "id", "keys": [{"columns": []}]}, "at least 1 item"),
        ({"primary_key": "id", "pending": "a = 1"}, "pending needs cursor"),
        ({"primary_key": "id", "since": datetime(2026, 1, 2, tzinfo=UTC)}, "since needs written"),
    ],
)
def test_facts_that_make_no_sense_are_refused(facts: dict[str, object], message: str) -> None:
    """A contradiction or an unknown word is a mistake, told in words."""
    with pytest.raises(ValidationError) as caught:
        TableFacts.model_validate(facts)
    assert message in str(caught.value)


def test_key_of_some_rows_gives_its_condition_to_its_checks() -> None:
    """What says which rows share no key is a field of both checks, and its columns are known."""
    key = {"columns": ["seat"], "index": "u", "when": "gone IS NULL"}
    facts = TableFacts.model_validate({"primary_key": "id", "keys": [key]})
    asked = {check.kind: getattr(check, "when", None) for check in facts.checks("t", "ledger")}
    for kind in ("unique_index", "duplicates"):
        assert getattr(asked[kind], "source", None) == "gone IS NULL"
    assert facts.names == {"id", "seat", "gone"}


def test_no_index_is_asked_for() -> None:
    """`index = false` leaves the index of a key aside, `true` is no name."""
    assert names(keys=[{"columns": ["k"], "index": False}]) == [
        *("t.tables", "t.duplicates.k", "t.row_count")
    ]
    with pytest.raises(ValidationError, match="True is no name"):
        names(keys=[{"columns": ["k"], "index": True}])


def test_a_view_has_no_index() -> None:
    """The keys of a view ask for duplicates only."""
    assert names(view=True, keys=[{"columns": ["k"]}]) == [
        *("t.tables", "t.duplicates.k", "t.row_count")
    ]
    with pytest.raises(ValidationError, match="a view has no index, and so not u"):
        names(view=True, keys=[{"columns": ["k"], "index": "u"}])


def test_the_index_alone_may_be_asked_for() -> None:
    """`duplicates = false` leaves the rows of a key aside; then something else has to be asked."""
    assert names(keys=[{"columns": ["id"], "index": "PRIMARY", "duplicates": False}]) == [
        *("t.tables", "t.unique_index.id", "t.row_count")
    ]
    with pytest.raises(ValidationError, match="nothing is asked of this key"):
        names(keys=[{"columns": ["k"], "index": False, "duplicates": False}])


def test_bounds_of_rows_have_a_severity() -> None:
    """How bad it is when a table is empty is stated beside its bounds; else it is a warning."""
    for rows, severity in (({"at_least": 1}, "warning"), ({"severity": "critical"}, "critical")):
        facts = TableFacts.model_validate({"primary_key": "id", "rows": rows})
        (count,) = (each for each in facts.checks("t", "ledger") if each.kind == "row_count")
        assert count.severity == severity


def test_a_view_has_no_engine() -> None:
    """Which engine a view has is no question."""
    with pytest.raises(ValidationError, match="a view has no engine, and so not InnoDB"):
        names(view=True, engine="InnoDB")

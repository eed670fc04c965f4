"""`query`: a SELECT of which every row is a violation."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks.contract import SAMPLE, CheckError, Result
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from worker import config
from worker.text.redact import Mask

DECLARED: dict[str, Any] = {
    "select": "SELECT h.owner, h.kind, SUM(h.amount) AS held FROM holds AS h"
    " WHERE h.amount > 0 GROUP BY h.owner, h.kind",
    "key": ["owner", "kind"],
    "message": "{owner} holds {held} of {kind}",
    "magnitude": "held",
}


def fill(ledger: Ledger, *rows: tuple[object, ...]) -> None:
    """Write holds, each of an owner, a kind and an amount."""
    ledger.sql("CREATE TABLE holds (owner varchar(20), kind varchar(400), amount decimal(20,2))")
    ledger.insert("holds", "owner, kind, amount", rows)


def run(ledger: Ledger, **fields: object) -> Result:
    declared = check("query", "holds", **(DECLARED | fields)).hiding(())
    return declared.run(ledger.sources)


def test_each_row_is_a_violation(ledger: Ledger) -> None:
    """Rows are told in the order of their keys, with every column and the message."""
    fill(ledger, ("b", "x", 2), ("b", "x", 1), ("a", None, 7), ("a", "y", 0), ("c", "z" * 300, 1))
    result = run(ledger)
    assert (result.examined, result.violations, result.sample_is_whole) == (3, 3, True)
    assert keys(result)[:2] == [{"owner": "a", "kind": None}, {"owner": "b", "kind": "x"}]
    assert messages(result)[:2] == ["a holds 7 of NULL", "b holds 3 of x"]
    assert "sha256" in messages(result)[2]
    assert [each.magnitude for each in result.findings] == [7, 3, 1]
    assert result.findings[1].evidence == {"held": 3}
    ledger.sql("DELETE FROM holds")
    assert (run(ledger).examined, run(ledger).violations) == (0, 0)


@pytest.mark.parametrize(
    "name", ["%", "50 %s", "a:b", ":x", "{", "a}b", "a``b", "unit price", "é-1"]
)
def test_a_message_takes_a_column_of_any_name(ledger: Ledger, name: str) -> None:
    """Between backticks, of which two stand for one, as in SQL."""
    ledger.sql("CREATE TABLE holds (owner varchar(20), kind varchar(400), amount decimal(20,2))")
    ledger.insert("holds", "owner, kind, amount", [("a", "x", 1)])
    result = run(
        ledger,
        select=f"SELECT h.owner AS `{name}`, h.kind FROM holds AS h",
        key=[name.replace("``", "`")],
        message=f"{{kind}} of {{`{name}`}}",
        magnitude=None,
    )
    assert messages(result) == ["x of a"]
    assert keys(result) == [{name.replace("``", "`"): "a"}]


@on_any
def test_rows_with_one_key_are_one_violation(ledger: Ledger) -> None:
    """The first stands for all, whether they are few or more than the sample; all are counted."""
    fill(ledger, *(("a", f"k{n}", 3 - n) for n in range(3)), ("b", "k", 1))
    select = "SELECT owner, kind, amount AS held FROM holds"
    result = run(ledger, select=select, key=["owner"])
    assert (result.examined, result.violations) == (4, 2)
    assert result.findings[0].evidence["kind"] == "k0"
    many = [(f"o{n // 2:05}", "k", 1) for n in range(2 * SAMPLE + 10)]
    ledger.insert("holds", "owner, kind, amount", many)
    result = run(ledger, select=select, key=["owner"])
    assert (result.examined, result.violations) == (len(many) + 4, SAMPLE + 7)


@on_servers
def test_the_sql_to_look_with_shows_the_rows(ledger: Ledger) -> None:
    """All rows, or those of some findings; also what a complete run executes can be run by hand."""
    fill(ledger, ("a", "x", 2), ("b", "it's", 1), ("b", None, 4))
    declared = check("query", "holds", **DECLARED)
    assert len(ledger.sql(declared.look() or "")) == 3
    (row,) = ledger.sql(declared.look([{"owner": "b", "kind": "it's"}]) or "")
    assert row[:2] == ("b", "it's")
    (row,) = ledger.sql(declared.look([{"owner": "b", "kind": None}]) or "")
    (statement,) = declared.statements(None, None)  # type: ignore[arg-type]
    assert len(ledger.sql(statement)) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"key": ["owners"]}, "key: the SELECT has no column owners; the nearest existing name is"),
        ({"magnitude": "hold"}, "magnitude: the SELECT has no column hold"),
        ({"message": "{owner} {what}"}, "message: the SELECT has no column what"),
        ({"message": "{owner!r}"}, "message: braces stand around the name of a column"),
        ({"message": " "}, "message is empty"),
        ({"key": ["owner", "owner"]}, "key names owner twice"),
        ({"select": "DELETE FROM holds"}, "only a SELECT is read"),
        ({"select": "SELECT owner, SLEEP(9) AS held FROM holds"}, "the function SLEEP is not"),
        ({"select": "SELECT owner, @x AS held FROM holds"}, "variables are not read"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], message: str) -> None:
    """A mistake of the configuration is told in one sentence."""
    with pytest.raises(ValidationError) as caught:
        check("query", "holds", **(DECLARED | fields))
    assert message in str(caught.value)


def test_what_the_database_lacks_is_a_permanent_error(ledger: Ledger) -> None:
    """A table or a column that is missing is named, with the nearest name."""
    fill(ledger)
    for wrong, message in (
        ("SELECT owner, kind, 1 AS held FROM hold", "table hold does not exist"),
        ("SELECT owner, kinds AS kind, 1 AS held FROM holds", "a column kinds; the nearest"),
    ):
        with pytest.raises(CheckError) as caught:
            run(ledger, select=wrong)
        assert message in str(caught.value)
        assert caught.value.permanent


@on_any
def test_relations_are_read_and_personal_values_are_masked(ledger: Ledger, tmp_path: Path) -> None:
    """A check of the configuration reads what its names stand for; no personal value is shown."""
    ledger.sql("CREATE TABLE bids (user_id bigint PRIMARY KEY, status varchar(9), amount bigint)")
    ledger.insert("bids", "user_id, status, amount", [(7, "open", 5), (8, "test", 9), (9, "x", 1)])
    file = tmp_path / "config.toml"
    file.write_text(
        """
        [databases.ledger]
        url = "sqlite:///ledger.db"
        [tables.bids]
        primary_key = "user_id"
        when = "status <> 'test'"
        [relations.large]
        select = "SELECT user_id, amount FROM bids WHERE amount > 3"
        primary_key = "user_id"
        [[checks]]
        name = "large"
        kind = "query"
        table = "bids"
        select = "SELECT user_id, amount FROM large"
        key = ["user_id"]
        message = "{user_id}: {amount} is too much"
        """
    )
    (found,) = [each for each in config.load(file, {}).checks if each.name == "large"]
    (finding,) = found.run(ledger.sources).findings
    assert finding.message == "user_id 7: 5 is too much"
    mask = Mask(secret=b"s")
    _, _, shown = mask.finding(finding.key, finding.evidence, finding.message)
    assert shown == f"user_id {mask.value(7)}: 5 is too much"

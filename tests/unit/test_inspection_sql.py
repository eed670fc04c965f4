"""Which SQL somebody is given to look with: the quickest that holds no personal value."""

from datetime import UTC, datetime
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from checks.registry import KINDS
from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.ledgers import check
from tests.support.snapshots import Sql
from worker import config
from worker.cli.printing import as_sql
from worker.text.inspection import look
from worker.text.redact import Mask

MASK = Mask(secret=b"s")
KEYS: dict[str, Any] = {"primary_key": "order_id", "columns": ["idempotency_key"]}
SECRETS = [
    ({"idempotency_key": "spend_of_alice"}, {"rows": 12, "row_ids": [2, 3, 5]}),
    ({"idempotency_key": "spend_of_bob"}, {"rows": 2, "row_ids": [7, 9]}),
]


def test_open_keys_are_named() -> None:
    """Findings whose keys may be seen are looked up by them."""
    one = check("duplicates", "orders", **KEYS | {"columns": ["code"]})
    sql = look(one, MASK, [({"code": "a"}, {"row_ids": [1, 2]})])
    assert "WHERE COALESCE(`code`) = 'a'" in (sql or "")


def test_rows_of_personal_keys_are_named() -> None:
    """Of duplicates under a personal key the rows are: no reading of the table, nothing masked."""
    sql = look(check("duplicates", "orders", **KEYS), MASK, SECRETS)
    assert sql == (
        "SELECT *\nFROM `orders`\nWHERE `order_id` IN (2, 7, 3, 9, 5)\n"
        "ORDER BY `idempotency_key`, `order_id`\nLIMIT 100"
    )


def test_rows_with_personal_ids_are_not() -> None:
    """Where the rows' own key is personal, too, the statement is for all violations."""
    one = check("duplicates", "orders", **KEYS | {"primary_key": "order_no"})
    assert look(one, MASK, SECRETS) == one.look()


def test_what_is_no_group_has_no_rows_to_name() -> None:
    """A personal primary key leaves the statement for all violations."""
    one = check("non_negative", "users", primary_key="user_id", columns=["points"])
    assert look(one, MASK, [({"user_id": 7}, {"points": -1})]) == one.look()


def test_rows_that_share_a_parent_are_named() -> None:
    """So are those of a one-to-one reference by a personal column."""
    fields = {"primary_key": "id", "columns": ["user_id"], "parent": "users", "one_to_one": True}
    one = check("reference", "cards", **fields, parent_primary_key="user_id", settle="0s")
    sql = look(one, MASK, [({"users.user_id": 4}, {"rows": 2, "row_ids": [1, 8]})])
    assert "WHERE `child`.`id` IN (1, 8)" in (sql or "")


@pytest.mark.parametrize("kind", [each.model_fields["kind"].default for each in KINDS])
def test_the_sql_of_each_kind(kind: str, snapshot: SnapshotAssertion) -> None:
    """What `--show-sql` prints of the first check of each kind in the shipped configuration."""
    first = next(each for each in config.load(SHIPPED, quiet()).checks if each.kind == kind)
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert as_sql([first], UTC, at) == snapshot(extension_class=Sql)

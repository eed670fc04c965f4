"""`backing`: what holds a frozen amount explains it."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from pydantic import ValidationError

from checks.contract import SAMPLE, CheckError, Result
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers

LOWEST, HIGHEST = -(2**63), 2**63 - 1
Rows = Sequence[tuple[object, ...]]

ACCOUNTS = "CREATE TABLE accounts (account_id bigint PRIMARY KEY, user_id bigint)"
BALANCES = (
    "CREATE TABLE t (id bigint PRIMARY KEY, account_id bigint, asset varchar(50) {own},"
    " frozen {type})"
)
LISTINGS = (
    "CREATE TABLE listings (id bigint PRIMARY KEY, seller int, asset varchar(50) {other},"
    " offer {type}, status varchar(20), frozen int)"
)
ORDERS = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, buyer bigint, asset varchar(50) {other},"
    " gross {type}, status varchar(20))"
)
DECLARED: dict[str, object] = {
    "amount": "frozen",
    "by": ["accounts.user_id", "asset"],
    "through": {"accounts": {"account_id": "account_id"}},
    "holders": [
        {
            "table": "listings",
            "by": ["seller", "asset"],
            "amount": "offer",
            "when": "status IN ('on_sale', 'locked') AND frozen = 1",
        },
        {
            "table": "orders",
            "by": ["buyer", "asset"],
            "amount": "gross",
            "when": "status = 'frozen'",
        },
    ],
}


def fill(
    ledger: Ledger,
    balances: Rows = (),
    listings: Rows = (),
    orders: Rows = (),
    *,
    own: str = "",
    other: str = "",
    type_name: str = "bigint",
) -> None:
    """Build the tables: accounts 10 and 20 are of users 1 and 2, accounts 91 and 92 of nobody."""
    for statement in (ACCOUNTS, BALANCES, LISTINGS, ORDERS):
        ledger.sql(statement.format(own=own, other=other, type=type_name))
    ledger.sql("INSERT INTO accounts VALUES (10, 1), (20, 2), (91, NULL), (92, NULL)")
    for table, columns, rows in (
        ("t", "account_id, asset, frozen", balances),
        ("listings", "seller, asset, offer, status, frozen", listings),
        ("orders", "buyer, asset, gross, status", orders),
    ):
        ledger.insert(table, f"id, {columns}", [(n, *row) for n, row in enumerate(rows, 1)])


def run(ledger: Ledger, **fields: object) -> Result:
    return ledger.run("backing", "t", **(DECLARED | fields))


def on_sale(seller: int | None, offer: int | None, asset: str | None = "P") -> tuple[object, ...]:
    return (seller, asset, offer, "on_sale", 1)


def frozen(buyer: int | None, gross: int | None, asset: str | None = "P") -> tuple[object, ...]:
    return (buyer, asset, gross, "frozen")


def test_what_is_explained_passes(ledger: Ledger) -> None:
    """The sum of a user's balances of an asset is that of all that holds of it."""
    fill(
        ledger,
        [(10, "P", 30), (10, "P", 25), (10, "D", 7), (20, "P", 0), (20, "D", None)],
        [on_sale(1, 20), on_sale(1, 5), (1, "P", 99, "sold", 1), (1, "P", 99, "on_sale", 0)],
        [frozen(1, 30), frozen(1, 7, "D"), (1, "P", 99, "completed"), (1, "P", 99, None)],
    )
    result = run(ledger)
    assert (result.examined, result.violations, result.findings) == (7, 0, ())
    assert (result.complete, result.cursor) == (True, None)


def test_both_directions_are_found(ledger: Ledger) -> None:
    """An amount that nothing holds and a holder whose amount is not frozen are found, with sums."""
    fill(
        ledger,
        [(10, "P", 50), (20, "P", 10), (20, "D", 5)],
        [on_sale(1, 20), on_sale(2, 15), on_sale(2, 5, "D")],
        [frozen(1, 8), frozen(1, 3, "D")],
    )
    result = run(ledger)
    assert keys(result) == [
        {"accounts.user_id": 1, "asset": "D"},
        {"accounts.user_id": 1, "asset": "P"},
        {"accounts.user_id": 2, "asset": "P"},
    ]
    assert [finding.evidence for finding in result.findings] == [
        {"problem": "overheld", "frozen": 0, "listings": 0, "orders": 3},
        {"problem": "unexplained", "frozen": 50, "listings": 20, "orders": 8},
        {"problem": "overheld", "frozen": 10, "listings": 15, "orders": 0},
    ]
    assert [finding.magnitude for finding in result.findings] == [3, 22, 5]
    assert messages(result)[1:] == [
        "t: frozen 50 of accounts.user_id 1, asset P is not explained by listings 20, orders 8",
        "t: frozen 10 of accounts.user_id 2, asset P does not cover listings 15, orders 0",
    ]
    assert result.examined == 8


@on_any
def test_mended_is_fine(ledger: Ledger) -> None:
    """Once the amount is what is held, nothing is found."""
    fill(ledger, [(10, "P", 50)], [on_sale(1, 20)])
    assert run(ledger).violations == 1
    ledger.sql("UPDATE t SET frozen = 20")
    assert run(ledger).violations == 0


def test_a_holder_without_an_amount_holds_nothing(ledger: Ledger) -> None:
    """NULL counts as 0: it neither explains an amount nor hides that nothing does."""
    fill(ledger, [(10, "P", 50), (20, "P", None)], [on_sale(1, None), on_sale(2, None)])
    result = run(ledger)
    assert keys(result) == [{"accounts.user_id": 1, "asset": "P"}]
    assert result.findings[0].evidence["listings"] == 0
    assert result.examined == 3


def test_accounts_without_an_owner_do_not_cancel_out(ledger: Ledger) -> None:
    """Each account that is nobody's has a finding of its own, and no holder explains it."""
    fill(ledger, [(91, "P", 5), (92, "P", -5), (91, "D", 3)], [on_sale(None, 3, "D")])
    result = run(ledger)
    assert keys(result) == [
        {"accounts.user_id": None, "asset": "D", "account_id": 91},
        {"accounts.user_id": None, "asset": "D", "held_in": "listings"},
        {"accounts.user_id": None, "asset": "P", "account_id": 91},
        {"accounts.user_id": None, "asset": "P", "account_id": 92},
    ]
    assert [finding.evidence["problem"] for finding in result.findings] == [
        "unexplained",
        "overheld",
        "unexplained",
        "overheld",
    ]


def test_an_account_that_does_not_exist_has_no_owner(ledger: Ledger) -> None:
    """A balance whose account is missing is not left out, nor is one without account or asset."""
    fill(ledger, [(77, "P", 5), (None, "P", 6), (10, None, 7)], [on_sale(1, 7, None)])
    assert keys(run(ledger)) == [
        {"accounts.user_id": None, "asset": "P", "account_id": None},
        {"accounts.user_id": None, "asset": "P", "account_id": 77},
        {"accounts.user_id": 1, "asset": None, "account_id": 10},
        {"accounts.user_id": 1, "asset": None, "held_in": "listings"},
    ]


@on_servers
def test_sums_beyond_64_bits_are_exact(ledger: Ledger) -> None:
    """Sums of the largest amounts raise no overflow and are compared to the last unit."""
    fill(
        ledger,
        [(10, "P", HIGHEST), (10, "P", HIGHEST), (20, "P", LOWEST), (20, "P", LOWEST)],
        [on_sale(1, HIGHEST), on_sale(2, LOWEST)],
        [frozen(1, HIGHEST - 1), frozen(2, LOWEST)],
    )
    (finding,) = run(ledger).findings
    assert finding.key == {"accounts.user_id": 1, "asset": "P"}
    assert finding.evidence["frozen"] == 2 * HIGHEST
    assert (finding.magnitude, type(finding.magnitude)) == (1, int)


@on_servers
@pytest.mark.parametrize("type_name", ["bigint unsigned", "decimal(38,2)"])
def test_amounts_of_other_types_are_exact(ledger: Ledger, type_name: str) -> None:
    """Amounts that no BIGINT holds are summed exactly, too."""
    most = 2**64 - 1
    fill(
        ledger,
        [(10, "P", most), (20, "P", most)],
        [on_sale(1, most), on_sale(2, most - 1)],
        type_name=type_name,
    )
    (finding,) = run(ledger).findings
    assert finding.key == {"accounts.user_id": 2, "asset": "P"}
    assert finding.magnitude == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_does_not_sum_wrongly(ledger: Ledger) -> None:
    """SQLite's SUM ends at 64 bits: beyond, the check cannot tell."""
    fill(ledger, [(10, "P", HIGHEST), (10, "P", HIGHEST)])
    with pytest.raises(CheckError, match="overflow"):
        run(ledger)


@on_servers
def test_assets_are_the_same_by_their_collation(ledger: Ledger) -> None:
    """Under a collation that folds case, spellings are one asset, always named the same."""
    collation = "COLLATE utf8mb4_unicode_ci"
    rows = [(10, "points", 5), (10, "Points", 5), (20, "points", 1)]
    fill(ledger, rows, [on_sale(1, 10, "POINTS")], own=collation, other=collation)
    assert keys(run(ledger)) == [{"accounts.user_id": 2, "asset": "points"}]
    ledger.sql("UPDATE listings SET offer = 9")
    assert keys(run(ledger))[0] == {"accounts.user_id": 1, "asset": "POINTS"}


@on_servers
def test_unlike_collations_cannot_be_answered(ledger: Ledger) -> None:
    """Texts of unlike collations are a permanent error, and told by `config check --connect`."""
    fill(ledger, own="COLLATE utf8mb4_unicode_ci", other="COLLATE utf8mb4_bin")
    with pytest.raises(CheckError) as caught:
        run(ledger)
    assert caught.value.permanent
    reason = "utf8mb4_unicode_ci against utf8mb4_bin"
    complaints = [
        f"t.asset cannot be compared with listings.asset: {reason}",
        f"t.asset cannot be compared with orders.asset: {reason}",
    ]
    assert str(caught.value) == complaints[0]
    with ledger.sources.snapshot("ledger") as connection:
        assert list(check("backing", "t", **DECLARED).complaints(connection)) == complaints


def test_a_text_against_a_number_cannot_be_answered(ledger: Ledger) -> None:
    """A user's number against a text is a permanent error: '7a' is 7 to MySQL."""
    ledger.sql("CREATE TABLE t (id int, user_id bigint, frozen bigint)")
    ledger.sql("CREATE TABLE orders (id int, buyer varchar(50), gross bigint)")
    holder = {"table": "orders", "by": ["buyer"], "amount": "gross", "when": "TRUE"}
    with pytest.raises(CheckError, match=r"t\.user_id .* orders\.buyer: bigint") as caught:
        run(ledger, by=["user_id"], through={}, holders=[holder])
    assert caught.value.permanent


def test_a_join_that_may_count_twice_cannot_be_answered(ledger: Ledger) -> None:
    """A balance joined with two accounts would count twice, so their key must be unique."""
    fill(ledger)
    through = {"accounts": {"user_id": "account_id"}}
    with pytest.raises(CheckError, match="no unique index proves that user_id names one") as caught:
        run(ledger, through=through)
    assert caught.value.permanent


@on_any
def test_two_holders_of_one_table_are_added_up(ledger: Ledger) -> None:
    """A table may hold in two ways; its amounts are one sum."""
    fill(ledger, [(10, "P", 9), (20, "P", 9)], (), [frozen(1, 4), frozen(2, 4)])
    ledger.insert("orders", "id, buyer, asset, gross, status", [(9, 1, "P", 5, "created")])
    holder = {"table": "orders", "by": ["buyer", "asset"], "amount": "gross"}
    holders = [{**holder, "when": f"status = '{status}'"} for status in ("frozen", "created")]
    (finding,) = run(ledger, holders=holders).findings
    assert finding.key == {"accounts.user_id": 2, "asset": "P"}
    assert finding.evidence == {"problem": "unexplained", "frozen": 9, "orders": 4}


def test_an_owner_may_be_an_expression(ledger: Ledger) -> None:
    """A part of `by` may be computed."""
    fill(ledger, [(10, None, 9), (20, "P", 2)], [on_sale(1, 9, "none"), on_sale(2, 1)])
    by = ["accounts.user_id", "COALESCE(asset, 'none')"]
    (finding,) = run(ledger, by=by).findings
    assert finding.key == {"accounts.user_id": 2, "COALESCE(asset, 'none')": "P"}


@on_any
def test_sample_is_bounded_and_the_count_is_exact(ledger: Ledger) -> None:
    """Of many owners whose amounts are unexplained the first are shown and all are counted."""
    fill(ledger, (), (), [frozen(user, 1) for user in range(SAMPLE + 5)])
    result = run(ledger)
    assert (result.examined, result.violations) == (SAMPLE + 5, SAMPLE + 5)
    assert [key["accounts.user_id"] for key in keys(result)] == list(range(SAMPLE))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"by": ["users.id", "asset"]}, "users.id: users is not joined; `through` says how"),
        ({"by": ["asset"]}, "by of holder listings has 2 parts, that of the check has 1"),
        ({"holders": []}, "at least 1 item"),
        ({"by": []}, "at least 1 item"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], message: str) -> None:
    """A check whose parts do not fit each other is a mistake of the configuration."""
    with pytest.raises(ValidationError) as caught:
        check("backing", "t", **(DECLARED | fields))
    assert message in str(caught.value)


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "frozn"}, "table t has no column frozn; the nearest existing name is frozen"),
        ({"by": ["accounts.user", "asset"]}, "table accounts has no column user"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, fields: dict[str, object], message: str
) -> None:
    """A column that is missing, of whatever table, is a permanent error that names it."""
    fill(ledger)
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert str(caught.value).startswith(message)
    assert caught.value.permanent


def test_findings_wait_for_a_second_look() -> None:
    """An amount and what holds it are not always written together."""
    backing = check("backing", "t", **DECLARED)
    assert (backing.confirmations, backing.severity) == (2, "critical")


@on_servers
def test_state_that_never_is_makes_no_error(ledger: Ledger) -> None:
    """An ENUM without the state that holds is a complaint; runs go on, as for every other kind."""
    fill(ledger)
    ledger.sql("ALTER TABLE orders MODIFY status enum('open','froze')")
    declared = check("backing", "t", **DECLARED)
    with ledger.sources.snapshot("ledger") as connection:
        (complaint,) = declared.complaints(connection)
    assert complaint.startswith("\"status = 'frozen'\": status is enum('open','froze'), never")
    assert declared.run(ledger.sources).violations == 0


def test_amounts_and_owners_may_be_worked_out(ledger: Ledger) -> None:
    """An amount of either side may be an expression, exact to the last digit, an owner a text."""
    amount = "decimal(12,4)" if ledger.backend == "sqlite" else "decimal(40,10)"
    ledger.sql(
        "CREATE TABLE safe (id int PRIMARY KEY, owner int, asset varchar(9),"
        f" a {amount}, b {amount})",
        "CREATE TABLE claim (id int PRIMARY KEY, owner int,"
        f" gross {amount}, fee {amount}, state int)",
    )
    big = "0" if ledger.backend == "sqlite" else "9" * 29
    rows = [(1, 1, "P", f"{big}.3", "0.2"), (2, 2, "P", f"{big}.3001", "0.1"), (3, 3, "X", 1, 1)]
    ledger.insert("safe", "id, owner, asset, a, b", rows)
    claims = [(1, 1, f"{big}.2", "0.1", 1), (2, 2, f"{big}.1", "0", 1), (3, 2, "0.2", "0.1", 1)]
    ledger.insert("claim", "id, owner, gross, fee, state", [*claims, (4, 2, 5, 5, 0)])
    fields: dict[str, object] = {
        "amount": "a - b",
        "by": ["owner", "asset"],
        "holders": [
            {
                "table": "claim",
                "by": ["owner", "'P'"],
                "amount": "gross - fee",
                "when": "state = 1",
            }
        ],
    }
    result = ledger.run("backing", "safe", **fields)
    assert keys(result) == [{"owner": 2, "asset": "P"}]
    (finding,) = result.findings
    assert finding.magnitude == 1
    assert [Decimal(str(finding.evidence[name])) for name in ("a - b", "claim")] == [
        Decimal(f"{big}.2001"),
        Decimal(f"{big}.2"),
    ]
    if ledger.backend != "sqlite":
        shown = ledger.sql(str(check("backing", "safe", **fields).look()))
        assert [row[:2] for row in shown] == [(2, "P")]


@on_servers
def test_amounts_that_no_column_holds_are_an_error(ledger: Ledger) -> None:
    """What cannot be summed without loss is told, not cut."""
    ledger.sql(
        "CREATE TABLE safe (id int PRIMARY KEY, owner int, a decimal(65,0))",
        "CREATE TABLE claim (id int PRIMARY KEY, owner int, b decimal(65,30))",
    )
    holder = {"table": "claim", "by": ["owner"], "amount": "b", "when": "id > 0"}
    with pytest.raises(CheckError, match="amounts have up to 65 digits before and 30 behind"):
        ledger.run("backing", "safe", amount="a", by=["owner"], holders=[holder])

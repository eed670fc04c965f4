"""What of a row may be shown: masks stand for personal values, and nothing else is hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.text.redact import PERSONAL, Mask

MASK = Mask(secret=b"secret")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=4).filter(
    lambda text: text.strip(" ~0123456789abcdef") == text
)


@pytest.mark.parametrize(
    "name",
    [
        *("user_id", "buyer_user_id", "ledger account_id.user_id", "mobile", "nickname"),
        *("idempotency_key", "ledger idempotency_key", "lottery_session_id", "QR_CODE"),
        *("meta", "request_params", "response_snapshot", "code_hash", "order_no"),
    ],
)
def test_personal_columns_are_known(name: str) -> None:
    """Values of columns that name or describe a person are masked unless configured otherwise."""
    shown = MASK.fields({name: "value"})[name]
    assert shown == MASK.value("value")
    assert shown.startswith("~")
    assert len(shown) == 9


@pytest.mark.parametrize("name", ["transaction_id", "balance_id", "asset_code", "rows", "status"])
def test_the_rest_is_shown(name: str) -> None:
    """Row ids, amounts and states are what people look with: they stay as they are."""
    assert MASK.fields({name: 17}) == {name: 17}


def test_equal_values_look_equal_and_others_do_not() -> None:
    """A mask tells that two findings are about one person, and tells nothing else."""
    assert MASK.value(7) == MASK.value(7) != MASK.value(8)
    assert MASK.value(7) != MASK.value("7")
    assert Mask(secret=b"other").value(7) != MASK.value(7)
    assert Mask().value(7) != Mask().value(7)


def test_lists_and_nothing() -> None:
    """Each value of a list is masked, and NULL is no value."""
    fields = {"user_id": (1, None), "mobile": None}
    assert MASK.fields(fields) == {"user_id": [MASK.value(1), None], "mobile": None}


def test_a_message_does_not_repeat_what_is_masked() -> None:
    """Numbers are masked behind their name, texts wherever they stand; other numbers stay."""
    key, evidence, message = MASK.finding(
        {"user_id": 7, "asset_code": "POINTS"},
        {"idempotency_key": "spend_7_x", "sum": 7},
        "orders: frozen_amount 7 of user_id 7, asset_code POINTS, key spend_7_x, user_id 77",
    )
    assert key == {"user_id": MASK.value(7), "asset_code": "POINTS"}
    assert evidence == {"idempotency_key": MASK.value("spend_7_x"), "sum": 7}
    assert message == (
        f"orders: frozen_amount 7 of user_id {MASK.value(7)}, asset_code POINTS, "
        f"key {MASK.value('spend_7_x')}, user_id 77"
    )


@given(texts, texts)
def test_no_personal_text_is_left(before: str, secret: str) -> None:
    """Whatever a personal value holds, the message does not hold it afterwards."""
    _, _, message = MASK.finding({"mobile": secret}, {}, f"{before}{secret}")
    assert secret not in message


def test_the_list_can_be_configured() -> None:
    """Another list replaces the default as a whole; an empty one masks nothing."""
    assert Mask(["merchant_*"]).fields({"user_id": 1})["user_id"] == 1
    assert Mask(["merchant_*"]).fields({"merchant_id": 1})["merchant_id"] != 1
    assert Mask([]).fields({"user_id": 1}) == {"user_id": 1}
    assert PERSONAL


def test_a_listed_row_of_several_columns_hides_its_personal_ones() -> None:
    """`row_ids` of a key of several columns: each column is masked, or not, by its own name."""
    mask = Mask(["*email*"], b"k" * 32)
    shown = mask.fields({"row_ids": ('{"email": "a@example.org", "number": 2}', 3, "text")})
    assert shown["row_ids"] == [
        f'{{"email": "{mask.value("a@example.org")}", "number": 2}}',
        3,
        "text",
    ]

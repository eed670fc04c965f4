"""Which of the application's codes are told by name."""

import secrets
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.counts import CODES, OTHER
from checks.kinds.conflict_rate.codes import MOST_LEARNT, Codes, causes, ordered

NAMES = ("STOCK_GONE", "stockGone", "lock_timeout", "E1042", "42", "40917", "order.locked", "PX2")
NO_NAMES = (
    None,
    "",
    "a b",
    "customer-17",
    "jane@example",
    "\u5e93\u5b58",
    '"} 1\n#',
    "__proto__",
    "138001380001",
    "a1b2c3d4e5f6",
    "deadbeefdeadbeef",
    "X" * 60,
)


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_like_a_name_is_told_by_it(name: str) -> None:
    assert Codes().of(name) == name


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_looks_like_data_is_other(name: str | None) -> None:
    assert Codes().of(name) == OTHER


def test_keys_that_stand_where_a_code_should_be_are_other() -> None:
    for _ in range(200):
        for made in (
            uuid.uuid4().hex,
            str(uuid.uuid4()),
            secrets.token_hex(8),
            secrets.token_hex(12),
        ):
            assert Codes().of(made) == OTHER


def test_what_is_declared_is_told_by_name_whatever_it_looks_like() -> None:
    codes = Codes(causes({"plain_race": ("customer-17",)}), ["\u5e93\u5b58\u4e0d\u8db3"])
    assert [codes.of(each) for each in ("customer-17", "\u5e93\u5b58\u4e0d\u8db3")] == [
        "customer-17",
        "\u5e93\u5b58\u4e0d\u8db3",
    ]
    assert not codes.learnt


@given(st.lists(st.from_regex(r"[A-Z]{2,9}(_[A-Z]{1,9}){0,3}", fullmatch=True), max_size=60))
def test_codes_that_nobody_declared_are_bounded_and_stay_over_runs(names: list[str]) -> None:
    codes = Codes()
    told = [codes.of(each) for each in names]
    assert len(set(told) - {OTHER} - set(CODES)) <= MOST_LEARNT
    later = Codes(learnt=codes.learnt)
    assert [later.of(each) for each in names] == told
    assert bool([*codes.notes()]) == any(a != b for a, b in zip(names, told, strict=True))


def test_answers_that_are_no_conflict_teach_no_code() -> None:
    codes = Codes()
    assert codes.seen("STOCK_GONE") == OTHER
    codes.of("STOCK_GONE")
    assert codes.seen("STOCK_GONE") == "STOCK_GONE"


def test_a_stated_code_is_taken_from_the_problem_that_had_it() -> None:
    made = causes({"replay": ("DUPLICATE_ENTRY",)})
    assert made["replay"] == ("DUPLICATE_ENTRY",)
    assert made["plain_race"] == ("CONCURRENT_CONFLICT",)
    assert made["key_reuse"] == ("IDEMPOTENCY_KEY_CONFLICT",)


def test_declared_codes_come_first_and_other_last() -> None:
    assert ordered({OTHER, "B", "A", "REPLAY"}, ("REPLAY",)) == ["REPLAY", "A", "B", OTHER]

"""The cards of kinds: what they must hold, and what is drawn of them."""

import subprocess
import sys
from collections.abc import Callable
from typing import Literal

import pytest

from checks.card import SCHEMA_DRIFT, Alert, Card, Family, Words
from checks.contract import EVERYTHING, Check, Result, Window
from checks.ports import Sources
from checks.registry import KINDS, alerts, card_mistakes, kind_name
from tests.support import CHECKOUT

TITLE = Words(en="at most one", zh="至多一行")


class AtMostOne(Check):
    """A kind of a later version."""

    kind: Literal["at_most_one"] = "at_most_one"

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Ask nothing."""
        _ = sources, window
        return Result(0, 0)


def alert(name: str = "ReconcilerSeveral", rank: int = 95) -> Alert:
    """An alert that no kind has yet."""
    return Alert(name=name, rank=rank, meaning="a", summary="b", advice="c", explanation="d")


def family(name: str, kind: Literal["counter", "gauge"] = "gauge") -> Family:
    """A metric."""
    return Family(name=name, type=kind, help="Help.", labels=("table",), meaning="what it tells")


def mistakes(card: Card | None) -> list[str]:
    """What is wrong with a new kind that has this card."""

    class Carded(AtMostOne):
        """Another one for each test."""

    if card:
        Carded.card = card
    return list(card_mistakes((*KINDS, Carded)))


def test_the_cards_of_all_kinds_are_right() -> None:
    """No kind lacks a card, and no two claim one alert or one metric for themselves."""
    assert list(card_mistakes(KINDS)) == []


def test_a_kind_without_a_card_is_refused() -> None:
    """The message names the kind, its class, and where cards are described."""
    (said,) = mistakes(None)
    assert said == "at_most_one: class Carded has no card, as checks/card.py describes it"


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            Card(violation="x", title=TITLE, alert=alert("ReconcilerDuplicates")),
            "at_most_one: another kind has ReconcilerDuplicates already",
        ),
        (
            Card(violation="x", title=TITLE, alert=alert(rank=SCHEMA_DRIFT.rank)),
            f"at_most_one: another kind has rank {SCHEMA_DRIFT.rank} already",
        ),
        (
            Card(violation="x", title=TITLE, families=(family("reconciler_table_rows"),)),
            "at_most_one: another kind has reconciler_table_rows already",
        ),
    ],
)
def test_what_another_kind_has_is_refused(card: Card, message: str) -> None:
    """An alert's name, its rank and a metric belong to one kind, but for an alert shared whole."""
    assert mistakes(card) == [message]
    assert mistakes(Card(violation="x", title=TITLE, alert=SCHEMA_DRIFT)) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Card(violation="", title=TITLE), "Card: violation is empty"),
        (lambda: Words(en="one", zh=""), "Words: zh is empty"),
        (lambda: alert("Several"), "alert Several: the name of an alert begins with Reconciler"),
        (lambda: family("rows"), "metric rows: the name of a metric begins with reconciler_"),
        (
            lambda: family("reconciler_rows", "counter"),
            "metric reconciler_rows: a counter, and nothing else, ends with _total",
        ),
    ],
)
def test_a_card_that_lacks_something_is_refused(make: Callable[[], object], message: str) -> None:
    """Each part says what it is and which of its fields is wrong."""
    with pytest.raises(ValueError, match="^" + message):
        make()


def test_a_card_names_every_field_that_it_lacks() -> None:
    """A field that is not written at all is a mistake of the class, named by Python."""
    with pytest.raises(TypeError, match="'violation' and 'title'"):
        Card()  # type: ignore[call-arg]


def test_everything_of_kinds_is_as_it_is_drawn() -> None:
    """Rules and tables of the documentation are what `scripts/draw-kinds` makes of the cards."""
    command = [sys.executable, str(CHECKOUT / "scripts" / "draw-kinds"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_alert_has_its_runbook() -> None:
    """The page that an alert links is there."""
    for each in alerts():
        assert (CHECKOUT / "worker" / "runbooks" / f"{each.name}.md").exists(), each.name


def test_every_kind_raises_one_alert() -> None:
    """Each kind is told by one alert, and alerts come with the gravest first."""
    told = [kind for kinds in alerts().values() for kind in kinds]
    assert sorted(told) == sorted(map(kind_name, KINDS))
    assert [each.rank for each in alerts()] == sorted(each.rank for each in alerts())

"""The checks: questions about the data. Knows nothing of scheduling, metrics or logging."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, get_args

from pydantic import Field, TypeAdapter

from checks.card import Alert, Card
from checks.contract import Check
from checks.kinds.aggregate.check import Aggregate
from checks.kinds.backing import Backing
from checks.kinds.balance.check import Balance
from checks.kinds.blank import Blank
from checks.kinds.columns import Columns
from checks.kinds.condition import Condition
from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.conservation.check import Conservation
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.idempotency_requests.check import IdempotencyRequests
from checks.kinds.key_format import KeyFormat
from checks.kinds.non_negative import NonNegative
from checks.kinds.pairing.posting import Posting
from checks.kinds.pairing.reference import Reference
from checks.kinds.query import Query
from checks.kinds.row_count import RowCount
from checks.kinds.stuck import Stuck
from checks.kinds.tables import Tables
from checks.kinds.unique_index import UniqueIndex

AnyCheck = Annotated[
    Tables
    | Columns
    | UniqueIndex
    | Duplicates
    | Blank
    | NonNegative
    | Condition
    | Query
    | Reference
    | Posting
    | Balance
    | Conservation
    | Aggregate
    | Backing
    | Stuck
    | ConflictRate
    | KeyFormat
    | IdempotencyRequests
    | RowCount,
    Field(discriminator="kind"),
]
"""The one registry of kinds: a check of the configuration is one of these, told by its `kind`."""

KINDS: tuple[type[Check], ...] = get_args(get_args(AnyCheck)[0])
"""The classes of `AnyCheck`."""

any_check: TypeAdapter[Check] = TypeAdapter(AnyCheck)


def kind_name(kind: type[Check]) -> str:
    """The `kind` of a class of checks."""
    name: str = kind.model_fields["kind"].default
    return name


BY_NAME: Mapping[str, type[Check]] = {kind_name(each): each for each in KINDS}
"""The classes of `AnyCheck` by their `kind`."""


def alerts() -> Mapping[Alert, tuple[str, ...]]:
    """Every alert on data with the kinds that raise it, the gravest first."""
    found: dict[Alert, tuple[str, ...]] = {}
    for kind in sorted(KINDS, key=lambda each: each.card.alert.rank):
        found[kind.card.alert] = (*found.get(kind.card.alert, ()), kind_name(kind))
    return found


def card_mistakes(kinds: Iterable[type[Check]]) -> Iterator[str]:
    """What is wrong with the cards of kinds: one is missing, or two claim the same."""
    names: dict[str, object] = {}
    for kind in kinds:
        name, card = kind_name(kind), getattr(kind, "card", None)
        if not isinstance(card, Card):
            yield f"{name}: class {kind.__name__} has no card, as checks/card.py describes it"
            continue
        alert = card.alert
        claimed: dict[str, object] = {alert.name: alert, f"rank {alert.rank}": alert}
        claimed |= {each.name: name for each in card.families}
        for what, owner in claimed.items():
            if names.setdefault(what, owner) != owner:
                yield f"{name}: another kind has {what} already"


if _mistakes := list(card_mistakes(KINDS)):
    raise TypeError(f"kinds of checks: {'; '.join(_mistakes)}")

CARDS: Mapping[str, Card] = {name: kind.card for name, kind in BY_NAME.items()}
"""The card of each kind by its `kind`."""

"""What findings of `aggregate` show of a row: what it keeps, and what its details make."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from math import ceil
from typing import Any

from sqlalchemy import RowMapping

from checks.card import Phrase, Words
from checks.contract import Evidence, Finding
from checks.kinds.aggregate.sides import Pair, Sides
from checks.sql.values import scalar

_EXACT = Context(prec=200)

UNKNOWN = "details_without_amount"

APART = Words(en="kept apart from its details: {names}", zh="与明细不一致：{names}")
UNCLEAR = Words(en="{rows} details have no amount (NULL)", zh="{rows} 条明细的金额为 NULL")


def phrases(evidence: Mapping[str, object]) -> Iterator[Phrase]:
    """What a report says of a row; the values follow as evidence."""
    kept = evidence.get("off")
    if kept:
        yield Phrase(APART, {"names": kept})
    if unknown := evidence.get(UNKNOWN):
        yield Phrase(UNCLEAR, {"rows": unknown})


@dataclass(frozen=True, slots=True)
class _Apart:
    """A value that a row keeps and that is not that of its details."""

    pair: Pair
    kept: Any
    right: Any

    @property
    def off(self) -> Decimal | None:
        """By how much the kept amount is above the right one; None where they are no amounts."""
        try:
            kept, right = (Decimal(str(each)) for each in (self.kept, self.right))
        except ArithmeticError:
            return None
        return _EXACT.subtract(kept, right)

    @property
    def evidence(self) -> dict[str, Evidence]:
        """Both values."""
        return {self.pair.own.source: scalar(self.kept), self.pair.name: scalar(self.right)}

    @property
    def aspect(self) -> str:
        """In which direction it is off."""
        sign = "<>" if self.off is None else "<" if self.off < 0 else ">"
        return f"{self.pair.own.source} {sign} {self.pair.name}"


def finding(sides: Sides, row: RowMapping) -> Finding:
    """The finding of a row, of what `Sides.wrong` reads."""
    apart = list(_apart(sides, row))
    values = {name: value for each in apart for name, value in each.evidence.items()}
    unknown, own = int(row["unknown"] or 0), sides.own
    by = {part.source: scalar(row[f"by_{n}"]) for n, part in enumerate(own.by)}
    evidence: dict[str, Evidence] = {
        "problem": "unclear" if unknown else "apart",
        **({"off": tuple(each.pair.own.source for each in apart)} if apart else {}),
        **values,
        **({UNKNOWN: unknown} if unknown else {}),
        "details": int(row["number"] or 0),
        **{name: value for name, value in by.items() if name not in own.key},
    }
    said = [f"{name} {value}" for name, value in values.items()]
    said += [f"{unknown} details have no amount (NULL)"] if unknown else []
    of = ", ".join(f"{name} {value}" for name, value in by.items())
    size = sum(ceil(abs(each.off)) for each in apart if each.off is not None)
    return Finding(
        {name: scalar(row[f"id_{n}"]) for n, name in enumerate(own.key)},
        f"{own.table}: {of}: {', '.join(said)}",
        evidence,
        max(1, size),
        tuple(each.aspect for each in apart),
    )


def _apart(sides: Sides, row: RowMapping) -> Iterator[_Apart]:
    for number, pair in enumerate(sides.pairs):
        if row[f"differs_{number}"]:
            yield _Apart(pair, *(_seen(pair, row[f"{side}_{number}"]) for side in ("own", "other")))


def _seen(pair: Pair, value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)  # a condition is 1 or 0, and so an amount
    return 0 if value is None and pair.counts_from_zero else value

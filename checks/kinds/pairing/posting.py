"""`posting`: business rows have their ledger rows, under derived keys, and vice versa."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from checks.card import Alert, Card, Words
from checks.keys.template import Part, Template
from checks.kinds.pairing.check import Pairing
from checks.kinds.pairing.findings import Problem, Seen
from checks.kinds.pairing.near_key import DerivedKey, template_doubts, unreadable
from checks.kinds.pairing.plan import (
    Far,
    FarCount,
    FarSum,
    Id,
    Near,
    Plan,
    Scope,
    equal_pairs,
    sum_pairs,
)
from checks.snapshot import Catalog
from checks.sql.expression import Expression, FarExpression
from checks.sql.timestamps import TimeColumn
from checks.types import Identifier, PrimaryKey, TableName, key_columns


def _keys(value: object) -> Template | tuple[Template, ...]:
    if isinstance(value, Template):
        return value
    values = value if isinstance(value, list | tuple) else [value]
    texts = [each for each in values if isinstance(each, str)]
    if not values or len(texts) < len(values):
        raise ValueError("a template, or a list of them: lottery_consume:{lottery_session_id}")
    found = tuple(map(Template, texts))
    if len({each.source for each in found}) < len(found):
        raise ValueError("a template stands twice in the list")
    return found if len(found) > 1 else found[0]


_ROWS = re.compile(r"(\d{1,6})(?:(\.\.)(\d{1,6})?)?", re.ASCII)


def _far_count(value: object) -> FarCount:
    if isinstance(value, FarCount):
        return value
    found = None if isinstance(value, bool) else _ROWS.fullmatch(str(value))
    if found is None:
        raise ValueError('a number of rows, 1, or a range of numbers, "1..3" or "1.."')
    least, most = int(found[1]), found[3] if found[2] else found[1]
    if most is not None and (int(most) < least or int(most) == 0):
        raise ValueError("a range of numbers goes up, and there is one row at least at its end")
    return FarCount(least, None if most is None else int(most))


Rows = Annotated[FarCount, PlainValidator(_far_count)]
"""How many rows there are."""

Keys = Annotated[Template | tuple[Template, ...], PlainValidator(_keys)]
"""A template, or several."""


class Posting(Pairing):
    """Whether each business row has its ledger row, and each ledger row its business row.

    With `sum`, all business rows with the same derived key answer to one ledger row together.
    """

    card: ClassVar[Card] = Card(
        violation="a business row (or group) without its ledger row; a ledger row without its"
        " business row",
        title=Words(en="derived ledger rows", zh="派生流水"),
        alert=Alert(
            name="ReconcilerPostingMismatch",
            rank=40,
            meaning="a business event without its ledger row, or the other way round",
            summary="{count} rows of {table} and their ledger rows do not belong together"
            " ({check}).",
            advice="A business event was not booked, booked wrongly, or booked without an event.",
            explanation="a business row has no ledger row or a wrong one, or a ledger row has no"
            " business row.",
        ),
    )

    kind: Literal["posting"] = "posting"
    beside: ClassVar[Mapping[str, str]] = {"ledger": "ledger_"}
    ledger: TableName
    ledger_primary_key: PrimaryKey | None = None
    ledger_cursor: TimeColumn | None = None
    ledger_written_at: TimeColumn | None = None
    ledger_changed_at: TimeColumn | None = Field(default=None, repr=False)
    ledger_key: Keys
    """The derived key, or several of which a ledger row has one: fixed text and columns of the
    business row in braces."""
    ledger_key_column: Identifier = "idempotency_key"
    ledger_when: FarExpression | None = None
    """Which ledger rows belong to this business event."""
    required_when: Expression | None = None
    """The former name of `when`."""
    allowed_when: Expression | None = None
    """Which business rows may have it; those that must, unless stated."""
    sum: Mapping[Expression, FarExpression] = {}
    """Sums over the business rows of one key, and what each is in the ledger row."""
    ledger_sum: Mapping[Expression, FarExpression] = Field(default={}, repr=False)
    """What the ledger rows of a business row add up to, by what this is in the business row."""
    ledger_sum_at_most: Mapping[Expression, FarExpression] = Field(default={}, repr=False)
    """The same where they may add up to less, or be none."""
    ledger_rows: Rows | None = Field(default=None, repr=False)
    """How many ledger rows a business row has, under all of its keys. Unless stated one, where a
    key has placeholders and nothing is added up; else one at least."""
    reverse: bool = True

    @model_validator(mode="after")
    def _reads_backwards(self) -> Self:
        if self.reverse and self.ledger_when is None:
            raise ValueError(
                "ledger_when is missing: it tells which ledger rows need a business row;"
                " reverse = false asks for business rows only"
            )
        if self.required_when and self.when:
            raise ValueError("required_when is the former name of when: state one of them")
        if (self.ledger_sum or self.ledger_sum_at_most) and self.sum:
            raise ValueError(
                "sum adds up business rows and ledger_sum ledger rows: a check does one of them"
            )
        if self.sum and len({frozenset(each.columns) for each in self._keys}) > 1:
            raise ValueError("ledger_key: with sum all keys are made of the same columns")
        if self.sum and any(_parts_of_columns(each) for each in self._keys):
            raise ValueError("ledger_key: with sum a key is made of whole columns")
        return self

    @property
    def _keys(self) -> tuple[Template, ...]:
        return (self.ledger_key,) if isinstance(self.ledger_key, Template) else self.ledger_key

    @property
    def templates(self) -> Sequence[tuple[str, Template]]:
        """The keys."""
        return [("ledger_key", each) for each in self._keys]

    @property
    def _event(self) -> str:
        """The keys, in words."""
        return " or ".join(each.source for each in self._keys)

    @property
    def _far_sums(self) -> tuple[FarSum, ...]:
        exact = (FarSum(*each) for each in self.ledger_sum.items())
        most = (FarSum(*each, at_most=True) for each in self.ledger_sum_at_most.items())
        return (*exact, *most)

    @property
    def _far_count(self) -> FarCount | None:
        is_open = any(each.placeholders for each in self._keys)
        is_one = is_open and not self._far_sums
        return self.ledger_rows or (FarCount(1, 1) if is_one else None)

    @property
    def _when(self) -> Expression | None:
        return self.when or self.required_when

    @property
    def plan(self) -> Plan:
        """Each business row, or with `sum` all of one derived key together, has a ledger row."""
        return Plan(
            near=Near(
                role="business",
                table=self.table,
                primary_key=key_columns(self.primary_key),
                cursor=self.cursor,
                written_at=self.written_at,
                changed_at=self.changed_at,
                id=self._keys[0].columns if self.sum else key_columns(self.primary_key),
                key=DerivedKey(self._keys[0]),
                pending=self.pending,
                when=self._when,
                allowed_when=self.allowed_when,
            ),
            far=Far(
                role="ledger",
                table=self.ledger,
                primary_key=key_columns(self.ledger_primary_key),
                cursor=self.ledger_cursor,
                written_at=self.ledger_written_at,
                changed_at=self.ledger_changed_at,
                key=(self.ledger_key_column,),
                when=self.ledger_when,
            ),
            equal=equal_pairs(self.equal),
            sums=sum_pairs(self.sum),
            far_sums=self._far_sums,
            far_count=self._far_count,
            more_keys=tuple(map(DerivedKey, self._keys[1:])),
            joins=self.through,
            scope=Scope(self.settle, self.since),
            reverse=self.reverse,
            relations=self.relations,
            collation=self.collation,
        )

    @property
    def rule(self) -> str | None:
        """The derived key."""
        return f"{self.ledger}.{self.ledger_key_column} = {self._event}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Also: rows that need no ledger row, and ledger rows that are there twice."""
        found = [
            *super().leaves_out,
            f"ledger rows that are there twice: `duplicates` on {self.ledger}",
        ]
        if self._when:
            needed = f"rows of {self.table} without a ledger row for which this is not true"
            found.insert(0, f"{needed}: {self._when.source}")
        return tuple(found)

    def near_problem(self, seen: Seen) -> Problem:
        """With a key that does not fit, missing, or mismatched."""
        event = self._event
        if not seen.key_fits:
            message = f"{self.table}: {event} is longer than its column"
            return Problem("key_too_long", message)
        if seen.far_id is None:
            message = f"{self.table}: no row of {self.ledger} has the key {event}"
            return Problem("missing", message)
        if _is_miscounted(self._far_count, seen):
            message = f"{self.table}: not as many rows of {self.ledger} as may have the key {event}"
            return Problem("miscounted", message)
        if self._far_sums:
            message = f"{self.table}: the rows of {self.ledger} with the key {event} do not add up"
            return Problem("mismatched", message)
        message = f"{self.table}: the row of {self.ledger} with the key {event} differs"
        return Problem("mismatched", message)

    def far_problem(self, near_id: Id | None) -> Problem:
        """Without a business row, or with one that does not call for it."""
        if near_id is not None:
            message = f"{self.ledger}: the row of {self.table} does not call for this"
            return Problem("unwarranted", message)
        event = self._event
        return Problem("orphaned", f"{self.ledger}: no row of {self.table} gives the key {event}")

    def remarks(self, columns: Catalog) -> Iterator[str]:
        """That a derived key may not fit its column."""
        limit = columns[self.ledger][self.ledger_key_column].longest
        for each in self._keys:
            lengths = [columns[self.table][name].longest for name in each.columns]
            if not each.is_of_whole_columns:
                continue
            longest = each.fixed_length + sum(length or 0 for length in lengths)
            if limit is not None and longest > limit:
                yield (
                    f"{each.source} may have {longest} characters,"
                    f" {self.ledger}.{self.ledger_key_column} holds {limit}"
                )

    def key_doubts(self, columns: Catalog) -> Iterator[str]:
        """Unlike collations, and a template that cannot be read backwards."""
        near, key = columns[self.table], columns[self.ledger][self.ledger_key_column]
        whole = f"{self.ledger}.{self.ledger_key_column}"
        for each in self._keys:
            for name, why in template_doubts(each, near, key, self.collation):
                yield f"{self.table}.{name} cannot be part of {whole}: {why}"
            for name, why in unreadable(each, near) if self._is_read(each) else ():
                advice = "" if each.placeholders else "; reverse = false reads no key backwards"
                yield f"ledger_key: {name} {why}{advice}"

    def _is_read(self, key: Template) -> bool:
        """Whether its parts have to be told apart."""
        return bool(key.placeholders) or (self.plan.follows_far and DerivedKey(key).is_looked_up)


def _parts_of_columns(key: Template) -> bool:
    return any(isinstance(each, Part) and not each.is_whole for each in key.parts)


def _is_miscounted(wanted: FarCount | None, seen: Seen) -> bool:
    """Whether a business row has ledger rows, and not as many as it may."""
    return wanted is not None and bool(seen.far_rows) and not wanted.fits(seen.far_rows or 0)

"""`reference`: a logical foreign key names a row that exists and is the right one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, model_validator
from sqlalchemy import select

from checks.card import Alert, Card, Words
from checks.contract import Scalar
from checks.keys.template import Template
from checks.kinds.pairing.check import Pairing
from checks.kinds.pairing.findings import Problem, Seen
from checks.kinds.pairing.near_key import ByKey, ReferringColumns, template_doubts, unreadable
from checks.kinds.pairing.plan import Far, FarKey, Id, Near, Pair, Plan, Scope, equal_pairs
from checks.snapshot import Catalog
from checks.sql import catalog
from checks.sql.collations import under
from checks.sql.expression import Expression, FarExpression
from checks.sql.row_ids import row_keys
from checks.sql.timestamps import TimeColumn
from checks.types import Columns, Identifier, PrimaryKey, TableName, key_columns


def _nothing(value: object) -> tuple[int | str, ...]:
    values = value if isinstance(value, list | tuple) else (value,)
    for each in values:
        if isinstance(each, bool) or not isinstance(each, int | str):
            message = f"what names nothing is a whole number or a text: {each!r} is neither"
            raise ValueError(message)  # noqa: TRY004 - what pydantic catches
    return tuple(values)


Nothing = Annotated[tuple[int | str, ...], PlainValidator(_nothing)]
"""Whole numbers and texts, or one of them."""


class Reference(Pairing):
    """Whether each row names a row of the parent table that exists and agrees with it.

    A row with a NULL among `columns` names nothing, which is wrong only where `not_null_when`
    holds; so does one with a value of `none`.
    """

    card: ClassVar[Card] = Card(
        violation="a row that names no row, or a wrong one; a parent that nobody names, or that"
        " several do",
        title=Words(en="logical foreign keys", zh="逻辑外键"),
        alert=Alert(
            name="ReconcilerReferenceBroken",
            rank=50,
            meaning="a reference that leads nowhere, or to the wrong row",
            summary="{count} rows of {table} name no row, or a wrong one ({check}).",
            advice="Is the ledger row missing, or only the number wrong?",
            explanation="a column without a FOREIGN KEY names no row or a wrong one, or a parent"
            " that somebody must name is not named.",
        ),
    )

    kind: Literal["reference"] = "reference"
    beside: ClassVar[Mapping[str, str]] = {"parent": "parent_"}
    columns: Columns
    parent: TableName
    parent_columns: Columns | None = None
    """What `columns` name; the parent's primary key unless stated."""
    parent_primary_key: PrimaryKey | None = None
    parent_cursor: TimeColumn | None = None
    parent_written_at: TimeColumn | None = None
    parent_changed_at: TimeColumn | None = Field(default=None, repr=False)
    parent_when: FarExpression | None = None
    required_when: Expression | None = None
    """The former name of `not_null_when`."""
    not_null_when: Expression | None = Field(default=None, repr=False)
    """Which rows may not name nothing."""
    none: Nothing = Field(default=(), repr=False)
    """Values of `columns` that name nothing, as NULL does."""
    key: Template | None = Field(default=None, repr=False)
    """What the row that is named must have as its key: text and columns of the naming row."""
    key_column: Identifier = Field(default="idempotency_key", repr=False)
    """The parent's column that holds such keys."""
    key_suffices: bool = Field(default=False, repr=False)
    """Whether a row whose column names nothing refers to the parent that has its key."""
    one_to_one: bool = False
    """Whether no two rows may name the same parent."""

    @model_validator(mode="after")
    def _as_many_columns(self) -> Self:
        if not self._far_key:
            raise ValueError(
                f"parent_columns is missing: no primary_key of {self.parent} is stated, which"
                " columns name by default"
            )
        if len(self.columns) != len(self._far_key):
            raise ValueError(
                f"{len(self.columns)} columns cannot name {len(self._far_key)} of {self.parent}"
            )
        if self.key_suffices and (self.key is None or len(self.columns) > 1):
            raise ValueError("key_suffices needs a key, and one column that names the row")
        if self.required_when and self.not_null_when:
            raise ValueError("required_when is the former name of not_null_when: state one of them")
        return self

    @property
    def _not_null_when(self) -> Expression | None:
        return self.not_null_when or self.required_when

    @property
    def _by_key(self) -> ByKey | None:
        if not (self.key and self.key_suffices) or len(self._far_key) > 1:
            return None
        (named,) = self._far_key
        names = tuple(dict.fromkeys((named, self.key_column)))
        parent = self.rows_of(self.parent, names)
        if self.collation:
            values = (under(parent.c[name], self.collation).label(name) for name in names)
            parent = select(*values).subquery("by_key_of")
        return ByKey(self.key, self.key_column, named, parent)

    @property
    def templates(self) -> Sequence[tuple[str, Template]]:
        """The key."""
        return [("key", self.key)] if self.key else []

    @property
    def _pairs(self) -> tuple[Pair, ...]:
        """What is equal, and the key."""
        equal = equal_pairs(self.equal)
        if not self.key:
            return equal
        return (Pair(self.key, FarKey(self.key_column, self.key), self.key.source), *equal)

    @property
    def _far_key(self) -> tuple[str, ...]:
        return self.parent_columns or key_columns(self.parent_primary_key)

    @property
    def plan(self) -> Plan:
        """Each child refers to a parent."""
        return Plan(
            near=Near(
                role="child",
                table=self.table,
                primary_key=key_columns(self.primary_key),
                cursor=self.cursor,
                written_at=self.written_at,
                changed_at=self.changed_at,
                id=key_columns(self.primary_key),
                key=ReferringColumns(self.columns, self.none, self._by_key),
                pending=self.pending,
                when=self.when,
                not_null_when=self._not_null_when,
                key_is_optional=True,
                key_repeats=not self.one_to_one,
            ),
            far=Far(
                role="parent",
                table=self.parent,
                primary_key=key_columns(self.parent_primary_key),
                cursor=self.parent_cursor,
                written_at=self.parent_written_at,
                changed_at=self.parent_changed_at,
                key=self._far_key,
                when=self.parent_when,
            ),
            equal=self._pairs,
            joins=self.through,
            scope=Scope(self.settle, self.since),
            reverse=self.reverse,
            relations=self.relations,
            collation=self.collation,
            one_to_one=self.one_to_one,
        )

    @property
    def rule(self) -> str | None:
        """The columns, and what they name."""
        return f"{', '.join(self.columns)} → {self.parent}.{', '.join(self._far_key)}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Also: rows that name nothing, and need not."""
        named = f"rows of {self.table} with {self._nothing} in {', '.join(self.columns)}"
        if self.key and self.key_suffices:
            named += f", and without a key: with NULL in {', '.join(self.key.columns)}"
        if self._not_null_when:
            named += f" for which this is not true: {self._not_null_when.source}"
        others = (
            f"rows of {self.table} for which this is not true: {self.when.source}"
            if self.when
            else None
        )
        return (*filter(None, (others,)), named, *super().leaves_out)

    @property
    def _nothing(self) -> str:
        """What names nothing, in words."""
        return " or ".join(("NULL", *(f"{each!r}" for each in self.none)))

    def row_keys(self, evidence: Mapping[str, Any]) -> Sequence[Mapping[str, Scalar]]:
        """The first and the last of the rows that name the same parent."""
        return row_keys(key_columns(self.primary_key), evidence)

    def near_problem(self, seen: Seen) -> Problem:
        """Missing, dangling or mismatched."""
        names = f"{self.table}.{', '.join(self.columns)}"
        if None in seen.key and self.key and self.key_suffices:
            no_key = f"no row of {self.parent} has the key {self.key.source}"
            return Problem("missing", f"{names} is {self._nothing}, and {no_key}")
        if None in seen.key:
            message = f"{names} is {self._nothing} where a row of {self.parent} is required"
            return Problem("missing", message)
        if seen.far_id is None:
            return Problem("dangling", f"{names} names no row of {self.parent}")
        return Problem("mismatched", f"{names} names a wrong row of {self.parent}")

    def far_problem(self, near_id: Id | None) -> Problem:
        """No row names it."""
        one = "only a row that is left out" if near_id is not None else "no row"
        message = f"{one} of {self.table} names this row of {self.parent}"
        return Problem("unreferenced", message)

    def key_doubts(self, columns: Catalog) -> Iterator[str]:
        """Columns of unlike types or collations."""
        near, far = columns[self.table], columns[self.parent]
        for one, other in zip(self.columns, self._far_key, strict=True):
            if why := catalog.unlike(near[one], far[other], self.collation):
                yield f"{self.table}.{one} cannot be compared with {self.parent}.{other}: {why}"
        if self.key:
            yield from self._doubts_of_key(self.key, columns)

    def _doubts_of_key(self, key: Template, columns: Catalog) -> Iterator[str]:
        near, whole = columns[self.table], f"{self.parent}.{self.key_column}"
        for name, why in template_doubts(
            key, near, columns[self.parent][self.key_column], self.collation
        ):
            yield f"{self.table}.{name} cannot be part of {whole}: {why}"
        is_read = bool(key.placeholders) or (self.reverse and self.key_suffices)
        for name, why in unreadable(key, near) if is_read else ():
            advice = "" if key.placeholders else "; reverse = false reads no key backwards"
            yield f"key: {name} {why}{advice}"

"""`posting`: business rows have their ledger rows, under derived keys, and vice versa."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    and_,
    case,
    func,
    not_,
    or_,
    select,
    true,
    tuple_,
)

from checks.card import Alert, Card, Words
from checks.keys.template import Template, as_number
from checks.kinds.pairing import Built, Catalog, Far, Key, Moment, NearSide, Only, Pairing
from checks.sql import catalog
from checks.sql.expression import Expression, FarExpression
from checks.sql.statements import among, labelled, numbered
from checks.types import Identifier
from checks.watermark import Reading


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
    ledger: Identifier
    ledger_primary_key: Identifier
    ledger_cursor: Identifier | None = None
    ledger_written_at: Identifier | None = None
    ledger_key: Template
    """The derived key: fixed text and columns of the business row in braces."""
    ledger_key_column: Identifier = "idempotency_key"
    ledger_when: FarExpression | None = None
    """Which ledger rows belong to this business event."""
    required_when: Expression | None = None
    """Which business rows must have their ledger row; all, unless stated."""
    allowed_when: Expression | None = None
    """Which business rows may have it; those that must, unless stated."""
    sum: Mapping[Expression, FarExpression] = {}
    """Sums over the business rows of one key, and what each is in the ledger row."""
    reverse: bool = True

    @model_validator(mode="after")
    def _reads_backwards(self) -> Self:
        if self.reverse and self.ledger_when is None:
            raise ValueError(
                "ledger_when is missing: it tells which ledger rows need a business row;"
                " reverse = false asks for business rows only"
            )
        return self

    @property
    def far(self) -> Far:
        """The ledger."""
        return Far(
            "ledger",
            self.ledger,
            self.ledger_primary_key,
            self.ledger_cursor,
            self.ledger_written_at,
            (self.ledger_key_column,),
            self.ledger_when,
        )

    @property
    def rule(self) -> str | None:
        """The derived key."""
        return f"{self.ledger}.{self.ledger_key_column} = {self.ledger_key.source}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Also: rows that need no ledger row, and ledger rows that are there twice."""
        found = [
            *super().leaves_out,
            f"ledger rows that are there twice: `duplicates` on {self.ledger}",
        ]
        if self.required_when:
            needed = f"rows of {self.table} without a ledger row for which this is not true"
            found.insert(0, f"{needed}: {self.required_when.source}")
        return tuple(found)

    @property
    def near_columns(self) -> tuple[str, ...]:
        """The template's columns, and those of the conditions and sums."""
        conditions = filter(None, (self.required_when, self.allowed_when))
        expressions = (*conditions, *self.sum)
        return (*self.ledger_key.columns, *(n for each in expressions for n in each.columns))

    @property
    def key_names(self) -> tuple[str, ...]:
        """The primary key, or the template's columns where rows answer together."""
        return self.ledger_key.columns if self.sum else (self.primary_key,)

    @property
    def far_values(self) -> tuple[FarExpression, ...]:
        """The ledger's ends of what is compared."""
        return (*super().far_values, *self.sum.values())

    @property
    def near_values(self) -> tuple[str, ...]:
        """The business ends of what is compared."""
        return (*super().near_values, *(f"SUM({each.source})" for each in self.sum))

    def expects(self, rows: FromClause) -> ColumnElement[bool]:
        """A row for which `required_when` holds."""
        return self.required_when.over(rows.c.__getitem__) if self.required_when else true()

    def allows(self, rows: FromClause) -> ColumnElement[bool]:
        """A row for which one of the two conditions holds."""
        if not self.allowed_when or not self.required_when:
            return self.expects(rows)
        return or_(self.expects(rows), self.allowed_when.over(rows.c.__getitem__))

    @property
    def near_role(self) -> str:
        """The business row."""
        return "business"

    def near_side(self) -> NearSide:
        """Business rows one by one or, where sums are compared, by derived key."""
        if not self.sum:
            return super().near_side()
        rows = self.near_rows().alias(self.near_role)
        columns = self.key_columns(rows)
        least, most, sums = self._ends(rows)
        shown = (
            *columns,
            func.count().label("rows"),
            *labelled("least", least),
            *labelled("most", most),
            *labelled("sum", sums),
        )
        of_key = select(*shown).where(self.expects(rows)).group_by(*columns)
        if self.since and self.written_at:
            begun = self.not_before(rows, self.written_at)
            of_key = of_key.having(_holds_for_all(begun) == 1)
        groups = of_key.subquery(self.near_role)
        pairs = zip(numbered(groups, "least"), numbered(groups, "most"), strict=True)
        return NearSide(groups, (), (*pairs, *((each,) for each in numbered(groups, "sum"))))

    def _ends(self, rows: FromClause) -> tuple[list[Built], list[Built], list[Built]]:
        """Of the rows of one key: the least and the most of what is equal, and the sums."""
        equal = [each.over(rows.c.__getitem__) for each in self.equal]
        sums: list[Built] = [func.sum(each.over(rows.c.__getitem__)) for each in self.sum]
        # NULL, and so unlike the least, when only some of the rows have a value.
        most: list[Built] = [
            case((func.count(each) == func.count(), func.max(each))) for each in equal
        ]
        least: list[Built] = [func.min(each) for each in equal]
        return least, most, sums

    def keys(self, rows: FromClause) -> list[Built]:
        """The derived key."""
        return [self.ledger_key.on(rows)]

    def named_by(self, far: FromClause, rows: FromClause, found: Catalog) -> ColumnElement[bool]:
        """Equality of the derived key, and of what it was derived from, read out of the key."""
        key = far.c[self.ledger_key_column]
        described = found[self.table]
        parts = zip(self.ledger_key.columns, self.ledger_key.parts(key), strict=True)
        same = (
            rows.c[name] == (part if described[name].is_text else as_number(part))
            for name, part in parts
        )
        return and_(*same, self.naming(far, rows))

    def near(self, moment: Moment, only: Only, *, marked: bool = False) -> FromClause:
        """Business rows one by one or, where sums are compared, by derived key."""
        if not self.sum:
            return super().near(moment, only, marked=marked)
        rows = self.near_rows()
        columns = self.key_columns(rows)
        least, most, sums = self._ends(rows)
        judged = _holds_for_all(self.judged(moment, rows))
        found = (
            select(
                *labelled("key", columns),
                *labelled("name", self.keys(rows)),
                *labelled("value", [*least, *sums]),
                *labelled("also", most),
            )
            .where(self.expects(rows), only(rows))
            .group_by(*columns)
        )
        if marked:
            begun = _holds_for_all(self.begun(moment, rows))
            found = found.add_columns(judged.label("judged")).having(begun == 1)
        else:
            found = found.having(judged == 1)
        return found.subquery("near")

    def restricted(
        self, moment: Moment, reading: Reading, cursor: str | None, key: str, known: Sequence[Key]
    ) -> list[Only]:
        """Whole groups: those with a row in the window, and the known ones besides."""
        if not self.sum or reading is not moment.near:
            return super().restricted(moment, reading, cursor, key, known)
        if reading.begin is None or cursor is None:
            return [lambda _: true()]
        window = self.near_rows().alias("new")
        new = select(*self.key_columns(window)).where(reading.covers(window.c[cursor]))

        def is_new(rows: FromClause) -> ColumnElement[bool]:
            return tuple_(*self.key_columns(rows)).in_(new)

        # IN tells nothing of a group with a NULL in its key.
        whole = [each for each in known if None not in each]
        without = [each for each in known if None in each]

        def is_new_without(rows: FromClause) -> ColumnElement[bool]:
            has_null = or_(*(column.is_(None) for column in self.key_columns(rows)))
            new = and_(has_null, reading.covers(rows.c[cursor]))
            return or_(new, among(self.key_columns(rows), without)) if without else new

        parts: list[Only] = [is_new, is_new_without]
        if whole:
            parts.append(
                lambda rows: and_(among(self.key_columns(rows), whole), not_(is_new(rows)))
            )
        return parts

    def problem(self, row: RowMapping, found: Catalog) -> tuple[str, str]:
        """Missing, with a key that does not fit, or mismatched."""
        event = self.ledger_key.source
        limit = found[self.ledger][self.ledger_key_column].longest
        if limit is not None and (row["length_0"] or 0) > limit:
            return "key_too_long", f"{self.table}: {event} is longer than its column"
        if row["far_key"] is None:
            return "missing", f"{self.table}: no row of {self.ledger} has the key {event}"
        return "mismatched", f"{self.table}: the row of {self.ledger} with the key {event} differs"

    def reverse_problem(self, *, is_named: bool) -> tuple[str, str]:
        """Without a business row, or with one that does not call for it."""
        if is_named:
            return "unwarranted", f"{self.ledger}: the row of {self.table} does not call for this"
        return (
            "orphaned",
            f"{self.ledger}: no row of {self.table} gives the key {self.ledger_key.source}",
        )

    def remarks(self, found: Catalog) -> Iterator[str]:
        """That a derived key may not fit its column."""
        limit = found[self.ledger][self.ledger_key_column].longest
        lengths = [found[self.table][name].longest for name in self.ledger_key.columns]
        longest = self.ledger_key.fixed_length + sum(length or 0 for length in lengths)
        if limit is not None and longest > limit:
            yield (
                f"{self.ledger_key.source} may have {longest} characters,"
                f" {self.ledger}.{self.ledger_key_column} holds {limit}"
            )

    def mismatches(self, connection: Connection) -> Iterator[str]:
        """Unlike collations, and a template that cannot be read backwards."""
        mine = catalog.columns(connection, self.table)
        key = catalog.columns(connection, self.ledger).get(self.ledger_key_column)
        for number, name in enumerate(self.ledger_key.columns):
            described = mine.get(name)
            if described is None or key is None:
                continue
            if described.is_text and (why := catalog.unlike(described, key)):
                yield (
                    f"{self.table}.{name} cannot be part of"
                    f" {self.ledger}.{self.ledger_key_column}: {why}"
                )
            if self.reverse and (why := _unreadable(self.ledger_key, number, described)):
                yield f"ledger_key: {name} {why}; reverse = false reads no key backwards"


def _unreadable(template: Template, number: int, column: catalog.Column) -> str | None:
    """Why a column of a template cannot be read out of a key."""
    if column.is_text:
        return "is text and may hold what keeps it apart: only the first may be" if number else None
    if not column.is_integer:
        return f"is {column.type}: only texts and whole numbers are written in one way"
    if number and template.texts[number][-1] in "-0123456789":
        return f"may begin like the end of {template.texts[number]!r} before it"
    return None


def _holds_for_all(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """1 where a condition holds for every row of a group, else 0."""
    return func.min(case((condition, 1), else_=0))

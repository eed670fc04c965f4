"""`reference`: a logical foreign key names a row that exists and is the right one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    and_,
    func,
    or_,
    select,
    true,
    union,
)

from checks.card import Alert, Card, Words
from checks.contract import Evidence, Finding, Scalar
from checks.kinds.pairing import Built, Catalog, Direction, Far, Key, Moment, Only, Pairing
from checks.sql import catalog
from checks.sql.expression import Expression, FarExpression
from checks.sql.statements import ALL_ROWS, among, numbered
from checks.sql.values import scalar
from checks.types import Columns, Identifier


class Reference(Pairing):
    """Whether each row names a row of the parent table that exists and agrees with it.

    A row with a NULL among `columns` names nothing, which is wrong only where `required_when`
    holds.
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
    parent: Identifier
    parent_columns: Columns | None = None
    """What `columns` name; the parent's primary key unless stated."""
    parent_primary_key: Identifier
    parent_cursor: Identifier | None = None
    parent_written_at: Identifier | None = None
    parent_when: FarExpression | None = None
    required_when: Expression | None = None
    one_to_one: bool = False
    """Whether no two rows may name the same parent."""

    @model_validator(mode="after")
    def _as_many_columns(self) -> Self:
        if len(self.columns) != len(self.far.key):
            raise ValueError(
                f"{len(self.columns)} columns cannot name {len(self.far.key)} of {self.parent}"
            )
        return self

    @property
    def far(self) -> Far:
        """The parent."""
        return Far(
            "parent",
            self.parent,
            self.parent_primary_key,
            self.parent_cursor,
            self.parent_written_at,
            self.parent_columns or (self.parent_primary_key,),
            self.parent_when,
        )

    @property
    def rule(self) -> str | None:
        """The columns, and what they name."""
        names = ", ".join(self.columns)
        return f"{names} → {self.parent}.{', '.join(self.far.key)}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Also: rows that name nothing, and need not."""
        named = f"rows of {self.table} with NULL in {', '.join(self.columns)}"
        if self.required_when:
            named += f" for which this is not true: {self.required_when.source}"
        return (named, *super().leaves_out)

    @property
    def near_columns(self) -> tuple[str, ...]:
        """The referring columns, and those of the condition."""
        return (*self.columns, *(self.required_when.columns if self.required_when else ()))

    def expects(self, rows: FromClause) -> ColumnElement[bool]:
        """A row that names a parent, or has to."""
        names = and_(*(rows.c[name].is_not(None) for name in self.columns))
        return (
            or_(names, self.required_when.over(rows.c.__getitem__)) if self.required_when else names
        )

    @property
    def near_role(self) -> str:
        """The child of the parent."""
        return "child"

    def shared_names(self) -> dict[str, str]:
        """What is shared, by the parent's names."""
        pairs = zip(self.far.key, self.columns, strict=True) if self.one_to_one else ()
        return {f"{self.parent}.{one}": other for one, other in pairs}

    def row_keys(self, evidence: Mapping[str, Any]) -> Sequence[Mapping[str, Scalar]]:
        """The first and the last of the rows that name the same parent."""
        return [{self.primary_key: each} for each in evidence.get("row_ids", ())]

    @property
    def near_key_columns(self) -> tuple[str, ...]:
        """The primary key, and what a shared parent is looked up by."""
        return (self.primary_key, *(self.columns if self.one_to_one else ()))

    def keys(self, rows: FromClause) -> list[Built]:
        """The referring columns."""
        return [rows.c[name] for name in self.columns]

    def near(self, moment: Moment, only: Only, *, marked: bool = False) -> FromClause:
        """Children one by one; where they are only counted, once for all that say the same."""
        rows = super().near(moment, only, marked=marked)
        if not marked or self.one_to_one:
            return rows
        said = [*numbered(rows, "name"), *numbered(rows, "value")]
        judged = func.max(rows.c.judged).label("judged")
        return select(*said, judged).group_by(*said).subquery("near")

    def problem(self, row: RowMapping, _found: Catalog) -> tuple[str, str]:
        """Missing, dangling or mismatched."""
        names = ", ".join(self.columns)
        if any(row[f"name_{number}"] is None for number in range(len(self.columns))):
            return (
                "missing",
                f"{self.table}.{names} is NULL where a row of {self.parent} is required",
            )
        if row["far_key"] is None:
            return "dangling", f"{self.table}.{names} names no row of {self.parent}"
        return "mismatched", f"{self.table}.{names} names a wrong row of {self.parent}"

    def reverse_problem(self, *, is_named: bool) -> tuple[str, str]:
        """No row names it."""
        _ = is_named
        return "unreferenced", f"no row of {self.table} names this row of {self.parent}"

    def directions(self, moment: Moment) -> Iterator[Direction]:
        """Also: whether two rows name one parent."""
        yield from super().directions(moment)
        if self.one_to_one:
            yield Direction(
                tuple(f"{self.parent}.{name}" for name in self.far.key),
                lambda known: [self._shared(moment, known)],
                lambda keys: self._describe_shared(moment, keys),
            )

    def mismatches(self, connection: Connection) -> Iterator[str]:
        """Columns of unlike types or collations."""
        mine = catalog.columns(connection, self.table)
        theirs = catalog.columns(connection, self.parent)
        for one, other in zip(self.columns, self.far.key, strict=True):
            if (
                one in mine
                and other in theirs
                and (why := catalog.unlike(mine[one], theirs[other]))
            ):
                yield f"{self.table}.{one} cannot be compared with {self.parent}.{other}: {why}"

    def _shared(self, moment: Moment, known: Sequence[Key]) -> Select[Any]:
        rows = self.near_rows()
        source: FromClause = rows
        columns = self.keys(rows)
        if moment.near.begin is not None and self.cursor:
            touched: Any = select(*columns).where(moment.near.covers(rows.c[self.cursor]))
            if known:
                touched = union(touched, select(*columns).where(among(columns, known)))
            new = (
                touched.distinct().subquery("touched") if not known else touched.subquery("touched")
            )
            rows = self.near_rows().alias("near")  # type: ignore[assignment]
            columns = self.keys(rows)
            same = and_(*(new.c[name] == rows.c[name] for name in self.columns))
            source = new.join(rows, same)
        repeated = (
            select(*columns)
            .select_from(source)
            .where(*(each.is_not(None) for each in columns))
            .group_by(*columns)
            .having(func.count() > 1)
        )
        return self._in_scope_only(moment, repeated) if self.since else repeated

    def _in_scope_only(self, moment: Moment, repeated: Select[Any]) -> Select[Any]:
        """Of values that repeat, those that do so among the rows in scope.

        To look at the time of every row first would read the table beside its index.
        """
        # MariaDB would group by a temporary table, not along the index, in a statement around it.
        ordered = repeated.order_by(*repeated.selected_columns).limit(ALL_ROWS)
        found = ordered.subquery("repeated")
        rows = self.near_rows()
        columns = self.keys(rows)
        same = and_(*(found.c[name] == rows.c[name] for name in self.columns))
        return (
            select(*columns)
            .select_from(found.join(rows, same))
            .where(self.judged(moment, rows))
            .group_by(*columns)
            .having(func.count() > 1)
        )

    def _describe_shared(self, moment: Moment, keys: Sequence[Key]) -> list[Finding]:
        rows = self.near_rows()
        columns, own = self.keys(rows), rows.c[self.primary_key]
        ends = (
            func.count().label("rows"),
            func.min(own).label("first"),
            func.max(own).label("last"),
        )
        judged = self.judged(moment, rows) if self.since else true()
        statement = select(*columns, *ends).where(among(columns, keys), judged).group_by(*columns)
        found = []
        for row in moment.connection.execute(statement.order_by(*columns)).mappings():
            named = {
                f"{self.parent}.{other}": scalar(row[one])
                for one, other in zip(self.columns, self.far.key, strict=True)
            }
            evidence: dict[str, Evidence] = {
                "problem": "shared",
                "rows": int(row["rows"]),
                "row_ids": (scalar(row["first"]), scalar(row["last"])),
            }
            message = f"{row['rows']} rows of {self.table} name the same row of {self.parent}"
            found.append(Finding(named, message, evidence, int(row["rows"]) - 1))
        return found

"""What rows a table's name stands for: those of the table, those that count, or a named SELECT.

Every kind reads rows through here, so that what the configuration says of a name holds for each of
them and on either side of a comparison. A relation is read as a derived table: nothing is created
on the audited server. A server merges it into the statement around it where it can.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymysql.constants import ER
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    TextClause,
    column,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from checks.contract import CheckError
from checks.sql import catalog, statements
from checks.sql.catalog import Column, Index
from checks.sql.expression import Expression
from checks.sql.named_select import NamedSelect, Source
from checks.sql.names import Names, same
from checks.sql.render import render
from checks.sql.result_columns import result_columns

_MEANINGLESS = frozenset(
    {
        *(ER.BAD_FIELD_ERROR, ER.PARSE_ERROR, ER.NON_UNIQ_ERROR, ER.SP_DOES_NOT_EXIST),
        *(ER.WRONG_PARAMCOUNT_TO_PROCEDURE, ER.UNKNOWN_TABLE, ER.NO_SUCH_TABLE, ER.NONUNIQ_TABLE),
        *(ER.CANT_AGGREGATE_2COLLATIONS, ER.CANT_AGGREGATE_3COLLATIONS, ER.DUP_FIELDNAME),
        *(ER.INVALID_GROUP_FUNC_USE, ER.WRONG_FIELD_WITH_GROUP, ER.OPERAND_COLUMNS),
        *(ER.WRONG_NUMBER_OF_COLUMNS_IN_SELECT, ER.CANT_AGGREGATE_NCOLLATIONS),
        *(ER.WRONG_GROUP_FIELD, ER.MIX_OF_GROUP_FUNC_AND_FIELDS, ER.TOO_LONG_IDENT),
        *(ER.WRONG_TABLE_NAME, ER.WRONG_COLUMN_NAME, ER.DERIVED_MUST_HAVE_ALIAS),
        *(ER.UNKNOWN_COLLATION, ER.COLLATION_CHARSET_MISMATCH, ER.UNKNOWN_CHARACTER_SET),
        *(ER.REGEXP_ERROR, ER.WRONG_ARGUMENTS, ER.NOT_SUPPORTED_YET, ER.ILLEGAL_REFERENCE),
        *(ER.TABLENAME_NOT_ALLOWED_HERE, ER.WRONG_USAGE, ER.NON_GROUPING_FIELD_USED),
        *(ER.TOO_MANY_TABLES, 1473, 1582, 1583, 1630),
        # Of ORDER BY; of windows (MySQL, MariaDB); of JSON paths, of regular expressions and of
        # operands of unlike sorts.
        *(3065, 3066, *range(3577, 3601), *range(4013, 4036)),
        *(3141, 3143, 3144, 3146, *range(4036, 4048), *range(3684, 3700), 4078, 4079),
    }
)
"""Numbers of errors that say that a SELECT has no meaning to the server; 1473 is that of too many
levels, 1582 and 1583 are those of a function's arguments, 1630 that of one that is not there."""


class Relation(ABC):
    """Rows under a name, in place of a table's."""

    @abstractmethod
    def rows(self, columns: Iterable[str]) -> FromClause:
        """The rows, with the columns that a statement needs; called by the relation's name."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The rows as a SELECT for MySQL and MariaDB that stands in another statement."""

    @property
    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """The tables that are read."""

    @property
    def leaves_out(self) -> str | None:
        """Which rows of the table no verdict covers."""
        return None

    @property
    def advice(self) -> str | None:
        """What would help where reading the rows takes too long."""
        return None

    @abstractmethod
    def followed(self, columns: Sequence[str]) -> list[FromClause]:
        """The rows among which new ones are looked for, with columns of these names.

        Those of the tables themselves where they have the columns, as the end of a table is found
        at once by its index. There may be more of them than the relation has.
        """

    @abstractmethod
    def describe(self, connection: Connection) -> None:
        """Note in the catalog of this snapshot what the columns and indexes of the rows are.

        Raises a permanent CheckError where a table or a column is missing.
        """

    def verify(self, connection: Connection) -> None:
        """Have the server read the rows' SELECT, and describe them.

        Raises a permanent CheckError where a name is missing, or where the server refuses it.
        """
        self.describe(connection)


Relations = Mapping[str, Relation]
"""By name. A name that is not among them is that of a table, all of whose rows count."""


def followed(relations: Relations, name: str, columns: Sequence[str]) -> list[FromClause]:
    """The rows among which new ones are looked for that a name stands for."""
    relation = relations.get(name)
    return relation.followed(columns) if relation else [statements.rows_of(name, columns)]


def rows_of(relations: Relations, name: str, columns: Iterable[str]) -> FromClause:
    """The rows that a name stands for, with the columns that a statement needs."""
    relation = relations.get(name)
    return relation.rows(columns) if relation else statements.rows_of(name, columns)


@dataclass(frozen=True)
class Counted(Relation):
    """The rows of a table that count: `[tables.X] when`."""

    table: str
    when: Expression
    _described: dict[str, Column] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What a server's catalog says of the table's columns, once it was asked: arithmetic in the
    condition is exact by it, whatever the types."""

    def rows(self, columns: Iterable[str]) -> FromClause:
        """Those for which the condition is true."""
        names = tuple(dict.fromkeys(columns))
        table = statements.rows_of(self.table, (*names, *self.when.columns))
        shown: list[Any] = [table.c[name] for name in names]
        shown = shown or [literal_column("1").label("counted")]
        return select(*shown).where(self.holds_for(table)).subquery(self.table)

    def holds_for(self, table: FromClause) -> ColumnElement[bool]:
        """Whether a row of the table counts."""
        known = all(name in self._described for name in self.when.columns)
        return self.when.on(table, self._described.__getitem__ if known else None)

    def followed(self, columns: Sequence[str]) -> list[FromClause]:
        """All rows of the table."""
        return [statements.rows_of(self.table, columns)]

    @property
    def text(self) -> str:
        """The rows with all columns of the table."""
        table = statements.rows_of(self.table, self.when.columns)
        shown: Select[Any] = select(literal_column("*")).select_from(table)
        return render(shown.where(self.holds_for(table)))

    @property
    def tables(self) -> tuple[str, ...]:
        """The table."""
        return (self.table,)

    @property
    def leaves_out(self) -> str | None:
        """Those for which it is not."""
        return f"rows of {self.table} for which this is not true: {self.when.source}"

    def describe(self, connection: Connection) -> None:
        """Columns and indexes are those of the table; so are the columns of the condition."""
        found = catalog.require(connection, self.table, self.when.columns)
        if connection.dialect.name != "sqlite":  # where a value has a type, and no column
            self._described.update(found)


@dataclass(frozen=True)
class Selected(Relation):
    """The result of a SELECT: `[relations.NAME]`."""

    name: str
    select: NamedSelect
    within: Mapping[str, Relation] = field(default_factory=dict)
    """The relations that it reads in place of tables."""

    def rows(self, columns: Iterable[str]) -> FromClause:
        """The result."""
        names = dict.fromkeys(columns) or self.select.columns[:1]
        return _Text(self.text, self._sqlite).columns(*map(column, names)).subquery(self.name)

    def followed(self, columns: Sequence[str]) -> list[FromClause]:
        """All rows of the table of which the columns are, in each of the SELECTs of a UNION."""
        traced = [self.select.sources(name) for name in columns]
        branches = list(zip(*traced, strict=True)) if all(traced) else []
        of_one = (len({each.table for each in branch}) == 1 for branch in branches)
        if not branches or not all(of_one) or any(map(self._is_selected, self.select.tables)):
            return [self.rows(columns)]
        return [_renamed(branch, columns) for branch in branches]

    def _is_selected(self, table: str) -> bool:
        return isinstance(self.within.get(table), Selected)

    @property
    def text(self) -> str:
        """The SELECT, with what the names in it stand for."""
        return self.select.reading(self._within)

    @property
    def leaves_out(self) -> str | None:
        """What those that it reads leave out."""
        found = [*filter(None, (each.leaves_out for each in self.within.values()))]
        return f"in {self.name}: {'; '.join(found)}" if found else None

    @property
    def advice(self) -> str | None:
        """By what the SELECT is made of."""
        if self.select.is_worked_out:
            why = "groups or unites rows, and is worked out again in each run"
            return f"relation {self.name} {why}: a WHERE of its own makes it smaller"
        joins = "is read with each of its joins: an index on what they compare helps"
        return f"relation {self.name} {joins}"

    def _within(self, name: str) -> str | None:
        return self.within[name].text if name in self.within else None

    def _sqlite(self) -> str:
        return self.select.for_sqlite(self.text)

    @property
    def tables(self) -> tuple[str, ...]:
        """Those that it names, and those that the relations among them read."""
        found: list[str] = []
        for name in self.select.tables:
            found += self.within[name].tables if name in self.within else (name,)
        return tuple(dict.fromkeys(found))

    def describe(self, connection: Connection) -> None:
        """Columns as the tables have them, or as the server says of what is worked out."""
        for name in self.select.tables:
            if name in self.within:
                self.within[name].describe(connection)
            else:
                catalog.require(connection, name, ())
        self._require_columns(connection)
        columns = catalog.once(connection, "relation", self.name, lambda: self._columns(connection))
        self._note(connection, columns)

    def verify(self, connection: Connection) -> None:
        """By its whole text: what it is made of is asked for by few runs."""
        self.describe(connection)
        self._said(connection, self.select.columns)

    def _note(self, connection: Connection, columns: dict[str, Column]) -> None:
        estimates = [catalog.estimated_rows(connection, each) or 0 for each in self.tables]
        catalog.note(
            connection,
            self.name,
            columns,
            self._indexes(connection),
            max(estimates, default=0),
            unfollowed=self._unfollowed(connection),
        )

    def _unfollowed(self, connection: Connection) -> str | None:
        if self.select.combines_rows:
            return catalog.MADE_OF_SEVERAL
        inner = (catalog.unfollowed(connection, each) for each in self.select.tables)
        return next(filter(None, inner), None)

    def _columns(self, connection: Connection) -> dict[str, Column]:
        traced = {name: self._sources(connection, name) for name in self.select.columns}
        worked_out = [name for name, sources in traced.items() if len(sources) != 1]
        said = self._said(connection, worked_out) if worked_out else {}
        return {
            name: self._described(connection, sources, said.get(name))
            for name, sources in traced.items()
        }

    def _sources(self, connection: Connection, name: str) -> tuple[Source, ...]:
        """Where a column comes from, as the catalog spells it; nothing of what no table has."""
        found = self.select.sources(name)
        spelled = (catalog.spelled(connection, each.table, each.column) for each in found)
        pairs = zip(found, spelled, strict=True)
        known = tuple(replace(each, column=as_) for each, as_ in pairs if as_)
        return known if len(known) == len(found) else ()

    def _require_columns(self, connection: Connection) -> None:
        """Raise CheckError, with the nearest name, for a column that no table of it has."""
        for table, names in self.select.named_columns.items():
            if table:
                spelled = (catalog.spelled(connection, table, name) or name for name in names)
                catalog.require(connection, table, spelled)
                continue
            known = [n for each in self.select.tables for n in catalog.columns(connection, each)]
            known += self.select.own_names
            folded = {each.casefold() for each in known}
            for name in (each for each in names if each.casefold() not in folded):
                near = catalog.nearest(name, known)
                raise CheckError(f"no table of it has a column {name}{near}", permanent=True)

    def _said(self, connection: Connection, names: Sequence[str]) -> dict[str, Column]:
        try:
            return result_columns(connection, self.rows(self.select.columns), names)
        except DBAPIError as error:
            number, *words = getattr(error.orig, "args", (None,))
            if number not in _MEANINGLESS:
                raise
            message = f"the server refuses it: {' '.join(map(str, words))}"
            raise CheckError(message, permanent=True) from None

    def _described(
        self, connection: Connection, sources: Sequence[Source], said: Column | None
    ) -> Column:
        """A column of a table as the catalog has it; NULL where a join or a UNION may add it."""
        found = [catalog.columns(connection, each.table)[each.column] for each in sources]
        absent = any(each.may_be_absent for each in sources)
        nullable = not found or absent or any(each.nullable for each in found)
        return replace(said or found[0], nullable=nullable)

    def _indexes(self, connection: Connection) -> list[Index]:
        """What serves a search by a column, and what proves that columns name one row."""
        found = [
            Index(f"{name}: of its table", (name,), unique=False, partial=False)
            for name in self.select.columns
            if self._is_led(connection, self._sources(connection, name))
        ]
        if self.select.groups:
            found.append(Index("GROUP BY", self.select.groups, unique=True, partial=False))
        elif not self.select.is_joined:
            found += self._of_the_table(connection)
        return found

    def _is_led(self, connection: Connection, sources: Sequence[Source]) -> bool:
        if len(sources) > 1 and not self._is_time(connection, sources[0]):
            return False  # numbers of several tables do not grow together
        return bool(sources) and all(
            any(
                same(index.columns[0], each.column) and not index.partial
                for index in catalog.indexes(connection, each.table)
            )
            for each in sources
        )

    def _is_time(self, connection: Connection, source: Source) -> bool:
        return catalog.columns(connection, source.table)[source.column].is_moment

    def _of_the_table(self, connection: Connection) -> Iterator[Index]:
        """The indexes of the one table that is read, where the result has all of their columns."""
        traced = {name: self._sources(connection, name) for name in self.select.columns}
        called = Names({found[0].column: name for name, found in traced.items() if found})
        for index in catalog.indexes(connection, self.select.tables[0]):
            if all(name in called for name in index.columns):
                names = tuple(called[name] for name in index.columns)
                yield Index(index.name, names, unique=index.unique, partial=index.partial)


def _renamed(sources: Sequence[Source], names: Sequence[str]) -> FromClause:
    """Columns of a table, under other names where they have some."""
    called = [each.column for each in sources]
    rows = statements.rows_of(sources[0].table, called)
    if called == list(names):
        return rows
    shown = (rows.c[one].label(name) for one, name in zip(called, names, strict=True))
    return select(*shown).subquery("followed")


class _Text(TextClause):
    """A SELECT as it is written, for MySQL and MariaDB; SQLite gets its own."""

    inherit_cache = True

    def __init__(self, source: str, sqlite: Callable[[], str]) -> None:
        super().__init__(source.replace(":", r"\:"))
        self.sqlite = sqlite


@compiles(_Text, "sqlite")
def _text_for_sqlite(element: _Text, compiler: SQLCompiler, **kw: Any) -> str:
    try:
        written = element.sqlite()
    except Exception as error:  # noqa: BLE001 - whatever the translator stumbles over
        raise CheckError(f"SQLite cannot say this SELECT: {error}", permanent=True) from None
    return str(compiler.process(text(written.replace(":", r"\:")), **kw))

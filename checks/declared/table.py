"""Facts of a table, as the configuration states them, and the checks that follow from them."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from checks.contract import Check
from checks.kinds.columns import Declaration, is_declared_not_null
from checks.kinds.row_count import RowBounds
from checks.kinds.tables import EngineName
from checks.registry import any_check
from checks.sql.catalog import nearest
from checks.sql.expression import Expression
from checks.sql.named_select import NamedSelect
from checks.sql.timestamps import Since, TimeColumn
from checks.types import (
    Columns,
    Identifier,
    PrimaryKey,
    Severity,
    Slug,
    check_name,
    identifier,
    key_columns,
)

_TEXT = ("char", "varchar", "text", "tinytext", "mediumtext", "longtext")


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _index_name(value: object) -> object:
    return value if value is None or value is False else identifier(value)


class Key(BaseModel):
    """Columns that no two rows share, and the unique index that should say so."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    columns: Columns
    index: Annotated[str | Literal[False] | None, BeforeValidator(_index_name)] = None
    """The name that the index should have; False where none is asked for."""
    nulls: Literal["equal", "distinct"] = "equal"
    when: Expression | None = None
    """The rows of which no two share the columns; all, unless stated."""
    duplicates: bool = True
    """Whether rows are looked at, too; else the index alone is the proof."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.index is False and not self.duplicates:
            raise ValueError("with index and duplicates both false nothing is asked of this key")
        return self


FILLED = {
    "primary_key": "primary_key",
    "cursor": "cursor",
    "written_at": "written_at",
    "changed_at": "changed_at",
    "entered_at": "written_at",
    "pending": "pending",
    "since": "since",
}
"""Fields of checks, each with the fact of the check's table that fills it in."""


class Rows(RowBounds):
    """How many rows there may be, and how bad it is when there are fewer or more."""

    severity: Severity = Severity.WARNING


class RowFacts(BaseModel):
    """What is true of the rows under a name, and what must be."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    database: Slug | None = None
    databases: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    """Patterns of the databases for which the facts are stated, in place of one."""
    primary_key: PrimaryKey | None = None
    cursor: TimeColumn | None = None
    """The growing column along which new rows are read."""
    written_at: TimeColumn | None = None
    """The column that says when a row was written."""
    changed_at: TimeColumn | None = None
    """The column that says when a row last changed."""
    pending: Expression | None = None
    """Rows for which it holds may still change: an incremental run never moves past them."""
    since: Since | None = None
    """Rows written before follow older rules."""
    keys: tuple[Key, ...] = ()
    non_negative: tuple[Identifier, ...] = ()
    rows: Rows = Rows()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.database and self.databases:
            raise ValueError("database and databases are both stated")
        if self.pending and not self.cursor:
            raise ValueError("pending needs cursor: only along it rows are left behind")
        if self.since and not self.written_at:
            raise ValueError("since needs written_at: it says which rows are older")
        return self

    @property
    def is_read(self) -> bool:
        """Whether rows are read under the name."""
        return True

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the primary key; none where it is not stated."""
        return () if self.primary_key is None else key_columns(self.primary_key)

    @property
    def is_counted(self) -> bool:
        """Whether the rows are counted, whatever else is asked of them."""
        return True

    @property
    def names(self) -> frozenset[str]:
        """Every column that these facts say exists."""
        single = (self.cursor, self.written_at, self.changed_at)
        keys = (
            column
            for key in self.keys
            for column in (*key.columns, *(key.when.columns if key.when else ()))
        )
        pending = self.pending.columns if self.pending else ()
        return frozenset(
            (*self.key_columns, *filter(None, single), *pending, *self.non_negative, *keys)
        )

    def checks(self, name: str, database: str, prefix: str | None = None) -> Iterator[Check]:
        """The checks that follow: `{name}.{kind}`, and the columns where there are several.

        With a prefix, that of names, their names begin with it.
        """
        before = f"{prefix}.{name}" if prefix else name
        for kind, columns, fields in self._declarations():
            called = check_name(*before.split("."), kind, *columns)
            common = {"name": called, "kind": kind, "database": database, "table": name}
            yield any_check.validate_python(common | fields)

    def _declarations(self) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
        row = {"primary_key": self.primary_key}
        for key in self.keys:
            yield from self._of_key(key, row)
        for column in self._filled_key_columns():
            yield "blank", (column,), row | {"column": column}
        if self.non_negative:
            yield "non_negative", (), row | {"columns": self.non_negative}
        if self.is_counted:
            yield "row_count", (), self.rows.model_dump()

    def _of_key(
        self, key: Key, row: dict[str, Any]
    ) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
        if key.duplicates:
            of_key = {"columns": key.columns, "nulls": key.nulls, **_condition(key)}
            yield "duplicates", key.columns, row | of_key

    def _filled_key_columns(self) -> list[str]:
        """Key columns that hold text and are never NULL, as far as these facts say."""
        return []


def _condition(key: Key) -> dict[str, Any]:
    return {"when": key.when.source} if key.when else {}


class RelationFacts(RowFacts):
    """A named SELECT, and what must be true of its result."""

    select: NamedSelect

    @model_validator(mode="after")
    def _is_complete_in_itself(self) -> Self:
        for name in sorted(self.names):
            if name not in self.select.columns:
                known = nearest(name, self.select.columns)
                raise ValueError(f"the SELECT gives no column {name}{known}")
        if indexed := next((key for key in self.keys if key.index), None):
            raise ValueError(f"a relation has no index, and so not {indexed.index}")
        return self

    @property
    def is_counted(self) -> bool:
        """Where bounds are stated: to count it is to work it out."""
        return "rows" in self.model_fields_set


class TableFacts(RowFacts):
    """What must be true of one table."""

    retired: bool = False
    view: bool | None = None
    """Whether it is a view, or a table; either will do, unless stated."""
    engine: EngineName | None = None
    """Its storage engine; any will do, unless stated."""
    when: Expression | None = None
    """Which rows count, for every check of the table and on either side of a comparison."""
    columns: Mapping[Identifier, Declaration] = {}
    retired_columns: tuple[Identifier, ...] = ()

    @model_validator(mode="after")
    def _retired_alone(self) -> Self:
        stated = self.model_fields_set - {"database", "databases", "retired"}
        if self.retired and stated:
            raise ValueError(f"a retired table has no other facts, but states {sorted(stated)}")
        return self

    @model_validator(mode="after")
    def _view_without_index(self) -> Self:
        if self.view and self.engine:
            raise ValueError(f"a view has no engine, and so not {self.engine}")
        if self.view and (indexed := next((key for key in self.keys if key.index), None)):
            raise ValueError(f"a view has no index, and so not {indexed.index}")
        return self

    @property
    def is_read(self) -> bool:
        """Whether it is in use."""
        return not self.retired

    @property
    def names(self) -> frozenset[str]:
        """Also those that are declared, and those that say which rows count."""
        return super().names | {*self.columns, *(self.when.columns if self.when else ())}

    def _declarations(self) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
        yield (
            "tables",
            (),
            {
                "retired": self.retired,
                "view": self.view,
                "engine": self.engine,
            },
        )
        if self.retired:
            return
        if self.columns or self.retired_columns:
            declared = {"columns": self.columns, "retired_columns": self.retired_columns}
            yield "columns", (), declared
        yield from super()._declarations()

    def _of_key(
        self, key: Key, row: dict[str, Any]
    ) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
        if key.index is not False and not self.view:
            of_key = {"columns": key.columns, "index": key.index, **_condition(key)}
            yield "unique_index", key.columns, of_key
        yield from super()._of_key(key, row)

    def _filled_key_columns(self) -> list[str]:
        """Key columns that hold text and are declared NOT NULL, each once."""
        names = dict.fromkeys(column for key in self.keys for column in key.columns)
        return [
            name
            for name in names
            if is_declared_not_null(self.columns.get(name, ""))
            and self.columns[name].lower().startswith(_TEXT)
        ]

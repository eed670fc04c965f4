"""`unique_index`: the database itself forbids two rows with the same key."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from checks.card import SCHEMA_DRIFT, Card, SchemaFacts, Section, Words
from checks.contract import EVERYTHING, Check, Finding, Result, Window
from checks.ports import Sources
from checks.snapshot import DatabaseCheck
from checks.sql import catalog
from checks.sql.expression import Expression
from checks.sql.inspection import Keys, in_catalog
from checks.sql.names import folded
from checks.types import Columns, Identifier


class UniqueIndex(DatabaseCheck):
    """Whether a unique index covers exactly these columns, in any order.

    A prefix index, an index on an expression and a unique index over more columns prove nothing
    about the key and do not count. Of a key that is unique among some rows an index proves it that
    covers expressions or generated columns, in which the columns of key and condition stand.
    """

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    card: ClassVar[Card] = Card(
        violation="a key without a unique index",
        title=Words(en="unique index", zh="唯一索引"),
        alert=SCHEMA_DRIFT,
        section=Section.INDEXES,
    )

    reads_rows: ClassVar[bool] = False
    kind: Literal["unique_index"] = "unique_index"
    columns: Columns
    index: Identifier | None = None
    """The name it is expected to have; another name is a note."""
    when: Expression | None = Field(default=None, repr=False)
    """The rows among which the key is unique; all, unless stated."""

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of the key, and of the condition."""
        names = (*self.columns, *(self.when.columns if self.when else ()))
        return {self.table: tuple(dict.fromkeys(names))}

    def schema_facts(self) -> SchemaFacts:
        """The key and its index."""
        return SchemaFacts(key=self.columns, indexed=True, index=self.index)

    def look(self, keys: Keys = ()) -> str | None:
        """The indexes of the table."""
        _ = keys
        shown = ("index_name", "non_unique", "seq_in_index", "column_name", "sub_part")
        return in_catalog("statistics", shown, self.table, order=("index_name", "seq_in_index"))

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Read every index of the table whole and look for one that proves the key."""
        with self.snapshot(sources) as snapshot:
            existing = catalog.indexes(snapshot.connection, self.table)
            described = snapshot.columns[self.table]
        proving = [index for index in existing if self._is_proven_by(index, described)]
        if proving:
            return Result(len(existing), 0, notes=self._notes(proving))
        key = ", ".join(self.columns)
        message = f"no unique index over exactly ({key}) of {self.table}"
        if self.when:
            message = f"no unique index over ({key}) of {self.table} among {self.when.source}"
        near = tuple(
            _shown(index, described) for index in existing if index.is_near(self.columns, described)
        )
        finding = Finding({"table": self.table, "columns": key}, message, {"near": near})
        return Result(len(existing), 1, (finding,))

    def _is_proven_by(self, index: catalog.Index, described: Mapping[str, catalog.Column]) -> bool:
        if index.proves_unique(self.columns):
            return True
        when = self.when
        return when is not None and index.proves_unique_among(self.columns, when.columns, described)

    def _notes(self, proving: list[catalog.Index]) -> tuple[str, ...]:
        names = [index.name for index in proving]
        notes = []
        if self.index and self.index.lower() not in folded(names):
            notes.append(f"the unique index is named {names[0]}, not {self.index}")
        if len(names) > 1:
            notes.append(f"redundant unique indexes: {', '.join(names)}")
        return tuple(notes)


def _shown(index: catalog.Index, described: Mapping[str, catalog.Column]) -> str:
    quality = "unique" if index.unique else "not unique"
    kind = ", partial" if index.partial else ""
    generated = [
        f"{n} is {described[n].generated}" for n in index.columns if _is_made(n, described)
    ]
    if index.expressions:
        kind = ", of an expression"
    return "; ".join((f"{index.name} ({', '.join(index.columns)}): {quality}{kind}", *generated))


def _is_made(name: str, described: Mapping[str, catalog.Column]) -> bool:
    return name in described and described[name].generated is not None

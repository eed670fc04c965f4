"""`tables`: a required table exists, a retired one does not."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from checks.card import SCHEMA_DRIFT, Card, SchemaFacts, Section, Words
from checks.contract import EVERYTHING, Finding, Result, Window
from checks.ports import Sources
from checks.snapshot import WITHOUT_SNAPSHOT, DatabaseCheck
from checks.sql import catalog
from checks.sql.inspection import Keys, in_catalog

EngineName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]

_BASE_TABLES = ("BASE TABLE", "SYSTEM VERSIONED")
_VIEWS = ("VIEW", "SYSTEM VIEW")


class Tables(DatabaseCheck):
    """Whether a table or view exists or, when it is retired, does not exist at all."""

    card: ClassVar[Card] = Card(
        violation="a table that is missing, or there although retired, or of another engine",
        title=Words(en="existence", zh="表存在性"),
        alert=SCHEMA_DRIFT,
        section=Section.TABLES,
    )

    reads_rows: ClassVar[bool] = False
    kind: Literal["tables"] = "tables"
    retired: bool = False
    view: bool | None = Field(default=None, repr=False)
    """Whether it is to be a view, or a table; either will do, unless stated."""
    engine: EngineName | None = Field(default=None, repr=False)
    """The storage engine that it is to have; any will do, unless stated. SQLite knows none."""

    def schema_facts(self) -> SchemaFacts:
        """Whether the table is to be gone."""
        return SchemaFacts(retired=self.retired)

    def look(self, keys: Keys = ()) -> str | None:
        """What the catalog says of the table."""
        _ = keys
        return in_catalog("tables", ("table_name", "table_type", "create_time"), self.table)

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Look the name up among all tables and views of the database."""
        with self.snapshot(sources) as snapshot:
            existing = catalog.objects(snapshot.connection, self.table)
            found = self._found(existing)
            is_read = found in _BASE_TABLES and not self.retired
            engine = catalog.engine(snapshot.connection, self.table) if is_read else None
        if message := self._complaint(found):
            if found is None:
                message += catalog.nearest(self.table, existing)
            return Result(1, 1, (Finding({"table": self.table}, message),))
        return self._of_engine(engine)

    def _found(self, existing: Mapping[str, str]) -> str | None:
        """What the name stands for."""
        if not self.retired:
            return existing.get(self.table)
        # On a server that tells case apart, the old table under another case is back, too.
        same = (type_ for name, type_ in existing.items() if _same(name, self.table))
        return next(same, None)

    def _of_engine(self, engine: str | None) -> Result:
        """Whether it is the one that is stated; one without snapshots is worth a note."""
        if engine and self.engine and not _same(engine, self.engine):
            message = f"{self.table} is of engine {engine}, not {self.engine}"
            evidence = {"engine": engine}
            return Result(1, 1, (Finding({"table": self.table}, message, evidence),))
        if catalog.keeps_snapshots(engine):
            return Result(examined=1, violations=0)
        note = f"{self.table} is of engine {engine}, {WITHOUT_SNAPSHOT}"
        return Result(examined=1, violations=0, notes=(note,))

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Nothing: whether the table is there is the question."""
        return {}

    def _complaint(self, found: str | None) -> str | None:
        if self.retired:
            return f"retired table {self.table} exists" if found else None
        if found is None:
            return f"table {self.table} does not exist"
        if found in _VIEWS:
            return f"{self.table} is no table but a view" if self.view is False else None
        if found not in _BASE_TABLES:
            return f"{self.table} is no table but a {found}"
        return f"{self.table} is no view but a table" if self.view else None


def _same(name: str, other: str) -> bool:
    return name.casefold() == other.casefold()

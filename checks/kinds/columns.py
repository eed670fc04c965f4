"""`columns`: declared columns have their type and nullability, retired ones are gone."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from checks.card import SCHEMA_DRIFT, Card, SchemaFacts, Section, Words
from checks.contract import EVERYTHING, Finding, Result, Window
from checks.ports import Sources
from checks.snapshot import DatabaseCheck
from checks.sql import catalog
from checks.sql.inspection import Keys, having, in_catalog
from checks.types import Identifier

_DECLARATION = re.compile(
    r"(?!(?:not\s+)?null$)"
    r"(?P<type>[a-z]+\s*(?:\((?:[^()']|'(?:[^']|'')*')*\))?(?:\s+unsigned)?(?:\s+zerofill)?)"
    r"(?:\s+(?P<null>not\s+null|null))?",
    re.IGNORECASE,
)


def _declaration(value: str) -> str:
    if not _DECLARATION.fullmatch(value.strip()):
        raise ValueError('a column is declared by its type: "varchar(100) not null"')
    return value.strip()


Declaration = Annotated[str, AfterValidator(_declaration)]
"""A column type as in CREATE TABLE, with `not null`, `null`, or nothing when either will do."""


def is_declared_not_null(declaration: str) -> bool:
    """Whether a column declaration demands NOT NULL."""
    return re.search(r"\bnot\s+null$", declaration, re.IGNORECASE) is not None


class Columns(DatabaseCheck):
    """Whether columns are as declared, and those under an old name no longer exist."""

    card: ClassVar[Card] = Card(
        violation="a column that is not as declared",
        title=Words(en="columns", zh="列定义"),
        alert=SCHEMA_DRIFT,
        section=Section.COLUMNS,
    )

    reads_rows: ClassVar[bool] = False
    kind: Literal["columns"] = "columns"
    columns: Mapping[Identifier, Declaration] = {}
    retired_columns: tuple[Identifier, ...] = ()

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """What is not compared."""
        undeclared = "whether a column may be NULL, where its declaration does not say"
        return ("character sets and collations", undeclared)

    def schema_facts(self) -> SchemaFacts:
        """The declarations, and what must be gone."""
        return SchemaFacts(columns=self.columns, retired_columns=self.retired_columns)

    def look(self, keys: Keys = ()) -> str | None:
        """What the catalog says of the columns."""
        names = [str(key["column"]) for key in having(keys, ("table", "column"))]
        wanted = [name for name in (*self.columns, *self.retired_columns) if name in names]
        among = {"column_name": wanted} if wanted else {}
        shown = ("column_name", "column_type", "is_nullable", "column_default", "collation_name")
        order = ("ordinal_position",)
        return in_catalog("columns", shown, self.table, order=order, among=among)

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Compare the declarations with the catalog, column by column."""
        with self.snapshot(sources) as snapshot:
            found = snapshot.columns[self.table]
            json_is_longtext = catalog.has_json_as_longtext(snapshot.connection)
        findings = [
            Finding(
                {"table": self.table, "column": name},
                f"{self.table}.{name} {complaint}",
                {"declared": declared, "found": _shown(found.get(name))},
            )
            for name, declared in self.columns.items()
            if (complaint := _complaint(name, declared, found, json_is_longtext=json_is_longtext))
        ]
        findings += [
            Finding(
                {"table": self.table, "column": name},
                f"{self.table}.{name} is a retired column and still exists",
            )
            for name in self.retired_columns
            if name in found
        ]
        examined = len(self.columns) + len(self.retired_columns)
        return Result(examined, len(findings), tuple(findings))


def _complaint(
    name: str, declared: str, existing: Mapping[str, catalog.Column], *, json_is_longtext: bool
) -> str | None:
    column = existing.get(name)
    if column is None:
        return f"does not exist{catalog.nearest(name, existing)}"
    match = _DECLARATION.fullmatch(declared)
    wanted, null = (match["type"], match["null"]) if match else (declared, None)
    if not catalog.same_type(wanted, column.type, json_is_longtext=json_is_longtext):
        return f"has another type than {wanted}"
    if null and column.nullable != (null.lower() == "null"):
        return "takes NULL" if column.nullable else "does not take NULL"
    return None


def _shown(column: catalog.Column | None) -> str | None:
    if column is None:
        return None
    return column.type if column.nullable else f"{column.type} not null"

"""What the database itself says of its tables, columns and indexes."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, text

from checks.contract import CheckError
from checks.sql import combined_rows
from checks.sql.names import Names, folded, same
from checks.types import split_name

T = TypeVar("T")

_MEMORY = "checks.sql.catalog"
"""What a connection's `info` keeps while a snapshot lasts."""

_INTEGER_WIDTH = re.compile(r"\b((?:tiny|small|medium|big)?int)(?:eger)?(?:\s*\(\d+\))?", re.ASCII)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_BETWEEN_BACKTICKS = re.compile(r"`((?:[^`]|``)+)`")
_LONG = 1000
_TEXT_TYPES = ("char", "varchar", "text", "tinytext", "mediumtext", "longtext", "enum", "set")
_INTEGER_TYPES = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint")
_NUMBER_TYPES = (
    *_INTEGER_TYPES,
    "decimal",
    "numeric",
    "float",
    "double",
    "real",
    "bit",
    "year",
)

_MYSQL_OBJECTS = """
    SELECT table_name AS name, table_type AS type
    FROM information_schema.tables WHERE table_schema = DATABASE()"""
_MYSQL_TYPE = """
    SELECT table_type FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = :table"""
_MYSQL_VIEW = """
    SELECT view_definition FROM information_schema.views
    WHERE table_schema = DATABASE() AND table_name = :table"""
_SQLITE_VIEW = """
    SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = :table COLLATE NOCASE"""
_SQLITE_TYPE = "SELECT UPPER(type) FROM sqlite_schema WHERE name = :table COLLATE NOCASE"
_MYSQL_STORAGE = """
    SELECT table_rows AS estimate, engine AS engine FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = :table"""
_WITH_SNAPSHOTS = frozenset(("innodb", "rocksdb", "tokudb"))
_MYSQL_COLUMNS = """
    SELECT column_name AS name, column_type AS type, is_nullable = 'YES' AS nullable,
           character_set_name AS charset, collation_name AS collation,
           column_default AS default_value, extra AS extra,
           generation_expression AS made_of
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = :table ORDER BY ordinal_position"""
_MYSQL_INDEXES = """
    SELECT index_name AS name, column_name AS column_name, non_unique = 0 AS is_unique,
           sub_part IS NOT NULL AS prefix, {expression} AS expression
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = :table ORDER BY index_name, seq_in_index"""
_MYSQL_PARTITIONS = """
    SELECT DISTINCT partition_expression AS expression, subpartition_expression AS further
    FROM information_schema.partitions
    WHERE table_schema = DATABASE() AND table_name = :table AND partition_name IS NOT NULL"""
_SQLITE_OBJECTS = """
    SELECT name, CASE type WHEN 'table' THEN 'BASE TABLE' ELSE 'VIEW' END AS type
    FROM sqlite_schema WHERE type IN ('table', 'view')"""
_SQLITE_COLUMNS = """
    SELECT name, type, "notnull" = 0 AS nullable, pk FROM pragma_table_info(:table) ORDER BY cid"""
_SQLITE_INDEXES = """
    SELECT CASE i.origin WHEN 'pk' THEN 'PRIMARY' ELSE i.name END AS name,
           c.name AS column_name, i."unique" AS is_unique, i.partial AS prefix,
           CASE WHEN i.partial OR c.name IS NULL THEN s.sql END AS expression
    FROM pragma_index_list(:table) AS i JOIN pragma_index_info(i.name) AS c
    LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = i.name
    ORDER BY i.name, c.seqno"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's type, as the database spells it, and whether it takes NULL."""

    type: str
    nullable: bool
    charset: str = "utf8mb4"
    """The character set of a text, utf8mb4 where the server has no other."""
    collation: str | None = None
    """By which a text is compared; None for what is no text, and on SQLite."""
    generated: str | None = None
    """The expression that a generated column is; None for others, and on SQLite."""
    default: str | None = field(default=None, compare=False)
    """The expression that fills it in, as the server spells it; None where there is none."""
    extra: str = field(default="", compare=False)
    """What else the server says of it: `auto_increment`."""

    @property
    def is_counted_up(self) -> bool:
        """Whether the server numbers the rows by it."""
        return "auto_increment" in self.extra.lower()

    @property
    def is_long(self) -> bool:
        """Whether a value may be so long that it is cut on the server before it is fetched."""
        name, _, rest = self.type.lower().partition("(")
        size = re.match(r"\d+", rest)
        return (
            "text" in name
            or "json" in name
            or "blob" in name
            or (
                size is not None
                and int(size[0]) > _LONG
                and not name.startswith(("decimal", "enum"))
            )
        )

    @property
    def longest(self) -> int | None:
        """The most characters that a CHAR or VARCHAR holds; None for other types."""
        size = re.match(r"(?:var)?char\((\d+)\)", self.type.lower())
        return int(size[1]) if size else None

    @property
    def members(self) -> tuple[str, ...] | None:
        """The values of an ENUM; None for other types."""
        if self._type_name != "enum":
            return None
        return tuple(each.replace("''", "'") for each in _QUOTED.findall(self.type))

    def may_be(self, value: str) -> bool:
        """Whether an ENUM may be so; `''` is what it is when something else was written."""
        ignores_case = (self.collation or "").endswith("_ci")
        known = (*(self.members or ()), "")
        folded = [each.casefold() if ignores_case else each for each in (value, *known)]
        return folded[0].rstrip(" ") in folded[1:]

    @property
    def is_text(self) -> bool:
        """Whether its values are character strings."""
        return self._type_name in _TEXT_TYPES

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self._type_name in _NUMBER_TYPES

    @property
    def is_binary(self) -> bool:
        """Whether its values are bytes, which a finding spells in hexadecimal."""
        return self._type_name in ("binary", "varbinary") or self._type_name.endswith("blob")

    @property
    def is_json(self) -> bool:
        """Whether its values are JSON to the server; to MariaDB they are texts."""
        return self._type_name == "json"

    @property
    def is_elusive(self) -> bool:
        """Whether a row is not always found again by a value that was read from it."""
        return self._type_name in ("float", "json")

    @property
    def is_integer(self) -> bool:
        """Whether its values are whole numbers of at most 64 bits."""
        return self._type_name in _INTEGER_TYPES

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, of whatever size."""
        return (
            self.is_integer
            or re.fullmatch(r"(decimal|numeric)(\(\d+(,\s*0)?\))?( unsigned)?", self.type.lower())
            is not None
        )

    @property
    def is_moment(self) -> bool:
        """Whether its values are dates with a time of day."""
        return self._type_name in ("datetime", "timestamp")

    @property
    def is_date(self) -> bool:
        """Whether its values are days, without a time of day."""
        return self._type_name == "date"

    @property
    def counts_exactly(self) -> bool:
        """Whether its values are numbers that tell a microsecond of today since 1970 apart."""
        exact = (*_INTEGER_TYPES, "decimal", "numeric", "double", "real")
        return self._type_name in exact

    @property
    def _type_name(self) -> str:
        return re.split(r"\W", self.type.lower(), maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Index:
    """An index, read whole."""

    name: str
    columns: tuple[str, ...]
    """In index order; an expression stands in parentheses."""
    unique: bool
    partial: bool
    """Whether it covers only a prefix of a column, an expression or some of the rows."""
    expressions: tuple[str, ...] = ()
    """Those that it covers; on SQLite the whole definition of such an index."""

    def proves_unique(self, columns: Iterable[str]) -> bool:
        """Whether it forbids two rows to share exactly these columns, in any order."""
        return self.unique and not self.partial and folded(self.columns) == folded(columns)

    def beyond(self, columns: Iterable[str]) -> set[str]:
        """The further columns within which no two rows may share these; none if they may."""
        asked = folded(columns)
        widens = self.unique and not self.partial and asked < folded(self.columns)
        return {each for each in self.columns if each.lower() not in asked} if widens else set()

    def proves_unique_among(
        self, columns: Iterable[str], when: Iterable[str], described: Mapping[str, Column]
    ) -> bool:
        """Whether it may be the one that forbids two rows of some to share these columns.

        These rows are those for which a condition over the columns `when` holds. The index is
        unique, covers nothing but the key, expressions and generated columns, and these name the
        columns of key and condition: what they come to is not examined.
        """
        plain, texts = self._parts(described)
        named = (*columns, *when)
        return (
            self.unique
            and bool(texts)
            and plain <= folded(columns)
            and all(name.lower() in plain or mentions(texts, name) for name in named)
        )

    def is_near(self, columns: Iterable[str], described: Mapping[str, Column]) -> bool:
        """Whether it covers one of these columns, as it is or in an expression."""
        plain, texts = self._parts(described)
        return any(name.lower() in plain or mentions(texts, name) for name in columns)

    def _parts(self, described: Mapping[str, Column]) -> tuple[set[str], list[str]]:
        """The columns that are no generated ones, as they are compared, and all expressions."""
        found = {name: described[name].generated for name in self.columns if name in described}
        texts = [*self.expressions, *filter(None, found.values())]
        return folded(name for name, generated in found.items() if not generated), texts


def mentions(expressions: Iterable[str], column: str) -> bool:
    """Whether one of some expressions of the catalog names a column."""
    name = re.compile(rf"(?<![\w$]){re.escape(column)}(?![\w$])", re.IGNORECASE)
    return any(name.search(each) for each in expressions)


def same_type(one: str, other: str, *, json_is_longtext: bool = False) -> bool:
    """Whether two type texts mean the same column type.

    Letter case, spaces and the display width of integers carry no meaning (MySQL 8.0.19 dropped
    the latter, MariaDB prints it). Where `json_is_longtext`, these two are one type.
    """
    texts = {_canonical(one), _canonical(other)}
    return len(texts) == 1 or (json_is_longtext and texts == {"json", "longtext"})


BYTES = "bytes"
"""The rule by which texts are the same that are written alike, byte for byte in UTF-8."""


def unlike(one: Column, other: Column, stated: str | None = None) -> str | None:
    """Why two columns cannot be compared as keys, or None when they can.

    Any numbers can. A text, or bytes, against a number cannot: `'7a' = 7` is true. Nor can texts of
    different collations, unless it is `stated` how or the one's are the other's: the server
    refuses, or takes one of the two.
    """
    if any(a.is_number and (b.is_text or b.is_binary) for a, b in ((one, other), (other, one))):
        return f"{one.type} against {other.type}"
    if _differ(one, other) and agreed(one, other, stated) is None:
        return f"{one.collation} against {other.collation}"
    return None


def agreed(one: Column, other: Column, stated: str | None = None) -> str | None:
    """The rules under which two texts are compared, where they are not compared as they are.

    Those that are stated, else those of the one into which the other is converted without loss:
    ASCII into Unicode, utf8mb3 into utf8mb4 of the same rules. None also where there are none.
    """
    if not (one.is_text and other.is_text):
        return None
    if stated or not _differ(one, other):
        return stated
    rules = {_as_utf8mb4(each) for each in (one, other) if each.charset != "ascii"}
    return rules.pop() if len(rules) == 1 else None


def _differ(one: Column, other: Column) -> bool:
    return bool(one.collation and other.collation and one.collation != other.collation)


def _as_utf8mb4(column: Column) -> str | None:
    """The collation of utf8mb4 with the rules of a column of Unicode."""
    prefix, _, rules = (column.collation or "").partition("_")
    return f"utf8mb4_{rules}" if prefix in ("utf8mb4", "utf8mb3", "utf8") else None


def has_json_as_longtext(connection: Connection) -> bool:
    """Whether JSON is an alias of LONGTEXT: on MariaDB."""
    return bool(getattr(connection.dialect, "is_mariadb", False))


def _canonical(type_text: str) -> str:
    pieces = re.split(r"('(?:[^']|'')*')", type_text)
    pieces[::2] = (_plain(piece) for piece in pieces[::2])  # the others are quoted values
    return "".join(pieces).strip()


def _plain(piece: str) -> str:
    single_spaced = re.sub(r"\s+", " ", piece.lower())
    return re.sub(r"\s*([(),])\s*", r"\1", _INTEGER_WIDTH.sub(r"\1", single_spaced))


def objects(connection: Connection, beside: str = "") -> dict[str, str]:
    """Every table and view of the database, by name, with its type: `BASE TABLE`, `VIEW`, ….

    Those of the schema in which a table is, `beside`, are called as that is: `schema.table`. They
    are found by each spelling that the database takes for theirs.
    """
    schema, _ = split_name(beside)
    found = _ask(connection, _SQLITE_OBJECTS, _MYSQL_OBJECTS, beside)
    known = {f"{schema}.{row.name}" if schema else row.name: row.type for row in found}
    return Names(known) if folds_tables(connection) else known


def folds_tables(connection: Connection) -> bool:
    """Whether names of tables that differ in letter case only are one (lower_case_table_names)."""
    # SQLAlchemy asks a server for it as it first connects: it cannot change while that runs.
    return _is_sqlite(connection) or bool(getattr(connection.dialect, "_casing", 0))


def _ask(connection: Connection, of_sqlite: str, of_mysql: str, table: str) -> Sequence[Row[Any]]:
    """What the catalog answers of a table, in its schema."""
    if _is_sqlite(connection):  # a file is one schema
        asked = text(of_sqlite)
        return connection.execute(asked, {"table": table} if ":table" in of_sqlite else {}).all()
    schema, own = split_name(table)
    asked = text(of_mysql.replace("DATABASE()", ":schema") if schema else of_mysql)
    given = {"table": own, "schema": schema}
    return connection.execute(
        asked, {n: v for n, v in given.items() if f":{n}" in str(asked)}
    ).all()


def is_view(connection: Connection, name: str) -> bool:
    """Whether a name is that of a view, whose rows have no index of their own."""
    if indexes(connection, name):
        return False
    found = once(
        connection, "type", name, lambda: _ask(connection, _SQLITE_TYPE, _MYSQL_TYPE, name)
    )
    return any(str(kind).endswith("VIEW") for (kind,) in found)


def estimated_rows(connection: Connection, table: str) -> int | None:
    """Roughly the rows of a table, at no cost; None where no such figure is kept."""
    return once(connection, "estimate", table, lambda: _estimated_rows(connection, table))


def _estimated_rows(connection: Connection, table: str) -> int | None:
    estimate, _ = _storage(connection, table)
    return estimate


def engine(connection: Connection, table: str) -> str | None:
    """The storage engine of a table; None for a view, and on SQLite, which has but one."""
    _, found = _storage(connection, table)
    return found


def keeps_snapshots(engine: str | None) -> bool:
    """Whether reads of one transaction see one moment of a table of this engine."""
    return engine is None or engine.lower() in _WITH_SNAPSHOTS


def _storage(connection: Connection, table: str) -> tuple[int | None, str | None]:
    return once(connection, "storage", table, lambda: _asked_storage(connection, table))


def _asked_storage(connection: Connection, table: str) -> tuple[int | None, str | None]:
    if _is_sqlite(connection):
        return None, None
    found = [tuple(row) for row in _ask(connection, "", _MYSQL_STORAGE, table)]
    estimate, kept_by = found[0] if found else (None, None)
    return estimate if estimate is None else int(estimate), kept_by


def remember(connection: Connection) -> None:
    """Ask the database once for its time, and for the columns and indexes of each table.

    To be called as each snapshot begins: a table that is altered within one ends it with an error,
    and what an earlier snapshot learnt is forgotten.
    """
    connection.info[_MEMORY] = {}


def once(connection: Connection, what: str, table: str, ask: Callable[[], T]) -> T:
    """What was answered to the same question in this snapshot, or else is now."""
    memory: dict[tuple[str, str], Any] = connection.info.get(_MEMORY, {})
    if (what, table) not in memory:
        memory[what, table] = ask()
    found: T = memory[what, table]
    return found


def note(
    connection: Connection,
    name: str,
    columns: dict[str, Column],
    indexes: list[Index],
    estimate: int | None,
    *,
    unfollowed: str | None = None,
) -> None:
    """Answer so in this snapshot for what has a name and is no table of the database.

    `unfollowed` says why new rows of it cannot be read along any column.
    """
    memory = connection.info.setdefault(_MEMORY, {})
    known = {
        "columns": Names(columns),
        "indexes": indexes,
        "estimate": estimate,
        "unfollowed": unfollowed,
    }
    memory.update({(what, name): answer for what, answer in known.items()})


def unfollowed(connection: Connection, name: str) -> str | None:
    """Why new rows under a name cannot be read along any column; None where they may be."""
    return once(connection, "unfollowed", name, lambda: _unfollowed(connection, name, ()))


def _unfollowed(connection: Connection, name: str, within: tuple[str, ...]) -> str | None:
    """The same of a view, and of the views that it reads.

    None where the account may not see how it is defined: that takes the privilege SHOW VIEW.
    """
    if name in within or not is_view(connection, name):
        return None
    found = _ask(connection, _SQLITE_VIEW, _MYSQL_VIEW, name)
    text = next((_as_text(each) for (each,) in found if each), "")
    dialect = "sqlite" if _is_sqlite(connection) else "mysql"
    combines, tables = combined_rows.of_view(text, dialect) if text else (False, ())
    if combines:
        return MADE_OF_SEVERAL
    inner = (_unfollowed(connection, each, (*within, name)) for each in tables)
    return next(filter(None, inner), None)


MADE_OF_SEVERAL = "a row is made of several rows, and changes with one that comes later"
"""Why rows of groups and windows are not followed."""


def columns(connection: Connection, table: str) -> dict[str, Column]:
    """The columns of a table in order; empty when it does not exist or may not be seen.

    They are found by each spelling, as the databases find them.
    """
    return Names(once(connection, "columns", table, lambda: _columns(connection, table)))


def _columns(connection: Connection, table: str) -> dict[str, Column]:
    if not _is_sqlite(connection):
        found = _ask(connection, _SQLITE_COLUMNS, _MYSQL_COLUMNS, table)
        return {
            row.name: Column(
                _as_text(row.type),
                bool(row.nullable),
                row.charset or "utf8mb4",
                row.collation,
                _as_text(row.made_of) if row.made_of else None,
                None if row.default_value is None else _as_text(row.default_value),
                _as_text(row.extra or ""),
            )
            for row in found
        }
    found = _ask(connection, _SQLITE_COLUMNS, "", table)
    return {row.name: Column(row.type, bool(row.nullable and not row.pk)) for row in found}


def partition_columns(connection: Connection, table: str) -> set[str]:
    """The columns that a table is partitioned by, which each of its unique indexes must have."""
    if _is_sqlite(connection):
        return set()
    found = _ask(connection, "", _MYSQL_PARTITIONS, table)
    written = " ".join(_as_text(each) for row in found for each in row if each)
    return {name.replace("``", "`") for name in _BETWEEN_BACKTICKS.findall(written)}


def indexes(connection: Connection, table: str) -> list[Index]:
    """The indexes of a table, the primary key as `PRIMARY` among them."""
    return [*once(connection, "indexes", table, lambda: _indexes(connection, table))]


@dataclass(frozen=True, slots=True)
class _Part:
    """A column of an index, or an expression."""

    column: str | None
    unique: bool = True
    partial: bool = False
    expression: str | None = None

    @property
    def shown(self) -> str:
        if self.column is not None:
            return self.column
        text = self.expression or "expression"
        return text if text.startswith("(") and text.endswith(")") else f"({text})"


def _indexes(connection: Connection, table: str) -> list[Index]:
    parts: dict[str, list[_Part]] = {}
    for row in _ask(connection, _SQLITE_INDEXES, _index_statement(connection), table):
        expression = _as_text(row.expression) if row.expression else None
        part = _Part(row.column_name, bool(row.is_unique), bool(row.prefix), expression)
        parts.setdefault(row.name, []).append(part)
    if _is_sqlite(connection) and "PRIMARY" not in parts:
        found = connection.execute(text(_SQLITE_COLUMNS), {"table": table})
        # An INTEGER PRIMARY KEY is the row id itself: SQLite lists no index for it.
        parts["PRIMARY"] = [_Part(row.name) for row in found if row.pk]
    return [_index(name, columns) for name, columns in parts.items() if columns]


def _index_statement(connection: Connection) -> str:
    # MariaDB has generated columns and no indexes on expressions, nor the column that tells them.
    is_mariadb = getattr(connection.dialect, "is_mariadb", False)
    return _MYSQL_INDEXES.format(expression="NULL" if is_mariadb else "expression")


def _index(name: str, parts: Sequence[_Part]) -> Index:
    return Index(
        name=name,
        columns=tuple(part.shown for part in parts),
        unique=all(part.unique for part in parts),
        partial=any(part.partial or part.column is None for part in parts),
        expressions=tuple(dict.fromkeys(part.expression for part in parts if part.expression)),
    )


def require(connection: Connection, table: str, names: Iterable[str]) -> dict[str, Column]:
    """The columns of a table that a check cannot do without.

    Raises a permanent CheckError that names what is missing and the nearest existing name.
    """
    found = columns(connection, table)
    if not found:
        suggestion = nearest(table, objects(connection, table))
        raise CheckError(
            f"table {table} does not exist, or this account may not see it{suggestion}",
            permanent=True,
        )
    for name in names:
        if name not in found:
            raise CheckError(
                f"table {table} has no column {name}{nearest(name, found)}", permanent=True
            )
    return found


def spelled(connection: Connection, table: str, name: str) -> str | None:
    """A column as the catalog spells it: to a server letter case is all one; None if none is."""
    return next((each for each in columns(connection, table) if same(each, name)), None)


def nearest(name: str, existing: Iterable[str]) -> str:
    """A suggestion to append to an error: `; the nearest existing name is X`, or nothing."""
    names = [each for each in existing if each != name]
    best = (
        [each for each in names if same(each, name)]
        or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        or [each for each in names if name in each or each in name]
    )
    return f"; the nearest existing name is {best[0]}" if best else ""


def _as_text(value: object) -> str:
    # MySQL 8 returns column_type as mediumtext; some connectors hand it over as bytes.
    return value.decode() if isinstance(value, bytes) else str(value)


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"

"""A SELECT of the configuration: read, held against what is allowed, and run as it was written.

What is allowed: SELECT with JOIN, WHERE, GROUP BY, HAVING, UNION, sub-queries and window functions
over tables, and functions that compute from their arguments alone. What writes, locks, waits, reads
files, sets or reads variables, or hides in a comment is refused, so that a configuration cannot
make the worker do it.

The text is not rewritten: a server gets it as it stands, but for the names of tables that stand
for other rows (`reading`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from checks.lazy_import import Later
from checks.sql import combined_rows
from checks.types import split_name

if TYPE_CHECKING:
    import sqlglot
    from sqlglot import exp

    from checks.sql import allowed_sql
else:  # many configurations hold no SELECT
    sqlglot, exp = Later("sqlglot"), Later("sqlglot.expressions")
    allowed_sql = Later("checks.sql.allowed_sql")

LONGEST = 20_000
"""Characters of a SELECT."""

_EXAMPLE = "SELECT id, amount FROM orders WHERE amount > 0"


@dataclass(frozen=True, slots=True)
class Source:
    """A column of a table, from which a column of the result comes as it is."""

    table: str
    column: str
    may_be_absent: bool = False
    """Whether it is NULL where an outer join found no row of the table."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Where the text names a table."""

    table: str
    start: int
    end: int
    has_alias: bool


class NamedSelect:
    """A SELECT whose result is read like a table.

    Raises ValueError, saying what is wrong and where, when the text is not in the allowed part of
    SQL, or when the columns of its result have no names of their own.
    """

    def __init__(self, source: str) -> None:
        self.source = source.rstrip("; \t\r\n").lstrip()
        self._tree = _parsed(self.source)
        self.columns = tuple(_outputs(self._tree))
        """The columns of the result."""
        self._names = tuple(_table_names(self._tree))
        self.table_names = tuple(each.table for each in self._names)
        """The tables that it names, as often as it names them, `schema.table` where it says so."""
        self.tables = tuple(dict.fromkeys(self.table_names))
        """The same, each once."""

    def __repr__(self) -> str:
        return f"NamedSelect({self.source!r})"

    def reading(self, rows_of: Callable[[str], str | None]) -> str:
        """The text, with another SELECT in place of each table for which there is one."""
        edits: list[tuple[int, int, str]] = []
        for name in self._names:
            other = rows_of(name.table)
            if other is not None:
                alias = "" if name.has_alias else f" AS {_quoted(name.table)}"
                edits.append((name.start, name.end, f"({other}){alias}"))
                edits += [] if name.has_alias else self._called(name.table)
        text = self.source
        for start, end, new in sorted(set(edits), reverse=True):
            text = f"{text[:start]}{new}{text[end:]}"
        return text

    def _called(self, table: str) -> Iterator[tuple[int, int, str]]:
        """Where columns name a table of another schema, that from now on has a name of one part."""
        schema, own = split_name(table)
        if schema is None:
            return
        others = {
            each.alias_or_name for each in self._tree.find_all(exp.Table) if each.db != schema
        }
        for column in self._tree.find_all(exp.Column):
            first = column.args.get("db") or column.args.get("table")
            named = column.db == schema or (not column.db and own not in others)
            if first is not None and column.table == own and named:
                place = first.meta["start"], column.args["table"].meta["end"] + 1
                yield *place, _quoted(table)

    @property
    def branches(self) -> int:
        """How many SELECTs it unites."""
        return len(_selects(self._tree))

    @property
    def is_joined(self) -> bool:
        """Whether more than one table is read, so that a row of one may come several times."""
        return self.branches > 1 or any(each.args.get("joins") for each in _selects(self._tree))

    @property
    def is_worked_out(self) -> bool:
        """Whether rows of it are no rows of tables: of groups, of a UNION, of a window."""
        return self.branches > 1 or self.combines_rows

    @property
    def combines_rows(self) -> bool:
        """Whether a row of it depends on several rows of a table: of a group or a window."""
        return combined_rows.combines_rows(self._tree)

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The columns of the result by which it groups, and which therefore name one row.

        None where it does not group, or by what is no column of the result.
        """
        selects = _selects(self._tree)
        group = selects[0].args.get("group") if len(selects) == 1 else None
        if group is None:
            return None
        named = {each.unalias().sql(): each.alias_or_name for each in selects[0].expressions}
        found = [named.get(each.sql()) for each in group.expressions]
        return tuple(each for each in found if each) if all(found) else None

    @property
    def named_columns(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that it names, by the table whose they are; "" where that is not said."""
        tables: dict[str, str | None] = {"": ""}
        for part in self._tree.find_all(exp.Select):
            tables |= _tables(part)
        found: dict[str, dict[str, None]] = {}
        for each in self._tree.find_all(exp.Column):
            table = tables.get(_qualifier(each))
            if table is not None and not each.is_star:
                found.setdefault(table, {})[each.name] = None
        return {table: tuple(names) for table, names in found.items()}

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names that it gives to columns of its own and of its sub-queries."""
        inner = [p for p in self._tree.find_all(exp.Select) if p not in _selects(self._tree)]
        plain = (c.name for part in inner for c in part.expressions if isinstance(c, exp.Column))
        given = (each.alias_or_name for each in self._tree.find_all(exp.Alias, exp.JSONColumnDef))
        return tuple(dict.fromkeys((*given, *plain)))

    def sources(self, column: str) -> tuple[Source, ...]:
        """The column of a table from which a column of the result comes, for each united SELECT.

        Nothing where it is worked out, or where the text does not say of which table it is.
        """
        found = [_source(select, self.columns.index(column)) for select in _selects(self._tree)]
        return tuple(each for each in found if each) if all(found) else ()

    def for_sqlite(self, text: str) -> str:
        """The same SELECT, as SQLite writes it."""
        return sqlglot.parse_one(text, read="mysql").sql(dialect="sqlite", comments=False)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


_MISSING = re.compile(r"Required keyword: '\w+' missing")
_INTERNAL = re.compile(r" for <class '[^']*'>| but got <Token .*", re.DOTALL)


def _parsed(text: str) -> "exp.Query":
    if len(text) > LONGEST:
        raise ValueError(f"has {len(text)} characters, at most {LONGEST} are read")
    try:
        allowed_sql.refuse_words(text)
        found = [each for each in sqlglot.parse(text, read="mysql") if each is not None]
    except sqlglot.errors.ParseError as error:
        details = error.errors[0] if error.errors else {}
        what = _INTERNAL.sub("", details.get("description", "cannot be read"))
        what = _MISSING.sub(r"something is missing", what)
        line = details.get("line", 1)
        near = details.get("highlight", "")
        raise ValueError(f"not a SELECT: {what} (line {line}, at {near!r})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except sqlglot.errors.SqlglotError as error:
        raise ValueError(f"not a SELECT: {error}") from None
    except (AttributeError, IndexError, KeyError, TypeError):  # the parser stumbled
        raise ValueError("not a SELECT: cannot be read") from None
    if len(found) != 1:
        raise ValueError(f"one SELECT is read, not {len(found)} statements")
    tree = found[0]
    allowed_sql.refuse(tree)
    if not isinstance(tree, exp.Select | exp.Union):
        raise ValueError(f"not a SELECT such as {_EXAMPLE}")  # noqa: TRY004 - what pydantic catches
    return tree


def _selects(tree: "exp.Expr") -> list["exp.Select"]:
    """The SELECTs that are united, or the one."""
    found: list[exp.Select] = []
    left = [tree]
    while left:
        each = left.pop().unnest()
        if isinstance(each, exp.Union):
            left += [each.args["expression"], each.this]
        elif isinstance(each, exp.Select):
            found.append(each)
    return found


def _outputs(tree: "exp.Expr") -> Iterator[str]:
    selects = _selects(tree)
    seen: set[str] = set()
    for each in selects[0].expressions:
        if each.is_star:
            raise ValueError("name the columns: a table that gains one must not change the rule")
        name = each.alias or (each.name if isinstance(each, exp.Column) else "")
        if not name:
            shown = allowed_sql.shortened(each)
            raise ValueError(f"a column of the result has no name: {shown} AS …")
        if name.casefold() in seen:
            raise ValueError(f"two columns of the result are named {name}")
        seen.add(name.casefold())
        yield name
    for each in selects[1:]:
        if len(each.expressions) != len(selects[0].expressions):
            raise ValueError("the SELECTs of a UNION have unlike numbers of columns")


def _table_names(tree: "exp.Expr") -> Iterator[_Name]:
    for each in tree.find_all(exp.Table):
        if not isinstance(each.this, exp.Identifier):
            continue  # JSON_TABLE
        schema = each.args.get("db")
        first = schema if schema is not None else each.this
        place = (first.meta["start"], each.this.meta["end"] + 1)
        yield _Name(f"{schema.name}.{each.name}" if schema else each.name, *place, bool(each.alias))


def _source(select: "exp.Select", place: int) -> Source | None:
    column = select.expressions[place].unalias()
    tables = _tables(select)
    if not isinstance(column, exp.Column):
        return None
    name = _qualifier(column)
    if not name and tables and not select.args.get("joins"):  # the only one that is read
        name = next(iter(tables))
    table = tables.get(name)
    if not table:
        return None
    return Source(table, column.name, may_be_absent=_may_be_absent(select, column.table or name))


def _may_be_absent(select: "exp.Select", name: str) -> bool:
    """Whether the rows of a table come by an outer join."""
    joins = select.args.get("joins") or ()
    return any(
        each.side in ("RIGHT", "FULL") or (each.side == "LEFT" and each.this.alias_or_name == name)
        for each in joins
    )


def _tables(select: "exp.Select") -> Mapping[str, str | None]:
    """What FROM and JOIN read, by the names that columns have before them.

    None for a sub-query, and for what is not to be told apart.
    """
    parts = [select.args.get("from_"), *(select.args.get("joins") or ())]
    found: dict[str, str | None] = {}
    for each in (part.this for part in parts if part is not None):
        is_table = isinstance(each, exp.Table) and isinstance(each.this, exp.Identifier)
        full = f"{each.db}.{each.name}" if is_table and each.db else each.name
        name = each.alias_or_name
        found[name] = full if is_table and name not in found else None
        if is_table and each.db and not each.alias:
            found[full] = full
    return found


def _qualifier(column: "exp.Column") -> str:
    """What stands before a column's name."""
    return f"{column.db}.{column.table}" if column.db else column.table

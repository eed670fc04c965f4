"""What `EXPLAIN` answers, in words: which tables are read in full, which by an index."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

MYSQL = "EXPLAIN FORMAT=TRADITIONAL "
SQLITE = "EXPLAIN QUERY PLAN "

_ALIAS = re.compile(r"(?:\b(?:FROM|JOIN)\b|[(,])\s*\(*[`\"]?([\w$]+)[`\"]?\s+AS\s+[`\"]?([\w$]+)")
_INNER = re.compile(r"<(?:derived|subquery)(\d+)>")

_LOOKUPS = {
    "system": "has one row",
    "const": "one row by index {key}",
    "eq_ref": "one row by index {key} for each row before it",
    "unique_subquery": "one row by index {key} for each row outside",
    "index_subquery": "by index {key} for each row outside",
    "ref": "by index {key}, {rows}{each}",
    "ref_or_null": "by index {key}, {rows}{each}, and those with NULL",
    "fulltext": "by full-text index {key}",
    "range": "a range of index {key}, {rows}",
    "index_merge": "several indexes ({key}), {rows}",
    "index": "index scan of {key}, {rows}",
    "ALL": "FULL TABLE SCAN, {rows}",
}
"""By the type of an access, after the name of its table."""

_REMARKS = {
    "Using filesort": "sorted",
    "Using temporary": "in a temporary table",
    "Using index for group-by": "one entry of each group",
    "Using join buffer": "joined without an index",
}
_WITHOUT_TABLE = {
    "Select tables optimized away": "answered from the end of an index or from what is known of"
    " the table, without reading its rows",
    "Impossible WHERE": "no row can meet the condition",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One access to a table."""

    words: str
    table: str | None = None
    """None for what is no table of the schema: the result of an inner statement."""
    scanned_rows: int | None = None
    """The rows or entries that are read where that is all there are; None where it is not."""


def steps_of_mysql(statement: str, rows: Iterable[Row]) -> list[Step]:
    """The accesses that `EXPLAIN FORMAT=TRADITIONAL` lists, in its order."""
    names = {alias: table for table, alias in _ALIAS.findall(statement)}
    return [step for row in rows if (step := _step(_plain(row), names))]


def rows_joined(rows: Iterable[Row]) -> int | None:
    """How many rows the joins of a statement read in all, if no condition left any out.

    None where nothing is joined, and of SQLite, which makes no estimate.
    """
    products: dict[object, list[int]] = {}
    for row in map(_plain, rows):
        if row.get("rows") is not None:
            one = products.setdefault(row["id"], [])
            one.append(max(int(row["rows"]), 1) * (one[-1] if one else 1))
    joined = [sum(each) for each in products.values() if len(each) > 1]
    return sum(joined) if joined else None


def _plain(row: Row) -> dict[str, Any]:
    """A row with its names in lower case: servers differ."""
    return {str(name).lower(): value for name, value in row.items()}


def _step(row: Row, names: Mapping[str, str]) -> Step | None:
    extra, table = str(row["extra"] or ""), row["table"]
    if table is None:
        known = (words for start, words in _WITHOUT_TABLE.items() if extra.startswith(start))
        return next((Step(words) for words in known), None)
    if str(table).startswith("<union"):
        return None
    inner = _INNER.match(str(table))
    called = f"the result of inner statement {inner[1]}" if inner else names.get(table, str(table))
    access = _access(row) if not inner or row["type"] != "ALL" else f"all {_rows(row)}"
    words = ", ".join((f"{called}: {access}", *_remarks(extra)))
    is_whole = str(row["type"]).removeprefix("hash_") in ("ALL", "index")
    scanned = int(row["rows"] or 0) if is_whole and not inner else None
    return Step(_place(row) + words, None if inner else called, scanned)


def _access(row: Row) -> str:
    kind = str(row["type"])
    rows = _rows(row)
    pattern = _LOOKUPS.get(kind.removeprefix("hash_").partition("|")[0], f"{kind}, {{rows}}")
    covering = " (covering)" if "Using index" in _extras(row) else ""
    each = "" if set(str(row["ref"]).split(",")) == {"const"} else " each time"
    return pattern.format(key=row["key"], rows=rows, each=each) + covering


def _place(row: Row) -> str:
    return "for each row outside: " if str(row["select_type"]).startswith("DEPENDENT") else ""


def _extras(row: Row) -> list[str]:
    return [each.strip() for each in re.split(r"[;,]", str(row["extra"] or ""))]


def _remarks(extra: str) -> Iterator[str]:
    return (words for start, words in _REMARKS.items() if start in extra)


def _rows(row: Row) -> str:
    number = int(row["rows"] or 0)
    return f"about {number:,} row{'' if number == 1 else 's'}"


_SQLITE = re.compile(
    r"(?P<how>SCAN|SEARCH) (?P<name>\S+)"
    r"(?: USING (?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?(?:INDEX|INTEGER) (?P<rest>.*))?"
)
_SORTING = "USE TEMP B-TREE FOR "
_INNER_OF_SQLITE = re.compile(r"(?:CO-ROUTINE|MATERIALIZE) (\S+)")
_STOPS_EARLY = re.compile(r"ORDER BY [^()]*LIMIT \S+(?: OFFSET \S+)?\s*$")


def steps_of_sqlite(statement: str, rows: Iterable[Row]) -> list[Step]:
    """The accesses that `EXPLAIN QUERY PLAN` lists; SQLite does not say how many rows."""
    names = {alias: table for table, alias in _ALIAS.findall(statement)}
    details = [str(row["detail"]) for row in rows]
    inner = {found[1] for each in details if (found := _INNER_OF_SQLITE.match(each))}
    stops_early = bool(_STOPS_EARLY.search(statement)) and "GROUP BY" not in statement
    steps = (_sqlite_step(each, names, stops_early=stops_early) for each in details)
    return [each for each in steps if each and each.table not in inner]


def _sqlite_step(detail: str, names: Mapping[str, str], *, stops_early: bool) -> Step | None:
    """One line of the answer; None for what only gives it its shape."""
    if detail.startswith(_SORTING):
        return Step(f"sorted for {detail.removeprefix(_SORTING)}")
    found = _SQLITE.match(detail)
    if found is None or found["name"] == "CONSTANT":
        return None
    table, index = names.get(found["name"], found["name"]), found["rest"]
    if found["how"] == "SEARCH":
        return Step(f"{table}: by index {index or ''}".rstrip(), table)
    if not index:
        return Step(f"{table}: FULL TABLE SCAN", table, 0)
    if stops_early:
        return Step(f"{table}: index scan of {index}, until there are enough", table)
    return Step(f"{table}: index scan of {index}", table, 0)

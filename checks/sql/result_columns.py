"""What the columns of a SELECT's result are, as the server itself says, without reading a row."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG
from sqlalchemy import Connection, FromClause, func, null, select

from checks.sql.catalog import Column
from checks.sql.exact import MOST_DIGITS

_BYTES = 63
"""The number of the character set of what is no text."""

_WIDEST = 4
"""Bytes of a character in the results of our sessions, which are in utf8mb4."""

_WHOLE = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
}
_PLAIN = {
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.TIME: "time",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.JSON: "json",
}
_SHORT = (FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.STRING)
_LONGEST_SHORT = 65_535
"""Bytes of a VARCHAR."""

_OF_SQLITE = {"integer": "bigint", "real": "double", "text": "text", "blob": "blob"}


def result_columns(
    connection: Connection, rows: FromClause, names: Iterable[str]
) -> dict[str, Column]:
    """The columns of these names, by name."""
    wanted = [rows.c[name] for name in names]
    if connection.dialect.name == "sqlite":
        statement = select(*(func.typeof(each).label(each.name) for each in wanted)).limit(1)
        row = connection.execute(statement).mappings().first()
        first: Mapping[str, Any] = dict(row) if row else {}
        return {
            each.name: Column(_OF_SQLITE.get(str(first.get(each.name)), ""), nullable=True)
            for each in wanted
        }
    result = connection.execute(select(*wanted).limit(0))
    fields = result.cursor._result.fields  # noqa: SLF001 - DB-API has no charset
    types = {field.name: _type(field) for field in fields}
    texts = [name for name, type_ in types.items() if type_.startswith(("varchar", "longtext"))]
    collations = _collations(connection, rows, texts)
    return {
        name: Column(type_, nullable=True, **collations.get(name, {}))
        for name, type_ in types.items()
    }


def _type(field: Any) -> str:
    unsigned = " unsigned" if field.flags & FLAG.UNSIGNED else ""
    code, known = field.type_code, _WHOLE | _PLAIN
    if code in known:
        return known[code] + (unsigned if code in _WHOLE else "")
    if code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        return f"decimal({_digits(field)},{field.scale}){unsigned}"
    if code == FIELD_TYPE.BIT:
        return f"bit({field.length})"
    is_short = code in _SHORT and field.length <= _LONGEST_SHORT
    if field.charsetnr == _BYTES:
        return f"varbinary({field.length})" if is_short else "longblob"
    return f"varchar({field.length // _WIDEST})" if is_short else "longtext"


def _digits(field: Any) -> int:
    """How many digits a DECIMAL has: its width without the point and the sign."""
    others = bool(field.scale) + (not field.flags & FLAG.UNSIGNED)
    return int(min(max(field.length - others, field.scale, 1), MOST_DIGITS))


def _collations(
    connection: Connection, rows: FromClause, names: list[str]
) -> dict[str, dict[str, str]]:
    """Character set and collation, asked of a NULL in the columns' place."""
    if not names:
        return {}
    no_row = select(*(rows.c[name] for name in names)).limit(0)
    one = no_row.union_all(select(*(null().label(name) for name in names))).subquery("one")
    asked = [func.charset(each) for each in one.c] + [func.collation(each) for each in one.c]
    found = connection.execute(select(*asked)).one()
    pairs = zip(found[: len(names)], found[len(names) :], strict=True)
    return {
        name: {"charset": str(charset), "collation": str(collation)}
        for name, (charset, collation) in zip(names, pairs, strict=True)
    }

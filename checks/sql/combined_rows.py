"""Whether a row of a SELECT is made of several rows, and so changes with one that comes later."""

from functools import cache
from typing import TYPE_CHECKING

from checks.lazy_import import Later

if TYPE_CHECKING:
    import sqlglot
    from sqlglot import exp
else:  # many configurations hold no SELECT
    sqlglot, exp = Later("sqlglot"), Later("sqlglot.expressions")

_PARTS = ("group", "distinct", "having")


def combines_rows(tree: "exp.Expr") -> bool:
    """Whether a row depends on several rows of a table: of a group or a window."""
    every = tree.find_all(exp.Select)
    found = any(each.args.get(part) for each in every for part in _PARTS)
    return found or bool(tree.find(exp.AggFunc, exp.Window))


@cache
def of_view(text: str, dialect: str) -> tuple[bool, tuple[str, ...]]:
    """Whether that is so of a view's definition, and what it reads: `schema.table` if it says so.

    Not so, and nothing, where it cannot be read.
    """
    try:
        tree = sqlglot.parse_one(text, read=dialect)
    except (sqlglot.errors.SqlglotError, RecursionError, AttributeError, IndexError, KeyError):
        return False, ()
    read = (each for part in tree.find_all(exp.Select) for each in part.find_all(exp.Table))
    names = (f"{each.db}.{each.name}" if each.db else each.name for each in read if each.name)
    return combines_rows(tree), tuple(dict.fromkeys(names))

"""A statement as a person reads and runs it: the one that the server gets, with its values in it.

Only for MySQL and MariaDB. Names stand in backticks.
"""

from typing import TYPE_CHECKING

from sqlalchemy import ClauseElement, CompoundSelect, Join, TableClause
from sqlalchemy.sql.selectable import AliasedReturnsRows
from sqlalchemy.sql.visitors import iterate

from checks.lazy_import import Later
from checks.sql.layout import laid_out

if TYPE_CHECKING:
    from checks.sql import dialect
else:  # a configuration without MySQL needs none of its dialect
    dialect = Later("checks.sql.dialect")

_SEVERAL = (AliasedReturnsRows, Join, CompoundSelect)
"""What a statement has in it that reads a table twice, or another statement."""


def render(statement: ClauseElement) -> str:
    """The text of a statement, laid out for reading. Raises SQLAlchemy's CompileError."""
    readable = dialect.Readable(paramstyle="named")
    parts = list(iterate(statement))
    tables = {each.fullname for each in parts if isinstance(each, TableClause)}
    readable.qualifies = len(tables) > 1 or any(isinstance(each, _SEVERAL) for each in parts)
    return laid_out(str(statement.compile(dialect=readable)))

"""The dialect of MySQL and MariaDB that writes a statement out whole, for reading."""

from typing import Any

from sqlalchemy.dialects.mysql.base import MySQLCompiler, MySQLDialect, MySQLIdentifierPreparer

from checks.sql.layout import literal


class _Compiler(MySQLCompiler):
    dialect: "Readable"

    def visit_column(self, column: Any, *args: Any, **kw: Any) -> str:
        options = kw if self.dialect.qualifies else kw | {"include_table": False}
        return super().visit_column(column, *args, **options)

    def visit_bindparam(self, bindparam: Any, *args: Any, **kw: Any) -> str:
        # Asked for in each place: what compiles `<=>` hands no request on.
        options = kw | {"literal_binds": True}
        return str(super().visit_bindparam(bindparam, *args, **options))  # type: ignore[no-untyped-call]

    def render_literal_value(self, value: Any, type_: Any) -> str:
        _ = type_
        return literal(value)


class _Preparer(MySQLIdentifierPreparer):
    def _requires_quotes(self, value: str) -> bool:
        # What is a reserved word differs between servers, and between their versions.
        _ = value
        return True


class Readable(MySQLDialect):
    """The dialect, with values in the statement and every name in backticks."""

    statement_compiler = _Compiler
    preparer = _Preparer
    supports_statement_cache = False
    qualifies = True
    """Whether columns are written with their table: in a statement with several."""

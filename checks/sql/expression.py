"""Conditions of the configuration: a small part of SQL, parsed, and built anew for each database.

What is allowed: columns, numbers, texts, TRUE, FALSE, NULL, comparisons, `<=>`, AND, OR, NOT,
IS, IN with a list, BETWEEN, LIKE, `+ - *`, COALESCE, `non_empty_array(column)`. Everything else,
a sub-query or SLEEP() for example, is refused, so that a configuration cannot make the worker
write, wait or read elsewhere.
"""

import re
from collections.abc import Callable, Iterator
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import ColumnElement, Connection, FromClause, false, func, literal

from checks.lazy_import import Later
from checks.sql import catalog

if TYPE_CHECKING:
    from sqlglot import exp

    from checks.sql import exact, syntax
else:  # many configurations hold no condition
    exp, syntax = Later("sqlglot.expressions"), Later("checks.sql.syntax")

Built = ColumnElement[Any]


class Expression:
    """A condition, or a value, over the columns of one table.

    Raises ValueError, saying what is wrong and where, when the text is not in the allowed part of
    SQL.
    """

    qualified: ClassVar[bool] = False
    """Whether a column may be one of another table: `accounts.user_id`."""

    _types: "syntax.Types | None" = None

    def __init__(self, source: str) -> None:
        self.source = source
        self._tree = syntax.parse(source)
        found = list(self._tree.find_all(exp.Column))
        if not self.qualified and (foreign := next((c for c in found if c.table), None)):
            raise ValueError(f"not allowed in a condition: {foreign.sql(dialect='mysql')}")
        self.columns = tuple(dict.fromkeys(syntax.name(column) for column in found))
        """The columns it names, each once."""
        names = {name: literal(None) for name in self.columns}
        syntax.build(self._tree, names.__getitem__)  # finds what is not allowed, at once

    @property
    def is_column(self) -> bool:
        """Whether it is a column and nothing else."""
        return isinstance(self._tree, exp.Column) and self.source in self.columns

    def may_be_long(self, column: Callable[[str], catalog.Column]) -> bool:
        """Whether its value may be a text of any length: that of a column which may hold such."""
        takes_over = isinstance(self._tree, exp.Column | exp.Coalesce)
        return takes_over and any(column(name).is_long for name in self.columns)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def typed(self, types: "syntax.Types | None") -> Self:
        """The same over columns of these types, wherever it is built without any."""
        found = copy(self)
        found._types = types  # noqa: SLF001 - our own
        return found

    def on(self, table: FromClause, types: "syntax.Types | None" = None) -> Built:
        """The condition on a table's columns; its value may be NULL.

        With the columns' types it is exact whatever these are, see `checks.sql.exact`. Raises
        CheckError where a database could not keep every digit.
        """
        return syntax.build(self._tree, table.c.__getitem__, types or self._types)

    def over(self, column: Callable[[str], Built], types: "syntax.Types | None" = None) -> Built:
        """The same, with each column looked up by its name, `table.column` if it is qualified."""
        return syntax.build(self._tree, column, types or self._types)

    def holds_for(self, table: FromClause, types: "syntax.Types | None" = None) -> Built:
        """Whether the condition is true; false where it is false or unknown, never NULL."""
        return func.coalesce(self.on(table, types), false())

    def complaints(self, connection: Connection, table: str) -> Iterator[str]:
        """What it compares an ENUM with, on rows of a table, that the ENUM never is."""
        for node in self._tree.find_all(exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.In):
            sides = [node.this, *node.expressions, *filter(None, (node.args.get("expression"),))]
            texts = [each.this for each in sides if each.is_string]
            for column in [each for each in sides if isinstance(each, exp.Column)]:
                found = catalog.columns(connection, syntax.table_of(column) or table).get(
                    column.name
                )
                if found is None or found.members is None:
                    continue
                for text in [each for each in texts if not found.may_be(each)]:
                    what = f"{syntax.name(column)} is {found.type}, never {text!r}"
                    yield f"{self.source!r}: {what}{catalog.nearest(text, found.members)}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    def size(self, types: "syntax.Types") -> "exact.Size | None":
        """The most digits of its value, if that is an exact number."""
        return syntax.size(self._tree, types)

    def unfit_amount(self, types: "syntax.Types") -> str | None:
        """Why its value is no exact number; None where it is one."""
        return syntax.unfit_amount(self._tree, types)

    def text_as_amount(self, types: "syntax.Types") -> str | None:
        """That its value is worked out of texts that may spell no number; None where it is not."""
        return syntax.text_as_amount(self._tree, types)


_NAME = re.compile(r"(?=.*[^\W\d]|.*\$)[\w$]+")


def is_column(source: str) -> bool:
    """Whether an amount is a column and nothing else."""
    return _NAME.fullmatch(source) is not None


@lru_cache(maxsize=1024)  # a configuration is read again and again
def amount(source: str) -> Expression:
    """An amount as an expression. Raises ValueError, see `Expression`."""
    return Expression(f"`{source}`" if is_column(source) else source)


def _amount(source: str) -> str:
    amount(source)
    return source


Amount = Annotated[str, AfterValidator(_amount)]
"""A column, or an expression over columns, whose value is an amount."""


class FarExpression(Expression):
    """An expression that may also name columns of joined tables: `accounts.user_id`."""

    qualified = True

    @property
    def is_qualified(self) -> bool:
        """Whether it does."""
        return any("." in name for name in self.columns)

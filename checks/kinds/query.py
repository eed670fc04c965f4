"""`query`: a SELECT of which every row is a violation."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from math import ceil, isfinite
from typing import Any, ClassVar, Literal, Self

from pydantic import PrivateAttr, model_validator
from sqlalchemy import Connection, RowMapping, Select, func, literal_column, select

from checks.card import Card, Words
from checks.contract import EVERYTHING, SAMPLE, Check, CheckError, Finding, Result, Scalar, Window
from checks.ports import Sources
from checks.relations import Selected
from checks.snapshot import DatabaseCheck, Snapshot
from checks.sql import catalog
from checks.sql.functions import shown
from checks.sql.inspection import MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.named_select import NamedSelect
from checks.sql.render import render
from checks.sql.statements import number_of
from checks.sql.values import scalar
from checks.types import Columns, Identifier

_PLACE = re.compile(r"\{(\w+|`(?:[^`]|``)+`)\}")
_NAME = "violations"
"""What the rows of the SELECT are called in statements."""


class Query(DatabaseCheck):
    """Whether a SELECT returns no row. Each row that it returns is a violation.

    Rows with the same key are one: the first stands for all of them.
    """

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    card: ClassVar[Card] = Card(
        violation="a row that the SELECT returns",
        title=Words(en="query", zh="自定义查询"),
    )

    kind: Literal["query"] = "query"
    select: NamedSelect
    key: Columns
    """The columns of the result that identify a violation."""
    message: str
    """What is wrong with a row; `{column}`, or the name in backticks, stands for its value."""
    magnitude: Identifier | None = None
    """The column of the result that says how wrong a row is."""
    _personal: tuple[str, ...] = PrivateAttr(default=("*",))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        named = {"key": self.key, "magnitude": (self.magnitude,) if self.magnitude else ()}
        named["message"] = tuple(map(_name, _PLACE.findall(self.message)))
        for field, names in named.items():
            if missing := next((each for each in names if each not in self.select.columns), None):
                near = catalog.nearest(missing, self.select.columns)
                raise ValueError(f"{field}: the SELECT has no column {missing}{near}")
        if twice := next((each for each in self.key if self.key.count(each) > 1), None):
            raise ValueError(f"key names {twice} twice")
        if "{" in (rest := _PLACE.sub("", self.message)) or "}" in rest:
            raise ValueError(
                "message: braces stand around the name of a column, in backticks if it is not a"
                " plain word ({`unit price`}), and nowhere else"
            )
        if not self.message.strip():
            raise ValueError("message is empty")
        return self

    def hiding(self, personal: Iterable[str]) -> Self:
        """The same check, in whose messages values of these columns stand behind their names.

        So whoever masks them finds them, however short they are.
        """
        copy = self.model_copy()
        copy._personal = tuple(personal)  # noqa: SLF001 - our own
        return copy

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The tables that the SELECT names. Which of their columns it reads it says itself."""
        return dict.fromkeys(self.select.tables, ())

    @property
    def rule(self) -> str | None:
        """The SELECT, which returns nothing."""
        return f"no row: {' '.join(self.select.source.split())}"

    def complaints(self, connection: Connection) -> Iterator[str]:
        """What the server says of the SELECT."""
        try:
            self._rows.verify(connection)
        except CheckError as error:
            yield f"select: {error}"
            return
        yield from super().complaints(connection)

    def look(self, keys: Keys = ()) -> str | None:
        """The rows of some findings, or of all."""
        return fitting(having(keys, self.key), lambda some: render(self._looked_at(some)))

    def statements(self, at: datetime, zone: tzinfo) -> Sequence[str]:
        """The statement that reads the violations."""
        _ = at, zone
        return [render(self._first({}))]

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Run the SELECT; read its first rows in the order of their keys, and count all."""
        with self.snapshot(sources) as snapshot:
            types = catalog.columns(snapshot.connection, _NAME)
            found = snapshot.connection.execute(self._first(types)).mappings().all()
            findings = self._findings(found[:SAMPLE])
            examined, violations = len(found), len(findings)
            if examined > SAMPLE:
                examined, violations = self._counted(snapshot)
        return Result(examined, violations, findings)

    @contextmanager
    def snapshot(self, sources: Sources, window: Window = EVERYTHING) -> Iterator[Snapshot]:
        """Open a snapshot in which the catalog knows the result."""
        with super().snapshot(sources, window) as snapshot:
            _described(self._rows, snapshot.connection)
            yield snapshot

    @property
    def _rows(self) -> Selected:
        return Selected(_NAME, self.select, self.relations)

    def _first(self, types: Mapping[str, catalog.Column]) -> Select[Any]:
        """The statement that reads the first rows; long values are cut where types are known."""
        rows = self._rows.rows(self.select.columns)
        values = (shown(each, types[name]) if types else each for name, each in rows.c.items())
        labelled = (v.label(n) for v, n in zip(values, rows.c.keys(), strict=True))
        return select(*labelled).order_by(*(rows.c[name] for name in self.key)).limit(SAMPLE + 1)

    def _counted(self, snapshot: Snapshot) -> tuple[int, int]:
        """All rows, and how many keys they have."""
        rows = self._rows.rows(self.key)
        by_key = number_of(rows).group_by(*rows.c).subquery("keys")
        statement = select(func.sum(by_key.c.number), func.count()).select_from(by_key)
        total, keys = snapshot.connection.execute(statement).one()
        return int(total), int(keys)

    def _looked_at(self, keys: Keys) -> Select[Any]:
        rows = self._rows.rows(self.select.columns)
        named = {name: rows.c[name] for name in self.key}
        statement: Select[Any] = select(literal_column("*")).select_from(rows)
        if keys:
            statement = statement.where(chosen(named, keys))
        return statement.order_by(*named.values()).limit(MOST_ROWS)

    def _findings(self, rows: Sequence[RowMapping]) -> tuple[Finding, ...]:
        findings: dict[tuple[Scalar, ...], Finding] = {}
        for row in rows:
            seen = {name: scalar(value) for name, value in row.items()}
            key = tuple(seen[name] for name in self.key)
            findings.setdefault(key, self._finding(seen, row))
        return tuple(findings.values())

    def _finding(self, seen: Mapping[str, Scalar], row: RowMapping) -> Finding:
        key = {name: seen[name] for name in self.key}
        evidence = {name: value for name, value in seen.items() if name not in key}
        size = _size(row[self.magnitude]) if self.magnitude else 1
        said = _PLACE.sub(lambda found: self._said(_name(found[1]), seen), self.message)
        return Finding(key, said, evidence, size)

    def _said(self, name: str, seen: Mapping[str, Scalar]) -> str:
        text = "NULL" if seen[name] is None else str(seen[name])
        is_personal = any(fnmatchcase(name.lower(), each) for each in self._personal)
        return f"{name} {text}" if is_personal else text


def _name(place: str) -> str:
    """The column that stands between braces, in backticks where it is no plain word."""
    return place[1:-1].replace("``", "`") if place.startswith("`") else place


def _described(rows: Selected, connection: Connection) -> None:
    """Note in the catalog what the columns of the result are.

    Raises CheckError, with the field, where a table is missing or the server refuses the SELECT.
    """
    try:
        rows.describe(connection)
    except CheckError as error:
        raise CheckError(f"select: {error}", permanent=error.permanent) from None


def _size(value: Any) -> int:
    """How wrong a row is by a value of it: 1 where that is no number."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return 1
    return max(1, ceil(abs(number))) if isfinite(number) else 1

"""`duplicates`: no two rows share a key."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    TableClause,
    and_,
    case,
    false,
    func,
    or_,
    select,
)

from checks import catalog
from checks.base import SAMPLE, Check, Evidence, Finding, Result, Scalar, Sources
from checks.sql import as_bytes, row_total, rows_of, scalar, without_index
from checks.types import Columns, Identifier, Severity

MOST_ROWS_OF_A_GROUP = 10
"""Row ids that a finding lists for one group; its row count is exact all the same."""


class Duplicates(Check):
    """Whether any two rows are equal in all key columns, under the columns' collations.

    Rows whose key columns are all NULL have no key and are left to `blank`. Otherwise NULL counts
    as a value equal to itself (SQL: NULLS NOT DISTINCT), unless `nulls = "distinct"`.
    """

    kind: Literal["duplicates"] = "duplicates"
    severity: Severity = Severity.CRITICAL
    columns: Columns
    primary_key: Identifier
    nulls: Literal["equal", "distinct"] = "equal"

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The key, and the primary key by which findings name rows."""
        return {self.table: (self.primary_key, *self.columns)}

    def run(self, sources: Sources) -> Result:
        """Group all rows by key; describe the groups with most rows by their row ids.

        A unique index is no proof: with `unique_checks=0` InnoDB takes duplicates under one.
        """
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, self.needs[self.table])
            texts = [name for name in self.columns if found[name].is_text]
            rows = rows_of(self.table, self.needs[self.table])
            worst = connection.execute(self._worst_groups(rows, texts)).mappings().all()
            findings = self._describe(connection, rows, texts, worst) if worst else ()
            examined = row_total(connection, self.table)
        total = worst[0] if worst else {}
        measures = {
            "groups": int(total.get("all_groups", 0)),
            "surplus_rows": int(total.get("all_surplus", 0)),
            "groups_spelled_differently": int(total.get("all_spelled", 0)),
        }
        return Result(examined, measures["groups"], findings, measures)

    def _worst_groups(self, rows: TableClause, texts: list[str]) -> Select[Any]:
        """The groups with most rows, each carrying the totals over all groups.

        The inner query sorts by nothing but the key, so that an index on it serves; only the
        groups that it lets through are sorted by size.
        """
        keys = [rows.c[name] for name in self.columns]
        ids = rows.c[self.primary_key]
        spelled = [func.min(as_bytes(rows.c[n])) != func.max(as_bytes(rows.c[n])) for n in texts]
        groups = (
            select(
                # A group's own spelling, the same at every run, not just one of several.
                *(self._one_of(rows, name, texts).label(f"key_{name}") for name in self.columns),
                func.count().label("size"),
                func.min(ids).label("first_id"),
                func.max(ids).label("last_id"),
                func.coalesce(or_(false(), *spelled), false()).label("spelled"),
            )
            .where(self._has_key(keys))
            .group_by(*keys)
            .having(func.count() > 1)
            .subquery()
        )
        return (
            select(
                groups,
                func.count().over().label("all_groups"),
                func.sum(groups.c.size - 1).over().label("all_surplus"),
                func.sum(case((groups.c.spelled, 1), else_=0)).over().label("all_spelled"),
            )
            .order_by(groups.c.size.desc(), groups.c.first_id)
            .limit(SAMPLE)
        )

    def _one_of(self, rows: TableClause, name: str, texts: list[str]) -> ColumnElement[Any]:
        value = rows.c[name]
        return func.min(as_bytes(value) if name in texts else value)

    def _has_key(self, keys: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        combine = or_ if self.nulls == "equal" else and_
        return combine(*(key.is_not(None) for key in keys))

    def _describe(
        self,
        connection: Connection,
        rows: TableClause,
        texts: list[str],
        worst: Sequence[RowMapping],
    ) -> tuple[Finding, ...]:
        members = self._members(connection, rows, texts, worst)
        return tuple(self._finding(group, members[number]) for number, group in enumerate(worst))

    def _members(
        self,
        connection: Connection,
        rows: TableClause,
        texts: list[str],
        worst: Sequence[RowMapping],
    ) -> list[list[RowMapping]]:
        """The rows of each group, as the database sees them: keys are never compared in Python."""
        matches = [
            and_(*(self._matches(rows, name, group, texts) for name in self.columns))
            for group in worst
        ]
        number = case(*((match, n) for n, match in enumerate(matches)))
        statement = (
            select(number.label("number"), *rows.c)
            .where(or_(*matches))
            .limit(SAMPLE * MOST_ROWS_OF_A_GROUP)
        )
        members: list[list[RowMapping]] = [[] for _ in worst]
        for row in connection.execute(statement).mappings():
            members[row["number"]].append(row)
        return members

    def _matches(
        self, rows: TableClause, name: str, group: RowMapping, texts: list[str]
    ) -> ColumnElement[bool]:
        value = group[f"key_{name}"]
        if value is None:
            return rows.c[name].is_(None)
        written = value.decode() if name in texts and isinstance(value, bytes) else value
        return without_index(rows.c[name]).is_not_distinct_from(written)

    def _finding(self, group: RowMapping, members: list[RowMapping]) -> Finding:
        key: dict[str, Scalar] = {name: scalar(group[f"key_{name}"]) for name in self.columns}
        listed = [scalar(row[self.primary_key]) for row in members]
        ends = scalar(group["first_id"]), scalar(group["last_id"])
        ids = tuple(dict.fromkeys((*ends, *listed)))[:MOST_ROWS_OF_A_GROUP]
        evidence: dict[str, Evidence] = {"rows": int(group["size"]), "row_ids": ids}
        message = f"{group['size']} rows of {self.table} share ({', '.join(self.columns)})"
        if group["spelled"]:
            spellings = dict.fromkeys(self._spelling(row) for row in members)
            evidence["spellings"] = tuple(spellings)
            message += "; spelled differently, equal under the collation"
        return Finding(key, message, evidence)

    def _spelling(self, row: RowMapping) -> str:
        return ", ".join(repr(scalar(row[name])) for name in self.columns)

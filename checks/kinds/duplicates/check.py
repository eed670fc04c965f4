"""`duplicates`: no two rows share a key."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    TableClause,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from checks.card import Alert, Card, Phrase, SchemaFacts, Section, Words
from checks.contract import (
    EVERYTHING,
    SAMPLE,
    Check,
    Evidence,
    Finding,
    Result,
    Scalar,
    Sources,
    Window,
)
from checks.kinds.duplicates.prefilter import (
    candidates,
    goes_by_hash,
    index_order,
    may_repeat,
    shortened,
)
from checks.sql import catalog
from checks.sql.inspection import MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.statements import as_bytes, row_estimate, rows_of, scalar, shown, without_index
from checks.types import Columns, Identifier, Severity

Built = ColumnElement[Any]

MOST_ROWS_OF_A_GROUP = 10
"""Row ids that a finding lists for one group; its row count is exact all the same."""


GROUPS_IN_FULL = 20
"""Groups whose rows are looked up one by one; of further ones the first and the last is told."""


SHARED = Words(
    en="{rows} rows share this key; row ids: {ids}", zh="{rows} 行使用同一个键，行主键：{ids}"
)
SPELLED = Words(
    en="spelled {spellings}, equal under the collation",
    zh="写法分别为 {spellings}，按排序规则视为相等",
)


def phrases(evidence: Mapping[str, object]) -> Iterator[Phrase]:
    """What a report says of a group."""
    yield Phrase(SHARED, {"rows": evidence.get("rows"), "ids": evidence.get("row_ids", ())})
    if spellings := evidence.get("spellings"):
        yield Phrase(SPELLED, {"spellings": spellings})


class Duplicates(Check):
    """Whether any two rows are equal in all key columns, under the columns' collations.

    Rows whose key columns are all NULL have no key and are left to `blank`. Otherwise NULL counts
    as a value equal to itself (SQL: NULLS NOT DISTINCT), unless `nulls = "distinct"`.
    """

    card: ClassVar[Card] = Card(
        violation="a group of rows that share a key",
        title=Words(en="duplicates", zh="重复"),
        clean=Words(en="no duplicate", zh="无重复"),
        section=Section.DUPLICATES,
        phrases=phrases,
        alert=Alert(
            name="ReconcilerDuplicates",
            rank=10,
            meaning="one key, several rows",
            summary="{count} keys of {table} are held by several rows ({check}).",
            advice="An action may have been booked twice. Is the unique index still there?",
            explanation="rows share a key that must be unique. The number is that of keys, not of"
            " rows.",
        ),
    )

    kind: Literal["duplicates"] = "duplicates"
    severity: Severity = Severity.CRITICAL
    columns: Columns
    primary_key: Identifier
    nulls: Literal["equal", "distinct"] = "equal"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that have no key."""
        which = "all" if self.nulls == "equal" else "any"
        return (f"rows with NULL in {which} of {', '.join(self.columns)}: they have no key",)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The key, and the primary key by which findings name rows."""
        return {self.table: tuple(dict.fromkeys((self.primary_key, *self.columns)))}

    def schema_facts(self) -> SchemaFacts:
        """The key."""
        return SchemaFacts(key=self.columns)

    def report_fields(self, result: Result | None) -> Mapping[str, Any]:
        """The key, and what was counted of its groups."""
        counted = ("surplus_rows", "groups_spelled_differently")
        measures = {name: result and result.measures.get(name) for name in counted}
        return {"columns": self.columns, "nulls": self.nulls, **measures}

    def look(self, keys: Keys = ()) -> str | None:
        """The rows of some groups, or all groups with the first and the last of their rows."""
        by_row = having(keys, (self.primary_key,)) if self.primary_key not in self.columns else ()
        return fitting(by_row or having(keys, self.columns), self._look)

    def row_keys(self, evidence: Mapping[str, Any]) -> Keys:
        """The rows of a group, as far as they are listed."""
        return [{self.primary_key: each} for each in evidence.get("row_ids", ())]

    def _look(self, keys: Keys) -> str:
        rows = rows_of(self.table, self.needs[self.table])
        columns, own = {name: rows.c[name] for name in self.columns}, rows.c[self.primary_key]
        statement: Select[Any]
        if keys:
            # Of duplicates under a unique index, MySQL returns one row to a look-up along it.
            names = {name: without_index(each) for name, each in columns.items()}
            among = chosen(names if set(keys[0]) == set(names) else {self.primary_key: own}, keys)
            order = dict.fromkeys((*self.columns, self.primary_key))
            statement = select(literal_column("*")).select_from(rows).where(among)
            statement = statement.order_by(*(rows.c[name] for name in order))
        else:
            ends = (func.min(own).label("first"), func.max(own).label("last"))
            shown = (*columns.values(), func.count().label("rows"), *ends)
            statement = self._repeated(rows, list(columns.values()), *shown)
        return render(statement.limit(MOST_ROWS))

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Group all rows by key; describe the groups with most rows by their row ids.

        A unique index is no proof: with `unique_checks=0` InnoDB takes duplicates under one.
        """
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, self.needs[self.table])
            rows = rows_of(self.table, self.needs[self.table])
            order = index_order(connection, self.table, self.columns)
            keys: list[Built] = [rows.c[name] for name in order or self.columns]
            among: FromClause = rows
            grouped: FromClause = rows
            # Most runs end with this look: to compute spellings takes eight times as long.
            if not order and goes_by_hash(connection, self.table, self.columns, found):
                is_any = may_repeat(connection, rows, self.columns, self.primary_key, found)
                among = candidates(rows, self.columns, found)
            else:
                if not order and connection.dialect.name == "sqlite":
                    grouped = among = shortened(connection, rows, self._texts(found))
                    codes = {f"code_{name}": name for name in self.columns}
                    keys = [among.c[code if code in among.c else n] for code, n in codes.items()]
                first = self._repeated(among, keys, literal(1)).limit(1)
                is_any = connection.scalar(first) is not None
            worst = self._worst_groups(connection, grouped, among, keys, found) if is_any else ()
            findings = self._describe(connection, rows, found, worst)
            examined = row_estimate(connection, self.table)
        total = worst[0] if worst else {}
        measures = {
            "groups": int(total.get("all_groups", 0)),
            "surplus_rows": int(total.get("all_surplus", 0)),
            "groups_spelled_differently": int(total.get("all_spelled", 0)),
        }
        return Result(examined, measures["groups"], findings, measures)

    def _repeated(self, among: FromClause, keys: Sequence[Built], *columns: Built) -> Select[Any]:
        """The groups of several rows; sorts by nothing but the key, so that an index serves."""
        combine = or_ if self.nulls == "equal" else and_
        return (
            select(*columns)
            .select_from(among)
            .where(combine(*(key.is_not(None) for key in keys)))
            .group_by(*keys)
            .having(func.count() > 1)
        )

    def _worst_groups(
        self,
        connection: Connection,
        rows: FromClause,
        among: FromClause,
        keys: Sequence[Built],
        found: Mapping[str, catalog.Column],
    ) -> Sequence[RowMapping]:
        """The groups with most rows, each carrying the totals over all groups."""
        texts = self._texts(found)
        ids = rows.c[self.primary_key]
        spelled = [func.min(as_bytes(rows.c[n])) != func.max(as_bytes(rows.c[n])) for n in texts]
        groups = self._repeated(
            among,
            keys,
            *(_one_of(rows.c[name], found[name]).label(f"key_{name}") for name in self.columns),
            func.count().label("size"),
            func.min(ids).label("first_id"),
            func.max(ids).label("last_id"),
            func.coalesce(or_(false(), *spelled), false()).label("spelled"),
        ).subquery()
        statement = (
            select(
                groups,
                func.count().over().label("all_groups"),
                func.sum(groups.c.size - 1).over().label("all_surplus"),
                func.sum(case((groups.c.spelled, 1), else_=0)).over().label("all_spelled"),
            )
            .order_by(groups.c.size.desc(), groups.c.first_id)
            .limit(SAMPLE)
        )
        return connection.execute(statement).mappings().all()

    def _texts(self, found: Mapping[str, catalog.Column]) -> list[str]:
        return [name for name in self.columns if found[name].is_text]

    def _describe(
        self,
        connection: Connection,
        rows: TableClause,
        found: Mapping[str, catalog.Column],
        worst: Sequence[RowMapping],
    ) -> tuple[Finding, ...]:
        if not worst:
            return ()
        members: list[list[RowMapping]] = []
        # Keys that may be long are not sent back to find their rows: the server takes no packet
        # of any length. Each group's first and last row are known all the same.
        if not any(found[name].is_long for name in self.columns):
            members = self._members(connection, rows, self._texts(found), worst[:GROUPS_IN_FULL])
        members += [[] for _ in worst[len(members) :]]
        first = self._first_rows(connection, rows, found, worst)
        return tuple(
            self._finding(group, first.get(group["first_id"], group), rows_of_it)
            for group, rows_of_it in zip(worst, members, strict=True)
        )

    def _first_rows(
        self,
        connection: Connection,
        rows: TableClause,
        found: Mapping[str, catalog.Column],
        worst: Sequence[RowMapping],
    ) -> dict[Scalar, RowMapping]:
        """Each group's first row by its id; a group is called by the key as that row spells it.

        So it stays the same finding when it grows, and when more groups come to the sample.
        """
        own = rows.c[self.primary_key]
        key = (shown(rows.c[n], found[n]).label(f"key_{n}") for n in self.columns)
        statement = select(own.label("first_id"), *key).where(
            own.in_([group["first_id"] for group in worst])
        )
        return {row["first_id"]: row for row in connection.execute(statement).mappings()}

    def _members(
        self,
        connection: Connection,
        rows: TableClause,
        texts: list[str],
        worst: Sequence[RowMapping],
    ) -> list[list[RowMapping]]:
        """Rows of each group, as the database sees them: keys are never compared in Python.

        Those that spell the key in a new way come first.
        """
        matches = [
            and_(*(self._matches(rows, name, group, texts) for name in self.columns))
            for group in worst
        ]
        number = case(*((match, n) for n, match in enumerate(matches))).label("number")
        own = [rows.c[name].label(f"row_{name}") for name in self.needs[self.table]]
        found = select(number, *own).where(or_(*matches)).subquery()
        ids = found.c[f"row_{self.primary_key}"]
        spelling = [as_bytes(found.c[f"row_{name}"]) for name in texts]
        turn = func.row_number().over(partition_by=[found.c.number, *spelling], order_by=ids)
        turns = select(found, turn.label("turn")).subquery()
        place = func.row_number().over(
            partition_by=turns.c.number, order_by=[turns.c.turn, turns.c[ids.name]]
        )
        places = select(turns, place.label("place")).subquery()
        statement = select(places).where(places.c.place <= MOST_ROWS_OF_A_GROUP)
        members: list[list[RowMapping]] = [[] for _ in worst]
        for row in connection.execute(statement.order_by(places.c.place)).mappings():
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

    def _finding(
        self, group: RowMapping, first: RowMapping, members: Sequence[RowMapping]
    ) -> Finding:
        key: dict[str, Scalar] = {name: scalar(first[f"key_{name}"]) for name in self.columns}
        ends = scalar(group["first_id"]), scalar(group["last_id"])
        listed = (scalar(row[f"row_{self.primary_key}"]) for row in members)
        ids = tuple(dict.fromkeys((*ends, *listed)))[:MOST_ROWS_OF_A_GROUP]
        evidence: dict[str, Evidence] = {"rows": int(group["size"]), "row_ids": ids}
        message = f"{group['size']} rows of {self.table} share ({', '.join(self.columns)})"
        if group["spelled"]:
            if members:
                evidence["spellings"] = tuple(dict.fromkeys(self._spelling(row) for row in members))
            message += "; spelled differently, equal under the collation"
        return Finding(key, message, evidence, int(group["size"]) - 1)

    def _spelling(self, row: RowMapping) -> str:
        return ", ".join(repr(scalar(row[f"row_{name}"])) for name in self.columns)


def _one_of(value: Built, column: catalog.Column) -> Built:
    """A group's value of a column, the same at every run; cut on the server when it may be long."""
    if not column.is_text:
        return func.min(value)
    return shown(func.min(as_bytes(value)), column)

"""`duplicates`: no two rows share a key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    Subquery,
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
from checks.contract import EVERYTHING, SAMPLE, Check, Evidence, Finding, Result, Scalar, Window
from checks.coverage import Kept, coverage
from checks.kinds.duplicates.prefilter import (
    candidates,
    goes_by_hash,
    index_order,
    may_repeat,
    shortened,
)
from checks.ports import Sources
from checks.snapshot import Context, DatabaseCheck, Snapshot
from checks.sql import catalog
from checks.sql.expression import Expression
from checks.sql.functions import as_bytes, one_of, shown, without_index
from checks.sql.inspection import MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.row_ids import row_id, row_keys
from checks.sql.statements import Ends, among, first_and_last, labelled, numbered
from checks.sql.values import scalar
from checks.types import Columns, PrimaryKey, Severity, key_columns

Built = ColumnElement[Any]
Id = tuple[Any, ...]

MOST_ROWS_OF_A_GROUP = 10
"""Row ids that a finding lists for one group; its row count is exact all the same."""

GROUPS_IN_FULL = 20
"""Groups whose rows are looked up one by one; of further ones the first and the last is told."""


@dataclass(frozen=True, slots=True)
class _Grouping:
    """How the groups of several rows are found."""

    rows: FromClause
    """The rows with their keys and ids."""
    source: FromClause
    """The same, or those of them whose keys may repeat."""
    keys: Sequence[Built]


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


class Duplicates(DatabaseCheck):
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

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    kind: Literal["duplicates"] = "duplicates"
    severity: Severity = Severity.CRITICAL
    columns: Columns
    primary_key: PrimaryKey | None = None
    nulls: Literal["equal", "distinct"] = "equal"
    when: Expression | None = Field(default=None, repr=False)
    """The rows of which no two share a key; all, unless stated."""

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A condition that never holds."""
        yield from super().complaints(connection)
        if self.when:
            yield from self.when.complaints(connection, self.table)

    @property
    def excluded(self) -> tuple[str, ...]:
        """Also the rows of which several may share a key."""
        found = super().excluded
        return (
            (*found, f"rows for which this is not true: {self.when.source}") if self.when else found
        )

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns by which findings name rows."""
        return key_columns(self.primary_key)

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that have no key."""
        which = "all" if self.nulls == "equal" else "any"
        return (f"rows with NULL in {which} of {', '.join(self.columns)}: they have no key",)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The key, the primary key by which findings name rows, and the condition's columns."""
        return {self.table: tuple(dict.fromkeys((*self._shown, *self._chosen_by)))}

    @property
    def _shown(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.key_columns, *self.columns)))

    @property
    def _chosen_by(self) -> tuple[str, ...]:
        return self.when.columns if self.when else ()

    def _rows(self, context: Context) -> FromClause:
        """The rows of which no two share a key."""
        rows = self.rows_of(self.table, self.needs[self.table])
        if self.when is None:
            return rows
        shown = select(*(rows.c[name] for name in self._shown))
        return shown.where(self.when.on(rows, context.types(self.table))).subquery(self.table)

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
        if keys and set(keys[0]) != set(self.columns) and self.primary_key is None:
            return self.named("primary_key", keys[0]).look(keys)
        is_told_apart = set(self.key_columns) != set(self.columns)
        by_row = having(keys, self.key_columns) if is_told_apart else ()
        return fitting(by_row or having(keys, self.columns), self._look)

    def row_keys(self, evidence: Mapping[str, Any]) -> Keys:
        """The rows of a group, as far as they are listed."""
        return row_keys(self.key_columns, evidence)

    def _look(self, keys: Keys) -> str:
        by_row = bool(keys) and set(keys[0]) != set(self.columns)
        # What is known by its row is shown as it is now.
        rows = self.rows_of(self.table, self._shown) if by_row else self._rows(Context())
        columns = {name: rows.c[name] for name in self.columns}
        own = {name: rows.c[name] for name in self.key_columns}
        statement: Select[Any]
        if keys:
            # Of duplicates under a unique index, MySQL returns one row to a look-up along it.
            names = {name: without_index(each) for name, each in columns.items()}
            among = chosen(own if by_row else names, keys)
            order = dict.fromkeys((*self.columns, *self.key_columns))
            statement = select(literal_column("*")).select_from(rows).where(among)
            statement = statement.order_by(*(rows.c[name] for name in order))
        else:
            shown = [*columns.values(), func.count().label("rows")]
            if len(own) == 1:
                (id_,) = own.values()
                shown += [func.min(id_).label("first"), func.max(id_).label("last")]
            statement = self._repeated(rows, list(columns.values()), *shown)
        return render(statement.limit(MOST_ROWS))

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Group all rows by key; describe the groups with most rows by their row ids.

        A unique index is no proof: with `unique_checks=0` InnoDB takes duplicates under one.
        """
        with self.snapshot(sources) as snapshot:
            rows = self._rows(snapshot)
            grouping = self._grouping(rows, snapshot)
            worst = self._worst_groups(grouping, snapshot) if grouping else ()
            findings = self._findings(rows, snapshot, worst)
            seen = coverage(snapshot, self.table, self.needs[self.table], self._kept(snapshot))
        total = worst[0] if worst else {}
        measures = {
            "groups": int(total.get("all_groups", 0)),
            "surplus_rows": int(total.get("all_surplus", 0)),
            "groups_spelled_differently": int(total.get("all_spelled", 0)),
        }
        return Result(
            seen.judged,
            measures["groups"],
            findings,
            measures,
            excluded=seen.excluded,
            estimated=seen.estimated,
        )

    def _kept(self, snapshot: Snapshot) -> Kept:
        def kept(rows: FromClause) -> Mapping[str, ColumnElement[bool]]:
            keys = [rows.c[name] for name in self.columns]
            found = {"when": self.when.on(rows, snapshot.types(self.table))} if self.when else {}
            if self._may_lack_a_key(snapshot):
                found["no_key"] = self._has_key(keys)
            return found

        return kept

    def _may_lack_a_key(self, snapshot: Snapshot) -> bool:
        nullable = [snapshot.described(self.table, name).nullable for name in self.columns]
        return all(nullable) if self.nulls == "equal" else any(nullable)

    def _has_key(self, keys: Sequence[Built]) -> ColumnElement[bool]:
        combine = or_ if self.nulls == "equal" else and_
        return combine(*(key.is_not(None) for key in keys))

    def _grouping(self, rows: FromClause, snapshot: Snapshot) -> _Grouping | None:
        """How groups of several rows are found; None when there are none.

        Most runs end with this: to compute spellings takes eight times as long.
        """
        connection, found = snapshot.connection, snapshot.columns[self.table]
        order = index_order(connection, self.table, self.columns, self._chosen_by)
        grouping = _Grouping(rows, rows, [rows.c[name] for name in order or self.columns])
        if not order and goes_by_hash(connection, self.table, self.columns, found):
            (own, *more) = self.key_columns
            if not more and not may_repeat(connection, rows, self.columns, own, found):
                return None
            return replace(grouping, source=candidates(rows, self.columns, found))
        if not order and snapshot.is_sqlite:
            grouping = self._shortened(rows, snapshot)
        first = self._repeated(grouping.source, grouping.keys, literal(1)).limit(1)
        return None if connection.scalar(first) is None else grouping

    def _shortened(self, rows: FromClause, snapshot: Snapshot) -> _Grouping:
        short = shortened(snapshot.connection, rows, self._texts(snapshot))
        codes = {f"code_{name}": name for name in self.columns}
        keys = [short.c[code if code in short.c else name] for code, name in codes.items()]
        return _Grouping(short, short, keys)

    def _repeated(self, source: FromClause, keys: Sequence[Built], *columns: Built) -> Select[Any]:
        """The groups of several rows; sorts by nothing but the key, so that an index serves."""
        return (
            select(*columns)
            .select_from(source)
            .where(self._has_key(keys))
            .group_by(*keys)
            .having(func.count() > 1)
        )

    def _worst_groups(self, grouping: _Grouping, snapshot: Snapshot) -> Sequence[RowMapping]:
        """The groups with most rows, each carrying the totals over all groups."""
        grouping, ends = self._with_ends(grouping)
        rows, found = grouping.rows, snapshot.columns[self.table]
        texts = [rows.c[name] for name in self._texts(snapshot)]
        spelled = [func.min(as_bytes(each)) != func.max(as_bytes(each)) for each in texts]
        groups = self._repeated(
            grouping.source,
            grouping.keys,
            *(_one_of(rows.c[name], found[name]).label(f"key_{name}") for name in self.columns),
            func.count().label("size"),
            *ends.columns,
            func.coalesce(or_(false(), *spelled), false()).label("spelled"),
        ).subquery()
        statement = (
            select(
                groups,
                func.count().over().label("all_groups"),
                func.sum(groups.c.size - 1).over().label("all_surplus"),
                func.sum(case((groups.c.spelled, 1), else_=0)).over().label("all_spelled"),
            )
            .order_by(groups.c.size.desc(), *numbered(groups, "first"))
            .limit(SAMPLE)
        )
        return snapshot.connection.execute(statement).mappings().all()

    def _with_ends(self, grouping: _Grouping) -> tuple[_Grouping, Ends]:
        """The same groups, and how the first and the last row of each are found."""
        if len(self.key_columns) == 1:
            return grouping, first_and_last(grouping.rows, (), self.key_columns)
        rows = grouping.rows
        if grouping.source is not rows:
            rows = select(*rows.c).select_from(grouping.source).subquery("few")
        names = [str(key.key) for key in grouping.keys]
        ends = first_and_last(rows, names, self.key_columns)
        return _Grouping(ends.rows, ends.rows, [ends.rows.c[name] for name in names]), ends

    def _texts(self, snapshot: Snapshot) -> list[str]:
        return [name for name in self.columns if snapshot.described(self.table, name).is_text]

    def _findings(
        self, rows: FromClause, snapshot: Snapshot, worst: Sequence[RowMapping]
    ) -> tuple[Finding, ...]:
        if not worst:
            return ()
        members: list[list[RowMapping]] = []
        # Keys that may be long are not sent back to find their rows: the server takes no packet
        # of any length. Each group's first and last row are known all the same.
        if not any(snapshot.described(self.table, name).is_long for name in self.columns):
            members = self._members(rows, snapshot, worst[:GROUPS_IN_FULL])
        members += [[] for _ in worst[len(members) :]]
        first = self._first_rows(rows, snapshot, worst)
        return tuple(
            self._finding(group, first.get(_ids(group, "first"), group), rows_of_it)
            for group, rows_of_it in zip(worst, members, strict=True)
        )

    def _first_rows(
        self, rows: FromClause, snapshot: Snapshot, worst: Sequence[RowMapping]
    ) -> dict[Id, RowMapping]:
        """Each group's first row by its id; a group is called by the key as that row spells it.

        So it stays the same finding when it grows, and when more groups come to the sample.
        """
        own, found = [rows.c[name] for name in self.key_columns], snapshot.columns[self.table]
        key = (shown(rows.c[name], found[name]).label(f"key_{name}") for name in self.columns)
        statement = select(*labelled("first", own), *key).where(
            among(own, [_ids(group, "first") for group in worst])
        )
        firsts = snapshot.connection.execute(statement).mappings()
        return {_ids(row, "first"): row for row in firsts}

    def _members(
        self, rows: FromClause, snapshot: Snapshot, worst: Sequence[RowMapping]
    ) -> list[list[RowMapping]]:
        """Rows of each group, as the database sees them: keys are never compared in Python.

        Those that spell the key in a new way come first.
        """
        texts = self._texts(snapshot)
        matches = [
            and_(*(self._matches(rows, name, group) for name in self.columns)) for group in worst
        ]
        number = case(*((match, n) for n, match in enumerate(matches))).label("number")
        own = [rows.c[name].label(f"row_{name}") for name in self._shown]
        places = self._places(select(number, *own).where(or_(*matches)).subquery(), texts)
        statement = select(places).where(places.c.place <= MOST_ROWS_OF_A_GROUP)
        members: list[list[RowMapping]] = [[] for _ in worst]
        for row in snapshot.connection.execute(statement.order_by(places.c.place)).mappings():
            members[row["number"]].append(row)
        return members

    def _places(self, found: Subquery, texts: Sequence[str]) -> Subquery:
        """Rows with their `place` in their group."""
        ids = [found.c[f"row_{name}"] for name in self.key_columns]
        spelling = [as_bytes(found.c[f"row_{name}"]) for name in texts]
        turn = func.row_number().over(partition_by=[found.c.number, *spelling], order_by=ids)
        turns = select(found, turn.label("turn")).subquery()
        place = func.row_number().over(
            partition_by=turns.c.number,
            order_by=[turns.c.turn, *(turns.c[each.name] for each in ids)],
        )
        return select(turns, place.label("place")).subquery()

    def _matches(self, rows: FromClause, name: str, group: RowMapping) -> ColumnElement[bool]:
        value = group[f"key_{name}"]
        if value is None:
            return rows.c[name].is_(None)
        return without_index(rows.c[name]).is_not_distinct_from(value)

    def _finding(
        self, group: RowMapping, first: RowMapping, members: Sequence[RowMapping]
    ) -> Finding:
        key: dict[str, Scalar] = {name: scalar(first[f"key_{name}"]) for name in self.columns}
        ends = (row_id(self.key_columns, _ids(group, end)) for end in ("first", "last"))
        own = ([row[f"row_{name}"] for name in self.key_columns] for row in members)
        listed = (row_id(self.key_columns, each) for each in own)
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


def _ids(row: RowMapping, end: str) -> Id:
    return tuple(value for name, value in row.items() if name.removeprefix(f"{end}_").isdigit())


def _one_of(value: Built, column: catalog.Column) -> Built:
    """A group's value of a column, the same at every run; cut on the server when it may be long."""
    return shown(one_of(value, column), column)

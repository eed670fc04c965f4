"""The parts of a report that are composed: what `report.md.j2` calls."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from checks.card import Phrase, Section
from checks.contract import Scalar
from checks.registry import CARDS
from checks.types import Severity
from worker.model.run import Outcome
from worker.report.escape import NOTHING, Markdown, code, text
from worker.report.model import (
    BalanceRow,
    CheckedRow,
    CheckRow,
    ColumnRow,
    Connection,
    FindingRow,
    FoundIndex,
    Key,
    OtherRow,
    Report,
    RetiredTable,
    TableRow,
)
from worker.report.texts import Texts, number

_EXISTENCE = tuple(name for name, card in CARDS.items() if card.section is Section.TABLES)


class Phrases:
    """Composes for one report in one language."""

    def __init__(self, report: Report, texts: Texts) -> None:
        self._report = report
        self._t = texts
        self._checks = {each.name: each for each in report.checks}
        self._many_databases = len(report.connections) > 1

    def names(self) -> dict[str, object]:
        """What the template may call, by name."""
        methods = (name for name in vars(type(self)) if not name.startswith("_"))
        own = {name: getattr(self, name) for name in methods if name != "names"}
        return own | {"t": self._t, "code": code, "number": number}

    def time(self, value: datetime) -> str:
        """A time in UTC and in the configured zone, each named."""
        zone = self._report.timezone
        utc = f"{value:%Y-%m-%d %H:%M:%S} UTC"
        if zone == "UTC":
            return utc
        there = value.astimezone(ZoneInfo(zone))
        # The offset, too: not everybody knows that of a name such as Asia/Shanghai.
        offset = f"{there:%z}"
        return f"{utc} ({there:%Y-%m-%d %H:%M:%S} {zone}, UTC{offset[:3]}:{offset[3:]})"

    def verdict(self, outcome: Outcome | None) -> Markdown:
        """An outcome in words."""
        return self._t(f"verdict.{outcome}") if outcome else NOTHING

    def sign(self, outcome: Outcome) -> Markdown:
        """The sign that an outcome's words begin with."""
        return Markdown(self.verdict(outcome)[:1])

    def conclusion(self) -> Markdown:
        """The verdict on everything, in one sentence."""
        told = self._report.conclusion
        name: str = told.outcome
        if told.outcome is Outcome.FAIL and told.unknown:
            name = "fail_unknown"
        elif not told.checks:
            name = "nothing"
        counts = {"checks": told.checks, "failed": told.failed, "unknown": told.unknown}
        return self._t(f"conclusion.{name}", **counts)

    def place(self, row: TableRow | RetiredTable | ColumnRow | CheckedRow | CheckRow) -> Markdown:
        """A table's name, with its database where there are several."""
        if not self._many_databases:
            return code(row.table)
        return code(f"{row.database}.{row.table}")

    def kind(self, name: str) -> Markdown:
        """A kind of check; one of another version of this program keeps its own name."""
        card = CARDS.get(name)
        return self._t.words(card.title) if card else text(name)

    def codes(self, values: Iterable[object]) -> Markdown:
        """Values one after the other."""
        return self._join("list", (_value(each, self._t) for each in values))

    def columns(self, names: tuple[str, ...]) -> Markdown:
        """The columns of a key or an index."""
        return code(", ".join(names))

    def may_write(self, row: Connection) -> Markdown:
        """Whether the account can only read."""
        privileges = row.privileges_beyond_reading
        if privileges is None:
            return self.verdict(Outcome.ERROR)
        if not privileges:
            return self._t("connection.read_only")
        return self._t("connection.writes", privileges=self.codes(privileges))

    def exists(self, row: TableRow) -> Markdown:
        """Whether a table is there, and as a table."""
        if row.exists is None:
            return self._t("exists.unknown")
        if not row.exists:
            return self._t("exists.no")
        if any(row.violations.get(name) for name in _EXISTENCE):
            return self._t("exists.other", type=row.type)
        return self._t("exists.yes")

    def retired(self, row: RetiredTable) -> Markdown:
        """Whether a retired table is gone."""
        if row.outcome not in (Outcome.PASS, Outcome.FAIL):
            return NOTHING
        if row.outcome is Outcome.PASS:
            return self._t("retired.gone")
        return self._t("retired.there", type=row.type)

    def keys(self, row: TableRow) -> Markdown:
        """The declared keys of a table."""
        return self._join("separator", (self.columns(key.columns) for key in row.keys))

    def protections(self, row: TableRow) -> Markdown:
        """The unique index of each declared key of a table."""
        return self._join("separator", (self.protection(key) for key in row.keys))

    def protection(self, key: Key) -> Markdown:
        """The unique indexes of a key."""
        if key.found_indexes is None:
            return self.verdict(Outcome.ERROR)
        if not key.found_indexes:
            return self._t("indexes.none")
        shown = self.codes(key.found_indexes)
        if key.expected_index in (None, *key.found_indexes):
            return shown
        other = self._t("indexes.other_name", name=code(key.expected_index))
        return self._join("separator", (shown, other))

    def scan(self, row: TableRow) -> Markdown:
        """What the checks on a table found, the bad first."""
        return self._join("separator", self._scan(row))

    def declared(self, row: ColumnRow) -> Markdown:
        """What a column should be."""
        if row.role == "declared":
            return code(row.declared)
        return self._t("columns.retired" if row.role == "retired" else "columns.undeclared")

    def found_column(self, row: ColumnRow) -> Markdown:
        """What a column is."""
        if row.found is None:
            known = row.outcome is None or row.outcome in (Outcome.PASS, Outcome.FAIL)
            return self._t("columns.absent") if known else NOTHING
        if row.nullable:
            return self._join("separator", (code(row.found), self._t("columns.nullable")))
        return code(f"{row.found} not null")

    def remarks(self, index: FoundIndex) -> Markdown:
        """What there is to say of an index."""
        said = [self._t("indexes.protects", key=self.columns(key)) for key in index.keys]
        if index.partial:
            said.append(self._t("indexes.partial"))
        if index.nullable_columns:
            said.append(self._t("indexes.nullable", columns=self.codes(index.nullable_columns)))
        if index.redundant_with:
            said.append(self._t("indexes.redundant", names=self.codes(index.redundant_with)))
        return self._join("separator", said)

    def amount_verdict(self, row: BalanceRow, count: int | None) -> Markdown:
        """The verdict on one of the columns of a check."""
        if count is None:
            return self.verdict(row.outcome)
        return self.verdict(Outcome.FAIL if count else Outcome.PASS)

    def judged(self, row: CheckedRow | CheckRow) -> Markdown:
        """How many rows were judged."""
        return (
            self._t("unchecked.about", count=row.examined)
            if row.estimated
            else (number(row.examined))
        )

    def partial_checks(self) -> list[CheckRow]:
        """The checks that judged some of the rows only, or whose number of rows is a guess."""
        return [each for each in self._report.checks if each.estimated or _is_partial(each)]

    def excluded(self, row: CheckRow) -> Markdown:
        """Which rows were not judged, and how many."""
        found = ((name, count) for name, count in row.excluded.items() if count != 0)
        return self._join("separator", (self._excluded(name, count) for name, count in found))

    def _excluded(self, name: str, count: int | None) -> Markdown:
        what = self._t(f"excluded.{name}")
        if count is None:
            return self._t("unchecked.uncounted", what=what)
        return self._t("unchecked.counted", count=count, what=what)

    def left_out(self, row: CheckRow) -> Markdown:
        """The same in the words of the check, which are English."""
        return self._join("separator", map(text, row.leaves_out))

    def violated_checks(self) -> list[CheckRow]:
        """The checks that failed, the most severe first."""
        failed = (each for each in self._report.checks if each.outcome is Outcome.FAIL)
        return sorted(failed, key=lambda each: list(Severity).index(each.severity))

    def findings(self, rows: Iterable[CheckedRow]) -> Markdown:
        """A list of what was found wrong, check by check; nothing where all is well."""
        lines: list[str] = []
        for row in rows:
            check = self._checks[row.check]
            # Several checks without a section of their own may be about one table.
            where = code(row.check) if isinstance(row, OtherRow) else self.place(row)
            lines += (f"- {where}: {self._finding(each, check)}" for each in check.findings)
            left_out = (check.violations or 0) - len(check.findings)
            if left_out > 0:
                lines.append(f"- {where}: {self._t('and_more', count=left_out)}")
        if not lines:
            return Markdown()
        return Markdown("\n".join((self._t("found"), "", *lines, "", "")))

    def _scan(self, row: TableRow) -> Iterator[Markdown]:
        for kind, count in row.violations.items():
            if count:
                yield self._t("scan.bad", kind=self.kind(kind), count=count)
        if row.unknown:
            kinds = self._join("list", (self.kind(each) for each in row.unknown))
            yield self._t("scan.unknown", kinds=kinds)
        if row.rows == 0:
            yield self._t("scan.no_rows")
            return
        for name, card in CARDS.items():
            if card.clean and name not in row.unknown and row.violations.get(name) == 0:
                yield self._t.words(card.clean)
        for each in self._report.states:
            if each.states and (each.database, each.table) == (row.database, row.table):
                counted = (
                    self._t("scan.state", value=code(state.value), rows=state.rows)
                    for state in each.states
                )
                states = self._join("list", counted)
                yield self._t("scan.states", column=code(each.column), states=states)

    def _finding(self, found: FindingRow, check: CheckRow) -> Markdown:
        card = CARDS.get(check.kind)
        if card and card.phrases:
            said = [self._phrase(each) for each in card.phrases(found.evidence)]
        else:
            # A kind without words of its own: those of the check, which are English.
            needed = not (card and card.evidence_says_all)
            said = [*([text(found.message)] if needed else ()), self._pairs(found.evidence)]
        return self._join("separator", (self._pairs(found.key), *said))

    def _phrase(self, phrase: Phrase) -> Markdown:
        values = {name: self._put_in(value) for name, value in phrase.values.items()}
        return self._t.words(phrase.words, **values)

    def _put_in(self, value: object) -> object:
        """Numbers and nothing as they are, all else as code."""
        if isinstance(value, tuple):
            return self.codes(value)
        return value if value is None or isinstance(value, int) else code(value)

    def _pairs(self, values: Mapping[str, Scalar | tuple[Scalar, ...]]) -> Markdown:
        pairs = (
            self._t("pair", name=code(name), value=self._any(value))
            for name, value in values.items()
        )
        return self._join("list", pairs)

    def _any(self, value: Scalar | tuple[Scalar, ...]) -> Markdown:
        return self.codes(value) if isinstance(value, tuple) else _value(value, self._t)

    def _join(self, separator: str, parts: Iterable[Markdown]) -> Markdown:
        return Markdown(self._t(separator).join(part for part in parts if part))


def _is_partial(row: CheckRow) -> bool:
    return any(count != 0 for count in row.excluded.values())


def _value(value: object, texts: Texts) -> Markdown:
    return texts("null") if value is None else code(value)

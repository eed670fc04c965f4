"""What findings of `conservation` show of a group whose sum is off."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from math import ceil
from typing import Any

from sqlalchemy import RowMapping

from checks.card import Phrase, Words
from checks.contract import Evidence, Finding, Scalar
from checks.kinds.conservation.groups import Groups, Part
from checks.snapshot import Snapshot
from checks.sql.row_ids import row_id
from checks.sql.values import scalar

MOST_ROWS_OF_A_GROUP = 10
"""Row ids that a finding lists; its number of rows is exact all the same."""

LISTED_GROUPS = 20
"""Groups whose first rows are listed; of further ones the first row and the last are told."""

LONGEST_LISTED = 1000
"""Rows of a group above which it is told the same way: to put all in order would take long."""


UNKNOWN_ROWS = "rows_without_amount"
_OTHERS = ("problem", "rows", "row_ids", UNKNOWN_ROWS)
"""What evidence holds beside the sum and what it should be."""

OFF = Words(
    en="the sum is {sum}, expected {expected}; {rows} rows, row ids: {ids}",
    zh="合计为 {sum}，应为 {expected}；共 {rows} 行，行主键：{ids}",
)
UNKNOWN = Words(en="{rows} rows have no amount (NULL)", zh="{rows} 行的金额为 NULL")


def phrases(evidence: Mapping[str, object]) -> Iterator[Phrase]:
    """What a report says of a group."""
    sums = {name: value for name, value in evidence.items() if name not in _OTHERS}
    total = next((name for name in sums if name.startswith("SUM(")), "")
    expected = next((value for name, value in sums.items() if name != total), None)
    rows, ids = evidence.get("rows"), evidence.get("row_ids", ())
    yield Phrase(OFF, {"sum": sums.get(total), "expected": expected, "rows": rows, "ids": ids})
    if unknown := evidence.get(UNKNOWN_ROWS):
        yield Phrase(UNKNOWN, {"rows": unknown})


_EXACT = Context(prec=200)
"""A DECIMAL has up to 65 digits, and a sum may come near."""


def findings_of(groups: Groups, snapshot: Snapshot, part: Part) -> list[Finding]:
    """A finding for each of the first groups of a part that are wrong."""
    wrong = snapshot.connection.execute(groups.wrong(part)).mappings().all()
    listed = _listed(groups, snapshot, wrong)
    return [_finding(groups, row, listed.get(number, ())) for number, row in enumerate(wrong)]


def _listed(
    groups: Groups, snapshot: Snapshot, wrong: Sequence[RowMapping]
) -> Mapping[int, Sequence[Scalar]]:
    """The first rows of the first groups, by the group's place."""
    short = [n for n, row in enumerate(wrong) if row["number"] <= LONGEST_LISTED]
    listed: dict[int, list[Scalar]] = {number: [] for number in short[:LISTED_GROUPS]}
    if not listed:
        return {}
    keys = [_key(groups, wrong[number]) for number in listed]
    members = groups.members(keys, MOST_ROWS_OF_A_GROUP)
    for place, *own in snapshot.connection.execute(members):
        listed[short[place]].append(row_id(groups.ids, own))
    return listed


def _key(groups: Groups, row: RowMapping) -> tuple[Any, ...]:
    """What the group's key columns are compared with."""
    return tuple(row[f"key_{number}"] for number in range(len(groups.by)))


def _finding(groups: Groups, row: RowMapping, listed: Sequence[Scalar]) -> Finding:
    names = [each.source for each in groups.by]
    key = {name: scalar(row[f"key_{number}"]) for number, name in enumerate(names)}
    sums = _Sums.of(groups, row)
    evidence: dict[str, Evidence] = {**sums.evidence, "rows": int(row["number"])}
    if ids := listed or _ends(row):
        evidence["row_ids"] = tuple(ids)
    of = ", ".join(f"{name} {value}" for name, value in key.items())
    return Finding(
        key or {"table": groups.table},
        f"{groups.table}: {sums.said}{of and f' for {of}'}",
        evidence,
        max(1, ceil(max(map(abs, sums.off)))),
        (f"{sums.name} {'<' if min(sums.off) < 0 else '>'} {groups.equals.source}",),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """The sum of a group, and what it should be."""

    name: str
    total: Any
    expected_name: str
    expected: tuple[Any, ...]
    """Several where the rows of the group do not say the same."""
    unknown: int
    """Rows whose amount is not known."""

    @classmethod
    def of(cls, groups: Groups, row: RowMapping) -> "_Sums":
        said = [row[name] for name in ("expected_0", "expected_1") if name in row]
        if row["unsaid"]:
            said.append(None)
        source = groups.equals.source
        name = source if groups.equals.columns else "expected"
        of = f"SUM({groups.amount.source})"
        return cls(of, row["total"], name, tuple(dict.fromkeys(said)), int(row["unknown"]))

    @property
    def evidence(self) -> dict[str, Evidence]:
        shown = tuple(map(scalar, self.expected))
        is_clear = len(shown) == 1 and not self.unknown
        evidence: dict[str, Evidence] = {
            "problem": "off" if is_clear else "unclear",
            self.name: scalar(self.total),
            self.expected_name: shown[0] if len(shown) == 1 else shown,
        }
        return evidence | ({UNKNOWN_ROWS: self.unknown} if self.unknown else {})

    @property
    def off(self) -> list[Decimal]:
        """By how much the sum is above what it should be."""
        known = [_number(each) for each in self.expected if each is not None] or [Decimal()]
        return [_EXACT.subtract(_number(self.total), each) for each in known]

    @property
    def said(self) -> str:
        shown = ", ".join(str(scalar(each)) for each in self.expected)
        what = shown if self.expected_name == "expected" else f"{self.expected_name} {shown}"
        unknown = f" (without {self.unknown} rows whose amount is NULL)" if self.unknown else ""
        return f"{self.name} {scalar(self.total)}{unknown}, expected {what}"


def _number(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _ends(row: RowMapping) -> list[Scalar]:
    """The first row and the last, where the primary key is one column."""
    if "first_id" not in row:
        return []
    return list(dict.fromkeys((scalar(row["first_id"]), scalar(row["last_id"]))))

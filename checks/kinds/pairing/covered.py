"""Which near rows a run judges, counted."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import FromClause

from checks.coverage import Coverage, coverage
from checks.kinds.pairing.plan import Plan, Predicate
from checks.snapshot import Snapshot
from checks.watermark import Reading


def covered(plan: Plan, snapshot: Snapshot, reading: Reading) -> Coverage:
    """The near rows that are judged, of those that are new or of all, and the others."""
    near, scope = plan.near, plan.scope

    def kept(rows: FromClause) -> Mapping[str, Predicate]:
        found = {"when": near.chosen(rows)} if near.when else {}
        if near.key_is_optional:
            found["no_key"] = near.required(rows)
        if scope.since and near.written_at:
            found["since"] = scope.begun(snapshot, near, rows)
        if scope.settle and (near.written_at or near.changed_at):
            found["settle"] = scope.judged(snapshot, near, rows)
        return found

    def read(rows: FromClause) -> Predicate:
        return reading.covers(rows.c[near.cursor] if near.cursor else None)

    part = read if near.cursor and reading.begin is not None else None
    found = coverage(snapshot, near.table, plan.needs[near.table], kept, part)
    # A group is judged as a whole: some of its rows may wait for the others.
    is_split = any(found.excluded.get(each) for each in ("since", "settle"))
    return replace(found, estimated=True) if plan.sums and is_split else found

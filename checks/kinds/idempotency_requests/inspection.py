"""SQL with which a person looks at the requests that `idempotency_requests` tells of."""

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from checks.http_log.counts import OTHER
from checks.http_log.routes import ID
from checks.sql import inspection
from checks.sql.inspection import MOST_ROWS, Keys, chosen
from checks.sql.render import render
from checks.sql.statements import as_unicode, rows_of, without_index

if TYPE_CHECKING:
    from checks.kinds.idempotency_requests.check import IdempotencyRequests

Row = ColumnElement[Any]

NO_PATH = "(none)"
"""What requests without a path are told under."""

SHOWN_DIGEST = 16
"""Hexadecimal digits that are shown of a key's SHA-256: a key itself is the client's."""

_SPECIAL = re.compile(r"[!%_]")


def look(check: "IdempotencyRequests", keys: Keys) -> str:
    """The requests that some findings tell of, the latest first; or counts of all that could be."""
    if reused := inspection.having(keys, ("problem", "key_sha256", *check.scope)):
        return inspection.fitting(reused, lambda some: _of_keys(check, some))
    if of_paths := inspection.having(keys, ("problem", "path")):
        problem = of_paths[0]["problem"]
        same = [key for key in of_paths if key["problem"] == problem]
        status = check.failed if problem == "failures" else check.processing
        return inspection.fitting(same, lambda some: _of_paths(check, status, some))
    return _counts(check)


def differ(check: "IdempotencyRequests", rows: Any) -> ColumnElement[bool]:
    """Whether the requests of one key are more than one request."""
    path, request = rows.c[check.path], rows.c[check.hash]
    return or_(func.min(path) != func.max(path), func.min(request) != func.max(request))


def _of_keys(check: "IdempotencyRequests", keys: Keys) -> str:
    inside, rows = (rows_of(check.table, check.needs[check.table]) for _ in range(2))
    names = {"key_sha256": _digest(inside.c[check.key])}
    names |= {name: inside.c[name] for name in check.scope}
    # Of all spellings that the database takes for one key, the finding knows only one.
    same = select(inside.c[check.key]).where(chosen(names, keys))
    everything: Select[Any] = select(literal_column("*")).select_from(rows)
    order = dict.fromkeys((*check.scope, check.key, check.primary_key))
    found = everything.where(without_index(rows.c[check.key]).in_(same))
    return render(found.order_by(*(rows.c[name] for name in order)).limit(MOST_ROWS))


def _of_paths(check: "IdempotencyRequests", status: str, keys: Keys) -> str:
    rows = rows_of(check.table, check.needs[check.table])
    paths = or_(*(_on_path(rows.c[check.path], str(key["path"])) for key in keys))
    found: Select[Any] = select(literal_column("*")).select_from(rows)
    found = found.where(rows.c[check.status] == status, paths)
    return render(found.order_by(rows.c[check.written_at].desc()).limit(MOST_ROWS))


def _on_path(column: Row, path: str) -> ColumnElement[bool]:
    """Whether a path is one that is told as this, with any query behind it."""
    if path == NO_PATH:
        return column.is_(None)
    if path == OTHER:  # too many of them to say which
        return true()
    pattern = "%".join(_SPECIAL.sub(r"!\g<0>", part) for part in path.split(ID))
    return or_(*(column.like(each, escape="!") for each in (pattern, f"{pattern}?%")))


def _counts(check: "IdempotencyRequests") -> str:
    rows = rows_of(check.table, check.needs[check.table])
    key, path, status = rows.c[check.key], rows.c[check.path], rows.c[check.status]
    time: Row = rows.c[check.written_at]
    counts = (
        func.count().label("requests"),
        func.min(time).label("oldest"),
        func.max(time).label("latest"),
    )
    of_keys = (
        select(literal("key_reuse").label("problem"), func.min(_digest(key)).label("what"), *counts)
        .where(key.is_not(None))
        .group_by(key, *(rows.c[name] for name in check.scope))
        .having(and_(func.count() > 1, differ(check, rows)))
    )
    of_paths = (
        select(cast(status, String()), cast(path, String()), *counts)
        .where(status.in_((check.failed, check.processing)))
        .group_by(status, path)
        .order_by(func.count().desc())
    )
    both = (each.limit(MOST_ROWS) for each in (of_keys, of_paths))
    return render(union_all(*both).limit(MOST_ROWS))


def _digest(key: Row) -> Row:
    return func.left(func.sha2(as_unicode(key), 256), SHOWN_DIGEST)

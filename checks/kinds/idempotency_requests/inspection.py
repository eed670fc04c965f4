"""SQL with which a person looks at the requests that `idempotency_requests` tells of."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
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
from checks.relations import Relations, rows_of
from checks.sql import inspection
from checks.sql.functions import as_unicode, without_index
from checks.sql.inspection import MOST_ROWS, Keys, chosen
from checks.sql.render import render

Row = ColumnElement[Any]

NO_PATH = "(none)"
"""What requests without a path are told under."""

SHOWN_DIGEST = 16
"""Hexadecimal digits that are shown of a key's SHA-256: a key itself is the client's."""

_SPECIAL = re.compile(r"[!%_]")


@dataclass(frozen=True, slots=True)
class RequestTable:
    """The table of idempotent requests: what its columns are called, and two of its statuses."""

    table: str
    primary_key: tuple[str, ...]
    key: str
    scope: tuple[str, ...]
    path: str
    hash: str
    status: str
    written_at: str
    failed: str
    processing: str
    relations: Relations

    def rows(self) -> FromClause:
        """Its rows."""
        own = (self.key, self.path, self.hash, self.status, self.written_at)
        return rows_of(self.relations, self.table, (*self.primary_key, *own, *self.scope))

    def differ(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether the requests of one key are more than one request."""
        path, request = rows.c[self.path], rows.c[self.hash]
        return or_(func.min(path) != func.max(path), func.min(request) != func.max(request))


def look(requests: RequestTable, keys: Keys) -> str:
    """The requests that some findings tell of, the latest first; or counts of all that could be."""
    if reused := inspection.having(keys, ("problem", "key_sha256", *requests.scope)):
        return inspection.fitting(reused, lambda some: _of_keys(requests, some))
    if of_paths := inspection.having(keys, ("problem", "path")):
        problem = of_paths[0]["problem"]
        same = [key for key in of_paths if key["problem"] == problem]
        status = requests.failed if problem == "failures" else requests.processing
        return inspection.fitting(same, lambda some: _of_paths(requests, status, some))
    return _counts(requests)


def _of_keys(requests: RequestTable, keys: Keys) -> str:
    inside, rows = requests.rows(), requests.rows()
    names = {"key_sha256": _digest(inside.c[requests.key])}
    names |= {name: inside.c[name] for name in requests.scope}
    # Of all spellings that the database takes for one key, the finding knows only one.
    same = select(inside.c[requests.key]).where(chosen(names, keys))
    everything: Select[Any] = select(literal_column("*")).select_from(rows)
    order = dict.fromkeys((*requests.scope, requests.key, *requests.primary_key))
    found = everything.where(without_index(rows.c[requests.key]).in_(same))
    return render(found.order_by(*(rows.c[name] for name in order)).limit(MOST_ROWS))


def _of_paths(requests: RequestTable, status: str, keys: Keys) -> str:
    rows = requests.rows()
    paths = or_(*(_on_path(rows.c[requests.path], str(key["path"])) for key in keys))
    found: Select[Any] = select(literal_column("*")).select_from(rows)
    found = found.where(rows.c[requests.status] == status, paths)
    return render(found.order_by(rows.c[requests.written_at].desc()).limit(MOST_ROWS))


def _on_path(column: Row, path: str) -> ColumnElement[bool]:
    """Whether a path is one that is told as this, with any query behind it."""
    if path == NO_PATH:
        return column.is_(None)
    if path == OTHER:  # too many of them to say which
        return true()
    pattern = "%".join(_SPECIAL.sub(r"!\g<0>", part) for part in path.split(ID))
    return or_(*(column.like(each, escape="!") for each in (pattern, f"{pattern}?%")))


def _counts(requests: RequestTable) -> str:
    rows = requests.rows()
    key, path, status = rows.c[requests.key], rows.c[requests.path], rows.c[requests.status]
    time: Row = rows.c[requests.written_at]
    counts = (
        func.count().label("requests"),
        func.min(time).label("oldest"),
        func.max(time).label("latest"),
    )
    of_keys = (
        select(literal("key_reuse").label("problem"), func.min(_digest(key)).label("what"), *counts)
        .where(key.is_not(None))
        .group_by(key, *(rows.c[name] for name in requests.scope))
        .having(and_(func.count() > 1, requests.differ(rows)))
    )
    of_paths = (
        select(cast(status, String()), cast(path, String()), *counts)
        .where(status.in_((requests.failed, requests.processing)))
        .group_by(status, path)
        .order_by(func.count().desc())
    )
    both = (each.limit(MOST_ROWS) for each in (of_keys, of_paths))
    return render(union_all(*both).limit(MOST_ROWS))


def _digest(key: Row) -> Row:
    return func.left(func.sha2(as_unicode(key), 256), SHOWN_DIGEST)

"""SQL with which a person looks at the requests that `idempotency_requests` tells of."""

import re
from typing import TYPE_CHECKING

from checks import looking
from checks.looking import Keys, among, constant, listed, literal, quoted, statement, where
from checks.traffic.routes import ID
from checks.traffic.seen import OTHER

if TYPE_CHECKING:
    from checks.idempotency_requests import IdempotencyRequests

NO_PATH = "(none)"
"""What requests without a path are told under."""

SHOWN_DIGEST = 16
"""Hexadecimal digits that are shown of a key's SHA-256: a key itself is the client's."""

_SPECIAL = re.compile(r"[!%_]")


def look(check: "IdempotencyRequests", keys: Keys) -> str:
    """The requests that some findings tell of, the latest first; or counts of all that could be."""
    if reused := looking.having(keys, ("problem", "key_sha256", *check.scope)):
        return looking.fitting(reused, lambda some: _of_keys(check, some))
    if of_paths := looking.having(keys, ("problem", "path")):
        problem = of_paths[0]["problem"]
        same = [key for key in of_paths if key["problem"] == problem]
        status = check.failed if problem == "failures" else check.processing
        return looking.fitting(same, lambda some: _of_paths(check, status, some))
    return _counts(check)


def _of_keys(check: "IdempotencyRequests", keys: Keys) -> str:
    names = {"key_sha256": _digest(check)} | {name: quoted(name) for name in check.scope}
    key = quoted(check.key)
    # Of all spellings that the database takes for one key, the finding knows only one.
    same = f"SELECT {key} FROM {quoted(check.table)} {where(among(names, keys))}"
    return statement(
        "SELECT *",
        f"FROM {quoted(check.table)}",
        where(f"{looking.whatever_the_index(key)} IN ({same})"),
        f"ORDER BY {listed(dict.fromkeys((*check.scope, check.key, check.primary_key)))}",
    )


def _of_paths(check: "IdempotencyRequests", status: str, keys: Keys) -> str:
    paths = " OR ".join(_on_path(quoted(check.path), str(key["path"])) for key in keys)
    return statement(
        "SELECT *",
        f"FROM {quoted(check.table)}",
        where(f"{quoted(check.status)} = {constant(status)}", f"({paths})"),
        f"ORDER BY {quoted(check.written_at)} DESC",
    )


def _on_path(column: str, path: str) -> str:
    """Whether a path is one that is told as this, with any query behind it."""
    if path == NO_PATH:
        return f"{column} IS NULL"
    if path == OTHER:  # too many of them to say which
        return "TRUE"
    pattern = "%".join(_SPECIAL.sub(r"!\g<0>", part) for part in path.split(ID))
    return " OR ".join(
        f"{column} LIKE {literal(each)} ESCAPE '!'" for each in (pattern, f"{pattern}?%")
    )


def _counts(check: "IdempotencyRequests") -> str:
    table, time = quoted(check.table), quoted(check.written_at)
    key, path, request = map(quoted, (check.key, check.path, check.hash))
    by = listed((check.key, *check.scope))
    counts = f"COUNT(*) AS requests, MIN({time}) AS oldest, MAX({time}) AS latest"
    of_keys = statement(
        f"SELECT 'key_reuse' AS problem, MIN({_digest(check)}) AS what, {counts}",
        f"FROM {table}",
        where(f"{key} IS NOT NULL"),
        f"GROUP BY {by}",
        f"HAVING MIN({path}) <> MAX({path}) OR MIN({request}) <> MAX({request})",
    )
    statuses = ", ".join(map(constant, (check.failed, check.processing)))
    of_paths = statement(
        f"SELECT CAST({quoted(check.status)} AS CHAR), CAST({path} AS CHAR), {counts}",
        f"FROM {table}",
        where(f"{quoted(check.status)} IN ({statuses})"),
        f"GROUP BY {listed((check.status, check.path))}",
        "ORDER BY requests DESC",
    )
    return statement(f"({of_keys})\nUNION ALL\n({of_paths})")


def _digest(check: "IdempotencyRequests") -> str:
    return f"LEFT(SHA2(CONVERT({quoted(check.key)} USING utf8mb4), 256), {SHOWN_DIGEST})"

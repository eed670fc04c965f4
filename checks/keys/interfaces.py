"""Write interfaces of the application: which must carry `Idempotency-Key`, and how keys look."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from checks.keys.pattern import Patterns
from checks.keys.template import Template
from checks.sql.expression import Expression
from checks.sql.timestamps import Since
from checks.types import Identifier, TableName

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+|\{[A-Za-z_][A-Za-z0-9_]*\}", re.ASCII)


def _route(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("a route begins with /")
    segments = value[1:].split("/")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(
                "a route is made of whole segments, each fixed text or a name in braces:"
                " /api/v4/market/orders/{id}"
            )
    return value


Route = Annotated[str, Field(max_length=200), AfterValidator(_route)]
"""A path, of which whole segments may be placeholders."""

Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]
"""What an answer says went wrong: `REQUEST_PROCESSING`."""


class Conflict(BaseModel):
    """An answer that tells a client of a conflict, and what the client is to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: int = Field(default=409, ge=400, le=599)
    meaning: str = Field(min_length=1)
    client: Literal["same_key", "new_key", "stop"]
    """Ask again with the same key after a pause; with a new key, as it is a new request; or not."""


CONFLICTS: Mapping[str, Conflict] = {
    "IDEMPOTENCY_KEY_CONFLICT": Conflict(
        meaning="the key was used before, for another path or another payload", client="new_key"
    ),
    "REQUEST_PROCESSING": Conflict(
        meaning="the first request with this key is still being processed", client="same_key"
    ),
    "CONCURRENT_CONFLICT": Conflict(
        meaning="a deadlock or a race with another request; nothing was written",
        client="same_key",
    ),
    "DUPLICATE_ENTRY": Conflict(
        meaning="a row with this key is there already: a request beside this one wrote it",
        client="same_key",
    ),
    "REPLAY_DETECTED": Conflict(
        meaning="what can be used once, such as a voucher code, was used before", client="stop"
    ),
}
"""What the audited application answers, by code."""


def _templates(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Interface(BaseModel):
    """`[[interfaces]]`: one way to write, told by method and path."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    route: Route
    key: Literal["required", "optional", "derived"]
    """Whether a request must carry the header; `derived`: the route makes the key itself."""
    table: TableName | None = None
    """Where the key goes."""
    column: Identifier = "idempotency_key"
    format: Patterns | None = None
    """Rules of which each key obeys one; any key is right unless stated."""
    ledger_keys: Annotated[tuple[Template, ...], BeforeValidator(_templates)] = ()
    """Keys of ledger rows that are derived from the row."""
    conflicts: Mapping[Code, Conflict] = CONFLICTS
    when: Expression | None = None
    """The rows of the table that this interface writes, if others write there by other rules."""
    since: Since | None = None
    """When the rule began: rows written before are not held to it."""
    description: str = ""

    @model_validator(mode="after")
    def _has_a_table(self) -> Self:
        for name in ("when", "since", "ledger_keys"):
            if getattr(self, name) and self.table is None:
                raise ValueError(f"{name} needs table: it is about rows")
        if "column" in self.model_fields_set and self.table is None:
            raise ValueError("column needs table")
        return self

    @property
    def shape(self) -> tuple[str, str]:
        """Method and route, placeholders without their names: what tells requests apart."""
        return self.method, re.sub(r"\{\w+\}", "{}", self.route)

    @property
    def name(self) -> str:
        """Method and route."""
        return f"{self.method} {self.route}"

"""Lines of access logs, read as requests."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_FIELDS = {
    "time": "time",
    "method": "method",
    "path": "path",
    "status": "status",
    "code": "code",
    "key": "idempotency_key",
    "client": "client",
}


class LineFormat(BaseModel):
    """How a line tells of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["json", "combined"] = "json"
    fields: Mapping[str, str] = Field(default=DEFAULT_FIELDS)
    """Where JSON lines have what; dots lead into objects: `req.method`."""

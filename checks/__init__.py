"""The checks: questions about the data. Knows nothing of scheduling, metrics or logging."""

from typing import Annotated, get_args

from pydantic import Field, TypeAdapter

from checks.backing import Backing
from checks.balance import Balance
from checks.base import Check
from checks.blank import Blank
from checks.columns import Columns
from checks.condition import Condition
from checks.conflict_rate import ConflictRate
from checks.duplicates import Duplicates
from checks.idempotency_requests import IdempotencyRequests
from checks.key_format import KeyFormat
from checks.non_negative import NonNegative
from checks.posting import Posting
from checks.reference import Reference
from checks.row_count import RowCount
from checks.stuck import Stuck
from checks.tables import Tables
from checks.unique_index import UniqueIndex

AnyCheck = Annotated[
    Tables
    | Columns
    | UniqueIndex
    | Duplicates
    | Blank
    | NonNegative
    | Condition
    | Reference
    | Posting
    | Balance
    | Backing
    | Stuck
    | ConflictRate
    | KeyFormat
    | IdempotencyRequests
    | RowCount,
    Field(discriminator="kind"),
]
"""The one registry of kinds: a check of the configuration is one of these, told by its `kind`."""

KINDS: tuple[type[Check], ...] = get_args(get_args(AnyCheck)[0])
"""The classes of `AnyCheck`."""

any_check: TypeAdapter[Check] = TypeAdapter(AnyCheck)

"""The checks: questions about the data. Knows nothing of scheduling, metrics or logging."""

from typing import Annotated, get_args

from pydantic import Field, TypeAdapter

from checks.contract import Check
from checks.kinds.backing import Backing
from checks.kinds.balance.check import Balance
from checks.kinds.blank import Blank
from checks.kinds.columns import Columns
from checks.kinds.condition import Condition
from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.idempotency_requests.check import IdempotencyRequests
from checks.kinds.key_format import KeyFormat
from checks.kinds.non_negative import NonNegative
from checks.kinds.pairing.posting import Posting
from checks.kinds.pairing.reference import Reference
from checks.kinds.row_count import RowCount
from checks.kinds.stuck import Stuck
from checks.kinds.tables import Tables
from checks.kinds.unique_index import UniqueIndex

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

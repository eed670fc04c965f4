"""The alert that tells of each kind of check, the same by rules and by direct push."""

from collections.abc import Mapping

ALERTS: Mapping[str, str] = {
    "duplicates": "ReconcilerDuplicates",
    "non_negative": "ReconcilerNegativeAmount",
    "balance": "ReconcilerBalanceMismatch",
    "posting": "ReconcilerPostingMismatch",
    "reference": "ReconcilerReferenceBroken",
    "backing": "ReconcilerFrozenUnexplained",
    "tables": "ReconcilerSchemaDrift",
    "columns": "ReconcilerSchemaDrift",
    "unique_index": "ReconcilerSchemaDrift",
    "conflict_rate": "ReconcilerConflictRate",
    "stuck": "ReconcilerStuck",
}
"""By kind. Each has a runbook of its own."""

OTHER_ALERT = "ReconcilerViolation"
"""The alert of every kind without one of its own, so that no kind is silent."""


def alert_of(kind: str) -> str:
    """The name of the alert that a confirmed finding of this kind raises."""
    return ALERTS.get(kind, OTHER_ALERT)

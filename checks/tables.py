"""`tables`: a required table exists, a retired one does not."""

from collections.abc import Mapping
from typing import Literal

from checks import catalog
from checks.base import Check, Finding, Result, Sources

_BASE_TABLES = ("BASE TABLE", "SYSTEM VERSIONED")


class Tables(Check):
    """Whether a table exists as a base table or, when it is retired, does not exist at all."""

    kind: Literal["tables"] = "tables"
    retired: bool = False

    def run(self, sources: Sources) -> Result:
        """Look the name up among all tables and views of the database."""
        with sources.snapshot(self.database) as connection:
            existing = catalog.objects(connection)
        message = self._complaint(existing.get(self.table))
        if message is None:
            return Result(examined=1, violations=0)
        if not self.retired:
            message += catalog.nearest(self.table, existing)
        return Result(1, 1, (Finding({"table": self.table}, message),))

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Nothing: whether the table is there is the question."""
        return {}

    def _complaint(self, found: str | None) -> str | None:
        if self.retired:
            return f"retired table {self.table} exists" if found else None
        if found is None:
            return f"table {self.table} does not exist"
        return None if found in _BASE_TABLES else f"{self.table} is no base table but a {found}"

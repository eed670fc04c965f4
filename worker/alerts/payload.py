"""What an alert that the worker sends itself says, from a check and its findings."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from checks.contract import Check
from checks.types import Severity
from worker.config import Settings
from worker.model.alert import Draft
from worker.model.finding import StoredFinding
from worker.text.encode import dump, harmless
from worker.text.inspection import look
from worker.text.redact import Mask

LONGEST = 4500
"""Characters of one annotation; what is cut stands on the page of the check."""

LONGEST_LINE = 300
"""Characters that tell of one finding."""


class Drafts:
    """See `worker.state.outbox.Policy`: the policy of a configuration."""

    def __init__(self, settings: Settings, page: str, mask: Mask) -> None:
        """`page` is where people reach the status page; personal values go through `mask`."""
        self.alertmanagers: Collection[str] = tuple(settings.alertmanagers)
        self._pushed = frozenset[Severity](settings.alerts.push)
        self._settings = settings
        self._page = page.rstrip("/")
        self._mask = mask

    def draft(self, check: Check, confirmed: int, told: Iterable[StoredFinding]) -> Draft | None:
        """The alert of a check with so many confirmed findings; None where rules tell of it."""
        if check.severity not in self._pushed:
            return None
        findings = [self._masked(each) for each in told]
        name = check.card.alert.name
        page = f"{self._page}/checks/{quote(check.name, safe='')}"
        origin = self._settings.origin(check.database)
        labels = {
            "environment": origin.environment,
            "database": origin.database,
            "instance": origin.instance,
            **self._settings.alerts.labels,
            "alertname": name,
            "check": check.name,
            "kind": check.kind,
            "table": check.table,
            "severity": check.severity.value,
        }
        annotations = {
            "summary": _summary(origin.environment, check, confirmed, findings),
            "description": "\n".join(_line(finding) for finding in findings),
            "count": str(confirmed),
            "keys": dump([each.key for each in findings]),
            "sql": _whole(look(check, self._mask, (each.raw for each in findings)) or "", page),
            "runbook_url": f"{self._page}/runbooks/{name}",
            "page": page,
        }
        return Draft(_said(labels), _said(annotations))

    def _masked(self, finding: StoredFinding) -> "_Told":
        raw = finding.key, finding.evidence
        key, _, message = self._mask.finding(*raw, finding.message)
        return _Told(key, message, raw)


@dataclass(frozen=True, slots=True)
class _Told:
    """A finding as an alert tells of it: personal values masked."""

    key: Mapping[str, Any]
    message: str
    raw: tuple[Mapping[str, Any], Mapping[str, Any]]
    """Key and evidence as they are."""


def _summary(environment: str, check: Check, confirmed: int, findings: Iterable[_Told]) -> str:
    latest = next((f": {harmless(each.message)}" for each in findings), "")
    what = f"{harmless(environment)}: {check.name}"
    if confirmed == 1:
        return f"{what}{latest}"[:LONGEST_LINE]
    return f"{what}: {confirmed} confirmed findings, the latest{latest}"[:LONGEST_LINE]


def _line(finding: _Told) -> str:
    text = harmless(f"{finding.message} {dump(finding.key)}")
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"


def _said(texts: Mapping[str, str]) -> dict[str, str]:
    """What has a value; Alertmanager takes an empty label for none."""
    return {name: _cut(text) for name, text in texts.items() if text}


def _whole(sql: str, page: str) -> str:
    """The statement, or where it stands: a part of one might run, and show other rows."""
    return sql if len(sql) <= LONGEST else f"-- too long for an alert: see {page}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

"""What an alert says: a stable identity, counts, a few masked keys, and where to look."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from checks.contract import Check, Finding
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.non_negative import NonNegative
from checks.types import Severity
from tests.support.states import run_of
from worker.alerts.payload import LONGEST, Drafts
from worker.config import Settings
from worker.state import State
from worker.text.redact import Mask

PAGE = "https://audit.example/reconciler"
NEGATIVE = NonNegative(
    name="balances.non_negative",
    table="balances",
    primary_key="balance_id",
    columns=("available_amount",),
    severity=Severity.CRITICAL,
)
KEYS = Duplicates(
    name="orders.duplicates.idempotency_key",
    table="orders",
    columns=("idempotency_key",),
    primary_key="order_id",
)
HOSTILE = "<script>alert(1)</script>{{ .Labels }}\u202e\n\x1b[31m'; DROP TABLE orders -- "


def settings(databases: Any = None, **alerts: Any) -> Settings:
    """A configuration that pushes critical alerts to one Alertmanager."""
    return Settings.model_validate(
        {
            "databases": databases or {"ledger": {"url": "sqlite:///ledger.db"}},
            "alertmanagers": {"main": {"url": "http://127.0.0.1:9093"}},
            "alerts": {"push": ["critical"], **alerts},
        }
    )


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    with closing(State(make_url(f"sqlite:///{tmp_path}/state.db"))) as state:
        yield state


def drafted(
    state: State, check: Check, *findings: Finding, violations: int | None = None, **alerts: Any
) -> Any:
    """The alert that a run with these findings makes."""
    state.adopt_policy(Drafts(settings(**alerts), PAGE, Mask(secret=b"s")), [check])
    state.record(run_of(*findings, violations=violations, check=check))
    (row,) = state.alerts_for("main")
    return row.draft


def negative(number: int = 3) -> Finding:
    """A balance below zero."""
    message = "balances: negative available_amount"
    return Finding({"balance_id": number}, message, {"available_amount": -5})


def test_the_identity_is_the_check_and_its_system(state: State) -> None:
    """Name, kind, table and severity of the check, whose it is, as the rules have them; and more.

    Of a check that reads no database it is that of the first.
    """
    draft = drafted(state, NEGATIVE, negative(), labels={"team": "ledger"})
    assert draft.labels == {
        "environment": "unnamed",
        "database": "ledger",
        "instance": "ledger.db",
        "alertname": "ReconcilerNegativeAmount",
        "check": "balances.non_negative",
        "kind": "non_negative",
        "table": "balances",
        "severity": "critical",
        "team": "ledger",
    }
    elsewhere = NEGATIVE.model_copy(update={"database": "no_database"})
    named = Drafts(settings(labels={"environment": "test"}), PAGE, Mask()).draft(elsewhere, 1, [])
    assert named
    assert (named.labels["environment"], named.labels["database"]) == ("test", "ledger")


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("mysql://auditor:secret@db.example/shop", "db.example:3306/shop"),
        ("mariadb://auditor:secret@[::1]:3307/shop", "[::1]:3307/shop"),
        ("sqlite:////var/lib/ledger.db", "/var/lib/ledger.db"),
    ],
)
def test_an_instance_is_the_place_of_the_database(url: str, instance: str) -> None:
    """Host, port and schema, or the file, as configured; neither user nor password."""
    assert settings(databases={"ledger": {"url": url}}).origin("ledger").instance == instance


def test_sql_is_whole_or_left_out(state: State) -> None:
    """A statement that does not fit would be cut, and might show other rows: the page has it."""
    columns = tuple(f"available_amount_of_account_{number:03}" for number in range(200))
    wide = NEGATIVE.model_copy(update={"columns": columns})
    masked = Finding({"phone": "1"}, "balances: negative", dict.fromkeys(columns, -1))
    draft = drafted(state, wide.model_copy(update={"primary_key": "phone"}), masked)
    assert draft.annotations["sql"] == (
        f"-- too long for an alert: see {PAGE}/checks/balances.non_negative"
    )


def test_it_says_what_where_and_how_to_go_on(state: State) -> None:
    """A person who was woken finds the number, the rows, the SQL, the runbook and the page."""
    said = drafted(state, NEGATIVE, negative(3), negative(4)).annotations
    assert said["count"] == "2"
    assert said["summary"].startswith(
        "unnamed: balances.non_negative: 2 confirmed findings, the latest: "
    )
    assert "balances: negative available_amount" in said["description"]
    assert json.loads(said["keys"]) == [{"balance_id": 3}, {"balance_id": 4}] or json.loads(
        said["keys"]
    ) == [{"balance_id": 4}, {"balance_id": 3}]
    assert "`balance_id`" in said["sql"]
    assert "`balances`" in said["sql"]
    assert said["runbook_url"] == f"{PAGE}/runbooks/ReconcilerNegativeAmount"
    assert said["page"] == f"{PAGE}/checks/balances.non_negative"


def test_one_finding_is_said_in_one_sentence(state: State) -> None:
    """What arrives on a telephone's lock screen is the summary."""
    said = drafted(state, NEGATIVE, negative()).annotations
    assert said["summary"] == "unnamed: balances.non_negative: balances: negative available_amount"


def test_personal_keys_are_masked_everywhere(state: State) -> None:
    """Neither keys nor description nor SQL hold the value; the SQL finds it all the same."""
    check = KEYS.model_copy(update={"severity": Severity.CRITICAL})
    secret = "spend_4711_of_alice"
    finding = Finding({"idempotency_key": secret}, f"2 rows of orders share {secret}", {"rows": 2})
    draft = drafted(state, check, finding)
    assert secret not in json.dumps([draft.labels, draft.annotations])
    assert Mask(secret=b"s").value(secret) in draft.annotations["keys"]
    assert "HAVING" in draft.annotations["sql"]


def test_hostile_keys_stay_texts(state: State) -> None:
    """Control and reordering characters are spelled out, and what is left is valid JSON."""
    check = KEYS.model_copy(update={"severity": Severity.CRITICAL, "columns": ("code",)})
    said = drafted(state, check, Finding({"code": HOSTILE}, HOSTILE, {"rows": 2})).annotations
    whole = "".join(said.values())
    assert not set("\u202e\x1b") & set(whole)
    assert "\n" not in said["summary"]
    assert len(said["description"].splitlines()) == 1
    assert json.loads(said["keys"])[0]["code"] == HOSTILE


def test_long_texts_are_cut(state: State) -> None:
    """Five keys of 10 kB make no message that a receiver refuses."""
    check = KEYS.model_copy(update={"severity": Severity.CRITICAL, "columns": ("code",)})
    long = [Finding({"code": str(n) * 10_000}, "x" * 10_000) for n in range(5)]
    said = drafted(state, check, *long).annotations
    assert max(map(len, said.values())) <= LONGEST
    assert sum(map(len, said.values())) < 4 * LONGEST


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.INFO])
def test_other_severities_are_left_to_the_rules(state: State, severity: Severity) -> None:
    """Exactly one of the two ways tells of a check."""
    check = NEGATIVE.model_copy(update={"severity": severity})
    state.adopt_policy(Drafts(settings(), PAGE, Mask()), [check])
    state.record(run_of(negative(), check=check))
    assert state.alerts_for("main") == []

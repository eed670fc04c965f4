"""What goes through the door of the state's database comes back as it was."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, insert, select
from sqlalchemy.pool import StaticPool

from worker.model.alert import Draft, StoredAlert
from worker.model.finding import (
    Change,
    Event,
    FindingState,
    StoredAcknowledgement,
    StoredFinding,
)
from worker.model.run import Outcome, Scope, StoredRun, Unlisted
from worker.state import schema
from worker.state.rows import (
    add_events,
    add_run,
    put_alerts,
    put_cursor,
    put_findings,
    read_alerts,
    read_cursors,
    read_events,
    read_findings,
    read_runs,
)
from worker.state.schema import alerts, cursors, events, findings, runs
from worker.text.encode import dump

ENGINE: Engine = create_engine("sqlite://", poolclass=StaticPool)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FIELDS = st.dictionaries(TEXT, st.none() | st.integers() | TEXT).map(dump)
MOMENT = st.floats(0, 1e11)
MAGNITUDE = st.integers(-(10**65), 10**65)
ACKNOWLEDGED = st.builds(
    StoredAcknowledgement, at=MOMENT, until=MOMENT, magnitude=MAGNITUDE | st.none()
)


@pytest.fixture(scope="module")
def _tables() -> None:
    schema.metadata.create_all(ENGINE)


@pytest.fixture
def connection(_tables: None) -> Iterator[Connection]:
    """An empty state."""
    with ENGINE.connect() as connection:
        yield connection


def filled(table: str) -> dict[str, Any]:
    """A value, each another one, for every column of a table."""
    texts = {"state": "open", "change": "finding_opened", "untold": "finding_acknowledged"}
    columns = schema.metadata.tables[table].columns
    return {
        each.name: texts.get(each.name, str(1000 + number))
        if each.type.python_type is str
        else number
        for number, each in enumerate(columns, 1)
    }


@given(
    st.builds(
        StoredFinding,
        encoded_key=FIELDS,
        encoded_evidence=FIELDS,
        message=TEXT,
        first_seen=MOMENT,
        last_seen=MOMENT,
        confirmed_at=MOMENT | st.none(),
        resolved_at=MOMENT | st.none(),
        decided_at=MOMENT | st.none(),
        magnitude=MAGNITUDE | st.none(),
        acknowledgement=ACKNOWLEDGED | st.none(),
        state=st.sampled_from(FindingState),
        untold=st.sampled_from(Change) | st.none(),
        times_seen=st.integers(0, 2**31),
    )
)
@pytest.mark.usefixtures("_tables")
def test_a_finding_comes_back_as_it_was(finding: StoredFinding) -> None:
    """Every field, with all digits of every number."""
    with ENGINE.connect() as connection:
        put_findings(connection, [finding])
        assert list(read_findings(connection, select(findings))) == [finding]
        connection.rollback()


def test_no_column_of_a_finding_is_left_out(connection: Connection) -> None:
    """One that is read and written again is the same row, in every column."""
    row = filled("findings")
    connection.execute(insert(findings), row)
    put_findings(connection, list(read_findings(connection, select(findings))))
    assert [dict(each) for each in connection.execute(select(findings)).mappings()] == [row]


def test_no_column_of_an_alert_is_left_out(connection: Connection) -> None:
    """One that is read and written again is the same row, in every column."""
    row = filled("alerts")
    connection.execute(insert(alerts), row)
    put_alerts(connection, list(read_alerts(connection, select(alerts))))
    assert [dict(each) for each in connection.execute(select(alerts)).mappings()] == [row]


def test_no_column_of_a_cursor_is_left_out(connection: Connection) -> None:
    """One that is read and written again is the same row, in every column."""
    row = filled("cursors") | {"cursor": '{"id": 7}', "unlisted": "[0, [3, 9.5], 4]"}
    connection.execute(insert(cursors), row)
    (cursor,) = read_cursors(connection, select(cursors))
    assert (cursor.cursor, len(cursor.completed_at)) == ({"id": 7}, 2)
    assert cursor.unlisted == (Unlisted(0, 0), Unlisted(3, 9.5), Unlisted(4, 0))
    put_cursor(connection, cursor)
    assert [dict(each) for each in connection.execute(select(cursors)).mappings()] == [row]


def test_a_run_comes_back_as_it_was(connection: Connection) -> None:
    """Every field, of one that completed and of one that could not tell."""
    seen = StoredRun("orders.key", Outcome.FAIL, Scope.INCREMENTAL, 1.5, 0.25, 9, 2, None)
    failed = StoredRun("orders.key", Outcome.ERROR, Scope.COMPLETE, 2.5, 0.5, None, None, "away")
    for run in (seen, failed):
        add_run(connection, run)
    assert list(read_runs(connection, select(runs).order_by(runs.c.id))) == [seen, failed]


def test_an_event_comes_back_as_it_was(connection: Connection) -> None:
    """Every field; the database numbers them."""
    new = [Event("orders.key", "f" * 32, 1.5, change, "ann", "why") for change in Change]
    add_events(connection, new)
    assert list(read_events(connection, select(events).order_by(events.c.id))) == new


def test_what_is_stored_as_json_is_decoded_by_name(connection: Connection) -> None:
    """Keys and evidence of a finding, labels and annotations of an alert."""
    connection.execute(
        insert(findings),
        {**filled("findings"), "key": json.dumps({"id": 1}), "evidence": json.dumps({"rows": [1]})},
    )
    (finding,) = read_findings(connection, select(findings))
    assert (finding.key, finding.evidence) == ({"id": 1}, {"rows": [1]})
    labels, annotations = {"alertname": "A"}, {"count": "1"}
    said = (dump(labels), dump(annotations))
    written = StoredAlert("a", "c", "main", *said, 1.0, None, 1.0, None, 1.0)
    assert written.draft == Draft(labels, annotations)

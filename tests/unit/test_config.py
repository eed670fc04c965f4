"""The configuration: read strictly, refused with every mistake at its place."""

import copy
import json
import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.kinds.balance.check import Balance
from checks.kinds.condition import Condition
from checks.kinds.pairing.reference import Reference
from checks.kinds.stuck import Stuck
from checks.types import Severity, parse_duration
from tests.support import SHIPPED
from tests.support.access_logs import quiet
from worker import config
from worker.config import Config, ConfigError, Problem

VALID = """
[databases.ledger]
url = "sqlite:///ledger.db"
[tables.orders]
primary_key = "id"
columns = { code = "varchar(9) not null" }
keys = [{ columns = ["code"], index = "uk_code" }]
"""


def load(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Config:
    """Load a configuration that consists of this text."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, environment or {})


def mistakes(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The mistakes that loading this text reports."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environment)
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_file_declares_the_audit() -> None:
    """The shipped configuration covers twelve tables, the retired one, and 125 checks."""
    shipped = config.load(SHIPPED, quiet())
    tables = shipped.settings.tables
    assert sorted(name for name, facts in tables.items() if facts.retired) == [
        "points_transactions"
    ]
    assert len(tables) == 13
    assert len(shipped.checks) == 125
    assert len({check.name for check in shipped.checks}) == 125


def test_checks_follow_from_facts(tmp_path: Path) -> None:
    """A table with one key gets its schema, key, blank and row checks, and no others."""
    names = [check.name for check in load(tmp_path, VALID).checks]
    assert names == [
        "orders.tables",
        "orders.columns",
        "orders.unique_index.code",
        "orders.duplicates.code",
        "orders.blank.code",
        "orders.row_count",
    ]


def test_a_check_takes_the_primary_key_of_its_table(tmp_path: Path) -> None:
    """A declared check need not repeat what the facts of its table say."""
    text = VALID + '[[checks]]\nname = "c"\nkind = "condition"\ntable = "orders"\n'
    check = load(tmp_path, text + 'expression = "id > 0"\n').checks[-1]
    assert isinstance(check, Condition)
    assert check.primary_key == "id"
    assert check.database == "ledger"


def test_facts_fill_in_what_a_check_leaves_out(tmp_path: Path) -> None:
    """The facts of the table, and those of a table beside it, reach the fields that are theirs."""
    text = VALID + 'cursor = "id"\nwritten_at = "placed_at"\n' + REFERENCE
    check = load(tmp_path, text).checks[-1]
    assert isinstance(check, Reference)
    assert (check.primary_key, check.cursor, check.written_at) == ("line_id", "line_id", "made_at")
    assert check.pending
    assert check.pending.source == "code = 'draft'"
    assert check.since == datetime(2026, 1, 2, 12, 24, 20, tzinfo=UTC)
    assert check.parent_primary_key == check.parent_cursor == "id"
    assert check.parent_written_at == "placed_at"


def test_a_check_may_say_otherwise(tmp_path: Path) -> None:
    """What a check says itself is not replaced by a fact."""
    own = 'primary_key = "own_id"\nparent_written_at = "at"\nwritten_at = "own_at"\n'
    text = VALID + 'written_at = "placed_at"\n' + REFERENCE + own
    check = load(tmp_path, text).checks[-1]
    assert isinstance(check, Reference)
    assert (check.primary_key, check.written_at) == ("own_id", "own_at")
    assert check.parent_written_at == "at"


@pytest.mark.parametrize(
    ("key", "cursor", "followed"),
    [
        ('["book", "number"]', '"made_at"', None),
        ('["book", "number"]', '{ column = "made_ms", unit = "ms" }', None),
        ('["book", "number"]', '"number"', "number"),
        ('"id"', '"id"', "id"),
    ],
)
def test_a_balance_follows_its_ledger_by_nothing_but_the_key(
    tmp_path: Path, key: str, cursor: str, followed: str | None
) -> None:
    """A time that serves other checks of a ledger with a key of several columns is no mistake."""
    text = f"{VALID}[tables.lines]\nprimary_key = {key}\ncursor = {cursor}\n{BALANCE}"
    check = load(tmp_path, text).checks[-1]
    assert isinstance(check, Balance)
    assert check.ledger_cursor == followed


def test_a_cursor_that_a_balance_cannot_follow_is_told_with_those_that_it_can(
    tmp_path: Path,
) -> None:
    """Where it is stated in the check, or the key is a single column, which is one."""
    said = "ledger_cursor is made_at, and a balance reads its ledger along the primary key"
    single = f'{VALID}[tables.lines]\nprimary_key = "id"\ncursor = "made_at"\n{BALANCE}'
    several = f'{VALID}[tables.lines]\nprimary_key = ["book", "number"]\n{BALANCE}'
    assert mistakes(tmp_path, single) == [f"checks[0]: {said}: state ledger_cursor as one of id"]
    assert mistakes(tmp_path, f'{several}ledger_cursor = "made_at"\n') == [
        f"checks[0]: {said}: state ledger_cursor as one of book, number"
    ]


def test_a_state_begins_when_its_row_was_written(tmp_path: Path) -> None:
    """`stuck` takes the time of its table's rows unless it names another."""
    text = VALID + 'written_at = "placed_at"\n' + STUCK
    check = load(tmp_path, text).checks[-1]
    assert isinstance(check, Stuck)
    assert check.entered_at == "placed_at"
    check = load(tmp_path, text + 'entered_at = "locked_at"\n').checks[-1]
    assert isinstance(check, Stuck)
    assert check.entered_at == "locked_at"


def test_a_mistake_in_a_fact_is_told_once(tmp_path: Path) -> None:
    """A fact that is wrong is told at its place, and not again for each check that it fills in."""
    text = VALID + "cursor = ''\n" + REFERENCE + STUCK + "entered_at = 'at'\n"
    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == ["tables.orders.cursor"]


def test_a_mistake_elsewhere_hides_no_fact(tmp_path: Path) -> None:
    """Facts fill in checks also when another setting is wrong, so that nothing else is missed."""
    text = VALID + "[http]\nport = 99999\n" + REFERENCE
    text += CONDITION
    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == [
        "http.port",
        "checks[1].expression",
    ]


def test_the_overlap_has_a_default(tmp_path: Path) -> None:
    """How far an incremental run looks back is a setting."""
    schedule = load(tmp_path, VALID).settings.schedule
    assert (schedule.overlap, schedule.overlap_rows) == (timedelta(minutes=10), 2_000)
    text = VALID + "[schedule]\noverlap = '1h'\noverlap_rows = 0\n"
    schedule = load(tmp_path, text).settings.schedule
    assert (schedule.overlap, schedule.overlap_rows) == (timedelta(hours=1), 0)


CONDITION = '\n[[checks]]\nname = "c"\nkind = "condition"\ntable = "orders"\n'

STUCK = """
[[checks]]
name = "s"
kind = "stuck"
table = "orders"
when = "code = 'new'"
longer_than = "1m"
"""

REFERENCE = """
[tables.lines]
primary_key = "line_id"
cursor = "line_id"
written_at = "made_at"
pending = "code = 'draft'"
since = 2026-01-02T20:24:20+08:00
[[checks]]
name = "r"
kind = "reference"
table = "lines"
columns = ["order_id"]
parent = "orders"
"""

BALANCE = """
[[checks]]
name = "b"
kind = "balance"
table = "orders"
ledger = "lines"
by = ["id"]
ledger_by = ["order_id"]
sums = { paid = "amount" }
"""

ONE_MISTAKE = {
    "unknown section": (
        VALID + "[colour]\n",
        "colour: unknown key; there are timezone, databases, access_logs,",
    ),
    "unknown key": (
        VALID + "[http]\nprot = 1\n",
        "http.prot: unknown key; the nearest existing name is port",
    ),
    "unknown fact": (
        VALID + "cursr = 'id'\n",
        "tables.orders.cursr: unknown key; the nearest existing name is cursor",
    ),
    "time zone": (
        "timezone = 'Mars'\n" + VALID,
        "timezone: not a time zone of the IANA database, such as Asia/Shanghai",
    ),
    "duration": (
        VALID + "[schedule]\nevery = '30 s'\n",
        (
            "schedule.every: neither a duration (30s, 5m, 1h) nor a cron line of five fields"
            " (0 3 * * *)"
        ),
    ),
    "no unit": (
        VALID + "[schedule]\nevery = '30'\n",
        "schedule.every: a duration is a whole number above 0 and a unit: 30s, 5m, 1h, 7d",
    ),
    "cron": (
        VALID + "[schedule]\ncomplete = '61 * * * *'\n",
        "schedule.complete: bad minute in this cron line: 61",
    ),
    "cron that never fires": (
        VALID + "[schedule]\nevery = '0 0 30 2 *'\n",
        "schedule.every: this cron line names a time that never comes",
    ),
    "retired with facts": (
        VALID + "[tables.b]\nretired = true\nprimary_key = 'id'\n",
        "tables.b: a retired table has no other facts, but states ['primary_key']",
    ),
    "identifier": (
        VALID + "cursor = '1st '\n",
        ("tables.orders.cursor: '1st ' is no name that a server takes: it ends with a space"),
    ),
    "table that cannot be": (
        VALID + f"[tables.{'a' * 65}]\nprimary_key = 'id'\n",
        f"tables.{'a' * 65}.[key]: '{'a' * 65}' is no name that a server takes: it has 65",
    ),
    "column of an odd table": (
        VALID + "[tables.'gift card']\nprimary_key = ''\n",
        "tables.\"gift card\".primary_key: '' is no name that a server takes: it is empty",
    ),
    "name of a check": (
        VALID + CONDITION.replace('"c"', '"a check"') + 'expression = "id > 0"\n',
        "checks[0].name: a check is named by letters, digits, '_' and '-', in parts with a dot",
    ),
    "field of another kind": (
        VALID + CONDITION + 'expression = "id > 0"\ntallly = "id"\n',
        "checks[0].tallly: unknown key; the nearest existing name is tally",
    ),
    "field of no kind": (
        VALID + CONDITION + 'expression = "id > 0"\nzzz = 1\n',
        "checks[0].zzz: unknown key; there are name, kind, database, table, severity,",
    ),
    "key without columns": (
        VALID.replace('["code"]', "[]"),
        "tables.orders.keys[0].columns: must have at least 1 entry",
    ),
    "column declaration": (
        VALID.replace("varchar(9) not null", " "),
        'tables.orders.columns.code: a column is declared by its type: "varchar(100) not null"',
    ),
    "bounds": (
        VALID + "rows = { at_least = 5, at_most = 1 }\n",
        "tables.orders.rows: at_most (1) is below at_least (5)",
    ),
    "nothing to check": (
        VALID.partition("[tables")[0],
        "nothing is declared to be checked: no tables, no checks",
    ),
    "no database": ("[databases]\n", "databases: must have at least 1 entry"),
    "two urls": (
        VALID.replace("[tables", "url_file = 'x'\n[tables"),
        "databases.ledger: exactly one of url and url_file is needed",
    ),
    "no such secret file": (
        VALID.replace('url = "sqlite:///ledger.db"', 'url_file = "/nowhere/url"'),
        "databases.ledger: file /nowhere/url cannot be read: No such file or directory",
    ),
    "backend": (
        VALID.replace("sqlite:///ledger.db", "postgresql://u@h/d"),
        "databases.ledger: only mysql://, mariadb:// and sqlite:/// can be audited",
    ),
    "incomplete url": (
        VALID.replace("sqlite:///ledger.db", "mysql://h"),
        "databases.ledger: the URL needs a user, a host and a database",
    ),
    "state in the ledger": (
        VALID + "[state]\nurl = 'sqlite:///./ledger.db'\n",
        "state.url is the audited database ledger, which is only read",
    ),
    "no such type": (
        VALID.replace("varchar(9) not null", "varchar(9) notnull"),
        'tables.orders.columns.code: a column is declared by its type: "varchar(100) not null"',
    ),
    "memory": (
        VALID.replace("sqlite:///ledger.db", "sqlite://"),
        "databases.ledger: a SQLite URL names a file: sqlite:///ledger.db",
    ),
    "time limit": (
        VALID.replace("[tables", "time_limit = '2m'\n[tables"),
        "databases.ledger: time_limit is over 60s",
    ),
    "kind": (
        VALID + '[[checks]]\nname = "c"\nkind = "dup"\ntable = "orders"\n',
        "checks[0].kind: no kind is named dup; the nearest existing name is duplicates",
    ),
    "expression": (
        VALID + CONDITION + 'expression = "sleep(9)"\n',
        "checks[0].expression: not allowed in a condition: SLEEP(9)",
    ),
    "expression missing": (VALID + CONDITION, "checks[0].expression: is missing"),
    "facts without a time": (
        VALID + STUCK,
        "checks[0].entered_at: is missing, and so is tables.orders.written_at",
    ),
    "undeclared table beside": (
        VALID + REFERENCE.replace('parent = "orders"', 'parent = "other"'),
        (
            "checks[0]: parent_columns is missing: no primary_key of other is stated, which columns"
            " name by default"
        ),
    ),
    "pending without cursor": (
        VALID + "pending = 'code IS NULL'\n",
        "tables.orders: pending needs cursor: only along it rows are left behind",
    ),
    "since without a time": (
        VALID + "since = 2026-01-02T20:24:20\n",
        "tables.orders: since needs written_at: it says which rows are older",
    ),
    "pending that is no condition": (
        VALID + "cursor = 'id'\npending = 'sleep(9)'\n",
        "tables.orders.pending: not allowed in a condition: SLEEP(9)",
    ),
    "since that is no time": (
        VALID + "written_at = 'at'\nsince = 'yesterday'\n",
        "tables.orders.since: a date and time without quotes: 2026-01-02T20:24:20+08:00",
    ),
    "overlap": (
        VALID + "[schedule]\noverlap = '0s'\n",
        "schedule.overlap: a duration is a whole number above 0 and a unit: 30s, 5m, 1h, 7d",
    ),
    "overlap in rows": (
        VALID + "[schedule]\noverlap_rows = -1\n",
        "schedule.overlap_rows: must be at least 0",
    ),
    "same name": (
        VALID + CONDITION.replace('"c"', '"orders.tables"') + 'expression = "id > 0"\n',
        "checks[0]: a second check is named orders.tables",
    ),
    "unknown database": (
        VALID + CONDITION + 'expression = "id > 0"\ndatabase = "leger"\n',
        "checks[0]: no database is named leger; the nearest existing name is ledger",
    ),
    "override": (
        VALID + "[[overrides]]\ncheck = 'ordrs.tables'\nseverity = 'info'\n",
        "overrides[0].check: matches no check; the nearest existing name is orders.tables",
    ),
    "check of every": (
        VALID + CONDITION + 'expression = "id > 0"\nevery = "never"\n',
        "checks[0].every: a duration is a whole number above 0 and a unit: 30s, 5m, 1h, 7d",
    ),
}


ALERTMANAGER = "[alertmanagers.main]\nurl = 'http://am:9093'\n"
PUSH = "[alerts]\npush = ['critical']\n"

ONE_MISTAKE |= {
    "push to nobody": (
        VALID + PUSH,
        "alerts.push needs [alertmanagers.NAME]: nobody would be told",
    ),
    "an Alertmanager for nothing": (
        VALID + ALERTMANAGER,
        "[alertmanagers] is of no use without alerts.push",
    ),
    "push of an unknown severity": (
        VALID + ALERTMANAGER + PUSH.replace("critical", "urgent"),
        "alerts.push[0]: must be 'critical', 'warning' or 'info'",
    ),
    "an Alertmanager's URL": (
        VALID + ALERTMANAGER.replace("http:", "tcp:") + PUSH,
        "alertmanagers.main.url: not http:// or https:// and a host",
    ),
    "an alert that ends before it is said again": (
        VALID + ALERTMANAGER + PUSH + "expire_after = '2m'\n",
        "alerts: expire_after is under three times resend_every",
    ),
    "a label of our own": (
        VALID + ALERTMANAGER + PUSH + "labels = { severity = 'low' }\n",
        "alerts: labels.severity is a label of the worker's own",
    ),
    "a label that is none": (
        VALID + ALERTMANAGER + PUSH + "labels = { 'team-a' = 'x' }\n",
        "alerts.labels.team-a.[key]: must match the pattern",
    ),
    "a label without a value": (
        VALID + ALERTMANAGER + PUSH + "labels = { team = '' }\n",
        "alerts.labels.team: must have at least 1 character",
    ),
    "where the pages are": (
        VALID + "[http]\nexternal_url = 'audit.example'\n",
        "http.external_url: not http:// or https:// and a host",
    ),
}


@pytest.mark.parametrize("case", ONE_MISTAKE)
def test_a_mistake_is_reported_at_its_place(tmp_path: Path, case: str) -> None:
    """Each mistake gives exactly one message, which names its place and what is wrong."""
    text, message = ONE_MISTAKE[case]
    found = mistakes(tmp_path, text)
    assert [line[: len(message)] for line in found] == [message]


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Mistakes in settings, facts, checks and the environment come in one list."""
    text = VALID + "cursor = ''\n[http]\nport = 99999\n" + CONDITION
    found = mistakes(tmp_path, text, {"RECONCILER_SCHEDUL__EVERY": "1s"})
    assert [line.split(":")[0] for line in found] == [
        "RECONCILER_SCHEDUL__EVERY",
        "http.port",
        "tables.orders.cursor",
        "checks[0].expression",
    ]


def test_a_single_underscore_is_explained(tmp_path: Path) -> None:
    """A variable whose steps are joined by one underscore is refused with its right spelling."""
    (found,) = mistakes(tmp_path, VALID, {"RECONCILER_HTTP_PORT": "1"})
    assert found.endswith("steps are joined by two underscores: RECONCILER_HTTP__PORT")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[databases", "not TOML: "),
        ("a = 1\na = 2\n", "not TOML: Cannot overwrite a value (at line 2, column 6)"),
    ],
)
def test_what_is_no_toml_is_located(tmp_path: Path, text: str, message: str) -> None:
    """A file that is no TOML is refused with line and column."""
    assert mistakes(tmp_path, text)[0].startswith(message)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that does not exist is an error that names it."""
    with pytest.raises(ConfigError, match=r"absent\.toml: 1 mistake\n"):
        config.load(tmp_path / "absent.toml", {})


@pytest.mark.parametrize(("number", "said"), [(1, "1 mistake"), (2, "2 mistakes")])
def test_the_number_of_mistakes_and_its_noun_agree(tmp_path: Path, number: int, said: str) -> None:
    """The head of the list reads as a person writes it."""
    heading = str(ConfigError(tmp_path, [Problem("a", "is wrong")] * number)).splitlines()[0]
    assert heading == f"{tmp_path}: {said}"


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are an error with their position."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"x = '\xff'")
    with pytest.raises(ConfigError, match=r"not UTF-8 \(byte 5\)"):
        config.load(path, {})


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:can@ry-secret@host/db",
        "mysql://user:c@nary/secret@host:3306/db",
        "mysql://user:c@nary#secret:x@host/db",
        "mysql://user@host/db?password=canary-secret",
        "mysql://user:canary-secret@host:port/db",
        "postgresql://user:canary-secret@host/db",
        "canary-secret",
    ],
)
def test_no_message_repeats_a_password(tmp_path: Path, url: str) -> None:
    """Whatever is wrong with a URL, the error holds nothing of its password."""
    found = "\n".join(mistakes(tmp_path, VALID.replace("sqlite:///ledger.db", url)))
    assert "secret" not in found


def test_a_host_may_be_an_address_of_ipv6(tmp_path: Path) -> None:
    """In brackets, as in any URL; nothing else in brackets is a host."""
    loaded = load(tmp_path, VALID.replace("sqlite:///ledger.db", "mysql://u@[2001:db8::7]/db"))
    assert loaded.settings.databases["ledger"].parsed.host == "2001:db8::7"
    (found,) = mistakes(tmp_path, VALID.replace("sqlite:///ledger.db", "mysql://u@[pass:7]/db"))
    assert "host or database holds one of" in found


def test_nothing_shows_a_password_of_an_accepted_url(tmp_path: Path) -> None:
    """The repr of a whole configuration holds no password."""
    url = "mysql://user:canary-secret@host/db"
    loaded = load(tmp_path, VALID.replace("sqlite:///ledger.db", url))
    assert loaded.settings.databases["ledger"].parsed.password == "canary-secret"
    assert "canary" not in repr(loaded)


def test_the_environment_decides(tmp_path: Path) -> None:
    """A variable sets a value that the file has, and one that it lacks."""
    loaded = load(
        tmp_path,
        VALID,
        {
            "RECONCILER_DATABASES__LEDGER__URL": "mysql://a@b:3307/c",
            "RECONCILER_HTTP__PORT": "9999",
            "RECONCILER_SCHEDULE__EVERY": "7s",
        },
    )
    assert loaded.settings.databases["ledger"].parsed.port == 3307
    assert loaded.settings.http.port == 9999
    assert loaded.plan[0].timetable.every == timedelta(seconds=7)


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    """`…__URL_FILE` replaces the file's `url`, and `password_file` fills the password in."""
    (tmp_path / "url").write_text("mysql://user@host/db\n")
    (tmp_path / "password").write_text("p@ss:w/rd%\n")
    loaded = load(
        tmp_path,
        VALID,
        {
            "RECONCILER_DATABASES__LEDGER__URL_FILE": str(tmp_path / "url"),
            "RECONCILER_DATABASES__LEDGER__PASSWORD_FILE": str(tmp_path / "password"),
        },
    )
    assert loaded.settings.databases["ledger"].parsed.password == "p@ss:w/rd%"


def test_the_path_comes_from_the_environment(tmp_path: Path) -> None:
    """Without a path, RECONCILER_CONFIG names the file."""
    path = tmp_path / "elsewhere.toml"
    path.write_text(VALID)
    assert config.load(None, {"RECONCILER_CONFIG": str(path)}).checks


def test_an_override_changes_what_matches(tmp_path: Path) -> None:
    """Severity and schedule of matching checks change; the others keep theirs."""
    text = VALID + "[[overrides]]\ncheck = '*.duplicates.*'\nseverity = 'info'\nevery = '1h'\n"
    plan = {planned.check.name: planned for planned in load(tmp_path, text).plan}
    changed = plan["orders.duplicates.code"]
    assert changed.check.severity is Severity.INFO
    assert changed.timetable.every == timedelta(hours=1)
    assert plan["orders.tables"].timetable.every == timedelta(seconds=30)


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """No file content makes loading raise anything but ConfigError."""
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ConfigError):
        config.load(path, {})


@given(st.text(max_size=12))
def test_a_duration_is_exact_or_refused(text: str) -> None:
    """What `parse_duration` accepts says the same number of seconds; all else is a ValueError."""
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]
    assert duration.total_seconds() == int(text[:-1]) * unit


def test_tls_is_set_by_the_environment_and_located(tmp_path: Path) -> None:
    """`tls` is reached as any other setting, and a mistake in it is told at its section."""
    remote = VALID.replace("sqlite:///ledger.db", "mysql://u@db.example/ledger")
    loaded = load(tmp_path, remote, {"RECONCILER_DATABASES__LEDGER__TLS": "verify-identity"})
    assert loaded.settings.databases["ledger"].tls_mode == "verify-identity"
    (told,) = mistakes(tmp_path, remote, {"RECONCILER_STATE__TLS": "required"})
    assert told == "state: tls is for mysql:// and mariadb:// URLs"
    (told,) = mistakes(tmp_path, remote + "[http]\nweb_config_file = 'gone.yml'\n")
    assert told.startswith("http.web_config_file: file gone.yml cannot be read: ")


def test_lines_that_restrict_both_days_are_named_once_each(tmp_path: Path) -> None:
    """Whoever believes that both must match learns otherwise, with the place of the line."""
    found = load(
        tmp_path,
        VALID
        + '[schedule]\ncomplete = "0 3 1 * mon"\n'
        + '[[maintenance]]\ncron = "0 2 */2 * sun"\nlasts = "1h"\nreason = "x"\n'
        + '[[maintenance]]\ncron = "0 2 1-7 * sun"\nlasts = "1h"\nreason = "x"\n'
        + '[[overrides]]\ncheck = "orders.*"\nevery = "5 5 13 * fri"\n',
    ).warnings
    places = {each.place: each.message.split(" is due")[0] for each in found}
    assert places == {
        "schedule.complete": "0 3 1 * mon",
        "maintenance[1].cron": "0 2 1-7 * sun",
        "schedule of orders.tables": "5 5 13 * fri",
    }
    assert config.load(SHIPPED, {}).warnings == ()


_WRONG: tuple[object, ...] = (7, 1.5, True, "", "x", [], [[]], [{}], {}, {"x": 1}, -1)


def _places(value: object, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Every place of a document."""
    entries: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value[:2])
    for step, inner in entries:
        yield (*path, step)
        yield from _places(inner, *path, step)


def _written(value: object) -> str:
    """A value in TOML, on one line."""
    if isinstance(value, dict):
        entries = (f"{json.dumps(name)} = {_written(each)}" for name, each in value.items())
        return f"{{ {', '.join(entries)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value)


@pytest.mark.parametrize("seed", range(6))
def test_mistakes_are_in_the_words_of_the_file_and_told_once(tmp_path: Path, seed: int) -> None:
    """Whatever is replaced or left out in the shipped file: no word of Python, no error twice."""
    shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    shipped["checks"] = [
        *shipped["checks"][:12],
        {
            "name": "frozen",
            "kind": "backing",
            "table": "orders",
            "amount": "n",
            "by": ["id"],
            "holders": [{"table": "orders", "by": ["id"], "amount": "n", "when": "n > 0"}],
        },
    ]
    chance = random.Random(seed)  # noqa: S311 - no secret
    places = [*_places(shipped)]
    for place in chance.sample(places, 25):
        document = copy.deepcopy(shipped)
        inner: Any = document
        for step in place[:-1]:
            inner = inner[step]
        if chance.random() < 0.4:
            del inner[place[-1]]
        else:
            inner[place[-1]] = chance.choice(_WRONG)
        path = tmp_path / "config.toml"
        lines = (f"{json.dumps(name)} = {_written(value)}" for name, value in document.items())
        path.write_text("\n".join(lines), encoding="utf-8")
        try:
            config.load(path, quiet())
        except ConfigError as error:
            found = [str(problem) for problem in error.problems]
            assert len(set(found)) == len(found), (place, found)
            for each in found:
                assert not re.search(r"Input should|should have|[Tt]uple|Dictionary|dict\b", each)


def test_an_entry_without_a_key_is_one_mistake(tmp_path: Path) -> None:
    """The list of which it is the only entry is not too short besides."""
    found = mistakes(
        tmp_path,
        VALID
        + """
[[checks]]
name = "frozen"
kind = "backing"
table = "orders"
amount = "n"
by = ["id"]
holders = [{ table = "orders", by = ["id"], amount = "n" }]
""",
    )
    assert found == ["checks[0].holders[0].when: is missing"]

"""The audit report: the hand audit's numbers, from live data, safe to open and to pass on."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner, Result

import worker.report
from checks.types import Severity
from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.servers import Database, load_schema
from tests.support.snapshots import MarkdownFile
from worker import config
from worker.cli.main import app
from worker.demo import ledger as demo
from worker.demo.faults import FAULTS, inject
from worker.model.run import Outcome
from worker.report import Format, Language, Report, collect, render
from worker.report.escape import Markdown, code, text
from worker.report.texts import Texts
from worker.sources import Sources
from worker.text.printable import visible

AUDITED = {
    "asset_transactions": 252,
    "account_asset_balances": 11,
    "accounts": 14,
    "api_idempotency_requests": 81,
    "item_instance_events": 106,
    "item_instances": 163,
    "redemption_orders": 72,
    "lottery_draws": 1,
    "consumption_records": 0,
    "exchange_records": 0,
    "market_listings": 0,
    "trade_orders": 0,
}
HOSTILE = "|`<img src=x>[x](http://e.vil)\n# *b*\u202e | "
PASSWORD = "s3cret-and-long"
SOURCES = Path(worker.report.__file__).parent


@pytest.fixture(autouse=True)
def _log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's log is there, and nobody asked for anything."""
    for name, value in quiet().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo ledger in the working directory, and the shipped configuration beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    path = tmp_path / "demo-ledger.db"
    demo.build(path)
    return path


@pytest.fixture
def served(ledger_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The demo's rows on a server, which the configuration reaches by an account with SELECT."""
    load_schema(ledger_database.server, ledger_database.name)
    user = ledger_database.name
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        for table, rows in demo.rows().items():
            if rows:
                marks = ", ".join(f"%({column})s" for column in rows[0])
                statement = f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({marks})"
                cursor.executemany(statement, rows)
        cursor.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT SELECT ON {ledger_database.name}.* TO {user}@'127.0.0.1'")
        url = ledger_database.server.url(ledger_database.name, user=user, password=PASSWORD)
        text_of_url = url.render_as_string(hide_password=False)
        monkeypatch.setenv("RECONCILER_DATABASES__LEDGER__URL", text_of_url)
        yield ledger_database
        cursor.execute(f"DROP USER {user}@'127.0.0.1'")


def made(path: Path = SHIPPED) -> Report:
    """A report of what a configuration declares."""
    current = config.load(path)
    with closing(Sources.of(current.settings)) as sources:
        return collect(current, sources)


def corrupt(path: Path, *statements: str) -> None:
    """Change the demo ledger behind the application's back."""
    with closing(sqlite3.connect(path)) as raw, raw:
        for statement in statements:
            raw.execute(statement)


def every_text(report: Report) -> Iterator[str]:
    """The report in every format and language."""
    for language in Language:
        for output in Format:
            yield render(report, output, language)


def reconciler(*arguments: str) -> Result:
    """Run the command line with these arguments."""
    return CliRunner().invoke(app, ["report", *arguments])


class WellFormed(HTMLParser):
    """Reads a page and fails when an element is closed that is not open."""

    EMPTY = ("meta", "br", "hr", "!doctype")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        """Note an element that opens."""
        self.seen.add(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the element that closes is the last that opened."""
        assert self.open.pop() == tag


@pytest.mark.usefixtures("ledger")
def test_the_demo_ledger_gives_the_audits_numbers() -> None:
    """On the demo ledger the report holds the row counts and clean scans of the hand audit."""
    report = made(Path("config.toml"))
    assert {row.table: row.rows for row in report.tables} == AUDITED
    assert {row.outcome for row in report.tables} == {Outcome.PASS}
    assert [row.table for row in report.retired_tables] == ["points_transactions"]
    assert {(row.violations, row.surplus_rows) for row in report.duplicates} == {(0, 0)}
    assert {(row.null, row.empty, row.white_space) for row in report.blanks} == {(0, 0, 0)}
    assert report.balances[0].negative == {"available_amount": 0, "frozen_amount": 0}
    assert {each.value: each.rows for each in report.states[0].states or ()}["locked"] == 42
    assert (report.conclusion.outcome, report.unknown) == (Outcome.PASS, ())
    page = render(report, Format.MARKDOWN, Language.ENGLISH)
    for table, rows in AUDITED.items():
        assert re.search(rf"^\| `{table}` \| yes \|.*\| {rows} \|$", page, re.MULTILINE)
    assert "| `locked` | 42 |" in page


@pytest.mark.parametrize("language", Language)
def test_the_whole_report(ledger: Path, language: Language, snapshot: SnapshotAssertion) -> None:
    """The report of the demo ledger with some faults in it, as a reader has it before him."""
    for kind in ("unique_index", "duplicates", "blank", "non_negative", "posting"):
        inject(ledger, next(each for each in FAULTS if each.kind == kind))
    page = render(made(Path("config.toml")), Format.MARKDOWN, language)
    page = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "YYYY-MM-DD hh:mm:ss", page)
    page = page.replace(sqlite3.sqlite_version, "VERSION")
    assert page == snapshot(extension_class=MarkdownFile)


@pytest.mark.usefixtures("ledger")
def test_indexes_are_read_whole() -> None:
    """A composite index shows all its columns, and redundant and nullable ones say so."""
    tables = {row.table: row for row in made(Path("config.toml")).tables}
    composite = {index.name: index for index in tables["market_listings"].indexes or ()}
    seller = composite["uk_market_listings_seller_idempotency"]
    assert seller.columns == ("seller_user_id", "idempotency_key")
    orders = {index.name: index for index in tables["exchange_records"].indexes or ()}
    assert orders["order_no"].redundant_with == ("uk_order_no",)
    balances = {index.name: index for index in tables["account_asset_balances"].indexes or ()}
    assert balances["uk_account_asset_campaign"].nullable_columns == ("campaign_id",)


def test_a_server_is_named_as_it_is(served: Database) -> None:
    """A sound ledger on a server passes; the report says which server, and that it only reads."""
    report = made()
    assert {row.table: row.rows for row in report.tables} == AUDITED
    assert report.conclusion.outcome is Outcome.PASS
    (connection,) = report.connections
    assert (connection.host, connection.port) == (served.server.host, served.server.port)
    assert connection.server == {"mariadb": "MariaDB", "mysql": "MySQL"}[served.server.flavour]
    assert (connection.schema_name, connection.privileges_beyond_reading) == (served.name, ())


def test_corruptions_on_a_server_are_named(served: Database) -> None:
    """A hostile duplicate under a dropped index and a negative balance change the conclusion."""
    with closing(served.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP INDEX code_hash ON redemption_orders")
        cursor.execute("UPDATE redemption_orders SET code_hash = %s LIMIT 3", (HOSTILE,))
        cursor.execute(
            "UPDATE account_asset_balances SET available_amount = -7 WHERE balance_id = 5"
        )
    report = made()
    assert [each.check for each in report.duplicates if each.violations] == [
        "redemption_orders.duplicates.code_hash"
    ]
    (bad,) = (each for each in report.duplicates if each.violations)
    assert (bad.violations, bad.surplus_rows) == (1, 2)
    assert report.balances[0].negative == {"available_amount": 1, "frozen_amount": 0}
    told = report.conclusion
    assert (told.outcome, told.failed, told.unknown) == (Outcome.FAIL, 4, 0)
    assert told.failed_by_severity == {"critical": 3, "warning": 1, "info": 0}
    english = render(report, Format.MARKDOWN, Language.ENGLISH)
    assert f"4 of {len(report.checks)} checks found violations" in english
    assert "`balance_id` = `5`; `available_amount` = `-7`" in english
    assert f"{text(HOSTILE)}; 3 rows share this key" in english
    chinese = render(report, Format.MARKDOWN, Language.CHINESE)
    assert f"{len(report.checks)} 项检查中有 4 项不通过" in chinese
    assert "3 行使用同一个键" in chinese
    for language in Language:
        assert not WellFormed(render(report, Format.HTML, language)).seen & {"img", "a", "script"}


def test_an_account_that_may_write_is_said_aloud(
    ledger_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The privileges of an account that can do more than read are in the connection's table."""
    load_schema(ledger_database.server, ledger_database.name)
    monkeypatch.setenv(
        "RECONCILER_DATABASES__LEDGER__URL",
        ledger_database.url.render_as_string(hide_password=False),
    )
    report = made()
    assert report.conclusion.may_write == ("ledger",)
    page = render(report, Format.MARKDOWN, Language.ENGLISH)
    assert "✗ yes: `" in page
    assert "The account can do more than read in: `ledger`" in page


def test_a_server_out_of_reach_is_no_all_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server nothing passes: the report says so, once, and the exit code is 3."""
    url = f"mysql://auditor:{PASSWORD}@127.0.0.1:1/ledger_db"
    monkeypatch.setenv("RECONCILER_DATABASES__LEDGER__URL", url)
    monkeypatch.setenv("RECONCILER_ACCESS_LOGS__APP__PATH", "not-there.log")
    result = reconciler("--config", str(SHIPPED))
    assert result.exit_code == 3
    assert "This is no all-clear" in result.stdout
    assert "✓" not in result.stdout
    assert "`127.0.0.1:1`" in result.stdout
    report = made()
    assert [len(each.checks) for each in report.unknown] == [len(report.checks) - 1, 1]
    assert {row.exists for row in report.tables} == {None}
    assert all(PASSWORD not in each for each in every_text(report))


def test_the_password_is_nowhere(served: Database) -> None:
    """No format and no language shows the password, all is well or not."""
    assert all(PASSWORD not in each for each in every_text(made()))
    with closing(served.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"REVOKE SELECT ON {served.name}.* FROM {served.name}@'127.0.0.1'")
    report = made()
    assert report.conclusion.outcome is Outcome.ERROR
    assert all(PASSWORD not in each for each in every_text(report))


def test_a_lost_table_leaves_its_checks_unknown(ledger: Path) -> None:
    """A dropped table is a violation, and what was asked of its rows is not reported as fine."""
    corrupt(ledger, "DROP TABLE redemption_orders", "CREATE TABLE points_transactions (id int)")
    report = made(Path("config.toml"))
    row = next(each for each in report.tables if each.table == "redemption_orders")
    assert (row.exists, row.rows, row.outcome) == (False, None, Outcome.FAIL)
    assert "duplicates" in row.unknown
    (reason,) = report.unknown
    assert "redemption_orders.duplicates.code_hash" in reason.checks
    page = render(report, Format.MARKDOWN, Language.ENGLISH)
    assert f"violations, and {len(reason.checks)} more could not tell" in page
    assert "| `points_transactions` | still exists as BASE TABLE | ✗ violated |" in page
    assert "| `redemption_orders` | `code_hash` | — | — | — | — | ⚠ could not tell |" in page


def test_sections_follow_the_configuration(tmp_path: Path) -> None:
    """Tables the audit never heard of, and checks without a section, appear all the same."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as raw:
        raw.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY, no text, total int)")
        raw.execute("INSERT INTO invoices VALUES (1, 'a', 5), (2, ' a', -5)")
        raw.commit()
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        databases.books.url = "sqlite:///{tmp_path}/other.db"
        [tables.invoices]
        primary_key = "id"
        keys = [{{ columns = ["no"] }}]
        rows = {{ at_least = 3 }}
        [[checks]]
        name = "invoices.total"
        kind = "condition"
        table = "invoices"
        expression = "total > 0 OR no IS NULL"
        """
    )
    report = made(path)
    assert [(row.table, row.rows) for row in report.tables] == [("invoices", 2)]
    assert [row.check for row in report.others] == ["invoices.row_count", "invoices.total"]
    page = render(report, Format.MARKDOWN, Language.CHINESE)
    assert "- `invoices.total`: `id` = `2`\uff1b`total` = `-5`、`no` = `«SP»a`" in page
    assert "`rows >= 3`" in page


def test_each_of_two_databases_is_told_apart(tmp_path: Path, ledger: Path) -> None:
    """A database out of reach takes only its own tables along, and tables show theirs."""
    path = tmp_path / "two.toml"
    path.write_text(
        f"""
        databases.a.url = "sqlite:///{ledger}"
        databases.b.url = "sqlite:///{tmp_path}/missing.db"
        tables.accounts.primary_key = "account_id"
        tables.users = {{ primary_key = "user_id", database = "b" }}
        """
    )
    report = made(path)
    assert [(row.database, row.exists, row.rows) for row in report.tables] == [
        ("a", True, 14),
        ("b", None, None),
    ]
    assert [each.error is None for each in report.connections] == [True, False]
    assert report.conclusion.outcome is Outcome.ERROR
    page = render(report, Format.MARKDOWN, Language.ENGLISH)
    assert "| `b.users` | ⚠ could not tell |" in page
    assert "## 7. Balances\n\nNothing of this kind is configured." in page


def test_nothing_asked_is_no_all_clear(tmp_path: Path, ledger: Path) -> None:
    """Without a single check there is no report that could call the ledger sound."""
    path = tmp_path / "empty.toml"
    path.write_text(f'databases.ledger.url = "sqlite:///{ledger}"\n')
    result = reconciler("--config", str(path))
    assert result.exit_code == 2
    assert "nothing is declared to be checked" in result.stderr


@pytest.mark.usefixtures("ledger")
def test_json_is_the_model() -> None:
    """The JSON format reads back as the same report, and takes no unknown field."""
    report = made(Path("config.toml"))
    written = render(report, Format.JSON, Language.ENGLISH)
    again = Report.model_validate_json(written)
    assert again.model_dump() == report.model_dump()
    assert len(report.runs) == len(report.checks)
    assert written.startswith('{\n  "version": 1,')
    with pytest.raises(ValidationError):
        Report.model_validate_json(written.replace('"version": 1', '"version": 1, "x": 1', 1))


def test_times_are_utc_and_local() -> None:
    """A time names its zone, and is told once more in the configured one."""
    current = config.load(SHIPPED)
    assert current.settings.timezone == "Asia/Shanghai"
    page = render(made(), Format.MARKDOWN, Language.ENGLISH)
    assert re.search(r"Made [\d-]+ [\d:]+ UTC \([\d-]+ [\d:]+ Asia/Shanghai, UTC\+08:00\)", page)


@pytest.mark.parametrize("language", Language)
def test_html_is_one_well_formed_page(ledger: Path, language: Language) -> None:
    """The page is well-formed, names its language, and needs no script, link or other file."""
    corrupt(ledger, "UPDATE account_asset_balances SET frozen_amount = -5 WHERE balance_id = 3")
    page = render(made(Path("config.toml")), Format.HTML, language)
    parsed = WellFormed(page)
    assert parsed.open == []
    assert not parsed.seen & {"script", "a", "img", "link", "iframe"}
    assert f'<html lang="{Texts(language)("language")}">' in page
    assert '<td class="fail">✗' in page
    assert "url(" not in page


def test_the_command_writes_a_file(ledger: Path) -> None:
    """`--output` takes the report instead of standard output; the exit code is that of `check`."""
    result = reconciler("--format", "html", "--language", "zh", "--output", "audit.html")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "账本符合全部既定规则" in Path("audit.html").read_text(encoding="utf-8")
    corrupt(ledger, "UPDATE item_instances SET locks = NULL WHERE status = 'locked'")
    assert reconciler("--format", "json").exit_code == 1
    failed = reconciler("--output", "no/such/folder.md")
    assert failed.exit_code == 2
    assert "cannot write no/such/folder.md: No such file or directory" in failed.stderr


def values_in(page: str) -> list[str]:
    """The text of each cell or item that Markdown makes of a page, and of nothing else."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    found = []
    for token in tokens:
        if token.type == "inline":
            assert {child.type for child in token.children or ()} <= {"text", "code_inline"}
            found.append("".join(child.content for child in token.children or ()))
    return found


@given(st.text(max_size=30))
@example(HOSTILE)
@example("\\|")
@example("``")
@example("\ud800 <!-- ")
@example("1. x")
@example("---")
@example("__init__ _x_")
@example("&lt; &#124; &copy")
@example("www.evil.com https://evil.com a@b.c")
@example("✗ violated")
def test_database_text_is_inert(value: str) -> None:
    """Whatever a value holds, Markdown makes one cell, one item or one paragraph of it."""
    for show in (text, code):
        shown = show(value)
        said = (visible(value) or "''") if show is code else visible(value)
        assert values_in(f"| a | b |\n|---|---|\n| {shown} | z |") == ["a", "b", said, "z"]
        assert values_in(f"x {shown} y") == [f"x {said} y" if said else "x  y"]
        if said:
            assert values_in(f"- {shown}") == [said]
            assert values_in(str(shown)) == [said]
        assert shown[:1] not in ("✓", "✗", "⚠")


def test_what_cannot_be_seen_is_named() -> None:
    """Line ends, invisible characters and the spaces that a page drops show by name."""
    assert visible(" a\n\t\u200b\u202e\xa0b  ") == (
        "«SP»a«LF»«TAB»«U+200B»«U+202E»«U+00A0»b«SP»«SP»"
    )
    assert (visible("a  b"), visible(" "), visible("«")) == ("a «SP»b", "«SP»", "«U+00AB»")
    assert text(Markdown("*as it is*")) == "*as it is*"


def test_both_languages_say_the_same_things() -> None:
    """Each language has the phrases of the other, with the same values to put into them."""
    english, chinese = (
        {
            key: {name for _, name, _, _ in Formatter().parse(phrase) if name}
            for key, phrase in Texts(language).phrases.items()
        }
        for language in Language
    )
    assert english == chinese


def test_every_phrase_is_used_and_exists() -> None:
    """A phrase that nothing asks for is red, and so is one that is asked for and not there."""
    files = ("phrases.py", "render.py", "report.md.j2")
    source = "".join((SOURCES / name).read_text(encoding="utf-8") for name in files)
    phrases = set(Texts(Language.ENGLISH).phrases)
    named = set(re.findall(r"""["']([a-z_.]+)["']""", source))
    begun = tuple(re.findall(r"""(?:f"([a-z]+\.(?:[a-z]+_)?)\{|"([a-z]+\.)" ~)""", source))
    families = tuple(one or other for one, other in begun)
    assert {key for key in phrases - named if not key.startswith(families)} == set()
    asked = set(re.findall(r"""\b_?t\(["']([a-z_.]+[a-z])["']""", source))
    assert asked - phrases == set()
    assert len(asked) > 90


def test_every_word_of_the_configuration_has_a_name() -> None:
    """Each outcome and severity has its name in the report; kinds bring theirs along."""
    phrases = Texts(Language.CHINESE).phrases
    for family, members in (("verdict", Outcome), ("severity", Severity)):
        named = {key.partition(".")[2] for key in phrases if key.startswith(f"{family}.")}
        assert named == set(members)

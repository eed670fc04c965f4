"""`report --keys`: the key standard as Markdown, from the configuration alone."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner, Result

from tests.support import SHIPPED
from worker.cli.main import app
from worker.config import ConfigError, load

TOML = """
[databases.ledger]
url = "sqlite:///nowhere.db"
[tables.orders]
primary_key = "id"
"""
ORDERS = """
[[interfaces]]
method = "POST"
route = "/orders"
key = "required"
table = "orders"
format = ["order_{int:13}", "{token:8..64}"]
ledger_keys = ["fee_{idempotency_key}", "cost:{session_id}"]
description = "a | b <script>*x*"
when = "source = 'a|b'"
"""
OTHER = """
[[interfaces]]
method = "DELETE"
route = "/orders/{id}"
key = "optional"
conflicts.GONE = { status = 410, meaning = "no | order", client = "stop" }
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration without a database, in the working directory."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.toml"
    file.write_text(TOML + ORDERS + OTHER, encoding="utf-8")
    return file


def report(*arguments: str) -> Result:
    """Run `reconciler report --keys`."""
    return CliRunner().invoke(app, ["report", "--keys", *arguments])


def row_of(output: str, start: str) -> str:
    """The line of a table that starts so."""
    return next(line for line in output.splitlines() if line.startswith(f"| {start}"))


def test_each_interface_is_told(path: Path) -> None:
    """A row for each interface: key, column, rule, longest key, derived keys and their length."""
    assert path.exists()
    output = report().output
    assert row_of(output, "`POST /orders`") == (
        "| `POST /orders` | required | `orders.idempotency_key` | `order_{int:13}` or"
        " `{token:8..64}` | 64 | `fee_{idempotency_key}` (up to 68), `cost:{session_id}` |"
    )
    assert row_of(output, "`DELETE") == (
        "| `DELETE /orders/{id}` | optional | — | any key | — | — |"
    )
    assert row_of(output, "`order_{int:13}`").endswith("| 19 | 19 | `order_7777777777777` |")
    assert "Any key is right for the interfaces without a rule." in output


def test_each_conflict_is_told(path: Path) -> None:
    """The answers of each interface, by code, with what the client is to do."""
    assert path.exists()
    output = report().output
    assert row_of(output, "`REQUEST_PROCESSING`").endswith(
        "| asks again with the same key, after a pause |"
    )
    assert row_of(output, "`GONE`") == "| `GONE` | 410 | no &#124; order | does not ask again |"
    assert "`POST /orders`:" in output
    assert "`DELETE /orders/{id}`:" in output
    for word in ("400", "422", "7 days", "Idempotency-Key"):
        assert word in output


def test_text_is_shown_and_not_obeyed(path: Path) -> None:
    """What the configuration says is text in the page, whatever signs it holds."""
    assert path.exists()
    shown = MarkdownIt("commonmark").enable("table").render(report().output)
    assert "a | b &lt;script&gt;*x*" in shown
    assert "source = 'a|b'" in shown
    assert "<script>" not in shown


def test_the_standard_goes_to_a_file(path: Path) -> None:
    """`--output` names the file; no database is needed."""
    result = report("--output", "keys.md")
    assert (result.exit_code, result.stdout) == (0, "")
    written = path.with_name("keys.md").read_text(encoding="utf-8")
    assert written.startswith("# Idempotency keys: the standard\n")
    assert "\n\n\n" not in written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "html"], "--keys writes Markdown, not html"),
        (["--format", "json"], "--keys writes Markdown, not json"),
        (["--language", "zh"], "--keys writes English only"),
    ],
)
def test_what_it_cannot_write_is_refused(path: Path, arguments: list[str], message: str) -> None:
    """Another format or language is a wrong usage, and nothing is written."""
    assert path.exists()
    result = report(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_without_interfaces_there_is_no_standard(path: Path) -> None:
    """A configuration that declares no interface has nothing to write."""
    path.write_text(TOML, encoding="utf-8")
    result = report()
    assert result.exit_code == 2
    assert "--keys needs [[interfaces]], and the configuration declares none" in result.stderr


def test_every_mistake_is_told_with_its_place(path: Path) -> None:
    """Mistakes of interfaces are listed at once, each where it is in the file."""
    path.write_text(TOML + ORDERS.replace("POST", "GET").replace("{int:13}", "{id}"), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert [each.place for each in caught.value.problems] == [
        "interfaces[0].method",
        "interfaces[0].format[0]",
    ]
    path.write_text(TOML + OTHER + ORDERS + ORDERS.replace("orders", "order"), "utf-8")
    path.write_text(path.read_text("utf-8") + OTHER.replace("{id}", "{other}"), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert [str(each).partition(" (")[0] for each in caught.value.problems] == [
        "interfaces[2].table: order is not among [tables]; the nearest existing name is orders",
        "interfaces[3].route: takes the same requests as interfaces[0], DELETE /orders/{id}",
    ]


def test_checks_follow_from_interfaces(path: Path) -> None:
    """The configuration has one check of the keys, before those that are declared."""
    names = [each.name for each in load(path, {}).checks]
    assert names[-1] == "orders.key_format.idempotency_key"


def test_the_shipped_standard_fits_its_ledger() -> None:
    """No derived ledger key of the shipped standard is longer than the ledger's column."""
    result = report("--config", str(SHIPPED))
    assert result.exit_code == 0
    assert "(up to 100)" in result.output
    assert "(up to 101)" not in result.output

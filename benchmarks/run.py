"""`make bench`: the checks of `config.toml` on a large ledger, beside the usual SQL and a scan.

    .venv/bin/python -m benchmarks.run --rows 500000 --flavour mysql

Needs about 1 KB of memory and 2 KB of disk a row. What it prints is the table of
docs/reference/performance.md, whose words it uses.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import pymysql
from sqlalchemy import URL

from benchmarks import usual
from benchmarks.ledger import Ledger, make, run
from checks.contract import Check, CheckError, Result
from checks.relations import Counted, Selected
from checks.sql.expression import Expression, FarExpression
from checks.sql.named_select import NamedSelect
from tests.support import CHECKOUT, SHIPPED
from tests.support.servers import Database, Farm, Flavour, Server
from worker import config
from worker.config import Config
from worker.sources import Sources
from worker.state.read_scope import everything

Way = Callable[[], object]

KEY = "asset_transactions.duplicates.idempotency_key"
BLANK = "asset_transactions.blank.idempotency_key"
BALANCE = "account_asset_balances.ledger_balance"
AWARD = "consumption_records.reward_posting"
OWNED = NamedSelect(
    "SELECT t.transaction_id, t.idempotency_key, t.business_type, t.delta_amount, t.created_at,"
    " a.user_id FROM asset_transactions t JOIN accounts a ON a.account_id = t.account_id"
)
"""The ledger's rows, each with the user whose account it is."""
FOLLOWING = ("reference", "posting", "balance")
"""The kinds that read along a cursor."""

SLOW = 60.0
"""Seconds from which something is measured once only."""

NEWS = 100
"""Ledger rows that come between two incremental runs."""

NEWS_TURNS = 10
"""How many incremental runs are measured for each time that something else is; they are short."""

MEMORY_MB = 150

PAGE = CHECKOUT / "docs" / "reference" / "performance.md"
HEAD = """\
| question | usual SQL, s | ours, s | floor, s | ratio | goal | met |
|---|---:|---:|---:|---:|---|---|"""

ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; all but `goal` are in seconds."""

    question: str
    usual: float | None
    ours: float
    floor: float | None
    ratio: float
    goal: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        numbers = (f"{each:.2f}" if each is not None else "" for each in (self.usual, self.ours))
        floor = f"{self.floor:.2f}" if self.floor is not None else ""
        met = "" if self.met is None else "yes" if self.met else "**no**"
        cells = (self.question, *numbers, floor, f"{self.ratio:.2f}", self.goal, met)
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True, slots=True)
class Bench:
    """A ledger, the worker's way to read it, and a plain way."""

    ledger: Ledger
    url: URL
    config: Config
    sources: Sources
    turns: int

    def check(self, name: str) -> Check:
        """A check of `config.toml`."""
        return next(each for each in self.config.checks if each.name == name)

    def ours(self, check: Check) -> Way:
        """A complete run, which must find nothing wrong."""
        return lambda: passed(check, check.run(self.sources, everything(self.config.settings)))

    def sql(self, statements: Sequence[str]) -> Way:
        """Statements in a session as the server makes it, as the same account."""

        def execute() -> None:
            with (
                closing(
                    pymysql.connect(
                        host=self.url.host or "",
                        port=self.url.port or 0,
                        user=self.url.username,
                        database=self.url.database,
                        charset="utf8mb4",
                    )
                ) as connection,
                connection.cursor() as cursor,
            ):
                for statement in statements:
                    cursor.execute(statement)
                    cursor.fetchall()

        return execute

    def client(self, statement: str) -> Way:
        """The server's own command-line client, which throws away what it reads."""
        command = [
            *("mariadb", "--no-defaults", "--quick", "--batch", "--skip-column-names"),
            *(f"--host={self.url.host}", f"--port={self.url.port}"),
            *(f"--user={self.url.username}", f"--execute={statement}", f"{self.url.database}"),
        ]
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603

    def timed(self, **ways: Way) -> Mapping[str, float]:
        """The median of the seconds that each way takes, measured in turn."""
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(self.turns):
            for name, way in ways.items():
                if turn == 0 or seconds[name][0] < SLOW:
                    seconds[name].append(clocked(way))
        for name, each in seconds.items():
            say(f"    {name}: {' '.join(f'{one:.3f}' for one in each)}")
        return {name: statistics.median(each) for name, each in seconds.items()}


def main() -> None:
    """Measure and print; every server and file is gone at the end."""
    options = _options()
    with closing(Farm()) as farm:
        server = farm.start(options.flavour, *_room(options.flavour, options.rows))
        lines = list(measure(server, options.rows, options.turns, options.watch))
    table = "\n".join((HEAD, *map(str, lines), ""))
    say(f"\n{options.rows:,} ledger rows; medians of {options.turns}\n\n{table}")
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
        after = rest[rest.index("\n\n") + 1 :]  # a blank line ends the table
        PAGE.write_text(before + table + after, encoding="utf-8")


def measure(server: Server, rows: int, turns: int, watch: float) -> Iterator[Line]:
    """Every line of the table, in turn."""
    run(Database(server=server, name="mysql"), "CREATE USER auditor@'%'")
    say(f"{run(Database(server=server, name='mysql'), 'SELECT VERSION()')[0][0]}")
    with opened(server, rows, turns) as large, opened(server, rows // 10, turns) as small:
        for bench in (small, large):
            assure(bench)
        yield from duplicates(large)
        yield from blank(large)
        yield from balance(large)
        yield from pairs(large)
        yield from relations(large)
        yield from news(small, large)
        if watch:
            yield memory(large, watch)
        yield from duplicates_without_index(large)


@contextmanager
def opened(server: Server, rows: int, turns: int) -> Iterator[Bench]:
    """A ledger of so many rows, and what reads it."""
    start = time.monotonic()
    database = Database(server=server, name=server.create_database())
    ledger = make(database, rows)
    run(database, f"GRANT SELECT ON {database.name}.* TO auditor@'%'")
    say(f"{ledger.rows:,} ledger rows loaded in {time.monotonic() - start:.0f} s")
    url = server.url(database.name, user="auditor")
    current = config.load(SHIPPED, environment(url))
    with closing(Sources.of(current.settings)) as sources:
        yield Bench(ledger, url, current, sources, turns)


def environment(url: URL) -> dict[str, str]:
    """The settings of the worker that differ from `config.toml`."""
    return {
        "RECONCILER_DATABASES__LEDGER__URL": url.render_as_string(hide_password=False),
        "RECONCILER_DATABASES__LEDGER__TIME_LIMIT": "60s",
    }


def assure(bench: Bench) -> None:
    """Run every check of `config.toml` once: it warms the server up, and all must pass."""
    checks = [check for check in bench.config.checks if check.reads == "database"]
    for check in checks:
        seconds = clocked(bench.ours(check))
        if seconds > 1:
            say(f"    {check.name}: {seconds:.1f} s")
    asked = f"none of {len(checks)} checks"
    say(f"{asked} finds fault with {bench.ledger.rows:,} ledger rows")


def clocked(way: Way) -> float:
    """The seconds that a way takes; infinitely many when it runs into the time limit."""
    start = time.monotonic()
    try:
        way()
    except CheckError as error:
        say(f"    {error}")
        return inf
    return time.monotonic() - start


def passed(check: Check, result: Result) -> Result:
    """The result; ends the benchmark when it is not what a consistent ledger gives."""
    if result.violations:
        sys.exit(f"{check.name}: {result.violations} violations: {result.findings[:3]}")
    return result


def duplicates(bench: Bench) -> Iterator[Line]:
    """Beside a scan of the same index, by the server alone, and by its client."""
    index = "FROM asset_transactions FORCE INDEX (uk_idempotency_key)"
    say("duplicates, unique index there")
    seconds = bench.timed(
        usual=bench.sql(usual.GROUPED),
        ours=bench.ours(bench.check(KEY)),
        scan=bench.sql([f"SELECT COUNT(idempotency_key) {index}"]),
        client=bench.client(f"SELECT idempotency_key {index}"),
    )
    for floor, what in (("client", "read by the client"), ("scan", "counted by the server")):
        ratio = seconds["ours"] / seconds[floor]
        yield Line(
            f"duplicates, unique index there; floor: the index {what}",
            *(seconds["usual"], seconds["ours"], seconds[floor], ratio),
            *("at most 1.3 times the floor", ratio <= 1.3),  # noqa: PLR2004
        )


def duplicates_without_index(bench: Bench) -> Iterator[Line]:
    """Last of all, as it takes the index away."""
    run(
        bench.ledger.database,
        "ALTER TABLE asset_transactions DROP KEY uk_idempotency_key",
        "ANALYZE TABLE asset_transactions",
    )
    say("duplicates, index missing")
    seconds = bench.timed(
        usual=bench.sql(usual.GROUPED),
        ours=bench.ours(bench.check(KEY)),
        scan=bench.sql(["SELECT COUNT(idempotency_key) FROM asset_transactions"]),
    )
    yield faster("duplicates, index missing", seconds, 10)


def blank(bench: Bench) -> Iterator[Line]:
    """Beside a look at every row."""
    say("blank keys")
    ways = {"usual": bench.sql(usual.BLANK), "ours": bench.ours(bench.check(BLANK))}
    yield faster("blank keys", bench.timed(**ways), 50)


def balance(bench: Bench) -> Iterator[Line]:
    """Sums and chain, and the sums alone."""
    check = bench.check(BALANCE)
    scan = bench.sql(["SELECT SUM(delta_amount) FROM asset_transactions"])
    say("balance, sums and chain")
    statements = (*usual.SUMS, *usual.CHAIN)
    seconds = bench.timed(usual=bench.sql(statements), ours=bench.ours(check), scan=scan)
    yield faster("balance, sums and chain", seconds, 6)
    say("balance, sums only")
    sums = check.model_copy(update={"chain": None})
    seconds = bench.timed(usual=bench.sql(usual.SUMS), ours=bench.ours(sums), scan=scan)
    yield faster("balance, sums only", seconds)


def pairs(bench: Bench) -> Iterator[Line]:
    """References and postings, one by one and together."""
    total: Counter[str] = Counter()
    for name, statements in usual.PAIRS.items():
        say(name)
        seconds = bench.timed(usual=bench.sql(statements), ours=bench.ours(bench.check(name)))
        total.update(seconds)
        yield faster(name, seconds)
    yield faster("all references and postings", total, 1)


def relations(bench: Bench) -> Iterator[Line]:
    """A table's `when`, and a relation in the place of tables that the check itself joins.

    The usual SQL is that of the check without them.
    """
    counted = Counted("asset_transactions", Expression("business_type <> 'test'"))
    for name in (BALANCE, AWARD):
        check = bench.check(name)
        filtered = check.reading({"asset_transactions": counted})
        say(f"{name}, with when")
        seconds = bench.timed(usual=bench.ours(check), ours=bench.ours(filtered))
        yield faster(f"{name} with `when`; usual: without", seconds)
    check = bench.check(AWARD)
    equal = {"points_to_award": "delta_amount", "user_id": "user_id"}
    fields = {
        "ledger": "owned",
        "through": {},
        "equal": {Expression(near): FarExpression(far) for near, far in equal.items()},
    }
    related = check.model_copy(update=fields).reading({"owned": Selected("owned", OWNED)})
    say(f"{AWARD}, of a relation")
    seconds = bench.timed(usual=bench.ours(check), ours=bench.ours(related))
    yield faster(f"{AWARD} of a relation; usual: with `through`", seconds)


def faster(question: str, seconds: Mapping[str, float], goal: float | None = None) -> Line:
    """How many times the usual SQL takes as long as ours."""
    ratio = seconds["usual"] / seconds["ours"]
    numbers = (seconds["usual"], seconds["ours"], seconds.get("scan"), ratio)
    if goal is None:
        return Line(question, *numbers)
    wanted = "no slower" if goal == 1 else f"at least {goal:g} times faster"
    return Line(question, *numbers, wanted, ratio >= goal)


def news(small: Bench, large: Bench) -> Iterator[Line]:
    """Incremental runs with as many new rows, on a ledger and on one ten times as large."""
    benches = {"small": small, "large": large}
    checks = [check for check in large.config.checks if check.kind in FOLLOWING]
    cursors = {
        (name, check.name): bench.ours(check)().cursor  # type: ignore[attr-defined]
        for name, bench in benches.items()
        for check in checks
    }
    seconds: dict[tuple[str, str], list[float]] = {each: [] for each in cursors}
    say(f"incremental runs after {NEWS} new ledger rows")
    for _ in range(NEWS_TURNS * large.turns + 1):
        for bench in benches.values():
            bench.ledger.grow(NEWS)
        for check in checks:
            for name, bench in benches.items():
                window = replace(
                    everything(bench.config.settings), cursor=cursors[name, check.name]
                )
                start = time.monotonic()
                result = passed(check, check.run(bench.sources, window))
                seconds[name, check.name].append(time.monotonic() - start)
                if result.complete:
                    say(f"    {name} {check.name}: too few rows, or {result.notes}: read whole")
                cursors[name, check.name] = result.cursor
    for each, measured in seconds.items():
        say(f"    {' '.join(each)}: {' '.join(f'{one:.3f}' for one in measured)}")
    for kind in FOLLOWING:
        one, ten = (
            sum(statistics.median(seconds[name, c.name][1:]) for c in checks if c.kind == kind)
            for name in benches
        )
        goal = "at most 1.2 times the floor"
        question = f"incremental {kind}; floor: the same on a tenth of the rows"
        yield Line(question, None, ten, one, ten / one, goal, ten / one <= 1.2)  # noqa: PLR2004
    ten, one = (seconds[name, BALANCE][0] for name in ("large", "small"))
    yield Line(
        "incremental balance, the first after a complete run; floor: on a tenth of the rows",
        *(None, ten, one, ten / one),
    )


def memory(bench: Bench, seconds: float) -> Line:
    """The most memory that `reconciler run` takes, its first runs being complete ones."""
    say(f"the worker, for {seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        settings = environment(bench.url) | {
            "RECONCILER_CONFIG": str(SHIPPED),
            "RECONCILER_STATE__URL": f"sqlite:///{folder}/state.db",
            "RECONCILER_SCHEDULE__EVERY": "5s",
            "RECONCILER_HTTP__PORT": "0",
            "RECONCILER_ACCESS_LOGS__APP__PATH": f"{folder}/access.log",
            "RECONCILER_LOG__FORMAT": "json",
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
        log = Path(folder) / "log"
        Path(folder, "access.log").touch()
        with log.open("wb") as output:
            worker = subprocess.Popen(  # noqa: S603
                [*ENDS_WITH_US, Path(sys.executable).with_name("reconciler"), "run"],
                stdout=output,
                stderr=output,
                cwd=folder,
                env={**clean, **settings},
            )
        time.sleep(seconds)
        if worker.poll() is not None:
            sys.exit(f"the worker ended: {log.read_text()}")
        status = Path(f"/proc/{worker.pid}/status").read_text()
        worker.terminate()
        worker.wait()
        spoken = (json.loads(each) for each in log.read_text().splitlines() if each[:1] == "{")
        runs = Counter((e["outcome"], e["scope"]) for e in spoken if e["event"] == "check_run")
    say(f"    runs: {dict(runs)}")
    peak = next(int(each.split()[1]) for each in status.splitlines() if each.startswith("VmHWM"))
    megabytes = peak * 1024 / 1_000_000
    question = f"peak memory of the worker in MB, {sum(runs.values())} runs in {seconds:g} s"
    goal = f"under {MEMORY_MB} MB"
    return Line(question, None, megabytes, None, megabytes / MEMORY_MB, goal, megabytes < MEMORY_MB)


def say(line: str) -> None:
    """Tell at once how far it is."""
    print(line, flush=True)


def _room(flavour: Flavour, rows: int) -> Iterator[str]:
    """Options that keep the whole ledger in memory."""
    yield f"--innodb-buffer-pool-size={max(256 << 20, rows * 1600)}"
    log = "redo-log-capacity" if flavour == "mysql" else "log-file-size"
    yield f"--innodb-{log}={1 << 30}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=5_000_000, help="ledger rows (5000000)")
    parser.add_argument("--flavour", choices=("mariadb", "mysql"), default="mariadb")
    parser.add_argument("--turns", type=int, default=3, help="measurements of each way (3)")
    parser.add_argument(
        "--watch", type=float, default=180, help="seconds that the worker runs (180)"
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    return parser.parse_args()


if __name__ == "__main__":
    main()

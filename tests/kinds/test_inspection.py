"""SQL to look with shows exactly what the check finds, whatever the rows hold."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from checks.contract import Check, CheckError, Result
from checks.sql.functions import WHITE_SPACE
from tests.support.ledgers import Ledger, check, on_servers

Row = dict[str, Any]

COLUMNS = {
    "id": "bigint NOT NULL PRIMARY KEY",
    "code": "varchar(80) NOT NULL",
    "exact_code": "varchar(80) COLLATE utf8mb4_bin NOT NULL",
    "part": "decimal(40,10) NOT NULL",
    "raw_code": "varbinary(200) NOT NULL",
    "moment": "datetime(6) NOT NULL",
    "u": "bigint unsigned",
    "v": "bigint unsigned NOT NULL",
    "b": "bigint",
    "small": "tinyint",
    "amount": "decimal(20,4)",
    "wide": "decimal(65,30)",
    "word": "varchar(60)",
    "exact": "varchar(60) COLLATE utf8mb4_bin",
    "western": "varchar(60) CHARACTER SET latin1",
    "fixed": "char(20)",
    "raw": "varbinary(60)",
    "state": "enum('new','Open','done')",
    "at": "datetime(6)",
    "stamp": "timestamp NULL",
    "day": "date",
}
KEYS = ("id", "code", "exact_code", "part", "raw_code", "moment")
NUMBERS = ("u", "v", "b", "small", "amount", "wide")
TEXTS = ("word", "exact", "western", "fixed", "raw")

BIG = 2**63
UNSIGNED = st.sampled_from([0, 1, 2, BIG - 1, BIG, 2 * BIG - 1])
SIGNED = st.sampled_from([-BIG, -BIG + 1, -2, -1, 0, 1, 2, BIG - 2, BIG - 1])
AMOUNTS = st.one_of(
    st.sampled_from(["-0.0001", "0.0000", "1.0000", "9999999999999999.9999", "-1.5"]),
    st.decimals("-9999999999999999", "9999999999999999", places=4).map(str),
)
WIDE = st.sampled_from(["-0." + "0" * 29 + "1", "9" * 35 + "." + "9" * 30, "-" + "9" * 35, "0"])
SPACES = st.text(st.sampled_from(WHITE_SPACE + "\u180e\u200b\u2060\ufeff\0"), max_size=3)
PIECES = st.sampled_from(
    [
        *"aA07_%\\'\"`\n#:\u00e9\u00df\u0130\u2028\U0001f600",
        *("ss", "a_7", "A_12", "new", "-1", "--", "/*", "{}", "\\x41"),
    ]
)
WORDS = st.one_of(
    st.builds("{}{}{}".format, SPACES, st.lists(PIECES, max_size=3).map("".join), SPACES),
    st.builds("a_{}".format, st.integers(0, 120)),
    SPACES,
)
WESTERN = WORDS.map(lambda text: re.sub("[^\0-\x7f\xa0-\xff]", "", text))
BYTES = st.sampled_from([b"", b" ", b"\t", b"\xff", b"\0", b"a_7"]) | WORDS.map(str.encode)
START = datetime.fromisoformat("1970-01-02")
MOMENTS = st.one_of(
    st.integers(0, 2 * 10**9).map(lambda seconds: START + timedelta(seconds=seconds)),
    st.datetimes(datetime.fromisoformat("1000-01-01")),
    st.integers(-5000, 5000).map(
        lambda seconds: (datetime.now(UTC) + timedelta(seconds=seconds)).replace(tzinfo=None)
    ),
)
STAMPS = st.integers(0, 2 * 10**9).map(lambda seconds: START + timedelta(seconds=seconds))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "code": WORDS,
            "exact_code": WORDS,
            "part": st.decimals("-" + "9" * 20, "9" * 20, places=8),
            "raw_code": WORDS.map(lambda text: text.replace("\\", "")),
            "moment": MOMENTS,
            "u": maybe(UNSIGNED),
            "v": UNSIGNED,
            "b": maybe(SIGNED),
            "small": maybe(st.integers(-128, 127)),
            "amount": maybe(AMOUNTS),
            "wide": maybe(WIDE),
            "word": maybe(WORDS),
            "exact": maybe(WORDS),
            "western": maybe(WESTERN),
            "fixed": maybe(WORDS.map(lambda text: text[:20])),
            "raw": maybe(BYTES),
            "state": maybe(st.sampled_from(["new", "Open", "done"])),
            "at": maybe(MOMENTS),
            "stamp": maybe(STAMPS),
            "day": maybe(st.dates(date(1000, 1, 1))),
        }
    ),
    min_size=1,
    max_size=6,
)

MODES = st.sampled_from(
    [
        "",
        "NO_BACKSLASH_ESCAPES",
        "ANSI_QUOTES,STRICT_ALL_TABLES",
        "PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION",
        "TRADITIONAL,ONLY_FULL_GROUP_BY,IGNORE_SPACE",
    ]
)

SIMPLE = st.sampled_from([*NUMBERS, "0", "1", "-1", "NULL", str(BIG), "-u", "-b"])
SUMS = st.one_of(
    SIMPLE,
    st.builds("{} {} {}".format, SIMPLE, st.sampled_from("+-*"), SIMPLE),
    st.builds("COALESCE({}, {} - {})".format, SIMPLE, SIMPLE, SIMPLE),
)
QUOTED = st.one_of(WORDS, st.sampled_from(["new", "OPEN", "a", "%", "_%", "\\%"])).map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\0", "") + "'"
)
NAMED = st.sampled_from(["word", "exact", "fixed", "state"])
COMPARED = st.one_of(
    st.builds("{} {} {}".format, SUMS, st.sampled_from(["=", "<>", "<", ">=", "<=>"]), SUMS),
    st.builds("{} BETWEEN {} AND {}".format, SUMS, SUMS, SUMS),
    st.builds("{} {} ({}, {})".format, SUMS, st.sampled_from(["IN", "NOT IN"]), SUMS, SIMPLE),
    st.builds("{} {} {}".format, NAMED, st.sampled_from(["=", "<>", "<", "<=>", "LIKE"]), QUOTED),
    st.builds("{} NOT LIKE {}".format, NAMED, QUOTED),
    st.builds("{} IN ({}, {})".format, NAMED, QUOTED, QUOTED),
    st.builds("{} IS {}".format, st.sampled_from([*NUMBERS, *TEXTS, "at"]), st.just("NOT NULL")),
    st.builds("COALESCE({}, {}) = {}".format, NAMED, QUOTED, NAMED),
    st.sampled_from(["at < stamp", "day >= '2020-02-29'", "non_empty_array(exact) = 1", "TRUE"]),
)
CONDITIONS = st.recursive(
    COMPARED,
    lambda part: st.one_of(
        st.builds("({}) {} ({})".format, part, st.sampled_from(["AND", "OR", "="]), part),
        st.builds("{} {} {}".format, part, st.sampled_from(["AND", "OR"]), part),
        st.builds("NOT {}".format, part),
        st.builds("({}) IS {}".format, part, st.sampled_from(["TRUE", "NOT TRUE", "NOT NULL"])),
    ),
    max_leaves=4,
)
PATTERNS = st.sampled_from(
    ["a_{int}", "a_{int:2}", "{word}", "{word:1..3}", "A_{hex}", "a'\"b", "\\{int}", "a[{int}]^#$"]
)


def holding(ledger: Ledger, rows: Sequence[Row]) -> None:
    """Put rows into a table `t`, each key of theirs its own."""
    if not ledger.sql("SHOW TABLES LIKE 't'"):
        columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
        ledger.sql(f"CREATE TABLE t ({columns}) DEFAULT CHARSET utf8mb4")
    ledger.sql("DELETE FROM t")
    filled = []
    for number, row in enumerate(rows):
        own = {
            "id": number - 2,
            "code": f"{number}{row['code']}"[:80],
            "exact_code": f"{number}{row['exact_code']}"[:80],
            "part": f"{row['part']:.8f}{number:02}",
            "raw_code": f"{number}{row['raw_code']}".encode(),
        }
        moment = row["moment"].replace(microsecond=number)
        filled.append([{**row, **own, "moment": moment}[name] for name in COLUMNS])
    ledger.insert("t", ", ".join(COLUMNS), filled)


def shown(ledger: Ledger, mode: str, statement: str | None, column: str) -> list[object]:
    """A column of what a statement shows to somebody with this SQL mode."""
    assert statement is not None
    assert statement.isascii()
    assert not re.search(r"[^ -~\n]", statement)
    ledger.sql(f"SET SESSION sql_mode = '{mode}', time_zone = '+00:00'")
    try:
        inside = statement.replace("SELECT *", f"SELECT `{column}`", 1)
        return sorted(row[0] for row in ledger.sql(inside))
    finally:
        ledger.sql("SET SESSION sql_mode = DEFAULT")


def ran(ledger: Ledger, one: Check) -> Result:
    """What a check finds, in an example whose condition the server takes."""
    try:
        return one.run(ledger.sources)
    except CheckError:
        reject()


def agrees(ledger: Ledger, mode: str, one: Check) -> None:
    """Whether both statements of a check of rows show the rows of its findings, and no other."""
    result = ran(ledger, one)
    found = [finding.key for finding in result.findings]
    everything = shown(ledger, mode, one.look(), "id")
    assert len(found) == result.violations == len(everything)
    for key in found:
        assert len(shown(ledger, mode, one.look([key]), "id")) == 1
    if found:
        assert shown(ledger, mode, one.look(found), "id") == everything


thoroughly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@on_servers
@thoroughly
@given(rows=ROWS, mode=MODES, key=st.sampled_from(KEYS), data=st.data())
def test_negative_amounts(
    ledger: Ledger, rows: list[Row], mode: str, key: str, data: st.DataObject
) -> None:
    """The statements of `non_negative` show the rows with a negative amount."""
    columns = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3, unique=True))
    holding(ledger, rows)
    agrees(ledger, mode, check("non_negative", "t", primary_key=key, columns=columns))


@on_servers
@thoroughly
@given(rows=ROWS, mode=MODES, key=st.sampled_from(KEYS), expression=CONDITIONS)
def test_rows_that_break_a_condition(
    ledger: Ledger, rows: list[Row], mode: str, key: str, expression: str
) -> None:
    """The statements of `condition` show the rows for which it is not true."""
    holding(ledger, rows)
    agrees(ledger, mode, check("condition", "t", primary_key=key, expression=expression))


@on_servers
@thoroughly
@given(
    rows=ROWS,
    mode=MODES,
    key=st.sampled_from(KEYS),
    column=st.sampled_from([*TEXTS, "b", "state", "at", "day", "amount"]),
)
def test_blank_rows(ledger: Ledger, rows: list[Row], mode: str, key: str, column: str) -> None:
    """The statements of `blank` show the blank rows."""
    holding(ledger, rows)
    agrees(ledger, mode, check("blank", "t", primary_key=key, column=column))


@on_servers
@thoroughly
@given(
    rows=ROWS,
    mode=MODES,
    fields=st.fixed_dictionaries(
        {
            "primary_key": st.sampled_from(KEYS),
            "column": st.sampled_from([*TEXTS, "b", "state"]),
            "patterns": st.lists(PATTERNS, min_size=1, max_size=3),
            "written_at": st.sampled_from(["at", "stamp"]),
        },
        optional={"when": CONDITIONS, "since": STAMPS},
    ),
)
def test_keys_that_break_a_rule(
    ledger: Ledger, rows: list[Row], mode: str, fields: dict[str, object]
) -> None:
    """The statements of `key_format` show the rows whose key breaks its rules."""
    holding(ledger, rows)
    agrees(ledger, mode, check("key_format", "t", **fields))


@on_servers
@thoroughly
@given(
    rows=ROWS,
    mode=MODES,
    fields=st.fixed_dictionaries(
        {
            "primary_key": st.sampled_from(KEYS),
            "when": CONDITIONS,
            "entered_at": st.sampled_from(["at", "stamp"]),
            "longer_than": st.just("30m"),
        }
    ),
)
def test_rows_in_a_passing_state(
    ledger: Ledger, rows: list[Row], mode: str, fields: dict[str, object]
) -> None:
    """The statements of `stuck` show its findings, and all rows in the state."""
    holding(ledger, rows)
    one = check("stuck", "t", **fields)
    result = ran(ledger, one)
    found = [finding.key for finding in result.findings]
    everything = shown(ledger, mode, one.look(), "id")
    assert len(everything) == result.examined
    if found:
        some = shown(ledger, mode, one.look(found), "id")
        assert len(some) == len(found)
        assert set(some) <= set(everything)


@on_servers
@thoroughly
@given(
    rows=ROWS,
    mode=MODES,
    columns=st.lists(
        st.sampled_from([*NUMBERS, *TEXTS, "state", "at", "stamp", "day"]),
        min_size=1,
        max_size=2,
        unique=True,
    ),
    nulls=st.sampled_from(["equal", "distinct"]),
)
def test_rows_that_share_a_key(
    ledger: Ledger, rows: list[Row], mode: str, columns: list[str], nulls: str
) -> None:
    """The statements of `duplicates` show its groups, and the rows of each."""
    holding(ledger, rows + [{**row, "word": f"{row['word']}\t"} for row in rows[:2]])
    one = check("duplicates", "t", primary_key="id", columns=columns, nulls=nulls)
    result = ran(ledger, one)
    groups = re.sub(r"^SELECT .*", "SELECT COUNT(*)", one.look() or "")
    assert len(shown(ledger, mode, groups, "id")) == len(result.findings)
    if "raw" in columns:
        return  # bytes that are no text are not always found again
    for finding in result.findings:
        ids = finding.evidence["row_ids"]
        assert isinstance(ids, tuple)
        assert shown(ledger, mode, one.look([finding.key]), "id") == sorted(map(int, map(str, ids)))


NEAR = {
    "id": "bigint NOT NULL PRIMARY KEY",
    "ref": "bigint unsigned",
    "name": "varchar(40)",
    "part": "bigint",
    "u": "bigint unsigned",
    "v": "bigint unsigned",
    "amount": "decimal(20,4)",
    "word": "varchar(40)",
    "at": "datetime(6)",
}
FAR = {
    "id": "bigint unsigned NOT NULL PRIMARY KEY",
    "name": "varchar(80)",
    "owner": "bigint",
    "u": "bigint unsigned",
    "v": "bigint unsigned",
    "amount": "decimal(20,4)",
    "word": "varchar(40)",
    "at": "datetime(6)",
}
OWNERS = {"id": "bigint NOT NULL PRIMARY KEY", "word": "varchar(40)", "u": "bigint unsigned"}
FEW = st.sampled_from([0, 1, 2, 3, BIG])
TIMES = st.sampled_from([datetime.fromisoformat(f"202{year}-01-01") for year in (4, 5, 6)])
SAME = st.sampled_from(["a", "A", "a ", "\u00e1", "b", "a:1", "\\", "'", "", "\t", "1", "01"])
COMMON = {
    "u": maybe(FEW),
    "v": maybe(FEW),
    "amount": maybe(st.sampled_from(["-1", "0", "0.5", "1", "3"])),
    "word": maybe(SAME),
    "at": maybe(TIMES),
}
NEARS = st.lists(
    st.fixed_dictionaries(
        {"ref": maybe(FEW), "name": maybe(SAME), "part": maybe(st.integers(-2, 2)), **COMMON}
    ),
    max_size=6,
)
FARS = st.lists(
    st.fixed_dictionaries(
        {
            "name": maybe(
                st.builds("x:{}".format, st.integers(-2, 2))
                | st.builds("{}:{}!".format, SAME, st.integers(-2, 2))
                | SAME
            ),
            "owner": maybe(st.integers(0, 2)),
            **COMMON,
        }
    ),
    max_size=5,
)
SIDE = st.sampled_from(["u - v", "u", "amount", "-amount", "u + v", "word", "COALESCE(u, v) - 1"])
WHEN = st.sampled_from(
    ["u - v >= 0", "word <> 'a'", "word NOT LIKE 'a%'", "amount IS NOT NULL", "u <=> v", "TRUE"]
)
FAR_SIDE = SIDE | st.sampled_from(["owners.u", "owners.u - v", "owners.word"])
FAR_WHEN = WHEN | st.sampled_from(["owners.word = 'a'", "owners.u - u < 0"])
SIDES = {
    "equal": st.dictionaries(SIDE, FAR_SIDE, max_size=2),
    "when": WHEN,
    "since": TIMES,
}


PAIRED: dict[str, object] = {
    "primary_key": "id",
    "written_at": "at",
    "settle": "0s",
    "through": {"owners": {"id": "owner"}},
}


def paired(ledger: Ledger, near: Sequence[Row], far: Sequence[Row]) -> None:
    """Put rows into the tables `near`, `far` and `owners`."""
    if not ledger.sql("SHOW TABLES LIKE 'near'"):
        for table, columns in (("near", NEAR), ("far", FAR), ("owners", OWNERS)):
            described = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
            ledger.sql(f"CREATE TABLE {table} ({described}) DEFAULT CHARSET utf8mb4")
        ledger.insert("owners", "id, word, u", [(0, "a", 0), (1, "b", BIG), (2, None, None)])
    for table, columns, rows in (("near", NEAR, near), ("far", FAR, far)):
        ledger.sql(f"DELETE FROM {table}")
        filled = [{"id": number, **row} for number, row in enumerate(rows)]
        ledger.insert(table, ", ".join(columns), [[row[n] for n in columns] for row in filled])


def pairs_agree(ledger: Ledger, mode: str, one: Check) -> None:
    """Whether the statements of a check of pairs show its findings, and nothing else."""
    result = ran(ledger, one)
    everything = read(ledger, mode, one.look())
    told = sorted(", ".join(map(str, each.key.values())) for each in result.findings)
    assert len(everything) == result.violations == len(told), one.look()
    if all(set(each.key) <= {"id", "far.id"} for each in result.findings):
        last = 1 if "UNION ALL" in (one.look() or "") else 0
        assert sorted(str(row[last]) for row in everything) == told
    for finding in result.findings:
        rows = read(ledger, mode, one.look([finding.key]))
        assert len(rows) >= (
            int(str(finding.evidence.get("rows"))) if "rows" in finding.evidence else 1
        )
        if set(finding.key) == {"id"}:
            assert {row[0] for row in rows} == set(finding.key.values())
        elif finding.evidence["problem"] in {"unreferenced", "orphaned", "unwarranted"}:
            assert all(finding.key["far.id"] in row for row in rows)


def read(ledger: Ledger, mode: str, statement: str | None) -> list[tuple[Any, ...]]:
    """What a statement shows to somebody with this SQL mode."""
    assert statement is not None
    assert not re.search(r"[^ -~\n]", statement)
    ledger.sql(f"SET SESSION sql_mode = '{mode}', time_zone = '+00:00'")
    try:
        return ledger.sql(statement)
    finally:
        ledger.sql("SET SESSION sql_mode = DEFAULT")


@on_servers
@thoroughly
@given(
    near=NEARS,
    far=FARS,
    mode=MODES,
    fields=st.fixed_dictionaries(
        {"reverse": st.booleans(), "one_to_one": st.booleans()},
        optional={
            **SIDES,
            "parent_when": FAR_WHEN,
            "parent_columns": st.just(["name"]),
            "none": st.lists(st.sampled_from([0, 1, "", "a"]), min_size=1, max_size=2),
            "not_null_when": WHEN,
        },
    ),
    key=st.sampled_from(["", "x:{part}", "{`word`}"]),
    suffices=st.booleans(),
)
def test_references(  # noqa: PLR0917 - what there is to vary
    ledger: Ledger,
    near: list[Row],
    far: list[Row],
    mode: str,
    fields: dict[str, object],
    key: str,
    suffices: bool,  # noqa: FBT001 - drawn by the test
) -> None:
    """The statements of `reference` show its findings, of both directions and of shared parents."""
    paired(ledger, near, far)
    names = {"columns": ["name"] if "parent_columns" in fields else ["ref"], "parent": "far"}
    own: dict[str, object] = {"parent_primary_key": "id", "parent_written_at": "at"}
    own |= {"key": key, "key_suffices": suffices, "key_column": "name"} if key else {}
    if suffices and not key and "parent_columns" in fields:  # which are texts
        own |= {"collation": "bytes"}
    pairs_agree(ledger, mode, check("reference", "near", **PAIRED, **names, **own, **fields))


@on_servers
@thoroughly
@given(
    near=NEARS,
    far=FARS,
    mode=MODES,
    fields=st.fixed_dictionaries(
        {
            "ledger_key": st.sampled_from(["x:{part}", "{name}:{part}!", "{name}"]),
            "ledger_when": FAR_WHEN,
            "reverse": st.booleans(),
        },
        optional={
            **SIDES,
            "allowed_when": WHEN,
            "sum": st.dictionaries(
                st.sampled_from(["u - v", "amount", "u"]),
                st.sampled_from(["u", "amount", "owners.u - v"]),
                min_size=1,
                max_size=2,
            ),
        },
    ),
    more=st.sampled_from([[], ["{name}"], ["x:{part}", "{name}:{part}!"]]),
    together=st.sampled_from(["", "ledger_sum", "ledger_sum_at_most"]),
    how=st.sampled_from([None, "bytes", "utf8mb4_bin"]),
    amounts=st.tuples(st.sampled_from(["u - v", "amount", "u"]), st.sampled_from(["u", "amount"])),
)
def test_postings(  # noqa: PLR0917 - what there is to vary
    ledger: Ledger,
    near: list[Row],
    far: list[Row],
    mode: str,
    fields: dict[str, object],
    more: list[str],
    together: str,
    how: str | None,
    amounts: tuple[str, str],
) -> None:
    """The statements of `posting` show its findings, of both directions, one by one or summed."""
    paired(ledger, near, far)
    names = {"ledger": "far", "ledger_key_column": "name"}
    own: dict[str, object] = {"ledger_primary_key": "id", "ledger_written_at": "at"}
    if "sum" not in fields:
        own |= {together: dict([amounts])} if together else {}
        keys = dict.fromkeys([str(fields["ledger_key"]), *more])
        fields |= {"ledger_key": [*keys]}
        own |= {"collation": how}
    pairs_agree(ledger, mode, check("posting", "near", **PAIRED, **names, **own, **fields))


SUMMED = {
    "held": "id bigint NOT NULL PRIMARY KEY, owner bigint, asset varchar(20), amount bigint,"
    " cold bigint",
    "moves": "id bigint NOT NULL PRIMARY KEY, who bigint, asset varchar(20), delta bigint,"
    " chill bigint, opens bigint unsigned, closes bigint unsigned",
}
OWNER = maybe(st.integers(0, 2))
ASSET = maybe(st.sampled_from(["P", "p", "P ", "\u00e9", "e", "'"]))
LITTLE = maybe(st.sampled_from([0, 1, 1, 2, 3, -1, BIG - 1]))
ENDS = maybe(st.sampled_from([0, 0, 1, 2, 3]))
CHAIN = {"before": "opens", "change": "delta", "after": "closes"}
HELD = st.lists(st.tuples(OWNER, ASSET, LITTLE, LITTLE), max_size=4)
MOVES = st.lists(st.tuples(OWNER, ASSET, LITTLE, LITTLE, ENDS, ENDS), max_size=6)


def groups_agree(ledger: Ledger, mode: str, one: Check) -> None:
    """Whether the statements of a check of groups show its findings, and nothing else."""
    result = ran(ledger, one)
    assert len(read(ledger, mode, one.look())) == result.violations == len(result.findings)
    for finding in result.findings:
        assert len(read(ledger, mode, one.look([finding.key]))) == 1


def summed(ledger: Ledger, **rows: Sequence[Sequence[object]]) -> None:
    """Put rows into tables of `SUMMED`, numbered from 1."""
    for table, some in rows.items():
        if not ledger.sql(f"SHOW TABLES LIKE '{table}'"):
            ledger.sql(f"CREATE TABLE {table} ({SUMMED[table]}) DEFAULT CHARSET utf8mb4")
        ledger.sql(f"DELETE FROM {table}")
        names = ", ".join(re.findall(r"(\w+) (?:big|var|dec)", SUMMED[table]))
        ledger.insert(table, names, [(n, *row) for n, row in enumerate(some, 1)])


@on_servers
@thoroughly
@given(
    held=HELD,
    moves=MOVES,
    mode=MODES,
    fields=st.fixed_dictionaries(
        {
            "sums": st.sampled_from([{"amount": "delta"}, {"amount": "delta", "cold": "chill"}]),
            "empty_allowed": st.booleans(),
        },
        optional={"chain": st.just(CHAIN)},
    ),
)
@example(
    held=[(0, "P", 1, 1), (0, "P", 1, 1)],
    moves=[(0, "P", 2, 2, 0, 3)],
    mode="",
    fields={"sums": {"amount": "delta"}, "chain": CHAIN},
)
def test_balances(
    ledger: Ledger, held: list[Any], moves: list[Any], mode: str, fields: dict[str, object]
) -> None:
    """The statements of `balance` show the groups whose ledger and balance differ."""
    summed(ledger, held=held, moves=moves)
    names = {"primary_key": "id", "ledger": "moves", "ledger_primary_key": "id"}
    by = {"by": ["owner", "asset"], "ledger_by": ["who", "asset"]}
    groups_agree(ledger, mode, check("balance", "held", **names, **by, **fields))


SUMMED |= {
    "accounts": "id bigint NOT NULL PRIMARY KEY, user bigint",
    "frozen": "id bigint NOT NULL PRIMARY KEY, account bigint, asset varchar(20),"
    " amount decimal(20,4), u bigint unsigned, v bigint unsigned",
    "orders": "id bigint NOT NULL PRIMARY KEY, buyer bigint, asset varchar(20),"
    " amount decimal(20,4), u bigint unsigned, v bigint unsigned",
}
CENTS = maybe(st.sampled_from(["0", "0.5", "1", "1.5", "2", "-1", "9999999999999999.9999"]))
AMOUNTS_OF = st.lists(st.tuples(OWNER, ASSET, CENTS, maybe(FEW), maybe(FEW)), max_size=4)


@on_servers
@thoroughly
@given(
    frozen=AMOUNTS_OF,
    orders=AMOUNTS_OF,
    mode=MODES,
    by=st.lists(st.sampled_from(["accounts.user", "asset"]), min_size=1, unique=True),
    whens=st.lists(WHEN.filter(lambda each: "word" not in each), min_size=1, max_size=2),
)
def test_backed_amounts(  # noqa: PLR0917 - what there is to vary
    ledger: Ledger,
    frozen: list[Any],
    orders: list[Any],
    mode: str,
    by: list[str],
    whens: list[str],
) -> None:
    """The statements of `backing` show the owners whose amount is not what is held."""
    summed(ledger, accounts=[(0,), (None,)], frozen=frozen, orders=orders)
    own = [{"accounts.user": "buyer"}.get(each, each) for each in by]
    holders = [{"table": "orders", "by": own, "amount": "amount", "when": each} for each in whens]
    through = {"accounts": {"id": "account"}}
    fields = {"amount": "amount", "by": by, "through": through, "holders": holders}
    groups_agree(ledger, mode, check("backing", "frozen", **fields))

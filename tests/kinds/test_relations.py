"""Relations: what a name stands for, for every kind and on either side of a comparison."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from checks.contract import Check, CheckError
from checks.ports import Sources
from checks.snapshot import DatabaseCheck, Snapshot
from checks.sql import catalog
from checks.sql.exact import size_of
from tests.support.ledgers import Ledger, configured, keys, on_servers
from tests.support.runs import Counting, DatabaseOnly, window_after
from worker.config import ConfigError

FACTS = """
[tables.moves]
primary_key = "id"
cursor = "id"
when = "is_test = 0"
keys = [{ columns = ["code"] }]
non_negative = ["amount"]
[tables.people]
primary_key = "id"
when = "is_test = 0"
"""
"""What is stated of two tables, in each of which some rows do not count."""

OF_USERS = """
[relations.user_moves]
select = '''SELECT m.id, m.person, m.code, m.amount, p.kind
            FROM moves m JOIN people p ON p.id = m.person WHERE p.kind = 'user' '''
primary_key = "id"
cursor = "id"
keys = [{ columns = ["code"] }]
non_negative = ["amount"]
rows = { at_least = 1 }
"""


REFERENCE = """
[[checks]]
name = "who"
kind = "reference"
table = "moves"
columns = ["person"]
parent = "people"
settle = "0s"
"""


@pytest.fixture
def books(ledger: Ledger) -> Ledger:
    """Moves of people; half of both are there for tests."""
    ledger.sql(
        "CREATE TABLE people (id bigint PRIMARY KEY, kind varchar(10), total bigint NOT NULL,"
        " is_test int NOT NULL)",
        "CREATE TABLE moves (id bigint PRIMARY KEY, person bigint, code varchar(20),"
        " amount bigint NOT NULL, is_test int NOT NULL)",
    )
    people = [(1, "user", 7, 0), (2, "user", 5, 0), (3, "system", 0, 0), (4, "user", 9, 1)]
    ledger.insert("people", "id, kind, total, is_test", people)
    moves = [
        *((1, 1, "a", 7, 0), (2, 2, "b", 5, 0), (3, 3, "c", -12, 0), (4, 4, "d", 1, 1)),
        *((5, 1, "a", -1, 1), (6, 9, "f", 2, 1)),
    ]
    ledger.insert("moves", "id, person, code, amount, is_test", moves)
    return ledger


def found(check: Check, ledger: Ledger) -> list[dict[str, object]]:
    """The keys of what a complete run finds."""
    return [dict(key) for key in keys(check.run(ledger.sources))]


def test_rows_that_do_not_count_are_not_there_for_any_kind(books: Ledger, tmp_path: Path) -> None:
    """On either side: a duplicate, a negative amount, a dangling and an orphaned row."""
    checks = configured(
        f"""{FACTS}
        {REFERENCE}
        reverse = true
        [[checks]]
        name = "sums"
        kind = "balance"
        table = "people"
        by = ["id"]
        sums = {{ total = "amount" }}
        ledger = "moves"
        ledger_by = ["person"]
        """,
        tmp_path,
    )
    assert found(checks["moves.duplicates.code"], books) == []
    assert found(checks["moves.non_negative"], books) == [{"id": 3}]
    assert found(checks["who"], books) == []
    assert found(checks["sums"], books) == [{"id": 3}]  # -12 in the ledger, 0 kept
    assert checks["moves.row_count"].run(books.sources).measures == {"rows": 3}
    assert "is_test = 0" in " ".join(checks["who"].excluded)


def test_a_filter_is_honoured_along_the_cursor(books: Ledger, tmp_path: Path) -> None:
    """A new row that does not count is not judged, and one that does is."""
    check = configured(FACTS + REFERENCE, tmp_path)["who"]
    first = check.run(books.sources)
    books.insert("moves", "id, person, code, amount, is_test", [(7, 8, "g", 1, 1)])
    second = check.run(books.sources, window_after(first))
    assert (second.violations, second.complete) == (0, False)
    books.insert("moves", "id, person, code, amount, is_test", [(8, 4, "h", 1, 0)])
    third = check.run(books.sources, window_after(second))
    assert keys(third) == [{"id": 8}]  # there is a person 4, who does not count


def test_a_named_select_is_read_like_a_table(books: Ledger, tmp_path: Path) -> None:
    """With its facts; it reads the rows that count of the tables that it names."""
    checks = configured(FACTS + OF_USERS, tmp_path)
    assert checks["user_moves.row_count"].run(books.sources).measures == {"rows": 2}
    assert found(checks["user_moves.non_negative"], books) == []
    books.sql("UPDATE moves SET amount = -7, code = 'b' WHERE id = 1")
    assert found(checks["user_moves.non_negative"], books) == [{"id": 1}]
    assert found(checks["user_moves.duplicates.code"], books) == [{"code": "b"}]


@on_servers
def test_what_people_get_shows_the_rows_that_count(books: Ledger, tmp_path: Path) -> None:
    """The inspection query reads the relation, too."""
    check = configured(FACTS + OF_USERS, tmp_path)["user_moves.non_negative"]
    books.sql("UPDATE moves SET amount = -1")
    query = check.look()
    assert query
    assert sorted(row[0] for row in books.sql(query)) == [1, 2]


@on_servers
def test_columns_of_a_select_are_what_the_server_says(ledger: Ledger, tmp_path: Path) -> None:
    """Those of tables as the catalog has them, those worked out with type and collation."""
    ledger.sql(
        "CREATE TABLE t (id bigint unsigned PRIMARY KEY, code varchar(20) CHARACTER SET ascii"
        " COLLATE ascii_bin NOT NULL, amount decimal(30,7) NOT NULL, at datetime(3) NOT NULL,"
        " raw varbinary(9) NOT NULL, note text COLLATE utf8mb4_bin, kind enum('a','b'))"
    )
    (check,) = configured(
        """
        [relations.r]
        select = '''SELECT id, code, amount, kind, SUM(amount) total, COUNT(*) number,
            MAX(at) latest, CONCAT(MAX(code), 'x') built, MAX(raw) bytes, MAX(note) longest
            FROM t GROUP BY id, code, amount, kind'''
        primary_key = "id"
        rows = { at_least = 1 }
        """,
        tmp_path,
    ).values()
    with ledger.sources.snapshot("ledger") as connection:
        columns = Snapshot.of(connection, check.needs, relations=check.relations).columns["r"]  # type: ignore[attr-defined]
        indexes = catalog.indexes(connection, "r")
    types = {name: re.sub(r"\(20\)|,\d+\)", ")", each.type) for name, each in columns.items()}
    assert types["id"] == "bigint) unsigned" or types["id"] == "bigint unsigned"
    assert columns["code"].collation == "ascii_bin"
    assert columns["kind"].members == ("a", "b")
    assert columns["total"].is_number
    assert not columns["total"].is_integer
    assert columns["number"].is_integer
    assert columns["latest"].is_moment
    assert columns["built"].is_text
    assert columns["bytes"].is_binary
    assert columns["longest"].collation == "utf8mb4_bin"
    assert columns["longest"].is_long
    assert any(each.proves_unique(["id", "code", "amount", "kind"]) for each in indexes)


@on_servers
@pytest.mark.parametrize(
    ("select", "says"),
    [
        ("SELECT id, amoun FROM moves", "a column amoun; the nearest existing name is amount"),
        (
            "SELECT m.id, m.cod AS x FROM moves m",
            "no column cod; the nearest existing name is code",
        ),
        ("SELECT id FROM mooves", "table mooves does not exist"),
        ("SELECT id, SUM(MAX(amount)) AS x FROM moves GROUP BY id", "refuses it"),
        ("SELECT m.id, kind FROM moves m, people p WHERE is_test = 0", "refuses it"),
    ],
)
def test_what_a_select_names_and_the_database_lacks_is_told(
    books: Ledger, tmp_path: Path, select: str, says: str
) -> None:
    """As an error of the run that says what is missing, and never as an answer."""
    (check,) = configured(
        f'[relations.r]\nselect = "{select}"\nprimary_key = "id"\nrows = {{ at_least = 1 }}',
        tmp_path,
    ).values()
    with pytest.raises(CheckError, match=re.escape(says)) as caught:
        check.run(books.sources)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("select", "says"),
    [
        ("SELECT * FROM t", "relations.r.select: name the columns"),
        (
            "SELECT id, a + 1 FROM t",
            "relations.r.select: a column of the result has no name: a + 1",
        ),
        ("SELECT id, ID FROM t", "two columns of the result are named ID"),
        ("DELETE FROM t", "only a SELECT is read, and this begins with DELETE"),
        ("SELECT id FROM t; DROP TABLE t", "one SELECT is read, not 2 statements"),
        ("SELECT id FROM t FOR UPDATE", "would lock rows"),
        ("SELECT id INTO OUTFILE '/x' FROM t", "not a SELECT"),
        ("SELECT SLEEP(9) id FROM t", "the function SLEEP is not known here (line 1)"),
        ("SELECT `sleep`(9) id FROM t", "the function sleep is not known here"),
        ("SELECT id FROM t USE INDEX (a)", "hints for the optimizer, such as USE INDEX, are not"),
        ("SELECT id FROM t FORCE KEY FOR JOIN (a)", "hints for the optimizer"),
        ("SELECT id FROM t x IGNORE INDEX (a) WHERE id > 0", "USE INDEX, are not read (line 1)"),
        ("SELECT id FROM t STRAIGHT_JOIN (SELECT 1 b) x", "STRAIGHT_JOIN, are not read"),
        ("SELECT id FROM t WHERE MATCH (a) AGAINST ('x')", "MATCH … AGAINST is not read"),
        ("SELECT x.id FROM (SELECT 1, 2) AS x (id, b)", "names of columns behind x are not read"),
        ("SELECT x.id FROM (SELECT 1, 2) `x` (id, b)", "behind x are not read (line 1): give"),
        ("SELECT t.id FROM t JOIN LATERAL (SELECT 1 b) x", "LATERAL is not read"),
        ("SELECT id FROM t WHERE `index`(a)", "the function index is not known here (line 1)"),
        ("SELECT LOAD_FILE('/etc/passwd') id", "the function LOAD_FILE is not known"),
        ("SELECT @a := 1 id", "variables are not"),
        ("SELECT @@version id", "variables are not read"),
        ("SELECT /*! SLEEP(9), */ id FROM t", "comments are not read"),
        ("SELECT id FROM t -- x", "comments are not read"),
        ("SELECT id FROM mysql.user", "no table of an application"),
        ("SELECT id FROM t LIMIT 9", "LIMIT at the end"),
        ("SELECT NOW() id", "UTC_TIMESTAMP()"),
        ("WITH w AS (SELECT 1 id) SELECT id FROM w", "WITH is not read"),
        ("SELECT id FROM t WHERE " + "(" * 900 + "a" + ")" * 900, "nested too deeply"),
        ("SELECT id FROM t WHERE " + "NOT " * 400 + "a", "nested too deeply"),
        ("SELECT x FROM t", "the SELECT gives no column id"),
        ("SELECT id FROM r", "reads itself: r → r"),
        ("SELECT id, 'it\\'s' x FROM t", "a quote in a text is written as two"),
        (r"SELECT id FROM t WHERE a = 'App\User'", r"'App\User' has \U"),
        ("SELECT 1 " + "+ 1 " * 9000 + "id", "characters, at most"),
        ("", "only a SELECT is read"),
        ("SELECT id FROM t WHERE", "not a SELECT"),
        ("SELECT DATE_ADD(SELECT a, INTERVAL 1 DAY) id FROM t", "not a SELECT: cannot be read"),
        ("SELECT \u0000 id", "control character"),
    ],
)
def test_a_select_that_is_not_allowed_is_one_located_mistake(
    tmp_path: Path, select: str, says: str
) -> None:
    """Whatever the text is."""
    text = select.replace("\\", "\\\\").replace('"', '\\"').replace("\u0000", "\\u0000")
    with pytest.raises(ConfigError) as caught:
        configured(f'[relations.r]\nselect = "{text}"\nprimary_key = "id"', tmp_path)
    (problem,) = caught.value.problems
    assert problem.place.startswith("relations.r")
    assert says in str(problem)


def test_relations_read_one_another(books: Ledger, tmp_path: Path) -> None:
    """One in the place of a table of another, in any order; a circle is a mistake."""
    checks = configured(
        f"""{FACTS}
        [relations.above]
        select = "SELECT id, amount FROM below WHERE amount > 5"
        primary_key = "id"
        rows = {{ at_least = 1 }}
        [relations.below]
        select = "SELECT b.id, b.amount FROM moves b"
        primary_key = "id"
        """,
        tmp_path,
    )
    assert checks["above.row_count"].run(books.sources).measures == {"rows": 1}
    assert "is_test = 0" in checks["above.row_count"].excluded[0]
    assert "below.row_count" not in checks  # nobody asked for it, and it costs what the SELECT does
    with pytest.raises(ConfigError, match="reads itself: a → b → a"):
        configured(
            '[relations.a]\nselect = "SELECT id FROM b"\nprimary_key = "id"\n'
            '[relations.b]\nselect = "SELECT id FROM a"\nprimary_key = "id"',
            tmp_path,
        )


def chained(number: int, select: str) -> str:
    """Relations, each of which reads the next one, the last of them a table."""
    table = '\n[relations.{}]\nselect = "{}"\nprimary_key = "id"'
    names = [*(f"r{n}" for n in range(number)), "moves"]
    pairs = itertools.pairwise(names)
    return "".join(table.format(one, select.format(other)) for one, other in pairs)


@pytest.mark.parametrize(
    ("number", "select", "says"),
    [
        (21, "SELECT id FROM {}", "20 levels are the most"),
        (3000, "SELECT id FROM {}", "20 levels are the most"),
        (19, "SELECT a.id FROM {0} a JOIN {0} b ON a.id = b.id", "500000 are the most"),
        (60, "SELECT a.id FROM {0} a, {0} b, {0} c WHERE a.id < b.id", "are the most"),
    ],
)
def test_relations_that_read_too_many_others_are_mistakes(
    tmp_path: Path, number: int, select: str, says: str
) -> None:
    """However many there are: neither the reader nor the server is brought to its limits."""
    with pytest.raises(ConfigError) as caught:
        configured(chained(number, select), tmp_path)
    assert all(each.place.endswith(".select") for each in caught.value.problems)
    assert all(says in each.message for each in caught.value.problems)
    assert len(caught.value.problems) <= 2


AMOUNTS = [
    *("d", "d * d", "SUM(d)", "AVG(d)", "-d", "d + u", "u - 1.5", "COALESCE(d, 12345678901234)"),
    *("w + 1", "SUM(w)", "SUM(u)", "i / 3", "0.00001", "CASE WHEN i THEN d ELSE s END", "un - un"),
    *("ROUND(d, 2)", "GREATEST(d, i)", "(SELECT MAX(d) FROM t)", "SUM(d) OVER ()"),
]


@on_servers
def test_amounts_that_a_select_works_out_are_as_wide_as_the_server_makes_them(
    ledger: Ledger, tmp_path: Path
) -> None:
    """As a table made of it has them: no amount is refused for digits that it cannot have."""
    ledger.sql(
        "CREATE TABLE t (id int PRIMARY KEY, d decimal(20,8), i int, u bigint unsigned,"
        " w decimal(65,30), un decimal(12,3) unsigned, s decimal(5,5))"
    )
    for source in AMOUNTS:
        text = f"SELECT {source} AS x FROM t"
        ledger.sql("DROP TABLE IF EXISTS made", f"CREATE TABLE made AS {text}")
        (check,) = configured(
            f'[relations.r]\nselect = "{text}"\nprimary_key = "x"\nrows = {{ at_least = 1 }}',
            tmp_path,
        ).values()
        assert isinstance(check, DatabaseCheck)
        with ledger.sources.snapshot("ledger") as connection:
            Snapshot.of(connection, {"r": ("x",), "made": ("x",)}, relations=check.relations)
            made, read = (size_of(catalog.columns(connection, n)["x"]) for n in ("made", "r"))
        assert made
        assert read
        assert made.places == read.places
        assert 0 <= read.whole - made.whole <= (source == "-d"), source  # a sign, on MariaDB


@on_servers
def test_relations_may_read_others_as_deep_as_is_said(books: Ledger, tmp_path: Path) -> None:
    """The one that reads all the others is read like any other."""
    checks = configured(
        f"""{chained(20, "SELECT id, amount FROM {}")}
        [[checks]]
        name = "deepest"
        kind = "non_negative"
        table = "r0"
        primary_key = "id"
        columns = ["amount"]
        [[checks]]
        name = "table"
        kind = "non_negative"
        table = "moves"
        primary_key = "id"
        columns = ["amount"]
        """,
        tmp_path,
    )
    found = [keys(checks[name].run(books.sources)) for name in ("deepest", "table")]
    assert found[0] == found[1] != []


def test_a_select_may_spell_columns_in_any_letter_case(books: Ledger, tmp_path: Path) -> None:
    """To the database it is all one; what the result is named is what the SELECT says."""
    checks = configured(
        FACTS
        + REFERENCE
        + """
        [relations.r]
        select = "SELECT m.ID AS id, Amount AS amount, m.pErson AS who FROM moves m WHERE ID <> 0"
        primary_key = "id"
        cursor = "id"
        non_negative = ["amount"]
        [[checks]]
        name = "r.who"
        kind = "reference"
        table = "r"
        columns = ["who"]
        parent = "people"
        settle = "0s"
        """,
        tmp_path,
    )
    for name, same in {"r.non_negative": "moves.non_negative", "r.who": "who"}.items():
        assert keys(checks[name].run(books.sources)) == keys(checks[same].run(books.sources))


@on_servers
def test_a_relation_is_read_along_an_index_of_its_table(books: Ledger, tmp_path: Path) -> None:
    """A cursor that is a column of a table is found by its index; one worked out is not."""
    checks = configured(
        FACTS
        + OF_USERS
        + """
        [relations.worked_out]
        select = "SELECT id + 0 AS id, code FROM moves"
        primary_key = "id"
        cursor = "id"
        keys = [{ columns = ["code"] }]
        [[checks]]
        name = "along"
        kind = "reference"
        table = "user_moves"
        columns = ["person"]
        parent = "people"
        settle = "0s"
        [[checks]]
        name = "whole"
        kind = "reference"
        table = "worked_out"
        columns = ["id"]
        parent = "people"
        settle = "0s"
        """,
        tmp_path,
    )
    assert checks["along"].run(books.sources).notes == ()
    assert "read as a whole" in checks["whole"].run(books.sources).notes[0]


FOLLOWED = """
[tables.moves]
primary_key = "id"
cursor = "id"
when = "is_test = 0"
[tables.people]
primary_key = "id"
when = "is_test = 0"
[relations.joined]
select = '''SELECT m.id AS number, m.person, m.code
            FROM moves m JOIN people p ON p.id = m.person WHERE p.kind = 'user' '''
primary_key = "number"
cursor = "number"
[relations.united]
select = '''SELECT id, person, made_at FROM moves
            UNION ALL SELECT id, person, made_at FROM others'''
primary_key = "id"
cursor = "made_at"
written_at = "made_at"
"""


@on_servers
@pytest.mark.parametrize("table", ["moves", "joined", "united"])
def test_an_incremental_run_reads_what_is_new(books: Ledger, tmp_path: Path, table: str) -> None:
    """Of a filtered table, a join and a UNION by a time: by the index, however large they are."""
    number = 3000
    books.sql("DELETE FROM moves", "DELETE FROM people")
    for name in ("moves", "others"):
        if name == "others":
            books.sql("CREATE TABLE others LIKE moves")
        else:
            books.sql("ALTER TABLE moves ADD COLUMN made_at datetime NOT NULL, ADD KEY (made_at)")
        books.insert(
            name,
            "id, person, code, amount, is_test, made_at",
            [
                (n, n, f"c{n}", 1, 0, f"2025-01-01 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}")
                for n in range(number)
            ],
        )
    books.insert("people", "id, kind, total, is_test", [(n, "user", 1, 0) for n in range(number)])
    books.sql("ANALYZE TABLE moves, others, people")
    reference = REFERENCE.replace('"moves"', f'"{table}"')
    check = configured(FOLLOWED + reference, tmp_path)["who"]
    counting = Counting(books.sources)
    first = check.run(counting)
    second = check.run(counting, window_after(first, overlap_rows=10))
    assert not second.complete
    books.sql("INSERT INTO moves VALUES (9000, 9000, 'new', 1, 0, '2025-01-02')")
    if table != "joined":
        third = check.run(counting, window_after(second, overlap_rows=10))
        assert third.violations == 1
    assert counting.reads[0] >= number
    assert counting.reads[-1] < number / 4


@on_servers
def test_numbers_of_several_tables_do_not_grow_together(books: Ledger, tmp_path: Path) -> None:
    """A UNION by whole numbers is read as a whole: a row of either table may be the next."""
    books.sql("CREATE TABLE others LIKE moves")
    united = """
        [tables.people]
        primary_key = "id"
        [relations.united]
        select = "SELECT id, person FROM moves UNION ALL SELECT id, person FROM others"
        primary_key = "id"
        cursor = "id"
        """
    check = configured(united + REFERENCE.replace('"moves"', '"united"'), tmp_path)["who"]
    first = check.run(books.sources)
    assert first.cursor is None
    assert "read as a whole" in first.notes[0]


@on_servers
@pytest.mark.parametrize(
    ("select", "says"),
    [
        ("SELECT m.id, p.kind FROM moves m JOIN people p ON p.id = m.person", "each of its joins"),
        ("SELECT MAX(id) AS id, person FROM moves GROUP BY person", "worked out again in each run"),
    ],
)
def test_a_relation_that_is_too_slow_says_what_helps(
    books: Ledger, tmp_path: Path, select: str, says: str
) -> None:
    """The error of the time limit names the relation and where to look."""
    facts = f'[relations.r]\nselect = "{select}"\nprimary_key = "id"\nrows = {{ at_least = 1 }}'
    check = configured(facts, tmp_path)["r.row_count"]
    slow = _Stopped(books.sources)
    with pytest.raises(CheckError, match=f"time limit.*relation r.*{says}.*explain r.row_count"):
        check.run(slow)


@on_servers
def test_an_error_among_the_rows_of_a_relation_names_it(books: Ledger, tmp_path: Path) -> None:
    """What a server stumbles over only when it reads the rows tells where to look."""
    select = "SELECT id FROM moves WHERE amount * 9223372036854775807 > 0"
    facts = f'[relations.r]\nselect = "{select}"\nprimary_key = "id"\nrows = {{ at_least = 1 }}'
    check = configured(facts, tmp_path)["r.row_count"]
    with pytest.raises(CheckError, match=r"^database .*, in a check that reads r$"):
        check.run(books.sources)


class _Stopped(DatabaseOnly):
    """The worker's sources, whose time limit stops each run as the server would."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """Let a statement run into the server's limit."""
        with self._sources.snapshot(database) as connection:
            is_mariadb = getattr(connection.dialect, "is_mariadb", False)
            limit, unit = ("max_statement_time", 1) if is_mariadb else ("max_execution_time", 1000)
            connection.exec_driver_sql(f"SET SESSION {limit} = {unit / 100:g}")
            endless = "SELECT COUNT(*) FROM information_schema.columns a, moves b, moves c, moves d"
            try:
                connection.exec_driver_sql(f"{endless}, moves e, moves f, moves g, moves h")
                yield connection
            finally:
                connection.exec_driver_sql(f"SET SESSION {limit} = {unit * 600}")


@on_servers
@pytest.mark.parametrize(
    "select",
    [
        "SELECT person AS id, SUM(amount) AS amount FROM moves GROUP BY person",
        "SELECT id, SUM(amount) OVER (PARTITION BY code) AS amount FROM moves",
        "SELECT g.id, g.amount FROM grouped g",
    ],
)
def test_rows_made_of_several_rows_are_not_followed(
    books: Ledger, tmp_path: Path, select: str
) -> None:
    """A group that was read changes by a row that comes later: it is read as a whole each time."""
    facts = f"""
        [relations.grouped]
        select = "SELECT person AS id, SUM(amount) AS amount FROM moves GROUP BY person"
        primary_key = "id"
        [relations.r]
        select = "{select}"
        primary_key = "id"
        cursor = "id"
        [tables.people]
        primary_key = "id"
        [[checks]]
        name = "kept"
        kind = "reference"
        table = "r"
        columns = ["id"]
        parent = "people"
        parent_when = "kind <> 'x'"
        when = "amount < -1000"
        settle = "0s"
        """
    check = configured(facts, tmp_path)["kept"]
    books.sql(
        "ALTER TABLE moves MODIFY person bigint NOT NULL, ADD KEY (person)",
        "DELETE FROM moves WHERE person = 9",
        "UPDATE people SET kind = 'x'",
    )
    first = check.run(books.sources)
    assert first.violations == 0
    books.insert("moves", "id, person, code, amount, is_test", [(99, 1, "a", -9000, 0)])
    second = check.run(books.sources, window_after(first))
    assert {"id": 1} in keys(second)
    assert "several rows" in first.notes[0]


@on_servers
@pytest.mark.parametrize("name", ["moves", "some"])
@pytest.mark.parametrize("kind", ["double", "varchar(20)", "decimal(20, 4)"])
def test_a_filter_calculates_exactly_whatever_the_types(
    ledger: Ledger, tmp_path: Path, kind: str, name: str
) -> None:
    """0.1 and 0.2 are 0.3 in a table's `when`, as in a condition, also within a relation."""
    ledger.sql(f"CREATE TABLE moves (id int PRIMARY KEY, a {kind}, b {kind}, n int)")
    ledger.insert("moves", "id, a, b, n", [(1, "0.1", "0.2", -1), (2, "0.1", "0.3", -1)])
    facts = f"""
[tables.moves]
primary_key = "id"
when = "a + b = 0.3"
[relations.some]
select = "SELECT id, n FROM moves"
primary_key = "id"
[[checks]]
name = "t"
kind = "non_negative"
table = "{name}"
columns = ["n"]
"""
    found = configured(facts, tmp_path)["t"].evaluate(ledger.sources)
    assert (keys(found), found.violations) == ([{"id": 1}], 1)


def test_an_inspection_query_of_a_relation_shows_as_many_findings(tmp_path: Path) -> None:
    """However long its SELECT is: that takes no room from the keys."""
    wide = " OR ".join(f"person = {n}" for n in range(300))
    facts = f"""
[tables.moves]
primary_key = "id"
non_negative = ["amount"]
[relations.some]
select = "SELECT id, amount FROM moves WHERE {wide}"
primary_key = "id"
non_negative = ["amount"]
"""
    checks = configured(facts, tmp_path)
    rows = [{"id": 10**17 + n} for n in range(20)]
    plain, through = (checks[f"{name}.non_negative"].look(rows) for name in ("moves", "some"))
    shown = [sum(str(row["id"]) in str(query) for row in rows) for query in (plain, through)]
    assert shown == [20, 20]

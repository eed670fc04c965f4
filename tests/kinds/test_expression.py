"""Conditions of the configuration: what is allowed, and that it means what SQL means."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from checks.contract import CheckError
from checks.snapshot import Snapshot
from checks.sql.expression import Expression
from checks.sql.statements import rows_of
from tests.support.ledgers import Ledger, check, keys, on_servers

REFUSED = [
    ("a = (SELECT 1)", "not allowed in a condition"),
    ("EXISTS (SELECT 1 FROM t)", "not allowed in a condition"),
    ("a IN (SELECT id FROM t)", "IN takes a list of values"),
    ("SLEEP(10) = 0", "not allowed in a condition: SLEEP"),
    ("BENCHMARK(9, 1)", "not allowed in a condition"),
    ("LOAD_FILE('/etc/passwd') IS NULL", "not allowed in a condition"),
    ("GET_LOCK('x', 9)", "not allowed in a condition"),
    ("@@version = 8", "not allowed in a condition"),
    ("@x = 1", "not allowed in a condition"),
    ("a := 1", "not allowed in a condition"),
    ("other.a = 1", "not allowed in a condition: other.a"),
    ("a / 3 = 1", "division is exact by a constant such as 2, 10 or 100 only: a / 3"),
    ("a / b = 1", "division is exact by a constant"),
    ("a / 0 = 1", "division is exact by a constant"),
    ("a % 2 = 1", "not allowed in a condition: a % 2"),
    ("a DIV 2 = 1", "not allowed in a condition"),
    ("ROUND(a, 2) = 1", "not allowed in a condition: ROUND"),
    ("IF(a, b) = 1", "not allowed in a condition: IF"),
    ("CONCAT_WS(',', a)", "not allowed in a condition: CONCAT_WS"),
    ("TRIM(BOTH 'x' FROM a)", "not allowed in a condition: TRIM"),
    ("LTRIM(a) = 'x'", "not allowed in a condition: LTRIM"),
    ("SUBSTRING(a, -1) = 'x'", "a place in a text is a whole number from 1 on"),
    ("LEFT(a, b) = 'x'", "a place in a text is a whole number from 1 on"),
    ("RIGHT(a, 0) = 'x'", "a place in a text is a whole number from 1 on"),
    ("a->'$.b' = 'x'", "a text is in quotes on some databases"),
    ("JSON_EXTRACT(a, '$.b') = 'x'", "a text is in quotes on some databases"),
    ("a->>'$.*' = 'x'", "a path is made of names and numbers"),
    ("a->>'$.\"x y\"' = 'x'", "a path is made of names and numbers"),
    ("JSON_UNQUOTE(a) = 'x'", "not allowed in a condition"),
    ("CAST(a AS SIGNED) = 1", "not allowed in a condition"),
    ("UUID() = 'x'", "not allowed in a condition"),
    ("NOW() > a", "not allowed in a condition"),
    ("a REGEXP 'x'", "not allowed in a condition"),
    ("non_empty_array('[]')", "non_empty_array takes one column"),
    ("non_empty_array(a, b)", "non_empty_array takes one column"),
    ("a IS b", "IS takes NULL, TRUE or FALSE"),
    ("a BETWEEN SYMMETRIC 2 AND 1", "not allowed in a condition"),
    ("a AS b", "not allowed in a condition"),
    ("a = 1; DROP TABLE t", "not allowed in a condition"),
    ("DROP TABLE t", "not allowed in a condition"),
    ("a = ", "not a condition"),
    ("a = 'x", "not a condition"),
    (r"a = 'App\User'", r"a backslash in a text is written as two: 'App\User' has \U"),
    (r"a IN ('b', 'app\new')", r"'app\new' has \n"),
    (r"a = 'x\\\y'", r"has \y"),
    ("(a = 1", "not a condition"),
    ("", "not a condition"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_everything_else_is_refused(source: str, message: str) -> None:
    """What could write, wait or read elsewhere, and what is no condition, is refused at once."""
    with pytest.raises(ValueError, match=r".") as caught:
        Expression(source)
    assert message in str(caught.value)


def test_depth_is_bounded() -> None:
    """A condition nested beyond reason is refused, not a crash."""
    with pytest.raises(ValueError, match="not a condition: nested too deeply"):
        Expression("NOT (" * 20000 + "a" + ")" * 20000)


def test_columns_are_named_once_in_order() -> None:
    """The columns that a condition names are known, each once."""
    expression = Expression("b = 1 AND (a > b OR non_empty_array(`c d`))")
    assert expression.columns == ("b", "a", "c d")


COLUMNS = ("a", "b", "c")
NUMBERS = st.sampled_from([*COLUMNS, "0", "1", "-1", "2", "NULL", "(-a)"])
SUMS = st.recursive(
    NUMBERS,
    lambda part: st.one_of(
        st.builds("{} {} {}".format, part, st.sampled_from(["+", "-", "*"]), part),
        st.builds("({})".format, part),
        st.builds("COALESCE({}, {})".format, part, part),
    ),
    max_leaves=4,
)
COMPARED = st.one_of(
    st.builds("{} {} {}".format, SUMS, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), SUMS),
    st.builds(
        "{} {} {}".format,
        SUMS,
        st.sampled_from(["IS", "IS NOT"]),
        st.sampled_from(["NULL", "TRUE", "FALSE"]),
    ),
    st.builds("{} {} ({}, {})".format, SUMS, st.sampled_from(["IN", "NOT IN"]), SUMS, SUMS),
    st.builds("{} BETWEEN {} AND {}".format, SUMS, NUMBERS, SUMS),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(COLUMNS),
        st.sampled_from(["LIKE", "NOT LIKE"]),
        st.sampled_from(["'%2'", "'_'", "'1%'", "b"]),
    ),
)
CONDITIONS = st.recursive(
    COMPARED,
    lambda part: st.one_of(
        st.builds("{} {} {}".format, part, st.sampled_from(["AND", "OR"]), part),
        st.builds("({}) {} ({})".format, part, st.sampled_from(["=", "<>", "AND", "OR"]), part),
        st.builds("NOT {}".format, part),
        st.builds("NOT ({})".format, part),
        st.builds("({}) IS NULL".format, part),
    ),
    max_leaves=5,
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(source=CONDITIONS)
def test_means_what_the_server_means(ledger: Ledger, source: str) -> None:
    """A condition built anew gives each row the value that its text has on the server itself."""
    if not ledger.sql(_EXISTS[ledger.backend]):
        ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int)")
        values = (None, 0, 1, -2)
        rows = [(a, b, c) for a in values for b in values for c in values]
        ledger.insert("t", "id, a, b, c", [(n, *row) for n, row in enumerate(rows)])
    expected = [row[0] for row in ledger.sql(f"SELECT {source} FROM t ORDER BY id")]
    table = rows_of("t", ("id", *COLUMNS))
    built = select(Expression(source).on(table)).select_from(table).order_by(table.c.id)
    with ledger.sources.snapshot("ledger") as connection:
        found = list(connection.scalars(built))
    assert found == expected


_EXISTS = {
    "sqlite": "SELECT 1 FROM sqlite_schema WHERE name = 't'",
    "mariadb": "SHOW TABLES LIKE 't'",
    "mysql": "SHOW TABLES LIKE 't'",
}


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("a IS TRUE", [-1, 1, 5]),
        ("a IS NOT TRUE", [None, 0]),
        ("a IS FALSE", [0]),
        ("a IS NOT FALSE", [None, -1, 1, 5]),
        ("NOT (a IS TRUE)", [None, 0]),
    ],
)
def test_any_number_but_zero_is_true(ledger: Ledger, source: str, values: list[int | None]) -> None:
    """What is TRUE is every number but 0, not 1 alone."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a int)")
    ledger.insert("t", "id, a", list(enumerate([None, -1, 0, 1, 5])))
    table = rows_of("t", ("id", "a"))
    built = select(table.c.a).where(Expression(source).on(table)).order_by(table.c.id)
    with ledger.sources.snapshot("ledger") as connection:
        assert list(connection.scalars(built)) == values


@on_servers
@pytest.mark.parametrize("type_", ["datetime", "date", "varchar(20)", "char(20)", "timestamp NULL"])
def test_the_first_of_texts_and_times_is_what_the_server_takes_for_it(
    ledger: Ledger, type_: str
) -> None:
    """LEAST and GREATEST order what is no number as it is, not by a number at its beginning."""
    ledger.sql(f"CREATE TABLE t (id int PRIMARY KEY, a {type_}, b {type_})")
    days = [("2026-01-01", "2026-02-01"), ("2026-02-02", "2026-01-09"), ("2026-03-01",) * 2]
    ledger.insert("t", "id, a, b", [(n, *each) for n, each in enumerate(days)])
    for source in ("LEAST(a, b) = a", "b = GREATEST(b, a)", "GREATEST(a, '2026-02-01') = a"):
        right = {row[0] for row in ledger.sql(f"SELECT id FROM t WHERE {source}")}
        assert 0 < len(right) < len(days) + 1
        one = check("condition", "t", primary_key="id", expression=source)
        found = [key["id"] for key in keys(one.run(ledger.sources))]
        assert found == [n for n in range(len(days)) if n not in right]
        assert [row[0] for row in ledger.sql(one.look() or "")] == found


@on_servers
@pytest.mark.parametrize("source", ["LEAST(word, n) = n", "GREATEST(at, 1, n) = n"])
def test_the_first_of_texts_and_numbers_together_is_an_error(ledger: Ledger, source: str) -> None:
    """One server would compare numbers and the other one texts."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, word varchar(9), n int, at datetime)")
    with pytest.raises(CheckError, match=r"together: (LEAST|GREATEST)") as error:
        ledger.run("condition", "t", primary_key="id", expression=source)
    assert error.value.permanent


DOCUMENT = '{"a": {"b": ["x", 7, 0.25, null, true, "Ü"]}, "none": null}'
WORTH = [
    ("CASE WHEN way = 'in' THEN n ELSE -n END", -7),
    ("CASE way WHEN 'in' THEN n WHEN 'out' THEN 2 * n END", 14),
    ("CASE way WHEN 'in' THEN n END", None),
    ("IF(n > 3, d, n)", 1.25),
    ("IF(absent, 1, 2)", 2),
    ("ABS(-n) + ABS(d)", 8.25),
    ("ABS(0 - big)", 2**63 - 1),
    ("LEAST(n, d, big)", 1.25),
    ("GREATEST(n, d, -big)", 7),
    ("LEAST(n, absent)", None),
    ("GREATEST(way, 'in')", "out"),
    ("LEAST('x', LOWER('OUT'), way)", "out"),
    ("GREATEST(LEFT(way, 1), document->>'$.a.b[0]', 'a')", "x"),
    ("LEAST(way, NULL)", None),
    ("NULLIF(n, 7)", None),
    ("NULLIF(d, 7)", 1.25),
    ("IFNULL(absent, d)", 1.25),
    ("n / 100", 0.07),
    ("d / 8 + n / 2.5", 2.95625),
    ("CONCAT(way, '-', word)", "out-  Wörter "),
    ("CONCAT(way, absent)", None),
    ("LOWER(TRIM(word))", "wörter"),
    ("UPPER(TRIM(word))", "WÖRTER"),
    ("LEFT(way, 2)", "ou"),
    ("RIGHT(way, 2)", "ut"),
    ("RIGHT(way, 20)", "out"),
    ("SUBSTRING(way, 2)", "ut"),
    ("SUBSTRING(way, 2, 1)", "u"),
    ("SUBSTR(TRIM(word), 2, 3)", "ört"),
    ("document->>'$.a.b[0]'", "x"),
    ("document->>'$.a.b[5]'", "Ü"),
    ("JSON_UNQUOTE(JSON_EXTRACT(document, '$.a.b[1]'))", "7"),
    ("document->>'$.a.b[1]' + document->>'$.a.b[2]'", 7.25),
    ("document->>'$.a.b[4]'", "true"),
    ("document->>'$.none'", None),
    ("document->>'$.a.b[3]'", None),
    ("document->>'$.a.missing'", None),
    ("word->>'$.a'", None),
    ("absent->>'$.a'", None),
    ("IF('out' = way, 1, 0)", 1),
]


@pytest.mark.parametrize(("source", "worth"), WORTH)
def test_functions_mean_the_same_everywhere(ledger: Ledger, source: str, worth: object) -> None:
    """Each function has one value, whatever the database, with the columns' types and without."""
    kind = "text" if ledger.backend == "sqlite" else "json"
    ledger.sql(
        "CREATE TABLE t (id int PRIMARY KEY, way varchar(9), n int, d decimal(9,2), big bigint,"
        f" absent int, word varchar(20), document {kind})"
    )
    values = (1, "out", 7, "1.25", 2**63 - 1, None, "  Wörter ", DOCUMENT)
    ledger.insert("t", "id, way, n, d, big, absent, word, document", [values])
    names = ("id", "way", "n", "d", "big", "absent", "word", "document")
    table, expression = rows_of("t", names), Expression(source)
    with ledger.sources.snapshot("ledger") as connection:
        types = Snapshot.of(connection, {"t": names}).types("t")
        for built in (expression.on(table), expression.on(table, types)):
            found = connection.scalar(select(built).select_from(table))
            assert isinstance(found, str) == isinstance(worth, str)
            is_number = worth is not None and not isinstance(worth, str)
            assert (Decimal(str(found)) if is_number else found) == (
                Decimal(str(worth)) if is_number else worth
            )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"'App\\User'", r"App\User"),
        (r"'a''b\\'", "a'b\\"),
        (r"'it\'s'", "it's"),
        ("'a\nb'", "a\nb"),
    ],
)
def test_a_text_is_what_its_backslashes_say(ledger: Ledger, written: str, text: str) -> None:
    """A doubled one is one; a line feed stands for itself."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a varchar(20))")
    ledger.insert("t", "id, a", [(1, text), (2, text.replace("\\", ""))])
    expected = 2 if "\\" not in text else 1
    run = check("condition", "t", primary_key="id", expression=f"a <> {written}").run(
        ledger.sources
    )
    assert run.violations == expected

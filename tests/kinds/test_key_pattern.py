"""Rules for keys: what they take, what is no rule, and that all databases read them alike."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import String, bindparam, column, literal, select, table

from checks.keys.pattern import KeyPattern, is_blank, longest, obeys, regex_of
from tests.support.ledgers import Ledger, on_servers

UUID = "50f654f6-152f-4411-8bbd-59d68331fcd6"


def is_key(value: str, *sources: str) -> bool:
    """Whether Python takes a text for a key of one of these rules."""
    return re.search(regex_of([KeyPattern(each) for each in sources]), value) is not None


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        ("lottery_draw_{int}_{int}", ["lottery_draw_3_17"], ["lottery_draw_3_", "lottery_draw_3"]),
        ("{int:13}", ["1767528930000"], ["176752893000", "17675289300000", "176752893000٣"]),
        ("{int}", ["0", "1" * 20], ["", "1" * 21, "-1", "1.0", "٣"]),
        ("{uuid}", [UUID, UUID.upper()], [UUID[:-1], UUID.replace("-", ""), f"{{{UUID}}}"]),
        ("{hex:4..6}", ["00ff", "00FFaa"], ["00f", "00ff00f", "00fg"]),
        ("{hex}", ["f", "f" * 400], ["", "g"]),
        ("{word:2..3}", ["a_", "Z-9"], ["a", "a_b-", "a:b", "ä_"]),
        ("{token:8..64}", ["a.b:c_d-", "a" * 64], ["a" * 65, "a" * 7, "a b c d e", "aaaaaaa/"]),
        ("a.b*(c)|[d]^$+?\\#", ["a.b*(c)|[d]^$+?\\#"], ["axb*(c)|[d]^$+?\\#", "a.b"]),
        ("A{int}", ["A1"], ["a1", "A1\n", "A1 ", " A1", "A1\r\n", "A1\u2028", "A1\0", "xA1"]),
    ],
)
def test_a_rule_takes_whole_keys(source: str, right: list[str], wrong: list[str]) -> None:
    """A key obeys from its first to its last character, in ASCII, letter case and all."""
    assert [each for each in right if not is_key(each, source)] == []
    assert [each for each in wrong if is_key(each, source)] == []


def test_one_of_several_rules_is_enough() -> None:
    """Of several rules a key obeys one as a whole, not the start of one and the end of another."""
    rules = ("a_{int}", "b_{word:2}")
    taken = {each for each in ("a_1", "b_xx", "a_xx", "b_1", "a_1b_xx") if is_key(each, *rules)}
    assert taken == {"a_1", "b_xx"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "a key rule has 1 to 500 characters"),
        ("a" * 501, "a key rule has 1 to 500 characters"),
        ("a_{user_id}", r"\{user_id\} is no placeholder: int, hex, word, token, uuid are"),
        ("{INT}", r"\{INT\} is no placeholder"),
        ("{uuid:36}", r"\{uuid:36\} is no placeholder"),
        ("{}", r"\{\} is no placeholder"),
        ("a_{int", r"a brace encloses a placeholder: \{int\}"),
        ("a_}", "a brace encloses a placeholder"),
        ("{{int}}", "a brace encloses a placeholder"),
        ("a {int}", "' ' in a key: fixed text is printable ASCII without spaces"),
        ("é{int}", "'é' in a key"),
        ("a\n", r"'\\n' in a key"),
        ("{int:}", "a length is a number or a range, such as 13 or 8..64"),
        ("{int:0}", "a length is a number or a range"),
        ("{int:٣}", "a length is a number or a range"),
        ("{word:8..}", "a length is a number or a range"),
        ("{word:8,64}", "a length is a number or a range"),
        ("{word:64..8}", "a range goes up, to 1000 at most"),
        ("{word:1001}", "a range goes up, to 1000 at most"),
        ("{word}_{int}", r"\{word\} may end anywhere in what follows"),
        ("{int}{int}", r"\{int\} may end anywhere in what follows"),
        ("{int}{uuid}{int}", r"\{int\} may end anywhere in what follows"),
        ("{hex:1..4}a{int}", r"\{hex:1..4\} may end anywhere in what follows"),
    ],
)
def test_what_is_no_rule_is_refused(source: str, message: str) -> None:
    """What is no rule, or could be read in two ways, is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        KeyPattern(source)


@pytest.mark.parametrize(
    "source", ["{int}_{int}", "{word}:{int}", "{int}{int:13}", "{word}-{uuid}", "{word:8}_{int}"]
)
def test_what_can_be_read_in_one_way_is_a_rule(source: str) -> None:
    """Text apart, or one length to the end, leaves one way to read a key."""
    assert is_key(KeyPattern(source).example, source)


@pytest.mark.parametrize(
    ("source", "least", "most"),
    [("a_{int}", 3, 22), ("{uuid}", 36, 36), ("{word:8..64}", 8, 64), ("a-{hex}", 3, None)],
)
def test_a_rule_knows_its_lengths(source: str, least: int, most: int | None) -> None:
    """The shortest and the longest key, which has no limit where a placeholder has none."""
    assert (KeyPattern(source).shortest, KeyPattern(source).longest) == (least, most)
    assert longest([KeyPattern(source), KeyPattern("{int:2}")]) == most


def test_a_rule_speaks_for_people() -> None:
    """Each placeholder is told once, in words."""
    rule = KeyPattern("x_{int}_{int}_{word:8..64}")
    assert rule.in_words == (
        "{int}: 1 to 20 digits",
        "{word:8..64}: 8 to 64 letters, digits, _ and -",
    )


FIXED = {
    "int": "0123456789",
    "hex": "0123456789abcdefABCDEF",
    "word": "azAZ09_-",
    "token": "a9_-:.",
}
ODD = [
    "\n",
    "\r",
    "\r\n",
    "\x0b",
    "\x85",
    "\u2028",
    "\0",
    " ",
    "\t",
    "٣",
    "\u212a",
    "\u017f",
    "\u0131",
    "é",
    "😀",
]


@st.composite
def rules_with_keys(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A rule, and texts: a key that obeys it, and others that are near or far."""
    source, key = "", ""
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.text("aKs.$^|\\()[]*+?#~&_:", min_size=1, max_size=3)) + "/"
        kind = draw(st.sampled_from([*FIXED, "uuid"]))
        if kind == "uuid":
            source, key = source + text + "{uuid}/", key + text + UUID + "/"
            continue
        least = draw(st.integers(1, 5))
        most = least + draw(st.integers(0, 4))
        limits = draw(st.sampled_from(["", f":{least}", f":{least}..{most}"]))
        source += f"{text}{{{kind}{limits}}}"
        key += text + draw(st.text(FIXED[kind], min_size=least, max_size=least))
        source, key = source + "/", key + "/"
    place = draw(st.integers(0, len(key)))
    odd = draw(st.sampled_from(ODD))
    near = [
        key + odd,
        odd + key,
        key[:place] + odd + key[place:],
        key[:place] + odd + key[place + 1 :],
        key[:place] + key[place + 1 :],
        key.swapcase(),
        key + key,
    ]
    return source, [key, "", odd, *near, draw(st.text(st.characters(exclude_categories=["Cs"])))]


@given(case=rules_with_keys())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_every_database_reads_a_rule_as_python_does(
    shared_ledger: Ledger, case: tuple[str, list[str]]
) -> None:
    """Of any rule and any text, each database says what Python's own regular expressions say."""
    source, values = case
    rule = KeyPattern(source)
    expected = [re.fullmatch(rule.regex, each) is not None for each in values]
    assert expected[0]
    wanted = [
        obeys(bindparam(f"v{n}", each, String()), [rule]).label(f"c{n}")
        for n, each in enumerate(values)
    ]
    with shared_ledger.sources.snapshot("ledger") as connection:
        row = connection.execute(select(*wanted)).one()
    assert [bool(each) for each in row] == expected, (source, values)


@on_servers
@pytest.mark.parametrize(
    "column_type",
    [
        "varchar(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "varchar(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "varchar(99) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        "varchar(99) CHARACTER SET ascii",
        "varbinary(99)",
        "enum('Ab1', 'ab1', 'Ab1 x') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    ],
)
def test_the_collation_of_a_column_does_not_matter(ledger: Ledger, column_type: str) -> None:
    """Case and trailing spaces count under each collation and character set."""
    ledger.sql(f"CREATE TABLE t (k {column_type})")
    values = ["Ab1", "ab1"] if column_type.startswith("enum") else ["Ab1", "ab1", "Ab1 ", "AB1"]
    ledger.insert("t", "k", [(each,) for each in values])
    t = table("t", column("k"))
    with ledger.sources.snapshot("ledger") as connection:
        wanted = select(t.c.k).where(obeys(t.c.k, [KeyPattern("Ab{int}")]))
        assert connection.execute(wanted).all() in ([("Ab1",)], [(b"Ab1",)])


@on_servers
def test_bytes_that_are_no_text_are_no_key(ledger: Ledger) -> None:
    """A value that is no UTF-8 obeys no rule, and is not blank."""
    ledger.sql("CREATE TABLE t (k varbinary(9))", "INSERT INTO t VALUES (x'ff41')")
    t = table("t", column("k"))
    with ledger.sources.snapshot("ledger") as connection:
        row = connection.execute(select(obeys(t.c.k, [KeyPattern("A")]), is_blank(t.c.k))).one()
    assert [bool(each) for each in row] == [False, False]


def test_what_is_blank_is_so_everywhere(ledger: Ledger) -> None:
    """Nothing, spaces and other white space are blank; NULL is no text at all."""
    values = ["", " ", "\t\n\u3000", "\x85", " x ", None, "\u200b"]
    wanted = [is_blank(literal(each, String())).label(f"c{n}") for n, each in enumerate(values)]
    with ledger.sources.snapshot("ledger") as connection:
        row = connection.execute(select(*wanted)).one()
    assert [bool(each) for each in row] == [True, True, True, True, False, False, False]


def test_long_wrong_keys_take_no_time(ledger: Ledger) -> None:
    """A rule of many parts is done with a long text that nearly obeys, on each database."""
    rule = KeyPattern("{word:1..1000}:{word:1..1000}:{token:1..1000}")
    value = literal(f"{'a' * 999}:{'b' * 999}:{'c' * 999}!", String())
    with ledger.sources.snapshot("ledger") as connection:
        assert connection.scalar(select(obeys(value, [rule]))) in (0, False)

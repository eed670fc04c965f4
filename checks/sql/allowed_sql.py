"""What a SELECT of the configuration may hold: parts of the syntax, and functions by name."""

import re
from collections.abc import Iterator

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.tokenizer_core import Token, TokenType

from checks.sql import escapes

DEEPEST = 100
"""Levels of nesting."""

FUNCTIONS = frozenset(
    """
    abs any_value ascii avg bin bit_and bit_length bit_or bit_xor cast ceil ceiling char
    char_length character_length coalesce concat concat_ws conv convert count crc32 cume_dist
    date date_add date_format date_sub datediff day dayofmonth dayofweek dayofyear dense_rank
    div elt exists extract field find_in_set first_value floor from_days from_unixtime greatest
    group_concat hex hour if ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr
    interval isnull json_array json_arrayagg json_contains json_contains_path json_depth
    json_extract json_keys json_length json_object json_objectagg json_overlaps json_quote
    json_search json_table json_type json_unquote json_valid json_value lag last_day last_value
    lcase lead least left length locate lower lpad ltrim makedate maketime max md5 microsecond
    mid min minute mod month nth_value ntile nullif oct octet_length ord percent_rank period_add
    period_diff position pow power quarter rank regexp_instr regexp_like regexp_replace
    regexp_substr repeat replace reverse right round row_number rpad rtrim sec_to_time second
    sha1 sha2 sign space std stddev stddev_pop stddev_samp str_to_date strcmp substr substring
    substring_index sum time time_format time_to_sec timediff timestamp timestampadd
    timestampdiff to_days to_seconds trim truncate ucase unhex unix_timestamp upper utc_date
    utc_time utc_timestamp values var_pop var_samp variance week weekday weekofyear year
    yearweek
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Functions that compute from their arguments, or say what time it is in UTC."""

_WORDS = frozenset(
    """
    all and any as between bigint binary bit by case char columns datetime decimal distinct div
    double else except exists float from having in int integer intersect is join json like
    nested not null numeric on or order over partition path regexp rlike select set some then
    union unsigned using varbinary varchar varying when where xor
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Words of the syntax that may stand before a parenthesis."""

_NOT_READ = {
    **dict.fromkeys(("index", "key"), "hints for the optimizer, such as USE INDEX, are not read"),
    "straight_join": "hints for the optimizer, such as STRAIGHT_JOIN, are not read: write JOIN",
    **dict.fromkeys(
        ("match", "against"),
        "MATCH … AGAINST is not read: what it finds depends on the words that the server indexes",
    ),
    "lateral": "LATERAL is not read: a JOIN, or a sub-query for each value, says the same",
}
"""What is no function either, with what to write in its place."""

_LOCAL = {"now", "curdate", "curtime", "current_timestamp", "sysdate", "localtime", "current_date"}
_LOCAL |= {"localtimestamp", "current_time"}
_SESSION = {"current_user", "session_user", "system_user", "current_role"}

_SHAPES = (
    *(exp.Select, exp.Union, exp.Subquery, exp.From, exp.Join, exp.Where, exp.Group, exp.Having),
    *(exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Table, exp.TableAlias, exp.Alias),
    *(exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Star, exp.Paren),
    *(exp.Tuple, exp.Distinct, exp.Window, exp.WindowSpec, exp.Interval, exp.Var, exp.Collate),
    *(exp.DataType, exp.DataTypeParam, exp.Introducer, exp.HexString, exp.BitString, exp.Lateral),
    *(exp.JSONSchema, exp.JSONColumnDef, exp.JSONPath, exp.JSONPathPart, exp.CharacterSet),
    *(exp.Binary, exp.Unary, exp.Predicate, exp.Func, exp.IntervalSpan),
)
"""What a tree may be made of."""

_REFUSED = {
    exp.Parameter: "variables are not read",
    exp.SessionParameter: "variables are not read",
    exp.PropertyEQ: "variables are not written",
    exp.Placeholder: "there is nothing to put in place of",
    exp.IndexTableHint: "hints for the optimizer are not read",
}

_REFUSED_PARTS = {
    "with_": "WITH is not read: a relation of its own, or a sub-query in FROM, says the same",
    "into": "INTO would write",
    "locks": "FOR UPDATE and LOCK IN SHARE MODE would lock rows",
    "hint": "hints for the optimizer are not read",
    "operation_modifiers": "words for the optimizer are not read",
}

_PARTS = frozenset(
    """
    alias by_name distinct expression expressions from_ group having joins kind limit offset
    order side this where windows
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""What a SELECT, a UNION or a sub-query may consist of."""

_FORBIDDEN_SCHEMAS = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


def refuse_words(text: str) -> None:
    """Raise ValueError for the first word, or comment, that is not allowed; before it is parsed."""
    if strange := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        raise ValueError(f"holds the control character {strange[0]!r}")
    for message in _of_words(MySQL().tokenize(text), text):
        raise ValueError(message)


def refuse(tree: exp.Expr) -> None:
    """Raise ValueError for the first part of a SELECT that is not allowed."""
    for message in _mistakes(tree):
        raise ValueError(message)


def shortened(node: exp.Expr) -> str:
    """A part of a SELECT for a message."""
    text = node.sql(dialect="mysql")
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - a line's worth


def _mistakes(tree: exp.Expr) -> Iterator[str]:
    if tree.args.get("limit") or tree.args.get("offset"):
        yield "LIMIT at the end would leave out other rows at each run"
    left = [(tree, 0)]
    while left:
        node, depth = left.pop()
        if depth > DEEPEST:
            yield "nested too deeply"
        yield from _of_node(node)
        left += [(each, depth + _deeper(node, each)) for each in node.iter_expressions()]


def _deeper(node: exp.Expr, part: exp.Expr) -> int:
    """A chain of ANDs, ORs or additions is as deep as one of them."""
    return 0 if isinstance(node, exp.Binary) and type(node) is type(part) else 1


def _of_words(tokens: list[Token], text: str) -> Iterator[str]:
    if any(token.comments for token in tokens) or _ends_in_comment(tokens, text):
        yield "comments are not read: a server executes what stands in some of them"
    first = tokens[0].text if tokens else "nothing"
    if first.lower() == "with":
        yield _REFUSED_PARTS["with_"]
    if first.lower() not in ("select", "("):
        yield f"only a SELECT is read, and this begins with {first[:20]}"
    for before, token, following in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        yield from _of_word(token, text, before, is_called=_opens(following))


def _of_word(token: Token, text: str, before: Token | None, *, is_called: bool) -> Iterator[str]:
    word, is_name = token.text.lower(), token.token_type is TokenType.IDENTIFIER
    if token.token_type is TokenType.STRING:
        yield from _of_text(text[token.start : token.end + 1])
    elif word in _LOCAL and not is_name:
        yield (
            f"{token.text.upper()} is the time of the session, which is UTC: write"
            " UTC_TIMESTAMP(), and add the offset of the columns' zone"
        )
    elif is_called and (is_name or (word.isidentifier() and word not in FUNCTIONS | _WORDS)):
        yield _of_called(token, before, is_name=is_name)
    elif word in _SESSION and not is_name:
        yield f"{token.text.upper()} is another for each account"


def _of_called(token: Token, before: Token | None, *, is_name: bool) -> str:
    """What stands before a parenthesis and is neither a known function nor a word of the syntax."""
    word, line = token.text.lower(), f"(line {token.line})"
    if not is_name and word in _NOT_READ:
        return f"{_NOT_READ[word]} {line}"
    if before is not None and _ends_a_value(before):
        return (
            f"names of columns behind {token.text} are not read {line}: give them in its SELECT,"
            " as in a AS b"
        )
    return (
        f"the function {token.text} is not known here {line}: only functions that compute from"
        " their arguments alone"
    )


def _ends_a_value(token: Token) -> bool:
    """Whether a name may follow as an alias, and no function."""
    is_end = token.token_type in (TokenType.R_PAREN, TokenType.IDENTIFIER, TokenType.VAR)
    return is_end or token.text.lower() == "as"


def _opens(token: Token | None) -> bool:
    return token is not None and token.token_type is TokenType.L_PAREN


def _ends_in_comment(tokens: list[Token], text: str) -> bool:
    end = tokens[-1].end + 1 if tokens else 0
    return bool(text[end:].strip())


def _of_text(written: str) -> Iterator[str]:
    if written.startswith('"'):
        yield f"a text stands between single quotes: {written[:20]} is a name in some SQL modes"
    if "\\'" in written:
        yield "a quote in a text is written as two: 'it''s'"
    if complaint := escapes.stray(written):
        yield complaint


def _of_node(node: exp.Expr) -> Iterator[str]:
    for kind, why in _REFUSED.items():
        if isinstance(node, kind):
            yield f"{why}: {shortened(node)}"
    if not isinstance(node, _SHAPES):
        yield f"not allowed in a SELECT: {shortened(node)}"
    if isinstance(node, exp.Select | exp.Union | exp.Subquery):
        for name in (name for name, value in node.args.items() if value and name not in _PARTS):
            yield _REFUSED_PARTS.get(name, f"not allowed in a SELECT: {name.replace('_', ' ')}")
    if isinstance(node, exp.Join) and node.args.get("method"):
        yield "NATURAL JOIN is not read: name the columns"
    if isinstance(node, exp.Table):
        yield from _of_table(node)


def _of_table(node: exp.Table) -> Iterator[str]:
    if node.catalog or node.db.lower() in _FORBIDDEN_SCHEMAS:
        yield f"{shortened(node)} is no table of an application"
    more = [name for name, value in node.args.items() if value and name not in _OF_TABLE]
    if more:
        yield _NOT_READ["index"] if "hints" in more else f"not allowed beside a table: {more[0]}"


_OF_TABLE = frozenset({"this", "db", "alias", "joins"})

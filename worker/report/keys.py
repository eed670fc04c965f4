"""`report --keys`: the key standard as Markdown, made from `[[interfaces]]` alone."""

import re
from collections.abc import Iterator, Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from checks.keys.interfaces import Conflict, Interface
from checks.keys.pattern import KeyPattern, longest
from checks.keys.template import Template
from worker.report.escape import NOTHING, Markdown, code, text

RETENTION_DAYS = 7
"""For how long the application keeps the answer to a key."""

_KEY = {
    "required": "required",
    "optional": "optional",
    "derived": "made by the server",
}
_CLIENT = {
    "same_key": "asks again with the same key, after a pause",
    "new_key": "does not ask again with this key; a new request needs a new key",
    "stop": "does not ask again",
}

_markdown = Environment(  # noqa: S701 - HTML escapes mean nothing in Markdown; `text` escapes
    loader=PackageLoader("worker.report", "."),
    undefined=StrictUndefined,
    finalize=text,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def key_standard(interfaces: Sequence[Interface]) -> str:
    """The standard, as CommonMark with tables."""
    rules = [each.format for each in interfaces if each.format]
    written = _markdown.get_template("keys.md.j2").render(
        interfaces=interfaces,
        patterns=list(dict.fromkeys(pattern for rule in rules for pattern in rule)),
        anything=len(rules) < len(interfaces),
        conflicts=list(_conflicts(interfaces)),
        days=RETENTION_DAYS,
        KEY=_KEY,
        CLIENT=_CLIENT,
        code=code,
        **{each.__name__: each for each in _PHRASES},
    )
    return re.sub(r"\n{3,}", "\n\n", written)


def place(each: Interface) -> Markdown:
    """The table and column into which the key goes."""
    return code(f"{each.table}.{each.column}") if each.table else NOTHING


def rule(each: Interface) -> Markdown:
    """The rules, of which a key obeys one."""
    if each.format is None:
        return Markdown("any key")
    return _listed(each.format, " or ")


def longest_key(each: Interface) -> Markdown:
    """The longest key that obeys."""
    return limit(longest(each.format)) if each.format else NOTHING


def limit(length: int | None) -> Markdown:
    """A length, where there is one."""
    return Markdown("no limit") if length is None else Markdown(length)


def ledger_keys(each: Interface) -> Markdown:
    """The derived keys, each with its longest where the key is all that it is made of."""
    return Markdown(", ".join(_ledger_key(each, key) for key in each.ledger_keys) or NOTHING)


def remarks(each: Interface) -> Markdown:
    """What else there is to say of an interface."""
    said = [text(each.description)] if each.description else []
    if each.when:
        said.append(Markdown(f"the rule holds for rows with {code(each.when.source)}"))
    if each.since:
        said.append(Markdown(f"the rule holds from {text(each.since.isoformat(' '))}"))
    return Markdown("; ".join(said))


def words(pattern: KeyPattern) -> Markdown:
    """What the placeholders of a rule stand for."""
    return text("; ".join(pattern.in_words) or "this text and no other")


_PHRASES = (place, rule, longest_key, limit, ledger_keys, remarks, words)


def _ledger_key(each: Interface, key: Template) -> str:
    most = longest(each.format) if each.format else None
    if most is None or key.columns != (each.column,) or not key.is_of_whole_columns:
        return code(key.source)
    return f"{code(key.source)} (up to {key.fixed_length + most})"


def _listed(patterns: Sequence[KeyPattern], separator: str) -> Markdown:
    return Markdown(separator.join(code(each.source) for each in patterns))


def _conflicts(
    interfaces: Sequence[Interface],
) -> Iterator[tuple[Mapping[str, Conflict], Markdown]]:
    """Each set of answers with the interfaces that give it; without them where it is the one."""
    sets: list[tuple[Mapping[str, Conflict], list[Markdown]]] = []
    for each in interfaces:
        names = next((names for answers, names in sets if answers == each.conflicts), None)
        if names is None:
            sets.append((each.conflicts, names := []))
        names.append(code(each.name))
    for answers, names in sets:
        yield answers, Markdown(", ".join(names) if len(sets) > 1 else "")

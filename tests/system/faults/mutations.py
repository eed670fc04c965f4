"""Configurations that somebody got wrong: the shipped one, with a few things changed at random."""

import random
import re

HOSTILE = (
    "'; DROP TABLE t; -- ",
    '" onmouseover="alert(1)',
    "<script>alert(1)</script>",
    "`; DELETE FROM t; `",
    "%s%n{0}{id}%(name)s",
    "${jndi:ldap://x/y}",
    "{{ 7 * 7 }}{% raw %}",
    "\x00\x01\x1b[2J",
    "\u202eright to left\u2066",
    "\ud800",
    "\U0001f600" * 40,
    "x" * 3000,
    "../../../etc/passwd",
    "\\",
    "'",
    "\n\r\n",
    "a\tb",
    "0",
    "-1",
    "1e309",
    "NaN",
    "NULL",
    " ",
    "",
)
"""What people and machines put where something else is expected."""

VALUES = (
    *("0", "-1", "true", "1e400", "nan", "inf", "9" * 40, "1979-05-27", "[]", "{}", '""', "[[]]"),
    *("07:32:00", "{ a = 1 }", '["x", 3]', "''' x '''", '"99999999999999d"', '"0s"', '"* * * * *"'),
    *('"0 0 31 2 *"', '"61 * * * *"', '"Mars/Olympus"', "1_0", "0x1F", "[" * 50 + "]" * 50),
)

_VALUE = re.compile(r"(?<== )(?:\"[^\"\n]*\"|\d+|true|false|\[[^\]\n]*\])")


def quoted(text: str) -> str:
    """A TOML string of any characters; what TOML cannot hold stands as it is."""
    escaped = "".join(
        f"\\u{ord(each):04x}" if ord(each) < 32 or each in '"\\' else each for each in text
    )
    return f'"{escaped}"'


def mutated(text: str, rng: random.Random) -> str:
    """The same with one to four changes."""
    for _ in range(rng.randint(1, 4)):
        text = rng.choice(_CHANGES)(text, rng)
    return text


def _value(text: str, rng: random.Random) -> str:
    places = list(_VALUE.finditer(text))
    if not places:
        return text
    place = rng.choice(places)
    value = rng.choice((*VALUES, *map(quoted, HOSTILE)))
    return text[: place.start()] + value + text[place.end() :]


def _inside(text: str, rng: random.Random) -> str:
    """A part of a string: an expression, a template, a name."""
    places = [each for each in _VALUE.finditer(text) if each[0].startswith('"')]
    if not places:
        return text
    place = rng.choice(places)
    at = rng.randint(place.start() + 1, place.end() - 1)
    return text[:at] + quoted(rng.choice(HOSTILE))[1:-1] + text[at:]


def _lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines()
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(one, lines[two])
        case 2:
            lines[one], lines[two] = lines[two], lines[one]
        case _:
            lines[one] = lines[one].replace("=", rng.choice(("", "==", ":", "= =")), 1)
    return "\n".join(lines)


def _name(text: str, rng: random.Random) -> str:
    names = list(re.finditer(r"(?m)^[a-z_]+(?= =)", text))
    if not names:
        return text
    place = rng.choice(names)
    name = rng.choice(("kind", "table", "name", "unknown", "__class__", '""', "url", "a.b.c"))
    return text[: place.start()] + name + text[place.end() :]


def _bytes(text: str, rng: random.Random) -> str:
    at = rng.randrange(max(1, len(text)))
    return text[:at] + chr(rng.choice((0, 9, 34, 91, 0xFEFF, 0x10FFFF))) + text[at + 1 :]


def _cut(text: str, rng: random.Random) -> str:
    at = rng.randrange(max(1, len(text)))
    return text[:at] + text[at + rng.randint(1, 400) :]


_CHANGES = (_value, _value, _value, _inside, _inside, _lines, _name, _name, _bytes, _cut)

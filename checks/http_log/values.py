"""Single values of a line, whatever program wrote them: status, method, path, escapes."""

import re
from typing import Any

from checks.http_log.request import LONGEST_VALUE, METHODS, OTHER_METHOD

NO_ANSWER = 0
"""The status of a request that was never answered."""

NOTHING = frozenset(("", "-"))
"""What servers write where there is no value."""

_LOWEST_STATUS, _HIGHEST_STATUS = 100, 999
_NOT_ANSWERED = frozenset((0, -1))
"""What Envoy and HAProxy write in place of a status."""

_STATUS = re.compile(r"(-1|0+|[0-9]{3})(?:\.0*)?")
_WITH_REASON = re.compile(r"([1-9][0-9]{2}) [A-Za-z]")
_BETWEEN = re.compile(r"[\s,:;]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
"""RFC 9110, 5.6.2."""

_ESCAPED = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([abefnrtv\"'\\]))")
_CONTROLS = {b"a": b"\a", b"b": b"\b", b"e": b"\x1b", b"f": b"\f", b"n": b"\n", b"r": b"\r"}
_CONTROLS |= {b"t": b"\t", b"v": b"\v"}


def status(value: object) -> int | None:
    """A status as a number or a text, `409`, `409.0`, `"409 Conflict"`, or a list of them.

    Of several, `"502, 409"`, it is the last that is one: what came of all attempts. `NO_ANSWER`
    where the value says that there was none; None where it is no status.
    """
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list):
        parts = value[-16:]
        return _last([None if isinstance(each, list) else status(each) for each in parts])
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        return None
    if value in _NOT_ANSWERED:
        return NO_ANSWER
    return int(value) if _LOWEST_STATUS <= value <= _HIGHEST_STATUS else None


def _of_text(text: str) -> int | None:
    text = text.strip()
    if text in NOTHING:
        return NO_ANSWER
    if reason := _WITH_REASON.match(text):
        return int(reason[1])
    parts = [each for each in _BETWEEN.split(text[-LONGEST_VALUE:]) if each]
    return _last([_of_part(each) for each in parts])


def _of_part(text: str) -> int | None:
    if text in NOTHING:
        return NO_ANSWER
    match = _STATUS.fullmatch(text)
    return status(int(match[1])) if match else None


def _last(found: list[int | None]) -> int | None:
    if None in found:
        return None
    return next((each for each in reversed(found) if each), NO_ANSWER)


def method(value: str) -> str:
    """One of the known methods, or `OTHER`."""
    upper = value[:16].upper()
    return upper if upper in METHODS else OTHER_METHOD


def is_method(value: str) -> bool:
    """Whether it can be a method at all, known or not; or says that there was none."""
    return value in NOTHING or bool(_TOKEN.fullmatch(value))


def path(target: str) -> str:
    """The path of a request's target, without its query; "" of what has none."""
    if not target.startswith("/"):
        # An absolute URL, as proxies log it.
        scheme, found, rest = target.partition("://")
        target = f"/{rest.partition('/')[2]}" if found and scheme.isalpha() else ""
    end = target.find("?")
    return target if end < 0 else target[:end]


def request_line(text: str) -> tuple[str, str]:
    """Method and target of `POST /orders HTTP/1.1`; the target may have blanks.

    There is no target without a method that is known: what it is then is anybody's guess.
    """
    verb, _, rest = text.partition(" ")
    before, _, protocol = rest.rpartition(" ")
    target = before if protocol.startswith("HTTP/") else rest
    return (verb, target) if method(verb) != OTHER_METHOD else (verb, "")


def text(value: Any) -> str:
    """A key, a client or a code; "" where the value says that there is none.

    Proxies write headers as arrays, since a header may be repeated: of one value it is that one.
    """
    if isinstance(value, list):
        value = ", ".join(text(each) for each in value[:16] if not isinstance(each, list))
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)[:LONGEST_VALUE]
    return "" if value in NOTHING else value[:LONGEST_VALUE]


def single(value: object) -> object:
    """The one element of an array, or the value itself."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def unescaped(value: str) -> str:
    r"""A text in which nginx and Apache wrote `\xNN`, `\"` or `\\`."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(_unescape, value.encode(errors="replace")).decode(errors="replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    number, sign = match.groups()
    if number:
        return bytes.fromhex(number.decode())
    return _CONTROLS.get(sign, sign)

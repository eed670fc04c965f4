"""Lines that were not read as requests: which of them should have been, and which are messages.

An application may write its requests and everything else into one log. That other lines come says
nothing about how well requests are read; that a line of a request cannot be read does.
"""

import re
from enum import StrEnum
from itertools import islice

LOOKED_AT = 2048
"""Bytes of a line that are looked at."""
MOST_NUMBERS = 20
"""Numbers of a line that are looked at."""


class Doubt(StrEnum):
    """Why a line lets doubt that all requests are seen."""

    UNREADABLE = "unreadable"
    """It looks like a request or like a broken record, and cannot be read."""
    NO_REQUEST = "no_request"
    """It can be read and looks like a request, of which a part is missing or says nothing."""
    WITHOUT_TIME = "without_time"
    """A request whose time cannot be read."""
    NO_TIME = "no_time"
    """A request that has none, in a log that is said to have them."""
    TEXT = "text"
    """It cannot be read, and looks like nothing that is known."""
    INDENTED = "indented"
    """A line of a stack trace, which excuses a line of text beside it."""


_VERB = re.compile(r"(?i)GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS")
_STATUS = re.compile(r"(?<!\d)[1-5]\d\d(?!\d)")
_METHOD = rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)"
_ASKED = re.compile(rb"\b" + _METHOD + rb"\b")
_TARGET = re.compile(rb"(?:^|[\s\"'=:|,/\[])/[^\s/]|https?://|(?:^|[\s\"'=:|,])/(?=$|[\s\"'|,?])")
_STATUS_FIELD = re.compile(
    rb"(?i)(?:status|code)[\w.]{0,24}[\"']?\s{0,4}[=:]\s{0,4}[\"']?[1-5]\d\d\b"
)
_NUMBER = re.compile(rb"(?<![\w.#:*/-])[1-5]\d\d(?![\w.#:/-])")
_VALUE = re.compile(rb"([\w.-])[\"'] ?: ?\[? ?[\"']?[1-5]\d\d(?:\.0+)?[\"']? ?[\],}]")
_OTHER_NUMBERS = (b"pid", b"level", b"port", b"line", b"size", b"bytes", b"length", b"ms", b"id")
"""How fields of messages end that hold numbers of three digits, too."""
_PROTOCOL = re.compile(rb"\bHTTP/\d")
_QUOTED_ELSEWHERE = re.compile(rb"\brequest: \"")
"""How nginx repeats a request in a line of its error log."""

_CLF_TIME = re.compile(rb"\[\d\d?/[A-Z][a-z]{2}/\d{4}:\d\d:")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_LEVEL = re.compile(
    rb"(?i)(?:^|[\s\[<(|=\"'])(?:trace|debug|info|notice|warn|warning|error|err|fatal|critical|crit"
    rb"|panic|severe|emerg)(?:$|[\s\])>:|,\"'])"
)
_BEGINS_WITH_TIME = re.compile(
    rb"[\[(<\"]?(?:\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:)"
)


def looks_like_request(line: bytes) -> bool:
    """Whether a line names a method, a path and a status, in whatever form."""
    start = line[:LOOKED_AT]
    if not (_ASKED.search(start) and _TARGET.search(start)) or _QUOTED_ELSEWHERE.search(start):
        return False
    if _STATUS_FIELD.search(start) or _has_number(start):
        return True
    if start.lstrip()[:1] == b"{":
        return False
    is_message = _LEVEL.search(start) and not _PROTOCOL.search(start)
    return not is_message and _NUMBER.search(start) is not None


def doubt_of_text(line: bytes, *, is_json: bool) -> Doubt | None:
    """What to think of a line that is not written in the log's format; None of a message."""
    start = line[:LOOKED_AT]
    if looks_like_request(start) or _CLF_TIME.search(start) or _is_damaged(start):
        return Doubt.UNREADABLE
    if start[:1] in b" \t":
        return Doubt.INDENTED
    bare = start.strip()
    if bare[:1] == b"{" or (bare[-1:] == b"}" and b'":' in bare):
        return Doubt.UNREADABLE if is_json and b'"' in bare else None
    if _BEGINS_WITH_TIME.match(bare) or _LEVEL.search(bare[:80]):
        return None
    return Doubt.TEXT


def doubt_of_record(line: bytes, verb: object, path: object, status: object) -> Doubt | None:
    """What to think of a line that can be read and is no request; None of a message.

    A method and a path alone are those of a request that begins, which many applications log, too.
    """
    has_verb = isinstance(verb, str) and _VERB.fullmatch(verb) is not None
    has_path = isinstance(path, str) and path.startswith(("/", "http://", "https://"))
    if status is not None:
        is_number = _STATUS.search(str(status)[:LOOKED_AT]) is not None
        if (has_verb and has_path) or (is_number and (has_verb or has_path)):
            return Doubt.NO_REQUEST
    return Doubt.NO_REQUEST if looks_like_request(line) else None


def _has_number(line: bytes) -> bool:
    """Whether a field holds what may be a status."""
    return any(
        not line[max(0, found.end(1) - 8) : found.end(1)].lower().endswith(_OTHER_NUMBERS)
        for found in islice(_VALUE.finditer(line), MOST_NUMBERS)
    )


def _is_damaged(line: bytes) -> bool:
    """Whether it holds bytes that no text does."""
    if _CONTROL.search(line):
        return True
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.end - error.start > 1 or error.start < len(line) - 4
    return False

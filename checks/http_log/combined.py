"""The formats that web servers share: NCSA's common log format and what grew out of it.

See https://httpd.apache.org/docs/2.4/logs.html and nginx's `ngx_http_log_module`. A line has all
fields that the format has, in their order, or it is unreadable: one more before the client would
else make a host's name the client.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Literal, get_args

from checks.http_log.json_lines import Entry, plain
from checks.http_log.request import METHODS, UNANSWERED, Batch, Told
from checks.http_log.times import Times
from checks.http_log.values import method, path, request_line, text, unescaped

Combined = Literal["combined", "common", "vhost_combined", "traefik"]
COMBINED = frozenset(get_args(Combined))

_CLIENT = r'"?([^\s,"]++)(?:, ?[^\s,"]++)*+"?'
"""An address, or the first of a list as `X-Forwarded-For` holds it."""
_IDENT = r"(?:-|[A-Za-z_][\w-]*+)"
"""What no server knows today. An address or a host's name here is a sign of another format."""
_USER = r'(""|(?:[^"\\]|\\.)*?)'
"""It may have blanks and brackets, but no quotation mark that is not escaped."""
_TIME = r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.\d{1,9})? [+-]\d{4})\]"
_REQUEST = r'"((?:[^"\\]++|\\.)*+)"'
_ANSWER = r"([1-9][0-9]{2}|-|0{1,3})"
_REST = r'(?: (?:\d+|-)(?: ".*)?)?'
"""The size; after it referrer and agent, and what further fields a server was told to add."""

_COMMON = rf"{_CLIENT} ({_IDENT}) {_USER} {_TIME} {_REQUEST} {_ANSWER}{_REST}"
_LINE = re.compile(_COMMON, re.DOTALL | re.ASCII)
_LINE_OF_HOST = re.compile(rf"\S++ {_COMMON}", re.DOTALL | re.ASCII)
"""The virtual host, with or without its port, stands first."""


def read(entries: Iterable[Entry], batch: Batch, times: Times, form: Combined) -> Iterator[Told]:
    """The requests of some lines; they have neither code nor key."""
    latest: int | None = None
    match_of = (_LINE_OF_HOST if form == "vhost_combined" else _LINE).fullmatch
    for line, moment in entries:
        match = match_of(line.decode(errors="replace").rstrip())
        if match is None:
            bare = plain(line)
            if not bare:
                continue
            match = match_of(bare.decode(errors="replace"))
        batch.lines += 1
        if match is None or not _is_user(match[2], match[3]):
            batch.unreadable(line, latest, is_json=False)
            continue
        client, _, _, time, asked, answer = match.groups()
        if not answer.strip("-0"):
            batch.faults[UNANSWERED] += 1
            continue
        second = times.read(time) or times.read(moment)
        if second is None:
            batch.without_time(latest, time)
        else:
            latest = second
        verb, target = request_line(asked)
        if verb not in METHODS:
            verb = method(verb)
        yield second, verb, path(unescaped(target)), int(answer), None, None, text(client) or None


def _is_user(ident: str, user: str) -> bool:
    """Whether it is a user, and no further fields: only one who has a name has blanks in it."""
    if " " not in user:
        return True
    words = user.split(" ")
    return ident == "-" and "-" not in words and not any(map(_is_address, words))


def _is_address(word: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(word))
    return False

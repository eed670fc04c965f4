"""Which route a path is on: a template of the configuration, one that was learnt, or `other`."""

import re
from collections.abc import Iterable

from checks.http_log.counts import OTHER
from checks.http_log.request import WRITES

ID = "{id}"

MOST_SEGMENTS = 10
LONGEST_WORD = 32
LONGEST_ROUTE = 120

LONGEST_PATH = 2000

MOST_ALIKE = 8
"""Routes that may differ in one part. More of them, as of names of users, are one route."""

KNOWN = 10_000
"""Parts and shapes of paths that are remembered, so that they are not made out for each line."""

_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]*[0-9]{0,2}", re.ASCII)
"""A part of a path that names a thing: `orders`, `v4`, `sign-in`, but no token of letters and
digits mixed."""
_SHORTEST_CODE = 4
"""Capital letters that are no abbreviation but a voucher."""

_HEX = re.compile(r"[0-9a-fA-F]{8,}", re.ASCII)


def template(path: str) -> str:
    """A path with `{id}` for each part that looks like data rather than like a name."""
    parts = _parts(path)
    if len(parts) > MOST_SEGMENTS:
        return OTHER
    route = "/" + "/".join(part if _is_word(part) else ID for part in parts)
    return route if len(route) <= LONGEST_ROUTE else OTHER


def _is_word(part: str) -> bool:
    if not part:
        return True
    return (
        len(part) <= LONGEST_WORD
        and _WORD.fullmatch(part) is not None
        and (len(part) < _SHORTEST_CODE or not part.isupper())
        and _HEX.fullmatch(part) is None
    )


class Routes:
    """The routes that are told apart."""

    def __init__(
        self, declared: Iterable[str], learnt: Iterable[str], *, learns: bool, most: int
    ) -> None:
        """`most` is the number of routes; declared ones count, too."""
        self._learns = learns
        self._most = most
        self._patterns = [(_parts(route), route) for route in declared]
        # Fixed parts go before placeholders: /orders/mine is not /orders/{id}.
        self._patterns.sort(key=lambda each: [_is_placeholder(part) for part in each[0]])
        self.learnt = dict.fromkeys(learnt)
        """Templates learnt so far, in the order in which they were."""
        fixed = {part for parts, _ in self._patterns for part in parts}
        self._words = {"", *(part for part in fixed if not _is_placeholder(part))}
        """Parts of paths that are kept as they are."""
        self._known: dict[str, str] = {}
        self._unknown: set[str] = set()
        """Shapes of paths that are on no route unless one is learnt."""

    def of(self, path: str, method: str, status: int) -> str:
        """The route of a path. Only a write that a real route answered teaches a new one."""
        route = self._known.get(path)
        if route is not None:
            return route
        if not path or len(path) > LONGEST_PATH:
            return OTHER
        # Which route it is depends on nothing but this, and there are few of them.
        words = self._words
        parts = path.strip("/").split("/")
        skeleton = "/".join([part if part in words else self._kept(part) for part in parts])
        route = self._known.get(skeleton)
        if route is None:
            teaches = method in WRITES and _is_answered(status)
            if not teaches and skeleton in self._unknown:
                return OTHER
            route = self._made_out(skeleton, teaches=teaches)
        return route

    def _kept(self, part: str) -> str:
        if not _is_word(part):
            return ID
        if len(self._words) < KNOWN:
            self._words.add(part)
        return part

    def _made_out(self, skeleton: str, *, teaches: bool) -> str:
        if len(self._known) + len(self._unknown) >= KNOWN:
            self._known.clear()
            self._unknown.clear()
        route = self._declared(tuple(skeleton.split("/")))
        if route is None:
            route = template(skeleton) if self._learns else OTHER
            if route != OTHER and route not in self.learnt:
                if not teaches:
                    self._unknown.add(skeleton)
                    return OTHER
                route = self._generalised(route)
                if route in self.learnt:
                    pass
                elif len(self._patterns) + len(self.learnt) < self._most:
                    self.learnt[route] = None
                else:
                    route = OTHER
        self._known[skeleton] = route
        if ID not in skeleton:
            self._known[f"/{skeleton}"] = route
        return route

    def _generalised(self, route: str) -> str:
        """The template with `{id}` where very many routes differ in nothing but that part."""
        parts = route.split("/")
        known = [each.split("/") for each in self.learnt]
        for place in range(1, len(parts)):
            rest = parts[:place], parts[place + 1 :]
            alike = sum(rest == (each[:place], each[place + 1 :]) for each in known)
            if alike >= MOST_ALIKE:
                parts[place] = ID
        return "/".join(parts)

    def _declared(self, parts: tuple[str, ...]) -> str | None:
        for pattern, route in self._patterns:
            if len(pattern) == len(parts) and all(
                one == other or (_is_placeholder(one) and other)
                for one, other in zip(pattern, parts, strict=True)
            ):
                return route
        return None


def shape(route: str) -> tuple[str, ...]:
    """What a declared route is told by: its fixed parts, and where others stand."""
    return tuple("{}" if _is_placeholder(part) else part for part in _parts(route))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))


def _is_placeholder(part: str) -> bool:
    return part.startswith("{")


def _is_answered(status: int) -> bool:
    """Whether only a route that exists answers so: done, a conflict, or a refused payload."""
    return 200 <= status < 300 or status in (409, 422)  # noqa: PLR2004

"""The application's reasons for a 409: which of them are told by name, and what they mean."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import StringConstraints

from checks.http_log.counts import OTHER

Problem = Literal["key_reuse", "slow_handler", "plain_race", "replay"]
"""What conflicts tell of when more than half of them have one of its codes."""

Code = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x20\x7f]+$")
]
"""A code as the application writes it."""

CAUSES: Mapping[Problem, tuple[str, ...]] = {
    "key_reuse": ("IDEMPOTENCY_KEY_CONFLICT",),
    "slow_handler": ("REQUEST_PROCESSING",),
    "plain_race": ("CONCURRENT_CONFLICT", "DUPLICATE_ENTRY"),
    "replay": ("REPLAY_DETECTED",),
}
"""The codes of each problem, unless stated."""

MOST_LEARNT = 20
"""Codes that are told by name though nobody declared them; the rest is `other`."""

_CODE = re.compile(r"[A-Za-z]+[0-9]{0,6}(?:[_.][A-Za-z0-9]{1,24})*|[0-9]{1,8}", re.ASCII)
"""What looks like the name or the number of a reason, `STOCK_GONE` or `40917`, and not like a key
or a token: no signs but `_` and `.`, and few digits."""
_TOKEN = re.compile(r"[0-9a-fA-F]{8,}|.*[0-9]{7,}|(?:[A-Za-z]*[0-9]){5,}.*|.{49,}")


def causes(stated: Mapping[Problem, tuple[str, ...]]) -> Mapping[Problem, tuple[str, ...]]:
    """The codes of each problem: as stated, else those of the audited application.

    A code that is stated of one problem is none of another.
    """
    taken = {code for codes in stated.values() for code in codes}
    return {
        problem: stated.get(problem, tuple(code for code in codes if code not in taken))
        for problem, codes in CAUSES.items()
    }


class Codes:
    """The codes that are told by name."""

    def __init__(
        self,
        causes: Mapping[Problem, tuple[str, ...]] = CAUSES,
        declared: Iterable[str] = (),
        learnt: Iterable[str] = (),
    ) -> None:
        """`declared` are further ones; `learnt` are those that runs before came across."""
        of_causes = (code for codes in causes.values() for code in codes)
        self.known = tuple(dict.fromkeys((*of_causes, *declared)))
        self.reuse = frozenset(causes["key_reuse"])
        """Those that say that a key came with another payload."""
        self._named = dict.fromkeys(self.known)
        self.learnt = dict.fromkeys(each for each in learnt if each not in self._named)
        self.left_out = False
        """Whether there were more of them than are told by name."""

    def of(self, code: str | None) -> str:
        """The name under which an answer 409 is counted; a new one is learnt."""
        if code is None:
            return OTHER
        if code in self._named or code in self.learnt:
            return code
        if not _CODE.fullmatch(code) or (_TOKEN.fullmatch(code) and not code.isdigit()):
            return OTHER
        if len(self.learnt) >= MOST_LEARNT:
            self.left_out = True
            return OTHER
        self.learnt[code] = None
        return code

    def seen(self, code: str | None) -> str:
        """The same of an answer that teaches none."""
        return code if code is not None and (code in self._named or code in self.learnt) else OTHER

    def notes(self) -> Iterable[str]:
        """What a run says of them."""
        if self.left_out:
            yield f"over {MOST_LEARNT} codes that nobody declared: the rest of them is `{OTHER}`"


def ordered(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Codes in the order in which people see them: declared ones, others by name, `other`."""
    first = {code: place for place, code in enumerate(known)}
    return sorted(found, key=lambda code: (code == OTHER, first.get(code, len(first)), code))

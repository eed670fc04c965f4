"""Patterns with `*`, `?`, `[abc]` and `[!a-z]`, as in a shell, for texts that strangers send.

The standard library's `fnmatch` keeps the regular expression of each of the last 32,768 patterns,
however long: memory that a client could fill. Here nothing is kept.
"""

LONGEST = 256
"""Characters that a pattern from outside may have."""


def matches(name: str, pattern: str) -> bool:
    """Whether the whole name fits, letter case included; takes len(name) * len(pattern) steps."""
    at = place = 0
    star, resumed = -1, 0
    while at < len(name):
        if place < len(pattern) and pattern[place] == "*":
            star, resumed = place, at
            place += 1
            continue
        end = _one(name[at], pattern, place)
        if end:
            at, place = at + 1, end
        elif star >= 0:  # let the last star take one character more
            resumed += 1
            at, place = resumed, star + 1
        else:
            return False
    return not pattern[place:].strip("*")


def _one(character: str, pattern: str, place: int) -> int:
    """Where the pattern goes on after a character that fits; 0 when it does not fit."""
    if place >= len(pattern):
        return 0
    wanted = pattern[place]
    if wanted == "[" and (end := _set_ends(pattern, place)):
        inside = pattern[place + 1 : end]
        members = inside.removeprefix("!")
        return end + 1 if _in_set(character, members) is (members == inside) else 0
    return place + 1 if wanted in ("?", character) else 0


def _set_ends(pattern: str, place: int) -> int:
    """Where the set that begins here is closed; 0 when it never is. A `]` at its start is of it."""
    begin = place + 2 if pattern[place + 1 : place + 2] == "!" else place + 1
    return max(pattern.find("]", begin + 1), 0)


def _in_set(character: str, members: str) -> bool:
    place = 0
    while place < len(members):
        if members[place + 1 : place + 2] == "-" and place + 2 < len(members):
            if members[place] <= character <= members[place + 2]:
                return True
            place += 3
        elif members[place] == character:
            return True
        else:
            place += 1
    return False

"""What the audit sent to the servers of the tests, by the servers' own log of statements.

A session of the audit is known by what it asks for first: transactions that only read.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MARK = re.compile(r"SET SESSION .*\b(?:tx|transaction)_read_only = 1\b")
"""How the worker begins a session on an audited database, and on no other."""

ATTEMPT = "/* to be refused */"
"""How a test begins a statement that it sends itself, in a session of the audit, to see it fail."""

BEGINNING = 6
"""In how many statements a session shows whose it is: a driver says something first."""

ALLOWED = re.compile(
    r"SELECT\b"
    r"|WITH\b"
    r"|EXPLAIN FORMAT=TRADITIONAL SELECT\b"
    r"|SHOW\b"
    r"|SET (?:SESSION\b|NAMES\b|AUTOCOMMIT\b|@@SESSION\b)"
    r"|START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY$"
    r"|ROLLBACK$"
    r"|KILL QUERY \d+$",
    re.IGNORECASE,
)
"""The only ways in which a statement may begin, or what it has to be as a whole."""

FORBIDDEN = re.compile(
    r"\b(?:FOR\s+UPDATE|FOR\s+SHARE|LOCK\s+IN\s+SHARE\s+MODE|GET_LOCK|RELEASE_LOCK|INTO\s+OUTFILE"
    r"|INTO\s+DUMPFILE|BENCHMARK|LOAD_FILE|NEXTVAL|LAST_INSERT_ID|SETVAL|INSERT|UPDATE|DELETE"
    r"|REPLACE\s+INTO|CREATE|ALTER|DROP|TRUNCATE|CALL|SET\s+GLOBAL|INTO\s+@)\b",
    re.IGNORECASE,
)
"""What no statement may hold outside its quotes."""

QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|`[^`]*`|\"[^\"]*\"", re.DOTALL)

_ENTRY = re.compile(
    r"(?:\d{6} [ \d]?\d:\d\d:\d\d\t|\t\t|\d{4}-\d\d-\d\dT\S+\t)"
    r" *(?P<thread>\d+) (?P<command>[A-Z][A-Za-z ]+)\t(?P<argument>.*)",
    re.DOTALL,
)
"""The first line of an entry: MariaDB gives the time once a second, MySQL each time."""

_HEADING = re.compile(r"\S+, Version: .* started with:$")
"""What a server writes into its log as it starts, before some lines of its own."""


@dataclass
class Session:
    """One connection."""

    account: str
    """As the server names who connected: `auditor@localhost on ledger`."""
    is_of_the_audit: bool = False
    """Whether the worker, or the worker's code in a test, opened it to audit."""
    undecided: list[str] | None = field(default_factory=list)
    """What it sent before that was known; None from then on."""

    def take(self, statement: str) -> list[str]:
        """Take a statement; what can be told by it: nothing, itself, or all so far."""
        if self.undecided is None:
            return [statement]
        self.undecided.append(statement)
        self.is_of_the_audit = bool(MARK.match(statement))
        return self.decide() if self.is_of_the_audit or len(self.undecided) == BEGINNING else []

    def decide(self) -> list[str]:
        """What was not told yet."""
        statements, self.undecided = self.undecided or [], None
        return statements


@dataclass
class Tally:
    """What the sessions of the audit did in all."""

    sessions: int = 0
    statements: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    """Statements that write or lock, without what they quote."""

    def add(self, log: Path) -> None:
        """Read a server's log to its end; one that was never begun holds nothing."""
        for session, statements in said(log) if log.exists() else ():
            if session.is_of_the_audit:
                self.sessions += any(MARK.match(each) for each in statements)
                self.statements += len(statements)
                self.wrong.update(wrong(statements))


def bare(statement: str) -> str:
    """A statement without what it quotes: values, and names that sound like words of SQL."""
    return QUOTED.sub("?", statement).strip()


def wrong(statements: list[str]) -> list[str]:
    """Those that are not on the list of what only reads, without what they quote."""
    shapes = (bare(each) for each in statements if not each.startswith(ATTEMPT))
    return [each for each in shapes if not ALLOWED.match(each) or FORBIDDEN.search(each)]


def said(log: Path) -> Iterator[tuple[Session, list[str]]]:
    """Who said what in a server's log, in order: mostly one statement at a time."""
    going: dict[str, Session] = {}
    for thread, command, argument in _entries(log):
        if command == "Connect":  # the ids begin anew when the server does
            if thread in going:
                yield going[thread], going[thread].decide()
            going[thread] = Session(argument)
        elif command in ("Query", "Execute") and thread in going:
            yield going[thread], going[thread].take(argument)
    for session in going.values():
        yield session, session.decide()


def _entries(log: Path) -> Iterator[tuple[str, str, str]]:
    entry: list[str] | None = None
    with log.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            match = _ENTRY.match(line)
            if entry and (match or _HEADING.match(line)):
                yield entry[0], entry[1], "".join(entry[2:]).rstrip("\n")
                entry = None
            if match:
                entry = [match["thread"], match["command"], match["argument"]]
            elif entry:
                entry.append(line)  # of a statement of several lines
    if entry:
        yield entry[0], entry[1], "".join(entry[2:]).rstrip("\n")

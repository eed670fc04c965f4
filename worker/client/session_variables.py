"""What a session of MySQL or MariaDB is set to, so that a statement means the same on each server.

Somebody may have set any variable for all sessions of a server, or in its `init_connect`: for the
application, against people, or long ago. So whatever changes what a SELECT answers, or refuses it,
is set by the session itself. Which variables there are the server is asked: what it is called says
little of that, and a proxy in front of it may greet by another name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import CR

Value = str | int | float

UNLIMITED = 18446744073709551615
DEFAULT = "DEFAULT"
"""A value for which there is no text, only this word."""

_LISTED_IN = 16 << 20
"""Bytes in which a server lists its variables."""

UNCUT = (
    f"sql_select_limit = {UNLIMITED}, max_join_size = {UNLIMITED}, sql_big_selects = 1,"
    f" max_heap_table_size = {_LISTED_IN}, tmp_table_size = {_LISTED_IN}"
    f" /*M!100207 , tmp_disk_table_size = {_LISTED_IN} */"
)
"""What else may cut, or refuse, the answer to what is asked first. Every server knows these; what
stands in the comment MariaDB alone reads."""

PINNED: Mapping[str, Value] = {
    # What is cut or refused.
    "sql_select_limit": UNLIMITED,
    "max_join_size": UNLIMITED,
    "sql_big_selects": 1,
    "sql_safe_updates": 0,
    # What an expression means.
    "sql_auto_is_null": 0,
    "div_precision_increment": 4,
    "default_week_format": 0,
    "lc_time_names": "en_US",
    "default_regex_flags": "",
    "old_mode": "",
    "windowing_use_high_precision": 1,
    "timestamp": 0,
    # How texts are read, compared and sorted.
    "character_set_client": "utf8mb4",
    "character_set_results": "utf8mb4",
    "character_set_collations": "",
    "default_collation_for_utf8mb4": "utf8mb4_0900_ai_ci",
    "max_sort_length": 1024,
    # Which rows, and of when.
    "system_versioning_asof": DEFAULT,
    "use_secondary_engine": "OFF",
    "query_cache_type": "OFF",
    "wsrep_dirty_reads": 0,
    "completion_type": "NO_CHAIN",
    # What the catalog says, and in which words.
    "information_schema_stats_expiry": 0,
    "show_gipk_in_create_table_and_information_schema": 1,
    "show_old_temporals": 0,
    "explain_format": "TRADITIONAL",
    "lc_messages": "en_US",
}
"""By name, for those of them that a server has."""

_COLLATION = {True: "utf8mb4_general_ci", False: "utf8mb4_0900_ai_ci"}
"""That of texts in statements, by whether the server is MariaDB: what `SET NAMES` gives there."""

_SWITCHES = "optimizer_switch"
_MIXING = "subquery_cache=on"
"""With it MariaDB gives a sub-query in a list of columns the answer for another row whose text
compares as equal, though `CONCAT` makes another key of it: 'A' and 'A '."""

_NOW = "timestamp"
"""A variable that reads as the present time, unless it was set to another."""

_SPELLINGS = {"OFF": "0", "ON": "1", "NO": "0", "YES": "1"}


@dataclass(frozen=True, slots=True)
class Settings:
    """A session's variables as a server listed them before they were set, and what they are now."""

    found: Mapping[str, str]
    pinned: Mapping[str, Value]

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB: what limits a statement there has another name."""
        return "max_statement_time" in self.found and "max_execution_time" not in self.found

    @property
    def version(self) -> str:
        """Of the server itself, and not of a proxy in front of it."""
        return self.found.get("version", "")

    @property
    def question(self) -> str:
        """A SELECT that reads back what was set, in its order, and at last the database."""
        return "SELECT " + ", ".join([*(f"@@SESSION.{n}" for n in self._read_back), "DATABASE()"])

    def differences(self, answer: Iterable[Any]) -> list[str]:
        """What is otherwise than it was set, in the first part of an answer to the question."""
        pairs = zip(self._read_back, answer, strict=True)
        return [
            f"{name} is {found}, and was set to {self.pinned[name]}"
            for name, found in pairs
            if not _same(found, self.pinned[name])
        ]

    @property
    def _read_back(self) -> list[str]:
        return [name for name in self.pinned if name != _NOW]


def list_variables(raw: "pymysql.Connection[Any]") -> dict[str, str]:
    """The variables of a session, by name."""
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION {UNCUT}")
        cursor.execute("SHOW SESSION VARIABLES")
        return {str(name): str(value) for name, value in cursor.fetchall()}


def at_least(found: Mapping[str, str], needed: Mapping[str, int]) -> dict[str, Value]:
    """What lets a session last: limits below what is needed are raised; 0 is none for idleness."""
    return {
        name: value
        for name, value in needed.items()
        if name in found
        and float(found[name]) < value
        and not (float(found[name]) == 0 and name.startswith("idle_"))
    }


def pin(
    raw: "pymysql.Connection[Any]", found: Mapping[str, str], own: Mapping[str, Value]
) -> Settings:
    """Set what decides about meanings, and one's own variables.

    Raises OperationalError that names the one which cannot be set.
    """
    made = Settings(found, {})
    switches = found.get(_SWITCHES, "").replace(_MIXING, _MIXING.replace("on", "off"))
    every = {
        **PINNED,
        "collation_connection": _COLLATION[made.is_mariadb],
        **({_SWITCHES: switches} if "subquery_cache" in switches else {}),
        **own,
    }
    made = Settings(found, {name: value for name, value in every.items() if name in found})
    wanted = {n: v for n, v in made.pinned.items() if n in own or not _same(found[n], v)}
    try:
        _set(raw, wanted)
    except pymysql.MySQLError:
        for name, value in wanted.items():  # one of them is refused: which?
            _set_named(raw, name, value)
    return made


def _set_named(raw: "pymysql.Connection[Any]", name: str, value: Value) -> None:
    try:
        _set(raw, {name: value})
    except pymysql.MySQLError as error:
        words = error.args[1] if len(error.args) > 1 else ""
        raise pymysql.OperationalError(
            CR.CR_UNKNOWN_ERROR, f"the session variable {name} cannot be set to {value}: {words}"
        ) from None


def _set(raw: "pymysql.Connection[Any]", values: Mapping[str, Value]) -> None:
    if values:
        with raw.cursor() as cursor:
            places = (f"{n} = {'DEFAULT' if v == DEFAULT else '%s'}" for n, v in values.items())
            given = [value for value in values.values() if value != DEFAULT]
            cursor.execute(f"SET SESSION {', '.join(places)}", given)


def _same(found: object, wanted: Value) -> bool:
    """Whether a value, as a server writes it, is one that was set."""
    one, other = (_SPELLINGS.get(str(each).upper(), str(each).lower()) for each in (found, wanted))
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other

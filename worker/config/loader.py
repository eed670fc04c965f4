"""`config.toml` and the environment: a `Config`, or every mistake of them at once."""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from checks.contract import Check
from checks.declared import key_standard, relations
from checks.declared.table import FILLED
from checks.ports import SourceType
from checks.registry import BY_NAME, any_check
from checks.relations import Relations
from checks.sql.catalog import nearest
from checks.types import split_name
from worker.config import bounds, tenants
from worker.config.cron import CronLine
from worker.config.known_keys import known_keys
from worker.config.settings import Override, Settings, Timetable
from worker.config.types import Schedule
from worker.config.wording import MISSING, once, plain
from worker.text.printable import visible

PREFIX = "RECONCILER_"
PATH_VARIABLE = "RECONCILER_CONFIG"
DEFAULT_PATH = Path("config.toml")

MOST_PROBLEMS = 200
"""Mistakes that are listed; of any others only the number is given."""

_EITHER_DAY = (
    "is due on each of these days of the month and also on each of these days of the week,"
    " as in crontab; the first Sunday of a month is sun#1"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of the configuration and where it is: `checks[3].columns`."""

    place: str
    message: str
    name: str = ""
    """Of the check or interface that it is in, where the place only counts them."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    @property
    def told(self) -> str:
        """For people, who do not count entries: with the name, where there is one."""
        return str(replace(self, place=f'{self.place} of "{self.name}"') if self.name else self)


class ConfigError(Exception):
    """The configuration cannot be used. Lists every mistake; holds no value that may be secret."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        left_out = len(problems) - MOST_PROBLEMS
        rest = [Problem("", f"and {left_out} more")] if left_out > 0 else []
        self.problems = problems[:MOST_PROBLEMS] + rest
        lines = "\n".join(f"  {problem.told}" for problem in self.problems)
        mistakes = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{path}: {mistakes}\n{lines}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What of the configuration a check follows from."""

    section: Literal["tables", "relations", "interfaces", "checks"]
    entry: str | int
    """The name of the table, or the place in the list."""

    def __str__(self) -> str:
        return place_of((self.section, self.entry))


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check and when it runs."""

    check: Check
    timetable: Timetable
    origin: Origin


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the worker was told."""

    settings: Settings
    plan: tuple[PlannedCheck, ...]
    notes: tuple[Problem, ...] = ()
    """Defaults that are easily overlooked."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check, those that follow from facts of tables first."""
        return tuple(planned.check for planned in self.plan)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is valid, and easily means something else than who wrote it believes."""
        written: dict[Schedule, str] = {self.settings.schedule.complete: "schedule.complete"}
        for number, window in enumerate(self.settings.maintenance):
            written.setdefault(window.cron, f"maintenance[{number}].cron")
        for planned in self.plan:
            written.setdefault(planned.timetable.every, f"schedule of {planned.check.name}")
        return tuple(
            Problem(place, f"{line} {_EITHER_DAY}")
            for line, place in written.items()
            if isinstance(line, CronLine) and line.restricts_both_days
        )


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration file and the overrides in the environment.

    Without a path, `RECONCILER_CONFIG` names the file, else it is `config.toml` in the working
    directory. Raises ConfigError.
    """
    path = path or Path(environment.get(PATH_VARIABLE) or DEFAULT_PATH)
    document = _read(path)
    problems = list(_override_from(environment, document))
    if excesses := [Problem(place_of(place), said) for place, said in bounds.excesses(document)]:
        raise ConfigError(path, excesses)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        problems += _problems(error, Settings)
        # The checks are looked at too, so that their mistakes are told in the same breath.
        settings = None
    plan = list(_plan(document, settings, problems))
    if not plan and not problems:
        problems.append(Problem("", "nothing is declared to be checked: no tables, no checks"))
    if problems or settings is None:
        raise ConfigError(path, [_with_its_name(each, document) for each in problems])
    notes = (
        _with_its_name(each, document) for each in _placed_by_default(plan, document, settings)
    )
    return Config(settings, tuple(plan), tuple(notes))


def _placed_by_default(
    plan: Iterable[PlannedCheck], document: Mapping[str, Any], settings: Settings
) -> Iterator[Problem]:
    """A note for each check that names no database and is not of the first one."""
    for check, origin in ((each.check, each.origin) for each in plan):
        if origin.section != "checks" or check.reads != "database":
            continue
        entry = document["checks"][origin.entry]
        is_named = "database" in entry or "databases" in entry or entry.get("table") != check.table
        if not is_named and check.database != settings.main_database:
            yield Problem(
                f"{origin}.database",
                f"not set; the check runs on {check.database}, the first database for which"
                f" {check.table} is configured, and on no other",
            )


_ENTRY = re.compile(r"(checks|interfaces)\[(\d+)\]")


def _with_its_name(problem: Problem, document: Mapping[str, Any]) -> Problem:
    """The same, with the name of the check or interface that it is in: nobody counts entries."""
    found = _ENTRY.match(problem.place)
    entries = document.get(found[1]) if found else None
    if not found or not isinstance(entries, list) or int(found[2]) >= len(entries):
        return problem
    entry = entries[int(found[2])]
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name or name in problem.message:
        return problem
    return replace(problem, name=visible(name[:_LONGEST_NAME]))


_LONGEST_NAME = 200


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(bounds.LARGEST_FILE + 1)
        if len(content) > bounds.LARGEST_FILE:
            reason = f"is larger than {bounds.LARGEST_FILE} bytes"
            raise ConfigError(path, [Problem("", reason)])
        return tomllib.loads(content.decode().replace("\r\n", "\n"))
    except OSError as error:
        reason = f"{error.strerror}; --config or {PATH_VARIABLE} names another file"
        raise ConfigError(path, [Problem("", reason)]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [Problem("", f"not UTF-8 (byte {error.start})")]) from None
    except RecursionError:
        raise ConfigError(path, [Problem("", "not TOML: nested too deeply")]) from None
    except ValueError as error:  # also of a number with more digits than Python reads
        raise ConfigError(path, [Problem("", f"not TOML: {error}")]) from None


def _override_from(environment: Mapping[str, str], document: dict[str, Any]) -> Iterator[Problem]:
    """Write `RECONCILER_A__B=value` into the document as `a.b`, whatever the file says of it."""
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable == PATH_VARIABLE:
            continue
        steps = variable.removeprefix(PREFIX).lower().split("__")
        if steps[0] not in Settings.model_fields:
            yield Problem(variable, f"no such setting{_meant(variable, steps[0])}")
            continue
        table = document
        for step in steps[:-1]:
            table = table.setdefault(step, {})
            if not isinstance(table, dict):
                yield Problem(variable, f"{step} is no table")
                break
        else:
            table[steps[-1]] = environment[variable]
            # The environment decides between a value and the file that holds it.
            table.pop(_other_spelling(steps[-1]), None)


def _meant(variable: str, first: str) -> str:
    for section in Settings.model_fields:
        if first.startswith(f"{section}_"):
            rest = variable.removeprefix(PREFIX)[len(section) + 1 :].lstrip("_")
            return f"; steps are joined by two underscores: {PREFIX}{section.upper()}__{rest}"
    return nearest(first, Settings.model_fields)


def _other_spelling(name: str) -> str:
    return name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"


def _problems(error: ValidationError, model: Any, *prefix: str | int) -> list[Problem]:
    return [
        Problem(place_of((*prefix, *_location(each))), _message(each, model))
        for each in once(error.errors(include_input=False, include_url=False))
    ]


def _location(error: ErrorDetails) -> tuple[str | int, ...]:
    about = "kind" if error["type"].startswith("union_tag") else None
    return (*error["loc"], *filter(None, (about,)))


def _message(error: ErrorDetails, model: Any) -> str:
    if error["type"] == "extra_forbidden":
        *steps, key = error["loc"]
        known = known_keys(model, steps)
        others = f"; there are {', '.join(known)}" if known else ""
        return f"unknown key{nearest(str(key), known) or others}"
    if error["type"] == "union_tag_invalid":
        kind = error["ctx"]["tag"]
        others = f"; there are {', '.join(BY_NAME)}"
        return f"no kind is named {kind}{nearest(kind, BY_NAME) or others}"
    return plain(error)


def place_of(location: tuple[str | int, ...]) -> str:
    """Where something is in the file, written as TOML would write it."""
    return "".join(map(_step, location)).removeprefix(".")


_BARE = re.compile(r"[A-Za-z0-9_-]+|\[key\]", re.ASCII)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _BARE.fullmatch(step) else f".{json.dumps(step, ensure_ascii=False)}"


def _plan(
    document: Mapping[str, Any], settings: Settings | None, problems: list[Problem]
) -> Iterator[PlannedCheck]:
    if settings is None:
        list(_declared_checks(document, None, problems))  # for its problems
        return
    planned: dict[str, PlannedCheck] = {}
    followed: dict[str, str] = {}
    waiting: list[str] = []
    sources: Mapping[SourceType, Mapping[str, Any]] = {
        each: getattr(settings, each) for each in SourceType
    }
    problems += [Problem(place_of(place), told) for place, told in tenants.mistakes(settings)]
    known = _relations(settings, problems)
    for origin, stated, every in _all_checks(document, settings, problems):
        own = known.get(stated.database, {})
        check = stated.reading(own).hiding(settings.privacy.personal)
        if check.name in planned:
            problems.append(Problem(str(origin), f"a second check is named {check.name}"))
        elif check.table in settings.relations and not check.reads_rows:
            message = f"{check.table} is a relation, and {check.kind} asks of tables only"
            problems.append(Problem(f"{origin}.table", message))
        elif check.waits_for_source and check.source_name not in settings.sources:
            waiting.append(check.name)
        elif check.source_name not in sources[check.source_type]:
            problems.append(Problem(str(origin), _no_source(check, sources)))
        elif lacking := [(of, x) for of, x in check.added_sources.items() if x not in sources[of]]:
            (sort, name), *_ = lacking
            message = f"no {sort} is named {name}{nearest(name, sources[sort])}"
            problems.append(Problem(str(origin), message))
        elif check.follows and check.source_name in followed:
            message = f"{followed[check.source_name]} samples {check.source_name} already"
            problems.append(Problem(str(origin), message))
        else:
            if check.follows:
                followed[check.source_name] = check.name
            timetable = Timetable(every=every or settings.schedule.every)
            planned[check.name] = PlannedCheck(check, timetable, origin)
    yield from _overridden(planned, waiting, settings.overrides, problems)


def _relations(settings: Settings, problems: list[Problem]) -> Mapping[str, Relations]:
    """What names stand for in each database; nothing where that is not clear."""
    found = list(relations.mistakes(settings.tables, settings.relations, settings.main_database))
    problems += [Problem(place_of(("relations", m.name, *m.field)), m.message) for m in found]
    if found:
        return {}
    return {name: tenants.relations_of(settings, name) for name in settings.databases}


def _no_source(check: Check, sources: Mapping[SourceType, Mapping[str, Any]]) -> str:
    name = check.source_name
    others = (check.unfit_source(each) for each, known in sources.items() if name in known)
    known = sources[check.source_type]
    return next(filter(None, others), f"no {check.reads} is named {name}{nearest(name, known)}")


def _all_checks(
    document: Mapping[str, Any], settings: Settings, problems: list[Problem]
) -> Iterator[tuple[Origin, Check, Schedule | None]]:
    for each in tenants.stated(settings):
        for check in each.facts.checks(each.name, each.database, each.prefix):
            yield Origin(each.section, each.entry), check, None
    yield from _key_checks(settings, problems)
    yield from _declared_checks(document, settings, problems)


def _key_checks(
    settings: Settings, problems: list[Problem]
) -> Iterator[tuple[Origin, Check, Schedule | None]]:
    """The checks that follow from `[[interfaces]]`."""
    mistakes = list(key_standard.mistakes(settings.interfaces, settings.tables))
    problems += [Problem(f"interfaces[{m.number}].{m.field}", m.message) for m in mistakes]
    if not mistakes:
        found = key_standard.key_checks(
            settings.interfaces, settings.tables, tenants.places(settings)
        )
        yield from ((Origin("interfaces", number), check, None) for number, check in found)


@dataclass(frozen=True, slots=True)
class _Stated:
    """What the file states of a table or a relation, not yet validated."""

    place: str
    facts: Mapping[str, Any]


def _declared_checks(
    document: Mapping[str, Any], settings: Settings | None, problems: list[Problem]
) -> Iterator[tuple[Origin, Check, Schedule | None]]:
    """The checks of `[[checks]]`, also when the settings themselves hold mistakes."""
    declared, facts = document.get("checks"), _stated_facts(document)
    for number, raw in enumerate(declared if isinstance(declared, list) else ()):
        place = f"checks[{number}]"
        if not isinstance(raw, dict):
            problems.append(Problem(place, "not a table"))
            continue
        every = _own_schedule(raw, number, problems)
        for given in _given(raw, place, settings, problems):
            filled = _filled(given, facts, raw)
            try:
                check = any_check.validate_python({**given, **filled.values})
            except ValidationError as error:
                problems += _problems_of_check(error, number, given, filled, settings)
                break  # the same of each database
            else:
                yield Origin("checks", number), check, every


def _given(
    raw: Mapping[str, Any], place: str, settings: Settings | None, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """The fields of a check as the file states them, once for each of its databases."""
    given = {name: value for name, value in raw.items() if name not in ("every", "databases")}
    kind = _kind(given)
    if kind and "interfaces" in kind.model_fields and settings:
        given.setdefault("interfaces", settings.interfaces)
    if settings is None or (kind and kind.reads != "database"):
        yield given
        return
    for each in _in_databases(given, raw.get("databases"), place, settings, problems):
        try:
            yield tenants.in_its_database(each, kind, settings)
        except ValueError as error:
            field, message = error.args
            problems.append(Problem(f"{place}.{field}", message))


def _in_databases(
    given: dict[str, Any],
    wanted: object,
    place: str,
    settings: Settings,
    problems: list[Problem],
) -> Iterator[dict[str, Any]]:
    if wanted is None:
        yield given
        return
    patterns = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(patterns, list) or not all(isinstance(each, str) for each in patterns):
        problems.append(Problem(f"{place}.databases", "names of databases, or patterns with *"))
        return
    if "database" in given:
        problems.append(Problem(place, "database and databases are both stated"))
        return
    names = tenants.matching(patterns, settings)
    if not names:
        near = nearest(str(next(iter(patterns), "")), settings.databases)
        problems.append(Problem(f"{place}.databases", f"no database is named so{near}"))
    for name in names:
        prefix = "" if name == settings.main_database else f"{name}."
        yield {**given, "database": name, "name": f"{prefix}{given.get('name')}"}


def _stated_facts(document: Mapping[str, Any]) -> Mapping[str, _Stated]:
    """What the file states of tables and relations, by name."""
    sections = {each: document.get(each) for each in ("relations", "tables")}
    return {
        name: _Stated(place_of((section, name)), facts)
        for section, named in sections.items()
        for name, facts in (named.items() if isinstance(named, dict) else ())
        if isinstance(facts, dict)
    }


def _own_schedule(raw: Mapping[str, Any], number: int, problems: list[Problem]) -> Schedule | None:
    if raw.get("every") is None:
        return None
    try:
        return Timetable.model_validate({"every": raw["every"]}).every
    except ValidationError as error:
        problems.extend(_problems(error, Timetable, "checks", number))
        return None


@dataclass(frozen=True, slots=True)
class _Filled:
    """What the facts of the tables that a check reads say of the fields on which it is silent."""

    values: Mapping[str, Any]
    facts: Mapping[str, str]
    """Each field that facts can fill in, with the fact: `tables.orders.primary_key`."""


def _filled(
    given: Mapping[str, Any], facts: Mapping[str, _Stated], raw: Mapping[str, Any]
) -> _Filled:
    """Fill in a check. The facts are as the file states them: they are validated with the check.

    Facts may be stated under what the check calls a table, or under what its database does.
    """
    kind = _kind(given)
    values, sources = {}, {}
    for naming, prefix in {"table": "", **kind.beside}.items() if kind else ():
        table = str(given.get(naming))
        written = str(raw.get(naming))
        own = [] if written == table else [written, split_name(written)[1]]
        names = (f"{given.get('database')}.{table}", table, *own)
        stated = next((facts[name] for name in names if name in facts), None)
        for field, fact in FILLED.items():
            name = prefix + field
            if kind and name in kind.model_fields and name not in given:
                sources[name] = f"{stated.place if stated else place_of(('tables', table))}.{fact}"
                if stated and fact in stated.facts:
                    values[name] = stated.facts[fact]
    for prefix in kind.along_keys if kind else ():
        if _is_beside_the_key(prefix, given, values):
            del values[f"{prefix}cursor"]
    return _Filled(values, sources)


def _is_beside_the_key(prefix: str, given: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether facts fill in a cursor that is none of a key's several columns."""
    cursor = values.get(f"{prefix}cursor")
    name = cursor.get("column") if isinstance(cursor, dict) else cursor
    key = {**values, **given}.get(f"{prefix}primary_key")
    return name is not None and isinstance(key, list) and len(key) > 1 and name not in key


def _kind(given: Mapping[str, Any]) -> type[Check] | None:
    name = given.get("kind")
    return BY_NAME.get(name) if isinstance(name, str) else None


def _problems_of_check(
    error: ValidationError,
    number: int,
    given: Mapping[str, Any],
    filled: _Filled,
    settings: Settings | None,
) -> Iterator[Problem]:
    """The mistakes of a check, without those that are told where its tables' facts are."""
    place = f"checks[{number}]"
    tagged = f"{place}.{given.get('kind')}"
    kind: Any = _kind(given) or Check
    for problem in _problems(error, Mapping[str, kind], "checks", number):
        # The discriminator is a step of pydantic's path, not of the file's.
        shown = problem.place.replace(tagged, place, 1)
        field = shown.removeprefix(f"{place}.")
        if settings is None and field in filled.values:
            continue
        message = problem.message
        if field in filled.facts and message == MISSING:
            message = f"is missing, and so is {filled.facts[field]}"
        yield Problem(shown, message)


def _overridden(
    planned: Mapping[str, PlannedCheck],
    waiting: Iterable[str],
    overrides: tuple[Override, ...],
    problems: list[Problem],
) -> Iterator[PlannedCheck]:
    for number, override in enumerate(overrides):
        if not any(fnmatchcase(name, override.check) for name in (*planned, *waiting)):
            known = nearest(override.check, planned)
            problems.append(Problem(f"overrides[{number}].check", f"matches no check{known}"))
    for name, each in planned.items():
        check, timetable = each.check, each.timetable
        for override in overrides:
            if fnmatchcase(name, override.check):
                if override.severity:
                    check = check.model_copy(update={"severity": override.severity})
                if override.every:
                    timetable = Timetable(every=override.every)
        yield replace(each, check=check, timetable=timetable)

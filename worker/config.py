"""`config.toml` and the environment: a `Config`, or every mistake of them at once."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from checks import KINDS, any_check
from checks.base import Check
from checks.catalog import nearest
from worker.settings import Override, Schedule, Settings, Timetable

PREFIX = "RECONCILER_"
PATH_VARIABLE = "RECONCILER_CONFIG"
DEFAULT_PATH = Path("config.toml")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of the configuration and where it is: `checks[3].columns`."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class ConfigError(Exception):
    """The configuration cannot be used. Lists every mistake; holds no value that may be secret."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{path}: {len(problems)} mistake(s)\n{lines}")


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check and when it runs."""

    check: Check
    timetable: Timetable


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the worker was told."""

    settings: Settings
    plan: tuple[PlannedCheck, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check, those that follow from facts of tables first."""
        return tuple(planned.check for planned in self.plan)


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration file and the overrides in the environment.

    Without a path, `RECONCILER_CONFIG` names the file, else it is `config.toml` in the working
    directory. Raises ConfigError.
    """
    path = path or Path(environment.get(PATH_VARIABLE) or DEFAULT_PATH)
    document = _read(path)
    problems = list(_override_from(environment, document))
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        problems += _problems(error)
        # The checks are looked at too, so that their mistakes are told in the same breath.
        settings = None
    plan = list(_plan(document, settings, problems))
    if not plan and not problems:
        problems.append(Problem("", "nothing is declared to be checked: no tables, no checks"))
    if problems or settings is None:
        raise ConfigError(path, problems)
    return Config(settings, tuple(plan))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"{error.strerror}; --config or {PATH_VARIABLE} names another file"
        raise ConfigError(path, [Problem("", reason)]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [Problem("", f"not UTF-8 (byte {error.start})")]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
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


_PLAIN_WORDS = {"extra_forbidden": "unknown key", "missing": "is missing"}


def _problems(error: ValidationError, *prefix: str | int) -> list[Problem]:
    return [
        Problem(
            _place((*prefix, *each["loc"])),
            _PLAIN_WORDS.get(each["type"]) or each["msg"].removeprefix("Value error, "),
        )
        for each in error.errors(include_input=False, include_url=False)
    ]


def _place(location: tuple[str | int, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _plan(
    document: Mapping[str, Any], settings: Settings | None, problems: list[Problem]
) -> Iterator[PlannedCheck]:
    if settings is None:
        declared = document.get("checks")
        for number, raw in enumerate(declared if isinstance(declared, list) else ()):
            _declared_check(raw, number, None, problems)
        return
    planned: dict[str, PlannedCheck] = {}
    for place, check, every in _all_checks(settings, problems):
        if check.name in planned:
            problems.append(Problem(place, f"a second check is named {check.name}"))
        elif check.database not in settings.databases:
            known = nearest(check.database, settings.databases)
            problems.append(Problem(place, f"no database is named {check.database}{known}"))
        else:
            timetable = Timetable(every=every or settings.schedule.every)
            planned[check.name] = PlannedCheck(check, timetable)
    yield from _overridden(planned, settings.overrides, problems)


def _all_checks(
    settings: Settings, problems: list[Problem]
) -> Iterator[tuple[str, Check, Schedule | None]]:
    for name, facts in settings.tables.items():
        for check in facts.checks(name, facts.database or settings.main_database):
            yield f"tables.{name}", check, None
    for number, raw in enumerate(settings.checks):
        if made := _declared_check(raw, number, settings, problems):
            check, every = made
            yield f"checks[{number}]", check, every


def _declared_check(
    raw: object, number: int, settings: Settings | None, problems: list[Problem]
) -> tuple[Check, Schedule | None] | None:
    """A check of `[[checks]]`; what the facts of its table say is filled in where it is silent."""
    place = f"checks[{number}]"
    if not isinstance(raw, dict):
        problems.append(Problem(place, "not a table"))
        return None
    fields = dict(raw)
    every = fields.pop("every", None)
    kind = fields.get("kind")
    facts = settings.tables.get(str(fields.get("table"))) if settings else None
    if settings:
        fields.setdefault("database", (facts and facts.database) or settings.main_database)
    if facts and facts.primary_key and _takes_primary_key(kind):
        fields.setdefault("primary_key", facts.primary_key)
    schedule: Schedule | None = None
    try:
        if every is not None:
            schedule = Timetable.model_validate({"every": every}).every
    except ValidationError as error:
        problems.extend(_problems(error, "checks", number))
    try:
        return any_check.validate_python(fields), schedule
    except ValidationError as error:
        # The discriminator is a step of pydantic's path, not of the file's.
        found = _problems(error, "checks", number)
        tagged = f"{place}.{kind}"
        for problem in found:
            if problem.place == f"{tagged}.primary_key" and settings is None:
                continue
            shown = problem.place.replace(tagged, place, 1)
            problems.append(Problem(shown, problem.message))
        return None


def _takes_primary_key(kind: object) -> bool:
    return any(
        "primary_key" in each.model_fields and each.model_fields["kind"].default == kind
        for each in KINDS
    )


def _overridden(
    planned: Mapping[str, PlannedCheck], overrides: tuple[Override, ...], problems: list[Problem]
) -> Iterator[PlannedCheck]:
    for number, override in enumerate(overrides):
        if not any(fnmatchcase(name, override.check) for name in planned):
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
        yield PlannedCheck(check, timetable)

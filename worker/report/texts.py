"""The words of a report, one TOML file a language."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from typing import Any

from checks.card import Words
from worker.report.escape import NOTHING, Markdown, text


class Language(StrEnum):
    """A language that a report can be written in."""

    ENGLISH = "en"
    CHINESE = "zh"


class Texts:
    """Phrases by dotted key: `texts("verdict.pass")`."""

    def __init__(self, language: Language) -> None:
        file = resources.files("worker.report").joinpath(f"texts.{language}.toml")
        self.language = language
        self.phrases = dict(_flat(tomllib.loads(file.read_text(encoding="utf-8"))))

    def __call__(self, key: str, /, **values: object) -> Markdown:
        """A phrase, which may hold Markdown, with escaped values put into it.

        Raises KeyError for a phrase or a value that is not there.
        """
        shown = {name: _shown(value) for name, value in values.items()}
        return Markdown(self.phrases[key].format_map(shown))

    def words(self, words: Words, /, **values: object) -> Markdown:
        """The same for a phrase that a kind brings along."""
        shown = {name: _shown(value) for name, value in values.items()}
        return Markdown(words.said(self.language).format_map(shown))


def number(value: int | None) -> Markdown:
    """A count, or what says that there is none."""
    return NOTHING if value is None else Markdown(f"{value:,}")


def _shown(value: object) -> Markdown:
    return number(value) if isinstance(value, int) else text(value)


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, str(value)))
    return found

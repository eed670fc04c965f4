"""The keys that the file may have at some place: what a misspelt one is compared with."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

Steps = Sequence[str | int]


def known_keys(model: Any, steps: Steps) -> tuple[str, ...]:
    """The keys of the table to which the steps lead from a model; none where it has any."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return _of_model(model, steps)
    of = get_origin(model)
    if isinstance(of, type) and issubclass(of, Mapping):
        return known_keys(get_args(model)[1], steps[1:]) if steps else ()
    if of is tuple:
        return known_keys(get_args(model)[0], steps[1:]) if steps else ()
    # Annotated, and what may be one of several.
    found = (known_keys(each, steps) for each in get_args(model) if of is not None)
    return next(filter(None, found), ())


def _of_model(model: type[BaseModel], steps: Steps) -> tuple[str, ...]:
    if not steps:
        return tuple(model.model_fields)
    field = model.model_fields.get(str(steps[0]))
    return known_keys(field.annotation, steps[1:]) if field else ()

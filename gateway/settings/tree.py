"""The tree of settings, as the models declare it: all keys, and the key of each mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from inspect import isclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from gateway.settings.settings import Settings

KEY_OF_TABLE = "[key]"
"""Pydantic's mark for a mistake in a key of a table, in contrast to its value."""


def located(place: Sequence[int | str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The key of a mistake, as users write it, and the names beside it in its section.

    Pydantic's location also names the member of a union that it tried; that part is left out.
    """
    path: list[str] = []
    here: list[Any] = [Settings]
    siblings: tuple[str, ...] = ()
    for segment in map(str, place):
        models = [each for each in here if _is_model(each)]
        below = [_choices(each.model_fields[segment].annotation) for each in models if segment in each.model_fields]
        if below:
            siblings = tuple(dict.fromkeys(name for each in models for name in each.model_fields))
            here = below[0]
        elif tried := [each for each in models if segment in _tags(each)]:
            here = tried
            continue
        elif _is_no_key(segment):
            continue
        else:
            siblings = tuple(dict.fromkeys(name for each in models for name in each.model_fields))
            here = [choice for each in here for choice in _items(each)]
        path.append(segment)
    return tuple(path), siblings


@cache
def keys() -> tuple[str, ...]:
    """Every key, such as `server.port`, except those below names that users choose."""
    return tuple(_keys(Settings, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for choice in _choices(field.annotation):
            if _is_model(choice):
                yield from _keys(choice, f"{prefix}{name}.")


def _choices(annotation: Any) -> list[Any]:
    """The possible types of a value: the members of a union, without `Annotated`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _choices(arguments[0])
    if origin in {Union, UnionType}:
        return [choice for each in arguments for choice in _choices(each)]
    return [annotation]


def _items(annotation: Any) -> list[Any]:
    """The possible types of the items of a table or a list."""
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _choices(arguments[1])
    return _choices(arguments[0]) if get_origin(annotation) is tuple else []


def _tags(model: type[BaseModel]) -> set[str]:
    """Pydantic's names for a model as the member of a union."""
    kind = model.model_fields.get("kind")
    return {model.__name__, *(get_args(kind.annotation) if kind else ())}


def _is_model(annotation: Any) -> bool:
    return isclass(annotation) and issubclass(annotation, BaseModel)


def _is_no_key(segment: str) -> bool:
    return segment == KEY_OF_TABLE or segment.startswith("literal[")

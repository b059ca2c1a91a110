"""A settings file to begin with: every setting with its description and its default, as comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import tomli_w
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.settings.settings import Settings

WIDTH = 100
"""Most characters of a line of text."""
BEGINNING = """\
The settings of Jobgate. Each stands here with its default, if it has one: remove the `#` to change it.
Keep secrets elsewhere: `env:NAME` refers to an environment variable, and `file:PATH` to a file.
Check the file with `jobgate config check`.\
"""
NAMES = {"connections": "contoso", "callers": "desk"}
"""The names of the examples in tables that have a section for each name."""


def commented_settings() -> str:
    """The text of the file. It sets nothing."""
    return "\n".join([*_comment(BEGINNING), *_section("", Settings, is_example=False)]) + "\n"


def _section(name: str, model: type[BaseModel], *, is_example: bool) -> Iterator[str]:
    """The lines of a section, then of those below it. An example is a comment as a whole."""
    if name:
        yield ""
        yield from _comment((model.__doc__ or "").partition("\n\n")[0])
        yield f"# [{name}]" if is_example else f"[{name}]"
    below = {key: found for key, field in model.model_fields.items() if (found := _below(field)) is not None}
    for key, field in model.model_fields.items():
        if key not in below:
            yield ""
            yield from _comment(field.description or "")
            yield from (f"# {key} = {value}".rstrip() for value in _values(field))
    for key, (section, is_by_name) in below.items():
        path = f"{name}.{key}" if name else key
        made_up = f"{path}.{NAMES.get(key, 'name')}" if is_by_name else path
        yield from _section(made_up, section, is_example=is_example or is_by_name or not _is_set(model, key))


def _below(field: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """The model of a field that is a section of its own, and whether there is one for each name; None for a value."""
    kinds = _kinds(field.annotation)
    models = [each for each in kinds if _is_model(each)]
    if len(models) == 1 and len(kinds) == 1:
        return models[0], False
    by_name = [get_args(each)[1] for each in kinds if get_origin(each) is dict and _is_model(get_args(each)[1])]
    return (by_name[0], True) if by_name else None


def _is_set(model: type[BaseModel], key: str) -> bool:
    return isinstance(model.model_fields[key].default, BaseModel)


def _values(field: FieldInfo) -> Iterator[str]:
    """The default of a field as TOML has it; without one, each form that its value can have, or nothing."""
    default = field.get_default(call_default_factory=True)
    if default is not None and default is not PydanticUndefined:
        yield _toml(default)
        return
    yield from [_form(each) for each in _kinds(field.annotation) if _is_model(each)] or [""]


def _form(model: type[BaseModel]) -> str:
    """An inline table with each member that a model requires."""
    required = {key: each for key, each in model.model_fields.items() if each.is_required()}
    members = (f"{key} = {_member(each)}" for key, each in required.items())
    return f"{{ {', '.join(members)} }}"


def _member(field: FieldInfo) -> str:
    kinds = _kinds(field.annotation)
    if kinds and get_origin(kinds[0]) is Literal:
        return _toml(get_args(kinds[0])[0])
    return "1" if set(kinds) & {int, float} else '""'


def _toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}" if value else "{}"
    if isinstance(value, tuple | list | frozenset):
        return f"[{', '.join(map(_toml, value))}]"
    plain = value if isinstance(value, bool | int | float) else str(value)
    return tomli_w.dumps({"value": plain}).partition(" = ")[2].strip()


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, without None and without what pydantic adds."""
    if get_origin(annotation) is Union or isinstance(annotation, type(int | str)):
        return tuple(kind for each in get_args(annotation) for kind in _kinds(each))
    if hasattr(annotation, "__metadata__"):
        return _kinds(get_args(annotation)[0])
    return () if annotation is type(None) else (annotation,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _comment(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from textwrap.wrap(line, WIDTH, initial_indent="# ", subsequent_indent="# ")


def write_commented(file: Path) -> None:
    """Write the file, for its owner alone. Raises FileExistsError if there is one, and OSError."""
    with file.open("x", encoding="utf-8") as opened:
        file.chmod(0o600)
        opened.write(commented_settings())
